/* Parsing of requests (untrusted bytes) and the growing buffer. */
#include "core.h"

#include <ctype.h>
#include <string.h>

enum { BULK_MOST = 512 << 20, ARGUMENT_LEAST = 6 /* bytes that the shortest takes */ };

int buffer_reserve(struct buffer *b, size_t more) {
    if (b->capacity - b->length >= more) return 0;
    size_t capacity = b->capacity ? b->capacity * 2 : 4096;
    while (capacity - b->length < more) capacity *= 2;
    uint8_t *data = realloc(b->data, capacity);
    if (!data) return -1;
    b->data = data, b->capacity = capacity;
    return 0;
}

int buffer_add(struct buffer *b, const void *data, size_t length) {
    if (buffer_reserve(b, length) < 0) return -1;
    memcpy(b->data + b->length, data, length);
    b->length += length;
    return 0;
}

/* Appends "<type><value>\r\n" of a length or a count, so never negative. */
int buffer_head(struct buffer *b, char type, size_t value) {
    char text[32], *at = text + sizeof text;
    *--at = '\n', *--at = '\r';
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    *--at = type;
    return buffer_add(b, at, (size_t)(text + sizeof text - at));
}

int buffer_bulk(struct buffer *b, const void *data, size_t length) {
    if (buffer_head(b, '$', length) < 0) return -1;
    return buffer_add(b, data, length) < 0 || buffer_add(b, "\r\n", 2) < 0 ? -1 : 0;
}

/* Reads "<type><digits>\r\n" at *at. Strict: no sign, no leading zero, at most nine digits, which
 * is as much as Redis takes (proto-max-bulk-len). */
static bool count_at(const uint8_t *p, size_t length, size_t *at, char type, uint32_t *value) {
    size_t i = *at;
    if (i >= length || p[i++] != (uint8_t)type) return false;
    size_t first = i;
    uint32_t n = 0;
    while (i < length && i - first < 9 && isdigit(p[i])) n = n * 10 + (p[i++] - (uint32_t)'0');
    if (i == first || (p[first] == '0' && i - first > 1)) return false;
    if (length - i < 2 || p[i] != '\r' || p[i + 1] != '\n') return false;
    *at = i + 2, *value = n;
    return true;
}

static struct slice *slices_for(uint32_t count) {
    static struct slice *slices;
    static uint32_t room;
    if (count <= room) return slices;
    struct slice *more = realloc(slices, count * sizeof *slices);
    if (!more) return NULL;
    room = count;
    return slices = more;
}

/* Parses a payload that must be exactly one RESP array of bulk strings. Invariant on success:
 * every argument lies within the payload, and nothing follows the last. */
const char *request_parse(struct request *r, const uint8_t *payload, size_t length) {
    size_t at = 0;
    uint32_t count, size;
    if (!count_at(payload, length, &at, '*', &count))
        return "the payload is not a RESP array (*<count>\\r\\n…)";
    if (count == 0) return "the command is empty";
    uint32_t fit = (uint32_t)((length - at) / ARGUMENT_LEAST) + 1; /* whatever it claims */
    struct slice *arguments = slices_for(count < fit ? count : fit);
    if (!arguments) return "there is no memory for so many arguments";
    r->arguments = arguments;
    r->count = (int)count;
    r->body = (uint32_t)at;
    for (uint32_t i = 0; i < count; i++) {
        if (!count_at(payload, length, &at, '$', &size))
            return "an argument is not a RESP bulk string ($<length>\\r\\n…)";
        if (size > BULK_MOST) return "an argument is longer than 512 MB, Redis's own limit";
        if (length - at < (size_t)size + 2) return "the RESP array is cut short";
        arguments[i] = (struct slice){(uint32_t)at, size};
        at += size;
        if (payload[at] != '\r' || payload[at + 1] != '\n')
            return "an argument is longer than its RESP length says";
        at += 2;
    }
    return at == length ? NULL : "bytes follow the RESP array: one request is one command";
}

bool same_word(const uint8_t *p, size_t length, const char *word) {
    size_t i = 0;
    for (; i < length && word[i]; i++)
        if (toupper(p[i]) != word[i]) return false;
    return i == length && !word[i];
}
