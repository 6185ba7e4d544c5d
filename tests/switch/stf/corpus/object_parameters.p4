#include "data.p4i"

// Which cells it counts in, and by how much, is said where it is applied.
control Count(register<bit<8>> cells, int step, in bit<8> at, out bit<8> value) {
    action advance() {
        value = value + step;
    }

    apply {
        cells.read(value, (bit<32>) at);
        advance();
        cells.write((bit<32>) at, value);
    }
}

bit<8> peek(register<bit<8>> cells, in bit<8> at) {
    bit<8> value;
    cells.read(value, (bit<32>) at);
    return value;
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<8>>(4) odd;
    register<bit<8>>(4) even;
    Count() count_odd;
    Count() count_even;

    apply {
        std.egress_spec = 2;
        if (hdr.data.a[0:0] == 1) {
            count_odd.apply(odd, 1, hdr.data.b, hdr.data.w[7:0]);
        } else {
            count_even.apply(even, 16, hdr.data.b, hdr.data.w[7:0]);
        }
        hdr.data.x = peek(odd, hdr.data.b) ++ peek(even, hdr.data.b) ++ 16w0;
    }
}

#include "main.p4i"
