// One of everything that P4Runtime can name.
#include <core.p4>
#include <v1model.p4>

typedef bit<48> mac_t;

@controller_header("packet_in")
header packet_in_t {
    bit<9> ingress_port;
    bit<7> reason;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9> egress_port;
    bit<7> unused;
}

header ethernet_t {
    mac_t dst;
    mac_t src;
    bit<16> type;
}

struct headers_t {
    packet_in_t packet_in;
    packet_out_t packet_out;
    ethernet_t ethernet;
}

struct metadata_t {
    bit<8> mark;
    bit<2> colour;
}

struct learned_t {
    mac_t station;
    bit<9> port;
}

const bit<9> CPU_PORT = 510;

parser ExampleParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                     inout standard_metadata_t standard_metadata) {
    state start {
        transition select(standard_metadata.ingress_port) {
            CPU_PORT: from_controller;
            default: ethernet;
        }
    }
    state from_controller {
        packet.extract(hdr.packet_out);
        transition ethernet;
    }
    state ethernet {
        packet.extract(hdr.ethernet);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control MyIngress(inout headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t standard_metadata) {
    direct_counter(CounterType.packets_and_bytes) station_counter;
    counter(4, CounterType.packets_and_bytes) seen;
    direct_meter<bit<2>>(MeterType.packets) station_meter;
    meter(4, MeterType.bytes) rates;
    register<bit<1>>(64) flags;
    register<bit<32>>(16) sums;
    register<int<8>>(4) levels;
    register<bit<8>>(300000) big;

    action drop() {
        mark_to_drop(standard_metadata);
    }
    @brief("Sends the packet on.")
    action forward(bit<9> port) {
        station_meter.read(meta.colour);
        standard_metadata.egress_spec = port;
    }
    action set_mark(bit<8> mark, @id(7) bit<3> colour) {
        meta.mark = mark ^ (bit<8>) colour;
    }
    action to_controller(bit<7> reason) {
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = standard_metadata.ingress_port;
        hdr.packet_in.reason = reason;
        standard_metadata.egress_spec = CPU_PORT;
    }

    @id(0x1234)
    table station {
        key = { hdr.ethernet.dst: exact; }
        actions = { forward; to_controller; drop; @tableonly set_mark; @defaultonly NoAction; }
        default_action = NoAction();
        counters = station_counter;
        meters = station_meter;
        size = 4;
    }
    table prefix {
        key = { hdr.ethernet.src: lpm; }
        actions = { set_mark; NoAction; }
    }
    table filter {
        key = {
            hdr.ethernet.type: ternary @name("type");
            meta.mark: range @name("mark");
            standard_metadata.ingress_port: optional @name("port");
        }
        actions = { drop; NoAction; }
        const default_action = NoAction();
    }
    table fixed {
        key = { hdr.ethernet.type: exact; }
        actions = { set_mark; NoAction; }
        const entries = {
            0x0800: set_mark(1, 2);
        }
    }
    table keyless {
        actions = { set_mark; NoAction; }
        default_action = set_mark(9, 1);
    }

    apply {
        bit<1> flag;
        seen.count((bit<32>) standard_metadata.ingress_port & 3);
        flags.read(flag, 0);
        sums.write(0, hdr.ethernet.src[31:0]);
        levels.write(0, -1);
        big.write(0, 1);
        rates.execute_meter((bit<32>) 0, meta.colour);
        if (hdr.ethernet.type == 0x9999) {
            digest<learned_t>(1, { hdr.ethernet.src, standard_metadata.ingress_port });
        }
        keyless.apply();
        fixed.apply();
        prefix.apply();
        station.apply();
        filter.apply();
        if (hdr.packet_out.isValid()) {
            if (hdr.packet_out.egress_port != 0) {
                standard_metadata.egress_spec = hdr.packet_out.egress_port;
            }
            hdr.packet_out.setInvalid();
        }
    }
}

control MyEgress(inout headers_t hdr, inout metadata_t meta,
                 inout standard_metadata_t standard_metadata) {
    apply { }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control ExampleDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
    }
}

V1Switch(ExampleParser(), Verify(), MyIngress(), MyEgress(), Compute(), ExampleDeparser()) main;
