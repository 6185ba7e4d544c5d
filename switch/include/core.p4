// The P4_16 core library: what every P4 program may rely on (P4_16 specification, appendix D).

#ifndef _CORE_P4_
#define _CORE_P4_

error {
    NoError,
    PacketTooShort,         // extract or lookahead beyond the end of the packet
    NoMatch,                // a select without a matching case
    StackOutOfBounds,       // next of a full header stack, last of an empty one
    HeaderTooShort,         // a varbit field longer than its maximum
    ParserTimeout,
    ParserInvalidArgument   // an extract length the target cannot do
}

match_kind {
    exact,
    ternary,
    lpm
}

extern packet_in {
    // Reads a header of fixed size and moves on; the header becomes valid.
    void extract<T>(out T hdr);
    // The same for a header with one varbit field, which gets the given number of bits.
    void extract<T>(out T variableSizeHeader, in bit<32> variableFieldSizeInBits);
    // Reads without moving on.
    T lookahead<T>();
    // Moves on without reading.
    void advance(in bit<32> sizeInBits);
    // Packet length in bytes.
    bit<32> length();
}

extern packet_out {
    // Appends a header if it is valid, or the valid ones of a stack, union or struct, in order.
    void emit<T>(in T hdr);
}

// Rejects the packet with that error when the check fails; parsers only.
extern void verify(in bool check, in error toSignal);

// Checked at compile time.
extern bool static_assert(bool check, string message);
extern bool static_assert(bool check);

@name(".NoAction")
@noWarn("unused")
action NoAction() {}

#endif
