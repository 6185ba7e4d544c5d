#include "data.p4i"

typedef bit<16> word_t;

const bit<9> OUT = 2;
const int LARGE = 1 << 40;
const word_t WORD = 0x80 * 2;

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = OUT;
        hdr.data.a = (bit<8>)(LARGE >> 36);
        hdr.data.w = (word_t)hdr.data.b + WORD;
    }
}

#include "main.p4i"
