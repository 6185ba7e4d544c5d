/* Which keys were written while their group is being copied (docs/protocols.md, pre-copy).
 *
 * Invariant: a write that may have been executed in a tracked group is noted before any other event
 * of this agent, so whoever empties the notes and dumps those keys has seen every write. */
#include "core.h"

/* Notes writes to the groups from `first` to `last` in `written`, a dict; None: no more. */
int written_track(Core *core, unsigned first, unsigned last, PyObject *written) {
    if (last >= NM_GROUPS || first > last) {
        PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
        return -1;
    }
    for (unsigned group = first; group <= last; group++)
        Py_XSETREF(core->written[group], written == Py_None ? NULL : Py_NewRef(written));
    return 0;
}

/* The set of the group's keys in the notes; Py_None: all of them. Borrowed. */
static PyObject *keys_of(PyObject *written, PyObject *group, bool whole) {
    PyObject *keys = PyDict_GetItemWithError(written, group);
    if (keys == Py_None || (keys && !whole) || PyErr_Occurred()) return keys;
    PyObject *fresh = whole ? Py_NewRef(Py_None) : PySet_New(NULL);
    if (!fresh || PyDict_SetItem(written, group, fresh) < 0) keys = NULL;
    else keys = fresh;
    Py_XDECREF(fresh); /* the dict has it */
    return keys;
}

static bool note(Core *core, const struct item *item, PyObject *group) {
    PyObject *keys = keys_of(core->written[item->h.group], group, item->whole);
    if (!keys || keys == Py_None) return keys != NULL;
    PyObject *touched = keys_of_item(item);
    bool ok = touched != NULL;
    for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(touched); i++)
        ok = PySet_Add(keys, PyList_GET_ITEM(touched, i)) == 0;
    Py_XDECREF(touched);
    return ok;
}

/* Notes what an executed write has touched. A write that cannot be noted would be lost when its
 * group is handed over: then it is better to end here. */
void written_note(Core *core, const struct item *item) {
    if (!core->written[item->h.group]) return;
    PyObject *group = PyLong_FromLong(item->h.group);
    if (!group || !note(core, item, group)) Py_FatalError("no memory to note a write");
    Py_DECREF(group);
}
