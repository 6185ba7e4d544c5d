#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.x = std.instance_type;
        hdr.data.a = hdr.data.a + 1;
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        hdr.data.b = meta.kept;
        if (hdr.data.a < 3) {
            meta.kept = meta.kept + 1;
            recirculate_preserving_field_list(1);
        }
    }
}

#include "main.p4i"
