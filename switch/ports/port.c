#define _GNU_SOURCE
#include "port.h"

#include "offloads.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_FRAMES 4096
#define SEND_BUFFER (8 * 1024 * 1024)
#define RECEIVE_BUFFER (8 * 1024 * 1024)
#define VLAN_BYTES 4

/* ---- transmit --------------------------------------------------------------------------- */

void port_flush(struct port *port)
{
    unsigned sent = 0;
    while (sent < port->pending) {
        int result = sendmmsg(port->tx, port->messages + sent, port->pending - sent, MSG_DONTWAIT);
        if (result > 0) {
            for (int i = 0; i < result; i++)
                port->statistics.tx_bytes += port->vectors[sent + (unsigned)i].iov_len;
            port->statistics.tx_packets += (unsigned)result;
            sent += (unsigned)result;
            continue;
        }
        if (result < 0 && errno == EINTR)
            continue;
        /* The first remaining frame cannot go out: like any switch, drop it and go on. */
        if (errno == EMSGSIZE)
            port->statistics.tx_oversize++;
        else
            port->statistics.tx_dropped++;
        sent++;
    }
    port->pending = 0;
    port->arena_used = 0;
}

void port_transmit(void *context, const uint8_t *data, uint32_t length)
{
    struct port *port = context;
    if (port->pending == TX_BATCH || port->arena_used + length > TX_ARENA)
        port_flush(port);
    if (!port->dirty) {
        port->dirty = true;
        port->batches->ports[port->batches->count++] = port;
    }
    uint8_t *copy = port->arena + port->arena_used;
    memcpy(copy, data, length);
    port->vectors[port->pending].iov_base = copy;
    port->vectors[port->pending].iov_len = length;
    port->pending++;
    port->arena_used += length;
}

/* ---- receive ---------------------------------------------------------------------------- */

/* Hand on a frame as it was on the wire; there is room for a tag before it. */
static void deliver(struct port *port, const struct tpacket2_hdr *slot, uint8_t *frame,
                    uint32_t length)
{
    if (slot->tp_status & TP_STATUS_VLAN_VALID && length >= 2 * ETH_ALEN) {
        /* The kernel took the tag out; the vnet header just read leaves room to put it back. */
        uint16_t tpid = slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid : 0;
        uint16_t tag[2] = {htons(tpid ? tpid : ETH_P_8021Q), htons(slot->tp_vlan_tci)};
        memmove(frame - VLAN_BYTES, frame, 2 * ETH_ALEN);
        frame -= VLAN_BYTES;
        memcpy(frame + 2 * ETH_ALEN, tag, sizeof tag);
        length += VLAN_BYTES;
    }
    port->statistics.rx_packets++;
    port->statistics.rx_bytes += length;
    if (port->ways[PORTS_IN].active)
        faults_pass(port->faults, &port->ways[PORTS_IN], frame, length);
    else
        port->process(port, frame, length);
}

/* Read a frame that its slot was too small for. */
static uint8_t *long_frame(struct port *port, struct virtio_net_hdr *offload, uint32_t *length)
{
    static __thread uint8_t buffer[sizeof *offload + PORTS_MAX_FRAME];
    ssize_t got = recv(port->rx, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (got < (ssize_t)sizeof *offload || got > (ssize_t)sizeof buffer)
        return NULL;
    memcpy(offload, buffer, sizeof *offload);
    *length = (uint32_t)got - (uint32_t)sizeof *offload;
    return buffer + sizeof *offload;
}

/* Take what is in a slot: one frame, or several that were left to be cut up. Returns how many. */
static unsigned take(struct port *port, struct tpacket2_hdr *slot)
{
    static __thread uint8_t room[VLAN_BYTES + PORTS_MAX_FRAME];
    uint8_t *frame = (uint8_t *)slot + slot->tp_mac;
    uint32_t length = slot->tp_snaplen;
    struct virtio_net_hdr offload;
    memcpy(&offload, frame - sizeof offload, sizeof offload);
    bool whole = length == slot->tp_len;
    if (slot->tp_status & TP_STATUS_COPY) {
        frame = long_frame(port, &offload, &length);
        whole = frame && offload.gso_type != VIRTIO_NET_HDR_GSO_NONE;
    }
    struct offloads_run run;
    if (whole && offload.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
        if (offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
            if (!offloads_checksum(frame, length, offload.csum_start, offload.csum_offset)) {
                port->statistics.rx_malformed++;
                return 1;
            }
            port->statistics.rx_checksums++;
        }
        deliver(port, slot, frame, length);
        return 1;
    }
    if (!whole || offload.gso_type != VIRTIO_NET_HDR_GSO_UDP_L4 ||
        !offloads_run_open(&run, frame, length, &offload)) {
        port->statistics.rx_oversize++;
        return 1;
    }
    unsigned taken = 0;
    for (; (length = offloads_run_next(&run, room + VLAN_BYTES)); taken++) {
        port->statistics.rx_checksums++;
        deliver(port, slot, room + VLAN_BYTES, length);
    }
    return taken;
}

void port_drain(struct port *port)
{
    unsigned taken = 0;
    while (taken < RX_BATCH && port_ready(port)) {
        struct tpacket2_hdr *slot = port_slot(port);
        taken += take(port, slot);
        /* From here on the kernel owns the slot again. */
        __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        if (++port->next == port->frame_count)
            port->next = 0;
    }
}

/* ---- life ------------------------------------------------------------------------------- */

/* A receive slot must hold a whole frame of the interface's MTU, its tag and the ring's header. */
static int frame_bytes_for(int fd, const char *name, size_t *bytes)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, SIOCGIFMTU, &request) < 0)
        return -errno;
    size_t need = (size_t)request.ifr_mtu + ETH_HLEN + 2 * VLAN_BYTES + TPACKET2_HDRLEN + 64;
    if (need > PORTS_MAX_FRAME)
        need = PORTS_MAX_FRAME;
    for (*bytes = 2048; *bytes < need; *bytes *= 2)
        ;
    return 0;
}

int port_open(struct port *port, unsigned ifindex)
{
    port->rx = port->tx = -1;
    /* Protocol 0 keeps the transmitting socket from receiving; no PACKET_QDISC_BYPASS, because
     * an emulated link's rate is a qdisc on this very interface. */
    port->tx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    port->rx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (port->tx < 0 || port->rx < 0)
        return -errno;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
    if (bind(port->tx, (struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    const int send_buffer = SEND_BUFFER;
    setsockopt(port->tx, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer);

    /* Frames that do not fit a slot (take()) come by way of the socket's own buffer. */
    const int buffer = RECEIVE_BUFFER;
    setsockopt(port->rx, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);

    /* TPACKET_V2: V3 hands frames over by the block, after a timer of at least a millisecond. */
    const int version = TPACKET_V2, on = 1;
    if (setsockopt(port->rx, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(port->rx, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0 ||
        setsockopt(port->rx, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof on) < 0 ||
        setsockopt(port->rx, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0)
        return -errno;
    int error = frame_bytes_for(port->rx, port->name, &port->frame_bytes);
    if (error)
        return error;
    struct tpacket_req request = {
        .tp_block_size = (unsigned)(port->frame_bytes > 65536 ? port->frame_bytes : 65536),
        .tp_frame_size = (unsigned)port->frame_bytes,
        .tp_frame_nr = RING_FRAMES,
    };
    request.tp_block_nr =
        request.tp_frame_nr / (request.tp_block_size / request.tp_frame_size);
    if (setsockopt(port->rx, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
        return -errno;
    port->frame_count = request.tp_frame_nr;
    port->ring_bytes = (size_t)request.tp_block_size * request.tp_block_nr;
    void *ring = mmap(NULL, port->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, port->rx, 0);
    if (ring == MAP_FAILED)
        return -errno;
    port->ring = ring;

    address.sll_protocol = htons(ETH_P_ALL);
    struct packet_mreq membership = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
    if (bind(port->rx, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(port->rx, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0)
        return -errno;

    port->arena = malloc(TX_ARENA);
    if (!port->arena)
        return -ENOMEM;
    for (unsigned i = 0; i < TX_BATCH; i++) {
        port->messages[i].msg_hdr.msg_iov = &port->vectors[i];
        port->messages[i].msg_hdr.msg_iovlen = 1;
    }
    return 0;
}

void port_close(struct port *port)
{
    if (port->ring)
        munmap(port->ring, port->ring_bytes);
    if (port->rx >= 0)
        close(port->rx);
    if (port->tx >= 0)
        close(port->tx);
    free(port->arena);
    free(port);
}
