/* Datagrams on their way out, handed to the kernel in as few messages as it takes.
 *
 * Those that follow one another to one address and are equally long (the last may be shorter) are
 * one message, a run: it goes through the kernel's stack once and is cut up at the device
 * (UDP_SEGMENT, udp(7)). On the wire nothing is different. */
#ifndef NETMIGRATE_OUTGOING_H
#define NETMIGRATE_OUTGOING_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef UDP_SEGMENT /* <linux/udp.h>, which clashes with <netinet/udp.h> */
#define UDP_SEGMENT 103
#endif

enum { NM_OUTGOING = 256, NM_RUN = 64, NM_RUN_BYTES = 65000 };

struct nm_run {
    unsigned datagrams;
    size_t size, bytes; /* of its first datagram, of all */
    bool closed;        /* its last datagram is shorter than the first */
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
};

struct nm_outgoing {
    unsigned count; /* messages; at most NM_OUTGOING datagrams are added */
    struct mmsghdr messages[NM_OUTGOING];
    struct nm_run runs[NM_OUTGOING];
};

static inline bool nm_same_address(const struct sockaddr_in *a, const struct sockaddr_in *b) {
    if (!a || !b) return a == b;
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* Makes the last message longer by one datagram. False: it cannot be part of that run. */
static inline bool nm_outgoing_join(struct nm_outgoing *o, const struct sockaddr_in *to,
                                    const struct iovec *pieces, size_t count, size_t length) {
    if (!o->count) return false;
    struct msghdr *m = &o->messages[o->count - 1].msg_hdr;
    struct nm_run *run = &o->runs[o->count - 1];
    if (run->closed || length > run->size || run->datagrams == NM_RUN ||
        run->bytes + length > NM_RUN_BYTES || m->msg_iov + m->msg_iovlen != pieces ||
        !nm_same_address(m->msg_name, to))
        return false;
    m->msg_iovlen += count;
    m->msg_control = run->control, m->msg_controllen = sizeof run->control;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    uint16_t size = (uint16_t)run->size;
    c->cmsg_level = IPPROTO_UDP, c->cmsg_type = UDP_SEGMENT, c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
    run->datagrams++, run->bytes += length;
    run->closed = length < run->size;
    return true;
}

/* Adds the datagram that `pieces` make up, to `to` (NULL: the socket is connected). A run needs its
 * datagrams' pieces to lie behind one another. */
static inline void nm_outgoing_add(struct nm_outgoing *o, struct sockaddr_in *to,
                                   struct iovec *pieces, size_t count, bool runs) {
    size_t length = 0;
    for (size_t i = 0; i < count; i++) length += pieces[i].iov_len;
    if (runs && nm_outgoing_join(o, to, pieces, count, length)) return;
    o->messages[o->count].msg_hdr = (struct msghdr){
        .msg_name = to, .msg_namelen = to ? sizeof *to : 0, .msg_iov = pieces, .msg_iovlen = count};
    struct nm_run *run = &o->runs[o->count++];
    run->datagrams = 1, run->size = run->bytes = length, run->closed = false;
}

/* Returns how many datagrams were sent; -1: not even the first one, errno says why. Where the
 * kernel or the path takes no runs, clears `*runs`: what was not sent is then to be added anew. */
static inline int nm_outgoing_send(struct nm_outgoing *o, int fd, bool *runs) {
    int sent = sendmmsg(fd, o->messages, o->count, 0), datagrams = 0;
    for (int i = 0; i < sent; i++) datagrams += (int)o->runs[i].datagrams;
    if (sent >= 0) return datagrams;
    bool refused = errno == EINVAL || errno == EIO || errno == EMSGSIZE || errno == EOPNOTSUPP;
    if (!refused || o->runs[0].datagrams == 1) return -1;
    *runs = false;
    return 0;
}

#endif
