#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        // No bit<8> is above 255: then the loop has no end.
        for (bit<8> i = 0; i <= hdr.data.a; i = i + 1) {
            for (bit<8> j = 0; j < 2; j = j + 1) {
                hdr.data.w = hdr.data.w + 1;
            }
        }
    }
}

#include "main.p4i"
