/* hosts.load._driver: the driver as a Python object. See _driver.pyi. */
#include "module.h"

#include "driver.h"

typedef struct {
    PyObject_HEAD
    struct driver driver;
    Py_buffer kinds, keys, records, names, offsets;
    bool open, ran;
} Driver;

static void release(Py_buffer *view) {
    if (view->obj) PyBuffer_Release(view);
}

static void driver_dealloc(Driver *self) {
    struct transport *t = self->driver.transport;
    if (t) t->kind->close(t);
    release(&self->kinds), release(&self->keys), release(&self->records);
    release(&self->names), release(&self->offsets);
    PyMem_Free(self->driver.inserted);
    PyMem_Free(self->driver.insert_rows);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static const char *check(Driver *self) {
    struct driver *d = &self->driver;
    d->length = (uint64_t)self->kinds.len;
    d->kinds = self->kinds.buf;
    d->keys = self->keys.buf;
    d->records = self->records.buf;
    d->rows = (uint64_t)self->records.len / sizeof *d->records;
    if ((uint64_t)self->keys.len != d->length * sizeof *d->keys)
        return "keys must be as many uint32 as kinds";
    if (self->offsets.obj) {
        d->names = self->names.buf;
        d->offsets = self->offsets.buf;
        if (!self->names.obj || (size_t)self->offsets.len < sizeof *d->offsets)
            return "offsets need names, and one offset more than there are keys";
        d->named = (uint64_t)self->offsets.len / sizeof *d->offsets - 1;
        for (uint64_t i = 0; i < d->named; i++)
            if (d->offsets[i] > d->offsets[i + 1]) return "offsets must grow";
        if (d->offsets[d->named] > (uint64_t)self->names.len) return "offsets beyond the names";
    }
    uint64_t inserts = 0;
    for (uint64_t i = 0; i < d->length; i++) {
        if (d->kinds[i] >= TRACE_KINDS) return "unknown kind of operation in the trace";
        if (d->kinds[i] == TRACE_READ_LATEST && !d->loaded) return "reads of the latest of no records";
        inserts += d->kinds[i] == TRACE_INSERT;
    }
    d->inserted = PyMem_Calloc(inserts + 1, sizeof *d->inserted);
    d->insert_rows = PyMem_Calloc(inserts + 1, sizeof *d->insert_rows);
    if (!d->inserted || !d->insert_rows) return "out of memory";
    if (d->value_size < 16 || d->value_size > NM_PAYLOAD) return "value_size: 16 to 1444 bytes";
    if (!(d->rate >= 0)) return "rate: operations per second, 0 for a closed loop";
    if (!d->concurrency) return "at least one operation must be allowed to be outstanding";
    return NULL;
}

static int driver_init(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *arguments[] = {"transport", "kinds",      "keys",   "records",     "names",
                                "offsets",   "prefix",     "first_id", "loaded",
                                "value_size", "rate", "concurrency", "duration", NULL};
    Driver *self = (Driver *)object;
    struct driver *d = &self->driver;
    Transport *transport;
    double duration;
    const char *prefix;
    Py_ssize_t prefix_length;
    if (self->kinds.obj) {
        PyErr_SetString(PyExc_RuntimeError, "a driver is made once");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!y*y*w*z*z*y#KKIdId", arguments,
                                     &transport_type, &transport, &self->kinds, &self->keys,
                                     &self->records, &self->names, &self->offsets, &prefix,
                                     &prefix_length, &d->first_id, &d->loaded, &d->value_size,
                                     &d->rate, &d->concurrency, &duration))
        return -1;
    if ((size_t)prefix_length > sizeof d->prefix) {
        PyErr_SetString(PyExc_ValueError, "prefix: at most 32 bytes");
        return -1;
    }
    memcpy(d->prefix, prefix, (size_t)prefix_length);
    d->prefix_length = (size_t)prefix_length;
    if (!(duration >= 0 && duration < 1e9)) {
        PyErr_SetString(PyExc_ValueError, "duration: seconds, from 0");
        return -1;
    }
    d->duration = (int64_t)(duration * 1e9);
    const char *wrong = check(self);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return -1;
    }
    if (!transport->transport) {
        PyErr_SetString(PyExc_RuntimeError, "a transport is for one driver");
        return -1;
    }
    d->transport = transport->transport;
    transport->transport = NULL;
    self->open = true;
    return 0;
}

static PyObject *driver_run_method(Driver *self, PyObject *unused) {
    (void)unused;
    if (!self->open || self->ran) {
        PyErr_SetString(PyExc_RuntimeError, "a driver runs once");
        return NULL;
    }
    self->ran = true;
    Py_BEGIN_ALLOW_THREADS
    driver_run(&self->driver);
    Py_END_ALLOW_THREADS
    if (self->driver.fatal) return PyErr_Format(PyExc_ValueError, "%s", self->driver.fatal);
    return PyLong_FromUnsignedLongLong(self->driver.used);
}

static PyObject *driver_stop(Driver *self, PyObject *unused) {
    (void)unused;
    atomic_store(&self->driver.stop, true);
    Py_RETURN_NONE;
}

static PyObject *driver_progress(Driver *self, PyObject *unused) {
    (void)unused;
    struct driver *d = &self->driver;
    return Py_BuildValue("(KKKKKKK)", atomic_load(&d->issued), atomic_load(&d->done),
                         atomic_load(&d->errors), atomic_load(&d->outstanding),
                         atomic_load(&d->doubled), atomic_load(&d->resent),
                         atomic_load(&d->redirected));
}

static PyObject *driver_histogram(Driver *self, PyObject *unused) {
    (void)unused;
    uint64_t counts[HISTOGRAM_BUCKETS];
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
        counts[i] = atomic_load_explicit(&self->driver.histogram[i], memory_order_relaxed);
    return PyBytes_FromStringAndSize((const char *)counts, sizeof counts);
}

static PyObject *driver_counts(Driver *self, PyObject *unused) {
    (void)unused;
    const struct transport *t = self->driver.transport;
    struct count counts[MOST_COUNTS];
    size_t n = t ? t->kind->counts(t, counts) : 0;
    PyObject *found = PyDict_New();
    for (size_t i = 0; found && i < n; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(counts[i].value);
        if (!value || PyDict_SetItemString(found, counts[i].name, value)) Py_CLEAR(found);
        Py_XDECREF(value);
    }
    return found;
}

static PyObject *driver_messages(Driver *self, PyObject *unused) {
    (void)unused;
    PyObject *found = PyDict_New();
    for (int i = 0; found && i < MOST_MESSAGES && self->driver.message_counts[i]; i++) {
        const char *text = self->driver.messages[i];
        PyObject *key = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
        PyObject *count = PyLong_FromUnsignedLongLong(self->driver.message_counts[i]);
        if (!key || !count || PyDict_SetItem(found, key, count)) Py_CLEAR(found);
        Py_XDECREF(key);
        Py_XDECREF(count);
    }
    return found;
}

static PyObject *driver_key_method(Driver *self, PyObject *arg) {
    unsigned long long key = PyLong_AsUnsignedLongLong(arg);
    if (key == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    uint8_t room[64];
    const uint8_t *name;
    size_t length = driver_key(&self->driver, key, room, &name);
    return PyBytes_FromStringAndSize((const char *)name, (Py_ssize_t)length);
}

static PyObject *get_cpu(Driver *self, void *unused) {
    (void)unused;
    return PyFloat_FromDouble(self->driver.cpu_seconds);
}

static PyObject *get_started(Driver *self, void *unused) {
    (void)unused;
    return PyLong_FromLongLong(self->driver.started);
}

static PyMethodDef methods[] = {
    {"run", (PyCFunction)driver_run_method, METH_NOARGS, NULL},
    {"stop", (PyCFunction)driver_stop, METH_NOARGS, NULL},
    {"progress", (PyCFunction)driver_progress, METH_NOARGS, NULL},
    {"histogram", (PyCFunction)driver_histogram, METH_NOARGS, NULL},
    {"counts", (PyCFunction)driver_counts, METH_NOARGS, NULL},
    {"messages", (PyCFunction)driver_messages, METH_NOARGS, NULL},
    {"key", (PyCFunction)driver_key_method, METH_O, NULL},
    {0},
};

static PyGetSetDef attributes[] = {
    {"cpu_seconds", (getter)get_cpu, NULL, NULL, NULL},
    {"started", (getter)get_started, NULL, NULL, NULL},
    {0},
};

static PyTypeObject driver_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.load._driver.Driver",
    .tp_basicsize = sizeof(Driver),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = driver_init,
    .tp_dealloc = (destructor)driver_dealloc,
    .tp_methods = methods,
    .tp_getset = attributes,
};

static PyObject *module_value(PyObject *module, PyObject *args) {
    (void)module;
    unsigned long long id;
    unsigned int size;
    if (!PyArg_ParseTuple(args, "KI", &id, &size)) return NULL;
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (value) value_write((uint8_t *)PyBytes_AS_STRING(value), size, id);
    return value;
}

static PyObject *module_value_id(PyObject *module, PyObject *arg) {
    (void)module;
    Py_buffer view;
    if (PyObject_GetBuffer(arg, &view, PyBUF_SIMPLE)) return NULL;
    uint64_t id = value_read(view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLongLong(id);
}

static PyMethodDef functions[] = {
    {"service", module_service, METH_VARARGS, NULL},
    {"cluster", module_cluster, METH_VARARGS, NULL},
    {"value", module_value, METH_VARARGS, NULL},
    {"value_id", module_value_id, METH_O, NULL},
    {0},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_driver", .m_size = -1, .m_methods = functions};

PyMODINIT_FUNC PyInit__driver(void) {
    if (PyType_Ready(&driver_type) || PyType_Ready(&transport_type)) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module || PyModule_AddObjectRef(module, "Driver", (PyObject *)&driver_type) ||
        PyModule_AddObjectRef(module, "Transport", (PyObject *)&transport_type) ||
        PyModule_AddIntConstant(module, "HISTOGRAM_STEPS", HISTOGRAM_STEPS) ||
        PyModule_AddIntConstant(module, "RECORD_SIZE", sizeof(struct record))) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}
