/* The transport of a stock cluster: TCP to its nodes, as a client library's pool does it.
 *
 * Each node has a pool of connections. A request takes the idle one that was used last, or opens
 * one; only when all are busy it queues behind others. The slot map belongs to all of them: MOVED
 * changes it, ASK sends one request elsewhere, TRYAGAIN and CLUSTERDOWN let it wait a little. */
#ifndef NETMIGRATE_CLUSTER_H
#define NETMIGRATE_CLUSTER_H

#include "transport.h"

enum { CLUSTER_NODES = 256, CLUSTER_CONNECTIONS = 1024 };

struct place {
    uint32_t address;
    uint16_t port;
};

/* Group g is with node owners[g]; a number that no node has says that it is not known. Returns
 * NULL if `*wrong`. */
struct transport *cluster_open(const struct place *nodes, size_t count,
                               const uint16_t owners[NM_GROUPS], uint32_t connections,
                               int64_t timeout, const char **wrong);

#endif
