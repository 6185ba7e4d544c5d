#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action mark(bit<8> value) {
        hdr.data.a = value;
    }

    table seen {
        key = { std.egress_port: exact; }
        actions = { mark; NoAction; }
    }

    apply {
        seen.apply();
    }
}

#include "main.p4i"
