#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        meta.kept = 0x11;
        meta.lost = 0x22;
        clone_preserving_field_list(CloneType.I2E, 5, 1);
        hdr.data.w = 0xffff;
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        hdr.data.a = meta.kept;
        hdr.data.b = meta.lost;
        hdr.data.x = std.instance_type;
    }
}

#include "main.p4i"
