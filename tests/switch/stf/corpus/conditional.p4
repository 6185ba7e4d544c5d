#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.b = hdr.data.a > 5 ? 8w1 : (hdr.data.a == 0 ? 8w2 : 8w3);
        if (hdr.data.a != 0 && (hdr.data.w == 1 || hdr.data.w == 2)) {
            hdr.data.x = 1;
        }
    }
}

#include "main.p4i"
