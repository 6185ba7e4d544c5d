/* The wire format for the compiled parts of the hosts; hosts/wire/header.py is the same in Python.
 *
 * Fields are big-endian and unaligned in the datagram, so they are read byte by byte: compilers
 * turn each accessor into one load and one byte swap. */
#ifndef NETMIGRATE_WIRE_H
#define NETMIGRATE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NM_MAGIC = 0x4e4d, NM_VERSION = 1, NM_HEADER_LENGTH = 28, NM_CONTROL_LENGTH = 6 };
enum { NM_MOVING_LENGTH = 12, NM_STREAM_LENGTH = 6, NM_GROUPS = 16384 };

enum nm_op {
    NM_READ = 1,
    NM_WRITE = 2,
    NM_REPLY = 3,
    NM_GROUP_START = 4,
    NM_GROUP_COMPLETE = 5,
    NM_GROUP_ACK = 6,
};

enum nm_flag {
    NM_DOUBLE = 1 << 0,
    NM_ONGOING = 1 << 1,
    NM_AUTHORITATIVE = 1 << 2,
    NM_FOUND = 1 << 3,
    NM_FROM_SOURCE = 1 << 4,
    NM_GONE = 1 << 5,
    NM_ERROR = 1 << 6,
    NM_FORWARDED = 1 << 7,
    /* the payload says after how many microseconds, 32 bits */
    NM_RETRY = 1 << 8,
    /* of a reply: struct nm_moving follows the payload; of a request: it is wanted */
    NM_MOVING = 1 << 9,
    /* the payload is an agent's struct nm_stream, at which what fits no datagram is to be had; of a
     * READ without a payload: it is wanted */
    NM_LONG = 1 << 10,
};

struct nm_header {
    uint8_t op;
    uint16_t flags, service, group, migration;
    uint64_t client;
    uint32_t seq, acked;
};

static inline uint16_t nm_get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t nm_get32(const uint8_t *p) {
    return (uint32_t)nm_get16(p) << 16 | nm_get16(p + 2);
}
static inline uint64_t nm_get64(const uint8_t *p) {
    return (uint64_t)nm_get32(p) << 32 | nm_get32(p + 4);
}
static inline void nm_put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static inline void nm_put32(uint8_t *p, uint32_t v) {
    nm_put16(p, (uint16_t)(v >> 16)), nm_put16(p + 2, (uint16_t)v);
}
static inline void nm_put64(uint8_t *p, uint64_t v) {
    nm_put32(p, (uint32_t)(v >> 32)), nm_put32(p + 4, (uint32_t)v);
}

/* Parses the header at the start of a datagram. Returns NULL if it is one, else what is wrong. */
static inline const char *nm_header_get(struct nm_header *h, const uint8_t *p, size_t length) {
    if (length < NM_HEADER_LENGTH) return "datagram shorter than the 28-byte header";
    if (nm_get16(p) != NM_MAGIC) return "wrong magic";
    if (p[2] != NM_VERSION) return "unknown version";
    if (p[3] < NM_READ || p[3] > NM_GROUP_ACK) return "unknown op";
    h->op = p[3];
    h->flags = nm_get16(p + 4);
    h->service = nm_get16(p + 6);
    h->group = nm_get16(p + 8);
    h->migration = nm_get16(p + 10);
    h->client = nm_get64(p + 12);
    h->seq = nm_get32(p + 20);
    h->acked = nm_get32(p + 24);
    return h->group < NM_GROUPS ? NULL : "group beyond 16383";
}

static inline void nm_header_put(uint8_t *p, const struct nm_header *h) {
    nm_put16(p, NM_MAGIC);
    p[2] = NM_VERSION;
    p[3] = h->op;
    nm_put16(p + 4, h->flags);
    nm_put16(p + 6, h->service);
    nm_put16(p + 8, h->group);
    nm_put16(p + 10, h->migration);
    nm_put64(p + 12, h->client);
    nm_put32(p + 20, h->seq);
    nm_put32(p + 24, h->acked);
}

/* Groups that may still be at the source of a migration, and where that agent is. No port: none. */
struct nm_moving {
    uint16_t migration;
    uint32_t address;
    uint16_t port, first, last;
};

/* Where an agent takes requests by TCP. */
struct nm_stream {
    uint32_t address;
    uint16_t port;
};

/* Parses the NM_MOVING_LENGTH bytes at the end of a reply. False: they name no range of groups. */
static inline bool nm_moving_get(struct nm_moving *m, const uint8_t *p) {
    *m = (struct nm_moving){nm_get16(p), nm_get32(p + 2), nm_get16(p + 6), nm_get16(p + 8),
                            nm_get16(p + 10)};
    return m->first <= m->last && m->last < NM_GROUPS;
}

/* CRC16/XMODEM, bit by bit turned into a 16-entry table: keys are short and the table stays in L1. */
static inline uint16_t nm_crc16(const uint8_t *p, size_t length) {
    static const uint16_t nibble[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    uint16_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc = (uint16_t)(crc << 4) ^ nibble[(crc >> 12 ^ p[i] >> 4) & 15];
        crc = (uint16_t)(crc << 4) ^ nibble[(crc >> 12 ^ p[i]) & 15];
    }
    return crc;
}

/* The group of a key: CRC16 of its first non-empty {hash tag}, or of all of it, modulo 16384. */
static inline uint16_t nm_group(const uint8_t *key, size_t length) {
    size_t open = 0;
    while (open < length && key[open] != '{') open++;
    if (open < length) {
        size_t close = open + 1;
        while (close < length && key[close] != '}') close++;
        if (close < length && close > open + 1)
            return nm_crc16(key + open + 1, close - open - 1) % NM_GROUPS;
    }
    return nm_crc16(key, length) % NM_GROUPS;
}

#endif
