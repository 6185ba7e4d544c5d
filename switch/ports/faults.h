/* Faults of links, by a seed: frames that pass one way through one port get lost, are duplicated,
 * delayed or overtaken by the next one.  The pipeline does not know.
 *
 * What happens to the nth frame of a way is a function of seed, port, direction and n alone, so the
 * same seed brings the same faults, whatever passes elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Probabilities from 0 to 1. */
struct faults_rates {
    double loss, duplicate, delay, reorder;
    double longest; /* seconds: a delayed frame waits for up to so long */
};

struct faults_counts {
    uint64_t frames; /* that came while any rate was above 0 */
    uint64_t lost, duplicated, delayed, reordered;
};

typedef void (*faults_deliver)(void *context, const uint8_t *data, uint32_t length);

struct faults_frame;
TAILQ_HEAD(faults_frames, faults_frame);

/* One direction of one port. */
struct faults_way {
    bool active; /* some rate is above 0; frames of other ways need not come here */
    struct faults_rates rates;
    uint64_t key, number; /* of the seed and the way; of the next frame */
    struct faults_counts counts;
    struct faults_frames behind; /* wait for the next frame to overtake them */
    faults_deliver deliver;
    void *context;
};

/* The frames that wait, of all ways: a binary heap by the time when they must go on. */
struct faults {
    struct faults_frame **heap;
    unsigned count, room;
};

/* Only the thread that forwards calls faults_pass, faults_due and faults_release; the others may be
 * called from any thread while it cannot be in one of these. */
void faults_init(struct faults_way *way, faults_deliver deliver, void *context);
void faults_seed(struct faults_way *way, uint64_t seed, uint32_t port, unsigned direction);
void faults_set(struct faults_way *way, const struct faults_rates *rates);
void faults_pass(struct faults *all, struct faults_way *way, const uint8_t *data, uint32_t length);
/* Nanoseconds until the next waiting frame must go on, 0 if it must now, -1 if none waits. */
int64_t faults_due(const struct faults *all);
void faults_release(struct faults *all);
void faults_free(struct faults *all);
