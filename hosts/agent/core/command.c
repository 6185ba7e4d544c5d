/* The command table: open addressing over lower-case names, "name" or "container|subcommand". */
#include "core.h"

#include <stdlib.h>
#include <string.h>

static size_t hash(const char *name, size_t length) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)name[i]) * 16777619u;
    return (h ^ h >> 15) & (COMMANDS - 1);
}

const struct command *command_find(const Core *core, const char *name, size_t length) {
    for (size_t i = hash(name, length);; i = (i + 1) & (COMMANDS - 1)) {
        const struct command *c = &core->commands[i];
        if (!c->name_length) return NULL;
        if (c->name_length == length && !memcmp(c->name, name, length)) return c;
    }
}

/* Takes rows (name, arity, first, last, step, traits, refusal or None) from commands.py. */
int commands_load(Core *core, PyObject *rows) {
    Py_ssize_t count = PySequence_Size(rows);
    if (count < 0) return -1;
    if (count > COMMANDS / 2) {
        PyErr_SetString(PyExc_ValueError, "the store has more commands than the table holds");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *row = PySequence_GetItem(rows, i);
        if (!row) return -1;
        const char *name, *refusal;
        Py_ssize_t length;
        struct command c = {0};
        int ok = PyArg_ParseTuple(row, "y#iiiiIz", &name, &length, &c.arity, &c.first, &c.last,
                                  &c.step, &c.traits, &refusal);
        if (ok && (length == 0 || length > NAME)) {
            PyErr_SetString(PyExc_ValueError, "a command name is empty or too long");
            ok = 0;
        }
        if (ok && !command_find(core, name, (size_t)length)) {
            memcpy(c.name, name, (size_t)length);
            c.name_length = (uint8_t)length;
            c.refusal = refusal ? strdup(refusal) : NULL;
            size_t at = hash(name, (size_t)length);
            while (core->commands[at].name_length) at = (at + 1) & (COMMANDS - 1);
            core->commands[at] = c;
        }
        Py_DECREF(row);
        if (!ok) return -1;
    }
    return 0;
}

/* Which argument is the next key behind `after` (0: the first one), of those at fixed positions
 * (COMMAND's first, last, step). 0: there is none. */
int next_key(const struct command *c, const struct request *r, int after) {
    int last = c->last < 0 ? r->count + c->last : c->last;
    if (c->first <= 0 || c->step <= 0) return 0;
    int i = after ? after + c->step : c->first;
    return i <= last && i < r->count ? i : 0;
}
