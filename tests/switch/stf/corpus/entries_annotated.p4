#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action mark(bit<8> value) {
        hdr.data.b = value;
    }

    table t {
        key = { hdr.data.a: ternary; }
        actions = { mark; NoAction; }
        const entries = {
            0x10 &&& 0xf0: mark(1) @priority(4);
            0x11: mark(2);
            0x01 &&& 0x0f: mark(3) @priority(1);
            0x12: mark(4) @priority(4);
        }
    }

    apply {
        std.egress_spec = 2;
        t.apply();
    }
}

#include "main.p4i"
