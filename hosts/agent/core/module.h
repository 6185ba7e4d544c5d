/* Methods of Core that are not in module.c, and what they share. */
#ifndef NETMIGRATE_MODULE_H
#define NETMIGRATE_MODULE_H

#include "core.h"

/* None, or a ValueError that says what is wrong. */
static inline PyObject *accepted(const char *wrong) {
    if (!wrong) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, wrong);
    return NULL;
}

/* remember.c */
PyObject *core_records(Core *core, PyObject *arguments);
PyObject *core_add_records(Core *core, PyObject *arguments);
PyObject *core_recorded(Core *core, PyObject *arguments);
PyObject *core_drop_records(Core *core, PyObject *arguments);
PyObject *core_remember(Core *core, PyObject *arguments);
PyObject *core_cleared(Core *core, PyObject *arguments);
PyObject *core_watermarks(Core *core, PyObject *arguments);
PyObject *core_learn(Core *core, PyObject *arguments);
PyObject *core_forget(Core *core, PyObject *arguments);
PyObject *core_memory(Core *core, PyObject *arguments);

#endif
