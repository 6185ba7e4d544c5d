#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action to(bit<9> port) {
        std.egress_spec = port;
    }

    action drop() {
        mark_to_drop(std);
    }

    action_selector(HashAlgorithm.identity, 32w16, 32w16) selector_;

    table t {
        key = {
            hdr.data.a: exact;
            hdr.data.w: selector;
            hdr.data.b: selector;
        }
        actions = { to; drop; }
        implementation = selector_;
        default_action = drop();
    }

    apply {
        t.apply();
    }
}

#include "main.p4i"
