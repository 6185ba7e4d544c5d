#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.b = (bit<8>)std.checksum_error;
    }
}

#define OWN_VERIFY
control MyVerify(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(true, { 8w0, hdr.data.a, hdr.data.x }, hdr.data.w, HashAlgorithm.csum16);
    }
}

#include "main.p4i"
