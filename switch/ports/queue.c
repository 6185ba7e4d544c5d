#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_BYTES (4 * 1024 * 1024)

int queue_open(struct queue *queue)
{
    queue->data = malloc(QUEUE_BYTES);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &attributes);
    pthread_condattr_destroy(&attributes);
    return queue->data ? 0 : -ENOMEM;
}

void queue_close(struct queue *queue)
{
    free(queue->data);
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->filled);
}

static void queue_copy_in(struct queue *queue, const void *bytes, size_t length)
{
    size_t first = QUEUE_BYTES - queue->head < length ? QUEUE_BYTES - queue->head : length;
    memcpy(queue->data + queue->head, bytes, first);
    memcpy(queue->data, (const uint8_t *)bytes + first, length - first);
    queue->head = (queue->head + length) % QUEUE_BYTES;
    __atomic_store_n(&queue->used, queue->used + length, __ATOMIC_RELAXED);
}

static void queue_copy_out(struct queue *queue, void *bytes, size_t length)
{
    size_t first = QUEUE_BYTES - queue->tail < length ? QUEUE_BYTES - queue->tail : length;
    memcpy(bytes, queue->data + queue->tail, first);
    memcpy((uint8_t *)bytes + first, queue->data, length - first);
    queue->tail = (queue->tail + length) % QUEUE_BYTES;
    __atomic_store_n(&queue->used, queue->used - length, __ATOMIC_RELAXED);
}

bool queue_put(struct queue *queue, uint32_t port, const uint8_t *data, uint32_t length)
{
    const uint32_t header[2] = {port, length};
    pthread_mutex_lock(&queue->mutex);
    bool fits = !queue->closed && sizeof header + length <= QUEUE_BYTES - queue->used;
    if (fits) {
        queue_copy_in(queue, header, sizeof header);
        queue_copy_in(queue, data, length);
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->mutex);
    return fits;
}

static int take(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity)
{
    uint32_t header[2];
    queue_copy_out(queue, header, sizeof header);
    if (header[1] > capacity)
        abort();
    queue_copy_out(queue, data, header[1]);
    *port = header[0];
    return (int)header[1];
}

int queue_take(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity)
{
    pthread_mutex_lock(&queue->mutex);
    int length = queue->used ? take(queue, port, data, capacity) : 0;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}

int queue_wait(struct queue *queue, uint32_t *port, uint8_t *data, uint32_t capacity)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->used == 0 && !queue->closed)
        pthread_cond_wait(&queue->filled, &queue->mutex);
    int length = queue->used ? take(queue, port, data, capacity) : -1;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}

void queue_end(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}
