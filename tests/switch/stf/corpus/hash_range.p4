#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hash(hdr.data.b, HashAlgorithm.identity, 8w10, { hdr.data.a }, 16w4);
    }
}

#include "main.p4i"
