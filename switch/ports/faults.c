#define _GNU_SOURCE
#include "faults.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_WAITING 65536     /* what would be one more goes on at once */
#define OVERTAKEN_NS 20000000  /* a frame that nothing overtakes goes on after so long */
#define DRAWS 8                /* random numbers for each frame */

struct faults_frame {
    TAILQ_ENTRY(faults_frame) behind;
    struct faults_way *way; /* NULL: it has gone on */
    bool reordered;         /* it is in its way's list `behind` */
    int64_t due;
    uint32_t length;
    uint8_t data[];
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- chance ----------------------------------------------------------------------------- */

/* splitmix64's finalizer (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* The `which`th number of the present frame, from 0 to below 1. */
static double draw(const struct faults_way *way, unsigned which)
{
    return (double)(mix(way->key + mix(way->number * DRAWS + which)) >> 11) * 0x1p-53;
}

void faults_init(struct faults_way *way, faults_deliver deliver, void *context)
{
    memset(way, 0, sizeof *way);
    TAILQ_INIT(&way->behind);
    way->deliver = deliver;
    way->context = context;
}

void faults_seed(struct faults_way *way, uint64_t seed, uint32_t port, unsigned direction)
{
    way->key = mix(seed ^ mix((uint64_t)port << 1 | direction));
    way->number = 0;
}

void faults_set(struct faults_way *way, const struct faults_rates *rates)
{
    way->rates = *rates;
    way->active = rates->loss > 0 || rates->duplicate > 0 || rates->delay > 0 || rates->reorder > 0;
}

/* ---- frames that wait ------------------------------------------------------------------- */

static void swap(struct faults *all, unsigned a, unsigned b)
{
    struct faults_frame *kept = all->heap[a];
    all->heap[a] = all->heap[b];
    all->heap[b] = kept;
}

static void push(struct faults *all, struct faults_frame *frame)
{
    unsigned i = all->count++;
    all->heap[i] = frame;
    for (; i && all->heap[i]->due < all->heap[(i - 1) / 2]->due; i = (i - 1) / 2)
        swap(all, i, (i - 1) / 2);
}

static struct faults_frame *pop(struct faults *all)
{
    struct faults_frame *first = all->heap[0];
    all->heap[0] = all->heap[--all->count];
    for (unsigned i = 0, least;; i = least) {
        least = i;
        for (unsigned child = 2 * i + 1; child <= 2 * i + 2 && child < all->count; child++)
            if (all->heap[child]->due < all->heap[least]->due)
                least = child;
        if (least == i)
            return first;
        swap(all, i, least);
    }
}

static bool grow(struct faults *all)
{
    if (all->count < all->room)
        return true;
    unsigned room = all->room ? 2 * all->room : 64;
    if (room > MOST_WAITING)
        return false;
    struct faults_frame **heap = realloc(all->heap, room * sizeof *heap);
    if (!heap)
        return false;
    all->heap = heap;
    all->room = room;
    return true;
}

/* Copies the frame, whose bytes live only as long as this call; NULL if there is no room. */
static struct faults_frame *keep(struct faults *all, struct faults_way *way, const uint8_t *data,
                                 uint32_t length, int64_t wait)
{
    struct faults_frame *frame = grow(all) ? malloc(sizeof *frame + length) : NULL;
    if (!frame)
        return NULL;
    frame->way = way;
    frame->reordered = false;
    frame->due = now_ns() + wait;
    frame->length = length;
    memcpy(frame->data, data, length);
    push(all, frame);
    return frame;
}

static void go_on(struct faults_frame *frame)
{
    struct faults_way *way = frame->way;
    if (frame->reordered)
        TAILQ_REMOVE(&way->behind, frame, behind);
    frame->way = NULL;
    way->deliver(way->context, frame->data, frame->length);
}

int64_t faults_due(const struct faults *all)
{
    if (!all->count)
        return -1;
    int64_t left = all->heap[0]->due - now_ns();
    return left > 0 ? left : 0;
}

void faults_release(struct faults *all)
{
    int64_t now = now_ns();
    while (all->count && all->heap[0]->due <= now) {
        struct faults_frame *frame = pop(all);
        if (frame->way)
            go_on(frame);
        free(frame);
    }
}

void faults_free(struct faults *all)
{
    while (all->count)
        free(all->heap[--all->count]);
    free(all->heap);
}

/* ---- a frame ---------------------------------------------------------------------------- */

/* The frame, or its copy, takes its way; `first` of its random numbers are used. */
static void send(struct faults *all, struct faults_way *way, const uint8_t *data, uint32_t length,
                 unsigned first)
{
    const struct faults_rates *rates = &way->rates;
    int64_t wait = (int64_t)(draw(way, first + 1) * rates->longest * 1e9);
    if (draw(way, first) < rates->delay && keep(all, way, data, length, wait)) {
        way->counts.delayed++;
        return;
    }
    if (draw(way, first + 2) < rates->reorder) {
        struct faults_frame *frame = keep(all, way, data, length, OVERTAKEN_NS);
        if (frame) {
            frame->reordered = true;
            TAILQ_INSERT_TAIL(&way->behind, frame, behind);
            way->counts.reordered++;
            return;
        }
    }
    way->deliver(way->context, data, length);
    while (!TAILQ_EMPTY(&way->behind))
        go_on(TAILQ_FIRST(&way->behind)); /* its place in the heap is freed when that is due */
}

void faults_pass(struct faults *all, struct faults_way *way, const uint8_t *data, uint32_t length)
{
    way->counts.frames++;
    if (draw(way, 0) < way->rates.loss) {
        way->counts.lost++;
    } else {
        bool twice = draw(way, 1) < way->rates.duplicate;
        send(all, way, data, length, 2);
        if (twice) {
            way->counts.duplicated++;
            send(all, way, data, length, 5);
        }
    }
    way->number++;
}
