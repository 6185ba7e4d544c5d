#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.w = hdr.data.a ++ hdr.data.b;
        hdr.data.a = hdr.data.x[31:24];
        hdr.data.b[7:4] = hdr.data.x[3:0];
        hdr.data.x[15:8] = 0xee;
    }
}

#include "main.p4i"
