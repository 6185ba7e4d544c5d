// The switch of NetMigrate, for v1model (docs/dataplane.md).
//
// It forwards ordinary traffic, answers for the services' virtual addresses, and sends each query
// to the server that has its group: while a partition moves, group by group.

#include <core.p4>
#include <v1model.p4>

#include "include/constants.p4"
#include "include/headers.p4"
#include "include/metadata.p4"
#include "include/parser.p4"
#include "include/checksums.p4"
#include "include/arp.p4"
#include "include/forwarding.p4"
#include "include/service.p4"
#include "include/control.p4"
#include "include/migration.p4"
#include "include/steering.p4"
#include "include/rewriting.p4"
#include "include/counters.p4"

// standard_metadata.instance_type
const bit<32> INGRESS_CLONE = 1;
const bit<32> REPLICATION = 5;

// The control plane sees two flat blocks, Ingress and Egress: how the program is cut into controls
// is not its business, so every instance takes the name of its block.

control SwitchIngress(inout headers_t hdr,
                      inout metadata_t meta,
                      inout standard_metadata_t standard_metadata) {
    @name(".Ingress") Arp() arp;
    @name(".Ingress") WellFormed() well_formed;
    @name(".Ingress") Service() service;
    @name(".Ingress") Partition() partition;
    @name(".Ingress") ControlPackets() control_packets;
    @name(".Ingress") GroupState() group_state;
    @name(".Ingress") Steering() steering;
    @name(".Ingress") ToServer() to_server;
    @name(".Ingress") FromServer() from_server;
    @name(".Ingress") TrafficClass() traffic_class;
    @name(".Ingress") Forwarding() forwarding;
    @name(".Ingress") CountEvent() count_event;

    apply {
        if (hdr.arp.isValid()) {
            arp.apply(hdr, meta, standard_metadata);
        } else if (hdr.udp.isValid()) {
            service.apply(hdr, meta);
            well_formed.apply(hdr, meta, standard_metadata);
        }

        if (!hdr.ethernet.isValid()) {
            mark_to_drop(standard_metadata);
            meta.event = EVENT_MALFORMED;
        } else if (meta.to_service == 1) {
            // Whatever is addressed to a service is for us to judge, and nobody else's.
            if (meta.well_formed == 0
                || (hdr.netmigrate.op != OP_READ && hdr.netmigrate.op != OP_WRITE
                    && hdr.netmigrate.op != OP_GROUP_START
                    && hdr.netmigrate.op != OP_GROUP_COMPLETE)) {
                meta.event = EVENT_MALFORMED;
            } else if (hdr.netmigrate.service != meta.service) {
                meta.event = EVENT_WRONG_SERVICE;
            } else {
                partition.apply(hdr, meta);
            }
            if (meta.event != EVENT_FORWARDED) {
                mark_to_drop(standard_metadata);
            } else {
                if (hdr.ctrl.isValid()) {
                    control_packets.apply(hdr, meta, standard_metadata);
                }
                if (meta.migrating == 1 && (!hdr.ctrl.isValid() || meta.update != UPDATE_NONE)) {
                    group_state.apply(meta);
                }
                steering.apply(hdr, meta);
                to_server.apply(hdr, meta, standard_metadata);
            }
        } else if (meta.event != EVENT_ARP_ANSWERED) {
            traffic_class.apply(hdr, meta);
            if (hdr.netmigrate.isValid() && hdr.netmigrate.op == OP_REPLY) {
                from_server.apply(hdr, meta, standard_metadata);
            }
            if (meta.event != EVENT_MALFORMED) {
                forwarding.apply(hdr, meta, standard_metadata);
            }
        }
        count_event.apply(meta);
    }
}

control SwitchEgress(inout headers_t hdr,
                     inout metadata_t meta,
                     inout standard_metadata_t standard_metadata) {
    @name(".Egress") Mirror() mirror;
    @name(".Egress") CountTraffic() count_traffic;

    apply {
        if (standard_metadata.instance_type == INGRESS_CLONE) {
            mirror.apply(hdr, meta, standard_metadata);
        }
        if (standard_metadata.instance_type == REPLICATION
            && standard_metadata.egress_port == standard_metadata.ingress_port) {
            mark_to_drop(standard_metadata);  // it came from there
        } else {
            count_traffic.apply(meta);
        }
    }
}

V1Switch(PacketParser(),
         VerifyChecksums(),
         SwitchIngress(),
         SwitchEgress(),
         UpdateChecksums(),
         PacketDeparser()) main;
