/* One port: an interface's pair of AF_PACKET sockets, the ring of what it received, and a batch of
 * what it is to send.  Only the loop touches the two. */
#pragma once

#include "faults.h"
#include "ports.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define MAX_PORTS 1024
#define RX_BATCH 64 /* frames of one port per round: bounds others' waiting time */
#define TX_BATCH 64
#define TX_ARENA (256 * 1024)

/* The ports with frames to send. */
struct port_batches {
    struct port *ports[MAX_PORTS];
    unsigned count;
};

struct port {
    struct ports *ports; /* whose it is, and what it shares with the others: */
    struct faults *faults;
    struct port_batches *batches;
    faults_deliver process;    /* takes what it received; its context is the port */
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
    bool dirty; /* invariant: among the batches exactly when pending > 0 */
    struct ports_statistics statistics;
};

/* Join an interface; 0, or a negative errno. port_close() comes after either. */
int port_open(struct port *port, unsigned ifindex);
void port_close(struct port *port);
/* Put a frame into the batch of `context`, a port; `data` lives only as long as this call. */
void port_transmit(void *context, const uint8_t *data, uint32_t length);
void port_flush(struct port *port);
/* Hand about RX_BATCH received frames on; the caller holds all locks. */
void port_drain(struct port *port);

static inline struct tpacket2_hdr *port_slot(const struct port *port)
{
    return (struct tpacket2_hdr *)(port->ring + (size_t)port->next * port->frame_bytes);
}

static inline bool port_ready(const struct port *port)
{
    return __atomic_load_n(&port_slot(port)->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}
