/* Queries of IMMIGRATING groups that need nobody else (docs/protocol.md).
 *
 * `here[g]` is the set of the group's keys whose truth is here, or True when all of it is. Invariant:
 * it is the set that Python and RESTORE work with, and a key is added to it by whoever makes it so:
 * RESTORE when it is done, a blind write that was executed, or the word that it does not exist. */
#include "core.h"

/* Lets the core answer for a group: a set, True, or None, which leaves its queries to Python. */
int arriving_set(Core *core, unsigned group, PyObject *here) {
    if (group >= NM_GROUPS) {
        PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
        return -1;
    }
    if (here != Py_None && here != Py_True && !PySet_Check(here)) {
        PyErr_SetString(PyExc_TypeError, "expected a set, True or None");
        return -1;
    }
    Py_XSETREF(core->here[group], here == Py_None ? NULL : Py_NewRef(here));
    if (here == Py_True) journal_arrived(core, (uint16_t)group);
    else if (here == Py_None || core->journal.newer[group] == Py_True)
        journal_over(core, (uint16_t)group);
    return 0;
}

/* The item's keys as a new list. */
PyObject *keys_of_item(const struct item *item) {
    if (item->keys) return Py_NewRef(item->keys);
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    struct request r;
    request_parse(&r, p, item->length - NM_HEADER_LENGTH);
    PyObject *keys = PyList_New(0);
    for (int i = 0; keys && (i = next_key(item->command, &r, i));) {
        PyObject *key = PyBytes_FromStringAndSize((const char *)p + r.arguments[i].offset,
                                                  r.arguments[i].length);
        if (!key || PyList_Append(keys, key) < 0) Py_CLEAR(keys);
        Py_XDECREF(key);
    }
    return keys;
}

/* Whether the item can be executed here and now; marks the keys that it makes newer. A Python error
 * is the same as not knowing. */
enum presence arriving_presence(Core *core, struct item *item) {
    PyObject *here = core->here[item->h.group];
    if (here == Py_True) return HERE;
    if (!here || item->whole) return UNKNOWN;
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    struct request r;
    request_parse(&r, p, item->length - NM_HEADER_LENGTH);
    bool blind = item->h.op == NM_WRITE && is_blind(item->command, p, &r);
    if (blind && !core->restoring[item->h.group]) return item->newer = true, HERE;
    PyObject *keys = keys_of_item(item);
    Py_ssize_t count = keys ? PyList_GET_SIZE(keys) : 0, known = 0;
    for (Py_ssize_t i = 0; i < count && known >= 0; i++) {
        PyObject *key = PyList_GET_ITEM(keys, i);
        int found = PySet_Contains(here, key);
        if (!found && restoring(core, item->h.group, (const uint8_t *)PyBytes_AS_STRING(key),
                                (size_t)PyBytes_GET_SIZE(key)))
            found = -1; /* neither here nor not here: it waits */
        known = found < 0 ? -1 : known + found;
    }
    Py_XDECREF(keys);
    PyErr_Clear();
    if (!count || known < 0) return UNKNOWN;
    if (blind) return item->newer = true, HERE;
    return known == count ? HERE : known ? UNKNOWN : NOT_HERE;
}

/* Tells Python that none of the item's keys is here. After how many microseconds the client shall ask
 * again; 0: Python wants to see the query. */
uint32_t arriving_missed(Core *core, const struct item *item) {
    PyObject *keys = core->missed ? keys_of_item(item) : NULL;
    PyObject *after = keys ? PyObject_CallFunction(core->missed, "IO", item->h.group, keys) : NULL;
    unsigned long found = after ? PyLong_AsUnsignedLong(after) : 0;
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(core->missed);
        found = 0;
    }
    Py_XDECREF(keys);
    Py_XDECREF(after);
    return (uint32_t)found;
}

/* The keys of a blind write that was executed are newer than any copy (invariant 4). A key that
 * cannot be remembered would be overwritten: then it is better to end here. */
void arriving_newer(Core *core, const struct item *item) {
    PyObject *here = core->here[item->h.group];
    if (!here || here == Py_True) return;
    PyObject *keys = keys_of_item(item);
    if (!keys) Py_FatalError("no memory to remember a newer key");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(keys); i++)
        if (PySet_Add(here, PyList_GET_ITEM(keys, i)) < 0)
            Py_FatalError("no memory to remember a newer key");
    Py_DECREF(keys);
}
