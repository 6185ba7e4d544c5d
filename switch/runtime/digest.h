/* Digest messages on their way to the controller: a bounded queue, the newest dropped when full. */
#pragma once

#include "bits.h"

enum { P4_DIGEST_QUEUE = 1024 };

struct p4_digest {
    struct p4_digest *next;
    uint32_t digest, words;
    uint64_t data[];
};

struct p4_digests {
    struct p4_digest *first, *last;
    uint32_t count;
    uint64_t dropped;
};

void p4_digest_add(struct p4_digests *q, uint32_t digest, const uint64_t *data, uint32_t words);
void p4_digests_clear(struct p4_digests *q);

/* Word i of a varbit's contents as a number, the lowest first. */
P4_INLINE uint64_t p4_varbit_word(const uint8_t *data, uint32_t bits, uint32_t i)
{
    uint32_t bytes = bits / 8, first = 8 * i;
    uint64_t word = 0;
    for (uint32_t at = first; at < bytes && at < first + 8; at++)
        word |= (uint64_t)data[bytes - 1 - at] << (8 * (at - first));
    return word;
}
