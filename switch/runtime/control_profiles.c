/* Control calls for action profiles. */
#include "control.h"

int p4s_member_set(struct p4s *s, uint32_t profile, uint32_t id, uint32_t action,
                   const uint64_t *data, bool insert)
{
    p4s_lock(s);
    int status = p4_member_set(&s->profiles[profile], id, action, data, insert);
    p4s_unlock(s);
    return status;
}

int p4s_member_delete(struct p4s *s, uint32_t profile, uint32_t id)
{
    p4s_lock(s);
    int status = p4_member_delete(&s->profiles[profile], id);
    p4s_unlock(s);
    return status;
}

bool p4s_member_get(struct p4s *s, uint32_t profile, uint32_t id, uint64_t *out)
{
    const struct p4_profile *p = &s->profiles[profile];
    p4s_lock(s);
    const struct p4_member *m = p4_member_find(p, id);
    if (m) {
        *out = m->action;
        memcpy(out + 1, m->data, 8 * (size_t)p->type->data_words);
    }
    p4s_unlock(s);
    return m != NULL;
}

int p4s_group_set(struct p4s *s, uint32_t profile, uint32_t id, const struct p4_share *shares,
                  uint32_t count, bool insert)
{
    p4s_lock(s);
    int status = p4_group_set(&s->profiles[profile], &s->ports, id, shares, count, insert);
    p4s_unlock(s);
    return status;
}

int p4s_group_delete(struct p4s *s, uint32_t profile, uint32_t id)
{
    p4s_lock(s);
    int status = p4_group_delete(&s->profiles[profile], id);
    p4s_unlock(s);
    return status;
}

static const void *thing(const struct p4_table *t, uint32_t index)
{
    struct p4_entry *e = p4_entry_at(t, index);
    return e->in_use ? (const void *)(uintptr_t)*p4_entry_data(t, e) : NULL;
}

uint64_t p4s_members_read(struct p4s *s, uint32_t profile, uint64_t *out, uint64_t room)
{
    struct p4_profile *p = &s->profiles[profile];
    p4s_lock(s);
    uint64_t words = p->members.count * (2ull + p->type->data_words);
    for (uint32_t i = 0; words <= room && i < p->members.pool_used; i++) {
        const struct p4_member *m = thing(&p->members, i);
        if (m) {
            *out++ = m->id;
            *out++ = m->action;
            memcpy(out, m->data, 8 * (size_t)p->type->data_words);
            out += p->type->data_words;
        }
    }
    p4s_unlock(s);
    return words;
}

uint64_t p4s_groups_read(struct p4s *s, uint32_t profile, uint64_t *out, uint64_t room)
{
    const struct p4_table *groups = &s->profiles[profile].groups;
    const struct p4_action_group *g;
    uint64_t words = 0;
    p4s_lock(s);
    for (uint32_t i = 0; i < groups->pool_used; i++)
        if ((g = thing(groups, i)))
            words += 2 + 3ull * g->count;
    for (uint32_t i = 0; words <= room && i < groups->pool_used; i++) {
        if (!(g = thing(groups, i)))
            continue;
        *out++ = g->id;
        *out++ = g->count;
        for (uint32_t c = 0; c < g->count; c++) {
            *out++ = g->choices[c].member->id;
            *out++ = g->choices[c].weight;
            *out++ = g->choices[c].watch;
        }
    }
    p4s_unlock(s);
    return words;
}

void p4s_profile_counts(struct p4s *s, uint32_t profile, uint64_t *counts)
{
    const struct p4_profile *p = &s->profiles[profile];
    p4s_lock(s);
    counts[0] = p->members.count;
    counts[1] = p->groups.count;
    counts[2] = p->one_shots;
    p4s_unlock(s);
}

static void watch_table(struct p4s *s, struct p4_table *t)
{
    for (uint32_t i = 0; i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            p4_target_watch(e->action, p4_entry_data(t, e), &s->ports);
    }
    p4_target_watch(t->missed->action, p4_entry_data(t, t->missed), &s->ports);
}

void p4s_port_set(struct p4s *s, uint32_t port, bool up)
{
    p4s_lock(s);
    uint64_t bit = 1ull << port % 64;
    if (up)
        s->ports.down[port / 64] &= ~bit;
    else
        s->ports.down[port / 64] |= bit;
    for (uint32_t i = 0; i < p4_program.profiles; i++)
        p4_profile_watch(&s->profiles[i], &s->ports);
    for (uint32_t i = 0; i < p4_program.tables; i++)
        if (s->tables[i].type->profile)
            watch_table(s, &s->tables[i]);
    p4s_unlock(s);
}
