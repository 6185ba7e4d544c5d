/* The TCP connections between the agents: frames in order, until a connection breaks. Then some are
 * lost, some were received and are still handled, even after those of the next connection. */

#define PREPARE 1
#define PREPARED 2
#define KEYS 3
#define ARRIVED 4
#define PULL 5
#define PULLED 6

#define ROOM ((4 + 2 * (BREAKS + CRASHES)) * GROUPS) /* enough: send() asserts it */

/* To each agent: kind, migration, group, value or records, watermarks. */
chan link[2] = [ROOM] of { byte, byte, byte, byte, byte };
#if BREAKS + CRASHES
chan old_link[2] = [ROOM] of { byte, byte, byte, byte, byte };
#endif

inline send(to, a_kind, a_number, a_group, a_body, some_marks) {
    assert(nfull(link[to]));
    link[to] ! a_kind, a_number, a_group, a_body, some_marks
}

/* The connection to an agent breaks. */
inline disconnect(to) {
    do
    :: nempty(link[to]) ->
        link[to] ? kind, number, g, body, marks;
        if
        :: nfull(old_link[to]) -> old_link[to] ! kind, number, g, body, marks
        :: full(old_link[to]) /* lost */
        fi
    :: empty(link[to]) -> break
    od
}
