/* Control calls, for ctypes (switch/runtime/native.py mirrors them). Each takes the lock. Names and
 * widths were checked by the caller, who knows the program; ids are indices into its lists.
 *
 * An entry is read as a row of words: priority, action, flags, packets, bytes, ns since the last
 * hit, key, mask, low and high (tables with ranges), data. In tables with an action profile the
 * action may be one of profile.h; the data is then an id, or for P4_ONE_SHOT what p4_target_take
 * (profile.h) wants.
 */
#pragma once

#include "program.h"

enum { P4_ROW_HEAD = 6 };

/* Write one row; the result is its words. to NULL: only count them. The caller holds the lock. */
uint32_t p4_put_row(struct p4s *s, const struct p4_table *t, struct p4_entry *e, uint64_t *to);

/* match NULL: the default entry. The caller holds the lock. */
static inline struct p4_entry *p4s_find(struct p4s *s, uint32_t table,
                                        const struct p4_match *match)
{
    return match ? p4_table_find(&s->tables[table], match) : s->tables[table].missed;
}

bool p4s_reset(struct p4s *s);

int p4s_table_insert(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data);
int p4s_table_modify(struct p4s *s, uint32_t table, const struct p4_match *match, uint32_t action,
                     const uint64_t *data);
int p4s_table_delete(struct p4s *s, uint32_t table, const struct p4_match *match);
/* The words of the row; 0: no such entry. Written only if there is room for them. match NULL: the
 * default entry. */
uint32_t p4s_table_get(struct p4s *s, uint32_t table, const struct p4_match *match, uint64_t *row,
                       uint32_t room);
/* All rows, one after the other, if there is room for so many words; the result says how many. */
uint64_t p4s_table_read(struct p4s *s, uint32_t table, uint64_t *out, uint64_t room);
int p4s_default_set(struct p4s *s, uint32_t table, uint32_t action, const uint64_t *data);
void p4s_default_reset(struct p4s *s, uint32_t table);

/* Make these, and only these, the members of a value set (a table without actions); of two equal
 * ones the second is left out. */
int p4s_value_set_write(struct p4s *s, uint32_t table, const struct p4_match *members,
                        uint32_t count);

/* match NULL: the default entry. value: packets, bytes. */
int p4s_direct_counter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                           const uint64_t *value);
/* config: configured, cir, cburst, pir, pburst. */
int p4s_direct_meter_get(struct p4s *s, uint32_t table, const struct p4_match *match,
                         uint64_t *config);
int p4s_direct_meter_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                         const uint64_t *config);
/* counts: packets and bytes that were green, yellow, red. */
int p4s_direct_meter_counts_get(struct p4s *s, uint32_t table, const struct p4_match *match,
                                uint64_t *counts);
int p4s_direct_meter_counts_set(struct p4s *s, uint32_t table, const struct p4_match *match,
                                const uint64_t *counts);

int p4s_member_set(struct p4s *s, uint32_t profile, uint32_t id, uint32_t action,
                   const uint64_t *data, bool insert);
int p4s_member_delete(struct p4s *s, uint32_t profile, uint32_t id);
/* Its action and data; false: there is none. */
bool p4s_member_get(struct p4s *s, uint32_t profile, uint32_t id, uint64_t *out);
/* All members: id, action, data each. As p4s_table_read. */
uint64_t p4s_members_read(struct p4s *s, uint32_t profile, uint64_t *out, uint64_t room);
int p4s_group_set(struct p4s *s, uint32_t profile, uint32_t id, const struct p4_share *shares,
                  uint32_t count, bool insert);
int p4s_group_delete(struct p4s *s, uint32_t profile, uint32_t id);
/* All groups: id, number of members and per member id, weight, watched port. */
uint64_t p4s_groups_read(struct p4s *s, uint32_t profile, uint64_t *out, uint64_t room);
/* counts: members, groups, entries with P4_ONE_SHOT. */
void p4s_profile_counts(struct p4s *s, uint32_t profile, uint64_t *counts);
/* Members of groups that watch a port are chosen only while it is up; it is until this says other. */
void p4s_port_set(struct p4s *s, uint32_t port, bool up);

void p4s_counters_read(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                       uint64_t *values);
void p4s_counters_write(struct p4s *s, uint32_t counter, uint32_t first, uint32_t count,
                        const uint64_t *values);
void p4s_registers_read(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count, void *cells);
void p4s_registers_write(struct p4s *s, uint32_t reg, uint32_t first, uint32_t count,
                         const void *cells);
void p4s_meter_get(struct p4s *s, uint32_t meter, uint32_t index, uint64_t *config);
void p4s_meter_set(struct p4s *s, uint32_t meter, uint32_t index, const uint64_t *config);
void p4s_meter_counts_get(struct p4s *s, uint32_t meter, uint32_t index, uint64_t *counts);
void p4s_meter_counts_set(struct p4s *s, uint32_t meter, uint32_t index, const uint64_t *counts);

bool p4s_clone_session_set(struct p4s *s, uint32_t session, const struct p4_replica *list,
                           uint32_t count, uint32_t truncate);
bool p4s_clone_session_delete(struct p4s *s, uint32_t session);
bool p4s_multicast_group_set(struct p4s *s, uint32_t group, const struct p4_replica *list,
                             uint32_t count);
bool p4s_multicast_group_delete(struct p4s *s, uint32_t group);

/* The oldest message: its words (at most `most`), their number as the result, 0 when there is
 * none; *digest says which digest it is of. */
uint32_t p4s_digest_take(struct p4s *s, uint32_t *digest, uint64_t *data, uint32_t most);

/* One packet; what comes out as records of port, length (32 bits each, native) and bytes in memory
 * that p4s_release frees. NULL when memory is out. */
uint8_t *p4s_collect(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length,
                     uint64_t *size);
void p4s_release(void *records);

/* Trace packets that come in on these ports (a bit each of 8 words), up to `most` of them. Only a
 * program built for tracing traces; what messages there are is kept in any case. */
void p4s_trace_start(struct p4s *s, const uint64_t *ports, uint64_t most);
/* All records so far, in memory that p4s_release frees, and how many words; NULL when there is
 * none. *lost is how many were left out for want of room. */
uint64_t *p4s_trace_take(struct p4s *s, uint64_t *count, uint64_t *lost);
/* As p4s_collect, with the packet's own record; *count is 0 if that did not fit. */
uint8_t *p4s_trace_one(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length,
                       uint64_t *size, uint64_t **words, uint64_t *count);

/* `repeat` rounds over `count` packets of one buffer; nanoseconds. totals: packets, bytes out. */
uint64_t p4s_benchmark(struct p4s *s, uint32_t port, const uint8_t *data, const uint32_t *lengths,
                       uint32_t count, uint32_t repeat, uint64_t *totals);

/* statistics: packets dropped because they went round too often, by a failed assertion, digests
 * dropped because the queue was full. */
void p4s_statistics(struct p4s *s, uint64_t *statistics);
