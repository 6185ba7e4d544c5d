/* Any commands on the second connection; their replies as Python objects. */
#include "pipeline.h"

struct call { struct job job; PyObject *replies; };

static bool call_reply(Pipeline *Py_UNUSED(p), struct job *job, const uint8_t *data) {
    struct call *call = (struct call *)job;
    PyObject *reply = reply_object(data);
    bool ok = reply && PyList_Append(call->replies, reply) == 0;
    Py_XDECREF(reply);
    return ok;
}

static PyObject *call_result(Pipeline *Py_UNUSED(p), struct job *job) {
    return Py_NewRef(((struct call *)job)->replies);
}

static void call_drop(Pipeline *Py_UNUSED(p), struct job *job) {
    Py_DECREF(((struct call *)job)->replies);
    PyMem_Free(job);
}

static const struct job_kind CALL = {call_reply, call_result, call_drop};

bool call_begin(Pipeline *p, PyObject *commands) {
    if (!store_commands(&p->out, commands)) return false;
    struct call *call = PyMem_Calloc(1, sizeof *call);
    if (!call || !(call->replies = PyList_New(0))) {
        PyMem_Free(call);
        PyErr_NoMemory();
        return false;
    }
    call->job.kind = &CALL;
    if (pipeline_begin(p, &call->job, (size_t)PyList_GET_SIZE(commands))) return true;
    call_drop(p, &call->job);
    return false;
}
