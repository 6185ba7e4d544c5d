/* The body of a KEYS frame is a sequence of
 *     0 group(2)                          the entries that follow are of this group, its first keys
 *     5 group(2)                          the entries that follow are of this group
 *     1 length(4) key expiry(8) length(4) value   a key; expiry in ms since 1970, 0: never
 *     4 length(4) key expiry(8) length(4) value   a key that is a string
 *     2 length(4) key                     a key that does not exist
 *     3                                   all keys of this group have been sent since its first
 * A string is its own value; all others are in the store's DUMP format, so every type moves exactly. */
#include "pipeline.h"

#include <string.h>

static bool sized(const uint8_t **p, const uint8_t *end, const uint8_t **data, uint32_t *length) {
    if (end - *p < 4) return false;
    *length = nm_get32(*p);
    *p += 4;
    if ((size_t)(end - *p) < *length) return false;
    *data = *p;
    *p += *length;
    return true;
}

/* Reads the next entry; untrusted bytes. `e` is the one before, at first of a group that does not
 * exist. */
bool body_next(const uint8_t **p, const uint8_t *end, struct entry *e) {
    e->tag = *(*p)++;
    if (e->tag == TAG_GROUP || e->tag == TAG_MORE) {
        if (end - *p < 2 || (e->group = nm_get16(*p)) >= NM_GROUPS) return false;
        *p += 2;
        return true;
    }
    if (e->group >= NM_GROUPS) return false;
    if (e->tag == TAG_END) return true;
    if (e->tag != TAG_KEY && e->tag != TAG_STRING && e->tag != TAG_ABSENT) return false;
    if (!sized(p, end, &e->key, &e->key_length)) return false;
    if (e->tag == TAG_ABSENT) return true;
    if (end - *p < 8) return false;
    e->expiry = nm_get64(*p);
    *p += 8;
    return e->expiry <= INT64_MAX && sized(p, end, &e->value, &e->value_length);
}

/* Whether all of it can be read, and every key is one of its group: that is how what is under way is
 * looked up. */
bool body_is_good(const uint8_t *p, size_t length) {
    struct entry e = {.group = NM_GROUPS};
    for (const uint8_t *end = p + length; p < end;) {
        if (!body_next(&p, end, &e)) return false;
        bool has_key = e.tag == TAG_KEY || e.tag == TAG_STRING || e.tag == TAG_ABSENT;
        if (has_key && nm_group(e.key, e.key_length) != e.group) return false;
    }
    return true;
}

size_t body_size(const struct entry *e) {
    switch (e->tag) {
    case TAG_GROUP: case TAG_MORE: return 3;
    case TAG_END: return 1;
    case TAG_ABSENT: return 5 + (size_t)e->key_length;
    case TAG_KEY: case TAG_STRING: break;
    }
    return 17 + (size_t)e->key_length + e->value_length;
}

/* Writes an entry, body_size() long; returns where it ends. */
uint8_t *body_put(uint8_t *to, const struct entry *e) {
    *to++ = (uint8_t)e->tag;
    if (e->tag == TAG_END) return to;
    if (e->tag == TAG_GROUP || e->tag == TAG_MORE) {
        nm_put16(to, e->group);
        return to + 2;
    }
    nm_put32(to, e->key_length);
    memcpy(to + 4, e->key, e->key_length);
    to += 4 + e->key_length;
    if (e->tag == TAG_ABSENT) return to;
    nm_put64(to, e->expiry);
    nm_put32(to + 8, e->value_length);
    if (e->value_length) memcpy(to + 12, e->value, e->value_length);
    return to + 12 + e->value_length;
}
