/* A cluster's transport with two nodes that answer as they please, in one thread with them; built
 * with sanitizers by its test. argv: seed, rounds. Prints how many requests were answered. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../hosts/client/core/resp.h"
#include "../../hosts/load/core/cluster.h"

enum { NODES = 2, PEERS = 64, TOKENS = 1 << 20 };

static uint64_t state, answered;
static uint8_t out[TOKENS]; /* 1: outstanding */
static struct place places[NODES];
static struct transport *transport;
static const uint8_t get[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

static uint64_t tokens;
static int64_t now;

/* The clock: a busy machine must not make the nodes slower. */
int64_t nm_now(void) { return now; }

static bool begin(void) {
    if (tokens == TOKENS) return false;
    out[tokens] = 1;
    return transport->kind->start(transport, draw(2) ? NM_READ : NM_WRITE, (uint16_t)draw(8), get,
                                  sizeof get - 1, tokens++, now);
}

static void completed(void *context, const struct nm_completion *c, int64_t when) {
    (void)context, (void)when;
    if (c->token >= tokens || !out[c->token]) abort();
    out[c->token] = 0;
    if (c->status == NM_DONE) answered++;
    if (!c->payload && c->status != NM_TIMED_OUT) abort();
    struct resp r;
    if (c->payload && !resp_read(&r, c->payload, c->payload + c->length)) abort();
    if (draw(4) == 0) begin(); /* as a read-modify-write does */
}

static const char *const replies[] = {"$-1\r\n", "+OK\r\n", "$3\r\nabc\r\n", "-ERR no\r\n",
                                      "-TRYAGAIN\r\n", "-CLUSTERDOWN\r\n", "*2\r\n:1\r\n:2\r\n"};

/* Answers one connection: mostly a reply to what it has asked, sometimes not. */
static bool answer(int fd) {
    static char heard[1 << 16];
    ssize_t got = recv(fd, heard, sizeof heard, MSG_DONTWAIT);
    if (got == 0) return false;
    int owed = 0;
    for (ssize_t i = 0; i < got; i++) owed += heard[i] == '*';
    if (draw(200) == 0) return false;
    if (draw(300) == 0) owed++;
    while (owed-- > 0) {
        char text[64];
        const struct place *to = &places[draw(NODES)];
        switch (draw(60)) {
        case 0:
            return true; /* it owes the rest for ever */
        case 1:
            snprintf(text, sizeof text, "?%u\r\n", draw(100));
            break;
        case 2 ... 9:
            snprintf(text, sizeof text, "-%s %u 127.0.0.1:%u\r\n", draw(2) ? "MOVED" : "ASK",
                     draw(9), to->port);
            break;
        default:
            snprintf(text, sizeof text, "%s", replies[draw(sizeof replies / sizeof *replies)]);
        }
        size_t length = strlen(text), part = draw(4) ? length : draw((uint32_t)length);
        send(fd, text, part, MSG_NOSIGNAL);
        if (part < length && draw(3)) send(fd, text + part, length - part, MSG_NOSIGNAL);
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    state = strtoull(argv[1], NULL, 10);
    int listeners[NODES], peers[PEERS];
    memset(peers, -1, sizeof peers);
    for (int i = 0; i < NODES; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof at;
        listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(listeners[i], (struct sockaddr *)&at, size) || listen(listeners[i], PEERS) ||
            getsockname(listeners[i], (struct sockaddr *)&at, &size))
            return 2;
        places[i] = (struct place){INADDR_LOOPBACK, ntohs(at.sin_port)};
    }
    uint16_t owners[NM_GROUPS];
    for (int i = 0; i < NM_GROUPS; i++) owners[i] = (uint16_t)draw(NODES + 1);
    const char *wrong;
    int64_t timeout = 50000000;
    transport = cluster_open(places, NODES, owners, 5, timeout, &wrong);
    if (!transport) return fputs(wrong, stderr), 2;
    transport->completed = completed;
    const struct transport_kind *kind = transport->kind;
    for (int rounds = atoi(argv[2]); rounds; rounds--) {
        now += draw(100000);
        if (draw(2) && kind->state(transport).outstanding < 30) begin();
        for (int i = 0; i < NODES; i++) {
            int fd = accept4(listeners[i], NULL, NULL, SOCK_NONBLOCK);
            int free_place = 0;
            while (free_place < PEERS && peers[free_place] >= 0) free_place++;
            if (fd >= 0 && free_place < PEERS) peers[free_place] = fd;
            else if (fd >= 0) close(fd);
        }
        int i = (int)draw(PEERS);
        if (peers[i] >= 0 && !answer(peers[i])) close(peers[i]), peers[i] = -1;
        kind->expire(transport, now);
        kind->flush(transport, now);
        kind->receive(transport);
        int64_t due = kind->next_due(transport);
        if ((due == INT64_MAX) != !kind->state(transport).outstanding) return 1;
        uint64_t open = 0;
        if (rounds % 4096 == 0) {
            for (uint64_t t = 0; t < tokens; t++) open += out[t];
            if (open != kind->state(transport).outstanding)
                return fputs("lost a request\n", stderr), 1;
        }
    }
    kind->close(transport);
    for (int i = 0; i < PEERS; i++)
        if (peers[i] >= 0) close(peers[i]);
    printf("%llu\n", (unsigned long long)answered);
    return 0;
}
