// The state of a group of a moving partition: what START and COMPLETE packets have told us.
//
// Groups move in batches, and all groups of a batch are in one state: the filters hold each batch by
// its first group. Two filters per slice. The counting Bloom filter `ongoing` holds the batches on
// the move, the Bloom filter `migrated` those that have arrived. A query reads them, an applied
// control packet changes them, both with one read-modify-write per array: a query adds nothing and
// takes nothing away. The filters are hints (a false positive costs time, never consistency), which
// is why they may be Bloom filters at all.

control GroupState(inout metadata_t meta) {
    register<bit<8>>(SLICES * ONGOING_CELLS) ongoing_0;
    register<bit<8>>(SLICES * ONGOING_CELLS) ongoing_1;
    register<bit<8>>(SLICES * ONGOING_CELLS) ongoing_2;
    register<bit<8>>(SLICES * ONGOING_CELLS) ongoing_3;
    register<bit<1>>(SLICES * MIGRATED_CELLS) migrated_0;
    register<bit<1>>(SLICES * MIGRATED_CELLS) migrated_1;
    register<bit<1>>(SLICES * MIGRATED_CELLS) migrated_2;
    register<bit<1>>(SLICES * MIGRATED_CELLS) migrated_3;

    apply {
        // Four hashes: four windows of one wide CRC. CRCs are linear, so the windows are chosen, not
        // arbitrary: in 15 bits no two groups share a cell, and in the lower 11 bits two groups
        // that share a cell of one array share none of another (docs/dataplane.md;
        // controller/filters.py is the same in Python).
        bit<32> crc;
        hash(crc, HashAlgorithm.crc32, 32w0, { meta.batch }, 64w0x100000000);
        migrated_cell_t hash_0 = crc[14:0];
        migrated_cell_t hash_1 = crc[19:5];
        migrated_cell_t hash_2 = crc[27:13];
        migrated_cell_t hash_3 = crc[31:17];

        slice_t slice = (slice_t) meta.slice;
        bit<32> ongoing_index_0 = (bit<32>) (slice ++ (ongoing_cell_t) hash_0);
        bit<32> ongoing_index_1 = (bit<32>) (slice ++ (ongoing_cell_t) hash_1);
        bit<32> ongoing_index_2 = (bit<32>) (slice ++ (ongoing_cell_t) hash_2);
        bit<32> ongoing_index_3 = (bit<32>) (slice ++ (ongoing_cell_t) hash_3);
        bit<32> migrated_index_0 = (bit<32>) (slice ++ hash_0);
        bit<32> migrated_index_1 = (bit<32>) (slice ++ hash_1);
        bit<32> migrated_index_2 = (bit<32>) (slice ++ hash_2);
        bit<32> migrated_index_3 = (bit<32>) (slice ++ hash_3);

        bit<8> started = 0;
        bit<8> completed = 0;
        if (meta.update == UPDATE_START) {
            started = 1;
        } else if (meta.update == UPDATE_COMPLETE) {
            completed = 1;
        }

        bit<8> count_0;
        bit<8> count_1;
        bit<8> count_2;
        bit<8> count_3;
        bit<1> bit_0;
        bit<1> bit_1;
        bit<1> bit_2;
        bit<1> bit_3;
        @atomic {
            // Saturating both ways: a cell never wraps, and never falls below 0.
            ongoing_0.read(count_0, ongoing_index_0);
            count_0 = (count_0 |+| started) |-| completed;
            ongoing_0.write(ongoing_index_0, count_0);
            ongoing_1.read(count_1, ongoing_index_1);
            count_1 = (count_1 |+| started) |-| completed;
            ongoing_1.write(ongoing_index_1, count_1);
            ongoing_2.read(count_2, ongoing_index_2);
            count_2 = (count_2 |+| started) |-| completed;
            ongoing_2.write(ongoing_index_2, count_2);
            ongoing_3.read(count_3, ongoing_index_3);
            count_3 = (count_3 |+| started) |-| completed;
            ongoing_3.write(ongoing_index_3, count_3);

            migrated_0.read(bit_0, migrated_index_0);
            bit_0 = bit_0 | completed[0:0];
            migrated_0.write(migrated_index_0, bit_0);
            migrated_1.read(bit_1, migrated_index_1);
            bit_1 = bit_1 | completed[0:0];
            migrated_1.write(migrated_index_1, bit_1);
            migrated_2.read(bit_2, migrated_index_2);
            bit_2 = bit_2 | completed[0:0];
            migrated_2.write(migrated_index_2, bit_2);
            migrated_3.read(bit_3, migrated_index_3);
            bit_3 = bit_3 | completed[0:0];
            migrated_3.write(migrated_index_3, bit_3);
        }

        if (count_0 != 0 && count_1 != 0 && count_2 != 0 && count_3 != 0) {
            meta.state = ONGOING;
        } else if (bit_0 == 1 && bit_1 == 1 && bit_2 == 1 && bit_3 == 1) {
            meta.state = MIGRATED;
        } else {
            meta.state = NOT_MIGRATED;
        }
    }
}
