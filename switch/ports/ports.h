/* What Python (switch/ports/ports.py) sees of ports.c; field order is mirrored there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "faults.h"

#define PORTS_MAX_FRAME 65536

typedef void (*ports_emit)(void *context, uint32_t port, const uint8_t *data, uint32_t length);

/* A compiled P4 program; process is NULL when there is none. */
struct ports_pipeline {
    void *context;
    void (*lock)(void *context);
    void (*unlock)(void *context);
    void (*process)(void *context, uint32_t port, const uint8_t *data, uint32_t length,
                    ports_emit emit, void *emit_context);
};

struct ports_statistics {
    uint64_t rx_packets, rx_bytes;
    uint64_t tx_packets, tx_bytes;
    uint64_t rx_dropped;   /* the receive ring was full */
    uint64_t rx_oversize;  /* longer than the MTU, or to be cut up and not UDP */
    uint64_t rx_malformed; /* an offload request that does not fit its frame */
    uint64_t rx_checksums; /* checksums completed on receipt */
    uint64_t tx_dropped;   /* interface down, or its queue full */
    uint64_t tx_oversize;  /* longer than the MTU */
    uint64_t link_errors;  /* the interface went down */
};

struct ports_totals {
    uint64_t cpu_packets, cpu_dropped; /* to the controller; its queue was full */
    uint64_t unknown_port;             /* emitted to a port that has no interface */
    uint64_t no_pipeline;              /* received while no program was loaded */
};

/* Seen from the switch. */
enum ports_direction { PORTS_IN, PORTS_OUT };

struct ports;

/* Functions that can fail return a negative errno. */
struct ports *ports_open(uint32_t cpu_port);
int ports_add(struct ports *ports, uint32_t number, const char *interface);
void ports_keep_awake(struct ports *ports); /* before ports_run(), see awake.h */
void ports_run(struct ports *ports);        /* until ports_stop() */
void ports_stop(struct ports *ports);
void ports_close(struct ports *ports); /* after ports_run() has returned */
void ports_set_pipeline(struct ports *ports, const struct ports_pipeline *pipeline);
int ports_inject(struct ports *ports, uint32_t port, const uint8_t *data, uint32_t length);
/* Blocks for the next frame to the CPU port; its length, or -1 once stopped. */
int ports_receive(struct ports *ports, uint8_t *data, uint32_t capacity);
int ports_get_statistics(struct ports *ports, uint32_t number, struct ports_statistics *statistics);
void ports_get_totals(struct ports *ports, struct ports_totals *totals);
/* Injected faults (faults.h). Frames to and from the CPU port take no link, so they meet none. */
void ports_seed_faults(struct ports *ports, uint64_t seed); /* also starts counting anew */
int ports_set_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     const struct faults_rates *rates);
int ports_get_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     struct faults_counts *counts);
