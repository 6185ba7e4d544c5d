/* Tables whose actions are in action profiles, for packets of the controller. */
#include <core.p4>
#include <v1model.p4>

header packet_t { bit<8> which; bit<8> number; bit<16> flow; bit<8> result; }

struct headers_t { packet_t packet; }
struct metadata_t { }

parser ProfilesParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t std) {
    state start { packet.extract(hdr.packet); transition accept; }
}

control ProfilesVerify(inout headers_t hdr, inout metadata_t meta) { apply { } }
control ProfilesCompute(inout headers_t hdr, inout metadata_t meta) { apply { } }
control ProfilesEgress(inout headers_t hdr, inout metadata_t meta,
                       inout standard_metadata_t std) { apply { } }

control ProfilesIngress(inout headers_t hdr, inout metadata_t meta,
                        inout standard_metadata_t std) {
    action result(bit<8> value) { hdr.packet.result = value; }
    action twice(bit<4> high, bit<4> low) { hdr.packet.result = high ++ low; }

    action_profile(4) shared;
    direct_counter(CounterType.packets) hits;
    table first {
        key = { hdr.packet.number : exact; }
        actions = { result; twice; @defaultonly NoAction; }
        implementation = shared;
        counters = hits;
        support_timeout = true;
    }
    table second {
        key = { hdr.packet.number : ternary; }
        actions = { result; twice; @defaultonly NoAction; }
        implementation = shared;
    }

    action_selector(HashAlgorithm.identity, 64, 16) balanced;
    table balance {
        key = { hdr.packet.number : exact; hdr.packet.flow : selector; }
        actions = { result; twice; @defaultonly NoAction; }
        implementation = balanced;
    }

    @max_group_size(4) @selector_size_semantics("sum_of_members") @max_member_weight(10)
    action_selector(HashAlgorithm.identity, 6, 16) limited;
    table narrow {
        key = { hdr.packet.number : exact; hdr.packet.flow : selector; }
        actions = { result; @defaultonly NoAction; }
        implementation = limited;
    }

    @max_group_size(5)
    action_selector(HashAlgorithm.identity, 8, 16) weighed;
    table heavy {
        key = { hdr.packet.number : exact; hdr.packet.flow : selector; }
        actions = { result; @defaultonly NoAction; }
        implementation = weighed;
    }

    @weights_disallowed
    action_selector(HashAlgorithm.identity, 8, 16) unweighed;
    table level {
        key = { hdr.packet.number : exact; hdr.packet.flow : selector; }
        actions = { result; @defaultonly NoAction; }
        implementation = unweighed;
    }

    table plain {
        key = { hdr.packet.number : exact; }
        actions = { result; @defaultonly NoAction; }
    }

    apply {
        std.egress_spec = 510;
        if (hdr.packet.which == 1) { first.apply(); }
        else if (hdr.packet.which == 2) { second.apply(); }
        else if (hdr.packet.which == 3) { balance.apply(); }
        else if (hdr.packet.which == 4) { narrow.apply(); }
        else if (hdr.packet.which == 5) { heavy.apply(); }
        else if (hdr.packet.which == 6) { level.apply(); }
        else { plain.apply(); }
    }
}

control ProfilesDeparser(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.packet); }
}

V1Switch(ProfilesParser(), ProfilesVerify(), ProfilesIngress(), ProfilesEgress(),
         ProfilesCompute(), ProfilesDeparser()) main;
