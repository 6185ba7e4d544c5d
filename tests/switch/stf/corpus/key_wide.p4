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
            hdr.data.a ++ hdr.data.b ++ hdr.data.w ++ hdr.data.x ++ hdr.data.a ++ hdr.data.b ++ hdr.data.w ++
                hdr.data.x: exact @name("all");
        }
        actions = { to; drop; }
        default_action = drop();
    }

    apply {
        t.apply();
    }
}

#include "main.p4i"
