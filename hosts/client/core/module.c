/* hosts.client._core: a session as a Python object. See _core.pyi. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <poll.h>

#include "resp.h"
#include "session.h"

typedef struct {
    PyObject_HEAD
    struct nm_session session;
    PyObject *finished; /* list under construction while poll() runs, else NULL */
    bool failed;        /* a Python exception is set: completions since then were dropped */
    int raw;            /* values are the RESP bytes as they came */
} Session;

static PyObject *reply_error, *too_large;

/* A RESP value as redis-py shows it: text as bytes, -ERR as an (unraised) ReplyError. */
static PyObject *decode(const uint8_t **p, const uint8_t *end) {
    struct resp r;
    *p = resp_read(&r, *p, end);
    switch (r.type) {
    case ':':
        return PyLong_FromLongLong(r.number);
    case '-':
        return PyObject_CallFunction(reply_error, "N",
                                     PyUnicode_DecodeUTF8((const char *)r.text,
                                                          (Py_ssize_t)r.length, "replace"));
    case '*': {
        if (r.number < 0) Py_RETURN_NONE;
        PyObject *list = PyList_New((Py_ssize_t)r.number);
        for (Py_ssize_t i = 0; list && i < r.number; i++) {
            PyObject *item = decode(p, end);
            if (item) PyList_SET_ITEM(list, i, item);
            else Py_CLEAR(list);
        }
        return list;
    }
    default:
        if (!r.text) Py_RETURN_NONE;
        return PyBytes_FromStringAndSize((const char *)r.text, (Py_ssize_t)r.length);
    }
}

static void completed(void *context, const struct nm_completion *c, int64_t now) {
    (void)now;
    Session *self = context;
    if (self->failed || !self->finished) return;
    const uint8_t *p = c->payload;
    /* The session hands on only payloads that resp_skip() found whole. */
    PyObject *value = !p ? Py_NewRef(Py_None)
                      : self->raw || c->status == NM_BY_STREAM
                          ? PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)c->length)
                          : decode(&p, p + c->length);
    PyObject *entry =
        value ? Py_BuildValue("(kiNHH)", (unsigned long)c->token, (int)c->status, value,
                              (int)c->flags, (int)c->tries)
              : NULL;
    if (!entry || PyList_Append(self->finished, entry)) self->failed = true;
    Py_XDECREF(entry);
}

static int session_init(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"address", "port", "service", "timeout", "resend_after", "raw", NULL};
    unsigned int address;
    unsigned short port, service;
    double timeout, resend_after;
    int raw = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "IHHdd|$p", names, &address, &port, &service,
                                     &timeout, &resend_after, &raw))
        return -1;
    if (!(timeout > 0 && timeout < 1e6) || !(resend_after > 0 && resend_after < 1e6)) {
        PyErr_Format(PyExc_ValueError, "timeout and resend_after are seconds above 0");
        return -1;
    }
    Session *self = (Session *)object;
    if (self->session.buffers) {
        PyErr_SetString(PyExc_RuntimeError, "a session is opened once");
        return -1;
    }
    self->raw = raw;
    const char *wrong =
        nm_session_open(&self->session, address, port, service, (int64_t)(timeout * 1e9),
                        (int64_t)(resend_after * 1e9), completed, self);
    if (wrong) {
        PyErr_Format(PyExc_OSError, "%s: %s", wrong, strerror(errno));
        nm_session_close(&self->session);
        return -1;
    }
    return 0;
}

static PyObject *session_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    Session *self = (Session *)type->tp_alloc(type, 0);
    if (self) self->session.fd = -1;
    return (PyObject *)self;
}

static PyObject *session_close(Session *self, PyObject *unused) {
    (void)unused;
    if (self->session.buffers) nm_session_close(&self->session);
    Py_RETURN_NONE;
}

static void session_dealloc(Session *self) {
    if (self->session.buffers) nm_session_close(&self->session);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static bool is_open(Session *self) {
    if (self->session.buffers) return true;
    PyErr_SetString(PyExc_ValueError, "the session is closed");
    return false;
}

static struct nm_request *prepare(Session *self) {
    if (!is_open(self)) return NULL;
    struct nm_request *r = nm_prepare(&self->session);
    if (!r)
        PyErr_Format(PyExc_BlockingIOError, "no room: %u requests are out, and the oldest must "
                     "finish first", self->session.outstanding);
    return r;
}

static PyObject *session_start(Session *self, PyObject *args) {
    int op;
    unsigned short group;
    PyObject *command;
    unsigned long token;
    if (!PyArg_ParseTuple(args, "iHO!k", &op, &group, &PyTuple_Type, &command, &token)) return NULL;
    if ((op != NM_READ && op != NM_WRITE) || group >= NM_GROUPS)
        return PyErr_Format(PyExc_ValueError, "op %d, group %d: not a request", op, (int)group);
    struct nm_request *r = prepare(self);
    if (!r) return NULL;
    const uint8_t *end = nm_payload(r) + NM_PAYLOAD;
    Py_ssize_t count = PyTuple_GET_SIZE(command), total = 0;
    uint8_t *p = resp_write_array(nm_payload(r), end, (size_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = PyTuple_GET_ITEM(command, i);
        if (!PyBytes_Check(part)) {
            nm_discard(&self->session, r);
            return PyErr_Format(PyExc_TypeError, "argument %zd: bytes expected, not %.100s", i,
                                Py_TYPE(part)->tp_name);
        }
        total += PyBytes_GET_SIZE(part);
        if (p)
            p = resp_write_bulk(p, end, PyBytes_AS_STRING(part), (size_t)PyBytes_GET_SIZE(part));
    }
    if (!p) {
        nm_discard(&self->session, r);
        return PyErr_Format(too_large,
                            "command of %zd arguments, %zd bytes: with its RESP framing it must fit "
                            "%d bytes (a datagram of %d less the header of %d)",
                            count, total, NM_PAYLOAD, NM_DATAGRAM, NM_HEADER_LENGTH);
    }
    nm_start(&self->session, r, (enum nm_op)op, group, (size_t)(p - nm_payload(r)), token,
             nm_now());
    return PyLong_FromUnsignedLong(r->seq);
}

static PyObject *session_ask(Session *self, PyObject *args) {
    unsigned short group;
    unsigned long token;
    if (!PyArg_ParseTuple(args, "Hk", &group, &token)) return NULL;
    if (group >= NM_GROUPS) return PyErr_Format(PyExc_ValueError, "group %d", (int)group);
    struct nm_request *r = prepare(self);
    if (!r) return NULL;
    nm_ask(&self->session, r, group, token, nm_now());
    return PyLong_FromUnsignedLong(r->seq);
}

static PyObject *session_park(Session *self, PyObject *unused) {
    (void)unused;
    struct nm_request *r = prepare(self);
    return r ? PyLong_FromUnsignedLong(nm_park(&self->session, r)) : NULL;
}

static PyObject *session_poll(Session *self, PyObject *arg) {
    double seconds = PyFloat_AsDouble(arg);
    if ((seconds == -1 && PyErr_Occurred()) || !is_open(self)) return NULL;
    if (!(seconds >= 0)) seconds = 0;
    struct nm_session *s = &self->session;
    PyObject *finished = self->finished = PyList_New(0);
    if (!finished) return NULL;
    self->failed = false;
    int64_t now = nm_now(), until = now + (int64_t)(seconds < 1e6 ? seconds * 1e9 : 1e15);
    while (true) {
        nm_expire(s, now);
        nm_flush(s, now);
        bool drained = nm_receive(s), flushed = nm_flush(s, now); /* what replies made us ask */
        if (self->failed || PyList_GET_SIZE(finished) || !s->outstanding) break;
        now = nm_now();
        int64_t due = nm_next_due(s);
        int64_t wait = (due < until ? due : until) - now;
        if (until <= now) break;
        if (!drained || wait <= 0) continue;
        struct pollfd fd = {.fd = s->fd, .events = (short)(POLLIN | (flushed ? 0 : POLLOUT))};
        struct timespec t = {wait / 1000000000, wait % 1000000000};
        int ready;
        Py_BEGIN_ALLOW_THREADS
        ready = ppoll(&fd, 1, &t, NULL);
        Py_END_ALLOW_THREADS
        if (ready < 0 && PyErr_CheckSignals()) self->failed = true;
        if (self->failed) break;
        now = nm_now();
    }
    self->finished = NULL;
    if (!self->failed) return finished;
    Py_DECREF(finished);
    return NULL;
}

static PyObject *session_take(Session *self, PyObject *arg) {
    Py_buffer view;
    if (!is_open(self) || PyObject_GetBuffer(arg, &view, PyBUF_SIMPLE)) return NULL;
    PyObject *finished = self->finished = PyList_New(0);
    self->failed = finished == NULL;
    if (finished) nm_take(&self->session, view.buf, (size_t)view.len, nm_now());
    PyBuffer_Release(&view);
    self->finished = NULL;
    if (self->failed) Py_CLEAR(finished);
    return finished;
}

static PyObject *session_abandon(Session *self, PyObject *arg) {
    unsigned long seq = PyLong_AsUnsignedLong(arg);
    if ((seq == (unsigned long)-1 && PyErr_Occurred()) || !is_open(self)) return NULL;
    nm_abandon(&self->session, (uint32_t)seq);
    Py_RETURN_NONE;
}

static PyObject *session_next_due(Session *self, PyObject *unused) {
    (void)unused;
    int64_t due = self->session.buffers ? nm_next_due(&self->session) : INT64_MAX;
    if (due == INT64_MAX) Py_RETURN_NONE;
    return PyFloat_FromDouble((double)due / 1e9);
}

static PyObject *session_counts(Session *self, PyObject *unused) {
    (void)unused;
    const struct nm_counts *c = &self->session.counts;
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsKsKsKsK}", "started", c->started, "finished",
                         c->finished, "sent", c->sent, "resent", c->resent, "received", c->received,
                         "doubled", c->doubled, "asked_again", c->asked_again, "asked_source",
                         c->asked_source, "retried", c->retried, "late", c->late, "ignored",
                         c->ignored, "unsendable", c->unsendable);
}

static PyObject *get_fd(Session *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(self->session.fd);
}

static PyObject *get_client(Session *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->session.client);
}

static PyObject *get_outstanding(Session *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(self->session.outstanding);
}

static PyObject *get_acked(Session *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(self->session.acked);
}

static PyObject *get_raw(Session *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(self->raw);
}

static PyObject *get_room(Session *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(nm_room(&self->session));
}

static PyMethodDef methods[] = {
    {"start", (PyCFunction)session_start, METH_VARARGS, NULL},
    {"ask", (PyCFunction)session_ask, METH_VARARGS, NULL},
    {"park", (PyCFunction)session_park, METH_NOARGS, NULL},
    {"poll", (PyCFunction)session_poll, METH_O, NULL},
    {"take", (PyCFunction)session_take, METH_O, NULL},
    {"abandon", (PyCFunction)session_abandon, METH_O, NULL},
    {"next_due", (PyCFunction)session_next_due, METH_NOARGS, NULL},
    {"counts", (PyCFunction)session_counts, METH_NOARGS, NULL},
    {"close", (PyCFunction)session_close, METH_NOARGS, NULL},
    {0},
};

static PyGetSetDef attributes[] = {
    {"fd", (getter)get_fd, NULL, NULL, NULL},
    {"client", (getter)get_client, NULL, NULL, NULL},
    {"outstanding", (getter)get_outstanding, NULL, NULL, NULL},
    {"room", (getter)get_room, NULL, NULL, NULL},
    {"acked", (getter)get_acked, NULL, NULL, NULL},
    {"raw", (getter)get_raw, NULL, NULL, NULL},
    {0},
};

static PyTypeObject session_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.client._core.Session",
    .tp_basicsize = sizeof(Session),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = session_new,
    .tp_init = session_init,
    .tp_dealloc = (destructor)session_dealloc,
    .tp_methods = methods,
    .tp_getset = attributes,
};

static PyObject *decode_reply(PyObject *module, PyObject *arg) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(arg, &view, PyBUF_SIMPLE)) return NULL;
    const uint8_t *p = view.buf, *end = p + view.len;
    PyObject *value = NULL;
    if (resp_skip(p, end, RESP_DEPTH) == end) value = decode(&p, end);
    else PyErr_SetString(PyExc_ValueError, "not one whole RESP reply");
    PyBuffer_Release(&view);
    return value;
}

static PyMethodDef functions[] = {{"decode", (PyCFunction)decode_reply, METH_O, NULL}, {0}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_core", .m_size = -1, .m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *errors = PyImport_ImportModule("hosts.client.errors");
    if (!errors) return NULL;
    reply_error = PyObject_GetAttrString(errors, "ReplyError");
    too_large = PyObject_GetAttrString(errors, "TooLarge");
    Py_DECREF(errors);
    if (!reply_error || !too_large || PyType_Ready(&session_type)) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module || PyModule_AddObjectRef(module, "Session", (PyObject *)&session_type) ||
        PyModule_AddIntConstant(module, "DONE", NM_DONE) ||
        PyModule_AddIntConstant(module, "REFUSED", NM_REFUSED) ||
        PyModule_AddIntConstant(module, "TIMED_OUT", NM_TIMED_OUT) ||
        PyModule_AddIntConstant(module, "TOO_LARGE", NM_TOO_LARGE) ||
        PyModule_AddIntConstant(module, "BY_STREAM", NM_BY_STREAM) ||
        PyModule_AddIntConstant(module, "MAX_PAYLOAD", NM_PAYLOAD)) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
