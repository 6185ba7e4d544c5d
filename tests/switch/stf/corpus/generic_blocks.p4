#include "data.p4i"

struct pair_t<T> {
    T first;
    T second;
}

T choose<T>(in pair_t<T> pair, in bool second) {
    if (second) {
        return pair.second;
    }
    return pair.first;
}

control Swap<T>(inout T left, inout T right) {
    apply {
        T kept = left;
        left = right;
        right = kept;
    }
}

control Preset<T>(out T value)(T start) {
    apply {
        value = start;
    }
}

control Nothing<H, M>(inout H hdr, inout M meta) {
    apply { }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    Swap<bit<8>>() swap;
    Preset(16w3) preset;
    Preset<bit<32>>(7) preset_long;

    apply {
        std.egress_spec = 2;
        swap.apply(hdr.data.a, hdr.data.b);
        preset.apply(hdr.data.w);
        preset_long.apply(hdr.data.x);
        pair_t<bit<8>> pair = { hdr.data.a, hdr.data.b };
        hdr.data.w = hdr.data.w + (bit<16>) choose(pair, pair.second > pair.first);
    }
}

#define MyVerify Nothing
#define OWN_VERIFY
#include "main.p4i"
