#include "awake.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

void awake_hold(struct awake *awake)
{
    if (!awake->wanted || awake->held)
        return;
    const int32_t microseconds = 0;
    awake->fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    awake->wanted = awake->held = awake->fd >= 0;
    if (awake->held && write(awake->fd, &microseconds, sizeof microseconds) < 0) {
        awake_release(awake);
        awake->wanted = false;
    }
}

void awake_release(struct awake *awake)
{
    if (awake->held)
        close(awake->fd); /* the wish ends with it */
    awake->held = false;
}
