/* What outlives `kill -9` (docs/consistency.md, "What is durable"): a log in a mapped file, so that
 * to remember costs a copy and no system call. */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

/* Adds an entry of which `head` is the beginning of the body. There must be room. */
static void add(struct journal *j, enum kind kind, const uint8_t *head, size_t head_length,
                const void *rest, size_t length) {
    if (!j->map) return;
    if (j->tail + ENTRY_HEAD + head_length + length > half_end(j, j->half))
        Py_FatalError("more was written to the journal than there was room for");
    uint8_t *entry = j->map + j->tail, *body = entry_begin(entry, kind, head_length + length);
    memcpy(body, head, head_length);
    if (length) memcpy(body + head_length, rest, length);
    entry_finish(entry);
    j->tail += ENTRY_HEAD + head_length + length;
}

void journal_intents(Core *core, const struct item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct nm_header *h = &items[i].h;
        uint8_t body[18];
        if (!items[i].run || h->op != NM_WRITE) continue;
        nm_put64(body, h->client);
        nm_put32(body + 8, h->seq);
        nm_put32(body + 12, h->acked);
        nm_put16(body + 16, h->group);
        add(&core->journal, INTENT, body, sizeof body, NULL, 0);
    }
    journal_publish(&core->journal);
}

/* The keys of a write whose truth is here, whatever became of it: what it left of them must not
 * vanish under the source's copy. A key that cannot be remembered would: then it is better to end. */
static void newer_keys(Core *core, const struct item *item) {
    PyObject *here = core->here[item->h.group], **newer = &core->journal.newer[item->h.group];
    if (!core->journal.map || !here || here == Py_True) return;
    PyObject *keys = keys_of_item(item);
    uint8_t group[2];
    nm_put16(group, item->h.group);
    bool ok = keys && (*newer || (*newer = PySet_New(NULL)));
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);
        int known = PySet_Contains(*newer, key), is_here = PySet_Contains(here, key);
        ok = known >= 0 && is_here >= 0;
        if (!ok || known || !is_here) continue;
        ok = PySet_Add(*newer, key) == 0;
        add(&core->journal, NEWER, group, sizeof group, PyBytes_AS_STRING(key),
            (size_t)PyBytes_GET_SIZE(key));
    }
    Py_XDECREF(keys);
    if (!ok) Py_FatalError("no memory to remember a newer key");
}

/* A write has its answer: its newer keys and its record, at once. */
void journal_done(Core *core, const struct item *item, const uint8_t *reply) {
    uint8_t head[2 + RECORD_HEAD];
    char text[NOT_KEPT];
    uint16_t flags = item->reply_flags;
    size_t length = item->reply_length;
    if (length > REPLY_ROOM) {
        length = (size_t)not_kept(text, length, "is gone: the agent was restarted");
        reply = (const uint8_t *)text, flags = NM_ERROR;
    }
    nm_put16(head, item->h.group);
    record_head(head + 2, item->h.client, item->h.seq, flags, (uint32_t)length);
    newer_keys(core, item);
    add(&core->journal, RECORDS, head, sizeof head, reply, length);
    journal_publish(&core->journal);
}

/* All records of a group, again. */
void journal_records(Core *core, uint16_t group) {
    struct buffer records = {0};
    uint8_t head[2];
    nm_put16(head, group);
    if (!core->journal.map || !core->sessions.groups[group]) return;
    if (!sessions_dump(&core->sessions, group, false, &records))
        Py_FatalError("no memory to write records down");
    journal_room(core, records.length + SMALL);
    add(&core->journal, RECORDS, head, sizeof head, records.data, records.length);
    journal_publish(&core->journal);
    free(records.data);
}

void journal_marks(Core *core, const uint8_t *marks, size_t length) {
    journal_room(core, length + SMALL);
    add(&core->journal, MARKS, marks, length, NULL, 0);
    journal_publish(&core->journal);
}

static void of_group(Core *core, enum kind kind, uint16_t group, uint16_t migration) {
    uint8_t body[4];
    nm_put16(body, group);
    nm_put16(body + 2, migration);
    journal_room(core, SMALL);
    add(&core->journal, kind, body, kind == CLEARED ? 4 : 2, NULL, 0);
    journal_publish(&core->journal);
}

void journal_drop(Core *core, uint16_t group) { of_group(core, DROP, group, 0); }

void journal_arrived(Core *core, uint16_t group) {
    if (!core->journal.map || core->journal.newer[group] == Py_True) return;
    Py_XSETREF(core->journal.newer[group], Py_NewRef(Py_True));
    of_group(core, ARRIVED, group, 0);
}

void journal_over(Core *core, uint16_t group) {
    if (!core->journal.newer[group]) return;
    Py_CLEAR(core->journal.newer[group]);
    of_group(core, OVER, group, 0);
}

void journal_cleared(Core *core, uint16_t group, uint16_t migration) {
    if (!core->journal.map || core->journal.cleared[group] == migration) return;
    core->journal.cleared[group] = migration;
    of_group(core, CLEARED, group, migration);
}
