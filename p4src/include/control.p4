// GROUP_START and GROUP_COMPLETE: may this packet change what we believe, and has it already?

control ControlPackets(in headers_t hdr,
                       inout metadata_t meta,
                       in standard_metadata_t standard_metadata) {
    // The last control sequence applied, for each lane of each slice: a packet counts once,
    // however often it is resent, and an older one that comes late counts for nothing.
    register<bit<32>>(SLICES * LANES) ctrl_seq;

    bool honoured = false;

    action honour() {
        honoured = true;
    }

    // Does it come from the source of the migration that the partition is in?
    table control_source {
        key = {
            meta.migration: exact;
            standard_metadata.ingress_port: exact;
            hdr.ipv4.src_addr: exact;
        }
        actions = { honour; NoAction; }
        const default_action = NoAction();
        size = CONTROL_SOURCE_ENTRIES;
    }

    apply {
        if (meta.migrating == 1
            && hdr.netmigrate.migration == meta.migration
            && (bit<32>) hdr.ctrl.lane < LANES) {
            control_source.apply();
        }
        if (!honoured) {
            meta.event = EVENT_CONTROL_REFUSED;
        } else {
            bit<32> index = (bit<32>) ((slice_t) meta.slice ++ (lane_t) hdr.ctrl.lane);
            bit<32> last;
            @atomic {
                ctrl_seq.read(last, index);
                if (hdr.ctrl.sequence > last) {
                    ctrl_seq.write(index, hdr.ctrl.sequence);
                }
            }
            if (hdr.ctrl.sequence <= last) {
                meta.event = EVENT_CONTROL_REPEATED;
            } else {
                meta.event = EVENT_CONTROL_APPLIED;
                if (hdr.netmigrate.op == OP_GROUP_START) {
                    meta.update = UPDATE_START;
                } else {
                    meta.update = UPDATE_COMPLETE;
                }
            }
        }
    }
}
