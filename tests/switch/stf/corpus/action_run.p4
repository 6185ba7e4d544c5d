#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action to(bit<9> port) {
        std.egress_spec = port;
    }

    action drop() {
        mark_to_drop(std);
    }

    action other() { }

    action another() { }

    table t {
        key = {
            hdr.data.a: exact;
        }
        actions = { to; drop; other; another; }
        default_action = drop();
    }

    apply {
        switch (t.apply().action_run) {
            to: {
                hdr.data.b = 1;
            }
            other:
            another: {
                std.egress_spec = 7;
                hdr.data.b = 2;
            }
            default: {
                std.egress_spec = 8;
                hdr.data.b = 3;
            }
        }
    }
}

#include "main.p4i"
