#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    table t {
        key = { hdr.data.a: exact; }
        actions = { NoAction; }
    }

    table u {
        key = { hdr.data.a: exact; }
        actions = { NoAction; }
    }

    apply {
        std.egress_spec = 2;
        if (t.apply().hit) {
            hdr.data.b = 0x11;
        }
        if (u.apply().miss) {
            hdr.data.w = 0x2222;
        }
    }
}

#include "main.p4i"
