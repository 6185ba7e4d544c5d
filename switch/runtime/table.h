/* Match-action tables.
 *
 * A key is packed into 64-bit words (the compiler lays the fields out, switch/backend/keys.py). All
 * kinds of keys share one structure, tuple space search: entries with the same mask form a group,
 * all groups share one open-addressing hash of (group, masked key). An exact table has one group, an
 * LPM table one per prefix length in use, longest first, a ternary table one per distinct mask,
 * ordered by the highest priority in it, so that a lookup stops when nothing better can follow.
 * Entries that share group and masked key (they differ in priority or in ranges) form a chain, best
 * priority first.
 */
#pragma once

#include "bits.h"
#include "meter.h"

#include <stddef.h>

enum {
    P4_ENTRY_CONST = 1,
};

enum {
    P4_OK = 0,
    P4_EXISTS = 1,
    P4_NO_ENTRY = 2,
    P4_FULL = 3,
    P4_CONST = 4,
    P4_NO_MEMORY = 5,
    P4_IN_USE = 6,    /* of action profiles: entries or groups refer to it */
    P4_NO_TARGET = 7, /* no member or group of that id */
    P4_NO_ROOM = 8,   /* groups together are at the profile's size */
};

#define P4_NONE UINT32_MAX

/* One part of a key that matches a range: bits `shift`… of a word and, beyond 64 bits, the words
 * after it (`shift` is 0 then). */
struct p4_range_field {
    uint16_t word, shift, width;
};

struct p4_table_type {
    uint32_t key_words;
    uint32_t data_words;
    uint32_t size; /* most entries at a time */
    uint32_t ranges;
    const struct p4_range_field *range_fields;
    bool meter, meter_bytes; /* has a direct meter; it counts bytes */
    uint32_t profile;        /* its number + 1; 0: actions are the entries' own */
    uint32_t default_action;
    const uint64_t *default_data;
    uint32_t const_entries;
    /* per const entry: priority, action, is_const, key, mask, low and high (with ranges), data */
    const uint64_t *const_rows;
};

struct p4_entry {
    uint32_t next; /* in the chain, or in the free list */
    uint32_t group;
    int32_t priority; /* prefix length for LPM */
    uint32_t action;
    uint32_t flags;
    uint32_t in_use;
    uint64_t packets, bytes;
    uint64_t used_ns; /* time of insertion or of the last hit, for idle timeouts */
    struct p4_meter *meter;
    uint64_t words[]; /* key, low and high (with ranges), data */
};

struct p4_group {
    uint32_t id;
    int32_t priority; /* no entry in the group has a higher one */
    uint64_t count;
    uint64_t mask[];
};

struct p4_table {
    const struct p4_table_type *type;
    uint8_t *pool; /* entries, entry_size apart */
    uint64_t *slots; /* hash in the high half, entry index + 1 in the low; 0: empty */
    uint8_t *groups; /* struct p4_group, group_size apart, highest priority first */
    uint32_t entry_size, group_size;
    uint32_t slot_mask;
    uint32_t group_count;
    uint32_t used_slots;
    uint32_t pool_size, pool_used, free, count;
    uint32_t group_capacity, next_group_id;
    struct p4_entry *missed; /* the default action: not in the pool */
};

P4_INLINE struct p4_entry *p4_entry_at(const struct p4_table *t, uint32_t index)
{
    return (struct p4_entry *)(t->pool + (size_t)index * t->entry_size);
}

P4_INLINE struct p4_group *p4_group_at(const struct p4_table *t, uint32_t position)
{
    return (struct p4_group *)(t->groups + (size_t)position * t->group_size);
}

P4_INLINE uint64_t p4_mix(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

P4_INLINE uint32_t p4_key_hash(const uint64_t *key, uint32_t words, uint32_t group)
{
    uint64_t h = 0x9e3779b97f4a7c15ull + group;
    for (uint32_t i = 0; i < words; i++)
        h = p4_mix(h ^ key[i], 0xd6e8feb86659fd93ull + 2 * i);
    return (uint32_t)(h ^ h >> 32);
}

P4_INLINE bool p4_same_key(const uint64_t *a, const uint64_t *b, uint32_t words)
{
    uint64_t difference = 0;
    for (uint32_t i = 0; i < words; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

/* The chain of entries of a group with this masked key, or NULL. */
P4_INLINE struct p4_entry *p4_probe(const struct p4_table *t, const uint64_t *key, uint32_t words,
                                    uint32_t group)
{
    uint32_t hash = p4_key_hash(key, words, group);
    for (uint32_t at = hash & t->slot_mask;; at = (at + 1) & t->slot_mask) {
        uint64_t slot = t->slots[at];
        if (slot == 0)
            return NULL;
        if ((uint32_t)(slot >> 32) == hash) {
            struct p4_entry *e = p4_entry_at(t, (uint32_t)slot - 1);
            if (e->group == group && p4_same_key(e->words, key, words))
                return e;
        }
    }
}

/* An exact table has the one group 0, with full masks. */
P4_INLINE struct p4_entry *p4_lookup_exact(const struct p4_table *t, const uint64_t *key,
                                           uint32_t words)
{
    return p4_probe(t, key, words, 0);
}

P4_INLINE bool p4_less(const struct p4_range_field *f, const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = (f->width + 63u) / 64; i-- > 0;) {
        uint64_t mask = p4_mask(f->width - 64 * i);
        uint64_t x = a[f->word + i] >> f->shift & mask, y = b[f->word + i] >> f->shift & mask;
        if (x != y)
            return x < y;
    }
    return false;
}

P4_INLINE bool p4_in_ranges(const struct p4_table_type *type, const struct p4_entry *e,
                            const uint64_t *key, uint32_t words)
{
    for (uint32_t i = 0; i < type->ranges; i++) {
        const struct p4_range_field *f = &type->range_fields[i];
        const uint64_t *low = e->words + words, *high = low + words;
        if (p4_less(f, key, low) || p4_less(f, high, key))
            return false;
    }
    return true;
}

P4_INLINE struct p4_entry *p4_lookup_masked(const struct p4_table *t, const uint64_t *key,
                                            uint32_t words, bool ranges)
{
    struct p4_entry *best = NULL;
    uint64_t masked[words];
    for (uint32_t i = 0; i < t->group_count; i++) {
        const struct p4_group *g = p4_group_at(t, i);
        if (best && best->priority >= g->priority)
            break;
        for (uint32_t w = 0; w < words; w++)
            masked[w] = key[w] & g->mask[w];
        struct p4_entry *e = p4_probe(t, masked, words, g->id);
        if (ranges)
            while (e && !p4_in_ranges(t->type, e, key, words))
                e = e->next == P4_NONE ? NULL : p4_entry_at(t, e->next);
        if (e && (!best || e->priority > best->priority))
            best = e;
    }
    return best;
}

/* What a control call says of an entry; mask, low and high are NULL where the kind has none. */
struct p4_match {
    const uint64_t *key, *mask, *low, *high;
    int32_t priority;
};

bool p4_table_init(struct p4_table *t, const struct p4_table_type *type);
void p4_table_destroy(struct p4_table *t);
void p4_table_reset_default(struct p4_table *t);
struct p4_entry *p4_table_find(const struct p4_table *t, const struct p4_match *match);
int p4_table_insert(struct p4_table *t, const struct p4_match *match, uint32_t action,
                    const uint64_t *data, uint32_t flags);
int p4_table_delete(struct p4_table *t, const struct p4_match *match);
uint64_t *p4_entry_data(const struct p4_table *t, struct p4_entry *e);
const uint64_t *p4_entry_mask(const struct p4_table *t, const struct p4_entry *e);
