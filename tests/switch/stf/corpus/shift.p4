#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.w = hdr.data.w << hdr.data.a;
        hdr.data.x = hdr.data.x >> hdr.data.b;
    }
}

#include "main.p4i"
