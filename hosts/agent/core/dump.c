/* Keys from the store into the body of a KEYS frame, without a Python object each.
 *
 * Strings come as they are, with GETRANGE, which is bounded however long they are; all else, and the
 * empty string, comes by DUMP, once MEMORY USAGE has said that it is small. What is not is big: it is
 * named beside the body, and its group is not ended. Where the destination's store reads no DUMP of
 * ours (`piecewise`), all is big that does not come by GETRANGE. A reply may lead to more commands: a
 * key is done when there is nothing left to ask of it. */
#include "pipeline.h"

#include <stdlib.h>
#include <time.h>

enum {
    STRING_MOST = 1 << 16, /* bytes of one that GETRANGE gives whole */
    BIG = 1 << 18,         /* bytes of memory; what takes less blocks the store for no millisecond */
};
#define STRING_LAST "$5\r\n65535\r\n" /* the last byte that GETRANGE returns */

enum what { EXPIRIES, STRING, MEMORY, DUMP, EXPIRY }; /* a command */
enum found { NOTHING_YET, NO_STRING, SMALL, VALUE, DUMPED, MISSING, TOO_BIG };

struct dumped {
    const uint8_t *key; /* in its section's bytes */
    uint32_t length, size;
    size_t at;          /* where its value is in `values` */
    int64_t expiry;
    uint8_t found;
    bool dated; /* its expiry is known or has been asked for */
};
struct asked { uint32_t key; uint8_t what; };

struct dump {
    struct job job;
    PyObject *sections;
    bool expiring;         /* ask for expiries */
    bool piecewise;
    struct dumped *keys;
    size_t count;
    struct asked *asked;   /* in the order of the commands */
    size_t asked_count, asked_room, next;
    struct buffer values;
};

static const char *const HEADS[] = {
    [EXPIRIES] = "*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n",
    [STRING] = "*4\r\n$8\r\nGETRANGE\r\n",
    [MEMORY] = "*3\r\n$6\r\nMEMORY\r\n$5\r\nUSAGE\r\n",
    [DUMP] = "*2\r\n$4\r\nDUMP\r\n",
    [EXPIRY] = "*2\r\n$11\r\nPEXPIRETIME\r\n",
};

static bool ask(Pipeline *p, struct dump *d, enum what what, size_t key) {
    if (d->asked_count == d->asked_room) {
        size_t room = d->asked_room ? 2 * d->asked_room : d->count + 1;
        struct asked *asked = realloc(d->asked, room * sizeof *asked);
        if (!asked) return PyErr_NoMemory() != NULL;
        d->asked = asked, d->asked_room = room;
    }
    d->asked[d->asked_count++] = (struct asked){(uint32_t)key, (uint8_t)what};
    const char *command = what == EXPIRY && !p->core->absolute_expiry ? "*2\r\n$4\r\nPTTL\r\n"
                                                                      : HEADS[what];
    bool ok = buffer_add(&p->out, command, strlen(command)) == 0;
    if (what != EXPIRIES)
        ok = ok && buffer_bulk(&p->out, d->keys[key].key, d->keys[key].length) == 0;
    if (what == STRING)
        ok = ok && buffer_add(&p->out, "$1\r\n0\r\n" STRING_LAST, 7 + sizeof STRING_LAST - 1) == 0;
    if (!ok) PyErr_NoMemory();
    return ok;
}

/* Asks what is to be asked now of each key. False: a Python error. */
static bool ask_on(Pipeline *p, struct dump *d) {
    bool ok = true;
    for (size_t i = 0; ok && i < d->count; i++) {
        struct dumped *k = &d->keys[i];
        if (k->found == NO_STRING) ok = ask(p, d, MEMORY, i);
        else if (k->found == SMALL) ok = ask(p, d, DUMP, i);
        if (ok && d->expiring && !k->dated && k->found != MISSING && k->found != TOO_BIG)
            k->dated = true, ok = ask(p, d, EXPIRY, i);
    }
    return ok;
}

/* Whether some key of the database has an expiry, by INFO keyspace. Not knowing is yes. */
static bool some_expire(const struct reply *r) {
    static const char before[] = "expires=";
    if (r->type != '$' || r->nil) return true;
    const uint8_t *at = memmem(r->data, r->length, before, sizeof before - 1);
    if (!at) return memmem(r->data, r->length, "db0:", 4) != NULL; /* there is no key at all */
    at += sizeof before - 1;
    return at == r->data + r->length || *at != '0';
}

static bool keep(struct dump *d, struct dumped *k, const struct reply *r, enum found found) {
    k->found = (uint8_t)found, k->at = d->values.length, k->size = (uint32_t)r->length;
    return buffer_add(&d->values, r->data, r->length) == 0 || PyErr_NoMemory();
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool take_expiry(Pipeline *p, struct job *job, struct dumped *k, const struct reply *r) {
    if (r->type != ':') job_fails(job, "PEXPIRETIME: ", r->data, r->length);
    else if (r->number == -2) k->found = MISSING; /* it has expired in between */
    else if (r->number >= 0)
        k->expiry = r->number + (p->core->absolute_expiry ? 0 : now_ms());
    if (r->type == ':' && r->number >= 0 && !k->expiry) k->expiry = 1;
    return true;
}

static bool take(Pipeline *p, struct dump *d, enum what what, struct dumped *k,
                 const struct reply *r) {
    if (what == EXPIRIES) {
        d->expiring = p->expiring = some_expire(r);
    } else if (what == EXPIRY) {
        return take_expiry(p, &d->job, k, r);
    } else if (k->found == MISSING) { /* it has expired in between */
    } else if (what == STRING && r->type == '$' && r->length == STRING_MOST) {
        k->found = NO_STRING;
    } else if (what == STRING && r->type == '$' && r->length) {
        return keep(d, k, r, VALUE);
    } else if (what == STRING && (r->type == '$' || (r->length > 9 && !memcmp(r->data, "WRONGTYPE", 9)))) {
        k->found = NO_STRING;
    } else if (what != STRING && r->nil) {
        k->found = MISSING;
    } else if (what == MEMORY && r->type == ':') {
        k->found = d->piecewise || r->number > BIG ? TOO_BIG : SMALL;
    } else if (what == DUMP && r->type == '$') {
        return keep(d, k, r, DUMPED);
    } else {
        job_fails(&d->job, what == DUMP ? "DUMP: " : what == MEMORY ? "MEMORY USAGE: " : "GETRANGE: ",
                  r->data, r->length);
    }
    return true;
}

static bool dump_reply(Pipeline *p, struct job *job, const uint8_t *data) {
    struct dump *d = (struct dump *)job;
    struct asked a = d->asked[d->next++];
    struct reply r = reply_next(&data);
    if (!take(p, d, a.what, a.what == EXPIRIES ? NULL : &d->keys[a.key], &r)) return false;
    if (d->next < d->asked_count || job->error[0]) return true;
    return ask_on(p, d) && pipeline_more(p, job, d->asked_count - d->next);
}

/* --- the body ----------------------------------------------------------------------------------- */

static struct entry entry_of(const struct dump *d, const struct dumped *k) {
    return (struct entry){
        .tag = k->found == VALUE ? TAG_STRING : k->found == DUMPED ? TAG_KEY : TAG_ABSENT,
        .key = k->key, .key_length = k->length,
        .value = d->values.data + k->at, .value_length = k->size,
        .expiry = (uint64_t)k->expiry,
    };
}

static bool add_big(PyObject *big, unsigned group, const struct dumped *k) {
    PyObject *pair = Py_BuildValue("(Iy#)", group, k->key, (Py_ssize_t)k->length);
    bool ok = pair && PyList_Append(big, pair) == 0;
    Py_XDECREF(pair);
    return ok;
}

static bool add_part(PyObject *parts, size_t size, size_t keys) {
    PyObject *part = Py_BuildValue("(nn)", (Py_ssize_t)size, (Py_ssize_t)keys);
    bool ok = part && PyList_Append(parts, part) == 0;
    Py_XDECREF(part);
    return ok;
}

/* Writes the body to `to`, or only says how long it is (NULL). Then big keys go to `big`, and the
 * size and number of keys of each section to `parts`. Returns its length, 0 if there is a Python
 * error (an empty one has none). */
static size_t write_body(const struct dump *d, uint8_t *to, PyObject *big, PyObject *parts) {
    const struct dumped *k = d->keys;
    size_t length = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(d->sections); i++) {
        PyObject *section = PyList_GET_ITEM(d->sections, i);
        Py_ssize_t left = PyBytes_GET_SIZE(PyTuple_GET_ITEM(section, 1));
        bool first = PyTuple_GET_ITEM(section, 2) == Py_True;
        bool last = PyTuple_GET_ITEM(section, 3) == Py_True;
        struct entry e = {.tag = first ? TAG_GROUP : TAG_MORE,
                          .group = (uint16_t)PyLong_AsLong(PyTuple_GET_ITEM(section, 0))};
        size_t before = length, keys = 0;
        length += body_size(&e);
        if (to) to = body_put(to, &e);
        for (; left; left -= 4 + (Py_ssize_t)k++->length) {
            if (k->found == TOO_BIG) {
                last = false;
                if (!to && !add_big(big, e.group, k)) return 0;
                continue;
            }
            struct entry entry = entry_of(d, k);
            length += body_size(&entry), keys++;
            if (to) to = body_put(to, &entry);
        }
        struct entry ending = {.tag = TAG_END};
        if (last) length += body_size(&ending);
        if (last && to) to = body_put(to, &ending);
        if (!to && !add_part(parts, length - before, keys)) return 0;
    }
    return length;
}

/* (body, [(group, key) of each big one], [(size, keys) of each section]). */
static PyObject *dump_result(Pipeline *p, struct job *job) {
    struct dump *d = (struct dump *)job;
    size_t strings = 0, others = 0;
    for (size_t i = 0; i < d->count; i++) {
        bool dumped = d->keys[i].found == DUMPED; /* the first byte is the type, 0: a string */
        bool string = d->keys[i].found == VALUE || (dumped && d->values.data[d->keys[i].at] == 0);
        strings += string, others += dumped && !string;
    }
    if (strings + others) p->strings = strings >= others;
    PyObject *big = PyList_New(0), *parts = PyList_New(0);
    size_t length = big && parts ? write_body(d, NULL, big, parts) : 0;
    PyObject *body = PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
    if (body) {
        write_body(d, (uint8_t *)PyBytes_AS_STRING(body), NULL, NULL);
        return Py_BuildValue("(NNN)", body, big, parts);
    }
    Py_XDECREF(big);
    Py_XDECREF(parts);
    return NULL;
}

static void dump_drop(Pipeline *Py_UNUSED(p), struct job *job) {
    struct dump *d = (struct dump *)job;
    Py_XDECREF(d->sections);
    free(d->keys);
    free(d->asked);
    free(d->values.data);
    PyMem_Free(d);
}

static const struct job_kind DUMP_KIND = {dump_reply, dump_result, dump_drop};

/* --- the beginning ------------------------------------------------------------------------------ */

/* Counts the keys of a section, and notes them in `to` if that is not NULL. -1: a Python error. */
static Py_ssize_t keys_of(PyObject *section, struct dumped *to) {
    unsigned short group;
    PyObject *keys, *first, *last;
    if (!PyTuple_Check(section) || !PyArg_ParseTuple(section, "HSO!O!", &group, &keys, &PyBool_Type,
                                                     &first, &PyBool_Type, &last)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a section is a tuple");
        return -1;
    }
    const uint8_t *at = (const uint8_t *)PyBytes_AS_STRING(keys), *end = at + PyBytes_GET_SIZE(keys);
    Py_ssize_t count = 0;
    for (; at < end; count++) {
        uint32_t length = end - at < 4 ? UINT32_MAX : nm_get32(at);
        if ((size_t)(end - at) < 4 + (size_t)length) {
            PyErr_SetString(PyExc_ValueError, "a list of keys is cut short");
            return -1;
        }
        if (to) *to++ = (struct dumped){.key = at + 4, .length = length};
        at += 4 + length;
    }
    return count;
}

static bool find_keys(struct dump *d) {
    Py_ssize_t sections = PyList_GET_SIZE(d->sections);
    for (Py_ssize_t i = 0; i < sections; i++) {
        Py_ssize_t count = keys_of(PyList_GET_ITEM(d->sections, i), NULL);
        if (count < 0) return false;
        d->count += (size_t)count;
    }
    if (!(d->keys = malloc((d->count + 1) * sizeof *d->keys))) return PyErr_NoMemory() != NULL;
    struct dumped *to = d->keys;
    for (Py_ssize_t i = 0; i < sections; i++) to += keys_of(PyList_GET_ITEM(d->sections, i), to);
    return true;
}

/* Begins to dump (group, keys, whether they are its first, its last) sections. A store in which
 * nothing expired of late is asked at first whether that is still so. */
bool dump_begin(Pipeline *p, PyObject *sections, bool piecewise) {
    struct dump *d = PyMem_Calloc(1, sizeof *d);
    if (!d) return PyErr_NoMemory() != NULL;
    d->job.kind = &DUMP_KIND;
    d->sections = PyList_GetSlice(sections, 0, PyList_GET_SIZE(sections)); /* nobody else's */
    d->expiring = p->expiring;
    d->piecewise = piecewise;
    bool ok = d->sections && find_keys(d) && (!d->count || ask(p, d, EXPIRIES, 0));
    for (size_t i = 0; ok && i < d->count; i++) {
        struct dumped *k = &d->keys[i];
        if (!p->strings && !piecewise) k->found = NO_STRING;
        else ok = ask(p, d, STRING, i);
    }
    if (ok && ask_on(p, d) && pipeline_begin(p, &d->job, d->asked_count)) return true;
    dump_drop(p, &d->job);
    return false;
}
