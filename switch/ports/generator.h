/* What Python (switch/ports/generator.py) sees of generator.c. */
#pragma once

#include <stdint.h>

struct generator;

struct generator_result {
    uint64_t sent, received, received_bytes;
    uint64_t send_ns; /* from the first frame sent to the last */
    uint64_t nanoseconds; /* from the first frame sent to the last received */
};

/* NULL on failure, with errno set. */
struct generator *generator_open(const char *transmit, const char *receive);
void generator_close(struct generator *generator);
/*
 * Send `count` frames (laid end to end in `frames`, their lengths in `lengths`) over and over for
 * `duration_ns`, at most `rate` a second (0: as fast as it goes); then wait `settle_ns` for the
 * last ones to come back.  Returns 0 or a negative errno.
 */
int generator_flood(struct generator *generator, const uint8_t *frames, const uint32_t *lengths,
                    uint32_t count, uint64_t duration_ns, uint64_t rate, uint64_t settle_ns,
                    struct generator_result *result);
/*
 * Send one frame at a time, `gap_ns` after the last one came back or was given up after
 * `timeout_ns`; round_trips[i] is the time in nanoseconds, or 0 when it did not come back.
 */
int generator_ping(struct generator *generator, const uint8_t *frame, uint32_t length,
                   uint32_t count, uint64_t gap_ns, uint64_t timeout_ns, uint64_t *round_trips);
