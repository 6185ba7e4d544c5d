/* An agent: one thread, so whatever it does for one frame or packet is one step. What it answers to
 * queries is in request.pml. */

inline take(me) {
    if
    :: kind == PREPARE -> take_prepare(me)
    :: kind == PREPARED -> take_prepared(me)
    :: kind == KEYS -> take_keys(me)
    :: kind == ARRIVED -> take_arrived(me)
    :: kind == PULL -> take_pull(me)
    :: kind == PULLED -> take_pulled(me)
    fi
}

proctype Agent(bit me) {
end:
    do
    :: d_step { link[me] ? kind, number, g, body, marks -> take(me) }

    /* step 4 */
    :: d_step {
        ALL(me, prepared) && !ALL(me, sent) && !agent[me].frozen ->
        for (i : 0 .. GROUPS - 1) {
            if
            :: !agent[me].group[i].sent ->
                agent[me].group[i].sent = 1;
                printf("agent %d sends KEYS of group %d, value %d\n", me, i,
                       agent[me].group[i].copy);
                send(1 - me, KEYS, agent[me].group[i].moving, i, agent[me].group[i].copy, 0)
            :: else
            fi
        }
        skip
       }

    /* the acknowledgements of START and COMPLETE, at the source */
    :: d_step {
        ALL(me, prepared) && !agent[me].started && !agent[me].frozen &&
        control[migration].start_acked ->
        agent[me].started = 1
       }
    :: d_step {
        ALL(me, landed) && agent[me].started && !agent[me].frozen &&
        !control[migration].complete ->
        control[migration].complete = 1
       }
    :: d_step {
        ALL(me, landed) && agent[me].started && !agent[me].frozen &&
        control[migration].complete_acked ->
        give_away(me)
       }

    /* START and COMPLETE, at the destination */
    :: d_step {
        PASSED(start) && !control[migration].start_acked &&
        me == DESTINATION(migration) &&
        (awaits(me, 0, migration) && awaits(me, GROUPS - 1, migration) ||
         has_completed(me, migration)) ->
        control[migration].start_acked = 1
       }
    :: d_step {
        PASSED(complete) && awaits(me, 0, migration) &&
        ALL(me, arrived) ->
        become_owned(me);
        control[migration].complete_acked = 1
       }

#if BREAKS + CRASHES
    :: d_step { old_link[me] ? kind, number, g, body, marks -> take(me) }
#endif
#if CRASHES
    :: d_step { crashes < CRASHES -> crash(me) }
#endif
    od
}
