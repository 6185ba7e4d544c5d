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

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.first);
        transition select(hdr.first.value) {
            1: accept;
            2: more;
        }
    }

    state more {
        packet.extract(hdr.second);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        if (std.parser_error != error.NoError) {
            hdr.first.value = 0xff;
        }
    }
}

#include "main.p4i"
