#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action to(bit<9> port) {
        std.egress_spec = port;
    }

    table t {
        key = { hdr.data.a: ternary; }
        actions = { to; NoAction; }
        largest_priority_wins = false;
        priority_delta = 10;
        entries = {
            priority = 1: 0x01 &&& 0x0f: to(2);
            0x11: to(3);
            priority = 5: 0x10 &&& 0xf0: to(4);
        }
    }

    apply {
        t.apply();
    }
}

#include "main.p4i"
