#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action swap(inout bit<8> first, inout bit<8> second) {
        bit<8> saved = first;
        first = second;
        second = saved;
    }

    apply {
        std.egress_spec = 2;
        // Copy-in, copy-out: each argument is evaluated once, results are written back in order.
        swap(hdr.data.a, hdr.data.b);
        swap(first = hdr.data.w[15:8], second = hdr.data.w[7:0]);
    }
}

#include "main.p4i"
