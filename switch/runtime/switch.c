/* A switch's life: made, reset, freed, locked. */
#include "program.h"

#include <stdlib.h>
#include <time.h>

enum { FIRST_OUT = 2048 };

/* A thread that holds the lock may make control calls: they take it again. */
void p4s_lock(struct p4s *s)
{
    pthread_mutex_lock(&s->lock);
}

void p4s_unlock(struct p4s *s)
{
    pthread_mutex_unlock(&s->lock);
}

static bool init_state(struct p4s *s)
{
    const struct p4_program *p = &p4_program;
    for (uint32_t i = 0; i < p->tables; i++)
        if (!p4_table_init(&s->tables[i], &p->table_types[i]))
            return false;
    for (uint32_t i = 0; i < p->registers; i++) {
        const struct p4_register_type *r = &p->register_types[i];
        if (!(s->registers[i] = calloc((size_t)r->size + 1, r->cell_bytes)))
            return false;
    }
    for (uint32_t i = 0; i < p->counters; i++)
        if (!(s->counters[i] = calloc((size_t)p->counter_sizes[i] + 1, sizeof **s->counters)))
            return false;
    for (uint32_t i = 0; i < p->meters; i++)
        if (!(s->meters[i] = calloc((size_t)p->meter_types[i].size + 1, sizeof **s->meters)))
            return false;
    for (uint32_t i = 0; i < p->profiles; i++)
        if (!p4_profile_init(&s->profiles[i], &p->profile_types[i]))
            return false;
    s->origin_ns = p4_now_ns();
    return true;
}

/* Before a table goes: its one-shot groups are its own. */
static void give_targets(struct p4s *s, struct p4_table *t)
{
    if (!t->type || !t->type->profile)
        return;
    struct p4_profile *p = &s->profiles[t->type->profile - 1];
    for (uint32_t i = 0; i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            p4_target_give(p, e->action, p4_entry_data(t, e));
    }
    if (t->missed)
        p4_target_give(p, t->missed->action, p4_entry_data(t, t->missed));
}

static void drop_state(struct p4s *s)
{
    const struct p4_program *p = &p4_program;
    for (uint32_t i = 0; i < p->tables; i++) {
        give_targets(s, &s->tables[i]);
        p4_table_destroy(&s->tables[i]);
    }
    for (uint32_t i = 0; i < p->profiles; i++)
        p4_profile_destroy(&s->profiles[i]);
    for (uint32_t i = 0; i < p->registers; i++)
        free(s->registers[i]);
    for (uint32_t i = 0; i < p->counters; i++)
        free(s->counters[i]);
    for (uint32_t i = 0; i < p->meters; i++)
        free(s->meters[i]);
    p4_digests_clear(&s->digests);
}

static void forget_state(struct p4s *s)
{
    memset(s->registers, 0, p4_program.registers * sizeof *s->registers);
    memset(s->counters, 0, p4_program.counters * sizeof *s->counters);
    memset(s->meters, 0, p4_program.meters * sizeof *s->meters);
}

bool p4s_reset(struct p4s *s)
{
    p4s_lock(s);
    drop_state(s);
    forget_state(s);
    p4_replication_clear(&s->replication);
    bool ok = init_state(s);
    p4s_unlock(s);
    return ok;
}

struct p4s *p4s_new(uint32_t drop_port)
{
    const struct p4_program *p = &p4_program;
    struct p4s *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    s->drop_port = drop_port;
    s->tables = calloc(p->tables + 1, sizeof *s->tables);
    s->registers = calloc(p->registers + 1, sizeof *s->registers);
    s->counters = calloc(p->counters + 1, sizeof *s->counters);
    s->meters = calloc(p->meters + 1, sizeof *s->meters);
    s->profiles = calloc(p->profiles + 1, sizeof *s->profiles);
    s->main = calloc(1, p->packet_size);
    s->out = malloc(FIRST_OUT);
    s->out_size = FIRST_OUT;
    s->random = ((uint64_t)time(NULL) << 20 ^ p4_now_ns() ^ (uintptr_t)s) | 1;
    if (!s->tables || !s->registers || !s->counters || !s->meters || !s->profiles || !s->main ||
        !s->out || !p4_replication_init(&s->replication) || !init_state(s)) {
        p4s_free(s);
        return NULL;
    }
    return s;
}

void p4s_free(struct p4s *s)
{
    if (s->tables && s->registers && s->counters && s->meters && s->profiles)
        drop_state(s);
    p4_replication_destroy(&s->replication);
    while (s->spare) {
        struct packet *c = s->spare;
        s->spare = ((struct p4_packet *)c)->next;
        free(c);
    }
    free(s->tables);
    free(s->registers);
    free(s->counters);
    free(s->meters);
    free(s->profiles);
    free(s->main);
    free(s->out);
    free(s->scratch);
    free(s->trace.words);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* At least doubled, so that growing is rare. */
bool p4_grow_out(struct p4s *s, uint32_t size)
{
    uint8_t *out = realloc(s->out, 2 * (size_t)size);
    if (!out)
        return false;
    s->out = out;
    s->out_size = 2 * size;
    return true;
}

uint8_t *p4_scratch(struct p4s *s, uint32_t size)
{
    if (size > s->scratch_size) {
        uint8_t *scratch = realloc(s->scratch, 2 * (size_t)size);
        if (!scratch)
            return NULL;
        s->scratch = scratch;
        s->scratch_size = 2 * size;
    }
    return s->scratch;
}
