/* Values of more than 128 bits: little-endian limbs, one size for the whole program.
 *
 * P4_BIG_LIMBS is the program's widest value, rounded up; every value keeps its bits above W zero.
 */
#pragma once

#include "bits.h"

#ifndef P4_BIG_LIMBS
#define P4_BIG_LIMBS 3
#endif

typedef struct {
    uint64_t w[P4_BIG_LIMBS];
} p4_big;

#define P4_BIG static P4_UNUSED

P4_BIG p4_big big_from(u128 a)
{
    return (p4_big){{(uint64_t)a, (uint64_t)(a >> 64)}};
}

P4_BIG u128 big_low(p4_big a)
{
    return U128(a.w[1], a.w[0]);
}

P4_BIG p4_big big_trim(p4_big a, unsigned width)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] &= width <= 64 * i ? 0 : p4_mask(width - 64 * i);
    return a;
}

P4_BIG bool big_bit(p4_big a, unsigned bit)
{
    return a.w[bit / 64] >> (bit % 64) & 1;
}

P4_BIG int big_compare(p4_big a, p4_big b)
{
    for (unsigned i = P4_BIG_LIMBS; i-- > 0;)
        if (a.w[i] != b.w[i])
            return a.w[i] < b.w[i] ? -1 : 1;
    return 0;
}

P4_BIG p4_big big_and(p4_big a, p4_big b)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] &= b.w[i];
    return a;
}

P4_BIG p4_big big_or(p4_big a, p4_big b)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] |= b.w[i];
    return a;
}

P4_BIG p4_big big_xor(p4_big a, p4_big b)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] ^= b.w[i];
    return a;
}

P4_BIG p4_big big_not(p4_big a, unsigned width)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] = ~a.w[i];
    return big_trim(a, width);
}

P4_BIG p4_big big_add(p4_big a, p4_big b, unsigned width)
{
    u128 carry = 0;
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++) {
        carry += (u128)a.w[i] + b.w[i];
        a.w[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return big_trim(a, width);
}

P4_BIG p4_big big_negate(p4_big a, unsigned width)
{
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++)
        a.w[i] = ~a.w[i];
    return big_add(a, big_from(1), width);
}

P4_BIG p4_big big_sub(p4_big a, p4_big b, unsigned width)
{
    return big_add(a, big_negate(b, width), width);
}

P4_BIG p4_big big_mul(p4_big a, p4_big b, unsigned width)
{
    p4_big r = {{0}};
    for (unsigned i = 0; i < P4_BIG_LIMBS; i++) {
        u128 carry = 0;
        for (unsigned j = 0; i + j < P4_BIG_LIMBS; j++) {
            carry += (u128)a.w[i] * b.w[j] + r.w[i + j];
            r.w[i + j] = (uint64_t)carry;
            carry >>= 64;
        }
    }
    return big_trim(r, width);
}

P4_BIG p4_big big_shl(p4_big a, uint64_t n, unsigned width)
{
    p4_big r = {{0}};
    if (n >= width)
        return r;
    unsigned limbs = (unsigned)n / 64, bits = (unsigned)n % 64;
    for (unsigned i = limbs; i < P4_BIG_LIMBS; i++) {
        r.w[i] = a.w[i - limbs] << bits;
        if (bits && i > limbs)
            r.w[i] |= a.w[i - limbs - 1] >> (64 - bits);
    }
    return big_trim(r, width);
}

P4_BIG p4_big big_shr(p4_big a, uint64_t n, unsigned width)
{
    p4_big r = {{0}};
    if (n >= width)
        return r;
    unsigned limbs = (unsigned)n / 64, bits = (unsigned)n % 64;
    for (unsigned i = 0; i + limbs < P4_BIG_LIMBS; i++) {
        r.w[i] = a.w[i + limbs] >> bits;
        if (bits && i + limbs + 1 < P4_BIG_LIMBS)
            r.w[i] |= a.w[i + limbs + 1] << (64 - bits);
    }
    return r;
}

/* a, of `from` bits and signed, as `to` bits. */
P4_BIG p4_big big_extend(p4_big a, unsigned from, unsigned to)
{
    if (from > 0 && from < to && big_bit(a, from - 1)) {
        p4_big low = big_trim(big_not((p4_big){{0}}, from), from);
        a = big_or(a, big_not(low, to));
    }
    return big_trim(a, to);
}

P4_BIG p4_big big_sar(p4_big a, uint64_t n, unsigned width)
{
    bool negative = big_bit(a, width - 1);
    if (n >= width)
        return negative ? big_not((p4_big){{0}}, width) : (p4_big){{0}};
    return big_extend(big_shr(a, n, width), width - (unsigned)n, width);
}

/* Schoolbook division, a bit at a time; by zero both results are 0. */
P4_BIG void big_divide(p4_big a, p4_big b, unsigned width, p4_big *quotient, p4_big *remainder)
{
    *quotient = *remainder = (p4_big){{0}};
    if (big_compare(b, *remainder) == 0)
        return;
    for (unsigned bit = width; bit-- > 0;) {
        /* The remainder stays below b: when its top bit is shifted out, b is certainly less. */
        bool carry = big_bit(*remainder, width - 1);
        *remainder = big_shl(*remainder, 1, width);
        remainder->w[0] |= big_bit(a, bit);
        if (carry || big_compare(*remainder, b) >= 0) {
            *remainder = big_sub(*remainder, b, width);
            quotient->w[bit / 64] |= 1ull << (bit % 64);
        }
    }
}

P4_BIG p4_big big_div(p4_big a, p4_big b, unsigned width)
{
    p4_big quotient, remainder;
    big_divide(a, b, width, &quotient, &remainder);
    return quotient;
}

P4_BIG p4_big big_mod(p4_big a, p4_big b, unsigned width)
{
    p4_big quotient, remainder;
    big_divide(a, b, width, &quotient, &remainder);
    return remainder;
}

P4_BIG p4_big big_sign(unsigned width)
{
    return big_shl(big_from(1), width - 1, width);
}

P4_BIG int big_compare_signed(p4_big a, p4_big b, unsigned width)
{
    return big_compare(big_xor(a, big_sign(width)), big_xor(b, big_sign(width)));
}

P4_BIG p4_big big_saturated(bool negative, unsigned width)
{
    return negative ? big_sign(width) : big_not(big_sign(width), width);
}

P4_BIG p4_big big_uaddsat(p4_big a, p4_big b, unsigned width)
{
    p4_big sum = big_add(a, b, width);
    return big_compare(sum, a) < 0 ? big_not((p4_big){{0}}, width) : sum;
}

P4_BIG p4_big big_usubsat(p4_big a, p4_big b, unsigned width)
{
    return big_compare(a, b) < 0 ? (p4_big){{0}} : big_sub(a, b, width);
}

P4_BIG p4_big big_saddsat(p4_big a, p4_big b, unsigned width)
{
    p4_big sum = big_add(a, b, width);
    bool sa = big_bit(a, width - 1), sb = big_bit(b, width - 1);
    return sa == sb && big_bit(sum, width - 1) != sa ? big_saturated(sa, width) : sum;
}

P4_BIG p4_big big_ssubsat(p4_big a, p4_big b, unsigned width)
{
    p4_big difference = big_sub(a, b, width);
    bool sa = big_bit(a, width - 1), sb = big_bit(b, width - 1);
    return sa != sb && big_bit(difference, width - 1) != sa ? big_saturated(sa, width) : difference;
}

P4_BIG uint64_t big_amount(p4_big n)
{
    return big_compare(n, big_from(UINT32_MAX)) > 0 ? UINT32_MAX : n.w[0];
}

P4_BIG p4_big big_load(const uint8_t *p, unsigned bytes)
{
    p4_big r = {{0}};
    for (unsigned i = 0; i < bytes; i++)
        r.w[i / 8] |= (uint64_t)p[bytes - 1 - i] << (i % 8 * 8);
    return r;
}

P4_BIG void big_store(uint8_t *p, p4_big a, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[bytes - 1 - i] = (uint8_t)(a.w[i / 8] >> (i % 8 * 8));
}
