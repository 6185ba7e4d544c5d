/* What the files of hosts.load._driver share. */
#ifndef NETMIGRATE_LOAD_MODULE_H
#define NETMIGRATE_LOAD_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "transport.h"

typedef struct {
    PyObject_HEAD
    struct transport *transport; /* NULL: a driver has it */
} Transport;

extern PyTypeObject transport_type;

PyObject *module_service(PyObject *module, PyObject *args);
PyObject *module_cluster(PyObject *module, PyObject *args);

#endif
