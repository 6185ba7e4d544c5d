// From the service's address to a server's and back. UDP checksums become zero ("none", RFC 768):
// they cover a payload that is not read here, and only IPv4 is rewritten.

// Requests and control packets, on their way to the server that steering chose.
control ToServer(inout headers_t hdr,
                 inout metadata_t meta,
                 inout standard_metadata_t standard_metadata) {
    direct_counter(CounterType.packets_and_bytes) server_counter;

    action to_server(mac_t mac, ipv4_t ip, udp_port_t udp_port, bit<9> port) {
        hdr.ethernet.dst_addr = mac;
        hdr.ipv4.dst_addr = ip;
        hdr.udp.dst_port = udp_port;
        hdr.udp.checksum = 0;
        meta.rewritten = 1;
        standard_metadata.egress_spec = port;
    }

    action no_server() {
        mark_to_drop(standard_metadata);
        meta.event = EVENT_NO_SERVER;
    }

    // Where is this server?
    table server {
        key = { meta.server: exact; }
        actions = { to_server; no_server; }
        const default_action = no_server();
        counters = server_counter;
        size = SERVER_ENTRIES;
    }

    apply {
        // The copy's clone session has the number of its server, and knows that server's port.
        if (server.apply().hit && meta.double_read == 1) {
            clone_preserving_field_list(CloneType.I2E, (bit<32>) meta.mirror, MIRROR_FIELDS);
        }
    }
}

// Replies, on their way to the client: it asked the service and hears from the service.
control FromServer(inout headers_t hdr,
                   inout metadata_t meta,
                   inout standard_metadata_t standard_metadata) {
    action from_service(mac_t mac, ipv4_t ip, udp_port_t port) {
        hdr.ethernet.src_addr = mac;
        hdr.ipv4.src_addr = ip;
        hdr.udp.src_port = port;
        hdr.udp.checksum = 0;
        meta.rewritten = 1;
        meta.event = EVENT_REPLY;
    }

    // Does this come from a server of this service, and what address do its clients know?
    table reply {
        key = {
            hdr.ipv4.src_addr: exact;
            hdr.udp.src_port: exact;
            hdr.netmigrate.service: exact;
        }
        actions = { from_service; NoAction; }
        const default_action = NoAction();
        size = REPLY_ENTRIES;
    }

    apply {
        if (reply.apply().hit) {
            meta.traffic = TRAFFIC_REPLY;
            if (meta.well_formed == 0) {
                mark_to_drop(standard_metadata);
                meta.event = EVENT_MALFORMED;
            } else if ((hdr.netmigrate.flags & FLAG_MOVING) != 0
                       || ((hdr.netmigrate.flags & FLAG_DOUBLE) != 0
                           && (hdr.netmigrate.flags & (FLAG_FROM_SOURCE | FLAG_GONE)) == 0)) {
                meta.traffic = TRAFFIC_DOUBLE_REPLY;
            } else if ((hdr.netmigrate.flags & FLAG_RETRY) != 0) {
                meta.traffic = TRAFFIC_RETRY;
            }
        }
    }
}

// The second copy of a double read, in the egress: it arrives there as the client sent it.
control Mirror(inout headers_t hdr,
               inout metadata_t meta,
               inout standard_metadata_t standard_metadata) {
    action to_mirror(mac_t mac, ipv4_t ip, udp_port_t udp_port) {
        hdr.ethernet.dst_addr = mac;
        hdr.ipv4.dst_addr = ip;
        hdr.udp.dst_port = udp_port;
        hdr.udp.checksum = 0;
        meta.rewritten = 1;
    }

    action lose() {
        mark_to_drop(standard_metadata);
        meta.traffic = TRAFFIC_LOST_COPY;
    }

    // Which address has this server?
    table mirror_server {
        key = { meta.server: exact; }
        actions = { to_mirror; lose; }
        const default_action = lose();
        size = SERVER_ENTRIES;
    }

    apply {
        meta.traffic = TRAFFIC_DOUBLE_QUERY;
        meta.server = meta.mirror;
        hdr.netmigrate.flags = (hdr.netmigrate.flags & ~FLAGS_OF_THE_SWITCH) | FLAG_DOUBLE;
        hdr.netmigrate.migration = meta.migration;
        mirror_server.apply();
    }
}
