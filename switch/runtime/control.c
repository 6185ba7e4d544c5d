/* Control calls for counters, registers, replication and digests. */
#include "control.h"

#include <stdlib.h>

void p4s_counters_read(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                       uint64_t *values)
{
    p4s_lock(s);
    memcpy(values, s->counters[counter] + first, count * sizeof(struct p4_counter));
    p4s_unlock(s);
}

void p4s_counters_write(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                        const uint64_t *values)
{
    p4s_lock(s);
    memcpy(s->counters[counter] + first, values, count * sizeof(struct p4_counter));
    p4s_unlock(s);
}

void p4s_registers_read(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count, void *cells)
{
    size_t size = p4_program.register_types[reg].cell_bytes;
    p4s_lock(s);
    memcpy(cells, s->registers[reg] + first * size, count * size);
    p4s_unlock(s);
}

void p4s_registers_write(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count,
                         const void *cells)
{
    size_t size = p4_program.register_types[reg].cell_bytes;
    p4s_lock(s);
    memcpy(s->registers[reg] + first * size, cells, count * size);
    p4s_unlock(s);
}

bool p4s_clone_session_set(struct p4s *s, uint32_t session, const struct p4_replica *list,
                           uint32_t count, uint32_t truncate)
{
    p4s_lock(s);
    bool ok = p4_replication_set(&s->replication.sessions[session], list, count, truncate);
    p4s_unlock(s);
    return ok;
}

bool p4s_clone_session_delete(struct p4s *s, uint32_t session)
{
    p4s_lock(s);
    bool existed = p4_replication_delete(&s->replication.sessions[session]);
    p4s_unlock(s);
    return existed;
}

bool p4s_multicast_group_set(struct p4s *s, uint32_t group, const struct p4_replica *list,
                             uint32_t count)
{
    p4s_lock(s);
    bool ok = p4_replication_set(&s->replication.groups[group], list, count, 0);
    p4s_unlock(s);
    return ok;
}

bool p4s_multicast_group_delete(struct p4s *s, uint32_t group)
{
    p4s_lock(s);
    bool existed = p4_replication_delete(&s->replication.groups[group]);
    p4s_unlock(s);
    return existed;
}

uint32_t p4s_digest_take(struct p4s *s, uint32_t *digest, uint64_t *data, uint32_t most)
{
    p4s_lock(s);
    struct p4_digest *d = s->digests.first;
    uint32_t words = 0;
    if (d) {
        *digest = d->digest;
        words = d->words < most ? d->words : most;
        memcpy(data, d->data, 8 * (size_t)words);
        s->digests.first = d->next;
        if (!d->next)
            s->digests.last = NULL;
        s->digests.count--;
        free(d);
    }
    p4s_unlock(s);
    return words;
}

void p4s_statistics(struct p4s *s, uint64_t *statistics)
{
    p4s_lock(s);
    statistics[0] = s->endless;
    statistics[1] = s->failed_asserts;
    statistics[2] = s->digests.dropped;
    p4s_unlock(s);
}
