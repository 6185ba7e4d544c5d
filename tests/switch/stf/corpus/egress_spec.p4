#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        if (hdr.data.a == 1) {
            mark_to_drop(std);
        }
        if (hdr.data.b == 1) {
            std.egress_spec = 3;
        }
        if (hdr.data.w == 1) {
            std.mcast_grp = 1;
        }
    }
}

#include "main.p4i"
