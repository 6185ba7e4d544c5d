/* The Python face of the core: hosts.agent._core (types in hosts/agent/_core.pyi). */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "module.h"
#include "pipeline.h"

#include <structmember.h>

static void core_dealloc(Core *core) {
    store_close(&core->store);
    journal_close(&core->journal);
    if (core->sessions.table) sessions_free(&core->sessions);
    for (size_t i = 0; core->commands && i < COMMANDS; i++) free(core->commands[i].refusal);
    free(core->commands);
    free(core->store.in);
    free(core->items);
    free(core->received);
    free(core->replies);
    for (size_t group = 0; group < NM_GROUPS; group++) {
        Py_CLEAR(core->written[group]);
        Py_CLEAR(core->here[group]);
        Py_CLEAR(core->journal.newer[group]);
        Py_CLEAR(core->moving_told[group]);
    }
    Py_CLEAR(core->answered);
    Py_CLEAR(core->missed);
    PyBuffer_Release(&core->states_view);
    PyBuffer_Release(&core->owners_view);
    PyBuffer_Release(&core->former_view);
    PyBuffer_Release(&core->moving_view);
    Py_TYPE(core)->tp_free((PyObject *)core);
}

static int core_init(Core *core, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"fd", "store", "states", "owners", "former", "moving", NULL};
    const char *path;
    Py_ssize_t path_length;
    if (core->commands) {
        PyErr_SetString(PyExc_RuntimeError, "a Core is initialised once");
        return -1;
    }
    core->store.fd = -1, core->store.name = "netmigrate-agent";
    core->store.identity = &core->identity;
    core->runs = true;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "is#y*y*y*y*", names, &core->fd, &path,
                                     &path_length, &core->states_view, &core->owners_view,
                                     &core->former_view, &core->moving_view))
        return -1;
    if (core->states_view.len < NM_GROUPS || core->former_view.len < NM_GROUPS ||
        core->owners_view.len < (Py_ssize_t)(NM_GROUPS * sizeof(uint16_t)) ||
        core->moving_view.len < (Py_ssize_t)(NM_GROUPS * sizeof(uint16_t))) {
        PyErr_SetString(PyExc_ValueError, "the ownership table has 16384 groups");
        return -1;
    }
    if (path_length >= (Py_ssize_t)sizeof core->store.path) {
        PyErr_SetString(PyExc_ValueError, "the path of the store's socket is too long");
        return -1;
    }
    memcpy(core->store.path, path, (size_t)path_length);
    core->states = core->states_view.buf;
    core->owners = core->owners_view.buf;
    core->former = core->former_view.buf;
    core->moving = core->moving_view.buf;
    core->commands = calloc(COMMANDS, sizeof *core->commands);
    core->items = calloc(BATCH, sizeof *core->items);
    core->received = calloc(BATCH, RECEIVE);
    core->replies = calloc(BATCH, DATAGRAM);
    if (!core->commands || !core->items || !core->received || !core->replies ||
        sessions_init(&core->sessions) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *core_load(Core *core, PyObject *arguments) {
    PyObject *rows;
    int absolute;
    if (!PyArg_ParseTuple(arguments, "O!p", &PyList_Type, &rows, &absolute) ||
        commands_load(core, rows) < 0)
        return NULL;
    core->absolute_expiry = absolute;
    Py_RETURN_NONE;
}

static PyObject *core_log_in(Core *core, PyObject *command) {
    char *data;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(command, &data, &length) < 0) return NULL;
    if (length > (Py_ssize_t)sizeof core->store.login)
        return PyErr_Format(PyExc_ValueError, "the store's user and password are too long");
    store_close(&core->store);
    memcpy(core->store.login, data, (size_t)length);
    core->store.login_length = (size_t)length;
    Py_RETURN_NONE;
}

static PyObject *core_receive(Core *core, PyObject *Py_UNUSED(none)) {
    return serve_received(core);
}

static PyObject *core_given(Core *core, PyObject *datagrams) {
    if (!PyList_Check(datagrams)) return PyErr_Format(PyExc_TypeError, "expected a list");
    return serve_given(core, datagrams);
}

static PyObject *core_execute(Core *core, PyObject *arguments) {
    PyObject *queries;
    int flags;
    if (!PyArg_ParseTuple(arguments, "O!i", &PyList_Type, &queries, &flags)) return NULL;
    return serve_queries(core, queries, flags);
}

static PyObject *core_refuse(Core *core, PyObject *arguments) {
    PyObject *query;
    const char *message;
    if (!PyArg_ParseTuple(arguments, "O!s", &QueryType, &query, &message)) return NULL;
    serve_refuse(core, (Query *)query, message);
    Py_RETURN_NONE;
}

static PyObject *core_retry(Core *core, PyObject *retries) {
    if (!PyList_Check(retries)) return PyErr_Format(PyExc_TypeError, "expected a list");
    if (serve_retries(core, retries) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *core_streams(Core *core, PyObject *arguments) {
    PyObject *answered;
    unsigned int address;
    unsigned short port;
    if (!PyArg_ParseTuple(arguments, "OIH", &answered, &address, &port)) return NULL;
    Py_XSETREF(core->answered, answered == Py_None ? NULL : Py_NewRef(answered));
    core->stream = (struct nm_stream){address, port};
    Py_RETURN_NONE;
}

static PyObject *core_missing(Core *core, PyObject *missed) {
    Py_XSETREF(core->missed, missed == Py_None ? NULL : Py_NewRef(missed));
    Py_RETURN_NONE;
}

static PyObject *core_call(Core *core, PyObject *commands) {
    if (!PyList_Check(commands)) return PyErr_Format(PyExc_TypeError, "expected a list");
    return store_call(&core->store, commands);
}

static PyObject *core_restoring(Core *core, PyObject *arguments) {
    unsigned int group;
    const char *key;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "Iy#", &group, &key, &length)) return NULL;
    if (group >= NM_GROUPS) return PyErr_Format(PyExc_ValueError, "groups are 0 to 16383");
    return PyBool_FromLong(restoring(core, group, (const uint8_t *)key, (size_t)length));
}

static PyObject *core_restore(Core *core, PyObject *arguments) {
    PyObject *body, *here;
    if (!PyArg_ParseTuple(arguments, "OO!", &body, &PyDict_Type, &here)) return NULL;
    return restore_now(core, body, here);
}

/* Sends datagrams to one address; what cannot be sent counts as lost on the wire. */
static PyObject *core_send(Core *core, PyObject *arguments) {
    PyObject *datagrams;
    unsigned int ip;
    unsigned short port;
    if (!PyArg_ParseTuple(arguments, "O!IH", &PyList_Type, &datagrams, &ip, &port)) return NULL;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(ip)};
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(datagrams); i++) {
        char *data;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GET_ITEM(datagrams, i), &data, &length) < 0) return NULL;
        if (sendto(core->fd, data, (size_t)length, 0, (struct sockaddr *)&to, sizeof to) < 0)
            core->counters[C_SEND_FAILED]++;
    }
    Py_RETURN_NONE;
}

static PyObject *core_arriving(Core *core, PyObject *arguments) {
    unsigned int group;
    PyObject *here;
    if (!PyArg_ParseTuple(arguments, "IO", &group, &here) || arriving_set(core, group, here) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *core_track(Core *core, PyObject *arguments) {
    unsigned int first, last;
    PyObject *written;
    if (!PyArg_ParseTuple(arguments, "IIO", &first, &last, &written)) return NULL;
    if (written != Py_None && !PyDict_Check(written))
        return PyErr_Format(PyExc_TypeError, "expected a dict or None");
    if (written_track(core, first, last, written) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *core_tell(Core *core, PyObject *arguments) {
    unsigned int first, last;
    PyObject *told;
    if (!PyArg_ParseTuple(arguments, "IIO", &first, &last, &told) ||
        moving_tell(core, first, last, told) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *core_counters(Core *core, PyObject *Py_UNUSED(none)) {
    PyObject *list = PyList_New(C_COUNT);
    for (int i = 0; list && i < C_COUNT; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(core->counters[i]);
        if (!value) Py_CLEAR(list);
        else PyList_SET_ITEM(list, i, value);
    }
    return list;
}

static PyObject *core_asked(Core *core, PyObject *Py_UNUSED(none)) {
    return PyBytes_FromStringAndSize((const char *)core->asked, sizeof core->asked);
}

static PyObject *core_accept_store(Core *core, PyObject *Py_UNUSED(none)) {
    core->identity.accepted = true;
    core->identity.lost = false;
    Py_RETURN_NONE;
}

static PyObject *core_store_lost(Core *core, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(core->identity.lost);
}

static PyObject *check_body(PyObject *Py_UNUSED(module), PyObject *body) {
    Py_buffer data;
    if (PyObject_GetBuffer(body, &data, PyBUF_SIMPLE) < 0) return NULL;
    bool good = body_is_good(data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return accepted(good ? NULL : "a KEYS frame is malformed");
}

static PyMethodDef functions[] = {
    {"check_body", check_body, METH_O, "ValueError if the body of a KEYS frame is malformed."},
    {0},
};

static PyMethodDef core_methods[] = {
    {"load", (PyCFunction)core_load, METH_VARARGS, "Load the store's command table."},
    {"log_in", (PyCFunction)core_log_in, METH_O, NULL},
    {"receive", (PyCFunction)core_receive, METH_NOARGS, "Serve one batch from the socket."},
    {"given", (PyCFunction)core_given, METH_O, "Serve datagrams that were handed over."},
    {"execute", (PyCFunction)core_execute, METH_VARARGS, "Execute queries and answer them."},
    {"retry", (PyCFunction)core_retry, METH_O, "Tell clients to ask again later."},
    {"refuse", (PyCFunction)core_refuse, METH_VARARGS, "Answer a query with an error."},
    {"streams", (PyCFunction)core_streams, METH_VARARGS, "Answer queries that came by TCP."},
    {"call", (PyCFunction)core_call, METH_O, "Run commands in one round trip."},
    {"restoring", (PyCFunction)core_restoring, METH_VARARGS, "Whether a key is just arriving."},
    {"restore", (PyCFunction)core_restore, METH_VARARGS, "Apply the body of a KEYS frame now."},
    {"send", (PyCFunction)core_send, METH_VARARGS, "Send datagrams from the agent's port."},
    {"records", (PyCFunction)core_records, METH_VARARGS, "A group's completion records."},
    {"add_records", (PyCFunction)core_add_records, METH_VARARGS, "Take over such records."},
    {"recorded", (PyCFunction)core_recorded, METH_O, "Which groups have records."},
    {"drop_records", (PyCFunction)core_drop_records, METH_O, "Drop the groups' records."},
    {"arriving", (PyCFunction)core_arriving, METH_VARARGS, "What an arriving group has here."},
    {"missing", (PyCFunction)core_missing, METH_O, "Tell of keys that an arriving group lacks."},
    {"remember", (PyCFunction)core_remember, METH_VARARGS, "Begin or go on with a journal."},
    {"cleared", (PyCFunction)core_cleared, METH_VARARGS, "Copies may be written of these."},
    {"track", (PyCFunction)core_track, METH_VARARGS, "Note the keys written in some groups."},
    {"tell", (PyCFunction)core_tell, METH_VARARGS, "What clients are told of groups on the move."},
    {"watermarks", (PyCFunction)core_watermarks, METH_VARARGS, "Watermarks moved since then."},
    {"learn", (PyCFunction)core_learn, METH_VARARGS, "Take over watermarks."},
    {"forget", (PyCFunction)core_forget, METH_VARARGS, "Forget sessions idle that many seconds."},
    {"counters", (PyCFunction)core_counters, METH_NOARGS, "All counters, in their order."},
    {"asked", (PyCFunction)core_asked, METH_NOARGS, "Queries of late of each group owned."},
    {"accept_store", (PyCFunction)core_accept_store, METH_NOARGS, "Use it as it is now."},
    {"memory", (PyCFunction)core_memory, METH_NOARGS, "Sessions and bytes of records."},
    {0},
};

static PyMemberDef core_members[] = {
    {"service", T_USHORT, offsetof(Core, service), 0, "the service served, 0: none yet"},
    {"room", T_PYSSIZET, offsetof(Core, stream_room), 0, "bytes that TCP clients may still take"},
    {0},
};

static PyObject *core_store_run(Core *core, void *Py_UNUSED(closure)) {
    return PyUnicode_FromString(core->identity.run_id);
}

static PyGetSetDef core_properties[] = {
    {"store_run", (getter)core_store_run, NULL, "run_id of the store's process", NULL},
    {"store_lost", (getter)core_store_lost, NULL, "the store lost what it had, and is not used", NULL},
    {0},
};

PyTypeObject CoreType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.agent._core.Core",
    .tp_basicsize = sizeof(Core),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The compiled part of the agent.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)core_init,
    .tp_dealloc = (destructor)core_dealloc,
    .tp_methods = core_methods,
    .tp_members = core_members,
    .tp_getset = core_properties,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "hosts.agent._core", .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *m = PyModule_Create(&module);
    StoreError = PyErr_NewException("hosts.agent._core.StoreError", NULL, NULL);
    if (!m || !StoreError || PyModule_AddType(m, &CoreType) < 0 ||
        PyModule_AddType(m, &QueryType) < 0 || PyModule_AddType(m, &PipelineType) < 0 ||
        PyModule_AddIntConstant(m, "BATCH", BATCH) < 0 ||
        PyModule_AddIntConstant(m, "SHORT", REPLY_ROOM) < 0 ||
        PyModule_AddIntConstant(m, "LONGEST", LONGEST) < 0 ||
        PyModule_AddObjectRef(m, "StoreError", StoreError) < 0)
        return NULL;
    return m;
}
