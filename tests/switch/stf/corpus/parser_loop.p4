#include <core.p4>
#include <v1model.p4>

header tlv_t {
    bit<8> kind;
    bit<8> length;
    varbit<32> value;
}

struct headers_t {
    tlv_t[4] tlvs;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    bit<8> left = 0;

    state start {
        left = packet.lookahead<bit<8>>();
        packet.advance(8);
        transition next;
    }

    state next {
        transition select(left) {
            0: accept;
            default: one;
        }
    }

    state one {
        packet.extract(hdr.tlvs.next, (bit<32>)packet.lookahead<bit<16>>()[7:0] * 8);
        left = left - 1;
        transition next;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        if (hdr.tlvs[0].isValid()) {
            hdr.tlvs[0].kind = 0x77;
        }
    }
}

#include "main.p4i"
