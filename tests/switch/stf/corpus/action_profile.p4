#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action to(bit<9> port) {
        std.egress_spec = port;
    }

    action mark(bit<9> port, bit<8> b) {
        hdr.data.b = b;
        std.egress_spec = port;
    }

    action drop() {
        mark_to_drop(std);
    }

    action_profile(8) profile;

    table exactly {
        key = {
            hdr.data.a: exact;
        }
        actions = { to; mark; drop; }
        implementation = profile;
        default_action = drop();
    }

    table roughly {
        key = {
            hdr.data.w: ternary;
        }
        actions = { mark; to; NoAction; }
        implementation = profile;
    }

    apply {
        if (!exactly.apply().hit) {
            roughly.apply();
        }
    }
}

#include "main.p4i"
