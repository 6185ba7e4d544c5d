#include "data.p4i"

struct counts_t {
    bit<8> odd;
    bit<8> even;
}

struct table_t {
    counts_t[2] counts;
    bit<16>[3] words;
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    table_t t;

    apply {
        std.egress_spec = 2;
        t.words = { 1, 2, 3 };
        t.counts[0] = { hdr.data.a, hdr.data.b };
        t.counts[1].odd = t.counts[0].even;
        t.counts[1].even = 7;
        t.words[2] = t.words[2] + hdr.data.w;
        hdr.data.a = t.counts[1].odd;
        hdr.data.b = t.counts[1].even;
        hdr.data.w = t.words[2];
        hdr.data.x = t.words[0] ++ t.words[1];
    }
}

#include "main.p4i"
