// Which server gets this query or control packet, and is a second copy sent?

control Steering(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.ctrl.isValid()) {
            // Whatever we made of it, the destination must hear it (and acknowledge it).
            meta.traffic = TRAFFIC_CONTROL;
            if (meta.migrating == 1) {
                meta.server = meta.destination;
            }
        } else {
            meta.traffic = TRAFFIC_QUERY;
            if ((hdr.netmigrate.flags & FLAG_RETRY) != 0) {
                meta.traffic = TRAFFIC_RETRY;
            }
            hdr.netmigrate.flags = hdr.netmigrate.flags & ~FLAGS_OF_THE_SWITCH;
            hdr.netmigrate.migration = meta.migration;
            if (meta.migrating == 0) {
                meta.event = EVENT_SERVED;
            } else if (meta.state == NOT_MIGRATED) {
                meta.event = EVENT_STEERED_SOURCE;
                meta.server = meta.source;
            } else if (meta.state == MIGRATED) {
                meta.event = EVENT_STEERED_DESTINATION;
                meta.server = meta.destination;
            } else if (hdr.netmigrate.op == OP_READ && meta.pull_reads == 0) {
                // The key may be on either side: both are asked, the client takes the better
                // answer.
                meta.event = EVENT_DOUBLE_READ;
                hdr.netmigrate.flags = hdr.netmigrate.flags | FLAG_DOUBLE;
                meta.server = meta.source;
                meta.mirror = meta.destination;
                meta.double_read = 1;
            } else {
                // The destination owns the group from before its START, and pulls what it needs and
                // does not have yet.
                if (hdr.netmigrate.op == OP_READ) {
                    meta.event = EVENT_ONGOING_READ;
                } else {
                    meta.event = EVENT_ONGOING_WRITE;
                }
                hdr.netmigrate.flags = hdr.netmigrate.flags | FLAG_ONGOING;
                meta.server = meta.destination;
            }
        }
    }
}
