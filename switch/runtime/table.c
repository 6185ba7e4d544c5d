/* Changing tables: entries, their groups and the hash over them. The caller holds the lock. */
#include "table.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 16, FIRST_POOL = 8 };

static uint32_t words_before_data(const struct p4_table_type *type)
{
    return type->key_words * (type->ranges ? 3 : 1);
}

uint64_t *p4_entry_data(const struct p4_table *t, struct p4_entry *e)
{
    return e->words + words_before_data(t->type);
}

static struct p4_group *group_by_id(const struct p4_table *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->group_count; i++)
        if (p4_group_at(t, i)->id == id)
            return p4_group_at(t, i);
    return NULL;
}

const uint64_t *p4_entry_mask(const struct p4_table *t, const struct p4_entry *e)
{
    return group_by_id(t, e->group)->mask;
}

/* --- groups: sorted by priority, highest first ------------------------------------------------ */

static struct p4_group *find_group(const struct p4_table *t, const uint64_t *mask)
{
    for (uint32_t i = 0; i < t->group_count; i++) {
        struct p4_group *g = p4_group_at(t, i);
        if (p4_same_key(g->mask, mask, t->type->key_words))
            return g;
    }
    return NULL;
}

static bool id_in_use(const struct p4_table *t, uint32_t id)
{
    return group_by_id(t, id) != NULL;
}

/* Move the group at `from` to where its priority belongs. */
static struct p4_group *sort_group(struct p4_table *t, uint32_t from)
{
    uint64_t copy[t->group_size / 8];
    memcpy(copy, p4_group_at(t, from), t->group_size);
    int32_t priority = ((struct p4_group *)copy)->priority;
    while (from > 0 && p4_group_at(t, from - 1)->priority < priority) {
        memcpy(p4_group_at(t, from), p4_group_at(t, from - 1), t->group_size);
        from--;
    }
    memcpy(p4_group_at(t, from), copy, t->group_size);
    return p4_group_at(t, from);
}

static struct p4_group *get_group(struct p4_table *t, const uint64_t *mask, int32_t priority)
{
    struct p4_group *g = find_group(t, mask);
    if (g) {
        if (priority <= g->priority)
            return g;
        g->priority = priority;
        return sort_group(t, (uint32_t)(((uint8_t *)g - t->groups) / t->group_size));
    }
    if (t->group_count == t->group_capacity) {
        uint32_t capacity = t->group_capacity ? 2 * t->group_capacity : 4;
        uint8_t *groups = realloc(t->groups, (size_t)capacity * t->group_size);
        if (!groups)
            return NULL;
        t->groups = groups;
        t->group_capacity = capacity;
    }
    while (id_in_use(t, t->next_group_id))
        t->next_group_id++;
    g = p4_group_at(t, t->group_count++);
    g->id = t->next_group_id++;
    g->priority = priority;
    g->count = 0;
    memcpy(g->mask, mask, 8 * (size_t)t->type->key_words);
    return sort_group(t, t->group_count - 1);
}

/* Ids are given out from 0 again, so the one group of an exact table always has id 0. */
static void drop_group(struct p4_table *t, struct p4_group *g)
{
    uint32_t at = (uint32_t)(((uint8_t *)g - t->groups) / t->group_size);
    t->group_count--;
    memmove(p4_group_at(t, at), p4_group_at(t, at + 1),
            (size_t)(t->group_count - at) * t->group_size);
    t->next_group_id = 0;
}

/* --- the hash: linear probing, deletion by shifting back -------------------------------------- */

static void put_slot(struct p4_table *t, uint64_t slot)
{
    uint32_t at = (uint32_t)(slot >> 32) & t->slot_mask;
    while (t->slots[at])
        at = (at + 1) & t->slot_mask;
    t->slots[at] = slot;
}

/* Keep the hash at most half full. */
static bool reserve_slot(struct p4_table *t)
{
    uint32_t slots = t->slot_mask + 1;
    if (2 * (t->used_slots + 1) <= slots)
        return true;
    uint64_t *old = t->slots;
    t->slots = calloc(2 * (size_t)slots, sizeof *t->slots);
    if (!t->slots) {
        t->slots = old;
        return false;
    }
    t->slot_mask = 2 * slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        if (old[i])
            put_slot(t, old[i]);
    free(old);
    return true;
}

static uint64_t *find_slot(const struct p4_table *t, uint32_t hash, uint32_t index)
{
    uint32_t at = hash & t->slot_mask;
    while ((uint32_t)t->slots[at] != index + 1)
        at = (at + 1) & t->slot_mask;
    return &t->slots[at];
}

static void clear_slot(struct p4_table *t, uint64_t *slot)
{
    uint32_t hole = (uint32_t)(slot - t->slots);
    for (uint32_t at = hole;;) {
        at = (at + 1) & t->slot_mask;
        if (!t->slots[at])
            break;
        /* What lies at `at` may move to the hole unless its home is after the hole. */
        uint32_t home = (uint32_t)(t->slots[at] >> 32) & t->slot_mask;
        if (((at - home) & t->slot_mask) >= ((at - hole) & t->slot_mask)) {
            t->slots[hole] = t->slots[at];
            hole = at;
        }
    }
    t->slots[hole] = 0;
    t->used_slots--;
}

/* --- the pool --------------------------------------------------------------------------------- */

static uint32_t take_entry(struct p4_table *t)
{
    if (t->free != P4_NONE) {
        uint32_t index = t->free;
        t->free = p4_entry_at(t, index)->next;
        return index;
    }
    if (t->pool_used == t->pool_size) {
        uint32_t size = t->pool_size ? 2 * t->pool_size : FIRST_POOL;
        uint8_t *pool = realloc(t->pool, (size_t)size * t->entry_size);
        if (!pool)
            return P4_NONE;
        t->pool = pool;
        t->pool_size = size;
    }
    return t->pool_used++;
}

static void give_entry(struct p4_table *t, uint32_t index)
{
    struct p4_entry *e = p4_entry_at(t, index);
    free(e->meter);
    e->meter = NULL;
    e->in_use = false;
    e->next = t->free;
    t->free = index;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* The canonical form of a match: key bits that the mask leaves out are 0. */
static void canonicalise(const struct p4_table *t, const struct p4_match *match, uint64_t *key,
                         uint64_t *mask)
{
    for (uint32_t i = 0; i < t->type->key_words; i++) {
        mask[i] = match->mask ? match->mask[i] : ~0ull;
        key[i] = match->key[i] & mask[i];
    }
}

static bool same_ranges(const struct p4_table *t, const struct p4_entry *e,
                        const struct p4_match *match)
{
    uint32_t words = t->type->key_words;
    return !t->type->ranges || (p4_same_key(e->words + words, match->low, words) &&
                                p4_same_key(e->words + 2 * words, match->high, words));
}

struct p4_entry *p4_table_find(const struct p4_table *t, const struct p4_match *match)
{
    uint32_t words = t->type->key_words;
    uint64_t key[words + 1], mask[words + 1];
    key[0] = mask[0] = 0;
    canonicalise(t, match, key, mask);
    const struct p4_group *g = find_group(t, mask);
    struct p4_entry *e = g ? p4_probe(t, key, words, g->id) : NULL;
    while (e && !(e->priority == match->priority && same_ranges(t, e, match)))
        e = e->next == P4_NONE ? NULL : p4_entry_at(t, e->next);
    return e;
}

int p4_table_insert(struct p4_table *t, const struct p4_match *match, uint32_t action,
                    const uint64_t *data, uint32_t flags)
{
    uint32_t words = t->type->key_words;
    uint64_t key[words + 1], mask[words + 1];
    if (p4_table_find(t, match))
        return P4_EXISTS;
    if (t->count >= t->type->size)
        return P4_FULL;
    canonicalise(t, match, key, mask);
    if (!reserve_slot(t))
        return P4_NO_MEMORY;
    uint32_t index = take_entry(t);
    if (index == P4_NONE)
        return P4_NO_MEMORY;
    struct p4_entry *e = p4_entry_at(t, index);
    memset(e, 0, t->entry_size);
    if (t->type->meter && !(e->meter = calloc(1, sizeof *e->meter))) {
        give_entry(t, index);
        return P4_NO_MEMORY;
    }
    struct p4_group *g = get_group(t, mask, match->priority);
    if (!g) {
        give_entry(t, index);
        return P4_NO_MEMORY;
    }
    g->count++;
    e->in_use = true;
    e->group = g->id;
    e->priority = match->priority;
    e->action = action;
    e->flags = flags;
    e->used_ns = p4_now_ns();
    memcpy(e->words, key, 8 * (size_t)words);
    if (t->type->ranges) {
        memcpy(e->words + words, match->low, 8 * (size_t)words);
        memcpy(e->words + 2 * words, match->high, 8 * (size_t)words);
    }
    if (t->type->data_words)
        memcpy(p4_entry_data(t, e), data, 8 * (size_t)t->type->data_words);
    t->count++;

    uint32_t hash = p4_key_hash(key, words, g->id);
    struct p4_entry *head = p4_probe(t, key, words, g->id);
    if (!head) {
        e->next = P4_NONE;
        put_slot(t, (uint64_t)hash << 32 | (index + 1));
        t->used_slots++;
        return P4_OK;
    }
    uint32_t head_index = (uint32_t)(((uint8_t *)head - t->pool) / t->entry_size);
    if (e->priority > head->priority) {
        e->next = head_index;
        *find_slot(t, hash, head_index) = (uint64_t)hash << 32 | (index + 1);
        return P4_OK;
    }
    struct p4_entry *before = head;
    while (before->next != P4_NONE && p4_entry_at(t, before->next)->priority >= e->priority)
        before = p4_entry_at(t, before->next);
    e->next = before->next;
    before->next = index;
    return P4_OK;
}

int p4_table_delete(struct p4_table *t, const struct p4_match *match)
{
    struct p4_entry *e = p4_table_find(t, match);
    if (!e)
        return P4_NO_ENTRY;
    if (e->flags & P4_ENTRY_CONST)
        return P4_CONST;
    uint32_t words = t->type->key_words;
    uint32_t index = (uint32_t)(((uint8_t *)e - t->pool) / t->entry_size);
    uint32_t hash = p4_key_hash(e->words, words, e->group);
    struct p4_entry *head = p4_probe(t, e->words, words, e->group);
    if (head == e) {
        uint64_t *slot = find_slot(t, hash, index);
        if (e->next == P4_NONE)
            clear_slot(t, slot);
        else
            *slot = (uint64_t)hash << 32 | (e->next + 1);
    } else {
        while (head->next != index)
            head = p4_entry_at(t, head->next);
        head->next = e->next;
    }
    struct p4_group *g = group_by_id(t, e->group);
    if (--g->count == 0)
        drop_group(t, g);
    give_entry(t, index);
    t->count--;
    return P4_OK;
}

/* --- whole tables ------------------------------------------------------------------------------ */

void p4_table_reset_default(struct p4_table *t)
{
    t->missed->action = t->type->default_action;
    t->missed->flags = 0;
    if (t->type->data_words)
        memcpy(p4_entry_data(t, t->missed), t->type->default_data,
               8 * (size_t)t->type->data_words);
}

/* The program's own entries; their number was checked against the size by the compiler. */
static bool insert_const_rows(struct p4_table *t)
{
    const struct p4_table_type *type = t->type;
    uint32_t words = type->key_words;
    const uint64_t *row = type->const_rows;
    for (uint32_t i = 0; i < type->const_entries; i++) {
        const uint64_t *key = row + 3, *mask = key + words, *low = mask + words;
        const uint64_t *data = type->ranges ? low + 2 * words : low;
        struct p4_match match = {key, mask, low, low + words, (int32_t)row[0]};
        /* Of two equal entries in the source the first one counts. */
        int status = p4_table_insert(t, &match, (uint32_t)row[1], data,
                                     row[2] ? P4_ENTRY_CONST : 0);
        if (status == P4_NO_MEMORY)
            return false;
        row = data + type->data_words;
    }
    return true;
}

bool p4_table_init(struct p4_table *t, const struct p4_table_type *type)
{
    memset(t, 0, sizeof *t);
    t->type = type;
    t->entry_size = (uint32_t)(sizeof(struct p4_entry) +
                               8 * (words_before_data(type) + type->data_words));
    t->group_size = (uint32_t)(sizeof(struct p4_group) + 8 * type->key_words);
    t->free = P4_NONE;
    t->slots = calloc(FIRST_SLOTS, sizeof *t->slots);
    t->slot_mask = FIRST_SLOTS - 1;
    t->missed = calloc(1, t->entry_size);
    if (!t->slots || !t->missed)
        return false;
    if (type->meter && !(t->missed->meter = calloc(1, sizeof *t->missed->meter)))
        return false;
    p4_table_reset_default(t);
    return insert_const_rows(t);
}

void p4_table_destroy(struct p4_table *t)
{
    for (uint32_t i = 0; i < t->pool_used; i++)
        if (p4_entry_at(t, i)->in_use)
            free(p4_entry_at(t, i)->meter);
    free(t->pool);
    free(t->slots);
    free(t->groups);
    if (t->missed)
        free(t->missed->meter);
    free(t->missed);
    memset(t, 0, sizeof *t);
}
