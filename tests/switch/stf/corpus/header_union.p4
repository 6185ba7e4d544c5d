#include <core.p4>
#include <v1model.p4>

header short_t {
    bit<8> kind;
    bit<8> value;
}

header long_t {
    bit<8> kind;
    bit<32> value;
}

header_union either_t {
    short_t short;
    long_t long;
}

struct headers_t {
    either_t u;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        transition select(packet.lookahead<bit<8>>()) {
            1: parse_short;
            2: parse_long;
            default: accept;
        }
    }

    state parse_short {
        packet.extract(hdr.u.short);
        transition accept;
    }

    state parse_long {
        packet.extract(hdr.u.long);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        if (hdr.u.short.isValid()) {
            bit<32> value = (bit<32>)hdr.u.short.value;
            // Making one member valid makes the other invalid.
            hdr.u.long.setValid();
            hdr.u.long.kind = 2;
            hdr.u.long.value = value;
        } else if (hdr.u.long.isValid()) {
            hdr.u.long.value = hdr.u.long.value + 1;
        }
    }
}

#include "main.p4i"
