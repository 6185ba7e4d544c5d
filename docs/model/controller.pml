/* The controller (controller/follow.py, controller/recovery.py), and the connections that break. */

#define has_left(a, m) (ALL(a, former) && ALL(a, moving == m))

#ifdef REAL_SWITCH
#define SWITCH_SERVES (tor.present && !tor.migrating)
#define enter_migration() tor.migrating = 1; write_registers(0, 0, 0)
#else
#define SWITCH_SERVES true
#define enter_migration() skip
#endif

proctype Controller() {
end:
    do
    /* launch: switch and destination first */
    :: atomic {
        migration_over && migration < MIGRATIONS && SWITCH_SERVES &&
        ALL(DESTINATION(migration), state == OWNED) ->
        d_step {
            migration++;
            migration_over = 0;
            enter_migration();
            accept(DESTINATION(migration))
        }
       };
       d_step { emigrate(SOURCE(migration)) }
    :: d_step {
        !migration_over && has_left(SOURCE(migration), migration) ->
#if defined(REAL_SWITCH) && (RESETS + CRASHES == 0 || defined(SWITCH_FOLLOWS))
        assert(tor.migrated && !tor.ongoing); /* the switch has followed */
#endif
        migration_over = 1
       }

#ifdef REAL_SWITCH
    /* the end */
    :: d_step {
        migration_over && tor.present && tor.migrating ->
        tor.migrating = 0;
        tor.server = DESTINATION(migration);
        write_registers(0, 0, 0)
       }
    /* the switch has restarted: freeze the migration, write back what its source knows, go on */
    :: d_step {
        migration_over && !tor.present -> tor.present = 1; tor.server = DESTINATION(migration)
       }
    :: d_step {
        !migration_over && !tor.present && !agent[SOURCE(migration)].frozen ->
        agent[SOURCE(migration)].frozen = 1
       }
    :: d_step {
        !migration_over && !tor.present && agent[SOURCE(migration)].frozen ->
        tor.present = 1;
        tor.migrating = 1;
        write_registers(agent[SOURCE(migration)].started, has_left(SOURCE(migration), migration),
                        (has_left(SOURCE(migration), migration) -> 2 :
                         agent[SOURCE(migration)].started))
       }
    :: d_step { tor.present && agent[0].frozen -> agent[0].frozen = 0 }
    :: d_step { tor.present && agent[1].frozen -> agent[1].frozen = 0 }
#endif

#if BREAKS
    :: d_step { breaks < BREAKS -> break_channel_to(0) }
    :: d_step { breaks < BREAKS -> break_channel_to(1) }
#endif
    od
}
