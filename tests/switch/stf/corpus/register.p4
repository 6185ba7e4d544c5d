#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<32>>(16) cells;

    apply {
        std.egress_spec = 2;
        bit<32> value;
        cells.read(value, (bit<32>)hdr.data.a);
        value = value + hdr.data.x;
        cells.write((bit<32>)hdr.data.a, value);
        hdr.data.x = value;
    }
}

#include "main.p4i"
