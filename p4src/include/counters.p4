// What came of the packets, for the control plane (controller/counters.py has the names).

control CountEvent(in metadata_t meta) {
    counter(EVENTS, CounterType.packets) events;

    apply {
        events.count((bit<32>) meta.event);
    }
}

control CountTraffic(in metadata_t meta) {
    counter(TRAFFIC_CLASSES, CounterType.packets_and_bytes) traffic;

    apply {
        traffic.count((bit<32>) meta.traffic);
    }
}

// The class of what is not from or to a service.
control TrafficClass(in headers_t hdr, inout metadata_t meta) {
    action between_servers() {
        meta.traffic = TRAFFIC_BETWEEN_SERVERS;
    }

    // Are both ends servers?
    table server_pair {
        key = {
            hdr.ipv4.src_addr: exact;
            hdr.ipv4.dst_addr: exact;
        }
        actions = { between_servers; NoAction; }
        const default_action = NoAction();
        size = SERVER_PAIR_ENTRIES;
    }

    apply {
        meta.traffic = TRAFFIC_OTHER;
        if (hdr.ctrl.isValid()) {
            meta.traffic = TRAFFIC_CONTROL;  // a GROUP_ACK, straight from one agent to the other
        } else if (meta.well_formed == 1 && hdr.netmigrate.op == OP_READ
                   && (hdr.netmigrate.flags & FLAG_DOUBLE) != 0) {
            meta.traffic = TRAFFIC_DOUBLE_QUERY;  // a client's own, straight to a source
        } else if (hdr.ipv4.isValid()) {
            server_pair.apply();
        }
    }
}
