/* The destination's side of a migration (hosts/agent/immigration/). */

#define has_completed(a, m) (agent[a].done >> m & 1)
#define awaits(a, n, m) \
    (agent[a].group[n].state == IMMIGRATING && agent[a].group[n].moving == m)

/* The controller announces a migration. */
inline accept(a) {
    for (i : 0 .. GROUPS - 1) {
        assert(agent[a].group[i].state == ABSENT);
        agent[a].group[i].former = 0;
        agent[a].group[i].moving = migration
    }
    skip
}

/* After its COMPLETE a PREPARE is one of an old connection: the group has come and gone since. */
#ifdef LATE_PREPARE
#define may_come(a, m) true
#elif defined(FORGET_MIGRATIONS)
#define may_come(a, m) (m == migration && !migration_over) /* the controller has told again */
#else
#define may_come(a, m) (!has_completed(a, m))
#endif

/* Step 2: become the owner. */
inline take_prepare(a) {
    for (i : 0 .. CLIENTS - 1) {
        advance(a, i, ((marks >> (4 * i)) & 15))
    }
    if
    :: awaits(a, g, number) ||
       has_completed(a, number) && agent[a].group[g].state != ABSENT ->
        send(1 - (a), PREPARED, number, g, 0, 0)
    :: agent[a].group[g].state == ABSENT && may_come(a, number) ->
        printf("agent %d takes PREPARE: IMMIGRATING, group %d\n", a, g);
        for (i : 0 .. CLIENTS - 1) {
            body = body & ~CLIENT_REQUESTS(i, agent[a].watermark[i])
        }
        agent[a].records = agent[a].records | body;
        agent[a].group[g].copy = NOTHING; /* what an earlier stay left is purged */
        agent[a].group[g].here = 0;
        agent[a].group[g].arrived = 0;
        agent[a].group[g].pulled = 0;
        agent[a].group[g].former = 0;
#ifdef JOURNAL
        agent[a].group[g].newer = 0;
        agent[a].group[g].torn = 0;
#endif
        agent[a].group[g].state = IMMIGRATING;
        assert(one_owner(g));
        send(1 - (a), PREPARED, number, g, 0, 0)
    :: else
    fi
}

#ifdef LEAVE_REST
/* The store has the key, though the source has not: from a torn write, maybe of two crashes ago. */
#define left_behind(a) \
    (agent[a].group[g].torn || agent[a].group[g].copy != NOTHING && agent[a].group[g].copy > body)

/* The word that the source has no such key makes it visible. */
inline surface(a) {
    if
    :: agent[a].group[g].torn ->
        latest[g]++;
        agent[a].group[g].copy = latest[g]
    :: else
    fi;
    agent[a].group[g].torn = 0;
    agent[a].group[g].here = 1
}
#endif

/* A migrated copy, unless the key's truth is here. */
inline apply(a) {
    if
#ifdef LEAVE_REST
    :: !agent[a].group[g].here && is_deletion(g, body) && left_behind(a) ->
        surface(a)
    :: !agent[a].group[g].here && !(is_deletion(g, body) && left_behind(a)) ->
        agent[a].group[g].torn = 0; /* RESTORE replaces what a torn write left */
#else
    :: !agent[a].group[g].here || BROKEN == OVERWRITTEN_VALUE ->
#endif
        printf("agent %d applies the copy of group %d, value %d\n", a, g, body);
        /* the newer value wins */
        assert(agent[a].group[g].copy == NOTHING || agent[a].group[g].copy <= body);
        agent[a].group[g].copy = body;
        agent[a].group[g].here = 1
    :: else
    fi
}

/* Step 4: every key of the group, and the end mark. */
inline take_keys(a) {
    if
    :: awaits(a, g, number) ->
        apply(a);
        agent[a].group[g].arrived = 1;
        send(1 - (a), ARRIVED, number, g, 0, 0)
    :: has_completed(a, number) -> send(1 - (a), ARRIVED, number, g, 0, 0)
    :: else
    fi
}

inline take_pulled(a) {
    if
    :: awaits(a, g, number) -> apply(a)
    :: else
    fi
}

/* Step 5. */
inline become_owned(a) {
    printf("agent %d takes COMPLETE: OWNED\n", a);
    for (i : 0 .. GROUPS - 1) {
        /* nothing is dropped early */
        assert(agent[a].group[i].copy == latest[i]);
        agent[a].group[i].state = OWNED;
        agent[a].group[i].here = 0;
        agent[a].group[i].arrived = 0;
#ifdef JOURNAL
        agent[a].group[i].newer = 0;
        agent[a].group[i].torn = 0;
#endif
        agent[a].group[i].pulled = 0
    }
    agent[a].done = agent[a].done | 1 << migration
}
