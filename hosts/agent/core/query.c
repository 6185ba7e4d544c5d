/* Queries that Python must go on with: what it sees of them, and how they come back. */
#include "core.h"

#include <arpa/inet.h>
#include <stddef.h>

#include <structmember.h>

static void query_dealloc(Query *q) {
    Py_XDECREF(q->datagram);
    Py_XDECREF(q->keys);
    PyObject_Free(q);
}

static PyMemberDef query_members[] = {
    {"datagram", T_OBJECT_EX, offsetof(Query, datagram), READONLY, "header and payload"},
    {"keys", T_OBJECT_EX, offsetof(Query, keys), READONLY, "the command's keys"},
    {"client", T_ULONGLONG, offsetof(Query, client), READONLY, NULL},
    {"seq", T_UINT, offsetof(Query, seq), READONLY, NULL},
    {"acked", T_UINT, offsetof(Query, acked), READONLY, NULL},
    {"ip", T_UINT, offsetof(Query, ip), READONLY, "where the reply goes, host byte order"},
    {"port", T_USHORT, offsetof(Query, port), READONLY, NULL},
    {"flags", T_USHORT, offsetof(Query, flags), READONLY, NULL},
    {"service", T_USHORT, offsetof(Query, service), READONLY, NULL},
    {"group", T_USHORT, offsetof(Query, group), READONLY, NULL},
    {"migration", T_USHORT, offsetof(Query, migration), READONLY, NULL},
    {"op", T_UBYTE, offsetof(Query, op), READONLY, NULL},
    {"hops", T_UBYTE, offsetof(Query, hops), READONLY, "how often it was handed on"},
    {"write", T_BOOL, offsetof(Query, write), READONLY, NULL},
    {"blind", T_BOOL, offsetof(Query, blind), READONLY, "its outcome does not depend on its keys"},
    {"whole", T_BOOL, offsetof(Query, whole), READONLY, "it may touch any key of its group"},
    {0},
};

PyTypeObject QueryType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.agent._core.Query",
    .tp_basicsize = sizeof(Query),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A query that needs more than the store.",
    .tp_dealloc = (destructor)query_dealloc,
    .tp_members = query_members,
};

Query *query_of(struct item *item) {
    Query *q = PyObject_New(Query, &QueryType);
    if (!q) return NULL;
    struct request r;
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    request_parse(&r, p, item->length - NM_HEADER_LENGTH);
    q->datagram = item->object ? Py_NewRef(item->object)
                               : PyBytes_FromStringAndSize((const char *)item->datagram, item->length);
    q->keys = keys_of_item(item);
    q->client = item->h.client, q->seq = item->h.seq, q->acked = item->h.acked;
    q->op = item->h.op, q->flags = item->h.flags, q->service = item->h.service;
    q->group = item->h.group, q->migration = item->h.migration;
    q->ip = ntohl(item->from.sin_addr.s_addr), q->port = ntohs(item->from.sin_port);
    q->hops = item->hops;
    q->write = item->h.op == NM_WRITE;
    q->blind = is_blind(item->command, p, &r);
    q->whole = item->whole;
    if (!q->datagram || !q->keys) Py_CLEAR(q);
    return q;
}

void item_of(struct item *item, Query *q) {
    *item = (struct item){
        .from = {.sin_family = AF_INET, .sin_port = htons(q->port),
                 .sin_addr.s_addr = htonl(q->ip)},
        .h = {.op = q->op, .flags = q->flags, .service = q->service, .group = q->group,
              .migration = q->migration, .client = q->client, .seq = q->seq, .acked = q->acked},
        .datagram = (const uint8_t *)PyBytes_AS_STRING(q->datagram),
        .length = (uint32_t)PyBytes_GET_SIZE(q->datagram),
        .hops = q->hops,
        .keys = Py_NewRef(q->keys),
        .whole = q->whole,
        .newer = q->write && q->blind,
        .outcome = O_NOT_RUN,
    };
    item->tell = wants_told(&item->h);
}
