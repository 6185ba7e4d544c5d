/* The transport of our own service: a client session (hosts/client/core/session.h). */
#include "transport.h"

#include <stdlib.h>
#include <string.h>

struct service {
    struct transport transport;
    struct nm_session session;
};

static void completed(void *context, const struct nm_completion *c, int64_t now) {
    struct transport *t = context;
    if (c->status == NM_BY_STREAM) nm_abandon(&((struct service *)t)->session, c->seq);
    t->completed(t->context, c, now);
}

static bool start(struct transport *t, enum nm_op op, uint16_t group, const uint8_t *command,
                  size_t length, uint64_t token, int64_t now) {
    struct nm_session *s = &((struct service *)t)->session;
    struct nm_request *r = nm_prepare(s);
    if (!r) return false;
    memcpy(nm_payload(r), command, length);
    nm_start(s, r, op, group, length, token, now);
    return true;
}

static void expire(struct transport *t, int64_t now) {
    nm_expire(&((struct service *)t)->session, now);
}

static bool flush(struct transport *t, int64_t now) {
    return nm_flush(&((struct service *)t)->session, now);
}

static void receive(struct transport *t) { nm_receive(&((struct service *)t)->session); }

static int64_t next_due(const struct transport *t) {
    return nm_next_due(&((const struct service *)t)->session);
}

static struct transport_state state(const struct transport *t) {
    const struct nm_session *s = &((const struct service *)t)->session;
    return (struct transport_state){
        .outstanding = s->outstanding, .doubled = s->counts.doubled, .resent = s->counts.resent};
}

static size_t counts(const struct transport *t, struct count counts[MOST_COUNTS]) {
    const struct nm_counts *c = &((const struct service *)t)->session.counts;
    const struct count all[] = {
        {"started", c->started},   {"finished", c->finished}, {"sent", c->sent},
        {"resent", c->resent},     {"received", c->received}, {"doubled", c->doubled},
        {"asked_again", c->asked_again}, {"asked_source", c->asked_source},
        {"retried", c->retried}, {"late", c->late},
        {"ignored", c->ignored},   {"unsendable", c->unsendable},
    };
    memcpy(counts, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void close_service(struct transport *t) {
    nm_session_close(&((struct service *)t)->session);
    free(t);
}

static const struct transport_kind kind = {start, expire, flush,  receive,
                                           next_due, state, counts, close_service};

struct transport *service_open(uint32_t address, uint16_t port, uint16_t service, int64_t timeout,
                               int64_t resend_after, const char **wrong) {
    struct service *self = calloc(1, sizeof *self);
    *wrong = "out of memory";
    if (!self) return NULL;
    self->transport.kind = &kind;
    *wrong = nm_session_open(&self->session, address, port, service, timeout, resend_after,
                             completed, &self->transport);
    self->transport.fd = self->session.fd;
    if (!*wrong) return &self->transport;
    close_service(&self->transport);
    return NULL;
}
