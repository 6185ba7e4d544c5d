/* Feeds a session's reply path random and mutated datagrams; built with sanitizers by its test.
 * argv: seed, rounds. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../hosts/client/core/resp.h"
#include "../../hosts/client/core/session.h"

static uint64_t state;

static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

static uint64_t completions;

static void completed(void *context, const struct nm_completion *c, int64_t now) {
    (void)context, (void)now;
    completions++;
    /* What the session hands on is whole, and readable to its end; an address has its length. */
    if (!c->payload) return;
    if (c->status == NM_BY_STREAM) {
        if (c->length != NM_STREAM_LENGTH) abort();
        return;
    }
    const uint8_t *end = c->payload + c->length;
    if (resp_skip(c->payload, end, RESP_DEPTH) != end) abort();
    volatile uint8_t sum = 0;
    for (const uint8_t *p = c->payload; p < end; p++) sum = (uint8_t)(sum + *p);
}

static const char *const payloads[] = {
    "", "$-1\r\n", "+OK\r\n", "-ERR x\r\n", ":12\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$1\r\na\r\n",
    "*1\r\n*1\r\n*1\r\n*0\r\n", "*-1\r\n",
};

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    state = strtoull(argv[1], NULL, 10);
    int rounds = atoi(argv[2]);
    static struct nm_session s;
    const char *wrong =
        nm_session_open(&s, INADDR_LOOPBACK, 9, 1, 1000000, 20000, completed, NULL);
    if (wrong) return fputs(wrong, stderr), 2;
    /* Replies name where to send copies: whatever that is, nothing leaves this machine. */
    if (setsockopt(s.fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3)) return perror("lo"), 2;
    /* Odd seeds start near the last seq: the session must go on as another client. */
    uint64_t client = s.client, last = strtoull(argv[1], NULL, 10) & 1;
    if (last) s.next_seq = UINT32_MAX - 20000, s.acked = s.next_seq - 1;
    int64_t now = nm_now();
    for (int round = 0; round < rounds; round++) {
        uint32_t what = draw(10);
        now += draw(3000);
        if (what < 3) {
            struct nm_request *r = nm_prepare(&s);
            if (!r) { /* only until the oldest have finished */
                if (nm_room(&s) || !s.outstanding) return fputs("no room\n", stderr), 1;
                nm_expire(&s, now += 1000000);
                continue;
            }
            uint8_t *p = nm_payload(r), *end = p + NM_PAYLOAD;
            p = resp_write_array(p, end, 2);
            p = resp_write_bulk(p, end, "GET", 3);
            p = resp_write_bulk(p, end, "k", 1);
            if (draw(20) == 0) nm_discard(&s, r);
            else nm_start(&s, r, draw(2) ? NM_READ : NM_WRITE, (uint16_t)draw(3),
                          (size_t)(p - nm_payload(r)), round, now);
        } else if (what == 3) {
            nm_expire(&s, now);
            if (draw(2)) nm_flush(&s, now);
            if (draw(30) == 0) nm_abandon(&s, s.acked + draw(20));
        } else {
            /* An exact copy on the heap: one byte too far is one byte too far. */
            const char *text = payloads[draw(sizeof payloads / sizeof *payloads)];
            size_t trailer = draw(3) ? 0 : NM_MOVING_LENGTH;
            size_t length = NM_HEADER_LENGTH + strlen(text) + trailer;
            uint8_t *datagram = malloc(length);
            struct nm_header h = {
                .op = NM_REPLY,
                .flags = (uint16_t)(draw(512) | (draw(9) ? (trailer ? NM_MOVING : 0) : NM_MOVING)),
                .service = 1,
                .group = (uint16_t)draw(3),
                .migration = (uint16_t)draw(2),
                .client = s.client,
                .seq = s.acked + draw(12),
            };
            nm_header_put(datagram, &h);
            memcpy(datagram + NM_HEADER_LENGTH, text, strlen(text));
            if (trailer) { /* of one of a few ranges; to the port that discards */
                uint8_t *p = datagram + length - trailer;
                nm_put16(p, (uint16_t)draw(2)), nm_put32(p + 2, INADDR_LOOPBACK);
                nm_put16(p + 6, draw(4) ? 9 : 0), nm_put16(p + 8, (uint16_t)draw(3));
                nm_put16(p + 10, (uint16_t)draw(draw(9) ? 3 : NM_GROUPS));
            }
            for (uint32_t i = draw(8) ? 0 : 1 + draw(6); i > 0; i--)
                datagram[draw((uint32_t)length)] = (uint8_t)draw(256);
            size_t cut = draw(8) ? length : draw((uint32_t)length + 1);
            uint8_t *exact = malloc(cut ? cut : 1);
            memcpy(exact, datagram, cut);
            nm_take(&s, exact, cut, now);
            free(exact);
            free(datagram);
        }
        uint32_t open = 0;
        for (unsigned i = 0; i < s.moving.count; i++)
            for (unsigned k = 0; k < i; k++)
                if (s.moving.at[i].first <= s.moving.at[k].last &&
                    s.moving.at[k].first <= s.moving.at[i].last)
                    return fputs("ranges overlap\n", stderr), 1;
        if (round % 1024 == 0) {
            for (uint32_t i = 0; i < NM_WINDOW; i++) open += s.slots[i] != NULL;
            if (open != s.outstanding) return fputs("lost a request\n", stderr), 1;
        }
    }
    if (s.counts.started != s.counts.finished + s.outstanding) return fputs("count\n", stderr), 1;
    if (last != (client != s.client)) return fputs("client number\n", stderr), 1;
    printf("%llu\n", (unsigned long long)completions);
    nm_session_close(&s);
    return 0;
}
