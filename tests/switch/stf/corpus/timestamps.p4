#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<48>>(1) last;

    apply {
        bit<48> before;
        std.egress_spec = 2;
        last.read(before, 0);
        last.write(0, std.ingress_global_timestamp);
        if (std.instance_type != 0 && std.ingress_global_timestamp == 0) {
            hdr.data.w[3:0] = 1;
        }
        if (before <= std.ingress_global_timestamp) {
            hdr.data.a = 1;
        }
        if (hdr.data.b == 1 && std.instance_type == 0) {
            resubmit_preserving_field_list(1);
        }
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        // The time of the queue has 32 bits, in microseconds, as the others.
        if (std.enq_timestamp >= (bit<32>)std.ingress_global_timestamp) {
            hdr.data.w[7:4] = 2;
        }
        if (std.egress_global_timestamp >= (bit<48>)std.enq_timestamp) {
            hdr.data.w[11:8] = 3;
        }
    }
}

#include "main.p4i"
