/* The non-blocking connection: jobs, each some commands; replies come in the order of commands, and
 * results in the order in which jobs were begun.
 *
 * Invariant: when the connection is lost its jobs stay, and keys that one of them writes stay under
 * way, until close(): Python first sees to it that the store executes nothing more of them. */
#include "pipeline.h"

#include <errno.h>
#include <string.h>

#include <structmember.h>

enum { READ = 1 << 16, KEPT = 1 << 22 /* a longer buffer is not kept when it is empty */ };

static bool add_run(Pipeline *p, struct job *job, size_t replies) {
    if (p->first_run == p->last_run) p->first_run = p->last_run = 0;
    if (p->last_run == p->run_room) {
        size_t room = p->run_room ? 2 * p->run_room : 16;
        struct run *runs = realloc(p->runs, room * sizeof *runs);
        if (!runs) {
            PyErr_NoMemory();
            return false;
        }
        p->runs = runs, p->run_room = room;
    }
    p->runs[p->last_run++] = (struct run){job, replies};
    return true;
}

bool pipeline_more(Pipeline *p, struct job *job, size_t commands) {
    if (commands && !add_run(p, job, commands)) return false;
    job->owed += commands;
    return true;
}

bool pipeline_begin(Pipeline *p, struct job *job, size_t commands) {
    job->next = NULL, job->owed = 0, job->error[0] = 0;
    if (!pipeline_more(p, job, commands)) return false;
    *p->last = job;
    p->last = &job->next;
    return true;
}

void job_fails(struct job *job, const char *what, const uint8_t *text, size_t length) {
    if (!job->error[0])
        snprintf(job->error, sizeof job->error, "%s%.*s", what,
                 (int)(length < 200 ? length : 200), (const char *)text);
}

static void forget(struct buffer *b, size_t *done) {
    if (b->capacity > KEPT) {
        free(b->data);
        *b = (struct buffer){0};
    }
    b->length = *done = 0;
}

/* Sends what the socket takes. False: the connection is lost. */
static bool send_some(Pipeline *p) {
    while (p->written < p->out.length) {
        ssize_t n = send(p->store.fd, p->out.data + p->written, p->out.length - p->written,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return true;
        if (n <= 0) return false;
        p->written += (size_t)n;
    }
    forget(&p->out, &p->written);
    return true;
}

/* Hands the replies that are there to their jobs. False: lost, or a Python error. */
static bool take_replies(Pipeline *p) {
    while (p->read < p->in.length) {
        const uint8_t *data = p->in.data + p->read;
        enum whole found = reply_scan(&p->scan, data, p->in.length - p->read);
        if (found == BROKEN || p->first_run == p->last_run) return false;
        if (found == PART) break;
        struct run *run = &p->runs[p->first_run];
        struct job *job = run->job;
        if (!--run->replies) p->first_run++;
        job->owed--; /* before the job may ask for more */
        p->read += p->scan.at;
        p->scan = SCAN;
        if (!job->kind->reply(p, job, data)) return false;
    }
    if (p->read == p->in.length) {
        forget(&p->in, &p->read);
    } else if (p->read > p->in.length / 2) {
        memmove(p->in.data, p->in.data + p->read, p->in.length - p->read);
        p->in.length -= p->read, p->read = 0;
    }
    return true;
}

/* One read is enough at a time: the event loop comes again. */
static bool receive_some(Pipeline *p) {
    if (buffer_reserve(&p->in, READ) < 0) return PyErr_NoMemory() != NULL;
    ssize_t n = recv(p->store.fd, p->in.data + p->in.length, p->in.capacity - p->in.length,
                     MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    p->in.length += (size_t)n;
    return take_replies(p);
}

static PyObject *finish(Pipeline *p) {
    struct job *job = p->jobs;
    if (job->error[0] && job->kind == &RESTORE) restore_spread(job);
    PyObject *result = job->error[0] ? store_error(job->error, strlen(job->error))
                                     : job->kind->result(p, job);
    if (!(p->jobs = job->next)) p->last = &p->jobs;
    job->kind->drop(p, job);
    return result;
}

static PyObject *lost(Pipeline *p) {
    store_close(&p->store);
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ConnectionError, "the connection to the store was lost");
    return NULL;
}

/* Sends what the store takes, and receives what it has answered. */
static PyObject *pipeline_go_on(Pipeline *p, PyObject *Py_UNUSED(none)) {
    if (p->store.fd < 0 || !send_some(p) || !receive_some(p) || !send_some(p)) return lost(p);
    Py_RETURN_NONE;
}

/* Ends the job that was begun first, if it is done: its result in a tuple, a StoreError where the
 * store complained. One at a time, for until Python has taken note of what is here, the keys of a
 * restore must count as under way. */
static PyObject *pipeline_next(Pipeline *p, PyObject *Py_UNUSED(none)) {
    if (p->store.fd < 0 || !p->jobs || p->jobs->owed) Py_RETURN_NONE;
    PyObject *result = finish(p);
    return result ? Py_BuildValue("(N)", result) : lost(p);
}

static PyObject *pipeline_connect(Pipeline *p, PyObject *Py_UNUSED(none)) {
    if (p->store.fd < 0) {
        memcpy(p->store.login, p->core->store.login, sizeof p->store.login);
        p->store.login_length = p->core->store.login_length;
        if (!store_connect(&p->store)) {
            store_close(&p->store);
            PyErr_SetString(PyExc_ConnectionError, "the store is not reachable");
            return NULL;
        }
    }
    return PyLong_FromLong(p->store.fd);
}

static PyObject *pipeline_close(Pipeline *p, PyObject *Py_UNUSED(none)) {
    store_close(&p->store);
    for (struct job *job = p->jobs, *next; job; job = next) {
        next = job->next;
        job->kind->drop(p, job);
    }
    p->jobs = NULL, p->last = &p->jobs;
    p->first_run = p->last_run = 0;
    p->scan = SCAN;
    forget(&p->out, &p->written);
    forget(&p->in, &p->read);
    Py_RETURN_NONE;
}

/* --- the Python type ---------------------------------------------------------------------------- */

static PyObject *begun(Pipeline *p, bool ok, size_t before) {
    if (ok) Py_RETURN_NONE;
    p->out.length = before; /* commands of a job that is none */
    return NULL;
}

static bool is_open(const Pipeline *p) {
    if (p->store.fd >= 0) return true;
    PyErr_SetString(PyExc_ConnectionError, "the connection to the store was lost");
    return false;
}

static PyObject *pipeline_call(Pipeline *p, PyObject *commands) {
    if (!PyList_Check(commands)) return PyErr_Format(PyExc_TypeError, "expected a list");
    if (!is_open(p)) return NULL;
    size_t before = p->out.length;
    return begun(p, call_begin(p, commands), before);
}

static PyObject *pipeline_list(Pipeline *p, PyObject *groups) {
    if (!PyList_Check(groups)) return PyErr_Format(PyExc_TypeError, "expected a list");
    if (!is_open(p)) return NULL;
    size_t before = p->out.length;
    return begun(p, list_begin(p, groups), before);
}

static PyObject *pipeline_dump(Pipeline *p, PyObject *arguments) {
    PyObject *sections;
    int piecewise = 0;
    if (!PyArg_ParseTuple(arguments, "O!|p", &PyList_Type, &sections, &piecewise) || !is_open(p))
        return NULL;
    size_t before = p->out.length;
    return begun(p, dump_begin(p, sections, piecewise), before);
}

static PyObject *pipeline_restore(Pipeline *p, PyObject *arguments) {
    PyObject *body, *here;
    if (!PyArg_ParseTuple(arguments, "OO!", &body, &PyDict_Type, &here) || !is_open(p)) return NULL;
    size_t before = p->out.length;
    return begun(p, restore_begin(p, body, here), before);
}

static PyObject *pipeline_missed(Pipeline *p, PyObject *body) {
    Py_buffer data;
    if (PyObject_GetBuffer(body, &data, PyBUF_SIMPLE) < 0) return NULL;
    restore_missed(p->core, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    Py_RETURN_NONE;
}

static int pipeline_init(Pipeline *p, PyObject *arguments, PyObject *Py_UNUSED(keywords)) {
    Core *core;
    if (p->core || !PyArg_ParseTuple(arguments, "O!", &CoreType, &core)) return -1;
    p->core = (Core *)Py_NewRef((PyObject *)core);
    p->store = (struct store){.fd = -1, .name = "netmigrate-bulk", .identity = &core->identity};
    memcpy(p->store.path, core->store.path, sizeof p->store.path);
    p->last = &p->jobs;
    p->scan = SCAN;
    p->strings = true;
    return 0;
}

static void pipeline_dealloc(Pipeline *p) {
    if (p->core) {
        Py_XDECREF(pipeline_close(p, NULL));
        Py_DECREF((PyObject *)p->core);
    }
    free(p->store.in);
    free(p->runs);
    free(p->out.data);
    free(p->in.data);
    Py_TYPE(p)->tp_free((PyObject *)p);
}

static PyObject *pipeline_writing(Pipeline *p, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(p->written < p->out.length);
}

static PyObject *pipeline_idle(Pipeline *p, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(!p->jobs);
}

static PyMethodDef methods[] = {
    {"connect", (PyCFunction)pipeline_connect, METH_NOARGS, "Connect; return the descriptor."},
    {"call", (PyCFunction)pipeline_call, METH_O, "Begin to run commands."},
    {"list_keys", (PyCFunction)pipeline_list, METH_O, "Begin to list the keys of groups."},
    {"dump", (PyCFunction)pipeline_dump, METH_VARARGS, "Begin the body of a KEYS frame."},
    {"restore", (PyCFunction)pipeline_restore, METH_VARARGS, "Begin to apply such a body."},
    {"missed", (PyCFunction)pipeline_missed, METH_O, "A body will not be applied."},
    {"go_on", (PyCFunction)pipeline_go_on, METH_NOARGS, "Send and receive."},
    {"next", (PyCFunction)pipeline_next, METH_NOARGS, "End the first job, if it is done."},
    {"close", (PyCFunction)pipeline_close, METH_NOARGS, "Forget all jobs and disconnect."},
    {0},
};

static PyGetSetDef properties[] = {
    {"writing", (getter)pipeline_writing, NULL, "whether the socket has not taken all yet", NULL},
    {"idle", (getter)pipeline_idle, NULL, "whether no job is under way", NULL},
    {0},
};

PyTypeObject PipelineType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "hosts.agent._core.Pipeline",
    .tp_basicsize = sizeof(Pipeline),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The connection to the store that keeps no query waiting.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)pipeline_init,
    .tp_dealloc = (destructor)pipeline_dealloc,
    .tp_methods = methods,
    .tp_getset = properties,
};
