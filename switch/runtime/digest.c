#include "digest.h"

#include <stdlib.h>

void p4_digest_add(struct p4_digests *q, uint32_t digest, const uint64_t *data, uint32_t words)
{
    struct p4_digest *d = NULL;
    if (q->count < P4_DIGEST_QUEUE)
        d = malloc(sizeof *d + 8 * (size_t)words);
    if (!d) {
        q->dropped++;
        return;
    }
    d->next = NULL;
    d->digest = digest;
    d->words = words;
    memcpy(d->data, data, 8 * (size_t)words);
    if (q->last)
        q->last->next = d;
    else
        q->first = d;
    q->last = d;
    q->count++;
}

void p4_digests_clear(struct p4_digests *q)
{
    while (q->first) {
        struct p4_digest *d = q->first;
        q->first = d->next;
        free(d);
    }
    q->last = NULL;
    q->count = 0;
}
