/*
 * The switch's front panel: one AF_PACKET socket pair per port and one loop that takes received
 * frames through the pipeline.  Built once, separately from any P4 program; a pipeline is three
 * function pointers and may be replaced while the loop runs.
 *
 * Threads: ports_run() is the only one that touches rings and transmit batches.  Every other
 * function may be called from any thread; what they share with the loop is behind `mutex`.
 */
#define _GNU_SOURCE
#include "ports.h"

#include "awake.h"
#include "offloads.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PORTS 1024
#define RX_BATCH 64                /* frames of one port per round: bounds others' waiting time */
#define TX_BATCH 64
#define TX_ARENA (256 * 1024)
#define RING_FRAMES 4096
#define SEND_BUFFER (8 * 1024 * 1024)
#define RECEIVE_BUFFER (8 * 1024 * 1024)
#define QUEUE_BYTES (4 * 1024 * 1024)
#define VLAN_BYTES 4
#define TURN_NS 100000             /* the shortest that Linux grants */

/* A bounded queue of frames between the loop and Python: [u32 port][u32 length][bytes]... */
struct queue {
    uint8_t *data;
    size_t head, tail; /* used == bytes between tail and head, modulo size */
    size_t used;       /* written under mutex; the loop peeks at it without */
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    bool closed;
};

struct port {
    struct ports *ports;
    struct faults_way ways[2]; /* by enum ports_direction */
    uint32_t number;
    char name[IF_NAMESIZE];
    int rx, tx;
    uint8_t *ring;
    size_t ring_bytes, frame_bytes;
    unsigned frame_count, next;
    struct mmsghdr messages[TX_BATCH];
    struct iovec vectors[TX_BATCH];
    uint8_t *arena;
    size_t arena_used;
    unsigned pending;
    bool dirty; /* invariant: on the loop's dirty list exactly when pending > 0 */
    struct ports_statistics statistics;
};

struct ports {
    struct port *all[MAX_PORTS];
    struct port *by_number[MAX_PORTS];
    unsigned count;
    struct port *dirty[MAX_PORTS];
    unsigned dirty_count;
    uint32_t cpu_port;
    int epoll, wake;
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards pipeline; held by the loop for one batch at a time */
    struct ports_pipeline pipeline;
    struct ports_totals totals;
    struct queue to_cpu, from_cpu;
    struct faults faults; /* the frames that injected faults hold back; the loop's own */
    struct awake awake;   /* the loop's own */
};

/* ---- queue ------------------------------------------------------------------------------ */

static int queue_open(struct queue *queue)
{
    queue->data = malloc(QUEUE_BYTES);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    return queue->data ? 0 : -ENOMEM;
}

static void queue_close(struct queue *queue)
{
    free(queue->data);
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->filled);
}

static void queue_copy_in(struct queue *queue, const void *bytes, size_t length)
{
    size_t first = QUEUE_BYTES - queue->head < length ? QUEUE_BYTES - queue->head : length;
    memcpy(queue->data + queue->head, bytes, first);
    memcpy(queue->data, (const uint8_t *)bytes + first, length - first);
    queue->head = (queue->head + length) % QUEUE_BYTES;
    __atomic_store_n(&queue->used, queue->used + length, __ATOMIC_RELAXED);
}

static void queue_copy_out(struct queue *queue, void *bytes, size_t length)
{
    size_t first = QUEUE_BYTES - queue->tail < length ? QUEUE_BYTES - queue->tail : length;
    memcpy(bytes, queue->data + queue->tail, first);
    memcpy((uint8_t *)bytes + first, queue->data, length - first);
    queue->tail = (queue->tail + length) % QUEUE_BYTES;
    __atomic_store_n(&queue->used, queue->used - length, __ATOMIC_RELAXED);
}

static bool queue_put(struct queue *queue, uint32_t port, const uint8_t *data, uint32_t length)
{
    const uint32_t header[2] = {port, length};
    pthread_mutex_lock(&queue->mutex);
    bool fits = !queue->closed && sizeof header + length <= QUEUE_BYTES - queue->used;
    if (fits) {
        queue_copy_in(queue, header, sizeof header);
        queue_copy_in(queue, data, length);
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->mutex);
    return fits;
}

/* Take one frame; `capacity` is never smaller than a frame that was put. */
static int queue_take(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity)
{
    uint32_t header[2];
    if (queue->used == 0)
        return 0;
    queue_copy_out(queue, header, sizeof header);
    if (header[1] > capacity)
        abort();
    queue_copy_out(queue, data, header[1]);
    *port = header[0];
    return (int)header[1];
}

/* ---- transmit --------------------------------------------------------------------------- */

static void port_flush(struct port *port)
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

/* Put a frame into its port's batch; `data` lives only as long as this call. */
static void transmit(void *context, const uint8_t *data, uint32_t length)
{
    struct port *port = context;
    if (port->pending == TX_BATCH || port->arena_used + length > TX_ARENA)
        port_flush(port);
    if (!port->dirty) {
        port->dirty = true;
        port->ports->dirty[port->ports->dirty_count++] = port;
    }
    uint8_t *copy = port->arena + port->arena_used;
    memcpy(copy, data, length);
    port->vectors[port->pending].iov_base = copy;
    port->vectors[port->pending].iov_len = length;
    port->pending++;
    port->arena_used += length;
}

static void emit(void *context, uint32_t number, const uint8_t *data, uint32_t length)
{
    struct ports *ports = context;
    if (number == ports->cpu_port) {
        if (queue_put(&ports->to_cpu, number, data, length))
            ports->totals.cpu_packets++;
        else
            ports->totals.cpu_dropped++;
        return;
    }
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port) {
        ports->totals.unknown_port++;
        return;
    }
    if (length > TX_ARENA) {
        port->statistics.tx_oversize++;
        return;
    }
    if (port->ways[PORTS_OUT].active)
        faults_pass(&ports->faults, &port->ways[PORTS_OUT], data, length);
    else
        transmit(port, data, length);
}

static void flush_dirty(struct ports *ports)
{
    for (unsigned i = 0; i < ports->dirty_count; i++) {
        ports->dirty[i]->dirty = false;
        port_flush(ports->dirty[i]);
    }
    ports->dirty_count = 0;
}

/* ---- receive ---------------------------------------------------------------------------- */

static inline struct tpacket2_hdr *ring_head(const struct port *port)
{
    return (struct tpacket2_hdr *)(port->ring + (size_t)port->next * port->frame_bytes);
}

static inline bool ring_ready(const struct port *port)
{
    return __atomic_load_n(&ring_head(port)->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void process(void *context, const uint8_t *frame, uint32_t length)
{
    struct port *port = context;
    struct ports *ports = port->ports;
    if (ports->pipeline.process)
        ports->pipeline.process(ports->pipeline.context, port->number, frame, length, emit, ports);
    else
        ports->totals.no_pipeline++;
}

/* Hand a frame as it was on the wire to the pipeline; there is room for a tag before it. */
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
        faults_pass(&port->ports->faults, &port->ways[PORTS_IN], frame, length);
    else
        process(port, frame, length);
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

/* Hand about RX_BATCH frames of one port to the pipeline; the caller holds all locks. */
static unsigned port_drain(struct port *port)
{
    unsigned taken = 0;
    while (taken < RX_BATCH && ring_ready(port)) {
        struct tpacket2_hdr *slot = ring_head(port);
        taken += take(port, slot);
        /* From here on the kernel owns the slot again. */
        __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        if (++port->next == port->frame_count)
            port->next = 0;
    }
    return taken;
}

static unsigned drain_injected(struct ports *ports)
{
    static __thread uint8_t frame[PORTS_MAX_FRAME];
    unsigned taken = 0;
    for (; taken < RX_BATCH; taken++) {
        uint32_t port;
        pthread_mutex_lock(&ports->from_cpu.mutex);
        int length = queue_take(&ports->from_cpu, &port, frame, sizeof frame);
        pthread_mutex_unlock(&ports->from_cpu.mutex);
        if (length == 0)
            break;
        if (ports->pipeline.process)
            ports->pipeline.process(ports->pipeline.context, port, frame, (uint32_t)length, emit,
                                    ports);
        else
            ports->totals.no_pipeline++;
    }
    return taken;
}

static bool any_ready(const struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++)
        if (ring_ready(ports->all[i]))
            return true;
    return __atomic_load_n(&ports->from_cpu.used, __ATOMIC_RELAXED) > 0;
}

/* Wait for at most `longest` nanoseconds, rounded up to milliseconds; -1: for ever. */
static void wait_for_frames(struct ports *ports, int64_t longest)
{
    struct epoll_event events[16];
    int timeout = longest < 0 ? -1 : (int)((longest + 999999) / 1000000);
    bool lingers = ports->awake.held && (timeout < 0 || timeout > AWAKE_LINGER_MS);
    int ready = epoll_wait(ports->epoll, events, 16, lingers ? AWAKE_LINGER_MS : timeout);
    if (ready > 0)
        awake_hold(&ports->awake);
    else if (ready == 0 && lingers)
        awake_release(&ports->awake);
    for (int i = 0; i < ready; i++) {
        struct port *port = events[i].data.ptr;
        if (!port) {
            uint64_t count;
            if (read(ports->wake, &count, sizeof count) < 0 && errno != EAGAIN)
                return;
        } else if (events[i].events & EPOLLERR) {
            /* The interface went down: reading the error clears it, and when the interface
             * comes up again the kernel hooks the socket in again by itself. */
            int error;
            socklen_t size = sizeof error;
            getsockopt(port->rx, SOL_SOCKET, SO_ERROR, &error, &size);
            port->statistics.link_errors++;
        }
    }
}

/* Ask for short turns on the processor: whoever does runs the sooner when a frame wakes it, for the
 * same share in all.  Linux before 6.12 takes no notice, and a refusal costs nothing but that. */
static void take_short_turns(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof attributes}; /* struct sched_attr, version 0 */
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0 ||
        attributes.policy != SCHED_OTHER)
        return;
    attributes.runtime = TURN_NS;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void ports_run(struct ports *ports)
{
    take_short_turns();
    while (!atomic_load_explicit(&ports->stop, memory_order_relaxed)) {
        int64_t due = faults_due(&ports->faults);
        if (due && !any_ready(ports)) {
            wait_for_frames(ports, due);
            continue;
        }
        pthread_mutex_lock(&ports->mutex);
        struct ports_pipeline *pipeline = &ports->pipeline;
        if (pipeline->process)
            pipeline->lock(pipeline->context);
        for (unsigned i = 0; i < ports->count; i++)
            port_drain(ports->all[i]);
        drain_injected(ports);
        if (due == 0)
            faults_release(&ports->faults);
        if (pipeline->process)
            pipeline->unlock(pipeline->context);
        pthread_mutex_unlock(&ports->mutex);
        flush_dirty(ports);
    }
    awake_release(&ports->awake);
}

/* ---- life ------------------------------------------------------------------------------- */

struct ports *ports_open(uint32_t cpu_port)
{
    struct ports *ports = calloc(1, sizeof *ports);
    if (!ports)
        return NULL;
    ports->cpu_port = cpu_port;
    pthread_mutex_init(&ports->mutex, NULL);
    ports->epoll = epoll_create1(EPOLL_CLOEXEC);
    ports->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int failed = ports->epoll < 0 || ports->wake < 0 ||
                 epoll_ctl(ports->epoll, EPOLL_CTL_ADD, ports->wake, &event) < 0;
    failed |= queue_open(&ports->to_cpu) | queue_open(&ports->from_cpu);
    if (failed) {
        ports_close(ports);
        return NULL;
    }
    return ports;
}

static void port_close(struct port *port)
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

void ports_close(struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++)
        port_close(ports->all[i]);
    if (ports->epoll >= 0)
        close(ports->epoll);
    if (ports->wake >= 0)
        close(ports->wake);
    queue_close(&ports->to_cpu);
    queue_close(&ports->from_cpu);
    faults_free(&ports->faults);
    pthread_mutex_destroy(&ports->mutex);
    free(ports);
}

static void wake(struct ports *ports)
{
    const uint64_t one = 1;
    while (write(ports->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void ports_stop(struct ports *ports)
{
    atomic_store(&ports->stop, true);
    wake(ports);
    pthread_mutex_lock(&ports->to_cpu.mutex);
    ports->to_cpu.closed = true;
    pthread_cond_broadcast(&ports->to_cpu.filled);
    pthread_mutex_unlock(&ports->to_cpu.mutex);
}

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

static int port_set_up(struct port *port, unsigned ifindex)
{
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

int ports_add(struct ports *ports, uint32_t number, const char *interface)
{
    unsigned ifindex = if_nametoindex(interface);
    if (ifindex == 0)
        return -ENODEV;
    if (number >= MAX_PORTS || number == ports->cpu_port || ports->count == MAX_PORTS)
        return -EINVAL;
    if (ports->by_number[number])
        return -EEXIST;
    struct port *port = calloc(1, sizeof *port);
    if (!port)
        return -ENOMEM;
    port->ports = ports;
    port->number = number;
    port->rx = port->tx = -1;
    faults_init(&port->ways[PORTS_IN], process, port);
    faults_init(&port->ways[PORTS_OUT], transmit, port);
    for (unsigned direction = 0; direction < 2; direction++)
        faults_seed(&port->ways[direction], 0, number, direction);
    snprintf(port->name, sizeof port->name, "%s", interface);
    int error = port_set_up(port, ifindex);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
    if (!error && epoll_ctl(ports->epoll, EPOLL_CTL_ADD, port->rx, &event) < 0)
        error = -errno;
    if (error) {
        port_close(port);
        return error;
    }
    ports->all[ports->count++] = port;
    ports->by_number[number] = port;
    return 0;
}

void ports_keep_awake(struct ports *ports)
{
    ports->awake.wanted = true;
}

/* ---- while running ---------------------------------------------------------------------- */

void ports_set_pipeline(struct ports *ports, const struct ports_pipeline *pipeline)
{
    /* Once this returns, the loop is between batches of the new pipeline: the old one is free. */
    pthread_mutex_lock(&ports->mutex);
    ports->pipeline = *pipeline;
    pthread_mutex_unlock(&ports->mutex);
}

int ports_inject(struct ports *ports, uint32_t port, const uint8_t *data, uint32_t length)
{
    if (length > PORTS_MAX_FRAME)
        return -EMSGSIZE;
    if (!queue_put(&ports->from_cpu, port, data, length))
        return -ENOBUFS;
    wake(ports);
    return 0;
}

int ports_receive(struct ports *ports, uint8_t *data, uint32_t capacity)
{
    struct queue *queue = &ports->to_cpu;
    uint32_t port;
    pthread_mutex_lock(&queue->mutex);
    while (queue->used == 0 && !queue->closed)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    int length = queue->used ? queue_take(queue, &port, data, capacity) : -1;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}

int ports_get_statistics(struct ports *ports, uint32_t number, struct ports_statistics *statistics)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    struct tpacket_stats kernel;
    socklen_t size = sizeof kernel;
    pthread_mutex_lock(&ports->mutex);
    /* The kernel's counters restart at every reading. */
    if (getsockopt(port->rx, SOL_PACKET, PACKET_STATISTICS, &kernel, &size) == 0)
        port->statistics.rx_dropped += kernel.tp_drops;
    *statistics = port->statistics;
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}

void ports_get_totals(struct ports *ports, struct ports_totals *totals)
{
    pthread_mutex_lock(&ports->mutex);
    *totals = ports->totals;
    pthread_mutex_unlock(&ports->mutex);
}

void ports_seed_faults(struct ports *ports, uint64_t seed)
{
    pthread_mutex_lock(&ports->mutex);
    for (unsigned i = 0; i < ports->count; i++)
        for (unsigned direction = 0; direction < 2; direction++)
            faults_seed(&ports->all[i]->ways[direction], seed, ports->all[i]->number, direction);
    pthread_mutex_unlock(&ports->mutex);
}

int ports_set_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     const struct faults_rates *rates)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    pthread_mutex_lock(&ports->mutex);
    faults_set(&port->ways[direction], rates);
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}

int ports_get_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     struct faults_counts *counts)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    pthread_mutex_lock(&ports->mutex);
    *counts = port->ways[direction].counts;
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}
