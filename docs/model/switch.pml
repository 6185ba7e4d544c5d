/* The switch. Without REAL_SWITCH it does anything at all: each query may reach any agent at any
 * time, as a double read or not, whatever entries and registers say; control packets just pass. */

#ifdef REAL_SWITCH

/* What it really does: one entry of the partition table, and one slice of the registers; all groups
 * are one batch, so there is one cell (p4src/include/steering.p4, migration.p4, control.p4). */
typedef Registers {
    bit present;         /* the partition has an entry */
    bit migrating;       /* it is migrate(), of `migration` */
    bit server;          /* else serve(server) */
    unsigned ongoing : 2;
    bit migrated;
    unsigned sequence : 2 /* the last one applied: START is 1, COMPLETE is 2 */
};
Registers tor;

inline write_registers(some_ongoing, some_migrated, last) {
    tor.ongoing = some_ongoing;
    tor.migrated = some_migrated;
    tor.sequence = last
}

#define DOUBLED (tor.migrating && tor.ongoing && kind_of == READ)
#define AT_DESTINATION (tor.migrating && (tor.ongoing || tor.migrated))
#define STEERED_TO \
    (tor.migrating -> (AT_DESTINATION -> DESTINATION(migration) : SOURCE(migration)) : tor.server)

/* A request that its client has sent, maybe long ago, passes the switch. Whether reads are doubled
 * or go to the destination alone is a setting (pull_reads): here any read may do either. */
#define STEERED \
    :: d_step { \
        tor.present && !(reached[STEERED_TO] & 1) && (!over || kind_of != READ) -> \
        assert(!AT_DESTINATION || executes(DESTINATION(migration), mine)); /* it is the owner */ \
        reached[STEERED_TO] = reached[STEERED_TO] | 1 \
       } \
    :: d_step { \
        tor.present && DOUBLED && !((reached[0] & reached[1]) >> migration & 1) && !over -> \
        reached[0] = reached[0] | 1 << migration; \
        reached[1] = reached[1] | 1 << migration \
       }

/* An agent hands a query to the owner, once there is one. */
#define HANDED_ON_BY(a) \
    :: d_step { \
        (reached[a] & ~reached[1 - (a)]) && !over && \
        (AT(a).state == ABSENT || AT(a).state == EMIGRATING && AT(a).prepared) -> \
        reached[1 - (a)] = reached[1 - (a)] | reached[a] \
       }

inline count(n) {
    if
    :: n > tor.sequence && n == 1 ->
        assert(!tor.migrated && tor.ongoing == 0); /* forward only */
        write_registers(1, 0, 1)
    :: n > tor.sequence && n == 2 -> write_registers(0, 1, 2)
    :: else
    fi
}

proctype Switch() {
end:
    do
    :: d_step {
        tor.present && tor.migrating && control[migration].start &&
        (!control[migration].start_passed || tor.sequence < 1) ->
        count(1);
        control[migration].start_passed = 1
       }
    :: d_step {
        tor.present && tor.migrating && control[migration].complete &&
        (!control[migration].complete_passed || tor.sequence < 2) ->
        count(2);
        control[migration].complete_passed = 1
       }
#if RESETS
    :: d_step {
        resets < RESETS && tor.present ->
        printf("the switch restarts\n");
        resets++;
        tor.present = 0;
        tor.migrating = 0;
        write_registers(0, 0, 0)
       }
#endif
    od
}

#endif
