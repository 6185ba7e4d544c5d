/* The trace of packets: what the hooks of a program built for tracing say, as 64-bit words that
 * Python decodes (switch/runtime/trace.py).
 *
 * Records lie one after the other in one buffer until a reader takes it: words in the record, time,
 * packet number, ingress port, length; then events: P4_TRACE_HEAD, and as many words as that says.
 * The buffer is bounded and nobody waits for its reader: a record that does not fit is counted and
 * left out as a whole.
 */
#pragma once

#include "bits.h"

#include <stddef.h>

/* What simple_switch.h does with a packet; the program's own hooks are numbered from SITES on. */
enum p4_trace_event {
    P4_TRACE_PARSED,      /* error, bytes parsed */
    P4_TRACE_INGRESS,     /* ingress port, instance type */
    P4_TRACE_EGRESS,      /* egress port, replication id */
    P4_TRACE_CLONE,       /* copy, session, port, replication id */
    P4_TRACE_NO_SESSION,  /* session */
    P4_TRACE_MULTICAST,   /* copy, group, port, replication id */
    P4_TRACE_NO_GROUP,    /* group */
    P4_TRACE_RESUBMIT,    /* copy */
    P4_TRACE_RECIRCULATE, /* copy, bytes */
    P4_TRACE_DROPPED,
    P4_TRACE_FAILED,      /* by an assertion, or for want of memory */
    P4_TRACE_ENDLESS,
    P4_TRACE_OUT,         /* port, bytes sent, bytes before truncate */
    P4_TRACE_SITES = 32,
};

#define P4_TRACE_HEAD(site, copy, words)                                                          \
    ((uint64_t)(site) | (uint64_t)(copy) << 32 | (uint64_t)(words) << 48)

enum { P4_TRACE_RECORD_HEAD = 5 };

struct p4_trace {
    bool on;                /* somebody takes the records */
    bool active;            /* the packet being processed is traced */
    bool alone;             /* trace this one packet, whatever the filter says */
    bool full;              /* the current record did not fit */
    uint16_t copies;        /* made of the current packet so far */
    uint64_t ports[8];      /* ingress ports to trace, one bit each */
    uint64_t left;          /* packets still to be traced */
    uint64_t number;        /* of the packet being processed; counted while somebody reads */
    uint64_t lost;          /* records left out */
    uint64_t *words;
    size_t used, size, record; /* in words; where the current record begins */
};

struct p4s;
struct p4_packet;
struct p4_table;
struct p4_entry;

void p4_trace_begin(struct p4s *s, uint32_t port, uint32_t length);
void p4_trace_end(struct p4s *s);
void p4_trace_words(struct p4s *s, const struct p4_packet *p, uint32_t site, const uint64_t *words,
                    uint32_t count);
/* An applied table: its keys, whether one hit, the entry as a row of control.h. */
void p4_trace_table(struct p4s *s, const struct p4_packet *p, uint32_t site,
                    const struct p4_table *t, struct p4_entry *e, bool hit, const uint64_t *keys,
                    uint32_t key_words);
/* What is said of packets that are not traced, too: log_msg, failed assertions. */
void p4_trace_message(struct p4s *s, const struct p4_packet *p, uint32_t port, uint32_t site,
                      const uint64_t *words, uint32_t count);

#define P4_WORDS(...)                                                                             \
    (const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)

/* Hooks of simple_switch.h; nothing at all unless the program is built for tracing. */
#ifdef P4_TRACE
#define P4_TRACE_BEGIN(s, port, length) p4_trace_begin(s, port, length)
#define P4_TRACE_END(s) p4_trace_end(s)
#define P4_TRACE_EVENT(s, c, event, ...) p4_trace_words(s, &(c)->p, event, P4_WORDS(__VA_ARGS__))
#define P4_TRACE_COPY(s, c, new, event, ...)                                                      \
    do {                                                                                          \
        (new)->p.copy = ++(s)->trace.copies;                                                      \
        P4_TRACE_EVENT(s, c, event, (new)->p.copy, ##__VA_ARGS__);                                \
    } while (0)
#else
#define P4_TRACE_BEGIN(s, port, length) ((void)0)
#define P4_TRACE_END(s) ((void)0)
#define P4_TRACE_EVENT(s, c, event, ...) ((void)0)
#define P4_TRACE_COPY(s, c, new, event, ...) ((void)0)
#endif
