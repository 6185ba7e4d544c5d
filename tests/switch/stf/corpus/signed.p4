#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        int<8> a = (int<8>)hdr.data.a;
        hdr.data.w = (bit<16>)(int<16>)a;
        hdr.data.b = a < 0 ? 8w1 : 8w0;
        hdr.data.x = (bit<32>)((int<32>)a >> 1);
        hdr.data.a = (bit<8>)(-a);
    }
}

#include "main.p4i"
