#include "data.p4i"

enum Color { red, green }

enum bit<16> Kind {
    first = 0x100,
    second = 0x200
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        Color color = Color.red;
        if (hdr.data.a == 1) {
            color = Color.green;
        }
        if (color == Color.green) {
            hdr.data.b = 1;
        }
        if (hdr.data.w == Kind.second) {
            hdr.data.x = (bit<32>)(bit<16>)Kind.first;
        }
    }
}

#include "main.p4i"
