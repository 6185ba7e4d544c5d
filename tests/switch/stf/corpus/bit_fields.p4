#include <core.p4>
#include <v1model.p4>

header fields_t {
    bit<3> a;
    bit<10> b;
    int<5> c;
    bit<6> d;
}

struct headers_t {
    fields_t f;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.f);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.f.a = hdr.f.a + 1;
        hdr.f.b = hdr.f.b + 1;
        hdr.f.c = hdr.f.c - 1;
        hdr.f.d = hdr.f.d + 1;
    }
}

#include "main.p4i"
