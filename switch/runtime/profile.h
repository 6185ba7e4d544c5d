/* Action profiles: actions (members) that entries of several tables may refer to, one by one or as
 * groups; a hash chooses one member of a group.
 *
 * An entry of a table with a profile has P4_MEMBER, P4_GROUP or P4_ONE_SHOT for an action, and the
 * address of the member or group as its first word of data; other actions are its own (const
 * entries, the program's default). Members and groups never move; who refers to one is counted, and
 * what is referred to cannot be deleted. The group of P4_ONE_SHOT, and its members, are the entry's
 * own.
 */
#pragma once

#include "table.h"

enum {
    P4_MEMBER = 0x7ffffff0,
    P4_GROUP,
    P4_ONE_SHOT,
    P4_NOTHING = 0x7fffffff, /* what a group without a member to choose does: no action at all */
};

enum { P4_PORTS = 512 };

struct p4_profile_type {
    uint32_t size;       /* most members, and with a selector the most in all groups together */
    uint32_t data_words; /* of a member */
    bool by_weight;      /* a group counts as the sum of its weights; else as its members */
};

struct p4_member {
    uint32_t id;
    uint32_t action; /* its number in the profile */
    uint32_t references;
    uint64_t data[];
};

struct p4_choice {
    struct p4_member *member;
    uint32_t weight;
    uint32_t watch; /* not to be chosen while this port is down; P4_NONE: no port */
    uint64_t up_to; /* the weights of what can be chosen, up to and with this one */
};

struct p4_action_group {
    uint32_t id;
    uint32_t references;
    uint32_t count;
    bool even;      /* all can be chosen, and weigh 1: shares and choices are the same */
    uint64_t total; /* the weights of all that can be chosen */
    struct p4_choice *choices;
};

struct p4_profile {
    const struct p4_profile_type *type;
    struct p4_table members, groups; /* by id; the data is the address */
    uint64_t grouped;                /* what all groups count as, together */
    uint64_t one_shots;              /* entries with P4_ONE_SHOT */
};

/* The ports that are down, one bit each. */
struct p4_ports {
    uint64_t down[P4_PORTS / 64];
};

/* Whose share the hash falls into. BMv2, which has no weights, takes number hash % count. */
P4_INLINE const struct p4_member *p4_choose(const struct p4_action_group *g, uint32_t hash)
{
    if (P4_UNLIKELY(g->total == 0))
        return NULL;
    uint64_t share = hash % g->total;
    if (P4_LIKELY(g->even))
        return g->choices[share].member;
    uint32_t low = 0, high = g->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->choices[middle].up_to > share)
            high = middle;
        else
            low = middle + 1;
    }
    return g->choices[low].member;
}

/* A member of a group as a control call gives it. */
struct p4_share {
    uint32_t member, weight, watch;
};

/* The caller holds the lock. Results are those of table.h. */
bool p4_profile_init(struct p4_profile *p, const struct p4_profile_type *type);
void p4_profile_destroy(struct p4_profile *p);
struct p4_member *p4_member_find(const struct p4_profile *p, uint32_t id);
struct p4_action_group *p4_group_find(const struct p4_profile *p, uint32_t id);
int p4_member_set(struct p4_profile *p, uint32_t id, uint32_t action, const uint64_t *data,
                  bool insert);
int p4_member_delete(struct p4_profile *p, uint32_t id);
/* Replaces all members of the group at once. */
int p4_group_set(struct p4_profile *p, const struct p4_ports *ports, uint32_t id,
                 const struct p4_share *shares, uint32_t count, bool insert);
int p4_group_delete(struct p4_profile *p, uint32_t id);

/* What an entry is to do, from the words of a control call: an id, or for P4_ONE_SHOT their number
 * and per action weight, watched port, number, data. On success words[0] is what the entry keeps,
 * until it is given back. A one-shot may need the room of one that will be given back after it:
 * `freed`. */
int p4_target_take(struct p4_profile *p, const struct p4_ports *ports, uint32_t action,
                   const uint64_t *data, uint64_t freed, uint64_t *words);
uint64_t p4_target_size(const struct p4_profile *p, uint32_t action, const uint64_t *words);
void p4_target_give(struct p4_profile *p, uint32_t action, const uint64_t *words);
/* The words that p4_target_take took it from, as many as the result says; NULL: only count. */
uint32_t p4_target_words(const struct p4_profile *p, uint32_t action, const uint64_t *words,
                         uint64_t *to);

/* What can be chosen, after a port went up or down. */
void p4_profile_watch(struct p4_profile *p, const struct p4_ports *ports);
void p4_target_watch(uint32_t action, const uint64_t *words, const struct p4_ports *ports);
