#include "reply.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "../../wire/wire.h"

enum reply_end reply_find(const uint8_t *p, const uint8_t *end, size_t *length) {
    const uint8_t *first = p;
    /* How many values are still to come: an array adds its elements, however deep it is. */
    int64_t missing = 1;
    while (missing > 0) {
        size_t left = (size_t)(end - p);
        const uint8_t *cr = memchr(p, '\r', left < REPLY_LINE ? left : REPLY_LINE);
        if (left && !memchr("+-:$*", *p, 5)) return REPLY_BROKEN;
        if (!cr) return left < REPLY_LINE ? REPLY_PARTIAL : REPLY_BROKEN;
        if (cr + 1 == end) return REPLY_PARTIAL;
        if (cr[1] != '\n') return REPLY_BROKEN;
        missing--;
        if (*p == '+' || *p == '-') {
            p = cr + 2;
            continue;
        }
        bool negative = p[1] == '-';
        const uint8_t *digit = p + 1 + (negative || p[1] == '+');
        uint64_t value = 0;
        if (digit == cr || cr - digit > 19) return REPLY_BROKEN;
        for (; digit < cr; digit++) {
            if (*digit < '0' || *digit > '9') return REPLY_BROKEN;
            value = value * 10 + (*digit - '0');
        }
        if (value > (uint64_t)INT64_MAX + negative) return REPLY_BROKEN;
        bool nil = negative && value == 1;
        char type = (char)*p;
        p = cr + 2;
        if (type == ':' || nil) continue;
        if (negative && value) return REPLY_BROKEN;
        if (value > REPLY_BULK) return REPLY_BROKEN;
        if (type == '*') {
            missing += (int64_t)value;
            if (missing > REPLY_BULK) return REPLY_BROKEN;
            continue;
        }
        if ((size_t)(end - p) < value + 2) return REPLY_PARTIAL;
        if (p[value] != '\r' || p[value + 1] != '\n') return REPLY_BROKEN;
        p += value + 2;
    }
    *length = (size_t)(p - first);
    return REPLY_WHOLE;
}

static bool begins(const uint8_t **p, const uint8_t *end, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(end - *p) < length || memcmp(*p, word, length)) return false;
    *p += length;
    return true;
}

/* The decimal at p, up to the end of the digits. */
static bool number(uint32_t *value, const uint8_t **p, const uint8_t *end, uint32_t most) {
    const uint8_t *first = *p;
    *value = 0;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        *value = *value * 10 + (**p - '0');
        if (*value > most) return false;
    }
    return *p > first;
}

/* "<group> <host>:<port>"; a node may leave its own host out. Only IPv4, as everywhere here. */
static bool read_place(struct redirect *r, const uint8_t *p, const uint8_t *end) {
    uint32_t group, port;
    if (!number(&group, &p, end, NM_GROUPS - 1) || !begins(&p, end, " ")) return false;
    const uint8_t *colon = memchr(p, ':', (size_t)(end - p));
    char host[INET_ADDRSTRLEN] = "";
    struct in_addr address = {0};
    if (!colon || (size_t)(colon - p) >= sizeof host) return false;
    memcpy(host, p, (size_t)(colon - p));
    if (*host && inet_pton(AF_INET, host, &address) != 1) return false;
    p = colon + 1;
    if (!number(&port, &p, end, UINT16_MAX) || p != end || !port) return false;
    r->group = (uint16_t)group;
    r->port = (uint16_t)port;
    r->address = ntohl(address.s_addr);
    return true;
}

struct redirect reply_redirect(const uint8_t *p, size_t length) {
    const uint8_t *end = p + length - 2;
    struct redirect r = {.kind = REDIRECT_NONE};
    if (*p++ != '-') return r;
    if (begins(&p, end, "TRYAGAIN")) r.kind = REDIRECT_AGAIN;
    else if (begins(&p, end, "CLUSTERDOWN")) r.kind = REDIRECT_DOWN;
    else if (begins(&p, end, "MOVED ") && read_place(&r, p, end)) r.kind = REDIRECT_MOVED;
    else if (begins(&p, end, "ASK ") && read_place(&r, p, end)) r.kind = REDIRECT_ASK;
    return r;
}
