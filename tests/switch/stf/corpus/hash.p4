#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hash(hdr.data.x, HashAlgorithm.crc32, 32w0, { hdr.data.a, hdr.data.b }, 64w0x100000000);
        hash(hdr.data.w, HashAlgorithm.csum16, 16w0, { hdr.data.a, hdr.data.b }, 32w0x10000);
    }
}

#include "main.p4i"
