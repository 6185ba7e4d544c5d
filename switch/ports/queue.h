/* A bounded queue of frames between the loop and Python: [u32 port][u32 length][bytes]... */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
    uint8_t *data;
    size_t head, tail; /* used == bytes between tail and head, modulo size */
    size_t used;       /* written under mutex; the loop peeks at it without */
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    bool closed;
};

int queue_open(struct queue *queue); /* 0, or a negative errno */
void queue_close(struct queue *queue);
bool queue_put(struct queue *queue, uint32_t port, const uint8_t *data, uint32_t length);
/* Take one frame, whose length is returned; `capacity` is never smaller than a frame that was put.
 * 0: there is none. */
int queue_take(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity);
/* Wait for one; -1: it has ended, and everything was taken. */
int queue_wait(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity);
void queue_end(struct queue *queue); /* nothing more is put */

/* Whether there is anything to take, without the lock. */
static inline bool queue_filled(const struct queue *queue)
{
    return __atomic_load_n(&queue->used, __ATOMIC_RELAXED) > 0;
}
