#include "hash.h"

static uint32_t crc32_table[256];
static uint16_t crc16_table[256];

/* Both polynomials in reflected form. */
__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t wide = byte, narrow = byte;
        for (int bit = 0; bit < 8; bit++) {
            wide = wide >> 1 ^ (wide & 1 ? 0xedb88320u : 0);
            narrow = narrow >> 1 ^ (narrow & 1 ? 0xa001u : 0);
        }
        crc32_table[byte] = wide;
        crc16_table[byte] = (uint16_t)narrow;
    }
}

/* CRC-32 of IEEE 802.3. */
uint64_t p4_hash_crc32(const uint8_t *data, size_t length)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < length; i++)
        crc = crc >> 8 ^ crc32_table[(crc ^ data[i]) & 0xff];
    return (uint32_t)~crc;
}

/* CRC-16/ARC: polynomial 0x8005, reflected, from 0. */
uint64_t p4_hash_crc16(const uint8_t *data, size_t length)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < length; i++)
        crc = (uint16_t)(crc >> 8) ^ crc16_table[(crc ^ data[i]) & 0xff];
    return crc;
}

/* The Internet checksum (RFC 1071); an odd last byte counts as the high half of a word. */
uint64_t p4_hash_csum16(const uint8_t *data, size_t length)
{
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t words = p4_load(data + i, 8);
        sum += (words >> 32) + (uint32_t)words;
    }
    if (i + 4 <= length) {
        sum += p4_load(data + i, 4);
        i += 4;
    }
    if (i + 2 <= length) {
        sum += p4_load(data + i, 2);
        i += 2;
    }
    if (i < length)
        sum += (uint64_t)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

uint64_t p4_hash_xor16(const uint8_t *data, size_t length)
{
    uint64_t result = 0;
    for (size_t i = 0; i < length; i++)
        result ^= (uint64_t)data[i] << (i % 2 ? 0 : 8);
    return result;
}

/* The first eight bytes. */
uint64_t p4_hash_identity(const uint8_t *data, size_t length)
{
    uint64_t result = 0;
    for (size_t i = 0; i < length && i < 8; i++)
        result = result << 8 | data[i];
    return result;
}

void p4_pack(struct p4_packer *packer, u128 value, unsigned width)
{
    for (unsigned left = width; left > 0;) {
        unsigned room = 8 - (unsigned)(packer->bits % 8), take = left < room ? left : room;
        uint8_t part = (uint8_t)(value >> (left - take)) & (uint8_t)p4_mask(take);
        packer->data[packer->bits / 8] |= (uint8_t)(part << (room - take));
        packer->bits += take;
        left -= take;
    }
}

void p4_pack_bytes(struct p4_packer *packer, const uint8_t *data, size_t bits)
{
    for (; bits >= 8; bits -= 8)
        p4_pack(packer, *data++, 8);
    if (bits)
        p4_pack(packer, (u128)(*data >> (8 - bits)), (unsigned)bits);
}

void p4_unpack_bytes(uint8_t *to, const uint8_t *from, unsigned offset, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)(from[i] << offset | from[i + 1] >> (8 - offset));
}
