/* What the sending stack left to a device that does not exist: UDP and TCP checksums to be put in,
 * and datagrams to be cut up (UDP_SEGMENT in udp(7)).  Here it is done as the device would. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Finish the checksum at `start` + `offset`, over all from `start` on.  False: it is not in there. */
bool offloads_checksum(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset);

/* Datagrams of one flow in one frame. */
struct offloads_run {
    const uint8_t *frame;
    uint32_t length, headers, network; /* bytes; of the headers before the data; up to IP's */
    uint32_t size, at;                 /* of the data: of each datagram, where the next one begins */
};

/* False: this is no IP frame with UDP datagrams to be cut up. */
bool offloads_run_open(struct offloads_run *run, const uint8_t *frame, uint32_t length,
                       const struct virtio_net_hdr *offload);
/* Write the next datagram's frame; return its length, 0 when there is none left. */
uint32_t offloads_run_next(struct offloads_run *run, uint8_t *frame);
