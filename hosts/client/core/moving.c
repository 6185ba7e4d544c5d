#include "moving.h"

#include <string.h>

static bool overlaps(const struct nm_moving *m, uint16_t first, uint16_t last) {
    return m->first <= last && first <= m->last;
}

static void drop(struct nm_ranges *all, unsigned i) {
    all->count--;
    memmove(all->at + i, all->at + i + 1, (all->count - i) * sizeof *all->at);
}

const struct nm_moving *nm_ranges_find(const struct nm_ranges *all, uint16_t group) {
    for (unsigned i = 0; i < all->count; i++)
        if (overlaps(&all->at[i], group, group)) return &all->at[i];
    return NULL;
}

void nm_ranges_learn(struct nm_ranges *all, const struct nm_moving *m, uint16_t group) {
    for (unsigned i = all->count; i-- > 0;)
        if (overlaps(&all->at[i], group, group) ||
            (m->port && overlaps(&all->at[i], m->first, m->last)))
            drop(all, i);
    if (!m->port) return;
    if (all->count == NM_RANGES) drop(all, 0); /* the one that nobody has spoken of for longest */
    all->at[all->count++] = *m;
}

void nm_ranges_arrived(struct nm_ranges *all, uint16_t group) {
    for (unsigned i = 0; i < all->count; i++) {
        if (!overlaps(&all->at[i], group, group)) continue;
        if (group == all->at[i].last) drop(all, i);
        else all->at[i].first = (uint16_t)(group + 1);
        return;
    }
}
