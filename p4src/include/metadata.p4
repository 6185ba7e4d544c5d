// What the program knows of a packet besides its headers.
#ifndef NETMIGRATE_METADATA_P4
#define NETMIGRATE_METADATA_P4

typedef bit<16> server_t;

// What a control packet does to the filters.
typedef bit<2> update_t;
const update_t UPDATE_NONE = 0;
const update_t UPDATE_START = 1;
const update_t UPDATE_COMPLETE = 2;

typedef bit<2> state_t;
const state_t NOT_MIGRATED = 0;
const state_t ONGOING = 1;
const state_t MIGRATED = 2;

// The fields with which the second copy of a double read reaches the egress; all other metadata
// of that copy is zero, and its headers are those of the packet as it came in.
const bit<8> MIRROR_FIELDS = 1;

struct metadata_t {
    bit<1> to_service;     // addressed to a service: ours, whatever it holds
    bit<1> well_formed;
    bit<16> service;
    server_t server;       // where the packet goes
    @field_list(1)
    server_t mirror;       // where its second copy goes
    server_t source;       // of the migration
    server_t destination;
    bit<8> slice;
    bit<16> batch;         // first group of the group's batch: what the filters hold
    @field_list(1)
    bit<16> migration;     // 0: the partition is not moving
    bit<1> migrating;
    update_t update;
    state_t state;
    bit<1> pull_reads;     // a READ of an ONGOING group goes to the destination alone
    bit<1> double_read;
    bit<1> rewritten;      // IPv4 addresses changed: the header checksum is computed anew
    event_t event;
    traffic_t traffic;
}

#endif
