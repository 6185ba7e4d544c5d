// Answers ARP requests for the services' virtual IP addresses: no host owns them.

control Arp(inout headers_t hdr,
            inout metadata_t meta,
            inout standard_metadata_t standard_metadata) {
    action answer(mac_t mac) {
        hdr.ethernet.dst_addr = hdr.ethernet.src_addr;
        hdr.ethernet.src_addr = mac;
        ipv4_t asked = hdr.arp.target_ip;
        hdr.arp.opcode = ARP_REPLY;
        hdr.arp.target_mac = hdr.arp.sender_mac;
        hdr.arp.target_ip = hdr.arp.sender_ip;
        hdr.arp.sender_mac = mac;
        hdr.arp.sender_ip = asked;
        standard_metadata.egress_spec = standard_metadata.ingress_port;
        meta.event = EVENT_ARP_ANSWERED;
    }

    // Is this address one of ours, and which MAC does it have?
    table arp {
        key = { hdr.arp.target_ip: exact; }
        actions = { answer; NoAction; }
        const default_action = NoAction();
        size = ARP_ENTRIES;
    }

    apply {
        if (hdr.arp.opcode == ARP_REQUEST
            && hdr.arp.hardware_type == ARP_HARDWARE_ETHERNET
            && hdr.arp.protocol_type == ETHER_TYPE_IPV4
            && hdr.arp.hardware_length == 6
            && hdr.arp.protocol_length == 4) {
            arp.apply();
        }
    }
}
