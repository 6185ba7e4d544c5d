#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.a += 3;
        hdr.data.b -= 1;
        hdr.data.w <<= 4;
        hdr.data.x |= 0xff;
        hdr.data.x[31:16] ^= 0xffff;
    }
}

#include "main.p4i"
