/* What a client knows of groups on the move: which may still be at a source, and where that is
 * (docs/protocols.md, fulva). A hint: if it is wrong or old it costs time, never consistency. */
#ifndef NETMIGRATE_MOVING_H
#define NETMIGRATE_MOVING_H

#include "../../wire/wire.h"

enum { NM_RANGES = 16 };

/* Invariant: the ranges do not overlap. */
struct nm_ranges {
    unsigned count;
    struct nm_moving at[NM_RANGES];
};

/* The range that the group is in; NULL: nothing is known. */
const struct nm_moving *nm_ranges_find(const struct nm_ranges *all, uint16_t group);

/* Takes what a reply about `group` said; it replaces whatever contradicts it. */
void nm_ranges_learn(struct nm_ranges *all, const struct nm_moving *m, uint16_t group);

/* The group has arrived, and those before it, for they move in ascending order. */
void nm_ranges_arrived(struct nm_ranges *all, uint16_t group);

#endif
