#define _GNU_SOURCE
#include "outbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../wire/outgoing.h"

/* Invariant: the queue has room for every outstanding request once its gaps are closed, so that
 * a resend cannot fail. */
bool nm_outbox_has_room(struct nm_session *s) {
    if (s->outstanding < s->queue_room) return true;
    uint32_t room = s->queue_room ? s->queue_room * 2 : NM_BATCH;
    struct nm_request **queue = realloc(s->queue, room * sizeof *queue);
    if (!queue) return false;
    s->queue = queue;
    s->queue_room = room;
    return true;
}

/* Closes the gaps that finished requests left in the send queue. */
static void close_gaps(struct nm_session *s) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->queue_length; i++) {
        if (!s->queue[i]) continue;
        s->queue[kept++] = s->queue[i];
        s->queue[kept - 1]->queued = kept;
    }
    s->queue_length = kept;
}

void nm_enqueue(struct nm_session *s, struct nm_request *r) {
    if (r->queued) return;
    if (s->queue_length == s->queue_room) close_gaps(s);
    s->queue[s->queue_length++] = r;
    r->queued = s->queue_length;
}

/* A datagram on its way out. */
struct departure {
    struct nm_request *request;
    enum nm_copy copy;
    struct sockaddr_in to;
    uint8_t header[NM_HEADER_LENGTH];
};

/* Adds one to what is to be sent, from `pieces` on. Returns how many pieces it takes. */
static size_t depart(struct departure *d, struct nm_outgoing *out, struct iovec *pieces,
                     bool runs) {
    struct nm_request *r = d->request;
    pieces[0] = (struct iovec){r->datagram, r->length};
    if (d->copy == NM_TO_SERVICE) {
        nm_outgoing_add(out, NULL, pieces, 1, runs);
        return 1;
    }
    /* Straight to the agent: what the switch writes into a double read, we write. */
    memcpy(d->header, r->datagram, NM_HEADER_LENGTH);
    nm_put16(d->header + 4, NM_DOUBLE);
    nm_put16(d->header + 10, r->source.migration);
    pieces[0] = (struct iovec){d->header, NM_HEADER_LENGTH};
    pieces[1] = (struct iovec){nm_payload(r), r->length - NM_HEADER_LENGTH};
    d->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(r->source.port)};
    d->to.sin_addr.s_addr = htonl(r->source.address);
    nm_outgoing_add(out, &d->to, pieces, 2, runs);
    return 2;
}

bool nm_flush(struct nm_session *s, int64_t now) {
    struct nm_outgoing out;
    struct departure batch[NM_BATCH];
    struct iovec pieces[2 * NM_BATCH];
    uint32_t next = 0;
    bool writable = true;
    while (writable && next < s->queue_length) {
        unsigned count = 0;
        struct iovec *piece = pieces;
        uint32_t from = next;
        out.count = 0;
        for (; next < s->queue_length && count + 2 <= NM_BATCH; next++) {
            struct nm_request *r = s->queue[next];
            if (!r) continue;
            /* Agents drop what they remember up to here, so a resend says the newest too. */
            nm_put32(r->datagram + 24, s->acked);
            for (int copy = NM_TO_SERVICE; copy <= NM_TO_SOURCE; copy <<= 1)
                if (r->copies & copy) {
                    batch[count].request = r, batch[count].copy = (enum nm_copy)copy;
                    piece += depart(&batch[count++], &out, piece, s->runs);
                }
        }
        if (!count) break;
        int sent = nm_outgoing_send(&out, s->fd, &s->runs);
        unsigned done = sent > 0 ? (unsigned)sent : 0;
        for (unsigned i = 0; i < done; i++) {
            bool again = batch[i].copy == NM_TO_SERVICE && batch[i].request->tries > 1;
            s->counts.sent++;
            s->counts.resent += again;
            s->counts.asked_source += batch[i].copy == NM_TO_SOURCE;
        }
        if (done < count && sent >= 0) {
            /* What came after the last sent one stopped the batch: the next call says why. */
        } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            writable = false;
        } else if (sent < 0 && errno == EMSGSIZE && batch[0].copy == NM_TO_SERVICE) {
            nm_finish(s, batch[0].request, NM_TOO_LARGE, 0, NULL, 0, now);
        } else if (sent < 0 && errno != EINTR && errno != ECONNREFUSED) {
            /* No route, filtered, interface down: as good as lost. ECONNREFUSED is about an
             * earlier datagram, and reading it has cleared it. */
            s->counts.unsendable++;
            done = 1;
        }
        for (unsigned i = 0; i < done; i++) {
            struct nm_request *r = batch[i].request;
            r->copies &= (uint8_t)~batch[i].copy;
            if (r->copies) continue;
            s->queue[r->queued - 1] = NULL;
            r->queued = 0;
        }
        if (done < count) next = from;
    }
    close_gaps(s);
    return s->queue_length == 0;
}
