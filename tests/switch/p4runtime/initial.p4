// Tables with entries of the program's own, and keys and parameters of named types.
#include <core.p4>
#include <v1model.p4>

enum bit<8> kind_t {
    PLAIN = 1,
    FANCY = 7
}

type bit<9> port_t;

@p4runtime_translation("example.org/port", bit<32>)
type bit<9> far_port_t;

header frame_t {
    bit<8> station;
    bit<16> type;
}

struct headers_t {
    frame_t frame;
}

struct metadata_t {
    kind_t kind;
    bool good;
    port_t port;
    far_port_t far;
}

parser InitialParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                     inout standard_metadata_t standard_metadata) {
    state start {
        packet.extract(hdr.frame);
        transition accept;
    }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control MyIngress(inout headers_t hdr, inout metadata_t meta,
                  inout standard_metadata_t standard_metadata) {
    direct_counter(CounterType.packets) mixed_counter;
    direct_meter<bit<2>>(MeterType.packets) fixed_meter;
    bit<2> colour = 0;

    action send(bit<9> port) {
        standard_metadata.egress_spec = port;
    }
    action colour_it() {
        fixed_meter.read(colour);
    }
    action note(kind_t kind, port_t port, far_port_t far) {
        meta.kind = kind;
        meta.port = port;
        meta.far = far;
    }

    table mixed {
        key = { hdr.frame.station: exact; }
        actions = { send; NoAction; }
        entries = {
            const 1: send(1);
            2: send(2);
        }
        counters = mixed_counter;
        size = 4;
    }
    table fixed {
        key = { hdr.frame.station: ternary; hdr.frame.type: range; }
        actions = { colour_it; NoAction; }
        const entries = {
            (1, 5..9): colour_it();
            (0 &&& 1, _): NoAction();
            (_, _): colour_it();
        }
        meters = fixed_meter;
        default_action = NoAction();
    }
    table named {
        key = {
            meta.kind: exact @name("kind");
            meta.good: exact @name("good");
            meta.port: ternary @name("port");
            meta.far: exact @name("far");
        }
        actions = { note; NoAction; }
    }

    table between {
        key = { meta.far: range @name("far"); }
        actions = { NoAction; }
    }

    apply {
        between.apply();
        mixed.apply();
        fixed.apply();
        named.apply();
    }
}

control MyEgress(inout headers_t hdr, inout metadata_t meta,
                 inout standard_metadata_t standard_metadata) {
    apply { }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control InitialDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.frame);
    }
}

V1Switch(InitialParser(), Verify(), MyIngress(), MyEgress(), Compute(), InitialDeparser()) main;
