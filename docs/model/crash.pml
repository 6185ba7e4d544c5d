/* Connections that break and agents that end at any time. */

/* A new connection: what was not answered is sent again. */
inline resend(a) {
    for (i : 0 .. GROUPS - 1) {
        if
        :: agent[a].group[i].state == EMIGRATING && !agent[a].group[i].prepared ->
            send_prepare(a, i)
        :: agent[a].group[i].state == EMIGRATING && !agent[a].group[i].landed ->
            agent[a].group[i].sent = 0
        :: agent[a].group[i].state == IMMIGRATING -> agent[a].group[i].pulled = 0
        :: else
        fi
    }
    skip
}

inline break_channel_to(a) {
    printf("the channel to agent %d breaks\n", a);
    breaks++;
    disconnect(a);
    resend(0);
    resend(1)
}

/* What an agent that starts again knows of the keys of its IMMIGRATING group i. */
inline remember_keys(a) {
#ifdef LOSE_HERE
    agent[a].group[i].here = agent[a].group[i].arrived;
#endif
#ifdef HERE_FROM_STORE
    agent[a].group[i].here = agent[a].group[i].arrived || agent[a].group[i].copy != NOTHING &&
                             !is_deletion(i, agent[a].group[i].copy);
#endif
#ifdef HERE_IF_NEWER
    agent[a].group[i].here = agent[a].group[i].arrived || agent[a].group[i].copy != NOTHING &&
                             agent[a].group[i].copy > agent[1 - (a)].group[i].copy;
#endif
#ifdef JOURNAL
    agent[a].group[i].here = agent[a].group[i].arrived || agent[a].group[i].newer;
#ifndef LEAVE_REST
    if /* what is not newer is deleted, and comes again */
    :: !agent[a].group[i].here ->
        agent[a].group[i].copy = NOTHING;
        agent[a].group[i].torn = 0
    :: else
    fi;
#endif
#endif
#ifdef LOSE_ARRIVED
    agent[a].group[i].arrived = 0;
#endif
#ifdef FORGET_MIGRATIONS
    agent[a].group[i].moving = 0; /* of no migration it knows: all its queries are refused */
#endif
    skip
}

/* An agent ends, starts again, and is told again which migrations there are. Its store lives on;
 * so does its ownership table; the rest of what it knows does as far as it is durable. */
inline crash(a) {
    printf("agent %d crashes\n", a);
    crashes++;
    do
    :: nempty(link[a]) -> link[a] ? kind, number, g, body, marks
    :: nempty(old_link[a]) -> old_link[a] ? kind, number, g, body, marks
    :: empty(link[a]) && empty(old_link[a]) -> break
    od;
    disconnect(1 - (a));
    agent[a].started = 0;
    agent[a].frozen = 0;
#ifdef LOSE_RECORDS
    agent[a].records = 0;
#endif
#ifdef LOSE_WATERMARKS
    for (i : 0 .. CLIENTS - 1) { agent[a].watermark[i] = 0 }
#endif
    for (i : 0 .. GROUPS - 1) {
        agent[a].group[i].prepared = 0;
        agent[a].group[i].sent = 0;
        agent[a].group[i].landed = 0;
        if
        :: agent[a].group[i].state == IMMIGRATING -> remember_keys(a)
        :: else
        fi
    }
#ifdef FORGET_MIGRATIONS
    agent[a].done = 0;
#endif
#ifdef REAL_SWITCH
    if /* the controller empties the slice, for the lanes begin to count anew */
    :: ALL(a, state == EMIGRATING) && tor.migrating -> write_registers(0, 0, 0)
    :: else
    fi;
#endif
    resend(a);
    resend(1 - (a))
}
