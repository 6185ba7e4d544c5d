/* Control calls that take packets through the program. */
#include "control.h"

#include <stdlib.h>

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
