#define _GNU_SOURCE
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "outbox.h"
#include "resp.h"

static const int64_t LONGEST_RESEND = 1000000000, FIRST_ASK = 1000000, FIRST_RETRY = 125000;

int64_t nm_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const char *new_client(struct nm_session *s) {
    if (getrandom(&s->client, sizeof s->client, 0) != sizeof s->client)
        return "cannot draw a random client number";
    s->next_seq = 1;
    s->acked = 0;
    return NULL;
}

const char *nm_session_open(struct nm_session *s, uint32_t address, uint16_t port, uint16_t service,
                            int64_t timeout, int64_t resend_after, nm_completed *completed,
                            void *context) {
    *s = (struct nm_session){
        .fd = -1,
        .runs = true,
        .service = service,
        .timeout = timeout,
        .resend_after = resend_after,
        .completed = completed,
        .context = context,
    };
    for (int i = 0; i < NM_TIMERS; i++) TAILQ_INIT(&s->timers[i]);
    TAILQ_INIT(&s->expiries);
    TAILQ_INIT(&s->spare);
    s->buffers = malloc(NM_BATCH * sizeof *s->buffers);
    if (!s->buffers) return "out of memory";
    const char *wrong = new_client(s);
    if (wrong) return wrong;
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return "cannot open a UDP socket";
    /* Replies come in bursts. Without root rights the kernel caps this at its own limit. */
    int room = 4 << 20;
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(address);
    return connect(s->fd, (struct sockaddr *)&to, sizeof to) ? "cannot reach the service" : NULL;
}

static void forget(struct nm_text *text) {
    free(text->data);
    *text = (struct nm_text){0};
}

static void remember(struct nm_text *text, const uint8_t *data, size_t length, uint16_t flags) {
    forget(text);
    text->data = malloc(length ? length : 1);
    if (!text->data) return;
    memcpy(text->data, data, length);
    text->length = length;
    text->flags = flags;
}

void nm_session_close(struct nm_session *s) {
    struct nm_request *r;
    for (size_t i = 0; i < NM_WINDOW; i++)
        if (s->slots[i]) nm_abandon(s, s->slots[i]->seq);
    while ((r = TAILQ_FIRST(&s->spare))) {
        TAILQ_REMOVE(&s->spare, r, timer);
        free(r);
    }
    free(s->queue);
    free(s->buffers);
    if (s->fd >= 0) close(s->fd);
    s->queue = NULL, s->buffers = NULL, s->fd = -1;
}

uint32_t nm_room(const struct nm_session *s) {
    /* The last number is used up: the session can go on, as another client, when all is finished. */
    if (s->next_seq == UINT32_MAX) return s->outstanding || s->parked ? 0 : NM_WINDOW;
    uint32_t open = s->next_seq - s->acked - 1, numbers = UINT32_MAX - s->next_seq;
    return NM_WINDOW - open < numbers ? NM_WINDOW - open : numbers;
}

struct nm_request *nm_prepare(struct nm_session *s) {
    if (!nm_room(s) || !nm_outbox_has_room(s)) return NULL;
    if (s->next_seq == UINT32_MAX && new_client(s)) return NULL;
    struct nm_request *r = TAILQ_FIRST(&s->spare);
    if (r) TAILQ_REMOVE(&s->spare, r, timer);
    else if (!(r = malloc(sizeof *r))) return NULL;
    memset(r, 0, offsetof(struct nm_request, datagram));
    return r;
}

void nm_discard(struct nm_session *s, struct nm_request *r) {
    TAILQ_INSERT_HEAD(&s->spare, r, timer);
}

static void set_timer(struct nm_session *s, struct nm_request *r, int level, int64_t due) {
    r->level = (uint8_t)level;
    r->due = due;
    TAILQ_INSERT_TAIL(&s->timers[level], r, timer);
}

/* A READ of what may still be at a source goes there too. */
static void ask_source(struct nm_session *s, struct nm_request *r, const struct nm_moving *m) {
    r->source = *m;
    r->source_tries++;
    r->copies |= NM_TO_SOURCE;
    nm_enqueue(s, r);
}

/* Queues another try. */
static void send_again(struct nm_session *s, struct nm_request *r) {
    bool in_vain = r->source_tries >= NM_SOURCE_TRIES; /* then the owner shall see to it */
    bool asks = r->length == NM_HEADER_LENGTH;
    const struct nm_moving *m =
        r->op == NM_READ && !in_vain && !asks ? nm_ranges_find(&s->moving, r->group) : NULL;
    nm_put16(r->datagram + 4, asks ? NM_LONG : in_vain ? NM_RETRY : m ? NM_MOVING : 0);
    r->tries++;
    r->copies = NM_TO_SERVICE;
    if (m) ask_source(s, r, m);
    else nm_enqueue(s, r);
}

static void await_reply(struct nm_session *s, struct nm_request *r, int level, int64_t now) {
    if (level >= NM_RESEND_LEVELS) level = NM_RESEND_LEVELS - 1;
    int64_t wait = s->resend_after << level;
    set_timer(s, r, level, now + (wait < LONGEST_RESEND ? wait : LONGEST_RESEND));
    send_again(s, r);
}

void nm_start(struct nm_session *s, struct nm_request *r, enum nm_op op, uint16_t group,
              size_t payload_length, uint64_t token, int64_t now) {
    struct nm_header header = {
        .op = (uint8_t)op,
        .service = s->service,
        .group = group,
        .client = s->client,
        .seq = s->next_seq,
    };
    nm_header_put(r->datagram, &header);
    r->op = (uint8_t)op;
    r->group = group;
    r->length = (uint16_t)(NM_HEADER_LENGTH + payload_length);
    r->token = token;
    r->seq = s->next_seq++;
    r->expires = now + s->timeout;
    s->slots[r->seq % NM_WINDOW] = r;
    s->outstanding++;
    s->counts.started++;
    TAILQ_INSERT_TAIL(&s->expiries, r, expiry);
    await_reply(s, r, s->patience, now);
}

void nm_ask(struct nm_session *s, struct nm_request *r, uint16_t group, uint64_t token,
            int64_t now) {
    nm_start(s, r, NM_READ, group, 0, token, now);
}

static void mark_parked(struct nm_session *s, struct nm_request *r) {
    r->parked = true;
    s->parked++;
}

uint32_t nm_park(struct nm_session *s, struct nm_request *r) {
    r->seq = s->next_seq++;
    s->slots[r->seq % NM_WINDOW] = r;
    s->counts.started++;
    mark_parked(s, r);
    return r->seq;
}

/* Neither sends the request nor waits for it any more. */
static void leave(struct nm_session *s, struct nm_request *r) {
    s->outstanding--;
    TAILQ_REMOVE(&s->timers[r->level], r, timer);
    TAILQ_REMOVE(&s->expiries, r, expiry);
    if (r->queued) s->queue[r->queued - 1] = NULL;
    r->queued = 0;
}

/* Takes the request out of everything; it is still readable until the next nm_prepare(). */
static void take_out(struct nm_session *s, struct nm_request *r) {
    if (r->parked) s->parked--;
    else leave(s, r);
    s->slots[r->seq % NM_WINDOW] = NULL;
    while (s->acked + 1 < s->next_seq && !s->slots[(s->acked + 1) % NM_WINDOW]) s->acked++;
    s->counts.finished++;
}

static void recycle(struct nm_session *s, struct nm_request *r) {
    forget(&r->value);
    forget(&r->error);
    TAILQ_INSERT_HEAD(&s->spare, r, timer);
}

/* Learns from a request that took so long and was sent once (with more tries nobody knows which one
 * was answered). Until there is such a one, new requests wait as long as resent ones do. */
static void learn(struct nm_session *s, int64_t took) {
    int64_t off = took - s->mean;
    s->mean += s->mean ? off / 8 : off;
    s->deviation += ((off < 0 ? -off : off) - s->deviation) / 4;
    s->patience = 0;
    while (s->patience < NM_RESEND_LEVELS - 1 &&
           s->resend_after << s->patience < s->mean + 4 * s->deviation)
        s->patience++;
}

void nm_finish(struct nm_session *s, struct nm_request *r, enum nm_status status,
               uint16_t flags, const uint8_t *payload, size_t length, int64_t now) {
    bool park = status == NM_TOO_LARGE || (status == NM_BY_STREAM && r->op == NM_WRITE);
    if (park) leave(s, r), mark_parked(s, r);
    else take_out(s, r);
    if (payload && r->tries == 1) learn(s, now - (r->expires - s->timeout));
    struct nm_completion completion = {
        .token = r->token,
        .seq = r->seq,
        .payload = payload,
        .length = length,
        .status = status,
        .flags = (uint16_t)(flags | (r->doubled ? NM_DOUBLE : 0)),
        .tries = r->tries,
    };
    s->completed(s->context, &completion, now);
    if (!park) recycle(s, r);
}

void nm_abandon(struct nm_session *s, uint32_t seq) {
    struct nm_request *r = s->slots[seq % NM_WINDOW];
    if (!r || r->seq != seq) return;
    take_out(s, r);
    recycle(s, r);
}

/* Asks again: at once the first time, then ever more slowly, for what does not settle at once
 * (a restarted agent) must not turn into a storm. */
static void ask_again(struct nm_session *s, struct nm_request *r, int64_t now) {
    s->counts.asked_again++;
    r->heard = 0;
    TAILQ_REMOVE(&s->timers[r->level], r, timer);
    if (r->asks == 0) {
        await_reply(s, r, s->patience, now);
    } else {
        int step = r->asks - 1 < NM_ASK_LEVELS ? r->asks - 1 : NM_ASK_LEVELS - 1;
        set_timer(s, r, NM_RESEND_LEVELS + step, now + (FIRST_ASK << step));
    }
    if (r->asks < UINT8_MAX) r->asks++;
}

/* How long the requests of a list of those that are to be sent later wait: each a seventh to a quarter
 * longer than those of the one before it. */
static int64_t retry_wait(int step) {
    return (FIRST_RETRY << step / 4) / 4 * (4 + step % 4);
}

/* Asks again when the owner says so; all of a list wait equally long, so the time is rounded up. */
static void retry(struct nm_session *s, struct nm_request *r, int64_t after, int64_t now) {
    s->counts.retried++;
    if (r->queued && r->copies & NM_TO_SERVICE) return; /* a resend is on its way already */
    int step = 0;
    while (step < NM_RETRY_LEVELS - 1 && retry_wait(step) < after) step++;
    r->heard = 0;
    r->source_tries = NM_SOURCE_TRIES;
    TAILQ_REMOVE(&s->timers[r->level], r, timer);
    set_timer(s, r, NM_RESEND_LEVELS + NM_ASK_LEVELS + step, now + retry_wait(step));
}

/* What a reply without AUTHORITATIVE means for a READ, in the light of what was heard before.
 *
 * The source's value alone proves nothing: the destination may have a newer one. "Not here yet"
 * says that no client has written the key at the destination, and the source's copy is frozen
 * while the group is EMIGRATING: together they name the value that was current at the later of
 * the two. That holds for replies to different tries, but only within one migration: in the next
 * one the roles may be exchanged, so replies stamped with another migration start afresh.
 *
 * `m`: the groups that may still be at a source, as the reply says. */
static void merge(struct nm_session *s, struct nm_request *r, const struct nm_header *h,
                  const struct nm_moving *m, const uint8_t *payload, size_t length, int64_t now) {
    if (r->heard && r->migration != h->migration) r->heard = 0;
    r->migration = h->migration;
    bool from_source = h->flags & NM_FROM_SOURCE && h->flags & NM_DOUBLE;
    if (h->flags & NM_ERROR && !from_source) {
        if (!(h->flags & NM_DOUBLE) || r->heard & NM_HEARD_ERROR) {
            nm_finish(s, r, NM_REFUSED, h->flags, payload, length, now);
            return;
        }
        /* One of a pair failed. The other may be authoritative; if not, the pair proves nothing. */
        remember(&r->error, payload, length, h->flags);
        r->heard |= NM_HEARD_ERROR;
    } else if (h->flags & NM_GONE) {
        r->heard |= NM_HEARD_GONE;
    } else if (h->flags & NM_FROM_SOURCE) {
        /* With ERROR it is the store's own -ERR about that copy (WRONGTYPE): a value like any. */
        remember(&r->value, payload, length, h->flags);
        if (r->value.data) r->heard |= NM_HEARD_VALUE;
    } else {
        r->heard |= NM_HEARD_ABSENT;
    }
    enum { CERTIFIED = NM_HEARD_VALUE | NM_HEARD_ABSENT };
    unsigned heard = r->heard;
    if ((heard & CERTIFIED) == CERTIFIED) {
        nm_finish(s, r, NM_DONE, r->value.flags, r->value.data, r->value.length, now);
        return;
    }
    bool source = heard & (NM_HEARD_VALUE | NM_HEARD_GONE), absent = heard & NM_HEARD_ABSENT;
    if ((source && absent) || (heard & NM_HEARD_ERROR && (source || absent)))
        ask_again(s, r, now);
    else if (absent && m->port && r->source_tries < NM_SOURCE_TRIES &&
             !(r->source_tries && r->source.migration == m->migration))
        ask_source(s, r, m);
}

/* Learns from the end of a reply, or from GONE, which groups are on the move. Returns where its
 * payload ends, NULL if it is malformed. */
static const uint8_t *take_moving(struct nm_session *s, const struct nm_header *h,
                                  struct nm_moving *m, const uint8_t *payload,
                                  const uint8_t *end) {
    if (!(h->flags & NM_MOVING)) {
        const struct nm_moving *known = nm_ranges_find(&s->moving, h->group);
        if (h->flags & NM_GONE && known && known->migration == h->migration)
            nm_ranges_arrived(&s->moving, h->group);
        return end;
    }
    if (end - payload < NM_MOVING_LENGTH || !nm_moving_get(m, end - NM_MOVING_LENGTH)) return NULL;
    nm_ranges_learn(&s->moving, m, h->group);
    return end - NM_MOVING_LENGTH;
}

void nm_take(struct nm_session *s, const uint8_t *data, size_t length, int64_t now) {
    struct nm_header h;
    s->counts.received++;
    if (nm_header_get(&h, data, length) || h.op != NM_REPLY || h.client != s->client ||
        h.service != s->service || h.seq - 1 >= s->next_seq - 1) {
        s->counts.ignored++;
        return;
    }
    struct nm_moving m = {0};
    const uint8_t *payload = data + NM_HEADER_LENGTH;
    const uint8_t *end = take_moving(s, &h, &m, payload, data + length);
    if (!end) {
        s->counts.ignored++;
        return;
    }
    /* Beyond the window every slot is NULL or another's: acked < seq is part of the invariant. */
    struct nm_request *r = h.seq > s->acked ? s->slots[h.seq % NM_WINDOW] : NULL;
    if (!r || r->parked) {
        s->counts.late++;
        return;
    }
    if (h.flags & NM_LONG) {
        bool good = h.group == r->group && end - payload == NM_STREAM_LENGTH &&
                    nm_get16(payload + 4) && (r->op == NM_READ || h.flags & NM_AUTHORITATIVE);
        if (good)
            nm_finish(s, r, NM_BY_STREAM, h.flags, payload, (size_t)(end - payload), now);
        else
            s->counts.ignored++;
        return;
    }
    bool carries = h.flags & (NM_AUTHORITATIVE | NM_ERROR) ||
                   (h.flags & (NM_FROM_SOURCE | NM_GONE)) == NM_FROM_SOURCE;
    bool answers = r->op == NM_READ || h.flags & (NM_AUTHORITATIVE | NM_ERROR | NM_RETRY);
    if (h.group != r->group || !answers ||
        (carries && resp_skip(payload, end, RESP_DEPTH) != end) ||
        (h.flags & NM_RETRY && (carries || end - payload != 4))) {
        s->counts.ignored++;
        return;
    }
    if (h.flags & NM_RETRY) {
        retry(s, r, (int64_t)nm_get32(payload) * 1000, now);
        return;
    }
    if (h.flags & NM_DOUBLE && !r->doubled) {
        r->doubled = true;
        s->counts.doubled++;
    }
    if (h.flags & NM_AUTHORITATIVE)
        nm_finish(s, r, NM_DONE, h.flags, payload, (size_t)(end - payload), now);
    else if (r->op == NM_WRITE)
        nm_finish(s, r, NM_REFUSED, h.flags, payload, (size_t)(end - payload), now);
    else
        merge(s, r, &h, &m, payload, (size_t)(end - payload), now);
}

bool nm_receive(struct nm_session *s) {
    struct mmsghdr messages[NM_BATCH];
    struct iovec pieces[NM_BATCH];
    for (unsigned i = 0; i < NM_BATCH; i++) {
        pieces[i] = (struct iovec){s->buffers[i], sizeof *s->buffers};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    /* A few batches at a time: timers and sending must get their turn under any flood. */
    for (int round = 0; round < 4; round++) {
        int count = recvmmsg(s->fd, messages, NM_BATCH, 0, NULL);
        /* ECONNREFUSED: nobody listens there at the moment. Resends find out when that changes. */
        if (count < 0 && (errno == ECONNREFUSED || errno == EINTR)) continue;
        if (count <= 0) return true;
        int64_t now = nm_now();
        for (int i = 0; i < count; i++)
            nm_take(s, s->buffers[i], messages[i].msg_len, now);
        if (count < NM_BATCH) return true;
    }
    return false;
}

void nm_expire(struct nm_session *s, int64_t now) {
    struct nm_request *r;
    while ((r = TAILQ_FIRST(&s->expiries)) && r->expires <= now) {
        if (r->error.data)
            nm_finish(s, r, NM_REFUSED, r->error.flags, r->error.data, r->error.length, now);
        else nm_finish(s, r, NM_TIMED_OUT, 0, NULL, 0, now);
    }
    for (int i = 0; i < NM_TIMERS; i++) {
        while ((r = TAILQ_FIRST(&s->timers[i])) && r->due <= now) {
            TAILQ_REMOVE(&s->timers[i], r, timer);
            int level = i < NM_RESEND_LEVELS ? i + 1 : s->patience;
            await_reply(s, r, level, now);
            if (s->patience < r->level) s->patience = r->level;
        }
    }
}

int64_t nm_next_due(const struct nm_session *s) {
    const struct nm_request *r = TAILQ_FIRST(&s->expiries);
    int64_t due = r ? r->expires : INT64_MAX;
    for (int i = 0; i < NM_TIMERS; i++)
        if ((r = TAILQ_FIRST(&s->timers[i])) && r->due < due) due = r->due;
    return due;
}
