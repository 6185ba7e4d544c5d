#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        int<16> s = (int<16>)hdr.data.w;
        hdr.data.a = hdr.data.a |+| 0x20;
        hdr.data.b = hdr.data.b |-| 0x20;
        hdr.data.w = (bit<16>)(s |+| 0x7000);
    }
}

#include "main.p4i"
