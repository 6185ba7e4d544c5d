/* What becomes of a good query, by the state of its group (docs/protocol.md, the life of a group). */
#include "core.h"

#include <stdlib.h>
#include <string.h>

static void repeat(Core *core, struct item *item, const struct record *record) {
    core->counters[C_DUPLICATES]++;
    if (record->length > REPLY_ROOM && !by_stream(item)) {
        answer_long(core, item, record->flags, record->length);
        return;
    }
    if (record->length > REPLY_ROOM) {
        if ((Py_ssize_t)record->length <= core->stream_room)
            item->grown = malloc(NM_HEADER_LENGTH + (size_t)record->length);
        if (!item->grown) return; /* lost: the client resends */
        core->stream_room -= (Py_ssize_t)record->length;
    }
    memcpy(reply_of(core, item), record->reply, record->length);
    answer(item, record->flags, record->length);
}

bool admit(Core *core, struct item *item, uint32_t now) {
    struct record *record = NULL;
    switch (sessions_admit(&core->sessions, &item->h, now, &record)) {
    case ADMIT:
        return true;
    case REPEATED:
        repeat(core, item, record);
        return false;
    case FULL:
        refuse(core, item, C_REFUSED_SESSIONS,
               "too many unfinished writes or sessions are remembered here; the write was not "
               "executed (a client says what it has finished in the header field acked)");
        return false;
    case LATE:
        core->counters[C_LATE]++;
        return false;
    case RUNNING:
        core->counters[C_DUPLICATES]++;
        return false;
    }
    return false;
}

void retry(Core *core, struct item *item, uint32_t after) {
    nm_put32(reply_of(core, item), after);
    answer(item, NM_RETRY, 4);
    core->counters[C_RETRIES]++;
}

/* Counts a query of an OWNED group. What is long ago counts less and less: all counts are halved
 * whenever they come to this many together. */
static void count_asked(Core *core, uint16_t group) {
    enum { MOST = 1 << 20 };
    core->asked[group]++;
    if (++core->asked_in_all < MOST) return;
    core->asked_in_all = 0;
    for (int i = 0; i < NM_GROUPS; i++) core->asked_in_all += core->asked[i] /= 2;
}

int judge(Core *core, struct item *item, uint32_t now, PyObject *slow) {
    uint16_t group = item->h.group;
    uint32_t after;
    /* A double read is one only in the migration that it was doubled for: a late copy from an
     * earlier one would find this agent in another role, and two such answers prove nothing. It is
     * answered like any other read, by the owner. */
    bool write = item->h.op == NM_WRITE;
    item->whole = item->command->traits & T_WHOLE;
    bool twice = !write && item->h.flags & NM_DOUBLE && item->h.migration == core->moving[group];
    core->counters[write ? C_WRITES : C_READS]++;
    if (write) { /* a reply once given stays true, whoever owns the group now */
        if (!admit(core, item, now)) return 0;
    } else {
        sessions_acked(&core->sessions, item->h.client, item->h.acked, now);
    }
    switch ((enum group_state)core->states[group]) {
    case OWNED:
        count_asked(core, group);
        item->run = true, item->reply_flags = NM_AUTHORITATIVE;
        return 0;
    case EMIGRATING:
        if (!twice) break;
        core->counters[C_DOUBLE_READS]++;
        item->run = true, item->reply_flags = NM_FROM_SOURCE;
        return 0;
    case ABSENT:
        if (!core->owners[group]) {
            if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
            refuse(core, item, C_REFUSED_UNASSIGNED,
                   "group %u is not served here and its owner is not known", group);
            return 0;
        }
        if (!twice) break;
        core->counters[core->former[group] ? C_GONE : C_NOT_HERE_YET]++;
        answer(item, core->former[group] ? NM_GONE : 0, 0);
        return 0;
    case IMMIGRATING:
        core->counters[C_IMMIGRATING]++;
        switch (arriving_presence(core, item)) {
        case HERE:
            item->run = true, item->reply_flags = NM_AUTHORITATIVE;
            return 0;
        case NOT_HERE: /* the source's copy is the truth, all of it */
            /* A client can ask the source itself, unless it says that it did so in vain. What we say
             * is about this migration, whatever the read was stamped with. */
            if (!twice && !write && core->moving_told[group] && !(item->h.flags & NM_RETRY)) {
                core->counters[C_SENT_TO_SOURCE]++;
                item->h.migration = core->moving[group];
                item->tell = true;
            } else if (!twice && (after = arriving_missed(core, item))) {
                if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
                retry(core, item, after);
                return 0;
            } else if (!twice) {
                break;
            }
            core->counters[C_NOT_HERE_YET]++;
            answer(item, 0, 0);
            return 0;
        case UNKNOWN:
            break;
        }
        break;
    }
    if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
    core->counters[C_SLOW]++;
    PyObject *query = (PyObject *)query_of(item);
    if (!query) return -1;
    int result = PyList_Append(slow, query);
    Py_DECREF(query);
    return result;
}
