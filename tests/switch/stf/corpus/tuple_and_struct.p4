#include "data.p4i"

struct pair_t {
    bit<8> first;
    bit<8> second;
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        pair_t p = { hdr.data.a, hdr.data.b };
        pair_t q = { second = p.first, first = p.second };
        if (p != q) {
            hdr.data.a = q.first;
            hdr.data.b = q.second;
        }
        tuple<bit<8>, bit<8>> both = { p.first, q.first };
        hdr.data.w = both[0] ++ both[1];
    }
}

#include "main.p4i"
