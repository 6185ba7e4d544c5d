#include "data.p4i"

enum Color { red, green }

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Color color;
    bool big;

    action to(bit<9> port) {
        std.egress_spec = port;
    }

    action drop() {
        mark_to_drop(std);
    }

    table t {
        key = {
            color: exact;
            big: exact;
        }
        actions = { to; drop; }
        const entries = {
            (Color.green, true): to(2);
            (Color.green, false): to(3);
        }
        default_action = drop();
    }

    apply {
        color = Color.red;
        if (hdr.data.a == 1) {
            color = Color.green;
        }
        big = hdr.data.w > 0x100;
        t.apply();
    }
}

#include "main.p4i"
