#include <core.p4>
#include <v1model.p4>

header count_t {
    bit<8> value;
}

header item_t {
    bit<8> value;
}

struct headers_t {
    count_t count;
    item_t[4] items;
}

struct metadata_t {
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.count);
        packet.extract(hdr.items.next);
        packet.extract(hdr.items.next);
        packet.extract(hdr.items.next);
        packet.extract(hdr.items.next);
        transition accept;
    }
}

bit<8> next(inout bit<8> count) {
    count = count + 1;
    return count & 3;
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        // The place is chosen once, before the operand is computed.
        hdr.items[next(hdr.count.value)].value += 0x10;
        hdr.items[next(hdr.count.value)].value[7:4] |= hdr.count.value[3:0];
    }
}

#include "main.p4i"
