/* The source's side of a migration (hosts/agent/emigration/netmigrate.py). */

#if CLIENTS == 1
#define WATERMARKS(a) (agent[a].watermark[0])
#else
#define WATERMARKS(a) (agent[a].watermark[0] + 16 * agent[a].watermark[1])
#endif

inline send_prepare(a, n) {
#if BROKEN == REEXECUTED_WRITE
    send(1 - (a), PREPARE, agent[a].group[n].moving, n, 0, 0)
#else
    send(1 - (a), PREPARE, agent[a].group[n].moving, n, agent[a].records & requests_of[n],
         WATERMARKS(a))
#endif
}

/* Steps 1 and 2. What comes now is held: like a datagram that is delayed. */
inline emigrate(a) {
    printf("agent %d begins migration %d: PREPARE\n", a, migration);
    agent[a].started = 0;
    for (i : 0 .. GROUPS - 1) {
        agent[a].group[i].state = EMIGRATING;
        agent[a].group[i].moving = migration;
        agent[a].group[i].prepared = 0;
        agent[a].group[i].sent = 0;
        agent[a].group[i].landed = 0;
        send_prepare(a, i)
    }
    skip
}

#define moves(a, n, m) \
    (agent[a].group[n].state == EMIGRATING && agent[a].group[n].moving == m)

/* Step 2 is acknowledged: START, when this is so for the whole batch. */
inline take_prepared(a) {
    if
    :: moves(a, g, number) ->
        printf("agent %d has PREPARED of group %d\n", a, g);
        agent[a].group[g].prepared = 1;
        if
        :: ALL(a, prepared) -> control[number].start = 1
        :: else
        fi
    :: else
    fi
}

inline take_arrived(a) {
    if
    :: moves(a, g, number) -> agent[a].group[g].landed = 1
    :: else
    fi
}

/* A priority pull. */
inline take_pull(a) {
    if
    :: moves(a, g, number) && agent[a].group[g].prepared ->
        printf("agent %d sends the pulled key of group %d, value %d\n", a, g,
               agent[a].group[g].copy);
        send(1 - (a), PULLED, number, g, agent[a].group[g].copy, 0)
    :: else
    fi
}

/* Step 6. The copy stays: the sweeper deletes it, of an ABSENT group, of which nobody reads it. */
inline give_away(a) {
    printf("agent %d has COMPLETE acknowledged: ABSENT\n", a);
    for (i : 0 .. GROUPS - 1) {
        agent[a].group[i].state = ABSENT;
        agent[a].group[i].former = 1;
        agent[a].group[i].prepared = 0;
        agent[a].group[i].sent = 0;
        agent[a].group[i].landed = 0;
        agent[a].records = agent[a].records & ~requests_of[i]
    }
    agent[a].started = 0
}
