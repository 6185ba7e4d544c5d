/* Groups on the move: commands for Python, DUMP into a KEYS frame, a KEYS frame into RESTORE.
 *
 * The body of a KEYS frame is a sequence of
 *     0 group(2)                          the entries that follow are of this group
 *     1 length(4) key expiry(8) length(4) value   a key; expiry in ms since 1970, 0: never
 *     2 length(4) key                     a key that does not exist
 *     3                                   all keys of this group have been sent
 * Values are the store's own DUMP format, so every type moves exactly. */
#include "core.h"

#include <string.h>
#include <time.h>

enum tag { TAG_GROUP, TAG_KEY, TAG_ABSENT, TAG_END };

static PyObject *unreachable(void) {
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ConnectionError, "the connection to the store was lost");
    return NULL;
}

static bool add_command(struct buffer *b, PyObject *words) {
    if (!PyList_Check(words)) {
        PyErr_SetString(PyExc_TypeError, "a command is a list of bytes");
        return false;
    }
    Py_ssize_t count = PyList_GET_SIZE(words);
    bool ok = buffer_head(b, '*', count) == 0;
    for (Py_ssize_t i = 0; ok && i < count; i++) {
        char *data;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GET_ITEM(words, i), &data, &length) < 0) return false;
        ok = buffer_bulk(b, data, (size_t)length) == 0;
    }
    if (!ok) PyErr_NoMemory();
    return ok;
}

/* Runs commands in one round trip; returns their replies, errors as StoreError objects. */
PyObject *transfer_call(Core *core, PyObject *commands) {
    struct buffer b = {0};
    PyObject *replies = NULL;
    Py_ssize_t count = PyList_GET_SIZE(commands);
    bool ok = true;
    for (Py_ssize_t i = 0; ok && i < count; i++)
        ok = add_command(&b, PyList_GET_ITEM(commands, i));
    if (ok && (!store_connect(&core->store) || !store_write(&core->store, b.data, b.length)))
        ok = unreachable() != NULL;
    if (ok) replies = PyList_New(0);
    for (Py_ssize_t i = 0; replies && i < count; i++) {
        PyObject *reply = store_object(&core->store, 0);
        if (!reply || PyList_Append(replies, reply) < 0) {
            store_close(&core->store); /* replies not read belong to nobody */
            unreachable();
            Py_CLEAR(replies);
        }
        Py_XDECREF(reply);
    }
    free(b.data);
    return replies;
}

static void put_number(struct buffer *b, uint64_t value, size_t bytes) {
    for (size_t i = bytes; i--;) b->data[b->length++] = (uint8_t)(value >> 8 * i);
}

/* Appends one key from the replies to DUMP and PEXPIRETIME (or PTTL). A key that expired in
 * between is absent. False: the connection is lost, or the store answered with an error. */
static bool dump_key(Core *core, struct buffer *b, PyObject *key, int64_t now_ms) {
    size_t before = b->length, name = (size_t)PyBytes_GET_SIZE(key);
    uint8_t type;
    const uint8_t *text;
    size_t length;
    char digits[24] = "";
    if (buffer_reserve(b, name + 32) < 0) return false;
    put_number(b, TAG_KEY, 1);
    put_number(b, name, 4);
    buffer_add(b, PyBytes_AS_STRING(key), name);
    size_t expiry_at = b->length;
    if (!store_line(&core->store, &type, &text, &length)) return false;
    if (type != '$') {
        PyErr_Format(StoreError, "DUMP: %.200s", text);
        return false;
    }
    memcpy(digits, text, length < sizeof digits ? length : sizeof digits - 1);
    long long size = atoll(digits);
    if (size >= 0) {
        if (buffer_reserve(b, (size_t)size + 16) < 0) return false;
        b->length += 8;
        put_number(b, (uint64_t)size, 4);
        if (!store_bytes(&core->store, b->data + b->length, (size_t)size) ||
            !store_bytes(&core->store, NULL, 2))
            return false;
        b->length += (size_t)size;
    }
    if (!store_line(&core->store, &type, &text, &length)) return false;
    memset(digits, 0, sizeof digits);
    memcpy(digits, text, length < sizeof digits ? length : sizeof digits - 1);
    long long expiry = atoll(digits);
    if (type != ':') {
        PyErr_Format(StoreError, "PEXPIRETIME: %.200s", text);
        return false;
    }
    if (size < 0 || expiry == -2) {
        b->length = before;
        put_number(b, TAG_ABSENT, 1);
        b->length += 4 + name; /* the key is where it was */
        return true;
    }
    if (expiry >= 0 && !core->absolute_expiry) expiry += now_ms;
    size_t end = b->length;
    b->length = expiry_at;
    put_number(b, expiry < 0 ? 0 : expiry ? (uint64_t)expiry : 1, 8);
    b->length = end;
    return true;
}

/* Takes (group, keys, end) sections, returns the body of a KEYS frame. */
PyObject *transfer_dump(Core *core, PyObject *sections) {
    struct buffer commands = {0}, body = {0};
    PyObject *result = NULL;
    bool ok = true;
    const char *expiry = core->absolute_expiry ? "*2\r\n$11\r\nPEXPIRETIME\r\n"
                                               : "*2\r\n$4\r\nPTTL\r\n";
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(sections); i++) {
        unsigned short group;
        PyObject *keys;
        int end;
        ok = PyArg_ParseTuple(PyList_GET_ITEM(sections, i), "HO!p", &group, &PyList_Type, &keys,
                              &end);
        for (Py_ssize_t k = 0; ok && k < PyList_GET_SIZE(keys); k++) {
            char *key;
            Py_ssize_t length;
            ok = PyBytes_AsStringAndSize(PyList_GET_ITEM(keys, k), &key, &length) == 0 &&
                 buffer_add(&commands, "*2\r\n$4\r\nDUMP\r\n", 14) == 0 &&
                 buffer_bulk(&commands, key, (size_t)length) == 0 &&
                 buffer_add(&commands, expiry, strlen(expiry)) == 0 &&
                 buffer_bulk(&commands, key, (size_t)length) == 0;
        }
    }
    if (ok && commands.length)
        ok = store_connect(&core->store) &&
             store_write(&core->store, commands.data, commands.length);
    free(commands.data);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t now_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(sections); i++) {
        PyObject *section = PyList_GET_ITEM(sections, i), *keys = PyTuple_GET_ITEM(section, 1);
        if (!(ok = buffer_reserve(&body, 4) == 0)) break;
        put_number(&body, TAG_GROUP, 1);
        put_number(&body, PyLong_AsUnsignedLong(PyTuple_GET_ITEM(section, 0)), 2);
        for (Py_ssize_t k = 0; ok && k < PyList_GET_SIZE(keys); k++)
            ok = dump_key(core, &body, PyList_GET_ITEM(keys, k), now_ms);
        if (ok && PyObject_IsTrue(PyTuple_GET_ITEM(section, 2)) &&
            (ok = buffer_reserve(&body, 1) == 0))
            put_number(&body, TAG_END, 1);
    }
    if (ok) {
        result = PyBytes_FromStringAndSize((char *)body.data, (Py_ssize_t)body.length);
    } else {
        store_close(&core->store); /* replies not read belong to nobody */
        unreachable();
    }
    free(body.data);
    return result;
}

/* One entry of a KEYS body. */
struct entry {
    enum tag tag;
    uint16_t group;
    const uint8_t *key, *value;
    uint32_t key_length, value_length;
    uint64_t expiry;
};

static bool sized(const uint8_t **p, const uint8_t *end, const uint8_t **data, uint32_t *length) {
    if (end - *p < 4) return false;
    *length = nm_get32(*p);
    *p += 4;
    if ((size_t)(end - *p) < *length) return false;
    *data = *p;
    *p += *length;
    return true;
}

/* Reads the next entry; untrusted bytes. */
static bool next_entry(const uint8_t **p, const uint8_t *end, struct entry *e) {
    switch (e->tag = *(*p)++) {
    case TAG_GROUP:
        if (end - *p < 2 || (e->group = nm_get16(*p)) >= NM_GROUPS) return false;
        *p += 2;
        return true;
    case TAG_KEY:
        if (!sized(p, end, &e->key, &e->key_length) || end - *p < 8) return false;
        e->expiry = nm_get64(*p);
        *p += 8;
        return e->expiry <= INT64_MAX && sized(p, end, &e->value, &e->value_length);
    case TAG_ABSENT:
        return sized(p, end, &e->key, &e->key_length);
    case TAG_END:
        return true;
    }
    return false;
}

static int add_restore(struct buffer *b, const struct entry *e) {
    char ttl[24];
    int n = snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)e->expiry);
    return buffer_add(b, "*6\r\n$7\r\nRESTORE\r\n", 17) < 0 ||
                   buffer_bulk(b, e->key, e->key_length) < 0 ||
                   buffer_bulk(b, ttl, (size_t)n) < 0 ||
                   buffer_bulk(b, e->value, e->value_length) < 0 ||
                   buffer_add(b, "$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n", 25) < 0
               ? -1
               : 0;
}

static int add_unlink(struct buffer *b, const struct entry *e) {
    return buffer_add(b, "*2\r\n$6\r\nUNLINK\r\n", 16) < 0 ||
                   buffer_bulk(b, e->key, e->key_length) < 0
               ? -1
               : 0;
}

/* Applies a KEYS body. `here` maps each group that may be written to the set of keys whose truth
 * is here already; those are not touched (invariant 4), the others join it. None instead of a set:
 * nothing of the group is the truth here, the body replaces what there is. True: all of it is.
 * Returns (applied, dropped, groups ended, error or None). */
PyObject *transfer_restore(Core *core, Py_buffer *body, PyObject *here) {
    const uint8_t *p = body->buf, *end = p + body->len;
    struct buffer commands = {0};
    struct entry e = {.group = NM_GROUPS};
    PyObject *set = NULL; /* borrowed from `here` */
    PyObject *restored = PyList_New(0), *ended = PyList_New(0), *error = Py_NewRef(Py_None);
    unsigned long applied = 0, dropped = 0;
    bool ok = restored && ended;
    while (ok && p < end) {
        if (!next_entry(&p, end, &e) || (e.tag != TAG_GROUP && e.group == NM_GROUPS)) {
            PyErr_SetString(PyExc_ValueError, "a KEYS frame is malformed");
            ok = false;
            break;
        }
        PyObject *group = PyLong_FromLong(e.group);
        if (!(ok = group != NULL)) break;
        if (e.tag == TAG_GROUP) {
            set = PyDict_GetItemWithError(here, group);
            ok = !PyErr_Occurred();
            if (set == Py_True) set = NULL;
            if (set && set != Py_None && !PySet_Check(set)) {
                PyErr_SetString(PyExc_TypeError, "expected a set, True or None");
                ok = false;
            }
        } else if (e.tag == TAG_END) {
            ok = PyList_Append(ended, group) == 0;
        } else {
            PyObject *key = PyBytes_FromStringAndSize((const char *)e.key, e.key_length);
            bool replace = set == Py_None;
            int known = !key ? -1 : !set ? 1 : replace ? 0 : PySet_Contains(set, key);
            ok = known >= 0;
            if (known == 1) {
                dropped++;
            } else if (ok && e.tag == TAG_ABSENT && !replace) {
                ok = PySet_Add(set, key) == 0;
            } else if (ok) {
                PyObject *pair = PyTuple_Pack(2, set, key);
                ok = pair && PyList_Append(restored, pair) == 0 &&
                     (e.tag == TAG_KEY ? add_restore : add_unlink)(&commands, &e) == 0;
                Py_XDECREF(pair);
            }
            Py_XDECREF(key);
        }
        Py_DECREF(group);
    }
    if (ok && commands.length) {
        bool alive = store_connect(&core->store) &&
                     store_write(&core->store, commands.data, commands.length);
        for (Py_ssize_t i = 0; ok && alive && i < PyList_GET_SIZE(restored); i++) {
            uint8_t type;
            const uint8_t *text;
            size_t length;
            if (!(alive = store_line(&core->store, &type, &text, &length))) break;
            PyObject *pair = PyList_GET_ITEM(restored, i);
            if (type != '-') {
                applied++;
                ok = PyTuple_GET_ITEM(pair, 0) == Py_None ||
                     PySet_Add(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) == 0;
            } else if (error == Py_None) {
                Py_SETREF(error, PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)length,
                                                      "replace"));
                ok = error != NULL;
            }
        }
        if (!alive)
            Py_SETREF(error, PyUnicode_FromString("the connection to the store was lost"));
        if (!ok) store_close(&core->store);
    }
    free(commands.data);
    Py_XDECREF(restored);
    if (ok && error) return Py_BuildValue("(kkNN)", applied, dropped, ended, error);
    if (!PyErr_Occurred()) PyErr_NoMemory();
    Py_XDECREF(ended);
    Py_XDECREF(error);
    return NULL;
}
