#include "data.p4i"

control Adder(inout bit<8> value)(bit<8> always) {
    action add(bit<8> amount) {
        value = value + amount;
    }

    table t {
        key = { value: exact; }
        actions = { add; NoAction; }
    }

    apply {
        t.apply();
        value = value + always;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Adder(1) one;
    Adder(2) two;

    apply {
        std.egress_spec = 2;
        one.apply(hdr.data.a);
        two.apply(hdr.data.b);
    }
}

#include "main.p4i"
