/* The blocking connection to the store over its unix socket: a batch of commands, one round trip. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { IN = 1 << 18, TIMEOUT_SECONDS = 10 };

PyObject *StoreError;

static bool store_line(struct store *s, uint8_t *type, const uint8_t **text, size_t *length);

void store_close(struct store *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    s->start = s->end = 0;
}

/* Whether the store has closed the connection while it was idle, or sent what nobody asked for.
 * Seen before anything is written, it costs nobody an unknown outcome. */
static bool stale(struct store *s) {
    char byte;
    ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return s->start != s->end || n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static bool log_in(struct store *s) {
    uint8_t type;
    const uint8_t *text;
    size_t length;
    if (!s->login_length) return true;
    if (!store_write(s, s->login, s->login_length) || !store_line(s, &type, &text, &length))
        return false;
    if (type != '+') store_close(s);
    return type == '+';
}

/* Gives the connection the name by which this agent, and its next process, will know it. */
static bool introduce(struct store *s) {
    char command[128];
    uint8_t type;
    const uint8_t *text;
    size_t length;
    int n = snprintf(command, sizeof command, "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$%zu\r\n%s\r\n",
                     strlen(s->name), s->name);
    return store_write(s, command, (size_t)n) && store_line(s, &type, &text, &length);
}

bool store_connect(struct store *s) {
    if (s->fd >= 0 && !stale(s)) return true;
    store_close(s);
    if (!s->in && !(s->in = malloc(s->room = IN))) return false;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, s->path, sizeof s->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    struct timeval limit = {.tv_sec = TIMEOUT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return false;
    }
    s->fd = fd;
    return log_in(s) && introduce(s) && store_greet(s);
}

bool store_write(struct store *s, const void *data, size_t length) {
    const uint8_t *p = data;
    while (length) {
        ssize_t n = send(s->fd, p, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            store_close(s);
            return false;
        }
        p += n, length -= (size_t)n;
    }
    return true;
}

static bool fill(struct store *s) {
    if (s->start == s->end) s->start = s->end = 0;
    if (s->end == s->room && s->start) {
        memmove(s->in, s->in + s->start, s->end - s->start);
        s->end -= s->start, s->start = 0;
    } else if (s->end == s->room) { /* a reply that is wanted in one piece */
        uint8_t *in = realloc(s->in, 2 * s->room);
        if (in) s->in = in, s->room *= 2;
    }
    ssize_t n = 0;
    if (s->end < s->room) do n = recv(s->fd, s->in + s->end, s->room - s->end, 0);
        while (n < 0 && errno == EINTR);
    if (n <= 0) { /* lost, or timed out */
        store_close(s);
        return false;
    }
    s->end += (size_t)n;
    return true;
}

/* Reads one line; `text` (behind the type byte, without CRLF) is valid until the next read. */
static bool store_line(struct store *s, uint8_t *type, const uint8_t **text, size_t *length) {
    if (s->fd < 0) return false;
    for (size_t seen = 0;;) {
        uint8_t *from = s->in + s->start;
        uint8_t *end = memchr(from + seen, '\n', s->end - s->start - seen);
        if (end) {
            if (end - from < 2) {
                store_close(s);
                return false;
            }
            *type = from[0], *text = from + 1, *length = (size_t)(end - from) - 2;
            s->start += (size_t)(end - from) + 1;
            return true;
        }
        seen = s->end - s->start;
        if (!fill(s)) return false;
    }
}

static long long number(const uint8_t *p, size_t length) {
    long long value = 0;
    bool negative = length && p[0] == '-';
    for (size_t i = negative; i < length && p[i] >= '0' && p[i] <= '9'; i++)
        value = value * 10 + (p[i] - '0');
    return negative ? -value : value;
}

/* A reply that outgrows `data` goes on in `grown`, as far as that is allowed and there is memory. */
static void keep(struct capture *c, const uint8_t *p, size_t length) {
    size_t before = c->length;
    c->length += length;
    if (c->length <= c->room) {
        memcpy(c->data + before, p, length);
        return;
    }
    bool fits = c->length <= c->most;
    if (fits && before <= c->room)
        fits = buffer_reserve(&c->grown, NM_HEADER_LENGTH + c->length) == 0 &&
               buffer_add(&c->grown, c->data - NM_HEADER_LENGTH, NM_HEADER_LENGTH + before) == 0;
    if (!fits || buffer_add(&c->grown, p, length) < 0) {
        free(c->grown.data);
        c->grown = (struct buffer){0};
        c->most = 0;
    }
}

/* Reads one reply whatever its size, keeping what fits. Invariant: `open` counts the values that
 * the reply still owes, so arrays need no recursion. */
bool store_skip(struct store *s, struct capture *c) {
    c->length = 0, c->nil = c->error = false;
    bool outermost = true;
    for (unsigned long long open = 1; open; outermost = false) {
        uint8_t type;
        const uint8_t *text;
        size_t length;
        if (!store_line(s, &type, &text, &length)) return false;
        keep(c, text - 1, length + 3);
        open--;
        long long n = number(text, length);
        bool nil = (type == '$' || type == '*') && n < 0;
        if (outermost) c->nil = nil || type == '_', c->error = type == '-';
        if (type == '*' && n > 0) open += (unsigned long long)n;
        if (type != '$' || n < 0) continue;
        for (size_t left = (size_t)n + 2; left;) {
            if (s->start == s->end && !fill(s)) return false;
            size_t part = s->end - s->start < left ? s->end - s->start : left;
            keep(c, s->in + s->start, part);
            s->start += part, left -= part;
        }
    }
    return true;
}

/* Reads one reply into Python objects. NULL without an error: the connection is lost. */
PyObject *store_object(struct store *s) {
    struct scan scan = SCAN;
    enum whole found = PART;
    if (s->fd < 0) return NULL;
    while ((found = reply_scan(&scan, s->in + s->start, s->end - s->start)) == PART)
        if (!fill(s)) return NULL;
    PyObject *object = found == WHOLE ? reply_object(s->in + s->start) : NULL;
    if (object) s->start += scan.at;
    else store_close(s); /* what follows cannot be trusted */
    return object;
}

static bool add_command(struct buffer *b, PyObject *words) {
    if (!PyList_Check(words)) {
        PyErr_SetString(PyExc_TypeError, "a command is a list of bytes");
        return false;
    }
    Py_ssize_t count = PyList_GET_SIZE(words);
    bool ok = buffer_head(b, '*', count) == 0;
    for (Py_ssize_t i = 0; ok && i < count; i++) {
        char *data;
        Py_ssize_t length;
        if (PyBytes_AsStringAndSize(PyList_GET_ITEM(words, i), &data, &length) < 0) return false;
        ok = buffer_bulk(b, data, (size_t)length) == 0;
    }
    if (!ok) PyErr_NoMemory();
    return ok;
}

/* Appends commands in RESP. False: with a Python error. */
bool store_commands(struct buffer *to, PyObject *commands) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(commands); i++)
        if (!add_command(to, PyList_GET_ITEM(commands, i))) return false;
    return true;
}

/* Runs commands in one round trip; returns their replies, errors as StoreError objects. */
PyObject *store_call(struct store *s, PyObject *commands) {
    struct buffer b = {0};
    PyObject *replies = NULL;
    bool ok = store_commands(&b, commands);
    if (ok && store_connect(s) && store_write(s, b.data, b.length)) replies = PyList_New(0);
    for (Py_ssize_t i = 0; replies && i < PyList_GET_SIZE(commands); i++) {
        PyObject *reply = store_object(s);
        if (!reply || PyList_Append(replies, reply) < 0) Py_CLEAR(replies);
        Py_XDECREF(reply);
    }
    free(b.data);
    if (replies || !ok) return replies;
    store_close(s); /* replies not read belong to nobody */
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ConnectionError, "the connection to the store was lost");
    return NULL;
}
