/* Values of bit<W> and int<W> up to 128 bits: always the W low bits, the rest zero.
 *
 * A value of up to 64 bits is a uint64_t, up to 128 bits a u128; signed values are kept in the same
 * masked form and converted where the sign matters. Wider ones: big.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 s128;

#define U128(high, low) (((u128)(high) << 64) | (low))
#define P4_INLINE static inline __attribute__((always_inline, unused))
#define P4_UNUSED __attribute__((unused))
#define P4_COLD __attribute__((cold, noinline))
#define P4_LIKELY(x) __builtin_expect(!!(x), 1)
#define P4_UNLIKELY(x) __builtin_expect(!!(x), 0)

P4_INLINE uint64_t p4_mask(unsigned width)
{
    return width >= 64 ? ~0ull : (1ull << width) - 1;
}

P4_INLINE u128 p4_mask128(unsigned width)
{
    return width >= 128 ? ~(u128)0 : ((u128)1 << width) - 1;
}

/* --- network byte order ---------------------------------------------------------------------- */

P4_INLINE uint64_t p4_load(const uint8_t *p, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return p[0];
    case 2: {
        uint16_t v;
        memcpy(&v, p, 2);
        return __builtin_bswap16(v);
    }
    case 4: {
        uint32_t v;
        memcpy(&v, p, 4);
        return __builtin_bswap32(v);
    }
    case 6:
        return p4_load(p, 4) << 16 | p4_load(p + 4, 2);
    case 8: {
        uint64_t v;
        memcpy(&v, p, 8);
        return __builtin_bswap64(v);
    }
    default: {
        uint64_t v = 0;
        for (unsigned i = 0; i < bytes; i++)
            v = v << 8 | p[i];
        return v;
    }
    }
}

P4_INLINE void p4_store(uint8_t *p, uint64_t value, unsigned bytes)
{
    switch (bytes) {
    case 2: {
        uint16_t v = __builtin_bswap16((uint16_t)value);
        memcpy(p, &v, 2);
        return;
    }
    case 4: {
        uint32_t v = __builtin_bswap32((uint32_t)value);
        memcpy(p, &v, 4);
        return;
    }
    case 6:
        p4_store(p, value >> 16, 4);
        p4_store(p + 4, value, 2);
        return;
    case 8: {
        uint64_t v = __builtin_bswap64(value);
        memcpy(p, &v, 8);
        return;
    }
    default:
        for (unsigned i = bytes; i-- > 0; value >>= 8)
            p[i] = (uint8_t)value;
    }
}

P4_INLINE u128 p4_load128(const uint8_t *p, unsigned bytes)
{
    u128 v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

P4_INLINE void p4_store128(uint8_t *p, u128 value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8)
        p[i] = (uint8_t)value;
}

/* --- arithmetic where plain C operators are not enough ---------------------------------------- */

#define P4_DEFINE_ARITHMETIC(SUFFIX, T, S, BITS, MASK)                                            \
    P4_INLINE S p4_signed##SUFFIX(T a, unsigned w)                                                \
    {                                                                                             \
        return w == 0 ? 0 : (S)(a << (BITS - w)) >> (BITS - w);                                   \
    }                                                                                             \
    P4_INLINE T p4_shl##SUFFIX(T a, uint64_t n, unsigned w)                                       \
    {                                                                                             \
        return n >= w ? 0 : (a << n) & MASK(w);                                                   \
    }                                                                                             \
    P4_INLINE T p4_shr##SUFFIX(T a, uint64_t n, unsigned w)                                       \
    {                                                                                             \
        return n >= w ? 0 : a >> n;                                                               \
    }                                                                                             \
    P4_INLINE T p4_sar##SUFFIX(T a, uint64_t n, unsigned w)                                       \
    {                                                                                             \
        return (T)(p4_signed##SUFFIX(a, w) >> (n >= BITS ? BITS - 1 : n)) & MASK(w);              \
    }                                                                                             \
    P4_INLINE T p4_div##SUFFIX(T a, T b)                                                          \
    {                                                                                             \
        return b == 0 ? 0 : a / b;                                                                \
    }                                                                                             \
    P4_INLINE T p4_mod##SUFFIX(T a, T b)                                                          \
    {                                                                                             \
        return b == 0 ? 0 : a % b;                                                                \
    }                                                                                             \
    P4_INLINE T p4_uaddsat##SUFFIX(T a, T b, unsigned w)                                          \
    {                                                                                             \
        T sum = (a + b) & MASK(w);                                                                \
        return sum < a ? MASK(w) : sum;                                                           \
    }                                                                                             \
    P4_INLINE T p4_usubsat##SUFFIX(T a, T b, unsigned w)                                          \
    {                                                                                             \
        (void)w;                                                                                  \
        return a < b ? 0 : a - b;                                                                 \
    }                                                                                             \
    /* Signed overflow: the operands' signs allow it and the result's sign differs from a's. */   \
    P4_INLINE T p4_saddsat##SUFFIX(T a, T b, unsigned w)                                          \
    {                                                                                             \
        T sign = (T)1 << (w - 1), sum = (a + b) & MASK(w);                                        \
        if (!((a ^ b) & sign) && ((a ^ sum) & sign))                                              \
            return a & sign ? sign : sign - 1;                                                    \
        return sum;                                                                               \
    }                                                                                             \
    P4_INLINE T p4_ssubsat##SUFFIX(T a, T b, unsigned w)                                          \
    {                                                                                             \
        T sign = (T)1 << (w - 1), difference = (a - b) & MASK(w);                                 \
        if (((a ^ b) & sign) && ((a ^ difference) & sign))                                        \
            return a & sign ? sign : sign - 1;                                                    \
        return difference;                                                                        \
    }

P4_DEFINE_ARITHMETIC(, uint64_t, int64_t, 64, p4_mask)
P4_DEFINE_ARITHMETIC(128, u128, s128, 128, p4_mask128)

/* A shift amount of more than 64 bits: beyond any width is beyond any width. */
P4_INLINE uint64_t p4_amount128(u128 n)
{
    return n > UINT32_MAX ? UINT32_MAX : (uint64_t)n;
}
