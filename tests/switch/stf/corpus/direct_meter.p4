#include "data.p4i"

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    bit<2> color = 3;
    direct_meter<bit<2>>(MeterType.packets) m;

    action to(bit<9> port) {
        std.egress_spec = port;
        m.read(color);
    }

    table t {
        key = { hdr.data.a: exact; }
        actions = { to; NoAction; }
        meters = m;
    }

    apply {
        t.apply();
        hdr.data.b = (bit<8>)color;
    }
}

#include "main.p4i"
