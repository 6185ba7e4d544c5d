#include <core.p4>
#include <v1model.p4>

error { Zero }

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
        verify(hdr.first.value != 0, error.Zero);
        packet.extract(hdr.second);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.second.value = 0;
        if (std.parser_error == error.Zero) {
            hdr.first.value = 1;
        } else if (std.parser_error == error.PacketTooShort) {
            hdr.first.value = 2;
        }
    }
}

#include "main.p4i"
