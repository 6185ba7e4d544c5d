/* Two-rate three-colour meters (RFC 2698, colour blind), with simple_switch's arithmetic: tokens are
 * counted from one origin in whole microseconds, the peak bucket is asked first. */
#pragma once

#include "bits.h"

enum { P4_GREEN = 0, P4_YELLOW = 1, P4_RED = 2 };

struct p4_bucket {
    double rate; /* per microsecond */
    uint64_t burst, tokens, last;
};

struct p4_meter {
    bool configured;
    uint64_t cir, cburst, pir, pburst; /* as configured: per second */
    struct p4_bucket peak, committed;
    uint64_t counts[3][2]; /* by colour: packets, bytes */
};

uint64_t p4_now_ns(void);

/* These leave the counts alone. */
void p4_meter_configure(struct p4_meter *m, uint64_t cir, uint64_t cburst, uint64_t pir,
                        uint64_t pburst);
void p4_meter_reset(struct p4_meter *m);
uint32_t p4_meter_run(struct p4_meter *m, uint64_t amount, uint64_t now_us);

/* An unconfigured meter is always green. */
P4_INLINE uint32_t p4_meter_execute(struct p4_meter *m, bool bytes, uint64_t length,
                                    uint64_t origin_ns)
{
    uint32_t colour = P4_GREEN;
    if (m->configured)
        colour = p4_meter_run(m, bytes ? length : 1, (p4_now_ns() - origin_ns) / 1000);
    m->counts[colour][0]++;
    m->counts[colour][1] += length;
    return colour;
}
