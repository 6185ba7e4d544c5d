#include "offloads.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

/* RFC 1071.  In host order: the sum does not care, if its result goes back the same way. */
static uint16_t sum16(const uint8_t *data, uint32_t length, uint64_t sum)
{
    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof word);
        sum += word;
    }
    uint32_t rest = 0;
    memcpy(&rest, data, length);
    sum += rest;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

bool offloads_checksum(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset)
{
    if (start >= length || start + offset + 2 > length)
        return false;
    /* What is there already is the sum of the pseudo header. */
    uint16_t sum = (uint16_t)~sum16(frame + start, length - start, 0);
    if (sum == 0)
        sum = 0xffff; /* zero would mean "no checksum" in UDP */
    memcpy(frame + start + offset, &sum, sizeof sum);
    return true;
}

bool offloads_run_open(struct offloads_run *run, const uint8_t *frame, uint32_t length,
                       const struct virtio_net_hdr *offload)
{
    uint32_t udp = offload->csum_start;
    *run = (struct offloads_run){.frame = frame,
                                 .length = length,
                                 .headers = udp + (uint32_t)sizeof(struct udphdr),
                                 .network = ETH_HLEN,
                                 .size = offload->gso_size};
    run->at = run->headers;
    if (!(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !run->size || run->headers >= length ||
        offload->csum_offset != offsetof(struct udphdr, check))
        return false;
    uint16_t type;
    memcpy(&type, frame + 2 * ETH_ALEN, sizeof type);
    const uint8_t *network = frame + run->network;
    if (type == htons(ETH_P_IP))
        return udp >= run->network + sizeof(struct iphdr) && network[9] == IPPROTO_UDP &&
               udp == run->network + (network[0] & 15u) * 4;
    return type == htons(ETH_P_IPV6) && udp >= run->network + sizeof(struct ip6_hdr);
}

/* The headers of datagram `number` say how long it is, IPv4's also which one. */
static void put_lengths(const struct offloads_run *run, uint8_t *frame, uint32_t length,
                        uint32_t number)
{
    uint8_t *network = frame + run->network;
    if (network[0] >> 4 == 4) {
        struct iphdr ip;
        memcpy(&ip, network, sizeof ip);
        ip.tot_len = htons((uint16_t)(length - run->network));
        ip.id = htons((uint16_t)(ntohs(ip.id) + number));
        ip.check = 0;
        memcpy(network, &ip, sizeof ip);
        ip.check = (uint16_t)~sum16(network, ip.ihl * 4u, 0);
        memcpy(network, &ip, sizeof ip);
    } else {
        uint16_t payload = htons((uint16_t)(length - run->network - sizeof(struct ip6_hdr)));
        memcpy(network + offsetof(struct ip6_hdr, ip6_plen), &payload, sizeof payload);
    }
    struct udphdr udp;
    uint8_t *at = frame + run->headers - sizeof udp;
    memcpy(&udp, at, sizeof udp);
    uint16_t before = udp.len;
    udp.len = htons((uint16_t)(length - run->headers + sizeof udp));
    /* The pseudo header has the length too (RFC 1624). */
    uint64_t sum = (uint64_t)udp.check + (uint16_t)~before + udp.len;
    udp.check = sum16(NULL, 0, sum);
    memcpy(at, &udp, sizeof udp);
}

uint32_t offloads_run_next(struct offloads_run *run, uint8_t *frame)
{
    if (run->at >= run->length)
        return 0;
    uint32_t left = run->length - run->at, size = left < run->size ? left : run->size;
    uint32_t length = run->headers + size;
    memcpy(frame, run->frame, run->headers);
    memcpy(frame + run->headers, run->frame + run->at, size);
    put_lengths(run, frame, length, (run->at - run->headers) / run->size);
    offloads_checksum(frame, length, run->headers - (uint32_t)sizeof(struct udphdr),
                      offsetof(struct udphdr, check));
    run->at += size;
    return length;
}
