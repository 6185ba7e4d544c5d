/* Control calls for tables, their entries and value sets. */
#include "control.h"

static struct p4_profile *profile_of(struct p4s *s, const struct p4_table *t)
{
    return t->type->profile ? &s->profiles[t->type->profile - 1] : NULL;
}

/* The data of an entry that is to take the place of `old` (NULL: of none). In a table with a
 * profile, what it refers to is taken, to be given back when the entry goes; `words` has room for
 * the table's data then. NULL: *status says why not. */
static const uint64_t *take(struct p4s *s, struct p4_table *t, struct p4_entry *old,
                            uint32_t action, const uint64_t *data, uint64_t *words, int *status)
{
    struct p4_profile *p = profile_of(s, t);
    *status = P4_OK;
    if (!p || action < P4_MEMBER)
        return data;
    uint64_t freed = old ? p4_target_size(p, old->action, p4_entry_data(t, old)) : 0;
    memset(words, 0, 8 * (size_t)t->type->data_words);
    *status = p4_target_take(p, &s->ports, action, data, freed, words);
    return *status == P4_OK ? words : NULL;
}

static void give(struct p4s *s, struct p4_table *t, uint32_t action, const uint64_t *data)
{
    struct p4_profile *p = profile_of(s, t);
    if (p)
        p4_target_give(p, action, data);
}

int p4s_table_insert(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data)
{
    struct p4_table *t = &s->tables[table];
    uint64_t words[t->type->data_words + 1];
    int status;
    p4s_lock(s);
    data = take(s, t, NULL, action, data, words, &status);
    if (data) {
        status = p4_table_insert(t, match, action, data, 0);
        if (status != P4_OK)
            give(s, t, action, data);
    }
    p4s_unlock(s);
    return status;
}

static int set_action(struct p4s *s, struct p4_table *t, struct p4_entry *e, uint32_t action,
                      const uint64_t *data)
{
    uint64_t words[t->type->data_words + 1];
    int status;
    data = take(s, t, e, action, data, words, &status);
    if (data) {
        give(s, t, e->action, p4_entry_data(t, e));
        e->action = action;
        if (t->type->data_words)
            memcpy(p4_entry_data(t, e), data, 8 * (size_t)t->type->data_words);
    }
    return status;
}

int p4s_table_modify(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data)
{
    p4s_lock(s);
    struct p4_entry *e = p4s_find(s, table, match);
    int status = !e ? P4_NO_ENTRY : e->flags & P4_ENTRY_CONST ? P4_CONST : P4_OK;
    if (status == P4_OK)
        status = set_action(s, &s->tables[table], e, action, data);
    p4s_unlock(s);
    return status;
}

int p4s_table_delete(struct p4s *s, uint32_t table, const struct p4_match *match)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    struct p4_entry *e = t->type->profile ? p4_table_find(t, match) : NULL;
    uint32_t action = e ? e->action : 0;
    uint64_t word = e ? *p4_entry_data(t, e) : 0;
    int status = p4_table_delete(t, match);
    if (status == P4_OK)
        give(s, t, action, &word);
    p4s_unlock(s);
    return status;
}

static uint64_t *put(uint64_t *to, const uint64_t *words, uint32_t count)
{
    if (count)
        memcpy(to, words, 8 * (size_t)count);
    return to + count;
}

uint32_t p4_put_row(struct p4s *s, const struct p4_table *t, struct p4_entry *e, uint64_t *to)
{
    const struct p4_profile *p = profile_of(s, t);
    uint32_t words = t->type->key_words, data_words = t->type->data_words;
    uint32_t count = P4_ROW_HEAD + words * (t->type->ranges ? 4 : 2);
    bool refers = p && e->action >= P4_MEMBER;
    uint64_t *data = p4_entry_data(t, e);
    if (to) {
        *to++ = (uint64_t)e->priority;
        *to++ = e->action;
        *to++ = e->flags;
        *to++ = e->packets;
        *to++ = e->bytes;
        *to++ = p4_now_ns() - e->used_ns;
        to = put(to, e->words, words);
        /* The default entry has no mask: its (zero) key stands in. */
        to = put(to, e == t->missed ? e->words : p4_entry_mask(t, e), words);
        if (t->type->ranges)
            to = put(to, e->words + words, 2 * words);
        if (!refers)
            put(to, data, data_words);
    }
    return count + (refers ? p4_target_words(p, e->action, data, to) : data_words);
}

uint32_t p4s_table_get(struct p4s *s, uint32_t table, const struct p4_match *match, uint64_t *row,
                       uint32_t room)
{
    p4s_lock(s);
    struct p4_entry *e = p4s_find(s, table, match);
    uint32_t words = e ? p4_put_row(s, &s->tables[table], e, NULL) : 0;
    if (e && words <= room)
        p4_put_row(s, &s->tables[table], e, row);
    p4s_unlock(s);
    return words;
}

uint64_t p4s_table_read(struct p4s *s, uint32_t table, uint64_t *out, uint64_t room)
{
    struct p4_table *t = &s->tables[table];
    uint64_t words = 0;
    p4s_lock(s);
    for (uint32_t i = 0; i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            words += p4_put_row(s, t, e, NULL);
    }
    for (uint32_t i = 0; words <= room && i < t->pool_used; i++) {
        struct p4_entry *e = p4_entry_at(t, i);
        if (e->in_use)
            out += p4_put_row(s, t, e, out);
    }
    p4s_unlock(s);
    return words;
}

int p4s_default_set(struct p4s *s, uint32_t table, uint32_t action, const uint64_t *data)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    int status = set_action(s, t, t->missed, action, data);
    p4s_unlock(s);
    return status;
}

void p4s_default_reset(struct p4s *s, uint32_t table)
{
    struct p4_table *t = &s->tables[table];
    p4s_lock(s);
    give(s, t, t->missed->action, p4_entry_data(t, t->missed));
    p4_table_reset_default(t);
    p4s_unlock(s);
}

int p4s_value_set_write(struct p4s *s, uint32_t table, const struct p4_match *members,
                        uint32_t count)
{
    struct p4_table *t = &s->tables[table], fresh;
    int status = p4_table_init(&fresh, t->type) ? P4_OK : P4_NO_MEMORY;
    for (uint32_t i = 0; status == P4_OK && i < count; i++) {
        status = p4_table_insert(&fresh, &members[i], 0, NULL, 0);
        if (status == P4_EXISTS)
            status = P4_OK;
    }
    p4s_lock(s);
    struct p4_table old = status == P4_OK ? *t : fresh;
    if (status == P4_OK)
        *t = fresh;
    p4s_unlock(s);
    p4_table_destroy(&old);
    return status;
}

int p4s_direct_counter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                           const uint64_t *value)
{
    p4s_lock(s);
    struct p4_entry *e = p4s_find(s, table, match);
    if (e) {
        e->packets = value[0];
        e->bytes = value[1];
    }
    p4s_unlock(s);
    return e ? P4_OK : P4_NO_ENTRY;
}
