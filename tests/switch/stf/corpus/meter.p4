#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    meter(8, MeterType.packets) m;

    apply {
        bit<2> color = 3;
        std.egress_spec = 2;
        m.execute_meter((bit<32>)hdr.data.a, color);
        hdr.data.b = (bit<8>)color;
    }
}

#include "main.p4i"
