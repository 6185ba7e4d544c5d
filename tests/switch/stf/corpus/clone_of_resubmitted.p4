// A clone is parsed with the port where the packet came in, a resubmitted packet with port 0.
#include <core.p4>
#include <v1model.p4>

header port_t {
    bit<8> number;
}

struct headers_t {
    port_t one;
    port_t zero;
}

struct metadata_t { }

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        transition select(std.ingress_port) {
            0 : zero;
            1 : one;
        }
    }
    state zero {
        packet.extract(hdr.zero);
        transition accept;
    }
    state one {
        packet.extract(hdr.one);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        clone(CloneType.I2E, 7);
        if (std.instance_type == 0) {
            resubmit_preserving_field_list(0);
        }
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (hdr.one.isValid()) {
            hdr.one.number = 0xaa;
        }
        if (hdr.zero.isValid()) {
            hdr.zero.number = 0xbb;
        }
    }
}

#include "main.p4i"
