// Bytes to headers and back.
//
// A packet that ends early is no reason to drop it: it is forwarded with the headers it has. Only
// what is addressed to a service must be complete, which `WellFormed` decides.

parser PacketParser(packet_in packet,
                    out headers_t hdr,
                    inout metadata_t meta,
                    inout standard_metadata_t standard_metadata) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHER_TYPE_ARP: parse_arp;
            ETHER_TYPE_IPV4: parse_ipv4;
            default: accept;
        }
    }

    state parse_arp {
        packet.extract(hdr.arp);
        transition accept;
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        // Behind options the UDP header is not where we look, and a later fragment has none.
        transition select(hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.frag_offset, hdr.ipv4.protocol) {
            (4, 5, 0, IP_PROTOCOL_UDP): parse_udp;
            default: accept;
        }
    }

    state parse_udp {
        packet.extract(hdr.udp);
        // The header's layout is known for this version only, so both are looked at together.
        transition select(packet.lookahead<bit<24>>()) {
            MAGIC_AND_VERSION: parse_netmigrate;
            default: accept;
        }
    }

    state parse_netmigrate {
        packet.extract(hdr.netmigrate);
        transition select(hdr.netmigrate.op) {
            OP_GROUP_START: parse_ctrl;
            OP_GROUP_COMPLETE: parse_ctrl;
            OP_GROUP_ACK: parse_ctrl;
            default: accept;
        }
    }

    state parse_ctrl {
        packet.extract(hdr.ctrl);
        transition accept;
    }
}

control PacketDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
        packet.emit(hdr.arp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.udp);
        packet.emit(hdr.netmigrate);
        packet.emit(hdr.ctrl);
    }
}
