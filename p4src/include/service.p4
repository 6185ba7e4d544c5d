// Is the packet ours, is it sound, and who has its group?

// Only a complete datagram of this version is worth looking at: the whole of it in one packet
// (no fragment), with lengths that agree with each other and with what arrived (Ethernet may pad,
// so more bytes may have come), a header checksum that is right and a group that exists.
control WellFormed(in headers_t hdr,
                   inout metadata_t meta,
                   in standard_metadata_t standard_metadata) {
    apply {
        if (hdr.netmigrate.isValid()
            && standard_metadata.parser_error == error.NoError
            && standard_metadata.checksum_error == 0
            && hdr.ipv4.more_fragments == 0
            && hdr.ipv4.total_len == hdr.udp.length + IPV4_BYTES
            && standard_metadata.packet_length >= (bit<32>) hdr.ipv4.total_len + ETHERNET_BYTES
            && hdr.netmigrate.group < GROUPS) {
            // Of the two lengths this one cannot have wrapped around in the comparison above.
            if (hdr.ctrl.isValid()) {
                if (hdr.ipv4.total_len
                    >= IPV4_BYTES + UDP_BYTES + NETMIGRATE_BYTES + CONTROL_BYTES) {
                    meta.well_formed = 1;
                }
            } else if (hdr.ipv4.total_len >= IPV4_BYTES + UDP_BYTES + NETMIGRATE_BYTES) {
                meta.well_formed = 1;
            }
        }
    }
}

control Service(in headers_t hdr, inout metadata_t meta) {
    action set_service(bit<16> service) {
        meta.to_service = 1;
        meta.service = service;
    }

    // Is this address and port one of ours?
    table service {
        key = {
            hdr.ipv4.dst_addr: exact;
            hdr.udp.dst_port: exact;
        }
        actions = { set_service; NoAction; }
        const default_action = NoAction();
        size = SERVICE_ENTRIES;
    }

    apply {
        service.apply();
    }
}

// Which server, or which migration, has this group? Sets the event if nobody has.
control Partition(in headers_t hdr, inout metadata_t meta) {
    direct_counter(CounterType.packets_and_bytes) partition_counter;

    action serve(server_t server) {
        meta.server = server;
    }

    // `batch_mask` takes a group to the first of its batch: the filters know no other. With
    // `pull_reads` no read is doubled.
    action migrate(server_t source, server_t destination, bit<8> slice, bit<16> migration,
                   bit<16> batch_mask, bit<1> pull_reads) {
        meta.migrating = 1;
        meta.source = source;
        meta.destination = destination;
        meta.slice = slice;
        meta.migration = migration;
        meta.batch = hdr.netmigrate.group & batch_mask;
        meta.pull_reads = pull_reads;
    }

    table partition {
        key = {
            meta.service: exact;
            hdr.netmigrate.group: lpm;
        }
        actions = { serve; migrate; NoAction; }
        const default_action = NoAction();
        counters = partition_counter;
        size = PARTITION_ENTRIES;
    }

    apply {
        if (!partition.apply().hit) {
            meta.event = EVENT_NO_PARTITION;
        }
    }
}
