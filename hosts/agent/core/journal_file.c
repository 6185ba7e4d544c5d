/* The journal's file: a half that is full gives way to what is still true of it. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what is still true ------------------------------------------------------------------------ */

static bool put(struct buffer *to, enum kind kind, const void *body, size_t length) {
    if (buffer_reserve(to, ENTRY_HEAD + length) < 0) return false;
    uint8_t *entry = to->data + to->length;
    memcpy(entry_begin(entry, kind, length), body, length);
    entry_finish(entry);
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
    journal_publish(j);
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
        memcpy(fresh.map, JOURNAL_MAGIC, COUNTS);
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
            damaged = journal_replay(core, map, size);
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
