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
        transition select(hdr.first.value, packet.lookahead<bit<8>>()) {
            (0x80 &&& 0xf0, _): skip_one;
            (1..5, 0x10..0x20): skip_two;
            (1..5, _): skip_one;
            (_, 0xff): reject;
            default: accept;
        }
    }

    state skip_one {
        packet.advance(8);
        transition accept;
    }

    state skip_two {
        packet.advance(16);
        transition accept;
    }
}

#include "main.p4i"
