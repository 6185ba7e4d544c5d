/* What must be clear of the store before a new connection to it is used: that it is ready, that
 * nothing which an earlier connection wrote is still to be executed, and that it is the process that
 * we knew, or one that has what that one had (docs/consistency.md, "A store that is started again"). */
#include "core.h"

#include <string.h>

enum { COMMAND = 96 };

static bool ask(struct store *s, const char *words) {
    char command[COMMAND];
    int n = snprintf(command, sizeof command, "%s\r\n", words); /* an inline command */
    return n < (int)sizeof command && store_write(s, command, (size_t)n);
}

/* The next reply, which must be bytes; NULL: lost, or an error. */
static PyObject *text_of(struct store *s) {
    PyObject *reply = store_object(s);
    if (reply && !PyBytes_Check(reply)) Py_CLEAR(reply);
    return reply;
}

static bool has(PyObject *text, const char *line) {
    return text && strstr(PyBytes_AS_STRING(text), line);
}

static long long id_of(struct store *s) {
    PyObject *reply = store_object(s);
    long long id = reply && PyLong_Check(reply) ? PyLong_AsLongLong(reply) : 0;
    Py_XDECREF(reply);
    return id;
}

/* Takes over who answers. False: it is not who it was, and may have lost what that one had. */
static bool is_known(struct store *s, PyObject *server, PyObject *persistence) {
    struct identity *known = s->identity;
    const char *at = server ? strstr(PyBytes_AS_STRING(server), "run_id:") : NULL;
    if (!at || strlen(at) < strlen("run_id:") + RUN_ID) return false;
    at += strlen("run_id:");
    if (strncmp(known->run_id, at, RUN_ID)) {
        known->lost = known->run_id[0] && !has(persistence, "aof_enabled:1") && !known->accepted;
        if (known->lost) return false;
        memcpy(known->run_id, at, RUN_ID);
    }
    known->accepted = false;
    if (strncmp(s->run_id, at, RUN_ID)) s->id = 0; /* that connection ended with its process */
    memcpy(s->run_id, at, RUN_ID);
    return true;
}

/* Has the store end an earlier connection of ours, of which it may not have read everything. */
static bool end_earlier(struct store *s) {
    char kill[COMMAND];
    if (!s->id) return true;
    snprintf(kill, sizeof kill, "CLIENT KILL ID %lld", s->id);
    if (!ask(s, kill)) return false;
    PyObject *reply = store_object(s);
    Py_XDECREF(reply);
    return reply != NULL;
}

bool store_greet(struct store *s) {
    bool again = s->identity->run_id[0]; /* at the start, hosts/agent/store.py waits and explains */
    if (!ask(s, "CLIENT ID") || !ask(s, "INFO server") || !ask(s, "INFO persistence") ||
        !ask(s, "CLUSTER INFO"))
        return false;
    long long id = id_of(s);
    PyObject *server = text_of(s), *persistence = text_of(s), *cluster = text_of(s);
    bool ready = !again || (has(persistence, "loading:0") && has(cluster, "cluster_state:ok"));
    ready = s->fd >= 0 && ready && is_known(s, server, persistence) && end_earlier(s);
    Py_XDECREF(server);
    Py_XDECREF(persistence);
    Py_XDECREF(cluster);
    PyErr_Clear(); /* of memory alone: then it is not ready */
    if (!ready) store_close(s);
    else s->id = id;
    return ready;
}
