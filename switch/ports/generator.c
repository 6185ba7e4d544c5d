/*
 * A traffic source and sink for measuring: sends prebuilt frames on one interface and counts what
 * comes back on another (or the same) one.  One thread does both, so a benchmark of the switch
 * needs no more than one further core.
 */
#define _GNU_SOURCE
#include "generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define RING_FRAMES 32768
#define FRAME_BYTES 256 /* only the head of a received frame is kept: it is counted, not read */
#define SNAP_BYTES 64
#define BLOCK_BYTES 65536
#define SEND_BUFFER (8 * 1024 * 1024)

struct generator {
    int tx, rx;
    uint8_t *ring;
    unsigned next;
    uint64_t received, received_bytes, last_received;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int set_up(struct generator *generator, unsigned transmit, unsigned receive)
{
    generator->tx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    generator->rx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (generator->tx < 0 || generator->rx < 0)
        return -1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)transmit};
    const int on = 1, version = TPACKET_V2, send_buffer = SEND_BUFFER;
    setsockopt(generator->tx, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer);
    setsockopt(generator->tx, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    if (bind(generator->tx, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;

    struct sock_filter truncate[] = {BPF_STMT(BPF_RET | BPF_K, SNAP_BYTES)};
    const struct sock_fprog filter = {.len = 1, .filter = truncate};
    const struct tpacket_req request = {
        .tp_block_size = BLOCK_BYTES,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = RING_FRAMES,
        .tp_block_nr = RING_FRAMES / (BLOCK_BYTES / FRAME_BYTES),
    };
    if (setsockopt(generator->rx, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(generator->rx, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
        setsockopt(generator->rx, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ||
        setsockopt(generator->rx, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
        return -1;
    void *ring = mmap(NULL, (size_t)RING_FRAMES * FRAME_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      generator->rx, 0);
    if (ring == MAP_FAILED)
        return -1;
    generator->ring = ring;
    address.sll_ifindex = (int)receive;
    address.sll_protocol = htons(ETH_P_ALL);
    return bind(generator->rx, (struct sockaddr *)&address, sizeof address);
}

struct generator *generator_open(const char *transmit, const char *receive)
{
    unsigned out = if_nametoindex(transmit), in = if_nametoindex(receive);
    if (!out || !in)
        return NULL;
    struct generator *generator = calloc(1, sizeof *generator);
    if (!generator)
        return NULL;
    generator->tx = generator->rx = -1;
    if (set_up(generator, out, in) < 0) {
        int error = errno;
        generator_close(generator);
        errno = error;
        return NULL;
    }
    return generator;
}

void generator_close(struct generator *generator)
{
    if (generator->ring)
        munmap(generator->ring, (size_t)RING_FRAMES * FRAME_BYTES);
    if (generator->rx >= 0)
        close(generator->rx);
    if (generator->tx >= 0)
        close(generator->tx);
    free(generator);
}

/* Count and free all frames received so far. */
static bool drain(struct generator *generator)
{
    bool any = false;
    for (;;) {
        struct tpacket2_hdr *header =
            (struct tpacket2_hdr *)(generator->ring + (size_t)generator->next * FRAME_BYTES);
        if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        generator->received++;
        generator->received_bytes += header->tp_len;
        __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        generator->next = (generator->next + 1) % RING_FRAMES;
        any = true;
    }
    if (any)
        generator->last_received = now_ns();
    return any;
}

static void forget_received(struct generator *generator)
{
    drain(generator);
    generator->received = generator->received_bytes = generator->last_received = 0;
}

int generator_flood(struct generator *generator, const uint8_t *frames, const uint32_t *lengths,
                    uint32_t count, uint64_t duration_ns, uint64_t rate, uint64_t settle_ns,
                    struct generator_result *result)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec vectors[BATCH];
    const uint8_t **starts = malloc(count * sizeof *starts);
    if (!starts)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; frames += lengths[i], i++)
        starts[i] = frames;
    for (unsigned i = 0; i < BATCH; i++) {
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    forget_received(generator);
    int error = 0;
    uint64_t sent = 0, started = now_ns(), now = started;
    uint32_t position = 0;
    while (now - started < duration_ns) {
        uint64_t due = rate ? (uint64_t)((double)(now - started) * 1e-9 * (double)rate) + 1 - sent
                            : BATCH;
        unsigned batch = due < BATCH ? (unsigned)due : BATCH;
        for (unsigned i = 0; i < batch; i++) {
            vectors[i].iov_base = (void *)starts[(position + i) % count];
            vectors[i].iov_len = lengths[(position + i) % count];
        }
        int done = batch ? sendmmsg(generator->tx, messages, batch, 0) : 0;
        if (done < 0 && errno != EINTR && errno != ENOBUFS) {
            error = -errno;
            break;
        }
        if (done > 0) {
            sent += (unsigned)done;
            position = (position + (unsigned)done) % count;
        }
        drain(generator);
        now = now_ns();
    }
    result->sent = sent;
    result->send_ns = now_ns() - started;
    uint64_t quiet_since = now_ns();
    while (!error && now_ns() - quiet_since < settle_ns)
        if (drain(generator))
            quiet_since = now_ns();
    result->received = generator->received;
    result->received_bytes = generator->received_bytes;
    result->nanoseconds = generator->last_received ? generator->last_received - started : 0;
    free(starts);
    return error;
}

static void spin_until(uint64_t when)
{
    while (now_ns() < when)
        ;
}

int generator_ping(struct generator *generator, const uint8_t *frame, uint32_t length,
                   uint32_t count, uint64_t gap_ns, uint64_t timeout_ns, uint64_t *round_trips)
{
    for (uint32_t i = 0; i < count; i++) {
        forget_received(generator);
        uint64_t sent = now_ns();
        if (send(generator->tx, frame, length, 0) < 0)
            return -errno;
        while (!drain(generator) && now_ns() - sent < timeout_ns)
            ;
        round_trips[i] = generator->received ? generator->last_received - sent : 0;
        spin_until(now_ns() + gap_ns);
    }
    return 0;
}
