#include "replication.h"

#include <stdlib.h>

bool p4_replication_init(struct p4_replication *r)
{
    r->sessions = calloc(P4_CLONE_SESSIONS, sizeof *r->sessions);
    r->groups = calloc(P4_MULTICAST_GROUPS, sizeof *r->groups);
    return r->sessions && r->groups;
}

void p4_replication_clear(struct p4_replication *r)
{
    for (uint32_t i = 0; r->sessions && i < P4_CLONE_SESSIONS; i++)
        p4_replication_delete(&r->sessions[i]);
    for (uint32_t i = 0; r->groups && i < P4_MULTICAST_GROUPS; i++)
        p4_replication_delete(&r->groups[i]);
}

void p4_replication_destroy(struct p4_replication *r)
{
    p4_replication_clear(r);
    free(r->sessions);
    free(r->groups);
}

bool p4_replication_set(struct p4_replicas **slot, const struct p4_replica *list, uint32_t count,
                        uint32_t truncate)
{
    struct p4_replicas *replicas = malloc(sizeof *replicas + count * sizeof *list);
    if (!replicas)
        return false;
    replicas->count = count;
    replicas->truncate = truncate;
    if (count)
        memcpy(replicas->list, list, count * sizeof *list);
    free(*slot);
    *slot = replicas;
    return true;
}

bool p4_replication_delete(struct p4_replicas **slot)
{
    bool existed = *slot != NULL;
    free(*slot);
    *slot = NULL;
    return existed;
}
