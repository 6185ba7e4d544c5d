#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.data.a = meta.kept;
        hdr.data.b = meta.lost;
        hdr.data.x = std.instance_type;
        if (meta.kept < 3) {
            meta.kept = meta.kept + 1;
            meta.lost = 1;
            resubmit_preserving_field_list(1);
        }
    }
}

#include "main.p4i"
