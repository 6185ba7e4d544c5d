/* The journal's file: magic(8), which of two halves counts(8), the tail of each (8, all in host
 * order), then the halves. In one, up to its tail, are entries
 *     check(4) length(4) kind(1) body(length)
 * with big-endian numbers. Invariants: what is before a tail is whole, for the tail is stored after
 * it; entries may be taken twice; no entry is added between the INTENT and the RECORDS of a write but
 * those of its batch. When a half is full, what is still true of it is written to the other one,
 * which counts from then on; where that is too small, to a new file, which takes the name. */
#ifndef NETMIGRATE_JOURNAL_H
#define NETMIGRATE_JOURNAL_H

#include "core.h"

#include <string.h>

#define JOURNAL_MAGIC "NMjrnl\0\3"

enum {
    COUNTS = 8, /* offsets */
    TAILS = 16,
    FILE_HEAD = 32,
    ENTRY_HEAD = 9,
    SPARE = 4,      /* a half is at least this many times as long as what it begins with */
    SMALL = 64,     /* an entry about a group, with its head */
};

enum kind {
    INTENT = 1, /* client(8) seq(4) acked(4) group(2): this write may be executed from here on */
    RECORDS,    /* group(2), completion records as in PREPARE */
    MARKS,      /* watermarks as in WATERMARKS */
    DROP,       /* group(2): its records are not needed any more */
    NEWER,      /* group(2), key: what the source has of it does not count (invariant 4) */
    ARRIVED,    /* group(2): every key is here */
    OVER,       /* group(2): it is not IMMIGRATING any more */
    CLEARED,    /* group(2) migration(2): copies may be written for that migration; 0: none */
};

static inline uint64_t entry_mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Tells an entry from what a disk or a stranger made of it. */
static inline uint32_t entry_check(const uint8_t *entry) {
    const uint8_t *p = entry + 4;
    size_t left = ENTRY_HEAD - 4 + (size_t)nm_get32(p);
    uint64_t h = left, word = 0;
    for (; left >= sizeof word; p += sizeof word, left -= sizeof word) {
        memcpy(&word, p, sizeof word);
        h = entry_mix(h, word);
    }
    word = 0;
    memcpy(&word, p, left);
    return (uint32_t)(entry_mix(h, word) >> 32);
}

static inline size_t half_begin(const struct journal *j, size_t half) {
    return FILE_HEAD + half * ((j->size - FILE_HEAD) / 2);
}

static inline size_t half_end(const struct journal *j, size_t half) {
    return half_begin(j, half + 1);
}

static inline void entry_finish(uint8_t *entry) { nm_put32(entry, entry_check(entry)); }

static inline uint8_t *entry_begin(uint8_t *entry, enum kind kind, size_t length) {
    nm_put32(entry + 4, (uint32_t)length);
    entry[8] = kind;
    return entry + ENTRY_HEAD;
}

/* From here on all that was added survives. */
static inline void journal_publish(struct journal *j) {
    if (j->map)
        __atomic_store_n((uint64_t *)(j->map + TAILS) + j->half, j->tail, __ATOMIC_RELEASE);
}

/* journal_replay.c: takes every entry; returns where one is damaged, -1: nowhere. */
Py_ssize_t journal_replay(Core *core, const uint8_t *file, size_t size);

#endif
