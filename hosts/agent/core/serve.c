/* A batch of queries, wherever they come from: judge, run, answer. */
#include "core.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

uint32_t now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_sec + 1;
}

static PyObject *control_of(const struct item *item) {
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    return Py_BuildValue("(BHHHHIkH)", item->h.op, item->h.service, item->h.group,
                         item->h.migration, nm_get16(p), nm_get32(p + 2),
                         (unsigned long)ntohl(item->from.sin_addr.s_addr),
                         ntohs(item->from.sin_port));
}

static void release(struct item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Py_CLEAR(items[i].keys);
        free(items[i].grown);
        items[i].grown = NULL;
    }
}

/* Whether the client asks for an agent that takes requests by TCP. */
static bool wants_stream(const struct item *item) {
    return item->h.op == NM_READ && item->h.flags & NM_LONG && item->length == NM_HEADER_LENGTH;
}

/* Takes `count` datagrams through everything. Returns (slow queries, control packets). */
static PyObject *serve(Core *core, struct item *items, size_t count) {
    PyObject *slow = PyList_New(0), *control = PyList_New(0);
    uint32_t now = now_seconds();
    bool failed = !slow || !control;
    size_t judged = 0; /* what follows a Python error is as if lost on the wire */
    core->counters[C_RECEIVED] += count;
    for (; judged < count && !failed; judged++) {
        struct item *item = &items[judged];
        item->send = item->run = item->whole = item->newer = item->tell = false;
        item->keys = NULL, item->grown = NULL;
        if (nm_header_get(&item->h, item->datagram, item->length) || item->h.op == NM_REPLY) {
            core->counters[C_MALFORMED]++;
        } else if (wants_stream(item)) {
            if (check_service(core, item)) answer_long(core, item, 0, 0);
        } else if (item->h.op == NM_READ || item->h.op == NM_WRITE) {
            item->tell = wants_told(&item->h);
            failed = check(core, item) && judge(core, item, now, slow) < 0;
        } else if (item->length != NM_HEADER_LENGTH + NM_CONTROL_LENGTH || item->hops ||
                   by_stream(item)) {
            core->counters[C_MALFORMED]++;
        } else {
            PyObject *packet = control_of(item);
            failed = !packet || PyList_Append(control, packet) < 0;
            Py_XDECREF(packet);
        }
    }
    run_items(core, items, judged);
    answers_send(core, items, judged);
    release(items, judged);
    if (!failed) return Py_BuildValue("(NN)", slow, control);
    Py_XDECREF(slow);
    Py_XDECREF(control);
    return NULL;
}

/* Drains one batch from the socket. None: nothing there. */
PyObject *serve_received(Core *core) {
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){core->received + i * RECEIVE, RECEIVE};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &core->items[i].from,
                                                   .msg_namelen = sizeof core->items[i].from,
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    int count = recvmmsg(core->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) Py_RETURN_NONE; /* EAGAIN, or an ICMP error of an earlier send */
    for (int i = 0; i < count; i++) {
        struct item *item = &core->items[i];
        item->datagram = core->received + (size_t)i * RECEIVE;
        /* port 0 is forged: nothing can be sent there, and to us it means TCP */
        item->length = item->from.sin_port ? messages[i].msg_len : 0;
        item->truncated = messages[i].msg_hdr.msg_flags & MSG_TRUNC;
        item->hops = 0;
        item->object = NULL;
    }
    return serve(core, core->items, (size_t)count);
}

/* The same for queries that another agent handed over, or that came by TCP: (ip, port, hops,
 * datagram) each. */
PyObject *serve_given(Core *core, PyObject *datagrams) {
    Py_ssize_t count = PyList_GET_SIZE(datagrams);
    if (count > BATCH) {
        PyErr_SetString(PyExc_ValueError, "more datagrams than a batch holds");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct item *item = &core->items[i];
        unsigned int ip;
        unsigned short port;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(datagrams, i), "IHbO!", &ip, &port, &item->hops,
                              &PyBytes_Type, &item->object))
            return NULL;
        Py_ssize_t length = PyBytes_GET_SIZE(item->object);
        if (length > NM_HEADER_LENGTH + LONGEST) {
            PyErr_SetString(PyExc_ValueError, "a request longer than any can be");
            return NULL;
        }
        item->from = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
                                          .sin_addr.s_addr = htonl(ip)};
        item->datagram = (const uint8_t *)PyBytes_AS_STRING(item->object);
        item->length = (uint32_t)length;
        item->truncated = false;
    }
    return serve(core, core->items, (size_t)count);
}

/* Executes queries that Python decided to, in order, duplicates excepted. Returns one outcome a
 * query, as bytes. */
PyObject *serve_queries(Core *core, PyObject *queries, int flags) {
    Py_ssize_t total = PyList_GET_SIZE(queries);
    PyObject *outcomes = PyBytes_FromStringAndSize(NULL, total);
    if (!outcomes) return NULL;
    uint32_t now = now_seconds();
    for (Py_ssize_t first = 0; first < total; first += BATCH) {
        Py_ssize_t count = total - first < BATCH ? total - first : BATCH;
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *query = PyList_GET_ITEM(queries, first + i);
            struct item *item = &core->items[i];
            if (!Py_IS_TYPE(query, &QueryType)) {
                PyErr_SetString(PyExc_TypeError, "expected queries");
                release(core->items, (size_t)i);
                Py_DECREF(outcomes);
                return NULL;
            }
            item_of(item, (Query *)query);
            item->reply_flags = (uint16_t)flags;
            item->run = item->h.op != NM_WRITE || admit(core, item, now);
        }
        run_items(core, core->items, (size_t)count);
        answers_send(core, core->items, (size_t)count);
        release(core->items, (size_t)count);
        for (Py_ssize_t i = 0; i < count; i++)
            PyBytes_AS_STRING(outcomes)[first + i] = (char)core->items[i].outcome;
    }
    return outcomes;
}

/* The same for queries that Python has seen: (query, microseconds) each. */
int serve_retries(Core *core, PyObject *retries) {
    Py_ssize_t total = PyList_GET_SIZE(retries);
    for (Py_ssize_t first = 0; first < total; first += BATCH) {
        Py_ssize_t count = total - first < BATCH ? total - first : BATCH;
        for (Py_ssize_t i = 0; i < count; i++) {
            struct item *item = &core->items[i];
            PyObject *query;
            unsigned int after;
            if (!PyArg_ParseTuple(PyList_GET_ITEM(retries, first + i), "O!I", &QueryType, &query,
                                  &after)) {
                release(core->items, (size_t)i);
                return -1;
            }
            item_of(item, (Query *)query);
            retry(core, item, after);
        }
        answers_send(core, core->items, (size_t)count);
        release(core->items, (size_t)count);
    }
    return 0;
}

int serve_refuse(Core *core, Query *query, const char *message) {
    item_of(core->items, query);
    refuse(core, core->items, C_REFUSED_OTHER, "%s", message);
    answers_send(core, core->items, 1);
    release(core->items, 1);
    return 0;
}
