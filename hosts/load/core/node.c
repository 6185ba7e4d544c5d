#include "node.h"

#include <stdlib.h>

bool node_open(struct node *n, struct place place, uint32_t size) {
    *n = (struct node){.place = place, .size = size};
    TAILQ_INIT(&n->idle);
    n->connections = calloc(size, sizeof *n->connections);
    if (!n->connections) return false;
    for (uint32_t i = 0; i < size; i++) {
        n->connections[i].fd = -1;
        n->connections[i].node = n;
        TAILQ_INIT(&n->connections[i].line);
    }
    return true;
}

void node_close(struct node *n) {
    for (uint32_t i = 0; i < n->size; i++) connection_close(&n->connections[i]);
    free(n->connections);
}

struct connection *node_pick(struct node *n, int epoll) {
    struct connection *best = TAILQ_FIRST(&n->idle);
    if (best) return best;
    bool may_open = n->opened < n->size;
    for (uint32_t i = 0; i < n->size; i++) {
        struct connection *c = &n->connections[i];
        if (c->fd < 0 && may_open) {
            if (connection_open(c, epoll, n->place.address, n->place.port)) {
                TAILQ_INSERT_HEAD(&n->idle, c, idle);
                n->opened++;
                n->connected++;
                return c;
            }
            may_open = false;
        }
        if (c->fd >= 0 && (!best || c->owed < best->owed)) best = c;
    }
    return best;
}
