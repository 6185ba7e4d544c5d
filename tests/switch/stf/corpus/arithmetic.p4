#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.a = hdr.data.a - 2;
        hdr.data.b = hdr.data.b * 3;
        hdr.data.w = ~hdr.data.w;
        hdr.data.x = (hdr.data.x ^ 0xff) & 0x0fff | 0x70000000;
    }
}

#include "main.p4i"
