#include <core.p4>
#include <v1model.p4>

header item_t {
    bit<1> last;
    bit<7> value;
}

struct headers_t {
    item_t[3] items;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.items.next);
        transition select(hdr.items.last.last) {
            0: start;
            default: accept;
        }
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        bit<7> i = hdr.items[0].value;
        hdr.items[i].value = 0x55;
    }
}

#include "main.p4i"
