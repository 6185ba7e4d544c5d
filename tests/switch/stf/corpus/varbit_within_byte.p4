// A varbit that begins, and is followed by a field that begins, within a byte.
#include <core.p4>
#include <v1model.p4>

header size_t {
    bit<8> bits;
}

header odd_t {
    bit<4> before;
    bit<9> nine;
    varbit<32> data;
    bit<100> wide;
    bit<7> after;
}

struct headers_t {
    size_t size;
    odd_t odd;
}

struct metadata_t { }

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.size);
        packet.extract(hdr.odd, (bit<32>)hdr.size.bits);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.odd.nine = 1;
        hdr.odd.after = 0x5f;
    }
}

#include "main.p4i"
