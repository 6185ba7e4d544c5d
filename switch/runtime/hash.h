/* v1model's HashAlgorithm, as simple_switch computes it over the packed bytes. */
#pragma once

#include "bits.h"

uint64_t p4_hash_crc32(const uint8_t *data, size_t length);
uint64_t p4_hash_crc16(const uint8_t *data, size_t length);
uint64_t p4_hash_csum16(const uint8_t *data, size_t length);
uint64_t p4_hash_xor16(const uint8_t *data, size_t length);
uint64_t p4_hash_identity(const uint8_t *data, size_t length);

/* Where packed values go; what does not fit was counted too small by the compiler. */
struct p4_packer {
    uint8_t *data;
    size_t bits;
};

/* Append the `width` low bits of value, most significant first. The buffer was zeroed. */
void p4_pack(struct p4_packer *packer, u128 value, unsigned width);
void p4_pack_bytes(struct p4_packer *packer, const uint8_t *data, size_t bits);

/* `count` bytes that begin `offset` (1 … 7) bits after from: one byte more is read. */
void p4_unpack_bytes(uint8_t *to, const uint8_t *from, unsigned offset, size_t count);
