// The base and the range of a hash count with their lowest 64 bits.
#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        bit<128> r;
        hash(r, HashAlgorithm.identity, 128w0x1_0000_0000_0000_0003, { hdr.data.x, hdr.data.x },
             128w0x1_0000_0000_0000_1000);
        hdr.data.w = r[15:0];
        hdr.data.a = r[71:64];
        hash(r, HashAlgorithm.identity, 128w5, { hdr.data.b }, 128w0x1_0000_0000_0000_0000);
        hdr.data.b = r[7:0];
    }
}

#include "main.p4i"
