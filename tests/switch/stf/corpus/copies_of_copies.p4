// Clones, resubmission, multicast and recirculation asked for by one packet, bit by bit.
// Each pass of ingress or egress puts a record of itself in front.
#include <core.p4>
#include <v1model.p4>

header record_t {
    bit<8> mark;
    bit<8> instance_type;
    bit<8> packet_length;
    bit<8> egress_rid;
    bit<8> ingress_port;
    bit<8> egress_port;
    bit<8> kept;
    bit<8> lost;
}

header wishes_t {
    bit<1> drop_in_egress;
    bit<1> truncate;
    bit<1> drop_in_ingress;
    bit<1> clone_in_egress;
    bit<1> recirculate;
    bit<1> multicast;
    bit<1> resubmit;
    bit<1> clone_in_ingress;
}

struct headers_t {
    record_t[6] records;
    wishes_t wishes;
}

struct metadata_t {
    @field_list(1)
    bit<8> kept;
    bit<8> lost;
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        transition select(packet.lookahead<bit<8>>()) {
            0xee : record;
            default : wishes;
        }
    }
    state record {
        packet.extract(hdr.records.next);
        transition start;
    }
    state wishes {
        packet.extract(hdr.wishes);
        transition accept;
    }
}

control Record(inout headers_t hdr, in metadata_t meta, in standard_metadata_t std) {
    apply {
        hdr.records.push_front(1);
        hdr.records[0] = {
            0xee, (bit<8>)std.instance_type, (bit<8>)std.packet_length, (bit<8>)std.egress_rid,
            (bit<8>)std.ingress_port, (bit<8>)std.egress_port, meta.kept, meta.lost
        };
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Record() record;
    apply {
        record.apply(hdr, meta, std);
        std.egress_spec = 2;
        meta.kept = meta.kept + 1;
        meta.lost = 0xff;
        if (hdr.wishes.clone_in_ingress == 1) {
            clone_preserving_field_list(CloneType.I2E, 5, 1);
        }
        if (hdr.wishes.resubmit == 1 && std.instance_type == 0) {
            resubmit_preserving_field_list(1);
        }
        if (hdr.wishes.multicast == 1) {
            std.mcast_grp = 1;
        }
        if (hdr.wishes.drop_in_ingress == 1) {
            mark_to_drop(std);
        }
        if (hdr.wishes.truncate == 1) {
            truncate(17);
        }
    }
}

#define OWN_EGRESS
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Record() record;
    apply {
        record.apply(hdr, meta, std);
        meta.kept = meta.kept + 16;
        if (hdr.wishes.recirculate == 1 && meta.kept < 32) {
            recirculate_preserving_field_list(1);
        }
        if (hdr.wishes.clone_in_egress == 1 && std.instance_type != 2) {
            clone_preserving_field_list(CloneType.E2E, 6, 1);
        }
        if (hdr.wishes.drop_in_egress == 1) {
            mark_to_drop(std);
        }
    }
}

#include "main.p4i"
