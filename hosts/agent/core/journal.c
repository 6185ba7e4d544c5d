/* What outlives `kill -9` (docs/consistency.md, "What is durable"): a log in a mapped file, so that
 * to remember costs a copy and no system call.
 *
 * The file: magic(8), which of two halves counts(8), the tail of each (8, all in host order), then
 * the halves. In one, up to its tail, are entries
 *     check(4) length(4) kind(1) body(length)
 * with big-endian numbers. Invariants: what is before a tail is whole, for the tail is stored after
 * it; entries may be taken twice; no entry is added between the INTENT and the RECORDS of a write but
 * those of its batch. When a half is full, what is still true of it is written to the other one,
 * which counts from then on; where that is too small, to a new file, which takes the name. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COUNTS = 8, /* offsets */
    TAILS = 16,
    FILE_HEAD = 32,
    ENTRY_HEAD = 9,
    SPARE = 4,      /* a half is at least this many times as long as what it begins with */
    SMALL = 64,     /* an entry about a group, with its head */
};
static const char MAGIC[8] = "NMjrnl\0\3";

enum kind {
    INTENT = 1, /* client(8) seq(4) acked(4) group(2): this write may be executed from here on */
    RECORDS,    /* group(2), completion records as in PREPARE */
    MARKS,      /* watermarks as in WATERMARKS */
    DROP,       /* group(2): its records are not needed any more */
    NEWER,      /* group(2), key: what the source has of it does not count (invariant 4) */
    ARRIVED,    /* group(2): every key is here */
    OVER,       /* group(2): it is not IMMIGRATING any more */
    CLEARED,    /* group(2) migration(2): copies may be written for that migration; 0: none */
};

static uint64_t mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Tells an entry from what a disk or a stranger made of it. */
static uint32_t check_of(const uint8_t *entry) {
    const uint8_t *p = entry + 4;
    size_t left = ENTRY_HEAD - 4 + (size_t)nm_get32(p);
    uint64_t h = left, word = 0;
    for (; left >= sizeof word; p += sizeof word, left -= sizeof word) {
        memcpy(&word, p, sizeof word);
        h = mix(h, word);
    }
    word = 0;
    memcpy(&word, p, left);
    return (uint32_t)(mix(h, word) >> 32);
}

/* --- appending --------------------------------------------------------------------------------- */

static size_t half_begin(const struct journal *j, size_t half) {
    return FILE_HEAD + half * ((j->size - FILE_HEAD) / 2);
}

static size_t half_end(const struct journal *j, size_t half) { return half_begin(j, half + 1); }

static void finish(uint8_t *entry) { nm_put32(entry, check_of(entry)); }

static uint8_t *begin(uint8_t *entry, enum kind kind, size_t length) {
    nm_put32(entry + 4, (uint32_t)length);
    entry[8] = kind;
    return entry + ENTRY_HEAD;
}

/* Adds an entry of which `head` is the beginning of the body. There must be room. */
static void add(struct journal *j, enum kind kind, const uint8_t *head, size_t head_length,
                const void *rest, size_t length) {
    if (!j->map) return;
    if (j->tail + ENTRY_HEAD + head_length + length > half_end(j, j->half))
        Py_FatalError("more was written to the journal than there was room for");
    uint8_t *entry = j->map + j->tail, *body = begin(entry, kind, head_length + length);
    memcpy(body, head, head_length);
    if (length) memcpy(body + head_length, rest, length);
    finish(entry);
    j->tail += ENTRY_HEAD + head_length + length;
}

/* From here on all that was added survives. */
static void publish(struct journal *j) {
    if (j->map)
        __atomic_store_n((uint64_t *)(j->map + TAILS) + j->half, j->tail, __ATOMIC_RELEASE);
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
    publish(&core->journal);
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
    publish(&core->journal);
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
    publish(&core->journal);
    free(records.data);
}

void journal_marks(Core *core, const uint8_t *marks, size_t length) {
    journal_room(core, length + SMALL);
    add(&core->journal, MARKS, marks, length, NULL, 0);
    publish(&core->journal);
}

static void of_group(Core *core, enum kind kind, uint16_t group, uint16_t migration) {
    uint8_t body[4];
    nm_put16(body, group);
    nm_put16(body + 2, migration);
    journal_room(core, SMALL);
    add(&core->journal, kind, body, kind == CLEARED ? 4 : 2, NULL, 0);
    publish(&core->journal);
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

/* --- replaying --------------------------------------------------------------------------------- */

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

/* Takes every entry; returns where one is damaged, -1: nowhere. */
static Py_ssize_t replay(Core *core, const uint8_t *file, size_t size) {
    struct replay r = {.core = core, .now = now_seconds()};
    struct journal j = {.size = size};
    uint64_t half, tail;
    Py_ssize_t damaged = -1;
    if (size < FILE_HEAD || memcmp(file, MAGIC, sizeof MAGIC)) return 0;
    memcpy(&half, file + COUNTS, sizeof half);
    if (half > 1) return COUNTS;
    memcpy(&tail, file + TAILS + 8 * half, sizeof tail);
    if (tail < half_begin(&j, half) || tail > half_end(&j, half)) return TAILS;
    size_t at = half_begin(&j, half);
    while (damaged < 0 && at < tail) {
        const uint8_t *entry = file + at;
        size_t left = tail - at, length = left < ENTRY_HEAD ? left : nm_get32(entry + 4);
        if (left < ENTRY_HEAD || length > left - ENTRY_HEAD || nm_get32(entry) != check_of(entry) ||
            !take(&r, entry[8], entry + ENTRY_HEAD, length))
            damaged = (Py_ssize_t)at;
        at += ENTRY_HEAD + length;
    }
    if (damaged < 0) unanswered(&r);
    free(r.intents.data);
    return damaged;
}

/* --- what is still true ------------------------------------------------------------------------ */

static bool put(struct buffer *to, enum kind kind, const void *body, size_t length) {
    if (buffer_reserve(to, ENTRY_HEAD + length) < 0) return false;
    uint8_t *entry = to->data + to->length;
    memcpy(begin(entry, kind, length), body, length);
    finish(entry);
    to->length += ENTRY_HEAD + length;
    return true;
}

static bool put_newer(struct buffer *to, struct buffer *body, const uint8_t *group,
                      PyObject *newer) {
    if (!newer) return true;
    if (newer == Py_True) return put(to, ARRIVED, group, 2);
    PyObject *keys = PySequence_List(newer);
    bool ok = keys != NULL;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(keys); i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);
        body->length = 0;
        ok = buffer_add(body, group, 2) == 0 &&
             buffer_add(body, PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key)) == 0 &&
             put(to, NEWER, body->data, body->length);
    }
    Py_XDECREF(keys);
    return ok;
}

static bool still_true(Core *core, struct buffer *to) {
    struct buffer body = {0};
    bool ok = sessions_watermarks(&core->sessions, 0, &body) &&
              (!body.length || put(to, MARKS, body.data, body.length));
    for (unsigned group = 0; ok && group < NM_GROUPS; group++) {
        uint8_t head[4];
        nm_put16(head, (uint16_t)group);
        nm_put16(head + 2, core->journal.cleared[group]);
        if (core->sessions.groups[group]) {
            body.length = 0;
            ok = buffer_add(&body, head, 2) == 0 &&
                 sessions_dump(&core->sessions, (uint16_t)group, false, &body) &&
                 put(to, RECORDS, body.data, body.length);
        }
        ok = ok && put_newer(to, &body, head, core->journal.newer[group]);
        if (core->journal.cleared[group]) ok = ok && put(to, CLEARED, head, 4);
    }
    free(body.data);
    return ok;
}

/* --- files ------------------------------------------------------------------------------------- */

void journal_close(struct journal *j) {
    if (j->map) munmap(j->map, j->size);
    if (j->fd > 0) close(j->fd);
    j->map = NULL, j->fd = 0;
}

/* Writes the beginning of the half in use, and lets it count. */
static void begin_half(struct journal *j, const struct buffer *now) {
    if (now->length) memcpy(j->map + half_begin(j, j->half), now->data, now->length);
    j->tail = half_begin(j, j->half) + now->length;
    publish(j);
    __atomic_store_n((uint64_t *)(j->map + COUNTS), j->half, __ATOMIC_RELEASE);
}

/* Makes a file that begins with `now` and has room for `room` bytes more; false: errno. It has its
 * place on the disk as a whole: a page without one would end the agent. */
static bool new_file(struct journal *j, const struct buffer *now, size_t room) {
    struct journal fresh = {.size = FILE_HEAD + 2 * (SPARE * now->length + room)};
    char draft[sizeof j->path + 4];
    snprintf(draft, sizeof draft, "%s.new", j->path);
    if (fresh.size < j->least) fresh.size = j->least;
    fresh.tail = FILE_HEAD + now->length;
    bool ok = (fresh.fd = open(draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) > 0 &&
              (errno = posix_fallocate(fresh.fd, 0, (off_t)fresh.size)) == 0;
    if (ok) {
        void *map = mmap(NULL, fresh.size, PROT_READ | PROT_WRITE, MAP_SHARED, fresh.fd, 0);
        if ((ok = map != MAP_FAILED)) fresh.map = map;
    }
    if (ok) {
        memcpy(fresh.map, MAGIC, sizeof MAGIC);
        begin_half(&fresh, now);
        ok = rename(draft, j->path) == 0;
    }
    struct journal old = *j;
    int error = errno;
    if (ok) j->fd = fresh.fd, j->map = fresh.map, j->size = fresh.size, j->tail = fresh.tail,
            j->half = 0;
    journal_close(ok ? &old : &fresh);
    if (!ok) unlink(draft); /* what it has of the disk others need */
    errno = error;
    return ok;
}

/* Leaves behind what is not true any more, and has room for `room` bytes then; false: errno. */
static bool renew(Core *core, size_t room) {
    struct journal *j = &core->journal;
    struct buffer now = {0};
    bool ok = still_true(core, &now);
    if (!ok) {
        errno = ENOMEM;
    } else if (!j->map || SPARE * now.length + room > (j->size - FILE_HEAD) / 2) {
        ok = new_file(j, &now, room);
    } else {
        j->half = !j->half;
        begin_half(j, &now);
    }
    free(now.data);
    return ok;
}

/* Makes room for so many bytes; false: errno. */
static bool has_room(Core *core, size_t bytes) {
    struct journal *j = &core->journal;
    return !j->map || j->tail + bytes <= half_end(j, j->half) || renew(core, bytes);
}

/* The same where what happens next must be remembered: without room it is better to end here. */
void journal_room(Core *core, size_t bytes) {
    struct journal *j = &core->journal;
    if (has_room(core, bytes)) return;
    PySys_WriteStderr("the journal %s: %s\n", j->path, strerror(errno));
    Py_FatalError("what must be remembered cannot be written down");
}

/* The same for what a batch adds. The keys of a datagram are within JOURNAL_BATCH. */
bool journal_room_for(Core *core, const struct item *items, size_t count) {
    size_t bytes = JOURNAL_BATCH;
    for (size_t i = 0; core->journal.map && i < count; i++) {
        const struct item *item = &items[i];
        if (!item->run || !by_stream(item) || item->h.op != NM_WRITE) continue;
        PyObject *here = core->here[item->h.group];
        if (!here || here == Py_True) continue;
        PyObject *keys = keys_of_item(item);
        if (!keys) Py_FatalError("no memory to remember a newer key");
        for (Py_ssize_t k = 0; k < PyList_GET_SIZE(keys); k++)
            bytes += SMALL + (size_t)PyBytes_GET_SIZE(PyList_GET_ITEM(keys, k));
        Py_DECREF(keys);
    }
    return has_room(core, bytes);
}

/* What the table contradicts was true of an earlier migration. */
static void forget_what_is_over(Core *core) {
    for (size_t group = 0; group < NM_GROUPS; group++) {
        if (core->states[group] != IMMIGRATING) Py_CLEAR(core->journal.newer[group]);
        if (core->states[group] != ABSENT || core->moving[group] != core->journal.cleared[group])
            core->journal.cleared[group] = 0;
    }
}

/* Takes over what the file at `path` says, and goes on in a new one of at least `least` bytes.
 * Returns 1 if there was one, 0 if not, -1 on a Python error. */
int journal_open(Core *core, const char *path, size_t least) {
    struct journal *j = &core->journal;
    if (j->map || snprintf(j->path, sizeof j->path, "%s", path) >= (int)sizeof j->path) {
        PyErr_SetString(PyExc_ValueError, "a journal is opened once, and its path is not that long");
        return -1;
    }
    j->least = least;
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &about) == 0) {
        size_t size = (size_t)about.st_size;
        Py_ssize_t damaged = 0;
        void *map = size ? mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        if (map != MAP_FAILED) {
            damaged = replay(core, map, size);
            munmap(map, size);
        }
        close(fd);
        if (damaged >= 0) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "%s is damaged at byte %zd", path, damaged);
            return -1;
        }
        forget_what_is_over(core);
    } else if (errno != ENOENT) {
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
        return -1;
    }
    if (renew(core, SMALL)) return fd >= 0;
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    return -1;
}
