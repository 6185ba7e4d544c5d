/* The send queue of a session: requests with copies that are to go out (nm_flush in session.h). */
#ifndef NETMIGRATE_OUTBOX_H
#define NETMIGRATE_OUTBOX_H

#include "session.h"

/* Makes sure that one more request can be outstanding. False: no memory. */
bool nm_outbox_has_room(struct nm_session *s);

/* Queues the request's `copies`, unless it is queued. */
void nm_enqueue(struct nm_session *s, struct nm_request *r);

/* Ends a request (session.c). */
void nm_finish(struct nm_session *s, struct nm_request *r, enum nm_status status, uint16_t flags,
               const uint8_t *payload, size_t length, int64_t now);

#endif
