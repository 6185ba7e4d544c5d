#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action to(bit<9> port) {
        std.egress_spec = port;
    }

    action drop() {
        mark_to_drop(std);
    }

    table t {
        key = {
            hdr.data.a: ternary;
        }
        actions = { to; drop; }
        entries = {
            priority = 10: _: to(2);
            priority = 20: 0x01 &&& 0x01: to(3);
        }
        default_action = drop();
    }

    apply {
        t.apply();
    }
}

#include "main.p4i"
