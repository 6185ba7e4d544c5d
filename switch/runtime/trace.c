#include "control.h"

#include <stdlib.h>
#include <time.h>

enum { FIRST_WORDS = 4096, MOST_WORDS = 1 << 20 };

static uint64_t *reserve(struct p4_trace *t, size_t count)
{
    if (t->full || t->used + count > MOST_WORDS) {
        t->full = true;
        return NULL;
    }
    if (t->used + count > t->size) {
        size_t size = t->size ? t->size : FIRST_WORDS;
        while (size < t->used + count)
            size *= 2;
        uint64_t *words = realloc(t->words, size * sizeof *words);
        if (!words) {
            t->full = true;
            return NULL;
        }
        t->words = words;
        t->size = size;
    }
    uint64_t *to = t->words + t->used;
    t->used += count;
    return to;
}

static void begin_record(struct p4_trace *t, uint64_t number, uint32_t port, uint32_t length)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->record = t->used;
    t->full = false;
    uint64_t *to = reserve(t, P4_TRACE_RECORD_HEAD);
    if (to) {
        to[1] = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
        to[2] = number;
        to[3] = port;
        to[4] = length;
    }
}

/* The record is there as a whole, or not at all. */
static void end_record(struct p4_trace *t)
{
    if (t->full) {
        t->used = t->record;
        t->lost++;
    } else {
        t->words[t->record] = t->used - t->record;
    }
}

static bool wanted(struct p4_trace *t, uint32_t port)
{
    if (t->alone)
        return true;
    if (!t->on || !t->left || port >= 512 || !(t->ports[port / 64] >> port % 64 & 1))
        return false;
    t->left--;
    return true;
}

void p4_trace_begin(struct p4s *s, uint32_t port, uint32_t length)
{
    struct p4_trace *t = &s->trace;
    t->number++;
    t->copies = 0;
    t->active = wanted(t, port);
    if (t->active)
        begin_record(t, t->number, port, length);
}

void p4_trace_end(struct p4s *s)
{
    struct p4_trace *t = &s->trace;
    if (t->active && !t->alone)
        end_record(t);
    t->active = false;
}

static uint64_t *event(struct p4s *s, const struct p4_packet *p, uint32_t site, uint32_t count)
{
    s->trace.full |= count > UINT16_MAX; /* more than the head can say */
    uint64_t *to = reserve(&s->trace, 1 + (size_t)count);
    if (!to)
        return NULL;
    *to = P4_TRACE_HEAD(site, p->copy, count);
    return to + 1;
}

static void add(struct p4s *s, const struct p4_packet *p, uint32_t site, const uint64_t *words,
                uint32_t count)
{
    uint64_t *to = event(s, p, site, count);
    if (to && count)
        memcpy(to, words, count * sizeof *words);
}

void p4_trace_words(struct p4s *s, const struct p4_packet *p, uint32_t site, const uint64_t *words,
                    uint32_t count)
{
    if (s->trace.active)
        add(s, p, site, words, count);
}

void p4_trace_table(struct p4s *s, const struct p4_packet *p, uint32_t site,
                    const struct p4_table *t, struct p4_entry *e, bool hit, const uint64_t *keys,
                    uint32_t key_words)
{
    if (!s->trace.active)
        return;
    uint64_t *to = event(s, p, site, key_words + 1 + p4_put_row(s, t, e, NULL));
    if (!to)
        return;
    if (key_words)
        memcpy(to, keys, key_words * sizeof *keys);
    to[key_words] = hit;
    p4_put_row(s, t, e, to + key_words + 1);
}

void p4_trace_message(struct p4s *s, const struct p4_packet *p, uint32_t port, uint32_t site,
                      const uint64_t *words, uint32_t count)
{
    struct p4_trace *t = &s->trace;
    if (t->active) {
        add(s, p, site, words, count);
    } else if (t->on) {
        begin_record(t, 0, port, p->ingress_length);
        add(s, p, site, words, count);
        end_record(t);
    }
}

/* --- readers ---------------------------------------------------------------------------------- */

void p4s_trace_start(struct p4s *s, const uint64_t *ports, uint64_t most)
{
    p4s_lock(s);
    memcpy(s->trace.ports, ports, sizeof s->trace.ports);
    s->trace.left = most;
    s->trace.on = true;
    p4s_unlock(s);
}

uint64_t *p4s_trace_take(struct p4s *s, uint64_t *count, uint64_t *lost)
{
    struct p4_trace *t = &s->trace;
    p4s_lock(s);
    uint64_t *words = t->used ? t->words : NULL;
    *count = t->used;
    *lost = t->lost;
    if (words) {
        t->words = NULL;
        t->size = t->used = 0;
    }
    t->lost = 0;
    p4s_unlock(s);
    return words;
}

uint8_t *p4s_trace_one(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length,
                       uint64_t *size, uint64_t **words, uint64_t *count)
{
    struct p4_trace *t = &s->trace;
    p4s_lock(s);
    /* The record goes to a buffer of its own: others' records stay for their reader. */
    struct p4_trace kept = *t;
    t->words = NULL;
    t->used = t->size = 0;
    t->alone = true;
    uint8_t *records = p4s_collect(s, port, data, length, size);
    end_record(t);
    *words = t->words;
    *count = t->full ? 0 : t->used;
    kept.number = t->number;
    *t = kept;
    p4s_unlock(s);
    if (!records) {
        free(*words);
        *words = NULL;
    }
    return records;
}
