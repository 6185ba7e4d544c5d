/* The body of a KEYS frame into the store (docs/consistency.md, invariant 4).
 *
 * From begin to end the keys of a restore are neither here nor not here: whoever names one of them
 * waits. Invariant: of a key that is here nothing is under way, so no migrated copy overwrites it.
 * A restore succeeds as a whole or not at all: what it wrote of a failed one counts as nothing. */
#include "pipeline.h"

struct restore {
    struct job job;
    struct restore *next; /* another one under way */
    Py_buffer body;
    PyObject *here;       /* (hosts/agent/immigration/) by group: a set, True or None */
    unsigned long applied, dropped;
    bool counted;         /* its sections are in core->restoring */
    bool done;
};

static const uint8_t *end_of(const struct restore *r) {
    return (const uint8_t *)r->body.buf + r->body.len;
}

/* Goes through the entries of a body that was found good. */
static bool next_entry(const struct restore *r, const uint8_t **at, struct entry *e) {
    return *at < end_of(r) && body_next(at, end_of(r), e);
}

static bool is_section(const struct entry *e) { return e->tag == TAG_GROUP || e->tag == TAG_MORE; }

static bool names(const struct restore *r, unsigned group, const uint8_t *key, size_t length) {
    struct entry e = {.group = NM_GROUPS};
    for (const uint8_t *at = r->body.buf; next_entry(r, &at, &e);)
        if (e.group == group && !is_section(&e) && e.tag != TAG_END && e.key_length == length &&
            memcmp(e.key, key, length) == 0)
            return true;
    return false;
}

/* Whether a restore of the key is under way. */
bool restoring(const Core *core, unsigned group, const uint8_t *key, size_t length) {
    if (!core->restoring[group]) return false;
    for (const struct restore *r = core->restores; r; r = r->next)
        if (names(r, group, key, length)) return true;
    return false;
}

/* --- the commands ------------------------------------------------------------------------------- */

/* Whether the key counts as here, or will when a restore before this one is done. -1: an error. */
static int known(const Core *core, PyObject *here, const struct entry *e) {
    if (!here || here == Py_True) return 1;
    if (here == Py_None) return 0;
    if (restoring(core, e->group, e->key, e->key_length)) return 1;
    if (!PySet_GET_SIZE(here)) return 0;
    PyObject *key = PyBytes_FromStringAndSize((const char *)e->key, e->key_length);
    int found = key ? PySet_Contains(here, key) : -1;
    Py_XDECREF(key);
    return found;
}

static PyObject *here_of(const struct restore *r, unsigned group) {
    PyObject *number = PyLong_FromLong((long)group);
    PyObject *here = number ? PyDict_GetItemWithError(r->here, number) : NULL; /* borrowed */
    Py_XDECREF(number);
    if (here && here != Py_True && here != Py_None && !PySet_Check(here))
        PyErr_SetString(PyExc_TypeError, "expected a set, True or None");
    return PyErr_Occurred() ? NULL : here;
}

/* Writes the commands for the body; false: a Python error, ValueError if it is malformed. */
static bool write_commands(Core *core, struct restore *r, struct buffer *out, size_t *commands) {
    struct entry e = {.group = NM_GROUPS};
    struct strings strings = {0};
    PyObject *here = NULL;
    int failed = 0;
    for (const uint8_t *at = r->body.buf; !failed && at < end_of(r);) {
        if (!body_next(&at, end_of(r), &e)) {
            PyErr_SetString(PyExc_ValueError, "a KEYS frame is malformed");
            failed = -1;
        } else if (is_section(&e)) {
            failed = put_strings(out, &strings, commands); /* an MSET is of one group */
            here = here_of(r, e.group);
            if (PyErr_Occurred()) failed = -1;
        } else if (e.tag != TAG_END) {
            int is_known = known(core, here, &e);
            failed = is_known < 0 ? -1 : 0;
            if (is_known) {
                r->dropped++;
                continue;
            }
            r->applied++;
            if (e.tag != TAG_ABSENT) failed = put_entry(out, &strings, &e, commands);
            else if (here == Py_None) /* elsewhere what is not there needs no deletion */
                failed = put_unlink(out, &e, commands);
        }
    }
    failed = failed || put_strings(out, &strings, commands) < 0;
    free(strings.words.data);
    if (failed && !PyErr_Occurred()) PyErr_NoMemory();
    return !failed;
}

/* --- the end ------------------------------------------------------------------------------------ */

static bool restore_reply(Pipeline *Py_UNUSED(p), struct job *job, const uint8_t *data) {
    struct reply r = reply_next(&data);
    if (r.type == '-') job_fails(job, "", r.data, r.length);
    return true;
}

/* A restore counts on the keys that an earlier one brings, or on all that came before it. */
void restore_spread(struct job *failed) {
    for (struct job *job = failed->next; job; job = job->next)
        if (job->kind == &RESTORE &&
            ((struct restore *)job)->here == ((struct restore *)failed)->here)
            job_fails(job, failed->error, NULL, 0);
}

static bool is_here_now(PyObject *here, const struct entry *e) {
    PyObject *key = PyBytes_FromStringAndSize((const char *)e->key, e->key_length);
    bool ok = key && PySet_Add(here, key) == 0;
    Py_XDECREF(key);
    return ok;
}

/* Whether the section that begins at `at` ends its group. */
static bool ends(const struct restore *r, const uint8_t *at, struct entry e) {
    while (next_entry(r, &at, &e) && !is_section(&e))
        if (e.tag == TAG_END) return true;
    return false;
}

/* (applied, dropped, groups of which every key has come). Their keys are not added one by one: all
 * of such a group is here, which the caller says next. Those that another restore is bringing are
 * added by that one, unless replies come in the order in which both were begun. */
static PyObject *result_of(Core *core, struct restore *r, bool in_order) {
    struct entry e = {.group = NM_GROUPS};
    PyObject *here = NULL, *ended = PyList_New(0);
    bool ok = ended, ends_here = false;
    uint8_t *from_first = core->from_first;
    for (const uint8_t *at = r->body.buf; ok && next_entry(r, &at, &e);) {
        if (is_section(&e)) {
            if (e.tag == TAG_GROUP) from_first[e.group] = 1;
            here = here_of(r, e.group);
            ends_here = ends(r, at, e) && from_first[e.group];
            ok = !PyErr_Occurred();
        } else if (e.tag == TAG_END && from_first[e.group]) {
            PyObject *group = PyLong_FromLong(e.group);
            ok = group && PyList_Append(ended, group) == 0;
            Py_XDECREF(group);
            from_first[e.group] = 0;
        } else if (e.tag != TAG_END && here && PySet_Check(here) && !ends_here) {
            if (in_order || !restoring(core, e.group, e.key, e.key_length))
                ok = is_here_now(here, &e);
        }
    }
    r->done = ok;
    if (ok) return Py_BuildValue("(kkN)", r->applied, r->dropped, ended);
    Py_XDECREF(ended);
    return NULL;
}

static PyObject *restore_result(Pipeline *p, struct job *job) {
    return result_of(p->core, (struct restore *)job, true);
}

static void count_sections(Core *core, struct restore *r) {
    struct entry e = {.group = NM_GROUPS};
    for (const uint8_t *at = r->body.buf; next_entry(r, &at, &e);)
        if (is_section(&e)) core->restoring[e.group]++;
    r->counted = true;
}

/* Of what was not applied something is missing in its groups, until they begin anew. */
void restore_missed(Core *core, const uint8_t *body, size_t length) {
    struct entry e = {.group = NM_GROUPS};
    for (const uint8_t *at = body; at < body + length && body_next(&at, body + length, &e);)
        if (is_section(&e)) core->from_first[e.group] = 0;
}

static void drop(Core *core, struct restore *r) {
    struct restore **link = &core->restores;
    struct entry e = {.group = NM_GROUPS};
    if (!r->done) restore_missed(core, r->body.buf, (size_t)r->body.len);
    for (const uint8_t *at = r->body.buf; r->counted && next_entry(r, &at, &e);)
        if (is_section(&e)) core->restoring[e.group]--;
    while (*link && *link != r) link = &(*link)->next;
    if (*link) *link = r->next;
    PyBuffer_Release(&r->body);
    Py_DECREF(r->here);
    PyMem_Free(r);
}

static void restore_drop(Pipeline *p, struct job *job) { drop(p->core, (struct restore *)job); }

const struct job_kind RESTORE = {restore_reply, restore_result, restore_drop};

static struct restore *restore_new(PyObject *body, PyObject *here) {
    struct restore *r = PyMem_Calloc(1, sizeof *r);
    if (!r) return (struct restore *)PyErr_NoMemory();
    r->job.kind = &RESTORE, r->here = Py_NewRef(here);
    PyObject_GetBuffer(body, &r->body, PyBUF_SIMPLE); /* if not: a Python error, and no bytes */
    return r;
}

/* Begins to apply a body. `here` maps each group that may be written to the set of keys whose truth
 * is here already; those are not touched, the others join it. None instead of a set: nothing of the
 * group is the truth here, the body replaces what there is. True, or no such group: all of it is. */
bool restore_begin(Pipeline *p, PyObject *body, PyObject *here) {
    struct restore *r = restore_new(body, here);
    size_t commands = 0;
    if (!r) return false;
    if (!PyErr_Occurred() && write_commands(p->core, r, &p->out, &commands) &&
        pipeline_begin(p, &r->job, commands)) {
        r->next = p->core->restores, p->core->restores = r;
        count_sections(p->core, r);
        return true;
    }
    drop(p->core, r);
    return false;
}

/* One round trip; false: the connection is lost. */
static bool run(struct store *store, struct restore *r, const struct buffer *out, size_t commands) {
    uint8_t text[256] = "";
    bool alive = store_connect(store) && store_write(store, out->data, out->length);
    for (; alive && commands; commands--) {
        struct capture c = {.data = text, .room = sizeof text, .most = sizeof text};
        alive = store_skip(store, &c);
        if (alive && c.error)
            job_fails(&r->job, "", text + 1, c.length > sizeof text ? 0 : c.length - 3);
    }
    return alive;
}

/* Applies a body at once, on the connection of the queries: what a client waits for. If that is lost,
 * nothing of it is executed any more when the next command is (greet.c). */
PyObject *restore_now(Core *core, PyObject *body, PyObject *here) {
    struct restore *r = restore_new(body, here);
    struct buffer out = {0};
    size_t commands = 0;
    PyObject *result = NULL;
    if (!r) return NULL;
    bool ok = !PyErr_Occurred() && write_commands(core, r, &out, &commands);
    if (ok && commands && !run(&core->store, r, &out, commands))
        PyErr_SetString(PyExc_ConnectionError, "the connection to the store was lost");
    else if (ok && r->job.error[0])
        PyErr_SetString(StoreError, r->job.error);
    else if (ok)
        result = result_of(core, r, false);
    free(out.data);
    drop(core, r);
    return result;
}
