/* Control calls for meters, those of table entries too. */
#include "control.h"

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
    struct p4_entry *e = p4s_find(s, table, match);
    if (e)
        get_meter(e->meter, config);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

int p4s_direct_meter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                         const uint64_t *config)
{
    p4s_lock(s);
    struct p4_entry *e = p4s_find(s, table, match);
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
    struct p4_entry *e = p4s_find(s, table, match);
    if (e)
        memcpy(counts, e->meter->counts, sizeof e->meter->counts);
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}

int p4s_direct_meter_counts_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                                const uint64_t *counts)
{
    p4s_lock(s);
    struct p4_entry *e = p4s_find(s, table, match);
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
