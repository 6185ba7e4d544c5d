/* Sections 5 and 6 of DESIGN.md: how groups move between two agents under their clients' queries.
 * README.md says what is abstracted, and how to check it. */

/* --- bounds: set with spin -D ------------------------------------------------------------------ */

#ifndef GROUPS
#define GROUPS 1 /* of one key each; they move as one batch */
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef REQUESTS
#define REQUESTS 1 /* of each client, one after the other */
#endif
#ifndef REQUESTS_1
#define REQUESTS_1 REQUESTS /* of the second client, where it has fewer */
#endif
#ifndef MIGRATIONS
#define MIGRATIONS 1 /* one after the other, there and back */
#endif
/* ONE_WRITER: the first client reads, the second one does SET. DELETES: clients delete, too. */
#ifndef EMPTY
#define EMPTY 0 /* 1: there is no key in the beginning */
#endif
#ifndef CRASHES
#define CRASHES 0 /* of any agent, at any time */
#endif
#ifndef BREAKS
#define BREAKS 0 /* of a connection between the agents */
#endif
#ifndef ABANDONS
#define ABANDONS 0 /* requests that a client gives up */
#endif
#ifndef RESETS
#define RESETS 0 /* of the switch; with REAL_SWITCH. SWITCH_FOLLOWS: it must be right in the end */
#endif

/* --- what to break, to see that it would be found ---------------------------------------------- */

#define OVERWRITTEN_VALUE 1 /* a migrated copy is applied to a key whose truth is here */
#define REEXECUTED_WRITE 2  /* PREPARE carries no completion records */
#define EMIGRATING_READ 3   /* an EMIGRATING source answers a plain read as if it were the owner */
#define STALE_DOUBLE 4      /* a double read of another migration counts as one of this */
#ifndef BROKEN
#define BROKEN 0
#endif

/* --- what is not durable, or not at once: nothing, unless set with spin -D ----------------------
 * LOSE_RECORDS       a crash loses completion records
 * LOSE_WATERMARKS    ... up to where each session has finished
 * LOSE_HERE          ... which keys of an IMMIGRATING group are here
 * HERE_FROM_STORE    ... the same; those that are in the store count as here
 * HERE_IF_NEWER      ... the same, but for those that clients wrote or deleted here
 * LOSE_ARRIVED       ... that all keys of such a group are here
 * FORGET_MIGRATIONS  ... which migrations there are, and which are complete
 * JOURNAL            ... what hosts/agent/core/journal.c has not noted. Before a write it notes the
 *                    intent; after it, at once, the record and that its keys are newer here
 * LEAVE_REST         ... and what is not newer is left in the store, not deleted at the start
 * TORN_RECORD        a crash comes between a write and its record
 * TORN_HERE          ... between a write and the note that its key is here
 * LATE_PREPARE       a PREPARE from before COMPLETE is not told from one of this migration */

#include "state.pml"
#include "channel.pml"
#include "source.pml"
#include "destination.pml"
#include "switch.pml"
#include "crash.pml"
#include "agent.pml"
#include "request.pml"
#include "controller.pml"

/* Nothing can happen any more: then all must have happened. */
proctype Stuck() {
end:
    timeout -> assert(all_finished && migration_over)
}

init {
    atomic {
        for (i : 0 .. GROUPS - 1) {
            agent[0].group[i].state = OWNED;
            agent[1].group[i].copy = NOTHING;
            deletions[i] = EMPTY;
        }
        run Agent(0);
        run Agent(1);
        run Controller();
        run Stuck();
        for (i : 1 .. REQUESTS) {
            run Request(i - 1, 0, i)
        }
#if CLIENTS == 2
        for (i : 1 .. REQUESTS_1) {
            run Request(REQUESTS + i - 1, 1, i)
        }
#endif
#ifdef REAL_SWITCH
        tor.present = 1;
        run Switch();
#endif
    }
}
