/* Keeps idle processors from sleeping while frames come: to wake one takes longer than a frame needs
 * here.  It asks the kernel (PM QoS, /dev/cpu_dma_latency), which root may; tuned's profile
 * network-latency does the same.  Idle processors then wait in a loop that yields to any work. */
#pragma once

#include <stdbool.h>

enum { AWAKE_LINGER_MS = 50 }; /* without a frame for so long, they may sleep again */

struct awake {
    bool wanted; /* becomes false where it is not permitted */
    bool held;
    int fd; /* open while held */
};

void awake_hold(struct awake *awake);
void awake_release(struct awake *awake);
