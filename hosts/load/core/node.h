/* A node of a cluster and its pool of connections. */
#ifndef NETMIGRATE_NODE_H
#define NETMIGRATE_NODE_H

#include "cluster.h"
#include "connection.h"

TAILQ_HEAD(connections, connection);

struct node {
    struct place place;
    struct connection *connections; /* `size` of them, most of them perhaps closed */
    struct connections idle;        /* open, and owing nothing; the one used last comes first */
    uint32_t size, opened;
    uint64_t connected; /* how often a connection was opened */
};

/* False: out of memory. */
bool node_open(struct node *n, struct place place, uint32_t size);
void node_close(struct node *n);

/* A connection as a pool hands it out: an idle one, else a new one, else the least busy. NULL: none
 * can be opened now. A new one is watched by `epoll`. */
struct connection *node_pick(struct node *n, int epoll);

#endif
