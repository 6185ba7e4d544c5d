#include "data.p4i"

control First(inout data_t data) {
    apply {
        if (data.a == 1) {
            return;
        }
        data.b = 0x77;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    First() first;

    apply {
        std.egress_spec = 2;
        first.apply(hdr.data);
        hdr.data.w = 0xffff;
    }
}

#include "main.p4i"
