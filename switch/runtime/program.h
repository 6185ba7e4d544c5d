/* What the generated C says of its program, and the state that every program has. */
#pragma once

#include "big.h"
#include "digest.h"
#include "hash.h"
#include "meter.h"
#include "p4s.h"
#include "profile.h"
#include "replication.h"
#include "table.h"
#include "trace.h"

#include <pthread.h>

struct p4_register_type {
    uint32_t size;
    uint32_t cell_bytes; /* 1, 2, 4 or a multiple of 8 */
};

struct p4_meter_type {
    uint32_t size;
    bool bytes;
};

struct p4_program {
    uint32_t tables, registers, counters, meters, profiles;
    const struct p4_table_type *table_types;
    const struct p4_register_type *register_types;
    const uint32_t *counter_sizes;
    const struct p4_meter_type *meter_types;
    const struct p4_profile_type *profile_types;
    uint32_t packet_size; /* of the generated struct packet */
};

extern const struct p4_program p4_program;

struct p4_counter {
    uint64_t packets, bytes;
};

struct p4_buffer;
struct packet;

struct p4_queue {
    struct packet *first, *last;
};

struct p4s {
    struct p4_table *tables;
    uint8_t **registers;
    struct p4_counter **counters;
    struct p4_meter **meters;
    struct p4_profile *profiles;
    struct p4_ports ports;
    struct packet *main;  /* the packet being processed */
    uint8_t *out;         /* deparsed headers and payload */
    uint8_t *scratch;     /* what a checksum with payload is computed over */
    uint32_t out_size, scratch_size;
    uint32_t drop_port;
    uint64_t origin_ns;   /* timestamps and meters count from here */
    uint64_t random;
    struct p4_replication replication;
    struct p4_digests digests;
    struct p4_queue ingress, egress; /* what waits for one and for the other */
    struct packet *spare;            /* free packets */
    uint64_t endless;                /* dropped: went round more often than P4_MOST_PASSES or _TURNS */
    uint64_t failed_asserts;
    struct p4_trace trace;
    pthread_mutex_t lock;
};

/* Bytes that outlive the call that made them: of recirculated packets and their clones. */
struct p4_buffer {
    uint32_t references;
    uint32_t length;
    uint8_t bytes[];
};

/* BMv2 stays in an endless `for` for ever; here a packet is lost after so many turns. */
enum { P4_MOST_TURNS = 1 << 16 };

/* The part of a packet that does not depend on the program. The generated
 * struct packet begins with it. */
struct p4_packet {
    const uint8_t *data; /* as it came into ingress */
    uint32_t length;
    uint32_t parsed;         /* bytes taken by the parser; the payload follows */
    uint32_t ingress_length; /* what counters and meters count */
    uint32_t packet_length;  /* follows setValid and setInvalid */
    uint32_t out_length;
    uint32_t truncate; /* most bytes to send */
    uint32_t error;
    uint32_t steps; /* parser states visited; only kept where the parser has a loop */
    uint32_t turns; /* of all `for` loops */
    bool exited, failed; /* exit was called; an assertion failed */
    bool checksum_error;
    bool cloned, resubmitted, recirculated;
    uint16_t copy; /* numbers a trace's packets: 0 is the one that came in */
    uint32_t clone_session;
    uint32_t clone_list, resubmit_list, recirculate_list;
    uint32_t digest; /* index + 1 of the digest to send after ingress */
    uint32_t port;   /* where the packet came in, also of its copies */
    uint32_t egress; /* while it waits for egress: the port to leave by */
    struct p4_buffer *owner; /* of data, when it is not the caller's */
    struct packet *next;
};

P4_COLD bool p4_grow_out(struct p4s *s, uint32_t size);
/* Room for `size` bytes until the next call, NULL when memory is out. */
uint8_t *p4_scratch(struct p4s *s, uint32_t size);

P4_INLINE bool p4_reserve_out(struct p4s *s, uint32_t size)
{
    return P4_LIKELY(size <= s->out_size) || p4_grow_out(s, size);
}

/* xorshift64*; seeded per switch. */
P4_INLINE uint64_t p4_random(struct p4s *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * 0x2545f4914f6cdd1dull;
}

/* Uniform in low … high; simple_switch leaves the result alone when low > high. */
P4_INLINE uint64_t p4_random_between(struct p4s *s, uint64_t low, uint64_t high, uint64_t otherwise)
{
    if (low > high)
        return otherwise;
    uint64_t span = high - low + 1;
    return span == 0 ? p4_random(s) : low + (uint64_t)((u128)p4_random(s) * span >> 64);
}

P4_INLINE void p4_count(struct p4s *s, uint32_t counter, uint64_t index, uint32_t bytes)
{
    if (index < p4_program.counter_sizes[counter]) {
        s->counters[counter][index].packets++;
        s->counters[counter][index].bytes += bytes;
    }
}

P4_INLINE struct p4_meter *p4_meter_at(struct p4s *s, uint32_t meter, uint64_t index)
{
    return index < p4_program.meter_types[meter].size ? &s->meters[meter][index] : NULL;
}
