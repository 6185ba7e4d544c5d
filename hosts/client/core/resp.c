#include "resp.h"

#include <stdbool.h>
#include <string.h>

/* Reads the integer of a line; `p` is left behind its CRLF. */
static bool read_integer(int64_t *value, const uint8_t **p, const uint8_t *end) {
    const uint8_t *c = *p;
    bool negative = c < end && *c == '-';
    if (c < end && (*c == '-' || *c == '+')) c++;
    const uint8_t *first = c;
    uint64_t magnitude = 0;
    for (; c < end && *c >= '0' && *c <= '9'; c++) {
        unsigned digit = *c - '0';
        if (magnitude > (UINT64_MAX - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
    }
    if (c == first || end - c < 2 || c[0] != '\r' || c[1] != '\n') return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    *p = c + 2;
    return true;
}

const uint8_t *resp_read(struct resp *r, const uint8_t *p, const uint8_t *end) {
    if (p >= end) return NULL;
    *r = (struct resp){.type = (char)*p++};
    switch (r->type) {
    case '+':
    case '-': {
        const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));
        if (!cr || end - cr < 2 || cr[1] != '\n') return NULL;
        r->text = p;
        r->length = (size_t)(cr - p);
        return cr + 2;
    }
    case ':':
        return read_integer(&r->number, &p, end) ? p : NULL;
    case '*':
        if (!read_integer(&r->number, &p, end) || r->number < -1) return NULL;
        /* An element takes at least three bytes: more cannot be in what is left. */
        return r->number <= (end - p) / 3 ? p : NULL;
    case '$':
        if (!read_integer(&r->number, &p, end) || r->number < -1) return NULL;
        if (r->number < 0) return p;
        if (r->number > end - p - 2) return NULL;
        r->text = p;
        r->length = (size_t)r->number;
        p += r->length;
        return p[0] == '\r' && p[1] == '\n' ? p + 2 : NULL;
    default:
        return NULL;
    }
}

const uint8_t *resp_skip(const uint8_t *p, const uint8_t *end, int depth) {
    struct resp r;
    p = resp_read(&r, p, end);
    if (!p || r.type != '*') return p;
    if (depth == 0) return NULL;
    for (int64_t i = 0; p && i < r.number; i++) p = resp_skip(p, end, depth - 1);
    return p;
}

static uint8_t *write_length(uint8_t *p, const uint8_t *end, char type, size_t value) {
    uint8_t digits[20], *d = digits + sizeof digits;
    do *--d = (uint8_t)('0' + value % 10);
    while (value /= 10);
    size_t count = (size_t)(digits + sizeof digits - d);
    if ((size_t)(end - p) < count + 3) return NULL;
    *p++ = (uint8_t)type;
    memcpy(p, d, count);
    p += count;
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

uint8_t *resp_write_array(uint8_t *p, const uint8_t *end, size_t count) {
    return write_length(p, end, '*', count);
}

uint8_t *resp_write_bulk(uint8_t *p, const uint8_t *end, const void *data, size_t length) {
    p = write_length(p, end, '$', length);
    if (!p || (size_t)(end - p) < length + 2) return NULL;
    if (length) memcpy(p, data, length);
    p += length;
    *p++ = '\r';
    *p++ = '\n';
    return p;
}
