/* Where clones and multicast copies go: lists of (port, instance), by session and by group. */
#pragma once

#include "bits.h"

enum { P4_CLONE_SESSIONS = 32768, P4_MULTICAST_GROUPS = 65536 };

struct p4_replica {
    uint32_t port, instance;
};

struct p4_replicas {
    uint32_t count;
    uint32_t truncate; /* clones only: most bytes to send, 0 for all */
    struct p4_replica list[];
};

struct p4_replication {
    struct p4_replicas **sessions, **groups;
};

bool p4_replication_init(struct p4_replication *r);
void p4_replication_clear(struct p4_replication *r);
void p4_replication_destroy(struct p4_replication *r);
/* Replace what is there; the caller has checked the id. */
bool p4_replication_set(struct p4_replicas **slot, const struct p4_replica *list, uint32_t count,
                        uint32_t truncate);
bool p4_replication_delete(struct p4_replicas **slot);

P4_INLINE const struct p4_replicas *p4_clone_session(const struct p4_replication *r, uint32_t id)
{
    return id < P4_CLONE_SESSIONS ? r->sessions[id] : NULL;
}

P4_INLINE const struct p4_replicas *p4_multicast_group(const struct p4_replication *r, uint32_t id)
{
    return id < P4_MULTICAST_GROUPS ? r->groups[id] : NULL;
}
