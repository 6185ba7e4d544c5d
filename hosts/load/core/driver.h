/* Drives a trace of operations through a transport, in an open or a closed loop, and records each. */
#ifndef NETMIGRATE_DRIVER_H
#define NETMIGRATE_DRIVER_H

#include <stdatomic.h>

#include "transport.h"

enum trace_kind { /* hosts/load/trace.py: Kind */
    TRACE_READ,
    TRACE_UPDATE,
    TRACE_INSERT,
    TRACE_READ_MODIFY_WRITE,
    TRACE_INCREMENT,
    TRACE_READ_COUNTER,
    TRACE_READ_LATEST, /* its key is a distance from the newest acknowledged insert */
    TRACE_KINDS,
};

/* hosts/load/history.py: Operation */
enum record_kind { RECORD_READ, RECORD_WRITE, RECORD_INCREMENT, RECORD_READ_COUNTER };

enum record_status { /* hosts/load/history.py: Status */
    RECORD_UNSENT,
    RECORD_OK,
    RECORD_ERROR,   /* the owner answered -ERR: no effect */
    RECORD_REFUSED, /* an agent answered that nobody executed it; a write may have, on another try */
    RECORD_TIMEOUT,
};

/* One row of the history; hosts/load/history.py has the same as a numpy dtype. */
struct record {
    uint8_t kind, status, tries, flags;
    uint32_t key;
    uint64_t value; /* id written, id read (0: nil), or what the counter came to */
    int64_t intended, invoked, responded;
};

/* Log-linear: 64 steps to each doubling, so a bucket is at most 1/64 of its value wide. */
enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 35 * HISTOGRAM_STEPS };

enum { MOST_MESSAGES = 16, MESSAGE_LENGTH = 200 };

struct driver {
    struct transport *transport;
    /* The trace. */
    const uint8_t *kinds;
    const uint32_t *keys;
    uint64_t length, next;
    /* Keys: the first `named` have names of their own, the others YCSB's. */
    const uint8_t *names;
    const uint64_t *offsets;
    uint64_t named;
    char prefix[32];
    size_t prefix_length;
    uint64_t first_id, loaded;
    uint32_t value_size;
    /* Pace: with a rate it is an open loop, else a closed one until `duration` is over. Never more
     * than `concurrency` outstanding: a backlog must not overrun buffers when a stall ends. */
    double rate;
    uint32_t concurrency;
    int64_t duration, started;
    /* The history. Rows [0, used) are taken; an operation in flight holds its row's index. */
    struct record *records;
    uint64_t rows, used;
    /* Workload D. Inserts, in trace order, are acknowledged up to `acknowledged`. */
    uint32_t *inserted;
    uint64_t *insert_rows, inserts, acknowledged;
    const char *fatal;
    double cpu_seconds;
    char messages[MOST_MESSAGES][MESSAGE_LENGTH];
    uint64_t message_counts[MOST_MESSAGES];
    /* Written by the driving thread alone, read by any. */
    atomic_ullong issued, done, errors, outstanding, doubled, resent, redirected;
    atomic_ullong histogram[HISTOGRAM_BUCKETS];
    atomic_bool stop;
};

/* Runs the trace to its end, to the end of its time, or until `stop`; then waits for what is out. */
void driver_run(struct driver *d);

/* The name of a key (at most 64 bytes with a prefix, else in `names`). */
size_t driver_key(const struct driver *d, uint64_t key, uint8_t room[64], const uint8_t **name);

/* A value says which write it is from: id, then noise that depends on the id alone. */
void value_write(uint8_t *p, size_t size, uint64_t id);
uint64_t value_read(const uint8_t *p, size_t size);

#endif
