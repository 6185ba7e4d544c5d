#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        for (bit<8> i = 0; i < hdr.data.a; i = i + 1) {
            if (i == 2) {
                continue;
            }
            if (i == 5) {
                break;
            }
            hdr.data.w = hdr.data.w + (bit<16>)i;
        }
        for (bit<32> i in 32w1..32w4) {
            hdr.data.x = hdr.data.x + i;
        }
    }
}

#include "main.p4i"
