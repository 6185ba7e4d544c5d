// Numbers that the control plane, the tests and a program for another target share with this one.
// Nothing here depends on the architecture.
#ifndef NETMIGRATE_CONSTANTS_P4
#define NETMIGRATE_CONSTANTS_P4

// Ethernet, ARP and IPv4.
const bit<16> ETHER_TYPE_IPV4 = 0x0800;
const bit<16> ETHER_TYPE_ARP = 0x0806;
const bit<16> ARP_HARDWARE_ETHERNET = 1;
const bit<16> ARP_REQUEST = 1;
const bit<16> ARP_REPLY = 2;
const bit<8> IP_PROTOCOL_UDP = 17;
const bit<32> ETHERNET_BYTES = 14;
const bit<16> IPV4_BYTES = 20;
const bit<16> UDP_BYTES = 8;

// The NetMigrate header (hosts/wire/header.py is the same in Python).
const bit<16> MAGIC = 0x4e4d;
const bit<8> VERSION = 1;
const bit<24> MAGIC_AND_VERSION = MAGIC ++ VERSION;
const bit<16> NETMIGRATE_BYTES = 28;
const bit<16> CONTROL_BYTES = 6;
const bit<16> GROUPS = 16384;

const bit<8> OP_READ = 1;
const bit<8> OP_WRITE = 2;
const bit<8> OP_REPLY = 3;
const bit<8> OP_GROUP_START = 4;
const bit<8> OP_GROUP_COMPLETE = 5;
const bit<8> OP_GROUP_ACK = 6;

const bit<16> FLAG_DOUBLE = 1 << 0;
const bit<16> FLAG_ONGOING = 1 << 1;
const bit<16> FLAG_FROM_SOURCE = 1 << 4;
const bit<16> FLAG_GONE = 1 << 5;
const bit<16> FLAG_RETRY = 1 << 8;
const bit<16> FLAG_MOVING = 1 << 9;
// A client may not pretend to be the switch: of what comes to a service, these two are the
// switch's alone.
const bit<16> FLAGS_OF_THE_SWITCH = FLAG_DOUBLE | FLAG_ONGOING;

// Register arrays. A slice is the part that belongs to one running migration; its number is the
// upper bits of every index, so that slices cannot touch each other.
typedef bit<3> slice_t;
typedef bit<6> lane_t;
typedef bit<11> ongoing_cell_t;
typedef bit<15> migrated_cell_t;
const bit<32> SLICES = 8;
const bit<32> LANES = 64;
const bit<32> ONGOING_CELLS = 2048;
const bit<32> MIGRATED_CELLS = 32768;

// Tables.
const int SERVICE_ENTRIES = 64;
const int PARTITION_ENTRIES = 1024;
const int CONTROL_SOURCE_ENTRIES = 64;
const int SERVER_ENTRIES = 256;
const int REPLY_ENTRIES = 1024;
const int SERVER_PAIR_ENTRIES = 4096;
const int ARP_ENTRIES = 64;
const int ETHERNET_ENTRIES = 4096;
const int ROUTE_ENTRIES = 1024;

// Counter `events`: every packet that comes in counts exactly one (controller/counters.py).
typedef bit<8> event_t;
const event_t EVENT_FORWARDED = 0;            // ordinary traffic, by destination MAC
const event_t EVENT_ROUTED = 1;               // ordinary traffic, by destination IP address
const event_t EVENT_ARP_ANSWERED = 2;
const event_t EVENT_SERVED = 3;               // query for a partition that is not moving
const event_t EVENT_STEERED_SOURCE = 4;       // group NOT_MIGRATED
const event_t EVENT_STEERED_DESTINATION = 5;  // group MIGRATED
const event_t EVENT_DOUBLE_READ = 6;          // group ONGOING, as of the next two
const event_t EVENT_ONGOING_READ = 7;         // to the destination alone
const event_t EVENT_ONGOING_WRITE = 8;
const event_t EVENT_REPLY = 9;
const event_t EVENT_CONTROL_APPLIED = 10;
const event_t EVENT_CONTROL_REPEATED = 11;    // its control sequence is not larger than the last
const event_t EVENT_CONTROL_REFUSED = 12;     // not from the migration's source, or no migration
const event_t EVENT_MALFORMED = 13;           // dropped, like all that follow
const event_t EVENT_WRONG_SERVICE = 14;
const event_t EVENT_NO_PARTITION = 15;
const event_t EVENT_NO_SERVER = 16;
const event_t EVENT_NO_ROUTE = 17;            // nothing leads to its MAC or IP address
const event_t EVENT_TTL_EXPIRED = 18;
const bit<32> EVENTS = 19;

// Counter `traffic`: packets and bytes that go out, by class.
typedef bit<8> traffic_t;
const traffic_t TRAFFIC_OTHER = 0;
const traffic_t TRAFFIC_QUERY = 1;
const traffic_t TRAFFIC_REPLY = 2;
const traffic_t TRAFFIC_DOUBLE_QUERY = 3;     // the second copy of a double read
const traffic_t TRAFFIC_DOUBLE_REPLY = 4;     // the destination's reply to a double read
const traffic_t TRAFFIC_CONTROL = 5;
const traffic_t TRAFFIC_BETWEEN_SERVERS = 6;  // any other packet from one server to another
const traffic_t TRAFFIC_LOST_COPY = 7;        // second copy with no server to send it to: dropped
const traffic_t TRAFFIC_RETRY = 8;            // "ask again", and the request that does
const bit<32> TRAFFIC_CLASSES = 9;

#endif
