// One table of the kind that KIND names, looked up once per packet; without KIND, none.

#include <core.p4>
#include <v1model.p4>

header key_t {
    bit<32> value;
}

struct headers_t {
    key_t key;
}

struct metadata_t {}

parser TablesParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    state start {
        packet.extract(hdr.key);
        transition accept;
    }
}

control TablesVerifyChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control TablesIngress(inout headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard_metadata) {
    action forward(bit<9> port) {
        standard_metadata.egress_spec = port;
    }

#ifdef KIND
    table lookup {
        key = { hdr.key.value: KIND; }
        actions = { forward; NoAction; }
        default_action = NoAction();
        size = 131072;
    }
#endif

    apply {
#ifdef KIND
        lookup.apply();
#else
        forward(1);
#endif
    }
}

control TablesEgress(inout headers_t hdr, inout metadata_t meta,
                     inout standard_metadata_t standard_metadata) {
    apply {}
}

control TablesComputeChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {}
}

control TablesDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.key);
    }
}

V1Switch(TablesParser(), TablesVerifyChecksum(), TablesIngress(), TablesEgress(),
         TablesComputeChecksum(), TablesDeparser()) main;
