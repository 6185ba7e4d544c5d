#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        std.priority = (bit<3>)hdr.data.a;
    }
}

#include "main.p4i"
