#include "control.h"

#include <stdlib.h>

/* --- tables ----------------------------------------------------------------------------------- */

static struct p4_profile *profile_of(struct p4s *s, const struct p4_table *t)
{
    return t->type->profile ? &s->profiles[t->type->profile - 1] : NULL;
}

static struct p4_entry *find(struct p4s *s, uint32_t table, const struct p4_match *match)
{
    return match ? p4_table_find(&s->tables[table], match) : s->tables[table].missed;
}

/* The data of an entry that is to take the place of `old` (NULL: of none). In a table with a
 * profile, what it refers to is taken, to be given back when the entry goes; `words` has room for
 * the table's data then. NULL: *status says why not. */
static const uint64_t *take(struct p4s *s, struct p4_table *t, struct p4_entry *old,
                            uint32_t action, const uint64_t *data, uint64_t *words, int *status)
{
    struct p4_profile *p = profile_of(s, t);
    *status = P4_OK;
    if (!p || action < P4_MEMBER)
        return data;
    uint64_t freed = old ? p4_target_size(p, old->action, p4_entry_data(t, old)) : 0;
    memset(words, 0, 8 * (size_t)t->type->data_words);
    *status = p4_target_take(p, &s->ports, action, data, freed, words);
    return *status == P4_OK ? words : NULL;
}

static void give(struct p4s *s, struct p4_table *t, uint32_t action, const uint64_t *data)
{
    struct p4_profile *p = profile_of(s, t);
    if (p)
        p4_target_give(p, action, data);
}

int p4s_table_insert(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data)
{
    struct p4_table *t = &s->tables[table];
    uint64_t words[t->type->data_words + 1];
    int status;
    p4s_lock(s);
    data = take(s, t, NULL, action, data, words, &status);
    if (data) {
        status = p4_table_insert(t, match, action, data, 0);
        if (status != P4_OK)
            give(s, t, action, data);
    }
    p4s_unlock(s);
    return status;
}

static int set_action(struct p4s *s, struct p4_table *t, struct p4_entry *e, uint32_t action,
                      const uint64_t *data)
{
    uint64_t words[t->type->data_words + 1];
    int status;
    data = take(s, t, e, action, data, words, &status);
    if (data) {
        give(s, t, e->action, p4_entry_data(t, e));
        e->action = action;
        if (t->type->data_words)
            memcpy(p4_entry_data(t, e), data, 8 * (size_t)t->type->data_words);
    }
    return status;
}

int p4s_table_modify(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    int status = !e ? P4_NO_ENTRY : e->flags & P4_ENTRY_CONST ? P4_CONST : P4_OK;
    if (status == P4_OK)
        status = set_action(s, &s->tables[table], e, action, data);
    p4s_unlock(s);
    return status;
}

int p4s_table_delete(struct p4s *s, uint32_t table, const struct p4_match *match)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    struct p4_entry *e = t->type->profile ? p4_table_find(t, match) : NULL;
    uint32_t action = e ? e->action : 0;
    uint64_t word = e ? *p4_entry_data(t, e) : 0;
    int status = p4_table_delete(t, match);
    if (status == P4_OK)
        give(s, t, action, &word);
    p4s_unlock(s);
    return status;
}

static uint64_t *put(uint64_t *to, const uint64_t *words, uint32_t count)
{
    if (count)
        memcpy(to, words, 8 * (size_t)count);
    return to + count;
}

uint32_t p4_put_row(struct p4s *s, const struct p4_table *t, struct p4_entry *e, uint64_t *to)
{
    const struct p4_profile *p = profile_of(s, t);
    uint32_t words = t->type->key_words, data_words = t->type->data_words;
    uint32_t count = P4_ROW_HEAD + words * (t->type->ranges ? 4 : 2);
    bool refers = p && e->action >= P4_MEMBER;
    uint64_t *data = p4_entry_data(t, e);
    if (to) {
        *to++ = (uint64_t)e->priority;
        *to++ = e->action;
        *to++ = e->flags;
        *to++ = e->packets;
        *to++ = e->bytes;
        *to++ = p4_now_ns() - e->used_ns;
        to = put(to, e->words, words);
        /* The default entry has no mask: its (zero) key stands in. */
        to = put(to, e == t->missed ? e->words : p4_entry_mask(t, e), words);
        if (t->type->ranges)
            to = put(to, e->words + words, 2 * words);
        if (!refers)
            put(to, data, data_words);
    }
    return count + (refers ? p4_target_words(p, e->action, data, to) : data_words);
}

uint32_t p4s_table_get(struct p4s *s, uint32_t table, const struct p4_match *match, uint64_t *row,
                       uint32_t room)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    uint32_t words = e ? p4_put_row(s, &s->tables[table], e, NULL) : 0;
    if (e && words <= room)
        p4_put_row(s, &s->tables[table], e, row);
    p4s_unlock(s);
    return words;
}

uint64_t p4s_table_read(struct p4s *s, uint32_t table, uint64_t *out, uint64_t room)
{
    struct p4_table *t = &s->tables[table];
    uint64_t words = 0;
    p4s_lock(s);
    for (uint32_t i = 0; i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            words += p4_put_row(s, t, e, NULL);
    }
    for (uint32_t i = 0; words <= room && i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            out += p4_put_row(s, t, e, out);
    }
    p4s_unlock(s);
    return words;
}

int p4s_default_set(struct p4s *s, uint32_t table, uint32_t action, const uint64_t *data)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    int status = set_action(s, t, t->missed, action, data);
    p4s_unlock(s);
    return status;
}

void p4s_default_reset(struct p4s *s, uint32_t table)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    give(s, t, t->missed->action, p4_entry_data(t, t->missed));
    p4_table_reset_default(t);
    p4s_unlock(s);
}

int p4s_value_set_write(struct p4s *s, uint32_t table, const struct p4_match *members,
                        uint32_t count)
{
    struct p4_table *t = &s->tables[table], fresh;
    int status = p4_table_init(&fresh, t->type) ? P4_OK : P4_NO_MEMORY;
    for (uint32_t i = 0; status == P4_OK && i < count; i++) {
        status = p4_table_insert(&fresh, &members[i], 0, NULL, 0);
        if (status == P4_EXISTS)
            status = P4_OK;
    }
    p4s_lock(s);
    struct p4_table old = status == P4_OK ? *t : fresh;
    if (status == P4_OK)
        *t = fresh;
    p4s_unlock(s);
    p4_table_destroy(&old);
    return status;
}

int p4s_direct_counter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                           const uint64_t *value)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    if (e) {
        e->packets = value[0];
        e->bytes = value[1];
    }
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

/* --- meters ----------------------------------------------------------------------------------- */

static void get_meter(const struct p4_meter *m, uint64_t *config)
{
    config[0] = m->configured;
    config[1] = m->cir;
    config[2] = m->cburst;
    config[3] = m->pir;
    config[4] = m->pburst;
}

static void set_meter(struct p4_meter *m, const uint64_t *config)
{
    if (config[0])
        p4_meter_configure(m, config[1], config[2], config[3], config[4]);
    else
        p4_meter_reset(m);
}

int p4s_direct_meter_get(struct p4s *s, uint32_t table, const struct p4_match *match,
                         uint64_t *config)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    if (e)
        get_meter(e->meter, config);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

int p4s_direct_meter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                         const uint64_t *config)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    if (e)
        set_meter(e->meter, config);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

void p4s_meter_get(struct p4s *s, uint32_t meter, uint32_t index, uint64_t *config)
{
    p4s_lock(s);
    get_meter(&s->meters[meter][index], config);
    p4s_unlock(s);
}

void p4s_meter_set(struct p4s *s, uint32_t meter, uint32_t index, const uint64_t *config)
{
    p4s_lock(s);
    set_meter(&s->meters[meter][index], config);
    p4s_unlock(s);
}

int p4s_direct_meter_counts_get(struct p4s *s, uint32_t table, const struct p4_match *match,
                                uint64_t *counts)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    if (e)
        memcpy(counts, e->meter->counts, sizeof e->meter->counts);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

int p4s_direct_meter_counts_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                                const uint64_t *counts)
{
    p4s_lock(s);
    struct p4_entry *e = find(s, table, match);
    if (e)
        memcpy(e->meter->counts, counts, sizeof e->meter->counts);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

void p4s_meter_counts_get(struct p4s *s, uint32_t meter, uint32_t index, uint64_t *counts)
{
    p4s_lock(s);
    memcpy(counts, s->meters[meter][index].counts, sizeof s->meters[meter][index].counts);
    p4s_unlock(s);
}

void p4s_meter_counts_set(struct p4s *s, uint32_t meter, uint32_t index, const uint64_t *counts)
{
    p4s_lock(s);
    memcpy(s->meters[meter][index].counts, counts, sizeof s->meters[meter][index].counts);
    p4s_unlock(s);
}

/* --- arrays ----------------------------------------------------------------------------------- */

void p4s_counters_read(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                       uint64_t *values)
{
    p4s_lock(s);
    memcpy(values, s->counters[counter] + first, count * sizeof(struct p4_counter));
    p4s_unlock(s);
}

void p4s_counters_write(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                        const uint64_t *values)
{
    p4s_lock(s);
    memcpy(s->counters[counter] + first, values, count * sizeof(struct p4_counter));
    p4s_unlock(s);
}

void p4s_registers_read(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count, void *cells)
{
    size_t size = p4_program.register_types[reg].cell_bytes;
    p4s_lock(s);
    memcpy(cells, s->registers[reg] + first * size, count * size);
    p4s_unlock(s);
}

void p4s_registers_write(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count,
                         const void *cells)
{
    size_t size = p4_program.register_types[reg].cell_bytes;
    p4s_lock(s);
    memcpy(s->registers[reg] + first * size, cells, count * size);
    p4s_unlock(s);
}

/* --- replication, digests --------------------------------------------------------------------- */

bool p4s_clone_session_set(struct p4s *s, uint32_t session, const struct p4_replica *list,
                           uint32_t count, uint32_t truncate)
{
    p4s_lock(s);
    bool ok = p4_replication_set(&s->replication.sessions[session], list, count, truncate);
    p4s_unlock(s);
    return ok;
}

bool p4s_clone_session_delete(struct p4s *s, uint32_t session)
{
    p4s_lock(s);
    bool existed = p4_replication_delete(&s->replication.sessions[session]);
    p4s_unlock(s);
    return existed;
}

bool p4s_multicast_group_set(struct p4s *s, uint32_t group, const struct p4_replica *list,
                             uint32_t count)
{
    p4s_lock(s);
    bool ok = p4_replication_set(&s->replication.groups[group], list, count, 0);
    p4s_unlock(s);
    return ok;
}

bool p4s_multicast_group_delete(struct p4s *s, uint32_t group)
{
    p4s_lock(s);
    bool existed = p4_replication_delete(&s->replication.groups[group]);
    p4s_unlock(s);
    return existed;
}

uint32_t p4s_digest_take(struct p4s *s, uint32_t *digest, uint64_t *data, uint32_t most)
{
    p4s_lock(s);
    struct p4_digest *d = s->digests.first;
    uint32_t words = 0;
    if (d) {
        *digest = d->digest;
        words = d->words < most ? d->words : most;
        memcpy(data, d->data, 8 * (size_t)words);
        s->digests.first = d->next;
        if (!d->next)
            s->digests.last = NULL;
        s->digests.count--;
        free(d);
    }
    p4s_unlock(s);
    return words;
}

/* --- packets ---------------------------------------------------------------------------------- */

struct collection {
    uint8_t *records;
    uint64_t size, capacity;
    bool failed;
};

static void collect(void *ctx, uint32_t port, const uint8_t *data, uint32_t length)
{
    struct collection *c = ctx;
    uint64_t needed = c->size + 8 + length;
    if (needed > c->capacity) {
        uint8_t *records = realloc(c->records, 2 * needed);
        if (!records) {
            c->failed = true;
            return;
        }
        c->records = records;
        c->capacity = 2 * needed;
    }
    memcpy(c->records + c->size, &port, 4);
    memcpy(c->records + c->size + 4, &length, 4);
    memcpy(c->records + c->size + 8, data, length);
    c->size = needed;
}

uint8_t *p4s_collect(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length,
                     uint64_t *size)
{
    struct collection c = {.records = malloc(2048), .capacity = 2048};
    if (!c.records)
        return NULL;
    p4s_lock(s);
    p4s_process(s, port, data, length, collect, &c);
    p4s_unlock(s);
    if (c.failed) {
        free(c.records);
        return NULL;
    }
    *size = c.size;
    return c.records;
}

void p4s_release(void *records)
{
    free(records);
}

static void tally(void *ctx, uint32_t port, const uint8_t *data, uint32_t length)
{
    uint64_t *totals = ctx;
    (void)port;
    (void)data;
    totals[0]++;
    totals[1] += length;
}

uint64_t p4s_benchmark(struct p4s *s, uint32_t port, const uint8_t *data, const uint32_t *lengths,
                       uint32_t count, uint32_t repeat, uint64_t *totals)
{
    totals[0] = totals[1] = 0;
    p4s_lock(s);
    uint64_t start = p4_now_ns();
    for (uint32_t round = 0; round < repeat; round++) {
        const uint8_t *packet = data;
        for (uint32_t i = 0; i < count; i++) {
            p4s_process(s, port, packet, lengths[i], tally, totals);
            packet += lengths[i];
        }
    }
    uint64_t elapsed = p4_now_ns() - start;
    p4s_unlock(s);
    return elapsed;
}

void p4s_statistics(struct p4s *s, uint64_t *statistics)
{
    p4s_lock(s);
    statistics[0] = s->endless;
    statistics[1] = s->failed_asserts;
    statistics[2] = s->digests.dropped;
    p4s_unlock(s);
}
