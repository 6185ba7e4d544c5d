/* RESP2, as far as a datagram holds it: finding where a reply ends, writing a command. */
#ifndef NETMIGRATE_RESP_H
#define NETMIGRATE_RESP_H

#include <stddef.h>
#include <stdint.h>

/* Nesting that no reply of a real command reaches; bounds the recursion on hostile bytes. */
enum { RESP_DEPTH = 8 };

/* One element: '+', '-' and '$' carry text (text NULL: nil); ':' and '*' carry number (-1: nil). */
struct resp {
    char type;
    const uint8_t *text;
    int64_t number;
    size_t length;
};

/* Reads the element at p. Returns the byte after it (for '*': its first child), NULL if bad. */
const uint8_t *resp_read(struct resp *r, const uint8_t *p, const uint8_t *end);

/* Returns the byte after the whole value at p, NULL if it is malformed or cut short. */
const uint8_t *resp_skip(const uint8_t *p, const uint8_t *end, int depth);

/* Writes "*count\r\n" or "$length\r\n<data>\r\n" into [p, end). NULL: no room. */
uint8_t *resp_write_array(uint8_t *p, const uint8_t *end, size_t count);
uint8_t *resp_write_bulk(uint8_t *p, const uint8_t *end, const void *data, size_t length);

#endif
