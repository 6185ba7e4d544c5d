/* Transports as Python objects: each is opened here and handed to one driver. */
#include "module.h"

#include <errno.h>

#include "cluster.h"

static void transport_dealloc(Transport *self) {
    if (self->transport) self->transport->kind->close(self->transport);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject transport_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.load._driver.Transport",
    .tp_basicsize = sizeof(Transport),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)transport_dealloc,
};

static PyObject *new_transport(struct transport *opened, const char *wrong) {
    if (!opened) return PyErr_Format(PyExc_OSError, "%s: %s", wrong, strerror(errno));
    Transport *self = PyObject_New(Transport, &transport_type);
    if (self) self->transport = opened;
    else opened->kind->close(opened);
    return (PyObject *)self;
}

/* Seconds as nanoseconds; 0 with an exception. */
static int64_t time_of(const char *name, double seconds) {
    if (seconds > 0 && seconds < 1e6) return (int64_t)(seconds * 1e9);
    PyErr_Format(PyExc_ValueError, "%s: seconds above 0", name);
    return 0;
}

PyObject *module_service(PyObject *module, PyObject *args) {
    (void)module;
    unsigned int address;
    unsigned short port, service;
    double timeout, resend_after;
    if (!PyArg_ParseTuple(args, "IHHdd", &address, &port, &service, &timeout, &resend_after))
        return NULL;
    int64_t patience = time_of("timeout", timeout);
    int64_t resend = patience ? time_of("resend_after", resend_after) : 0;
    if (!resend) return NULL;
    const char *wrong;
    struct transport *opened = service_open(address, port, service, patience, resend, &wrong);
    return new_transport(opened, wrong);
}

PyObject *module_cluster(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *list;
    Py_buffer owners;
    unsigned int connections;
    double timeout;
    if (!PyArg_ParseTuple(args, "O!y*Id", &PyList_Type, &list, &owners, &connections, &timeout))
        return NULL;
    struct place nodes[CLUSTER_NODES];
    Py_ssize_t count = PyList_GET_SIZE(list);
    PyObject *made = NULL;
    const char *wrong = NULL;
    int64_t patience = time_of("timeout", timeout);
    if (!patience) goto end;
    if (count < 1 || count > CLUSTER_NODES) wrong = "nodes: 1 to 256";
    else if (owners.len != NM_GROUPS * sizeof(uint16_t)) wrong = "owners: one uint16 for each group";
    else if (connections < 1 || connections > CLUSTER_CONNECTIONS) wrong = "connections: 1 to 1024";
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        goto end;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "IH", &nodes[i].address, &nodes[i].port))
            goto end;
    made = new_transport(cluster_open(nodes, (size_t)count, owners.buf, connections, patience,
                                      &wrong), wrong);
end:
    PyBuffer_Release(&owners);
    return made;
}
