/* The Python face of what is remembered: completion records, watermarks, and the journal. */
#include "module.h"

#include <stdlib.h>

static bool group_in(PyObject *arguments, const char *format, unsigned short *group,
                     Py_buffer *data) {
    if (!PyArg_ParseTuple(arguments, format, group, data)) return false;
    if (*group < NM_GROUPS) return true;
    PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
    if (data) PyBuffer_Release(data);
    return false;
}

static PyObject *taken(struct buffer *b, bool ok) {
    PyObject *bytes = ok ? PyBytes_FromStringAndSize((char *)b->data, (Py_ssize_t)b->length)
                         : PyErr_NoMemory();
    free(b->data);
    return bytes;
}

PyObject *core_records(Core *core, PyObject *arguments) {
    unsigned short group;
    struct buffer b = {0};
    if (!group_in(arguments, "H", &group, NULL)) return NULL;
    return taken(&b, sessions_dump(&core->sessions, group, true, &b));
}

PyObject *core_add_records(Core *core, PyObject *arguments) {
    unsigned short group;
    Py_buffer data;
    if (!group_in(arguments, "Hy*", &group, &data)) return NULL;
    const char *wrong =
        sessions_load(&core->sessions, group, data.buf, (size_t)data.len, now_seconds());
    if (!wrong) journal_records(core, group);
    PyBuffer_Release(&data);
    return accepted(wrong);
}

/* The group that is item `i` of a list; false: it is none, and a Python error is set. */
static bool group_at(PyObject *groups, Py_ssize_t i, uint16_t *group) {
    unsigned long number = PyLong_AsUnsignedLong(PyList_GET_ITEM(groups, i));
    if (number < NM_GROUPS) {
        *group = (uint16_t)number;
        return true;
    }
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
    return false;
}

/* Those of some groups that have records. */
PyObject *core_recorded(Core *core, PyObject *groups) {
    uint16_t group;
    if (!PyList_Check(groups)) return PyErr_Format(PyExc_TypeError, "expected a list");
    PyObject *found = PyList_New(0);
    for (Py_ssize_t i = 0; found && i < PyList_GET_SIZE(groups); i++)
        if (!group_at(groups, i, &group) ||
            (core->sessions.groups[group] && PyList_Append(found, PyList_GET_ITEM(groups, i)) < 0))
            Py_CLEAR(found);
    return found;
}

PyObject *core_drop_records(Core *core, PyObject *groups) {
    uint16_t group;
    if (!PyList_Check(groups)) return PyErr_Format(PyExc_TypeError, "expected a list");
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(groups); i++) {
        if (!group_at(groups, i, &group)) return NULL;
        sessions_drop(&core->sessions, group);
        journal_drop(core, group);
    }
    Py_RETURN_NONE;
}

/* Of each group that was IMMIGRATING when an earlier process ended: the keys that are newer here. */
static PyObject *newer_of(Core *core) {
    PyObject *found = PyDict_New();
    for (unsigned group = 0; found && group < NM_GROUPS; group++) {
        if (core->states[group] != IMMIGRATING) continue;
        PyObject *newer = core->journal.newer[group], *number = PyLong_FromLong((long)group);
        PyObject *keys = newer == Py_True ? Py_NewRef(newer) : PySet_New(newer); /* a copy: what arrives is not newer */
        if (!number || !keys || PyDict_SetItem(found, number, keys) < 0) Py_CLEAR(found);
        Py_XDECREF(number);
        Py_XDECREF(keys);
    }
    return found;
}

/* For which migration copies may be written, by group. */
static PyObject *cleared_of(Core *core) {
    PyObject *found = PyDict_New();
    for (unsigned group = 0; found && group < NM_GROUPS; group++) {
        if (!core->journal.cleared[group]) continue;
        PyObject *number = PyLong_FromLong((long)group);
        PyObject *migration = PyLong_FromLong(core->journal.cleared[group]);
        if (!number || !migration || PyDict_SetItem(found, number, migration) < 0) Py_CLEAR(found);
        Py_XDECREF(number);
        Py_XDECREF(migration);
    }
    return found;
}

PyObject *core_remember(Core *core, PyObject *arguments) {
    const char *path;
    Py_ssize_t least;
    if (!PyArg_ParseTuple(arguments, "sn", &path, &least)) return NULL;
    int found = least < 0 ? 0 : journal_open(core, path, (size_t)least);
    if (found < 0) return NULL;
    if (!found) Py_RETURN_NONE;
    PyObject *newer = newer_of(core), *cleared = newer ? cleared_of(core) : NULL;
    if (cleared) return Py_BuildValue("(NN)", newer, cleared);
    Py_XDECREF(newer);
    return NULL;
}

PyObject *core_cleared(Core *core, PyObject *arguments) {
    PyObject *groups;
    unsigned short migration;
    uint16_t group;
    if (!PyArg_ParseTuple(arguments, "O!H", &PyList_Type, &groups, &migration)) return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(groups); i++) {
        if (!group_at(groups, i, &group)) return NULL;
        journal_cleared(core, group, migration);
    }
    Py_RETURN_NONE;
}

PyObject *core_watermarks(Core *core, PyObject *arguments) {
    unsigned long long since;
    struct buffer b = {0};
    if (!PyArg_ParseTuple(arguments, "K", &since)) return NULL;
    PyObject *marks = taken(&b, sessions_watermarks(&core->sessions, since, &b));
    return marks ? Py_BuildValue("(KN)", core->sessions.clock, marks) : NULL;
}

PyObject *core_learn(Core *core, PyObject *arguments) {
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data)) return NULL;
    const char *wrong =
        sessions_learn(&core->sessions, data.buf, (size_t)data.len, now_seconds());
    if (!wrong) journal_marks(core, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return accepted(wrong);
}

PyObject *core_forget(Core *core, PyObject *arguments) {
    unsigned int idle;
    if (!PyArg_ParseTuple(arguments, "I", &idle)) return NULL;
    uint32_t now = now_seconds();
    return PyLong_FromSize_t(now > idle ? sessions_forget(&core->sessions, now - idle) : 0);
}

PyObject *core_memory(Core *core, PyObject *Py_UNUSED(none)) {
    return Py_BuildValue("(nn)", core->sessions.count, core->sessions.bytes);
}
