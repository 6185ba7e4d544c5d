#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        switch (hdr.data.a) {
            1: {
                hdr.data.b = 0x11;
            }
            2:
            3: {
                hdr.data.b = 0x23;
            }
            default: {
                hdr.data.b = 0xdd;
            }
        }
    }
}

#include "main.p4i"
