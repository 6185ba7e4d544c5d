/* A pipeline as small as can be: a frame on port 1 leaves on port 2 and the other way round;
 * anything from another port goes where its first byte says. */
#include <pthread.h>
#include <stdint.h>

typedef void (*emit_function)(void *, uint32_t, const uint8_t *, uint32_t);

void lock(pthread_mutex_t *mutex)
{
    pthread_mutex_lock(mutex);
}

void unlock(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
}

void swap(void *context, uint32_t port, const uint8_t *data, uint32_t length, emit_function emit,
          void *emit_context)
{
    (void)context;
    emit(emit_context, port == 1 ? 2 : port == 2 ? 1 : data[0], data, length);
}

void twice(void *context, uint32_t port, const uint8_t *data, uint32_t length, emit_function emit,
           void *emit_context)
{
    swap(context, port, data, length, emit, emit_context);
    swap(context, port, data, length, emit, emit_context);
}

void to_controller(void *context, uint32_t port, const uint8_t *data, uint32_t length,
                   emit_function emit, void *emit_context)
{
    (void)context;
    (void)port;
    emit(emit_context, 510, data, length);
}
