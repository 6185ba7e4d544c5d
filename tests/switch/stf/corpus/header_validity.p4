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
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        if (hdr.first.value == 1) {
            hdr.second.setValid();
            hdr.second.value = 7;
            hdr.first.setInvalid();
        } else if (!hdr.second.isValid()) {
            hdr.second = hdr.first;
        }
    }
}

#include "main.p4i"
