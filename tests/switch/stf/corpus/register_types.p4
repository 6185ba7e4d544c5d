// Registers of enums, signed and wide numbers.
#include "data.p4i"

enum plain_t { First, Second, Third }

enum bit<12> coded_t {
    Low = 1,
    High = 0xabc
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<plain_t>(2) plain;
    register<coded_t>(2) coded;
    register<int<9>>(2) number;
    register<bit<200>>(2) wide;

    apply {
        std.egress_spec = 2;
        plain_t p;
        plain.read(p, 1);
        hdr.data.a = p == plain_t.First ? 8w1 : 2;
        plain.write(1, plain_t.Third);
        coded_t c;
        coded.read(c, 1);
        hdr.data.b = c == coded_t.High ? 8w1 : 2;
        coded.write(1, coded_t.High);
        int<9> n;
        number.read(n, 1);
        n = n - 1;
        hdr.data.w = (bit<16>)(int<16>)n;
        number.write(1, n);
        bit<200> v;
        wide.read(v, 1);
        hdr.data.x = v[199:168];
        wide.write(1, (v >> 32) | (bit<200>)hdr.data.w << 168);
    }
}

#include "main.p4i"
