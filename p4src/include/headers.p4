// Packet headers. The names are the control plane's too (match fields), and they hold for any
// architecture.
#ifndef NETMIGRATE_HEADERS_P4
#define NETMIGRATE_HEADERS_P4

typedef bit<48> mac_t;
typedef bit<32> ipv4_t;
typedef bit<16> udp_port_t;

header ethernet_h {
    mac_t dst_addr;
    mac_t src_addr;
    bit<16> ether_type;
}

header arp_h {
    bit<16> hardware_type;
    bit<16> protocol_type;
    bit<8> hardware_length;
    bit<8> protocol_length;
    bit<16> opcode;
    mac_t sender_mac;
    ipv4_t sender_ip;
    mac_t target_mac;
    ipv4_t target_ip;
}

header ipv4_h {
    bit<4> version;
    bit<4> ihl;
    bit<8> diffserv;
    bit<16> total_len;
    bit<16> identification;
    bit<1> reserved;
    bit<1> dont_fragment;
    bit<1> more_fragments;
    bit<13> frag_offset;
    bit<8> ttl;
    bit<8> protocol;
    bit<16> hdr_checksum;
    ipv4_t src_addr;
    ipv4_t dst_addr;
}

header udp_h {
    udp_port_t src_port;
    udp_port_t dst_port;
    bit<16> length;
    bit<16> checksum;
}

// The fixed header of every NetMigrate datagram; the payload after it is never read here.
header netmigrate_h {
    bit<16> magic;
    bit<8> version;
    bit<8> op;
    bit<16> flags;
    bit<16> service;
    bit<16> group;
    bit<16> migration;
    bit<64> client;
    bit<32> seq;
    bit<32> acked;
}

// What follows it in GROUP_START, GROUP_COMPLETE and GROUP_ACK.
header ctrl_h {
    bit<16> lane;
    bit<32> sequence;
}

struct headers_t {
    ethernet_h ethernet;
    arp_h arp;
    ipv4_h ipv4;
    udp_h udp;
    netmigrate_h netmigrate;
    ctrl_h ctrl;
}

#endif
