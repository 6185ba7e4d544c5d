#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.b = (bit<8>)std.instance_type;
        if (std.instance_type == 0) {
            clone_preserving_field_list(CloneType.I2E, 5, 1);
            resubmit_preserving_field_list(1);
        }
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (std.instance_type == 1) {
            hdr.data.a = 0xcc;
            recirculate_preserving_field_list(1);
        }
    }
}

#include "main.p4i"
