/* The C interface of a compiled program: packets in, packets out (control calls: control.h). */
#pragma once

#include <stdint.h>

struct p4s;

typedef void (*p4s_emit)(void *ctx, uint32_t port, const uint8_t *data, uint32_t length);

struct p4s *p4s_new(uint32_t drop_port);
void p4s_free(struct p4s *s);
void p4s_lock(struct p4s *s);
void p4s_unlock(struct p4s *s);

/* The caller holds the lock; emit must not call back into the switch. */
void p4s_process(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length, p4s_emit emit,
                 void *ctx);
