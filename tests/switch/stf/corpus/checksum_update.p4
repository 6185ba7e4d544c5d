#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
    }
}

#define OWN_COMPUTE
control MyCompute(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.data.a != 0, { hdr.data.a, hdr.data.b, hdr.data.x }, hdr.data.w,
                        HashAlgorithm.csum16);
    }
}

#include "main.p4i"
