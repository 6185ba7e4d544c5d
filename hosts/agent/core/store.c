/* The blocking, pipelined connection to the store over its unix socket. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { IN = 1 << 18, TIMEOUT_SECONDS = 10, DEPTH = 16 };

PyObject *StoreError;

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

/* Gives the connection the name by which the next process of this agent will know it. */
static bool introduce(struct store *s) {
    static const char command[] = "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$16\r\nnetmigrate-agent\r\n";
    uint8_t type;
    const uint8_t *text;
    size_t length;
    return store_write(s, command, sizeof command - 1) && store_line(s, &type, &text, &length);
}

bool store_connect(struct store *s) {
    if (s->fd >= 0 && !stale(s)) return true;
    store_close(s);
    if (!s->in && !(s->in = malloc(IN))) return false;
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
    if (s->end == IN) {
        memmove(s->in, s->in + s->start, s->end - s->start);
        s->end -= s->start, s->start = 0;
    }
    ssize_t n = 0;
    if (s->end < IN) do n = recv(s->fd, s->in + s->end, IN - s->end, 0);
        while (n < 0 && errno == EINTR);
    if (n <= 0) { /* lost, timed out, or a line longer than the buffer */
        store_close(s);
        return false;
    }
    s->end += (size_t)n;
    return true;
}

/* Reads one line; `text` (behind the type byte, without CRLF) is valid until the next read. */
bool store_line(struct store *s, uint8_t *type, const uint8_t **text, size_t *length) {
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

bool store_bytes(struct store *s, uint8_t *to, size_t length) {
    while (length) {
        if (s->start == s->end && !fill(s)) return false;
        size_t n = s->end - s->start < length ? s->end - s->start : length;
        if (to) memcpy(to, s->in + s->start, n), to += n;
        s->start += n, length -= n;
    }
    return true;
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

/* Reads one reply into Python objects: bytes, int, None, list, and StoreError for an error. */
PyObject *store_object(struct store *s, int depth) {
    uint8_t type;
    const uint8_t *text;
    size_t length;
    if (!store_line(s, &type, &text, &length)) return NULL;
    long long n = number(text, length);
    if (type == '+') return PyBytes_FromStringAndSize((const char *)text, (Py_ssize_t)length);
    if (type == ':') return PyLong_FromLongLong(n);
    if (type == '-') {
        PyObject *message = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)length, "replace");
        PyObject *error = message ? PyObject_CallOneArg(StoreError, message) : NULL;
        Py_XDECREF(message);
        return error;
    }
    if (type == '$' && n >= 0) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
        if (!bytes) return NULL;
        uint8_t *data = (uint8_t *)PyBytes_AS_STRING(bytes);
        if (store_bytes(s, data, (size_t)n) && store_bytes(s, NULL, 2)) return bytes;
        Py_DECREF(bytes);
        return NULL;
    }
    if (type == '*' && n >= 0 && depth < DEPTH) {
        PyObject *list = PyList_New(0);
        for (long long i = 0; list && i < n; i++) {
            PyObject *element = store_object(s, depth + 1);
            if (!element || PyList_Append(list, element) < 0) Py_CLEAR(list);
            Py_XDECREF(element);
        }
        return list;
    }
    if ((type == '$' || type == '*') && n < 0) Py_RETURN_NONE;
    store_close(s); /* not RESP2: what follows cannot be trusted */
    return NULL;
}
