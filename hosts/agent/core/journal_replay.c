/* What an earlier process of this agent wrote down. */
#include "journal.h"

#include <stdlib.h>
#include <string.h>

struct replay {
    Core *core;
    struct buffer intents; /* bodies of INTENT */
    uint32_t now;
};

static bool newer(struct journal *j, uint16_t group, const uint8_t *key, size_t length) {
    PyObject **set = &j->newer[group];
    if (*set == Py_True) return true;
    if (!*set && !(*set = PySet_New(NULL))) return false;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)key, (Py_ssize_t)length);
    bool ok = bytes && PySet_Add(*set, bytes) == 0;
    Py_XDECREF(bytes);
    return ok;
}

/* Takes an entry. False: it is none, or there is no memory (then a Python error is set). */
static bool take(struct replay *r, enum kind kind, const uint8_t *body, size_t length) {
    struct sessions *sessions = &r->core->sessions;
    struct journal *j = &r->core->journal;
    if (kind == MARKS) return !sessions_learn(sessions, body, length, r->now);
    if (kind == INTENT) {
        if (length != 18) return false;
        sessions_intend(sessions, nm_get64(body), nm_get32(body + 8), nm_get32(body + 12), r->now);
        return buffer_add(&r->intents, body, length) == 0;
    }
    if (length < 2 || nm_get16(body) >= NM_GROUPS) return false;
    uint16_t group = nm_get16(body);
    body += 2, length -= 2;
    switch (kind) {
    case RECORDS:
        return !sessions_load(sessions, group, body, length, r->now);
    case NEWER:
        return newer(j, group, body, length);
    case CLEARED:
        if (length == 2) j->cleared[group] = nm_get16(body);
        return length == 2;
    case DROP:
        sessions_drop(sessions, group);
        return !length;
    case ARRIVED:
        Py_XSETREF(j->newer[group], Py_NewRef(Py_True));
        return !length;
    case OVER:
        Py_CLEAR(j->newer[group]);
        return !length;
    default:
        return false;
    }
}

/* Writes that may have been executed, but were not answered: they are never executed again. */
static void unanswered(struct replay *r) {
    static const char reply[] = "-ERR netmigrate: the agent ended in the middle of the write; "
                                OUTCOME_UNKNOWN "\r\n";
    for (size_t at = 0; at < r->intents.length; at += 18) {
        const uint8_t *body = r->intents.data + at;
        struct nm_header h = {.client = nm_get64(body), .seq = nm_get32(body + 8),
                              .group = nm_get16(body + 16)};
        sessions_complete(&r->core->sessions, &h, NM_ERROR, (const uint8_t *)reply,
                          sizeof reply - 1);
    }
}

Py_ssize_t journal_replay(Core *core, const uint8_t *file, size_t size) {
    struct replay r = {.core = core, .now = now_seconds()};
    struct journal j = {.size = size};
    uint64_t half, tail;
    Py_ssize_t damaged = -1;
    if (size < FILE_HEAD || memcmp(file, JOURNAL_MAGIC, COUNTS)) return 0;
    memcpy(&half, file + COUNTS, sizeof half);
    if (half > 1) return COUNTS;
    memcpy(&tail, file + TAILS + 8 * half, sizeof tail);
    if (tail < half_begin(&j, half) || tail > half_end(&j, half)) return TAILS;
    size_t at = half_begin(&j, half);
    while (damaged < 0 && at < tail) {
        const uint8_t *entry = file + at;
        size_t left = tail - at, length = left < ENTRY_HEAD ? left : nm_get32(entry + 4);
        if (left < ENTRY_HEAD || length > left - ENTRY_HEAD ||
            nm_get32(entry) != entry_check(entry) || !take(&r, entry[8], entry + ENTRY_HEAD, length))
            damaged = (Py_ssize_t)at;
        at += ENTRY_HEAD + length;
    }
    if (damaged < 0) unanswered(&r);
    free(r.intents.data);
    return damaged;
}
