// One use of every construct the front end accepts.
#include <core.p4>
#include <v1model.p4>

#define PORT_WIDTH 9
const bit<16> TYPE_IPV4 = 0x0800;
const int HALF = 1 << 3;
typedef bit<48> mac_t;
@p4runtime_translation("", string)
type bit<PORT_WIDTH> port_t;
enum Kind { first, second }
enum bit<8> Protocol { icmp = 1, tcp = 6, udp = 17 }
error { Strange, Stranger }

header ethernet_t { mac_t dst; mac_t src; bit<16> type; }
header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> tos; bit<16> length; bit<16> id; bit<3> flags;
    bit<13> offset; bit<8> ttl; Protocol protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}
header options_t { varbit<320> data; }
header tag_t { bit<3> priority; bool last; bit<12> id; }
header small_t { int<8> value; }
header_union shape_t { tag_t tag; small_t small; }
@controller_header("packet_in")
header to_controller_t { port_t port; bit<7> padding; }
struct pair_t<T> { T left; T right; }
struct headers_t {
    to_controller_t to_controller; ethernet_t ethernet; tag_t[3] tags; ipv4_t ipv4;
    options_t options; shape_t shape;
}
struct inner_t { bit<8> a; bit<16> b; }
struct metadata_t {
    @field_list(1, 2) bit<16> group; @field_list(1) inner_t inner; pair_t<bit<8>> pair;
    tuple<bit<8>, bool> both; Kind kind; error problem; port_t port; int<8> level; bool seen;
    bit<8> count;
}
struct learn_t { mac_t address; bit<PORT_WIDTH> port; }

T choose<T>(in bool first, in T x, in T y) { if (first) { return x; } else { return y; } }
bit<8> clamp(in bit<8> x, in bit<8> limit = 100) { return x > limit ? limit : x; }
action count_up(inout bit<8> x) { x = x |+| 1; }

register<bit<32>>(16) global_state;

parser Options(packet_in packet, in bit<4> ihl, out options_t options) {
    state start {
        verify(ihl >= 5, error.Strange);
        transition select(ihl == 5) { true: accept; false: read; }
    }
    state read {
        packet.extract(options, (bit<32>) (ihl - 5) << 5);
        transition accept;
    }
}

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                inout standard_metadata_t std) {
    Options() options;
    value_set<bit<16>>(8) known;
    bit<8> seen = 0;
    const bit<8> LIMIT = 3;

    state start {
        transition select(std.instance_type, packet.lookahead<bit<16>>()) {
            (0, _): ethernet;
            (1 .. 6, 0x8000 &&& 0x8000): ethernet;
            default: reject;
        }
    }
    state ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) {
            TYPE_IPV4: ipv4;
            0x8100: tag;
            known: skip;
            default: accept;
        }
    }
    state tag {
        packet.extract(hdr.tags.next);
        seen = seen + 1;
        transition select(hdr.tags.last.last, seen, hdr.tags.lastIndex) {
            (true, _, _): ipv4;
            (false, LIMIT, default): reject;
            default: tag;
        }
    }
    state ipv4 {
        packet.extract(hdr.ipv4);
        options.apply(packet, hdr.ipv4.ihl, hdr.options);
        if (packet.length() < 60) { meta.seen = true; }
        transition select(hdr.ipv4.protocol) {
            Protocol.tcp: shape;
            Protocol.udp: accept;
            _: accept;
        }
    }
    state shape { packet.extract(hdr.shape.tag); transition accept; }
    state skip { packet.advance(16); packet.extract<small_t>(_); transition accept; }
}

control Verify(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ipv4.isValid(), { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.src },
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control Step(inout bit<8> value)(bit<8> amount, register<bit<32>> state) {
    action add(bit<8> more) { value = value + amount + more; }
    table steps {
        key = { value : exact; }
        actions = { add; NoAction; }
        default_action = add(amount);
    }
    apply {
        bit<32> before;
        state.read(before, (bit<32>) amount);
        steps.apply();
        state.write((bit<32>) amount, before + 1);
    }
}

control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    counter(64, CounterType.packets_and_bytes) totals;
    direct_counter(CounterType.packets) hits;
    meter(4, MeterType.bytes) rate;
    direct_meter<bit<2>>(MeterType.packets) entry_rate;
    @id(0x11000001) action_profile(32) profile;
    action_selector(HashAlgorithm.crc16, 64, 14) selector;
    Step(3, global_state) first_step;
    @name("second") Step(amount = 5, state = global_state) second_step;
    bit<2> color = 0;
    const bit<8> SOME = (bit<8>) HALF;

    action drop() { mark_to_drop(std); exit; }
    action forward(port_t port) { std.egress_spec = (bit<9>) port; }
    action measure() { entry_rate.read(color); }
    action multicast(in bit<8> copies, bit<16> group) {
        std.mcast_grp = group;
        meta.count = copies;
    }
    @name("set.level") action set_level(int<8> level) { meta.level = level; hits.count(); }

    table route {
        key = {
            hdr.ipv4.dst : lpm @name("destination");
            hdr.ethernet.isValid() : exact;
            hdr.tags[0].id : ternary;
        }
        actions = { forward; multicast(SOME); @tableonly set_level; @defaultonly drop; }
        const default_action = drop;
        counters = hits;
        size = 1024;
        support_timeout = true;
    }
    table fixed {
        key = { meta.count : ternary; meta.group : range; meta.kind : optional; }
        actions = { forward; count_up(meta.count); measure; NoAction; }
        const entries = {
            (1, 0 .. 9, Kind.first) : forward((port_t) 1);
            (0x10 &&& 0xF0, _, default) : count_up(meta.count);
            (_, _, _) : NoAction();
        }
        meters = entry_rate;
    }
    table start_with {
        key = { meta.count : ternary; }
        actions = { forward; NoAction; }
        largest_priority_wins = false;
        priority_delta = 10;
        entries = {
            const priority = 10 : 1 : forward((port_t) 2);
            2 &&& 3 : NoAction;
        }
    }
    table balance {
        key = { hdr.ipv4.src : exact; meta.group : selector; }
        actions = { forward; drop; }
        implementation = selector;
    }
    table shared { key = { hdr.ipv4.src : exact; } actions = { forward; } implementation = profile; }
    @hidden table plain { actions = { set_level; } default_action = set_level(-1); }

    apply {
        if (!hdr.ethernet.isValid() || std.parser_error != error.NoError) {
            drop();
        } else if (std.parser_error == error.Stranger) {
            return;
        }
        @atomic {
            bit<32> last;
            global_state.read(last, 0);
            global_state.write(index = 0, value = last + 1);
        }
        switch (route.apply().action_run) {
            forward: multicast: { totals.count((bit<32>) std.ingress_port); }
            default: { count_up(meta.count); }
        }
        if (fixed.apply().hit && !start_with.apply().miss) { balance.apply(); }
        shared.apply();
        plain.apply();
        first_step.apply(meta.count);
        second_step.apply(value = meta.count);
        switch (hdr.ipv4.protocol) {
            Protocol.icmp: Protocol.tcp: { meta.kind = Kind.second; }
            default: { }
        }
        rate.execute_meter((bit<32>) meta.count, color);
        hash(meta.group, HashAlgorithm.crc32, 16w0, { hdr.ipv4.src, hdr.ipv4.dst, color }, 32w16);
        random(meta.count, 8w0, 8w255);
        digest<learn_t>(1, { hdr.ethernet.src, std.ingress_port });
        clone_preserving_field_list(CloneType.I2E, 7, 1);
        resubmit_preserving_field_list(2);
        truncate(128);
        log_msg("count {} level {}", { meta.count, meta.level });
        assert(meta.count != 255 || true);

        meta.count = choose(meta.seen, meta.count, clamp(meta.count)) ^ ~clamp(limit = 7, x = meta.count);
        meta.group = hdr.ipv4.src[31:16] - hdr.ipv4.dst[15:0] * 3;
        meta.group[7:0] = meta.count << 2 >> meta.group[3:0];
        meta.group = meta.count ++ meta.pair.left;
        meta.level = -meta.level |-| (int<8>) (meta.count & 0x7F);
        meta.level = meta.level >> 1;
        meta.pair = { right = 2, left = meta.count % 4 };
        meta.inner = { 1, 2 };
        meta.inner = { a = meta.count / 8, ... };
        meta.both = { meta.count, meta.seen };
        meta.count = meta.both[0];
        meta.seen = meta.pair == { 1, 2 } && hdr.ipv4 == hdr.ipv4;
        meta.port = (port_t) std.ingress_port;
        meta.problem = error.NoMatch;
        meta.count += hdr.ipv4.protocol == Protocol.udp ? 8w1 : 2;
        hdr.tags.push_front(1);
        hdr.tags[0] = { 1, true, 5 };
        hdr.tags[meta.count] = hdr.tags[1];
        hdr.tags.pop_front(2);
        hdr.shape.small.setValid();
        hdr.shape.small.value = -5;
        hdr.options.setInvalid();
        hdr.ipv4 = {#};
        for (bit<8> i in 0 .. 7) {
            if (i == meta.count) { break; }
            meta.inner.b += (bit<16>) i;
        }
        for (bit<8> i = 0, bit<8> j = 9; i < j; i = i + 1, j = j - 1) { continue; }
        static_assert(TYPE_IPV4 == 2048, "the type of IPv4");
    }
}

control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (std.instance_type == 1 && hdr.shape.isValid()) {
            hdr.to_controller = { (port_t) std.ingress_port, 0 };
            recirculate_preserving_field_list(1);
        }
    }
}

control Compute(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid(), { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.src },
                        hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(hdr.shape.tag.isValid(), { hdr.ipv4.src, 8w0 },
                                     hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control MyDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.to_controller);
        packet.emit(hdr.tags);
        packet.emit(hdr);
    }
}

@pkginfo(name = "everything", version = "1")
V1Switch(MyParser(), Verify(), MyIngress(), MyEgress(), Compute(), MyDeparser()) main;
