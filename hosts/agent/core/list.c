/* The keys of groups, listed without a Python object each: (length(4) key)* as in PULL. */
#include "pipeline.h"

enum { LISTED = 1000 }; /* keys of a group that are asked for at first */

struct listed { uint16_t group; bool again; PyObject *keys; size_t count; };
struct list {
    struct job job;
    size_t groups, next; /* whose reply is next */
    struct listed of[];
};

static bool ask(Pipeline *p, const struct listed *of, size_t most) {
    char group[8], count[24];
    int group_length = snprintf(group, sizeof group, "%u", of->group);
    int count_length = snprintf(count, sizeof count, "%zu", most);
    bool ok = buffer_add(&p->out, "*4\r\n$7\r\nCLUSTER\r\n$13\r\nGETKEYSINSLOT\r\n", 37) == 0 &&
              buffer_bulk(&p->out, group, (size_t)group_length) == 0 &&
              buffer_bulk(&p->out, count, (size_t)count_length) == 0;
    if (!ok) PyErr_NoMemory();
    return ok;
}

static bool pack(struct listed *of, struct reply array, const uint8_t *first) {
    size_t size = 0;
    const uint8_t *at = first;
    for (long long i = 0; i < array.number; i++) size += 4 + reply_next(&at).length;
    PyObject *keys = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!keys) return false;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(keys);
    at = first;
    for (long long i = 0; i < array.number; i++) {
        struct reply key = reply_next(&at);
        nm_put32(to, (uint32_t)key.length);
        memcpy(to + 4, key.data, key.length);
        to += 4 + key.length;
    }
    Py_XSETREF(of->keys, keys);
    of->count = (size_t)array.number;
    return true;
}

static bool list_reply(Pipeline *p, struct job *job, const uint8_t *data) {
    struct list *list = (struct list *)job;
    struct reply array = reply_next(&data);
    while (list->next >= list->groups && !list->of[list->next - list->groups].again) list->next++;
    bool again = list->next >= list->groups;
    struct listed *of = &list->of[list->next++ % list->groups];
    if (array.type != '*' || array.nil) {
        job_fails(job, "CLUSTER GETKEYSINSLOT: ", array.data, array.length);
    } else if (!pack(of, array, data)) {
        return false;
    } else if (!again && of->count == LISTED) { /* there may be more: then ask for all */
        of->again = true;
        return ask(p, of, UINT32_MAX >> 1) && pipeline_more(p, job, 1);
    }
    return true;
}

/* (group, keys, how many) each. */
static PyObject *list_result(Pipeline *Py_UNUSED(p), struct job *job) {
    struct list *list = (struct list *)job;
    PyObject *result = PyList_New((Py_ssize_t)list->groups);
    for (size_t i = 0; result && i < list->groups; i++) {
        struct listed *of = &list->of[i];
        PyObject *one = Py_BuildValue("(IOn)", of->group, of->keys, (Py_ssize_t)of->count);
        if (one) PyList_SET_ITEM(result, (Py_ssize_t)i, one);
        else Py_CLEAR(result);
    }
    return result;
}

static void list_drop(Pipeline *Py_UNUSED(p), struct job *job) {
    struct list *list = (struct list *)job;
    for (size_t i = 0; i < list->groups; i++) Py_XDECREF(list->of[i].keys);
    PyMem_Free(list);
}

static const struct job_kind LIST = {list_reply, list_result, list_drop};

bool list_begin(Pipeline *p, PyObject *groups) {
    size_t count = (size_t)PyList_GET_SIZE(groups);
    struct list *list = PyMem_Calloc(1, sizeof *list + count * sizeof *list->of);
    if (!list) {
        PyErr_NoMemory();
        return false;
    }
    list->job.kind = &LIST;
    list->groups = count;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        unsigned long group = PyLong_AsUnsignedLong(PyList_GET_ITEM(groups, (Py_ssize_t)i));
        if (group >= NM_GROUPS && !PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
        list->of[i].group = (uint16_t)group;
        ok = !PyErr_Occurred() && ask(p, &list->of[i], LISTED);
    }
    if (ok && pipeline_begin(p, &list->job, count)) return true;
    list_drop(p, &list->job);
    return false;
}
