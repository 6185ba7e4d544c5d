#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    counter(8, CounterType.packets) packets;
    counter(8, CounterType.packets_and_bytes) both;

    apply {
        std.egress_spec = 2;
        packets.count((bit<32>)hdr.data.a);
        both.count((bit<32>)hdr.data.b);
    }
}

#include "main.p4i"
