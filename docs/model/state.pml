/* What agents, clients and the network know, and what must always hold. */

#define ABSENT 0
#define OWNED 1
#define EMIGRATING 2
#define IMMIGRATING 3

/* A value is the number of the write that made it, counted for each key in the order of execution;
 * 0 is there from the beginning. */
#define NOTHING 15

/* An agent's view of a group (hosts/agent/table.py), of its key, and how far its move has come. */
typedef Group {
    unsigned state : 2;
    unsigned moving : 2; /* the migration by which it last came or went, or is to come */
    unsigned copy : 4;   /* the value in the store */
    bit former;          /* it was given away */
    bit prepared;        /* source: the destination is its owner */
    bit sent;            /* source: its keys are on the channel */
    bit landed;          /* source: the destination has its every key */
    bit here;            /* destination: the key's truth is here */
    bit arrived;         /* destination: its every key is here */
    bit pulled;          /* destination: the key has been asked for */
#ifdef JOURNAL
    bit newer; /* destination: it is noted that a client wrote or deleted the key here */
    bit torn   /* destination: the store has what a write left that is not noted, and nobody saw */
#endif
};

typedef Memory {
    Group group[GROUPS];
    byte records;            /* completion records, a bit a request */
    byte watermark[CLIENTS]; /* requests up to here are finished */
    byte done;               /* destination: migrations that are complete, a bit each */
    bit started;             /* source: START is acknowledged */
    bit frozen               /* source: the controller restores the switch */
};

Memory agent[2];

/* Clients: how many requests each session has begun and finished; whose group is which. */
byte begun[CLIENTS], finished[CLIENTS];
byte requests_of[GROUPS];

/* Control packets and their acknowledgements of each migration, on a network that loses, repeats,
 * delays and reorders: what was sent once may arrive at any time, any number of times, or never.
 * `passed`: by the switch. */
#ifdef REAL_SWITCH
typedef Control { bit start, start_passed, start_acked, complete, complete_passed, complete_acked };
#define PASSED(packet) control[migration].packet##_passed
#else
typedef Control { bit start, start_acked, complete, complete_acked };
#define PASSED(packet) control[migration].packet
#endif
Control control[MIGRATIONS + 1];

/* The migration that the controller runs, or ran last. */
byte migration;
bit migration_over = 1;
#define SOURCE(m) ((m + 1) % 2)
#define DESTINATION(m) (m % 2)

byte crashes, breaks, abandons, resets;

/* --- what nobody knows, for the invariants: per key, the newest value, the newest that a client
 * --- has been told of, and the values that are deletions */
byte latest[GROUPS], told[GROUPS], deletions[GROUPS];

#define executes(a, g) \
    (agent[a].group[g].state == OWNED || agent[a].group[g].state == IMMIGRATING)
#define orphaned(a, g) \
    (agent[a].group[g].state == IMMIGRATING && !agent[a].group[g].moving)
#define one_owner(g) (!(executes(0, g) && executes(1, g)))

#if CLIENTS == 1
#define all_finished (finished[0] == REQUESTS)
#else
#define all_finished (finished[0] == REQUESTS && finished[1] == REQUESTS_1)
#endif

#define is_deletion(g, value) (deletions[g] >> (value) & 1)

/* Scratch, in one step only. */
hidden byte i, j, k, kind, number, g, body, marks;

/* For all groups of an agent. */
#if GROUPS == 1
#define ALL(a, condition) (agent[a].group[0].condition)
#else
#define ALL(a, condition) (agent[a].group[0].condition && agent[a].group[1].condition)
#endif

#define CLIENT_REQUESTS(c, upto) (((1 << (upto)) - 1) << ((c) * REQUESTS))

/* hosts/agent/core/session.c: all of a client's requests up to here are finished. */
inline advance(a, c, upto) {
    if
    :: upto > agent[a].watermark[c] ->
        agent[a].watermark[c] = upto;
        agent[a].records = agent[a].records & ~CLIENT_REQUESTS(c, upto)
    :: else
    fi
}
