#include <core.p4>
#include <v1model.p4>

header options_t {
    bit<8> length;
    varbit<64> data;
}

header after_t {
    bit<8> value;
}

struct headers_t {
    options_t options;
    after_t after;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.options, (bit<32>)packet.lookahead<bit<8>>() * 8);
        packet.extract(hdr.after);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.after.value = hdr.after.value + 1;
    }
}

#include "main.p4i"
