/* Replies of a cluster's node: where one ends in a stream of them, and where it sends us. */
#ifndef NETMIGRATE_REPLY_H
#define NETMIGRATE_REPLY_H

#include "../../client/core/resp.h"

/* Redis sends no longer line (its inline limit), and no longer bulk (proto-max-bulk-len). */
enum { REPLY_LINE = 64 << 10, REPLY_BULK = 512 << 20 };

enum reply_end { REPLY_WHOLE, REPLY_PARTIAL, REPLY_BROKEN };

/* Finds the end of the value at p. REPLY_WHOLE: `*length` bytes, which resp_read() takes. */
enum reply_end reply_find(const uint8_t *p, const uint8_t *end, size_t *length);

enum redirect_kind {
    REDIRECT_NONE,  /* an answer */
    REDIRECT_MOVED, /* the group lives there, from now on */
    REDIRECT_ASK,   /* this key may be there: ask once, with ASKING */
    REDIRECT_AGAIN, /* TRYAGAIN: a group on the move has not all keys of the command yet */
    REDIRECT_DOWN,  /* CLUSTERDOWN: nobody serves the group at the moment */
};

struct redirect {
    enum redirect_kind kind;
    uint16_t group, port;
    uint32_t address; /* 0: the node that answered, on `port` */
};

/* What a whole reply asks of the client. A redirect that cannot be read is an answer: an error. */
struct redirect reply_redirect(const uint8_t *p, size_t length);

#endif
