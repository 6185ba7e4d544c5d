/* A client session: the requests that are out, their resends, and what their replies mean.
 *
 * The one place where a client decides (docs/protocol.md, "What the client does with replies").
 * The Python client and the load generator both stand on it. Plain C, no Python, one thread. */
#ifndef NETMIGRATE_SESSION_H
#define NETMIGRATE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../../wire/wire.h"
#include "moving.h"

/* Path MTU 1500 less the IPv4 and UDP headers. */
enum { NM_DATAGRAM = 1472, NM_PAYLOAD = NM_DATAGRAM - NM_HEADER_LENGTH };
enum { NM_RESEND_LEVELS = 8, NM_ASK_LEVELS = 7, NM_RETRY_LEVELS = 40, NM_BATCH = 64 };
enum { NM_TIMERS = NM_RESEND_LEVELS + NM_ASK_LEVELS + NM_RETRY_LEVELS };

/* How far the newest seq may be ahead of the oldest unfinished one: agents remember every write in
 * between, and refuse new ones beyond this many. A power of two. */
enum { NM_WINDOW = 4096 };

/* How often a READ is sent to a source as well, before the destination is told that it was in vain. */
enum { NM_SOURCE_TRIES = 3 };

enum nm_status {
    NM_DONE,      /* a reply that counts; it may still be the store's own -ERR */
    NM_REFUSED,   /* no owner answered; an agent said why. A write may have taken effect */
    NM_TIMED_OUT, /* no answer; a write may take effect, now or later */
    NM_TOO_LARGE, /* the path did not take the datagram; the request keeps its number */
    NM_BY_STREAM, /* the payload says where what fits no datagram is to be had by TCP, struct nm_stream.
                   * A WRITE was executed, and keeps its number */
};

struct nm_completion {
    uint64_t token;
    uint32_t seq;
    const uint8_t *payload; /* one whole RESP value; NULL if NM_TIMED_OUT, NM_TOO_LARGE */
    size_t length;
    enum nm_status status;
    uint16_t flags; /* of the reply taken, DOUBLE if any reply had it */
    uint16_t tries; /* how often it was sent */
};

/* `now` is CLOCK_MONOTONIC in ns, as everywhere here. Must not free the session. */
typedef void nm_completed(void *context, const struct nm_completion *completion, int64_t now);

/* What replies to a READ have said so far; each is forgotten when the migration changes. */
enum nm_heard {
    NM_HEARD_VALUE = 1,  /* FROM_SOURCE: the source's frozen copy */
    NM_HEARD_ABSENT = 2, /* the destination: not here yet */
    NM_HEARD_GONE = 4,   /* the source: no longer here */
    NM_HEARD_ERROR = 8,
};

/* Copies of a request that are to be sent. */
enum nm_copy { NM_TO_SERVICE = 1, NM_TO_SOURCE = 2 };

struct nm_text {
    uint8_t *data;
    size_t length;
    uint16_t flags;
};

struct nm_request {
    TAILQ_ENTRY(nm_request) timer, expiry;
    uint64_t token;
    int64_t due, expires;
    uint32_t seq;
    uint32_t queued; /* place in the send queue + 1; 0: not in it */
    struct nm_text value, error;
    uint16_t group, length, migration, tries;
    uint8_t op, level, asks, heard;
    uint8_t copies, source_tries;
    bool doubled;
    bool parked; /* it has a number and nothing else any more: somebody sends it by TCP */
    struct nm_moving source; /* where its last copy to a source went, or goes */
    uint8_t datagram[NM_DATAGRAM];
};

TAILQ_HEAD(nm_requests, nm_request);

struct nm_counts {
    uint64_t started, finished, sent, resent, received, doubled, asked_again;
    uint64_t asked_source; /* copies sent to a source; `sent` counts them too */
    uint64_t retried;    /* replies that said to ask again later */
    uint64_t late;       /* replies to requests that were finished already */
    uint64_t ignored;    /* not a reply of this session, malformed, or without meaning here */
    uint64_t unsendable; /* the network refused the datagram; the resend will try again */
};

struct nm_session {
    int fd;
    bool runs; /* the kernel takes runs of datagrams (outgoing.h) */
    uint16_t service;
    uint64_t client;
    int64_t timeout, resend_after;
    /* How long requests take (RFC 6298's smoothed mean and deviation) and the resend level to start
     * with: an overloaded service must not be given everything twice. */
    int64_t mean, deviation;
    int patience;
    uint32_t next_seq, acked, outstanding, parked;
    struct nm_counts counts;
    struct nm_ranges moving;
    /* Invariant: slots[seq % NM_WINDOW] is the request `seq`, or NULL when it is finished, for all
     * acked < seq < next_seq; there are at most NM_WINDOW of those, and other slots are NULL. */
    struct nm_request *slots[NM_WINDOW];
    /* Every outstanding request is in one timer list. All waits of one list are equally long, so
     * each is in the order of `due`; `expiries` likewise, as the timeout is the same for all. */
    struct nm_requests timers[NM_TIMERS], expiries, spare;
    struct nm_request **queue;
    uint32_t queue_length, queue_room;
    nm_completed *completed;
    void *context;
    uint8_t (*buffers)[2048];
};

int64_t nm_now(void);

/* Connects a UDP socket to the service. Returns NULL, or what failed (errno says why). */
const char *nm_session_open(struct nm_session *s, uint32_t address, uint16_t port, uint16_t service,
                            int64_t timeout, int64_t resend_after, nm_completed *completed,
                            void *context);
void nm_session_close(struct nm_session *s);

/* How many requests may be started now. 0: first the oldest ones must finish. */
uint32_t nm_room(const struct nm_session *s);

/* A request whose payload the caller writes at nm_payload(), then hands to nm_start() or
 * nm_discard(). NULL: no memory, or no room. */
struct nm_request *nm_prepare(struct nm_session *s);
static inline uint8_t *nm_payload(struct nm_request *r) { return r->datagram + NM_HEADER_LENGTH; }
void nm_discard(struct nm_session *s, struct nm_request *r);

/* Gives it the next seq and queues it; nm_flush() sends. */
void nm_start(struct nm_session *s, struct nm_request *r, enum nm_op op, uint16_t group,
              size_t payload_length, uint64_t token, int64_t now);

/* Asks for an agent that takes requests of a group by TCP: it ends as NM_BY_STREAM. */
void nm_ask(struct nm_session *s, struct nm_request *r, uint16_t group, uint64_t token, int64_t now);

/* Gives a request that goes by TCP its number. It counts as unfinished until nm_abandon(). */
uint32_t nm_park(struct nm_session *s, struct nm_request *r);

/* Sends what is queued. False: the socket is full, call again when it is writable. */
bool nm_flush(struct nm_session *s, int64_t now);

/* Takes what has arrived, at most a few batches. False: there may be more. */
bool nm_receive(struct nm_session *s);

/* Takes one datagram as if it had arrived. */
void nm_take(struct nm_session *s, const uint8_t *data, size_t length, int64_t now);

/* Queues what is to be sent again and gives up what is too old. */
void nm_expire(struct nm_session *s, int64_t now);

/* When nm_expire() has something to do next; INT64_MAX: never. */
int64_t nm_next_due(const struct nm_session *s);

/* Forgets the request with this seq as if it had finished: nobody waits for it any longer. */
void nm_abandon(struct nm_session *s, uint32_t seq);

#endif
