#include "meter.h"

#include <time.h>

uint64_t p4_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void fill(struct p4_bucket *b, uint64_t rate, uint64_t burst)
{
    b->rate = (double)rate / 1e6;
    b->burst = b->tokens = burst;
    b->last = 0;
}

void p4_meter_configure(struct p4_meter *m, uint64_t cir, uint64_t cburst, uint64_t pir,
                        uint64_t pburst)
{
    m->configured = true;
    m->cir = cir;
    m->cburst = cburst;
    m->pir = pir;
    m->pburst = pburst;
    fill(&m->peak, pir, pburst);
    fill(&m->committed, cir, cburst);
}

void p4_meter_reset(struct p4_meter *m)
{
    p4_meter_configure(m, 0, 0, 0, 0);
    m->configured = false;
}

static bool spend(struct p4_bucket *b, uint64_t amount, uint64_t now_us)
{
    uint64_t total = (uint64_t)((double)now_us * b->rate);
    uint64_t fresh = total - b->last;
    b->last = total;
    b->tokens = b->tokens + fresh < b->burst ? b->tokens + fresh : b->burst;
    if (b->tokens < amount)
        return false;
    b->tokens -= amount;
    return true;
}

uint32_t p4_meter_run(struct p4_meter *m, uint64_t amount, uint64_t now_us)
{
    if (!spend(&m->peak, amount, now_us))
        return P4_RED;
    return spend(&m->committed, amount, now_us) ? P4_GREEN : P4_YELLOW;
}
