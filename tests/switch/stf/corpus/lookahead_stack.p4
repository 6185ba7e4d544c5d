// A struct with a header stack, looked at before it is extracted.
#include <core.p4>
#include <v1model.p4>

header byte_t {
    bit<8> value;
}

struct ahead_t {
    byte_t[2] pair;
    bit<4> high;
    bit<4> low;
}

struct headers_t {
    byte_t first;
    byte_t[3] rest;
}

struct metadata_t { }

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        ahead_t ahead = packet.lookahead<ahead_t>();
        packet.extract(hdr.first);
        transition select(ahead.pair[1].value, ahead.low) {
            (2, 3) : three;
            default : accept;
        }
    }
    state three {
        packet.extract(hdr.rest.next);
        packet.extract(hdr.rest.next);
        packet.extract(hdr.rest.next);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.first.value = 0xff;
        hdr.rest[2].value = 0xee;
    }
}

#include "main.p4i"
