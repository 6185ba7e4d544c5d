// Registers and digests of every type that a controller can exchange values of.
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 510;

enum bit<8> code_t {
    NONE = 0,
    SEEN = 7
}

enum colour_t {
    RED,
    GREEN,
    BLUE
}

type bit<9> port_t;

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

struct headers_t {
    ethernet_t ethernet;
}

struct metadata_t {
}

struct inner_t {
    code_t code;
    bool yes;
    int<12> level;
}

struct learned_t {
    bit<48> station;
    inner_t inner;
    colour_t colour;
    error problem;
    port_t port;
    bit<100> wide;
}

parser KindsParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                   inout standard_metadata_t standard_metadata) {
    state start {
        packet.extract(hdr.ethernet);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control MyIngress(inout headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t standard_metadata) {
    register<code_t>(2) codes;
    register<colour_t>(2) colours;
    register<int<12>>(2) levels;
    register<bit<64>>(2) words;
    register<bit<100>>(2) wide;
    register<int<100>>(2) deep;

    apply {
        codes.write(0, code_t.SEEN);
        colours.write(0, colour_t.BLUE);
        levels.write(0, -2);
        words.write(0, 0xffffffffffffffff);
        wide.write(0, 1 << 99);
        deep.write(0, -1);
        if (hdr.ethernet.type == 1) {
            digest<learned_t>(1, {
                hdr.ethernet.src,
                { code_t.SEEN, true, -2 },
                colour_t.GREEN,
                error.PacketTooShort,
                (port_t) 5,
                1 << 99
            });
        } else {
            digest<tuple<bit<48>, bool>>(1, { hdr.ethernet.src, false });
        }
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

control KindsDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
    }
}

V1Switch(KindsParser(), Verify(), MyIngress(), MyEgress(), Compute(), KindsDeparser()) main;
