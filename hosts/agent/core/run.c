/* A batch in the store: one round trip, the records of its writes, and what is answered. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Remembers how a write was answered, before anybody is told. */
static void complete(Core *core, struct item *item) {
    sessions_complete(&core->sessions, &item->h, item->reply_flags, reply_of(core, item),
                      item->reply_length);
    journal_done(core, item, reply_of(core, item));
}

static void lost(Core *core, struct item *item, bool started) {
    item->run = false;
    if (item->h.op != NM_WRITE || !started) {
        item->outcome = O_NOT_RUN;
        refuse(core, item, C_REFUSED_STORE, "the store is not reachable; nothing was executed");
        if (item->h.op == NM_WRITE) complete(core, item); /* so that a late copy of it is not either */
        return;
    }
    /* It may or may not have been executed: a resend must not execute it again. */
    item->outcome = O_UNKNOWN;
    refuse(core, item, C_STORE_LOST,
           "the connection to the store was lost; " OUTCOME_UNKNOWN);
    complete(core, item);
}

/* How many bytes of the reply are kept: by TCP what there is room for, and as much of a write's, for
 * its client will come by TCP to fetch it. */
static size_t most_of(const Core *core, const struct item *item) {
    if (!by_stream(item) && item->h.op != NM_WRITE) return REPLY_ROOM;
    Py_ssize_t room = core->stream_room < LONGEST ? core->stream_room : LONGEST;
    return room > REPLY_ROOM ? (size_t)room : REPLY_ROOM;
}

/* Answers with what the store has answered. */
static void done(Core *core, struct item *item, struct capture *c) {
    bool write = item->h.op == NM_WRITE, kept = c->length <= REPLY_ROOM || c->grown.data;
    uint16_t flags = (uint16_t)(item->reply_flags | (c->nil || c->error ? 0 : NM_FOUND));
    item->outcome = c->error ? O_ERROR : O_DONE;
    item->grown = c->grown.data;
    if (kept)
        answer(item, flags, (uint32_t)c->length);
    else if (write || by_stream(item))
        refuse(core, item, C_TOO_LONG_REPLIES,
               "the reply of %zu bytes is longer than %zu, which TCP clients may still take%s",
               c->length, most_of(core, item), write ? "; the write was executed" : "");
    else
        answer_long(core, item, flags, c->length);
    if (write) complete(core, item);
    if (!item->grown) return;
    if (by_stream(item)) core->stream_room -= (Py_ssize_t)c->length;
    else answer_long(core, item, flags, c->length);
}

/* Refuses all writes: there is no room to remember that they were executed. */
static void not_remembered(Core *core, struct item *items, size_t count) {
    const char *why = strerror(errno);
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        if (!item->run || item->h.op != NM_WRITE) continue;
        item->run = false, item->outcome = O_NOT_RUN;
        sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
        refuse(core, item, C_REFUSED_OTHER,
               "the agent cannot write down what it executes (%s); nothing was executed", why);
    }
}

void run_items(Core *core, struct item *items, size_t count) {
    struct iovec parts[BATCH];
    size_t running = 0;
    if (!journal_room_for(core, items, count)) not_remembered(core, items, count);
    for (size_t i = 0; i < count; i++)
        if (items[i].run)
            parts[running++] = (struct iovec){(void *)(items[i].datagram + NM_HEADER_LENGTH),
                                              items[i].length - NM_HEADER_LENGTH};
    if (!running) return;
    bool alive = store_connect(&core->store), started = alive;
    if (started) journal_intents(core, items, count);
    for (size_t at = 0; alive && at < running;) {
        struct msghdr message = {.msg_iov = parts + at, .msg_iovlen = running - at};
        ssize_t sent = sendmsg(core->store.fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) {
            store_close(&core->store);
            alive = false;
        }
        for (; sent > 0 && at < running && (size_t)sent >= parts[at].iov_len; at++)
            sent -= (ssize_t)parts[at].iov_len;
        if (sent > 0) {
            parts[at].iov_base = (uint8_t *)parts[at].iov_base + sent;
            parts[at].iov_len -= (size_t)sent;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        if (!item->run) continue;
        struct capture c = {.data = reply_of(core, item), .room = REPLY_ROOM,
                            .most = most_of(core, item)};
        bool write = item->h.op == NM_WRITE;
        if (write && started) written_note(core, item);
        if (!alive || !(alive = store_skip(&core->store, &c))) {
            free(c.grown.data);
            lost(core, item, started);
            continue;
        }
        if (item->newer && !c.error) arriving_newer(core, item);
        if (!write && item->h.flags & NM_DOUBLE && item->reply_flags & NM_AUTHORITATIVE)
            core->counters[C_DOUBLE_AUTHORITATIVE]++;
        done(core, item, &c);
    }
}
