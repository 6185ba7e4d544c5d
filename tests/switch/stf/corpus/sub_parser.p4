#include <core.p4>
#include <v1model.p4>

header byte_t {
    bit<8> value;
}

struct headers_t {
    byte_t first;
    byte_t second;
}

struct metadata_t {
}

parser ByteParser(packet_in packet, out byte_t header_) {
    state start {
        packet.extract(header_);
        transition accept;
    }
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    ByteParser() sub;
    state start {
        sub.apply(packet, hdr.first);
        sub.apply(packet, hdr.second);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        bit<8> saved = hdr.first.value;
        hdr.first.value = hdr.second.value;
        hdr.second.value = saved;
    }
}

#include "main.p4i"
