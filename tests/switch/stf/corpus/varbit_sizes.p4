// What an extract with a size that is wrong leaves: the error, and no header.
#include <core.p4>
#include <v1model.p4>

header error_t {
    bit<8> number;
    bit<8> valid;
}

header size_t {
    bit<32> bits;
}

header data_t {
    bit<8> first;
    varbit<32> rest;
}

struct headers_t {
    error_t found;
    size_t size;
    data_t data;
}

struct metadata_t { }

parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
              inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.size);
        packet.extract(hdr.data, hdr.size.bits);
        transition accept;
    }
}

#define OWN_INGRESS
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = 2;
        hdr.found.setValid();
        hdr.found.valid = hdr.data.isValid() ? 8w1 : 0;
        if (std.parser_error == error.NoError) {
            hdr.found.number = 0;
        } else if (std.parser_error == error.PacketTooShort) {
            hdr.found.number = 1;
        } else if (std.parser_error == error.HeaderTooShort) {
            hdr.found.number = 2;
        } else if (std.parser_error == error.ParserInvalidArgument) {
            hdr.found.number = 3;
        } else {
            hdr.found.number = 0xff;
        }
    }
}

#include "main.p4i"
