// What example.p4 has not: value sets, and a table whose entries can time out.
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 510;

header frame_t {
    bit<8> kind;
    bit<16> type;
    bit<8> station;
}

struct headers_t {
    frame_t frame;
}

struct metadata_t { }

struct pair_t {
    @match(ternary) bit<16> type;
    @match(range) bit<8> station;
}

parser SetsParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t standard_metadata) {
    value_set<bit<16>>(2) types;
    value_set<pair_t>(2) pairs;
    state start {
        packet.extract(hdr.frame);
        transition select(hdr.frame.type) {
            types: by_type;
            default: more;
        }
    }
    state more {
        transition select(hdr.frame.type, hdr.frame.station) {
            pairs: by_pair;
            default: accept;
        }
    }
    state by_type {
        hdr.frame.kind = 1;
        transition accept;
    }
    state by_pair {
        hdr.frame.kind = 2;
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control MyIngress(inout headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t standard_metadata) {
    action touch() { }

    table stations {
        key = { hdr.frame.station: exact; }
        actions = { touch; NoAction; }
        support_timeout = true;
    }
    table ranked {
        key = { hdr.frame.station: ternary; }
        actions = { touch; NoAction; }
        support_timeout = true;
    }
    table fixed {
        key = { hdr.frame.station: exact; }
        actions = { touch; NoAction; }
        support_timeout = true;
        const entries = {
            1: touch();
        }
    }
    table ageless {
        key = { hdr.frame.station: exact; }
        actions = { touch; NoAction; }
    }

    apply {
        stations.apply();
        ranked.apply();
        fixed.apply();
        ageless.apply();
        standard_metadata.egress_spec = CPU_PORT;
    }
}

control MyEgress(inout headers_t hdr, inout metadata_t meta,
                 inout standard_metadata_t standard_metadata) {
    apply { }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control SetsDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr);
    }
}

V1Switch(SetsParser(), Verify(), MyIngress(), MyEgress(), Compute(), SetsDeparser()) main;
