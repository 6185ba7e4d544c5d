#define _GNU_SOURCE
#include "cluster.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "node.h"
#include "reply.h"

static const int64_t TRY_AGAIN_AFTER = 10000000;
static const char ASKING[] = "*1\r\n$6\r\nASKING\r\n";
enum { ASKING_LENGTH = sizeof ASKING - 1, EVENTS = 64, MOST_READS = 16 };

/* Invariant: a request that is out is in `expiries`, and either in the line of its connection or,
 * without one, in `waiting`; both lists are in the order of their times. */
struct cluster {
    struct transport transport;
    struct node nodes[CLUSTER_NODES];
    size_t known;
    uint16_t owners[NM_GROUPS];
    uint32_t connections;
    int64_t timeout;
    struct connections dirty;
    struct requests expiries, waiting, spare;
    uint64_t outstanding, started, finished, sent, received;
    uint64_t moved, asked, try_again, down, lost, redirect_bytes;
};

static struct cluster *of(const struct transport *t) { return (struct cluster *)t; }

static size_t find_node(struct cluster *s, struct place place) {
    for (size_t i = 0; i < s->known; i++)
        if (s->nodes[i].place.address == place.address && s->nodes[i].place.port == place.port)
            return i;
    if (s->known == CLUSTER_NODES) return CLUSTER_NODES;
    return node_open(&s->nodes[s->known], place, s->connections) ? s->known++ : CLUSTER_NODES;
}

static void finish(struct cluster *s, struct request *r, struct nm_completion c, int64_t now) {
    TAILQ_REMOVE(&s->expiries, r, expiry);
    TAILQ_INSERT_HEAD(&s->spare, r, place);
    s->outstanding--;
    s->finished++;
    c.token = r->token;
    c.tries = r->tries;
    s->transport.completed(s->transport.context, &c, now);
}

static void wait_a_little(struct cluster *s, struct request *r, int64_t now) {
    r->connection = NULL;
    r->due = now + TRY_AGAIN_AFTER;
    TAILQ_INSERT_TAIL(&s->waiting, r, place);
}

/* Takes a connection down. What it owes is tried again if that is safe: reads are, and whatever it
 * has not begun to write. Another write may have taken effect, and a client cannot know. */
static void lose(struct cluster *s, struct connection *c, int64_t now) {
    static const char text[] = "-ERR the connection broke before the reply\r\n";
    struct requests owed;
    TAILQ_INIT(&owed);
    TAILQ_CONCAT(&owed, &c->line, place);
    if (!c->owed) TAILQ_REMOVE(&c->node->idle, c, idle);
    if (c->is_dirty) TAILQ_REMOVE(&s->dirty, c, dirty);
    uint64_t written = c->written;
    c->owed = 0;
    c->is_dirty = false;
    c->node->opened--;
    s->lost++;
    connection_close(c);
    for (struct request *r, *next = TAILQ_FIRST(&owed); (r = next);) {
        next = TAILQ_NEXT(r, place);
        TAILQ_REMOVE(&owed, r, place);
        if (r->read || r->at >= written) {
            r->detour++;
            wait_a_little(s, r, now);
        } else {
            finish(s, r, (struct nm_completion){.payload = (const uint8_t *)text,
                                                .length = sizeof text - 1,
                                                .status = NM_REFUSED}, now);
        }
    }
}

/* Queues a request to a node. It waits for another try where no connection can be had. */
static void dispatch(struct cluster *s, struct request *r, size_t node, bool asking, int64_t now) {
    struct connection *c = node_pick(&s->nodes[node], s->transport.fd);
    size_t length = r->length + (asking ? (size_t)ASKING_LENGTH : 0);
    if (!c || !bytes_reserve(&c->out, length)) {
        r->detour++;
        wait_a_little(s, r, now);
        return;
    }
    if (!c->owed++) TAILQ_REMOVE(&c->node->idle, c, idle);
    r->at = c->queued;
    r->connection = c;
    r->asking = asking;
    r->tries++;
    if (asking) bytes_add(&c->out, ASKING, ASKING_LENGTH);
    bytes_add(&c->out, r->command, r->length);
    c->queued += length;
    TAILQ_INSERT_TAIL(&c->line, r, place);
    if (!c->is_dirty) TAILQ_INSERT_TAIL(&s->dirty, c, dirty);
    c->is_dirty = true;
    s->sent++;
    if (r->tries > 1) s->redirect_bytes += length;
}

/* The node of the slot map; after failed connections another one, which will know better. */
static size_t route(const struct cluster *s, const struct request *r) {
    size_t owner = s->owners[r->group] < s->known ? s->owners[r->group] : r->group % s->known;
    return (owner + r->detour) % s->known;
}

static bool start(struct transport *t, enum nm_op op, uint16_t group, const uint8_t *command,
                  size_t length, uint64_t token, int64_t now) {
    struct cluster *s = of(t);
    struct request *r = TAILQ_FIRST(&s->spare);
    if (r) TAILQ_REMOVE(&s->spare, r, place);
    else if (!(r = malloc(sizeof *r))) return false;
    memset(r, 0, offsetof(struct request, command));
    memcpy(r->command, command, length);
    r->token = token;
    r->group = group;
    r->length = (uint16_t)length;
    r->read = op == NM_READ;
    r->expires = now + s->timeout;
    TAILQ_INSERT_TAIL(&s->expiries, r, expiry);
    s->started++;
    s->outstanding++;
    dispatch(s, r, route(s, r), false, now);
    return true;
}

/* The reply to the first request of a line: an answer, or where to go from here. */
static void take(struct cluster *s, struct connection *c, const uint8_t *reply, size_t length,
                 int64_t now) {
    struct request *r = TAILQ_FIRST(&c->line);
    if (r->asking) {
        r->asking = false;
        s->redirect_bytes += length;
        return;
    }
    TAILQ_REMOVE(&c->line, r, place);
    if (!--c->owed) TAILQ_INSERT_HEAD(&c->node->idle, c, idle);
    struct redirect to = reply_redirect(reply, length);
    size_t node = CLUSTER_NODES;
    if (to.kind == REDIRECT_MOVED || to.kind == REDIRECT_ASK)
        node = find_node(s, (struct place){to.address ? to.address : c->node->place.address,
                                           to.port});
    if (to.kind == REDIRECT_NONE || (to.port && node == CLUSTER_NODES)) {
        finish(s, r, (struct nm_completion){.payload = reply, .length = length}, now);
        return;
    }
    s->redirect_bytes += length;
    switch (to.kind) {
    case REDIRECT_MOVED:
        s->moved++;
        r->detour = 0;
        s->owners[to.group] = (uint16_t)node;
        dispatch(s, r, node, false, now);
        break;
    case REDIRECT_ASK:
        s->asked++;
        dispatch(s, r, node, true, now);
        break;
    case REDIRECT_AGAIN:
        s->try_again++;
        wait_a_little(s, r, now);
        break;
    default:
        s->down++;
        wait_a_little(s, r, now);
    }
}

/* Takes all whole replies that have arrived. False: this is no RESP, or a reply to nothing. */
static bool take_all(struct cluster *s, struct connection *c, int64_t now) {
    while (c->in.start < c->in.end) {
        size_t length;
        const uint8_t *p = c->in.data + c->in.start;
        enum reply_end found = reply_find(p, c->in.data + c->in.end, &length);
        if (found == REPLY_PARTIAL) return c->in.end - c->in.start <= REPLY_BULK;
        if (found == REPLY_BROKEN || !c->owed) return false;
        c->in.start += length;
        s->received++;
        take(s, c, p, length, now);
    }
    return true;
}

static void receive(struct transport *t) {
    struct cluster *s = of(t);
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(t->fd, events, EVENTS, 0);
    int64_t now = nm_now();
    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        bool fine = !(events[i].events & (EPOLLERR | EPOLLHUP)) || !c->connecting;
        if (fine && events[i].events & EPOLLOUT) {
            c->connecting = false;
            fine = connection_write(c, t->fd);
        }
        bool more = events[i].events & ~EPOLLOUT;
        for (int reads = 0; fine && more && reads < MOST_READS; reads++)
            fine = connection_read(c, &more) && take_all(s, c, now);
        if (!fine) lose(s, c, now);
    }
}

static void expire(struct transport *t, int64_t now) {
    struct cluster *s = of(t);
    struct request *r;
    while ((r = TAILQ_FIRST(&s->expiries)) && r->expires <= now) {
        struct connection *c = r->connection;
        TAILQ_REMOVE(c ? &c->line : &s->waiting, r, place);
        /* Its reply may still come, and would be taken for another's: clients drop the connection. */
        if (c) lose(s, c, now);
        finish(s, r, (struct nm_completion){.status = NM_TIMED_OUT}, now);
    }
    while ((r = TAILQ_FIRST(&s->waiting)) && r->due <= now) {
        TAILQ_REMOVE(&s->waiting, r, place);
        dispatch(s, r, route(s, r), false, now);
    }
}

static bool flush(struct transport *t, int64_t now) {
    struct cluster *s = of(t);
    struct connection *c;
    while ((c = TAILQ_FIRST(&s->dirty))) {
        TAILQ_REMOVE(&s->dirty, c, dirty);
        c->is_dirty = false;
        if (!c->connecting && !c->blocked && !connection_write(c, t->fd)) lose(s, c, now);
    }
    return true; /* epoll tells when a full socket takes more */
}

static int64_t next_due(const struct transport *t) {
    const struct cluster *s = of(t);
    const struct request *expires = TAILQ_FIRST(&s->expiries), *due = TAILQ_FIRST(&s->waiting);
    int64_t first = expires ? expires->expires : INT64_MAX;
    return due && due->due < first ? due->due : first;
}

static struct transport_state state(const struct transport *t) {
    const struct cluster *s = of(t);
    return (struct transport_state){.outstanding = s->outstanding,
                                    .resent = s->sent - s->started,
                                    .redirected = s->moved + s->asked};
}

static size_t counts(const struct transport *t, struct count counts[MOST_COUNTS]) {
    const struct cluster *s = of(t);
    uint64_t connected = 0;
    for (size_t i = 0; i < s->known; i++) connected += s->nodes[i].connected;
    const struct count all[] = {
        {"started", s->started},     {"finished", s->finished}, {"sent", s->sent},
        {"received", s->received},   {"moved", s->moved},       {"asked", s->asked},
        {"try_again", s->try_again}, {"cluster_down", s->down}, {"connected", connected},
        {"lost", s->lost},           {"redirect_bytes", s->redirect_bytes},
    };
    memcpy(counts, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void free_all(struct requests *list) {
    struct request *r;
    while ((r = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, r, place);
        free(r);
    }
}

static void close_cluster(struct transport *t) {
    struct cluster *s = of(t);
    for (size_t n = 0; n < s->known; n++) {
        for (uint32_t i = 0; i < s->connections; i++) free_all(&s->nodes[n].connections[i].line);
        node_close(&s->nodes[n]);
    }
    free_all(&s->waiting);
    free_all(&s->spare);
    if (t->fd >= 0) close(t->fd);
    free(s);
}

static const struct transport_kind kind = {start, expire, flush,  receive,
                                           next_due, state, counts, close_cluster};

struct transport *cluster_open(const struct place *nodes, size_t count,
                               const uint16_t owners[NM_GROUPS], uint32_t connections,
                               int64_t timeout, const char **wrong) {
    struct cluster *s = calloc(1, sizeof *s);
    *wrong = "out of memory";
    if (!s) return NULL;
    s->transport.kind = &kind;
    s->connections = connections;
    s->timeout = timeout;
    memcpy(s->owners, owners, sizeof s->owners);
    TAILQ_INIT(&s->dirty);
    TAILQ_INIT(&s->expiries);
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->spare);
    s->transport.fd = epoll_create1(EPOLL_CLOEXEC);
    *wrong = s->transport.fd < 0 ? "cannot watch sockets" : NULL;
    for (size_t i = 0; i < count && !*wrong; i++)
        if (find_node(s, nodes[i]) == CLUSTER_NODES) *wrong = "too many nodes, or out of memory";
    if (!*wrong) return &s->transport;
    close_cluster(&s->transport);
    return NULL;
}
