#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        bit<16> value;
        random(value, 16w5, 16w5);
        hdr.data.w = value;
        random(value, 16w16, 16w31);
        hdr.data.x = (bit<32>)value;
    }
}

#include "main.p4i"
