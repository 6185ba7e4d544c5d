#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action set(inout bit<8> where, bit<8> value) {
        where = value;
    }

    table t {
        key = { hdr.data.a: exact; }
        actions = { set(hdr.data.b); NoAction; }
    }

    apply {
        std.egress_spec = 2;
        set(hdr.data.b, 8w5);
        t.apply();
    }
}

#include "main.p4i"
