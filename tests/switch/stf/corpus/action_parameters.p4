#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action first(bit<8> value, bit<8> other) {
        hdr.data.a = value;
        hdr.data.b = other;
    }

    action second(@name("that") bit<8> value, bit<8> other) {
        hdr.data.a = value;
        hdr.data.b = other;
    }

    table t {
        key = { hdr.data.w: exact; }
        actions = { first; second; }
    }

    apply {
        std.egress_spec = 2;
        t.apply();
    }
}

#include "main.p4i"
