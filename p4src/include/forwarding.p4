// Ordinary forwarding, of everything that is not for a service: by MAC address, and by IP address
// for what is addressed to the router's MAC address.

control Forwarding(inout headers_t hdr,
                   inout metadata_t meta,
                   inout standard_metadata_t standard_metadata) {
    bool to_us = false;

    action forward(bit<9> port) {
        standard_metadata.egress_spec = port;
    }

    // The egress drops the copy that would go back to where the packet came from.
    action flood(bit<16> group) {
        standard_metadata.mcast_grp = group;
    }

    // The destination is the router's MAC address.
    action to_router() {
        to_us = true;
    }

    action no_route() {
        mark_to_drop(standard_metadata);
        meta.event = EVENT_NO_ROUTE;
    }

    // Behind which port is this MAC address? The control plane chooses what happens to others
    // (broadcast is one of them).
    table ethernet {
        key = { hdr.ethernet.dst_addr: exact; }
        actions = { forward; flood; to_router; no_route; }
        default_action = no_route();
        size = ETHERNET_ENTRIES;
    }

    // The checksum is corrected (RFC 1624, equation 3), not computed anew: the header may have
    // options, and a checksum that came in wrong must stay wrong. The TTL is the upper byte of its
    // word, so the word loses 0x0100; ~0x0100 is 0xfeff.
    action next_hop(mac_t mac, bit<9> port) {
        hdr.ethernet.src_addr = hdr.ethernet.dst_addr;
        hdr.ethernet.dst_addr = mac;
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        bit<17> sum = (bit<17>) ~hdr.ipv4.hdr_checksum + 0xfeff;
        hdr.ipv4.hdr_checksum = ~(sum[15:0] + (bit<16>) sum[16:16]);
        standard_metadata.egress_spec = port;
    }

    // Which neighbour leads to this IP address?
    table route {
        key = { hdr.ipv4.dst_addr: lpm; }
        actions = { next_hop; no_route; }
        const default_action = no_route();
        size = ROUTE_ENTRIES;
    }

    apply {
        ethernet.apply();
        if (to_us) {
            if (!hdr.ipv4.isValid() || hdr.ipv4.version != 4 || hdr.ipv4.ihl < 5) {
                no_route();
            } else if (hdr.ipv4.ttl <= 1) {
                mark_to_drop(standard_metadata);
                meta.event = EVENT_TTL_EXPIRED;
            } else if (route.apply().hit && meta.event == EVENT_FORWARDED) {
                meta.event = EVENT_ROUTED;
            }
        }
    }
}
