#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action stop_at(bit<8> value) {
        if (value == 1) {
            exit;
        }
    }

    apply {
        std.egress_spec = 2;
        stop_at(hdr.data.a);
        hdr.data.w = 0xffff;
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        hdr.data.b = 0xee;
    }
}

#include "main.p4i"
