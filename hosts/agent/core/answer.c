/* Answers: what they are made of, and their way back, to a client's socket or to Python. */
#include "core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "../../wire/outgoing.h"

/* Where the RESP reply of an item goes; the header has its room before it. */
uint8_t *reply_of(Core *core, struct item *item) {
    uint8_t *datagram = item->grown ? item->grown : core->replies + (size_t)(item - core->items) * DATAGRAM;
    return datagram + NM_HEADER_LENGTH;
}

bool by_stream(const struct item *item) { return !item->from.sin_port; }

static void shrink(struct item *item) {
    free(item->grown);
    item->grown = NULL;
}

void answer(struct item *item, uint16_t flags, uint32_t length) {
    item->reply_flags = flags, item->reply_length = length, item->send = true;
}

/* Answers with an error of the agent's own. It names what was wrong, in RESP. */
void refuse(Core *core, struct item *item, enum counter reason, const char *format, ...) {
    shrink(item);
    char *text = (char *)reply_of(core, item);
    int n = snprintf(text, REPLY_ROOM - 2, "-ERR netmigrate: ");
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(text + n, (size_t)(REPLY_ROOM - 2 - n), format, arguments);
    va_end(arguments);
    n = more < REPLY_ROOM - 2 - n ? n + more : REPLY_ROOM - 3;
    for (int i = 0; i < n; i++)
        if (text[i] == '\r' || text[i] == '\n') text[i] = ' ';
    memcpy(text + n, "\r\n", 2);
    core->counters[reason]++;
    answer(item, NM_ERROR, (uint32_t)n + 2);
}

/* Says where the reply of `length` bytes is to be had, which no datagram takes. */
void answer_long(Core *core, struct item *item, uint16_t flags, size_t length) {
    shrink(item);
    if (!core->stream.port) {
        refuse(core, item, C_TOO_LONG_REPLIES,
               "the reply of %zu bytes is longer than %d, the limit of a datagram%s", length,
               REPLY_ROOM, item->h.op == NM_WRITE ? "; the write was executed" : "");
        return;
    }
    nm_put32(reply_of(core, item), core->stream.address);
    nm_put16(reply_of(core, item) + 4, core->stream.port);
    core->counters[C_TOO_LONG_REPLIES]++;
    answer(item, flags | NM_LONG, NM_STREAM_LENGTH);
}

static void put_header(Core *core, struct item *item) {
    struct nm_header h = item->h;
    h.op = NM_REPLY;
    h.flags = (uint16_t)((item->h.flags & (NM_DOUBLE | NM_ONGOING)) | item->reply_flags |
                         (item->hops ? NM_FORWARDED : 0));
    nm_header_put(reply_of(core, item) - NM_HEADER_LENGTH, &h);
}

/* Gives an answer to Python, which knows the way back to the TCP client. */
static void hand_back(Core *core, struct item *item) {
    const uint8_t *reply = reply_of(core, item);
    PyObject *result = PyObject_CallFunction(
        core->answered, "Iy#y#", (unsigned)ntohl(item->from.sin_addr.s_addr),
        (const char *)reply - NM_HEADER_LENGTH, (Py_ssize_t)NM_HEADER_LENGTH, (const char *)reply,
        (Py_ssize_t)item->reply_length);
    core->counters[C_STREAMED]++;
    if (!result) PyErr_WriteUnraisable(core->answered);
    Py_XDECREF(result);
    shrink(item);
}

/* Sends the answers of a batch. A reply that cannot be sent is lost like one on the wire: the
 * client resends. */
void answers_send(Core *core, struct item *items, size_t count) {
    struct nm_outgoing out;
    struct sockaddr_in *to[BATCH];
    struct iovec parts[BATCH];
    size_t ready = 0, sent = 0;
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        if (!item->send) continue;
        if (item->tell) moving_add(core, item);
        put_header(core, item);
        if (by_stream(item)) {
            if (core->answered) hand_back(core, item);
            continue;
        }
        uint8_t *datagram = reply_of(core, item) - NM_HEADER_LENGTH;
        parts[ready] = (struct iovec){datagram, NM_HEADER_LENGTH + item->reply_length};
        to[ready++] = &item->from;
    }
    while (sent < ready) {
        out.count = 0;
        for (size_t i = sent; i < ready; i++)
            nm_outgoing_add(&out, to[i], &parts[i], 1, core->runs);
        int n = nm_outgoing_send(&out, core->fd, &core->runs);
        if (n >= 0) {
            core->counters[C_SENT] += (uint64_t)n;
            sent += (size_t)n;
        } else if (errno != EINTR) { /* the first one cannot go: skip it */
            core->counters[C_SEND_FAILED]++;
            sent++;
        }
    }
}
