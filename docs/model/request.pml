/* A request of a client, its copies in the network, what agents answer (hosts/agent/core/judge.c),
 * and what its client makes of it (hosts/client/core/session.c). */

#define READ 0
#define SET 1    /* a blind write */
#define INCR 2   /* a read-modify-write */
#define DELETE 3 /* one that leaves no key */

#define AT(a) agent[a].group[mine]
#define RECORD (1 << id)

/* Which copies have reached an agent: any at all, and one that is stamped as a double read of
 * migration m. */
#ifdef REAL_SWITCH
#define reaches(a) (reached[a] != 0)
#define doubled(a, m) (reached[a] >> m & 1)
#else
#define reaches(a) true
#define doubled(a, m) (m <= migration)
#endif

#define waits_for_key(a) (AT(a).state == IMMIGRATING && !AT(a).here)

/* --- writes --- */

#define repeated(a) (seq <= agent[a].watermark[client] || agent[a].records & RECORD)
#define executable(a) \
    (kind_of != READ && reaches(a) && !repeated(a) && executes(a, mine) && \
     (kind_of == SET || !waits_for_key(a)) && !orphaned(a, mine))

inline execute(a) {
    printf("agent %d executes request %d: value %d\n", a, id, latest[mine] + 1);
    assert(!executed);                                    /* exactly once */
    assert(kind_of == SET || AT(a).copy == latest[mine]); /* of the newest value */
    executed = 1;
    latest[mine]++;
    if
    :: kind_of == DELETE -> deletions[mine] = deletions[mine] | 1 << latest[mine]
    :: else
    fi;
    AT(a).copy = latest[mine];
    AT(a).here = (AT(a).state == IMMIGRATING);
#ifdef JOURNAL
    AT(a).newer = (AT(a).state == IMMIGRATING);
    AT(a).torn = 0;
#endif
    agent[a].records = agent[a].records | RECORD;
    value = (over -> 0 : latest[mine])
}

#define WRITE_AT(a) \
    :: d_step { executable(a) -> execute(a) }

/* The agent ends before it has noted what it did. */
#define CRASH_IN_WRITE_AT(a, forget) \
    :: d_step { executable(a) && crashes < CRASHES -> execute(a); forget; crash(a) }

#ifdef JOURNAL
/* The same, of the intent of which the journal tells: the write is never executed again, and its
 * client is told that nobody knows. Where its key is not noted as newer, it is as if it had not been
 * executed, until it surfaces. */
#define CRASH_IN_NOTED_WRITE_AT(a) \
    :: d_step { \
        executable(a) && crashes < CRASHES -> \
        if \
        :: AT(a).state != IMMIGRATING || AT(a).arrived || AT(a).newer -> execute(a) \
        :: else -> \
            assert(!executed); \
            AT(a).torn = (kind_of != DELETE); \
            agent[a].records = agent[a].records | RECORD \
        fi; \
        unknown = 1; \
        crash(a) \
       }
#endif

/* --- reads --- */

#define readable(a) \
    (executes(a, mine) && !waits_for_key(a) && !orphaned(a, mine) || \
     BROKEN == EMIGRATING_READ && AT(a).state == EMIGRATING)
#define double_read(a, m) (doubled(a, m) && (AT(a).moving == m || BROKEN == STALE_DOUBLE))
#define says_not_here_yet(a) \
    (AT(a).state == ABSENT && !AT(a).former || waits_for_key(a) && !orphaned(a, mine))

#define READ_AT(a) \
    :: d_step { \
        kind_of == READ && !over && reaches(a) && readable(a) -> \
        value = AT(a).copy; \
        printf("agent %d answers request %d: value %d\n", a, id, value); \
        finish() \
       }

#define DOUBLE_READ_AT(a, m) \
    :: d_step { \
        kind_of == READ && !over && double_read(a, m) && AT(a).state == EMIGRATING && \
        from_source[m] == NOTHING -> \
        from_source[m] = AT(a).copy; \
        printf("agent %d tells request %d of migration %d: value %d\n", a, id, m, AT(a).copy) \
       } \
    :: d_step { \
        kind_of == READ && !over && double_read(a, m) && says_not_here_yet(a) && !not_here[m] -> \
        not_here[m] = 1; \
        printf("agent %d tells request %d of migration %d: not here yet\n", a, id, m) \
       }

/* A query that waits for its key: a priority pull. */
#define PULL_AT(a) \
    :: d_step { \
        kind_of != SET && !over && reaches(a) && waits_for_key(a) && !AT(a).pulled && \
        !orphaned(a, mine) -> \
        AT(a).pulled = 1; \
        send(1 - (a), PULL, AT(a).moving, mine, 0, 0) \
       }

/* --- the client --- */

inline finish() {
    printf("client %d has the answer of request %d: value %d\n", client, id, value);
    /* Never older than what any client had been told when the request began. */
    assert(value != NOTHING && value >= floor);
    told[mine] = (value > told[mine] -> value : told[mine]);
    give_up()
}

/* Nobody waits for the request any more; copies of it may still arrive. */
inline give_up() {
    finished[client]++;
    over = 1;
    floor = 0;
    value = 0
}

#define CERTIFIED(m) \
    :: d_step { \
        kind_of == READ && !over && from_source[m] != NOTHING && not_here[m] -> \
        value = from_source[m]; \
        finish() \
       }

/* Any copy of the request says what its client has finished before it. */
#define ACKED_AT(a) \
    :: d_step { \
        reaches(a) && !over && agent[a].watermark[client] < seq - 1 && \
        (kind_of != READ || agent[a].records & CLIENT_REQUESTS(client, seq - 1)) -> \
        advance(a, client, seq - 1) \
       }

proctype Request(byte id; byte client; byte seq) {
    unsigned kind_of : 2;
    bit mine;            /* its group */
    bit executed;        /* a write that took effect */
    bit over;            /* its client waits for it no more */
#ifdef JOURNAL
    bit unknown;         /* a write of which a crash left the outcome in the dark */
#endif
    unsigned floor : 4;  /* the newest value that anybody had been told of when it began */
    unsigned value : 4;  /* the reply */
    /* Double reads: the source's value, and "not here yet", by the migration that they carry. */
    byte from_source[MIGRATIONS + 1];
    bit not_here[MIGRATIONS + 1];
#ifdef REAL_SWITCH
    byte reached[2]; /* copies at each agent: bit 0 plain, bit m a double read of migration m */
#endif

end_idle:
    atomic {
        finished[client] == seq - 1 && (begun[0] || client == 0 || REQUESTS_1 < REQUESTS) ->
        begun[client]++;
#ifdef ONE_WRITER
        kind_of = (client == 0 -> READ : SET);
#else
        if
        :: kind_of = READ
        :: kind_of = SET
        :: kind_of = INCR
#ifdef DELETES
        :: kind_of = DELETE
#endif
        fi;
#endif
#if GROUPS == 2
        if
        :: mine = 0
        :: mine = 1
        fi;
#endif
        requests_of[mine] = requests_of[mine] | RECORD;
        floor = told[mine];
        printf("client %d begins request %d, kind %d\n", client, id, kind_of);
        for (k : 0 .. MIGRATIONS) { from_source[k] = NOTHING }
    }
end_sent:
    do
    WRITE_AT(0)
    WRITE_AT(1)
    READ_AT(0)
    READ_AT(1)
    DOUBLE_READ_AT(0, 1)
    DOUBLE_READ_AT(1, 1)
#if MIGRATIONS > 1
    DOUBLE_READ_AT(0, 2)
    DOUBLE_READ_AT(1, 2)
#endif
    PULL_AT(0)
    PULL_AT(1)
    ACKED_AT(0)
    ACKED_AT(1)
    /* the client */
#ifdef JOURNAL
    :: d_step { executed && !over && !unknown -> finish() }
    :: d_step { unknown && !over -> give_up() }
#else
    :: d_step { executed && !over -> finish() }
#endif
    CERTIFIED(1)
#if MIGRATIONS > 1
    CERTIFIED(2)
#endif
#if ABANDONS
    :: d_step { !over && abandons < ABANDONS -> abandons++; give_up() }
#endif
#ifdef REAL_SWITCH
    STEERED
    HANDED_ON_BY(0)
    HANDED_ON_BY(1)
#endif
#ifdef JOURNAL
    CRASH_IN_NOTED_WRITE_AT(0)
    CRASH_IN_NOTED_WRITE_AT(1)
#endif
#ifdef TORN_RECORD
    CRASH_IN_WRITE_AT(0, agent[0].records = agent[0].records & ~RECORD)
    CRASH_IN_WRITE_AT(1, agent[1].records = agent[1].records & ~RECORD)
#endif
#ifdef TORN_HERE
    CRASH_IN_WRITE_AT(1, AT(1).here = 0)
#endif
    od
}
