/* The commands that put what a KEYS frame brings into the store. Those of strings that never expire are
 * one MSET for many of them, which put_strings() ends. */
#include "pipeline.h"

enum { RUN_KEYS = 128, RUN_BYTES = 1 << 16 }; /* of one MSET */

int put_strings(struct buffer *b, struct strings *strings, size_t *commands) {
    if (!strings->keys) return 0;
    ++*commands;
    int failed = buffer_head(b, '*', 1 + 2 * strings->keys) < 0 || buffer_add(b, "$4\r\nMSET\r\n", 10) < 0 ||
                 buffer_add(b, strings->words.data, strings->words.length) < 0;
    strings->keys = strings->words.length = 0;
    return -failed;
}

static int add_string(struct buffer *b, struct strings *strings, const struct entry *e,
                      size_t *commands) {
    if (strings->keys == RUN_KEYS || strings->words.length + e->value_length > RUN_BYTES)
        if (put_strings(b, strings, commands) < 0) return -1;
    strings->keys++;
    return buffer_bulk(&strings->words, e->key, e->key_length) < 0 ||
                   buffer_bulk(&strings->words, e->value, e->value_length) < 0
               ? -1
               : 0;
}

static int add_ttl(struct buffer *b, const struct entry *e) {
    char ttl[24];
    int n = snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)e->expiry);
    return buffer_bulk(b, ttl, (size_t)n);
}

/* SET and PEXPIREAT, which any version has. Nobody reads the key in between. */
static int add_dated_string(struct buffer *b, const struct entry *e, size_t *commands) {
    *commands += 2;
    return buffer_add(b, "*3\r\n$3\r\nSET\r\n", 13) < 0 || buffer_bulk(b, e->key, e->key_length) < 0 ||
                   buffer_bulk(b, e->value, e->value_length) < 0 ||
                   buffer_add(b, "*3\r\n$9\r\nPEXPIREAT\r\n", 19) < 0 ||
                   buffer_bulk(b, e->key, e->key_length) < 0 || add_ttl(b, e) < 0
               ? -1
               : 0;
}

static int add_dumped(struct buffer *b, const struct entry *e, size_t *commands) {
    ++*commands;
    return buffer_add(b, "*6\r\n$7\r\nRESTORE\r\n", 17) < 0 ||
                   buffer_bulk(b, e->key, e->key_length) < 0 || add_ttl(b, e) < 0 ||
                   buffer_bulk(b, e->value, e->value_length) < 0 ||
                   buffer_add(b, "$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n", 25) < 0
               ? -1
               : 0;
}

/* Returns -1 without memory, as all here do. */
int put_entry(struct buffer *b, struct strings *strings, const struct entry *e, size_t *commands) {
    if (e->tag == TAG_KEY) return add_dumped(b, e, commands);
    return e->expiry ? add_dated_string(b, e, commands) : add_string(b, strings, e, commands);
}

int put_unlink(struct buffer *b, const struct entry *e, size_t *commands) {
    ++*commands;
    return buffer_add(b, "*2\r\n$6\r\nUNLINK\r\n", 16) < 0 ||
                   buffer_bulk(b, e->key, e->key_length) < 0
               ? -1
               : 0;
}
