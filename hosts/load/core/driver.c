#define _GNU_SOURCE
#include "driver.h"

#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "../../client/core/resp.h"

/* Rows are numbered far below this: it marks the read of a read-modify-write. */
static const uint64_t THEN_WRITE = 1ull << 63, FOREIGN = 1ull << 63;
enum { BURST = 256, WAKE_GAP = 20000, LONGEST_WAIT = 50000000 };

static uint64_t splitmix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

void value_write(uint8_t *p, size_t size, uint64_t id) {
    uint64_t word = id;
    for (size_t at = 0; at < size; at += 8) {
        memcpy(p + at, &word, size - at < 8 ? size - at : 8);
        word = splitmix(id + at);
    }
}

uint64_t value_read(const uint8_t *p, size_t size) {
    uint64_t id = 0, hash = size;
    bool ours = size >= 16;
    if (ours) {
        memcpy(&id, p, 8);
        ours = id && !(id & FOREIGN);
    }
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = 0, expected = at ? splitmix(id + at - 8) : id;
        size_t part = size - at < 8 ? size - at : 8;
        memcpy(&word, p + at, part);
        hash = splitmix(hash ^ word);
        ours = ours && !memcmp(&word, &expected, part);
    }
    return ours ? id : hash | FOREIGN;
}

/* YCSB's key: prefix and the decimal of the FNV-1a hash of the key's number, made positive. */
size_t driver_key(const struct driver *d, uint64_t key, uint8_t room[64], const uint8_t **name) {
    if (key < d->named) {
        *name = d->names + d->offsets[key];
        return d->offsets[key + 1] - d->offsets[key];
    }
    uint64_t hash = 0xcbf29ce484222325, rest = key;
    for (int i = 0; i < 8; i++, rest >>= 8) hash = (hash ^ (rest & 0xff)) * 1099511628211u;
    if (hash >> 63) hash = 0 - hash;
    uint8_t digits[20], *p = digits + sizeof digits;
    do *--p = (uint8_t)('0' + hash % 10);
    while (hash /= 10);
    size_t count = (size_t)(digits + sizeof digits - p);
    memcpy(room, d->prefix, d->prefix_length);
    memcpy(room + d->prefix_length, p, count);
    *name = room;
    return d->prefix_length + count;
}

static void add(atomic_ullong *counter, unsigned long long n) {
    /* One writer: no locked instruction needed. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void observe(struct driver *d, int64_t latency) {
    uint64_t v = latency > 0 ? (uint64_t)latency : 0;
    unsigned bits = v >= HISTOGRAM_STEPS ? 63u - (unsigned)__builtin_clzll(v) - 6 : 0;
    uint64_t bucket = bits * (uint64_t)HISTOGRAM_STEPS + (v >> bits);
    if (bucket >= HISTOGRAM_BUCKETS) bucket = HISTOGRAM_BUCKETS - 1;
    add(&d->histogram[bucket], 1);
}

/* Sends the operation of a row that is filled in but for the times. False: no room at the moment. */
static bool send_row(struct driver *d, uint64_t row, uint64_t mark, int64_t intended, int64_t now) {
    struct record *record = &d->records[row];
    static const char *const names[] = {"GET", "SET", "INCR", "GET"};
    uint8_t room[64], value[NM_DATAGRAM], payload[NM_PAYLOAD];
    const uint8_t *name, *end = payload + NM_PAYLOAD;
    size_t length = driver_key(d, record->key, room, &name);
    const char *command = names[record->kind];
    uint8_t *p = resp_write_array(payload, end, record->kind == RECORD_WRITE ? 3 : 2);
    p = resp_write_bulk(p, end, command, strlen(command));
    if (p) p = resp_write_bulk(p, end, name, length);
    if (p && record->kind == RECORD_WRITE) {
        value_write(value, d->value_size, record->value);
        p = resp_write_bulk(p, end, value, d->value_size);
    }
    if (!p) {
        d->fatal = "a key and its value do not fit one datagram of 1472 bytes";
        return false;
    }
    bool reads = record->kind == RECORD_READ || record->kind == RECORD_READ_COUNTER;
    if (!d->transport->kind->start(d->transport, reads ? NM_READ : NM_WRITE, nm_group(name, length),
                                   payload, (size_t)(p - payload), row | mark, now))
        return false;
    record->intended = intended;
    record->invoked = now;
    add(&d->issued, 1);
    return true;
}

/* The decimal that a counter holds; nil counts as 0. False: it is no number. */
static bool read_counter(uint64_t *value, const struct resp *r) {
    *value = 0;
    for (size_t i = 0; i < r->length; i++) {
        if (r->text[i] < '0' || r->text[i] > '9') return false;
        *value = *value * 10 + (r->text[i] - '0');
    }
    return true;
}

/* Keeps distinct error texts and how often each came. */
static void note(struct driver *d, const char *text, size_t length) {
    if (length >= MESSAGE_LENGTH) length = MESSAGE_LENGTH - 1;
    for (int i = 0; i < MOST_MESSAGES; i++) {
        if (!d->message_counts[i]) memcpy(d->messages[i], text, length);
        else if (strlen(d->messages[i]) != length || memcmp(d->messages[i], text, length)) continue;
        d->message_counts[i]++;
        return;
    }
}

static enum record_status judge(struct driver *d, struct record *record,
                                const struct nm_completion *c) {
    if (c->status == NM_TIMED_OUT) {
        static const char text[] = "no reply in time";
        note(d, text, sizeof text - 1);
        return RECORD_TIMEOUT;
    }
    if (c->status == NM_TOO_LARGE) {
        d->fatal = "the path takes no datagram of this size (MTU below 1500?)";
        return RECORD_ERROR;
    }
    if (c->status == NM_BY_STREAM) {
        static const char text[] = "a reply longer than a datagram, which the load does not follow";
        note(d, text, sizeof text - 1);
        return RECORD_ERROR;
    }
    struct resp reply;
    resp_read(&reply, c->payload, c->payload + c->length);
    uint64_t count = 0;
    bool fits = record->kind == RECORD_READ        ? reply.type == '$'
                : record->kind == RECORD_WRITE     ? reply.type == '+'
                : record->kind == RECORD_INCREMENT ? reply.type == ':'
                                                   : reply.type == '$' && read_counter(&count, &reply);
    if (c->status == NM_REFUSED || !fits) {
        if (reply.type == '-') note(d, (const char *)reply.text, reply.length);
        else note(d, "a reply of another type", 23);
        return c->status == NM_REFUSED ? RECORD_REFUSED : RECORD_ERROR;
    }
    if (record->kind == RECORD_READ)
        record->value = reply.text ? value_read(reply.text, reply.length) : 0;
    else if (record->kind == RECORD_INCREMENT) record->value = (uint64_t)reply.number;
    else if (record->kind == RECORD_READ_COUNTER) record->value = count;
    return RECORD_OK;
}

static void completed(void *context, const struct nm_completion *c, int64_t now) {
    struct driver *d = context;
    uint64_t row = c->token & ~THEN_WRITE;
    struct record *record = &d->records[row];
    record->responded = now;
    record->flags = (uint8_t)c->flags;
    record->tries = c->tries < UINT8_MAX ? (uint8_t)c->tries : UINT8_MAX;
    record->status = (uint8_t)judge(d, record, c);
    observe(d, now - record->intended);
    add(record->status == RECORD_OK ? &d->done : &d->errors, 1);
    if (c->token & THEN_WRITE && record->status == RECORD_OK && !d->fatal &&
        !send_row(d, row + 1, 0, now, now) && !d->fatal) {
        static const char text[] = "no room for the write of a read-modify-write";
        note(d, text, sizeof text - 1);
        add(&d->errors, 1);
    }
}

/* Fills in the row of the next operation of the trace, and sends it. False: not at the moment. */
static bool issue(struct driver *d, int64_t intended, int64_t now) {
    uint64_t at = d->next, row = d->used;
    enum trace_kind kind = d->kinds[at];
    uint64_t taken = kind == TRACE_READ_MODIFY_WRITE ? 2 : 1;
    if (row + taken > d->rows) {
        d->fatal = "the history is full";
        return false;
    }
    struct record *record = &d->records[row];
    uint64_t id = d->first_id + at;
    *record = (struct record){.kind = RECORD_READ, .key = d->keys[at]};
    switch (kind) {
    case TRACE_UPDATE:
    case TRACE_INSERT:
        record->kind = RECORD_WRITE;
        record->value = id;
        break;
    case TRACE_READ_MODIFY_WRITE:
        record[1] = (struct record){.kind = RECORD_WRITE, .key = record->key, .value = id};
        break;
    case TRACE_INCREMENT:
        record->kind = RECORD_INCREMENT;
        break;
    case TRACE_READ_COUNTER:
        record->kind = RECORD_READ_COUNTER;
        break;
    case TRACE_READ_LATEST:
        while (d->acknowledged < d->inserts &&
               d->records[d->insert_rows[d->acknowledged]].status != RECORD_UNSENT)
            d->acknowledged++;
        if (record->key < d->acknowledged)
            record->key = d->inserted[d->acknowledged - 1 - record->key];
        else record->key = (uint32_t)(d->loaded - 1 - (record->key - d->acknowledged) % d->loaded);
        break;
    default:
        break;
    }
    if (!send_row(d, row, kind == TRACE_READ_MODIFY_WRITE ? THEN_WRITE : 0, intended, now))
        return false;
    if (kind == TRACE_INSERT && d->inserted) {
        d->insert_rows[d->inserts] = row;
        d->inserted[d->inserts++] = record->key;
    }
    d->used += taken;
    d->next++;
    return true;
}

static int64_t intended_at(const struct driver *d, uint64_t position) {
    return d->started + (int64_t)((double)position * 1e9 / d->rate);
}

/* Starts what is due. Returns when to look again for more (replies wake us anyway). */
static int64_t issue_due(struct driver *d, int64_t now) {
    bool open = d->rate > 0;
    for (int burst = 0;; burst++) {
        bool over = d->next == d->length || d->fatal ||
                    atomic_load_explicit(&d->stop, memory_order_relaxed) ||
                    (!open && now - d->started >= d->duration);
        if (over) {
            d->length = d->next;
            return INT64_MAX;
        }
        int64_t due = open ? intended_at(d, d->next) : now;
        if (due > now) return due > now + WAKE_GAP ? due : now + WAKE_GAP;
        if (d->transport->kind->state(d->transport).outstanding >= d->concurrency) return INT64_MAX;
        if (burst == BURST) return now;
        if (!issue(d, due, now)) return now + WAKE_GAP;
    }
}

static void publish(struct driver *d, const struct transport_state *state) {
    atomic_store_explicit(&d->outstanding, state->outstanding, memory_order_relaxed);
    atomic_store_explicit(&d->doubled, state->doubled, memory_order_relaxed);
    atomic_store_explicit(&d->resent, state->resent, memory_order_relaxed);
    atomic_store_explicit(&d->redirected, state->redirected, memory_order_relaxed);
}

void driver_run(struct driver *d) {
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    /* The default slack of 50 us would be added to the latency of every operation. */
    prctl(PR_SET_TIMERSLACK, 1000);
    struct transport *t = d->transport;
    t->completed = completed;
    t->context = d;
    int64_t now = d->started = nm_now();
    while (true) {
        int64_t next = issue_due(d, now);
        t->kind->expire(t, now);
        bool flushed = t->kind->flush(t, now);
        struct transport_state state = t->kind->state(t);
        publish(d, &state);
        if (d->length == d->next && !state.outstanding) break;
        int64_t due = t->kind->next_due(t);
        int64_t wait = (due < next ? due : next) - nm_now();
        wait = wait < 0 ? 0 : wait < LONGEST_WAIT ? wait : LONGEST_WAIT;
        struct pollfd fd = {.fd = t->fd, .events = (short)(POLLIN | (flushed ? 0 : POLLOUT))};
        struct timespec time = {wait / 1000000000, wait % 1000000000};
        if (ppoll(&fd, 1, &time, NULL) > 0 && fd.revents & ~POLLOUT) t->kind->receive(t);
        now = nm_now();
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    d->cpu_seconds = (double)(after.tv_sec - before.tv_sec) +
                     (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}
