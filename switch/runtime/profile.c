/* Changing action profiles. The caller holds the lock. */
#include "profile.h"

#include <stdlib.h>

enum { SHARE_WORDS = 3 }; /* of an action of P4_ONE_SHOT, before its data */

static const uint64_t nothing[1];
static const struct p4_table_type by_id = {
    .key_words = 1, .data_words = 1, .size = P4_NONE, .default_data = nothing};

static void *pointer(const uint64_t *word)
{
    return (void *)(uintptr_t)*word;
}

static struct p4_match match_id(const uint64_t *id)
{
    return (struct p4_match){.key = id};
}

static void *find(const struct p4_table *t, uint32_t number)
{
    uint64_t id = number;
    struct p4_match match = match_id(&id);
    struct p4_entry *e = p4_table_find(t, &match);
    return e ? pointer(p4_entry_data(t, e)) : NULL;
}

static int keep(struct p4_table *t, uint32_t number, void *what)
{
    uint64_t id = number, word = (uintptr_t)what;
    struct p4_match match = match_id(&id);
    return p4_table_insert(t, &match, 0, &word, 0);
}

static void forget(struct p4_table *t, uint32_t number)
{
    uint64_t id = number;
    struct p4_match match = match_id(&id);
    p4_table_delete(t, &match);
}

struct p4_member *p4_member_find(const struct p4_profile *p, uint32_t id)
{
    return find(&p->members, id);
}

struct p4_action_group *p4_group_find(const struct p4_profile *p, uint32_t id)
{
    return find(&p->groups, id);
}

/* --- members ---------------------------------------------------------------------------------- */

static struct p4_member *new_member(const struct p4_profile *p, uint32_t id, uint32_t action,
                                    const uint64_t *data)
{
    size_t bytes = 8 * (size_t)p->type->data_words;
    struct p4_member *m = malloc(sizeof *m + bytes);
    if (m) {
        m->id = id;
        m->action = action;
        m->references = 0;
        memcpy(m->data, data, bytes);
    }
    return m;
}

int p4_member_set(struct p4_profile *p, uint32_t id, uint32_t action, const uint64_t *data,
                  bool insert)
{
    struct p4_member *m = p4_member_find(p, id);
    if (!insert) {
        if (!m)
            return P4_NO_ENTRY;
        m->action = action;
        memcpy(m->data, data, 8 * (size_t)p->type->data_words);
        return P4_OK;
    }
    if (m)
        return P4_EXISTS;
    if (p->members.count >= p->type->size)
        return P4_FULL;
    if (!(m = new_member(p, id, action, data)))
        return P4_NO_MEMORY;
    int status = keep(&p->members, id, m);
    if (status != P4_OK)
        free(m);
    return status;
}

int p4_member_delete(struct p4_profile *p, uint32_t id)
{
    struct p4_member *m = p4_member_find(p, id);
    if (!m)
        return P4_NO_ENTRY;
    if (m->references)
        return P4_IN_USE;
    forget(&p->members, id);
    free(m);
    return P4_OK;
}

/* --- groups ----------------------------------------------------------------------------------- */

static bool is_down(const struct p4_ports *ports, uint32_t port)
{
    return port < P4_PORTS && ports->down[port / 64] >> port % 64 & 1;
}

static void add_up(struct p4_action_group *g, const struct p4_ports *ports)
{
    g->total = 0;
    g->even = true;
    for (uint32_t i = 0; i < g->count; i++) {
        struct p4_choice *c = &g->choices[i];
        uint64_t share = is_down(ports, c->watch) ? 0 : c->weight;
        g->even &= share == 1;
        c->up_to = g->total += share;
    }
}

static uint64_t size_of(const struct p4_profile *p, const struct p4_action_group *g)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->count; i++)
        sum += g->choices[i].weight;
    return p->type->by_weight ? sum : g->count;
}

/* Whether there is room for the group when what counts as `freed` is gone. */
static bool has_room(const struct p4_profile *p, const struct p4_action_group *g, uint64_t freed)
{
    return p->grouped - freed + size_of(p, g) <= p->type->size;
}

static int by_member(const void *a, const void *b)
{
    uint32_t x = ((const struct p4_choice *)a)->member->id;
    uint32_t y = ((const struct p4_choice *)b)->member->id;
    return (x > y) - (x < y);
}

/* Choices are in the order of the members' ids. */
static int choose_from(const struct p4_profile *p, struct p4_action_group *g,
                       const struct p4_ports *ports, const struct p4_share *shares, uint32_t count)
{
    g->choices = malloc((count + 1) * sizeof *g->choices);
    if (!g->choices)
        return P4_NO_MEMORY;
    g->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct p4_member *m = p4_member_find(p, shares[i].member);
        if (!m) {
            free(g->choices);
            return P4_NO_TARGET;
        }
        g->choices[i] = (struct p4_choice){m, shares[i].weight, shares[i].watch, 0};
    }
    qsort(g->choices, count, sizeof *g->choices, by_member);
    add_up(g, ports);
    return P4_OK;
}

static void refer(const struct p4_action_group *g, int change)
{
    for (uint32_t i = 0; i < g->count; i++)
        g->choices[i].member->references += (uint32_t)change;
}

int p4_group_set(struct p4_profile *p, const struct p4_ports *ports, uint32_t id,
                 const struct p4_share *shares, uint32_t count, bool insert)
{
    struct p4_action_group *g = p4_group_find(p, id), fresh = {.id = id};
    if (insert ? g != NULL : !g)
        return insert ? P4_EXISTS : P4_NO_ENTRY;
    int status = choose_from(p, &fresh, ports, shares, count);
    if (status != P4_OK)
        return status;
    if (insert && (g = calloc(1, sizeof *g)))
        status = keep(&p->groups, id, g);
    if (!g)
        status = P4_NO_MEMORY;
    if (status == P4_OK && !has_room(p, &fresh, size_of(p, g))) {
        status = P4_NO_ROOM;
        if (insert)
            forget(&p->groups, id);
    }
    if (status != P4_OK) {
        free(fresh.choices);
        if (insert)
            free(g);
        return status;
    }
    p->grouped += size_of(p, &fresh) - size_of(p, g);
    refer(g, -1);
    refer(&fresh, 1);
    free(g->choices);
    fresh.references = g->references;
    *g = fresh;
    return P4_OK;
}

int p4_group_delete(struct p4_profile *p, uint32_t id)
{
    struct p4_action_group *g = p4_group_find(p, id);
    if (!g)
        return P4_NO_ENTRY;
    if (g->references)
        return P4_IN_USE;
    p->grouped -= size_of(p, g);
    refer(g, -1);
    forget(&p->groups, id);
    free(g->choices);
    free(g);
    return P4_OK;
}

/* --- what entries refer to -------------------------------------------------------------------- */

static void free_one_shot(struct p4_action_group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        free(g->choices[i].member);
    free(g->choices);
    free(g);
}

static struct p4_action_group *new_one_shot(const struct p4_profile *p,
                                            const struct p4_ports *ports, const uint64_t *data)
{
    uint32_t count = (uint32_t)*data++;
    struct p4_action_group *g = calloc(1, sizeof *g);
    if (!g || !(g->choices = calloc(count + 1, sizeof *g->choices))) {
        free(g);
        return NULL;
    }
    for (; g->count < count; g->count++) {
        struct p4_choice *c = &g->choices[g->count];
        c->weight = (uint32_t)data[0];
        c->watch = (uint32_t)data[1];
        c->member = new_member(p, 0, (uint32_t)data[2], data + SHARE_WORDS);
        if (!c->member) {
            free_one_shot(g);
            return NULL;
        }
        data += SHARE_WORDS + p->type->data_words;
    }
    add_up(g, ports);
    return g;
}

int p4_target_take(struct p4_profile *p, const struct p4_ports *ports, uint32_t action,
                   const uint64_t *data, uint64_t freed, uint64_t *words)
{
    void *found = NULL;
    switch (action) {
    case P4_MEMBER:
        if (!(found = p4_member_find(p, (uint32_t)*data)))
            return P4_NO_TARGET;
        ((struct p4_member *)found)->references++;
        break;
    case P4_GROUP:
        if (!(found = p4_group_find(p, (uint32_t)*data)))
            return P4_NO_TARGET;
        ((struct p4_action_group *)found)->references++;
        break;
    case P4_ONE_SHOT:
        if (!(found = new_one_shot(p, ports, data)))
            return P4_NO_MEMORY;
        if (!has_room(p, found, freed)) {
            free_one_shot(found);
            return P4_NO_ROOM;
        }
        p->grouped += size_of(p, found);
        p->one_shots++;
    }
    words[0] = (uintptr_t)found;
    return P4_OK;
}

uint64_t p4_target_size(const struct p4_profile *p, uint32_t action, const uint64_t *words)
{
    return action == P4_ONE_SHOT ? size_of(p, pointer(words)) : 0;
}

void p4_target_give(struct p4_profile *p, uint32_t action, const uint64_t *words)
{
    switch (action) {
    case P4_MEMBER:
        ((struct p4_member *)pointer(words))->references--;
        break;
    case P4_GROUP:
        ((struct p4_action_group *)pointer(words))->references--;
        break;
    case P4_ONE_SHOT:
        p->grouped -= size_of(p, pointer(words));
        p->one_shots--;
        free_one_shot(pointer(words));
    }
}

uint32_t p4_target_words(const struct p4_profile *p, uint32_t action, const uint64_t *words,
                         uint64_t *to)
{
    const struct p4_action_group *g = pointer(words);
    uint32_t data_words = p->type->data_words;
    if (action != P4_ONE_SHOT) {
        if (to)
            *to = action == P4_MEMBER ? ((struct p4_member *)pointer(words))->id : g->id;
        return 1;
    }
    if (to) {
        *to++ = g->count;
        for (uint32_t i = 0; i < g->count; i++) {
            const struct p4_choice *c = &g->choices[i];
            *to++ = c->weight;
            *to++ = c->watch;
            *to++ = c->member->action;
            memcpy(to, c->member->data, 8 * (size_t)data_words);
            to += data_words;
        }
    }
    return 1 + g->count * (SHARE_WORDS + data_words);
}

void p4_target_watch(uint32_t action, const uint64_t *words, const struct p4_ports *ports)
{
    if (action == P4_ONE_SHOT)
        add_up(pointer(words), ports);
}

/* --- whole profiles --------------------------------------------------------------------------- */

void p4_profile_watch(struct p4_profile *p, const struct p4_ports *ports)
{
    for (uint32_t i = 0; i < p->groups.pool_used; i++) {
        struct p4_entry *e = p4_entry_at(&p->groups, i);
        if (e->in_use)
            add_up(pointer(p4_entry_data(&p->groups, e)), ports);
    }
}

bool p4_profile_init(struct p4_profile *p, const struct p4_profile_type *type)
{
    memset(p, 0, sizeof *p);
    p->type = type;
    return p4_table_init(&p->members, &by_id) && p4_table_init(&p->groups, &by_id);
}

void p4_profile_destroy(struct p4_profile *p)
{
    for (uint32_t i = 0; i < p->groups.pool_used; i++) {
        struct p4_entry *e = p4_entry_at(&p->groups, i);
        if (e->in_use) {
            struct p4_action_group *g = pointer(p4_entry_data(&p->groups, e));
            free(g->choices);
            free(g);
        }
    }
    for (uint32_t i = 0; i < p->members.pool_used; i++) {
        struct p4_entry *e = p4_entry_at(&p->members, i);
        if (e->in_use)
            free(pointer(p4_entry_data(&p->members, e)));
    }
    p4_table_destroy(&p->groups);
    p4_table_destroy(&p->members);
    memset(p, 0, sizeof *p);
}
