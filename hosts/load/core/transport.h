/* How an operation reaches the store and its outcome comes back. The driver does not care which of
 * them it is: datagrams to a service (service.c), or TCP to the nodes of a cluster (cluster.c). */
#ifndef NETMIGRATE_TRANSPORT_H
#define NETMIGRATE_TRANSPORT_H

#include "../../client/core/session.h"

enum { MOST_COUNTS = 16 };

struct count {
    const char *name;
    uint64_t value;
};

struct transport {
    const struct transport_kind *kind;
    int fd; /* readable when receive() has something to take */
    nm_completed *completed;
    void *context;
};

/* So far, but for `outstanding`, which is now. */
struct transport_state {
    uint64_t outstanding, doubled, resent, redirected;
};

struct transport_kind {
    /* Takes a command (a RESP array of at most NM_PAYLOAD bytes) on its way; `completed` will be
     * called with its token. False: no room at the moment. */
    bool (*start)(struct transport *t, enum nm_op op, uint16_t group, const uint8_t *command,
                  size_t length, uint64_t token, int64_t now);
    /* Tries again and gives up what is due. */
    void (*expire)(struct transport *t, int64_t now);
    /* Sends what is queued. False: call again when `fd` is writable. */
    bool (*flush)(struct transport *t, int64_t now);
    void (*receive)(struct transport *t);
    /* When expire() has something to do next; INT64_MAX: never. */
    int64_t (*next_due)(const struct transport *t);
    struct transport_state (*state)(const struct transport *t);
    /* Whatever it counts, by name; returns how many. */
    size_t (*counts)(const struct transport *t, struct count counts[MOST_COUNTS]);
    void (*close)(struct transport *t);
};

/* Datagrams to the service at `address`:`port`. NULL: `*wrong` is what failed (errno says why). */
struct transport *service_open(uint32_t address, uint16_t port, uint16_t service, int64_t timeout,
                               int64_t resend_after, const char **wrong);

#endif
