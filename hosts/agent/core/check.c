/* Checks of a query that do not depend on its group's state, and the errors they end in. */
#include "core.h"

#include <string.h>

/* A printable piece of a client's bytes for an error message. */
static const char *shown(char *to, size_t room, const uint8_t *p, size_t length) {
    size_t n = length < room - 1 ? length : room - 1;
    for (size_t i = 0; i < n; i++) to[i] = p[i] > 32 && p[i] < 127 ? (char)p[i] : '?';
    to[n] = 0;
    return to;
}

static const struct command *lookup(Core *core, const uint8_t *p, const struct request *r) {
    char name[NAME];
    size_t length = r->arguments[0].length;
    if (length >= NAME) return NULL;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = p[r->arguments[0].offset + i];
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    const struct command *found = command_find(core, name, length);
    if (!found || !(found->traits & T_CONTAINER) || r->count < 2) return found;
    struct slice sub = r->arguments[1];
    if (length + 1 + sub.length >= NAME) return NULL;
    name[length++] = '|';
    for (size_t i = 0; i < sub.length; i++) {
        uint8_t c = p[sub.offset + i];
        name[length++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return command_find(core, name, length);
}

/* Asks the store where the keys of a T_MOVABLE command are. Returns a new list, or NULL with a
 * refusal as the item's answer. */
static PyObject *ask_keys(Core *core, struct item *item, const uint8_t *p, size_t length,
                          const struct request *r) {
    struct buffer b = {0};
    PyObject *keys = NULL;
    if (buffer_head(&b, '*', r->count + 2) == 0 && buffer_bulk(&b, "COMMAND", 7) == 0 &&
        buffer_bulk(&b, "GETKEYS", 7) == 0 && buffer_add(&b, p + r->body, length - r->body) == 0 &&
        store_connect(&core->store) && store_write(&core->store, b.data, b.length))
        keys = store_object(&core->store);
    free(b.data);
    if (!keys) {
        PyErr_Clear();
        refuse(core, item, C_REFUSED_STORE, "the store is not reachable; nothing was executed");
    } else if (!PyList_Check(keys) || PyList_GET_SIZE(keys) == 0) {
        PyObject *text = PyObject_Str(keys);
        const char *why = text ? PyUnicode_AsUTF8(text) : NULL;
        refuse(core, item, C_REFUSED_COMMAND, "command '%.*s' is refused: %s",
               item->command->name_length, item->command->name, why ? why : "no keys");
        Py_XDECREF(text);
        PyErr_Clear();
        Py_CLEAR(keys);
    }
    return keys;
}

static bool check_key(Core *core, struct item *item, const uint8_t *key, size_t length, int nth) {
    unsigned group = nm_group(key, length);
    char text[64];
    if (group == item->h.group) return true;
    if (nth)
        refuse(core, item, C_REFUSED_GROUP,
               "key '%s' is in group %u, not in group %u as the keys before it: the keys of one "
               "command must be in one group (give them the same {hash tag})",
               shown(text, sizeof text, key, length), group, item->h.group);
    else
        refuse(core, item, C_REFUSED_GROUP, "key '%s' is in group %u, but the header says %u",
               shown(text, sizeof text, key, length), group, item->h.group);
    return false;
}

bool check_service(Core *core, struct item *item) {
    if (item->h.service == core->service && core->service) return true;
    refuse(core, item, C_REFUSED_SERVICE,
           core->service ? "service %u is not served here, service %u is"
                         : "service %u is not served here: no groups assigned yet",
           item->h.service, core->service);
    return false;
}

/* Checks everything about a READ or WRITE that does not depend on the group's state. True: go on.
 * False: answered with an error. */
bool check(Core *core, struct item *item) {
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    size_t length = item->length - NM_HEADER_LENGTH;
    struct request r;
    char text[64];
    if (!check_service(core, item)) return false;
    if (item->truncated || (!by_stream(item) && item->length > DATAGRAM)) {
        refuse(core, item, C_REFUSED_PAYLOAD,
               "the request is longer than %d bytes (header included), the limit of a datagram: "
               "send it by TCP",
               DATAGRAM);
        return false;
    }
    const char *wrong = request_parse(&r, p, length);
    if (wrong) {
        refuse(core, item, C_REFUSED_PAYLOAD, "%s", wrong);
        return false;
    }
    const struct command *c = item->command = lookup(core, p, &r);
    shown(text, sizeof text, p + r.arguments[0].offset, r.arguments[0].length);
    if (!c) {
        refuse(core, item, C_REFUSED_COMMAND, "unknown command '%s'", text);
        return false;
    }
    if (c->refusal) {
        refuse(core, item, C_REFUSED_COMMAND, "command '%s' is refused: %s", text, c->refusal);
        return false;
    }
    if (c->arity >= 0 ? r.count != c->arity : r.count < -c->arity) {
        refuse(core, item, C_REFUSED_COMMAND, "wrong number of arguments for command '%s'", text);
        return false;
    }
    if (c->traits & T_NO_BLOCK)
        for (int i = 1; i < r.count; i++)
            if (same_word(p + r.arguments[i].offset, r.arguments[i].length, "BLOCK")) {
                refuse(core, item, C_REFUSED_COMMAND,
                       "command '%s' is refused with BLOCK: a datagram cannot wait", text);
                return false;
            }
    if (c->traits & T_WRITE && item->h.op == NM_READ) {
        refuse(core, item, C_REFUSED_OP, "command '%s' writes: send it as WRITE, not as READ",
               text);
        return false;
    }
    if (c->traits & T_MOVABLE) {
        if (!(item->keys = ask_keys(core, item, p, length, &r))) return false;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(item->keys); i++) {
            PyObject *key = PyList_GET_ITEM(item->keys, i);
            if (!PyBytes_Check(key)) {
                refuse(core, item, C_REFUSED_COMMAND, "the keys of '%s' are not known", text);
                return false;
            }
            if (!check_key(core, item, (const uint8_t *)PyBytes_AS_STRING(key),
                           (size_t)PyBytes_GET_SIZE(key), (int)i))
                return false;
        }
        return true;
    }
    int first = next_key(c, &r, 0);
    if (!first) refuse(core, item, C_REFUSED_COMMAND, "command '%s' is refused: it has no key", text);
    bool good = first;
    for (int i = first; i && good; i = next_key(c, &r, i))
        good = check_key(core, item, p + r.arguments[i].offset, r.arguments[i].length, i - first);
    return good;
}

/* Whether the outcome of a command does not depend on what its keys hold. With options SET is known
 * for that only if they say when the value expires: stores bring more and more others (IFEQ). */
bool is_blind(const struct command *c, const uint8_t *p, const struct request *r) {
    static const char *const expiries[] = {"EX", "PX", "EXAT", "PXAT"};
    if (c->traits & T_BLIND) return true;
    if (!(c->traits & T_BLIND_SET)) return false;
    for (int i = 3; i < r->count; i += 2) {
        bool known = false;
        for (size_t k = 0; k < sizeof expiries / sizeof *expiries; k++)
            known |= same_word(p + r->arguments[i].offset, r->arguments[i].length, expiries[k]);
        if (!known) return false;
    }
    return true;
}
