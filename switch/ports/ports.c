/*
 * The switch's front panel: its ports, and one loop that takes the frames they received through the
 * pipeline.  Built once, separately from any P4 program; a pipeline is three function pointers and
 * may be replaced while the loop runs.
 *
 * Threads: ports_run() is the only one that touches rings and transmit batches.  Every other
 * function may be called from any thread; what they share with the loop is behind `mutex`.
 */
#define _GNU_SOURCE
#include "ports.h"

#include "awake.h"
#include "port.h"
#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TURN_NS 100000 /* the shortest that Linux grants */

struct ports {
    struct port *all[MAX_PORTS];
    struct port *by_number[MAX_PORTS];
    unsigned count;
    struct port_batches batches;
    uint32_t cpu_port;
    int epoll, wake;
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards pipeline; held by the loop for one batch at a time */
    struct ports_pipeline pipeline;
    struct ports_totals totals;
    struct queue to_cpu, from_cpu;
    struct faults faults; /* the frames that injected faults hold back; the loop's own */
    struct awake awake;   /* the loop's own */
};

/* ---- frames ----------------------------------------------------------------------------- */

static void emit(void *context, uint32_t number, const uint8_t *data, uint32_t length)
{
    struct ports *ports = context;
    if (number == ports->cpu_port) {
        if (queue_put(&ports->to_cpu, number, data, length))
            ports->totals.cpu_packets++;
        else
            ports->totals.cpu_dropped++;
        return;
    }
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port) {
        ports->totals.unknown_port++;
        return;
    }
    if (length > TX_ARENA) {
        port->statistics.tx_oversize++;
        return;
    }
    if (port->ways[PORTS_OUT].active)
        faults_pass(&ports->faults, &port->ways[PORTS_OUT], data, length);
    else
        port_transmit(port, data, length);
}

static void flush(struct ports *ports)
{
    struct port_batches *batches = &ports->batches;
    for (unsigned i = 0; i < batches->count; i++) {
        batches->ports[i]->dirty = false;
        port_flush(batches->ports[i]);
    }
    batches->count = 0;
}

static void process(void *context, const uint8_t *frame, uint32_t length)
{
    struct port *port = context;
    struct ports *ports = port->ports;
    if (ports->pipeline.process)
        ports->pipeline.process(ports->pipeline.context, port->number, frame, length, emit, ports);
    else
        ports->totals.no_pipeline++;
}

static unsigned drain_injected(struct ports *ports)
{
    static __thread uint8_t frame[PORTS_MAX_FRAME];
    unsigned taken = 0;
    for (; taken < RX_BATCH; taken++) {
        uint32_t port;
        int length = queue_take(&ports->from_cpu, &port, frame, sizeof frame);
        if (length == 0)
            break;
        if (ports->pipeline.process)
            ports->pipeline.process(ports->pipeline.context, port, frame, (uint32_t)length, emit,
                                    ports);
        else
            ports->totals.no_pipeline++;
    }
    return taken;
}

static bool any_ready(const struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++)
        if (port_ready(ports->all[i]))
            return true;
    return queue_filled(&ports->from_cpu);
}

/* Wait for at most `longest` nanoseconds, rounded up to milliseconds; -1: for ever. */
static void wait_for_frames(struct ports *ports, int64_t longest)
{
    struct epoll_event events[16];
    int timeout = longest < 0 ? -1 : (int)((longest + 999999) / 1000000);
    bool lingers = ports->awake.held && (timeout < 0 || timeout > AWAKE_LINGER_MS);
    int ready = epoll_wait(ports->epoll, events, 16, lingers ? AWAKE_LINGER_MS : timeout);
    if (ready > 0)
        awake_hold(&ports->awake);
    else if (ready == 0 && lingers)
        awake_release(&ports->awake);
    for (int i = 0; i < ready; i++) {
        struct port *port = events[i].data.ptr;
        if (!port) {
            uint64_t count;
            if (read(ports->wake, &count, sizeof count) < 0 && errno != EAGAIN)
                return;
        } else if (events[i].events & EPOLLERR) {
            /* The interface went down: reading the error clears it, and when the interface
             * comes up again the kernel hooks the socket in again by itself. */
            int error;
            socklen_t size = sizeof error;
            getsockopt(port->rx, SOL_SOCKET, SO_ERROR, &error, &size);
            port->statistics.link_errors++;
        }
    }
}

/* Ask for short turns on the processor: whoever does runs the sooner when a frame wakes it, for the
 * same share in all.  Linux before 6.12 takes no notice, and a refusal costs nothing but that. */
static void take_short_turns(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof attributes}; /* struct sched_attr, version 0 */
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) < 0 ||
        attributes.policy != SCHED_OTHER)
        return;
    attributes.runtime = TURN_NS;
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void ports_run(struct ports *ports)
{
    take_short_turns();
    while (!atomic_load_explicit(&ports->stop, memory_order_relaxed)) {
        int64_t due = faults_due(&ports->faults);
        if (due && !any_ready(ports)) {
            wait_for_frames(ports, due);
            continue;
        }
        pthread_mutex_lock(&ports->mutex);
        struct ports_pipeline *pipeline = &ports->pipeline;
        if (pipeline->process)
            pipeline->lock(pipeline->context);
        for (unsigned i = 0; i < ports->count; i++)
            port_drain(ports->all[i]);
        drain_injected(ports);
        if (due == 0)
            faults_release(&ports->faults);
        if (pipeline->process)
            pipeline->unlock(pipeline->context);
        pthread_mutex_unlock(&ports->mutex);
        flush(ports);
    }
    awake_release(&ports->awake);
}

/* ---- life ------------------------------------------------------------------------------- */

struct ports *ports_open(uint32_t cpu_port)
{
    struct ports *ports = calloc(1, sizeof *ports);
    if (!ports)
        return NULL;
    ports->cpu_port = cpu_port;
    pthread_mutex_init(&ports->mutex, NULL);
    ports->epoll = epoll_create1(EPOLL_CLOEXEC);
    ports->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int failed = ports->epoll < 0 || ports->wake < 0 ||
                 epoll_ctl(ports->epoll, EPOLL_CTL_ADD, ports->wake, &event) < 0;
    failed |= queue_open(&ports->to_cpu) | queue_open(&ports->from_cpu);
    if (failed) {
        ports_close(ports);
        return NULL;
    }
    return ports;
}

void ports_close(struct ports *ports)
{
    for (unsigned i = 0; i < ports->count; i++)
        port_close(ports->all[i]);
    if (ports->epoll >= 0)
        close(ports->epoll);
    if (ports->wake >= 0)
        close(ports->wake);
    queue_close(&ports->to_cpu);
    queue_close(&ports->from_cpu);
    faults_free(&ports->faults);
    pthread_mutex_destroy(&ports->mutex);
    free(ports);
}

static void wake(struct ports *ports)
{
    const uint64_t one = 1;
    while (write(ports->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void ports_stop(struct ports *ports)
{
    atomic_store(&ports->stop, true);
    wake(ports);
    queue_end(&ports->to_cpu);
}

int ports_add(struct ports *ports, uint32_t number, const char *interface)
{
    unsigned ifindex = if_nametoindex(interface);
    if (ifindex == 0)
        return -ENODEV;
    if (number >= MAX_PORTS || number == ports->cpu_port || ports->count == MAX_PORTS)
        return -EINVAL;
    if (ports->by_number[number])
        return -EEXIST;
    struct port *port = calloc(1, sizeof *port);
    if (!port)
        return -ENOMEM;
    port->ports = ports;
    port->faults = &ports->faults;
    port->batches = &ports->batches;
    port->process = process;
    port->number = number;
    faults_init(&port->ways[PORTS_IN], process, port);
    faults_init(&port->ways[PORTS_OUT], port_transmit, port);
    for (unsigned direction = 0; direction < 2; direction++)
        faults_seed(&port->ways[direction], 0, number, direction);
    snprintf(port->name, sizeof port->name, "%s", interface);
    int error = port_open(port, ifindex);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
    if (!error && epoll_ctl(ports->epoll, EPOLL_CTL_ADD, port->rx, &event) < 0)
        error = -errno;
    if (error) {
        port_close(port);
        return error;
    }
    ports->all[ports->count++] = port;
    ports->by_number[number] = port;
    return 0;
}

void ports_keep_awake(struct ports *ports)
{
    ports->awake.wanted = true;
}

/* ---- while running ---------------------------------------------------------------------- */

void ports_set_pipeline(struct ports *ports, const struct ports_pipeline *pipeline)
{
    /* Once this returns, the loop is between batches of the new pipeline: the old one is free. */
    pthread_mutex_lock(&ports->mutex);
    ports->pipeline = *pipeline;
    pthread_mutex_unlock(&ports->mutex);
}

int ports_inject(struct ports *ports, uint32_t port, const uint8_t *data, uint32_t length)
{
    if (length > PORTS_MAX_FRAME)
        return -EMSGSIZE;
    if (!queue_put(&ports->from_cpu, port, data, length))
        return -ENOBUFS;
    wake(ports);
    return 0;
}

int ports_receive(struct ports *ports, uint8_t *data, uint32_t capacity)
{
    uint32_t port;
    return queue_wait(&ports->to_cpu, &port, data, capacity);
}

int ports_get_statistics(struct ports *ports, uint32_t number, struct ports_statistics *statistics)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    struct tpacket_stats kernel;
    socklen_t size = sizeof kernel;
    pthread_mutex_lock(&ports->mutex);
    /* The kernel's counters restart at every reading. */
    if (getsockopt(port->rx, SOL_PACKET, PACKET_STATISTICS, &kernel, &size) == 0)
        port->statistics.rx_dropped += kernel.tp_drops;
    *statistics = port->statistics;
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}

void ports_get_totals(struct ports *ports, struct ports_totals *totals)
{
    pthread_mutex_lock(&ports->mutex);
    *totals = ports->totals;
    pthread_mutex_unlock(&ports->mutex);
}

void ports_seed_faults(struct ports *ports, uint64_t seed)
{
    pthread_mutex_lock(&ports->mutex);
    for (unsigned i = 0; i < ports->count; i++)
        for (unsigned direction = 0; direction < 2; direction++)
            faults_seed(&ports->all[i]->ways[direction], seed, ports->all[i]->number, direction);
    pthread_mutex_unlock(&ports->mutex);
}

int ports_set_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     const struct faults_rates *rates)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    pthread_mutex_lock(&ports->mutex);
    faults_set(&port->ways[direction], rates);
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}

int ports_get_faults(struct ports *ports, uint32_t number, enum ports_direction direction,
                     struct faults_counts *counts)
{
    struct port *port = number < MAX_PORTS ? ports->by_number[number] : NULL;
    if (!port)
        return -ENOENT;
    pthread_mutex_lock(&ports->mutex);
    *counts = port->ways[direction].counts;
    pthread_mutex_unlock(&ports->mutex);
    return 0;
}
