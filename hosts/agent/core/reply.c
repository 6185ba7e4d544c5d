/* Replies of the store (RESP2) in memory: where one ends, and what it says. */
#include "core.h"

enum { LINE = 1 << 16, DEPTH = 16 };

static long long number(const uint8_t *p, const uint8_t *end) {
    long long value = 0;
    bool negative = p < end && *p == '-';
    for (p += negative; p < end && *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

/* Goes on looking for the end of the reply that begins at `p`. WHOLE: it is `scan->at` bytes long.
 * Invariant: `open` counts the values that the reply still owes, so arrays need no recursion. */
enum whole reply_scan(struct scan *scan, const uint8_t *p, size_t length) {
    while (scan->open) {
        if (scan->at >= length) return PART;
        const uint8_t *line = p + scan->at, *end = memchr(line, '\n', length - scan->at);
        if (!end) return length - scan->at > LINE ? BROKEN : PART;
        if (end - line < 2) return BROKEN;
        long long n = number(line + 1, end);
        scan->at += (size_t)(end - line) + 1;
        scan->open--;
        switch (*line) {
        case '+': case '-': case ':': break;
        case '*': scan->open += n > 0 ? (size_t)n : 0; break;
        case '$': scan->at += n >= 0 ? (size_t)n + 2 : 0; break;
        default: return BROKEN;
        }
    }
    return scan->at <= length ? WHOLE : PART;
}

/* Reads what is at the beginning of a whole reply, and moves *p behind it: of a bulk string behind
 * its bytes, of an array before its first element. */
struct reply reply_next(const uint8_t **p) {
    const uint8_t *line = *p, *end = line;
    while (*end != '\n') end++;
    struct reply r = {.type = *line, .data = line + 1, .length = (size_t)(end - line) - 2,
                      .number = number(line + 1, end)};
    r.nil = (r.type == '$' || r.type == '*') && r.number < 0;
    *p = end + 1;
    if (r.type != '$' || r.nil) return r;
    r.data = *p, r.length = (size_t)r.number;
    *p += r.length + 2;
    return r;
}

/* Makes Python objects of a whole reply: bytes, int, None, list, and StoreError for an error. */
static PyObject *object(const uint8_t **p, int depth) {
    struct reply r = reply_next(p);
    if (r.nil) Py_RETURN_NONE;
    if (r.type == '$' || r.type == '+')
        return PyBytes_FromStringAndSize((const char *)r.data, (Py_ssize_t)r.length);
    if (r.type == ':') return PyLong_FromLongLong(r.number);
    if (r.type == '-') return store_error(r.data, r.length);
    if (depth == DEPTH) return PyErr_Format(PyExc_ValueError, "a reply of the store is too deep");
    PyObject *list = PyList_New(0);
    for (long long i = 0; list && i < r.number; i++) {
        PyObject *element = object(p, depth + 1);
        if (!element || PyList_Append(list, element) < 0) Py_CLEAR(list);
        Py_XDECREF(element);
    }
    return list;
}

PyObject *reply_object(const uint8_t *p) { return object(&p, 0); }

/* A StoreError that says so. */
PyObject *store_error(const void *text, size_t length) {
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
    PyObject *error = message ? PyObject_CallOneArg(StoreError, message) : NULL;
    Py_XDECREF(message);
    return error;
}
