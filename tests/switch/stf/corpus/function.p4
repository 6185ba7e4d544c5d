#include "data.p4i"

bit<8> highest(in bit<8> a, in bit<8> b) {
    if (a > b) {
        return a;
    }
    return b;
}

void increment(inout bit<16> value) {
    value = value + 1;
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.a = highest(hdr.data.a, hdr.data.b);
        increment(hdr.data.w);
    }
}

#include "main.p4i"
