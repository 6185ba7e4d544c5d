#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        bit<128> wide = (bit<128>)hdr.data.x << 96;
        wide = wide + (bit<128>)hdr.data.w;
        wide = wide - 1;
        hdr.data.x = wide[127:96];
        hdr.data.w = wide[95:80];
        hdr.data.a = wide[7:0];
    }
}

#include "main.p4i"
