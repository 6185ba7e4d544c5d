/* One TCP connection to a node of a cluster, and the requests whose replies it owes, in order. */
#ifndef NETMIGRATE_CONNECTION_H
#define NETMIGRATE_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../../client/core/session.h"

/* Bytes [start, end) of `data` are waiting. */
struct bytes {
    uint8_t *data;
    size_t start, end, room;
};

bool bytes_reserve(struct bytes *b, size_t more);
bool bytes_add(struct bytes *b, const void *data, size_t length);

struct request {
    TAILQ_ENTRY(request) place; /* in its connection's line, or among those to be tried again */
    TAILQ_ENTRY(request) expiry;
    struct connection *connection; /* NULL: to be tried again when it is `due` */
    uint64_t token, at;            /* at: where in the connection's stream it begins */
    int64_t due, expires;
    uint16_t group, length, tries, detour; /* detour: how many connections have failed it */
    bool read, asking;                     /* asking: the reply to ASKING comes first */
    uint8_t command[NM_PAYLOAD];
};

TAILQ_HEAD(requests, request);

struct connection {
    TAILQ_ENTRY(connection) idle, dirty;
    struct node *node;
    int fd; /* -1: closed */
    bool connecting, blocked, is_dirty;
    struct bytes in, out;
    uint64_t queued, written; /* bytes of the stream so far */
    struct requests line;
    uint32_t owed; /* requests in the line */
};

/* Begins to connect, and to watch it with `epoll`. False: errno says why. */
bool connection_open(struct connection *c, int epoll, uint32_t address, uint16_t port);
void connection_close(struct connection *c);

/* Writes what the socket takes. False: the connection is broken. */
bool connection_write(struct connection *c, int epoll);

/* Reads once; sets `*more` if there may be more. False: the connection is broken. */
bool connection_read(struct connection *c, bool *more);

#endif
