/* Feeds the parser of a cluster's replies whole, cut and damaged ones; built with sanitizers by its
 * test. argv: seed, rounds. Prints how many damaged ones were taken for whole. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../hosts/load/core/reply.h"

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

static const char *const lines[] = {
    "+OK\r\n", "+\r\n", "-ERR x\r\n", "-MOVED 16383 10.0.1.2:7000\r\n", "-ASK 0 :7000\r\n",
    "-MOVED 16384 10.0.1.2:7000\r\n", "-ASK 1 10.0.1.2\r\n", "-TRYAGAIN later\r\n",
    "-CLUSTERDOWN Hash slot not served\r\n", ":12\r\n", ":-9223372036854775808\r\n", "$-1\r\n",
    "*-1\r\n", "$0\r\n\r\n", "$3\r\na\r\n\r\n", "*0\r\n",
};

/* Appends a random value that is at most `depth` arrays deep. */
static size_t generate(char *p, int depth) {
    if (depth && draw(4) == 0) {
        uint32_t count = draw(4);
        size_t length = (size_t)sprintf(p, "*%u\r\n", count);
        while (count--) length += generate(p + length, depth - 1);
        return length;
    }
    const char *line = lines[draw(sizeof lines / sizeof *lines)];
    memcpy(p, line, strlen(line));
    return strlen(line);
}

/* On the heap, at its exact size: one byte too far is one byte too far. */
static enum reply_end find(const char *text, size_t size, size_t *length) {
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    enum reply_end found = reply_find(exact, exact + size, length);
    if (found == REPLY_WHOLE) {
        struct resp r;
        if (*length > size || *length < 3) abort();
        if (!resp_read(&r, exact, exact + *length)) abort();
        struct redirect to = reply_redirect(exact, *length);
        bool placed = to.kind == REDIRECT_MOVED || to.kind == REDIRECT_ASK;
        if (placed && (to.group > 16383 || !to.port)) abort();
        if (to.kind != REDIRECT_NONE && r.type != '-') abort();
    }
    free(exact);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    state = strtoull(argv[1], NULL, 10);
    static char text[1 << 16];
    unsigned long taken = 0;
    for (int rounds = atoi(argv[2]); rounds; rounds--) {
        size_t size = generate(text, 5), length = 0;
        if (find(text, size, &length) != REPLY_WHOLE || length != size)
            return fputs("a whole reply was not found\n", stderr), 1;
        if (resp_skip((uint8_t *)text, (uint8_t *)text + size, RESP_DEPTH) != (uint8_t *)text + size)
            return fputs("the other parser disagrees\n", stderr), 1;
        size_t cut = draw((uint32_t)size);
        if (find(text, cut, &length) != REPLY_PARTIAL)
            return fputs("a part was not taken for one\n", stderr), 1;
        for (uint32_t i = 1 + draw(4); i; i--) text[draw((uint32_t)size)] = (char)draw(256);
        taken += find(text, size, &length) == REPLY_WHOLE;
    }
    printf("%lu\n", taken);
    return 0;
}
