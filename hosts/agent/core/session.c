/* Completion records: what each client session's unfinished writes were answered, so that a resend
 * is answered again and never executed again (invariant 5).
 *
 * Invariants: a session has no record with seq ≤ its watermark `acked`; every record is in its
 * session's list and in its group's; an entry without record is a write that runs right now. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

enum {
    RECORD_BYTES = 1 << 28,
    LONG_BYTES = RECORD_BYTES / 2, /* of which long replies leave some to short ones */
    WATERMARK = 12,
};

struct entry { uint32_t seq; struct record *record; };

struct session {
    struct session *next; /* in the hash chain */
    struct session *newer, *older;
    uint64_t client, changed;
    uint32_t acked, seen;
    uint32_t count, capacity;
    struct entry *entries;
};

static struct session **chain(struct sessions *all, uint64_t client) {
    uint64_t h = client * 0x9e3779b97f4a7c15u;
    return &all->table[(h >> 40) & (SESSIONS - 1)];
}

static struct session *find(struct sessions *all, uint64_t client) {
    struct session *s = *chain(all, client);
    while (s && s->client != client) s = s->next;
    return s;
}

static void unlist(struct sessions *all, struct session *s) {
    if (s->newer) s->newer->older = s->older;
    else if (all->newest == s) all->newest = s->older;
    if (s->older) s->older->newer = s->newer;
    s->newer = s->older = NULL;
}

static struct session *find_or_add(struct sessions *all, uint64_t client, uint32_t now) {
    struct session *s = find(all, client);
    if (!s && (s = calloc(1, sizeof *s))) {
        struct session **at = chain(all, client);
        s->client = client, s->next = *at, *at = s;
        all->count++;
    }
    if (s) s->seen = now;
    return s;
}

static void discard(struct sessions *all, struct record *r) {
    if (!r) return;
    *r->link = r->next;
    if (r->next) r->next->link = r->link;
    all->bytes -= sizeof *r + r->length;
    free(r);
}

static struct entry *entry_of(struct session *s, uint32_t seq) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->entries[i].seq == seq) return &s->entries[i];
    return NULL;
}

static struct entry *entry_add(struct session *s, uint32_t seq) {
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 8;
        struct entry *entries = realloc(s->entries, capacity * sizeof *entries);
        if (!entries) return NULL;
        s->entries = entries, s->capacity = capacity;
    }
    s->entries[s->count] = (struct entry){seq, NULL};
    return &s->entries[s->count++];
}

static void advance(struct sessions *all, struct session *s, uint32_t acked) {
    if (acked <= s->acked) return;
    s->acked = acked;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        struct entry e = s->entries[i];
        /* a running write stays: its reply is on the way */
        if (e.record && e.seq <= acked) discard(all, e.record);
        else s->entries[kept++] = e;
    }
    s->count = kept;
    unlist(all, s);
    s->changed = ++all->clock;
    s->older = all->newest;
    if (s->older) s->older->newer = s;
    all->newest = s;
}

int sessions_init(struct sessions *all) {
    all->table = calloc(SESSIONS, sizeof *all->table);
    return all->table ? 0 : -1;
}

static void release(struct sessions *all, struct session *s) {
    for (uint32_t i = 0; i < s->count; i++) discard(all, s->entries[i].record);
    unlist(all, s);
    free(s->entries);
    free(s);
    all->count--;
}

size_t sessions_forget(struct sessions *all, uint32_t before) {
    size_t forgotten = 0;
    for (size_t i = 0; all->table && i < SESSIONS; i++)
        for (struct session **at = &all->table[i]; *at;) {
            struct session *s = *at;
            if (s->seen >= before) {
                at = &s->next;
                continue;
            }
            *at = s->next;
            release(all, s);
            forgotten++;
        }
    return forgotten;
}

void sessions_free(struct sessions *all) {
    sessions_forget(all, UINT32_MAX);
    free(all->table);
    all->table = NULL;
}

/* Moves the watermark of a known session. An unknown one has no records that it could drop. */
void sessions_acked(struct sessions *all, uint64_t client, uint32_t acked, uint32_t now) {
    struct session *s = find(all, client);
    if (!s) return;
    s->seen = now;
    advance(all, s, acked);
}

/* Judges a write; ADMIT marks it as running. */
enum admission sessions_admit(struct sessions *all, const struct nm_header *h, uint32_t now,
                              struct record **record) {
    struct session *s = find(all, h->client);
    if (!s && all->count >= SESSIONS) return FULL;
    if (!s && !(s = find_or_add(all, h->client, now))) return FULL;
    s->seen = now;
    advance(all, s, h->acked);
    if (h->seq <= s->acked) return LATE;
    struct entry *e = entry_of(s, h->seq);
    if (e && (*record = e->record)) return REPEATED;
    if (e) return RUNNING;
    if (s->count >= SESSION_RECORDS || all->bytes >= RECORD_BYTES) return FULL;
    return entry_add(s, h->seq) ? ADMIT : FULL;
}

/* Marks a write as running that an earlier process of this agent had admitted. */
void sessions_intend(struct sessions *all, uint64_t client, uint32_t seq, uint32_t acked,
                     uint32_t now) {
    struct session *s = find_or_add(all, client, now);
    if (!s) return;
    advance(all, s, acked);
    if (seq > s->acked && !entry_of(s, seq)) entry_add(s, seq);
}

/* Forgets a running write that was not executed after all. */
void sessions_withdraw(struct sessions *all, uint64_t client, uint32_t seq) {
    struct session *s = find(all, client);
    struct entry *e = s ? entry_of(s, seq) : NULL;
    if (e && !e->record) *e = s->entries[--s->count];
}

static bool attach(struct sessions *all, struct session *s, struct entry *e, uint16_t group,
                   uint16_t flags, const uint8_t *reply, size_t length) {
    char text[NOT_KEPT];
    if (length > REPLY_ROOM && all->bytes + length > LONG_BYTES) {
        length = (size_t)not_kept(text, length, "was too much to be kept");
        reply = (const uint8_t *)text, flags = NM_ERROR;
    }
    struct record *r = malloc(sizeof *r + length);
    if (!r) return false;
    *r = (struct record){.next = all->groups[group], .link = &all->groups[group],
                         .client = s->client, .seq = e->seq, .group = group, .flags = flags,
                         .length = (uint32_t)length};
    if (length) memcpy(r->reply, reply, length);
    if (r->next) r->next->link = &r->next;
    all->groups[group] = r;
    all->bytes += sizeof *r + length;
    e->record = r;
    return true;
}

/* Records the reply of a running write. Late in one case: the client has acknowledged it already
 * (its watermark came with a later request of the same batch), then nothing is kept. */
bool sessions_complete(struct sessions *all, const struct nm_header *h, uint16_t flags,
                       const uint8_t *reply, size_t length) {
    struct session *s = find(all, h->client);
    struct entry *e = s ? entry_of(s, h->seq) : NULL;
    if (!e || e->record) return false;
    if (h->seq <= s->acked) {
        *e = s->entries[--s->count];
        return true;
    }
    return attach(all, s, e, h->group, flags, reply, length);
}

/* Writes what a resend is answered instead of a long reply. Returns its length. */
int not_kept(char *to, size_t length, const char *why) {
    return snprintf(to, NOT_KEPT,
                    "-ERR netmigrate: the write was executed; its reply of %zu bytes %s\r\n", length,
                    why);
}

void record_head(uint8_t *to, uint64_t client, uint32_t seq, uint16_t flags, uint32_t length) {
    nm_put64(to, client);
    nm_put32(to + 8, seq);
    nm_put16(to + 12, flags);
    nm_put32(to + 14, length);
}

/* Appends the group's records: client, seq, flags, length, reply each. Long replies only if `whole`:
 * they are not for the journal. */
bool sessions_dump(struct sessions *all, uint16_t group, bool whole, struct buffer *to) {
    for (struct record *r = all->groups[group]; r; r = r->next) {
        uint8_t head[RECORD_HEAD];
        char text[NOT_KEPT];
        const void *reply = r->reply;
        uint32_t length = r->length;
        uint16_t flags = r->flags;
        if (length > REPLY_ROOM && !whole) {
            length = (uint32_t)not_kept(text, length, "is gone: the agent was restarted");
            reply = text, flags = NM_ERROR;
        }
        record_head(head, r->client, r->seq, flags, length);
        if (buffer_add(to, head, sizeof head) < 0 || buffer_add(to, reply, length) < 0)
            return false;
    }
    return true;
}

/* Takes over records of a group; what is known already stays. */
const char *sessions_load(struct sessions *all, uint16_t group, const uint8_t *p, size_t n,
                          uint32_t now) {
    while (n) {
        if (n < RECORD_HEAD) return "a completion record is cut short";
        uint64_t client = nm_get64(p);
        uint32_t seq = nm_get32(p + 8);
        uint16_t flags = nm_get16(p + 12);
        uint32_t length = nm_get32(p + 14);
        p += RECORD_HEAD, n -= RECORD_HEAD;
        if (length > n) return "a completion record's reply is cut short";
        struct session *s = find_or_add(all, client, now);
        struct entry *e = s ? entry_of(s, seq) : NULL;
        if (s && !e && seq > s->acked) e = entry_add(s, seq);
        if (e && !e->record)
            attach(all, s, e, group, flags, p, length);
        p += length, n -= length;
    }
    return NULL;
}

void sessions_drop(struct sessions *all, uint16_t group) {
    while (all->groups[group]) {
        struct record *r = all->groups[group];
        struct session *s = find(all, r->client);
        struct entry *e = s ? entry_of(s, r->seq) : NULL;
        if (e) *e = s->entries[--s->count];
        discard(all, r);
    }
}

/* Appends (client, acked) of every session whose watermark moved after `since`. */
bool sessions_watermarks(struct sessions *all, uint64_t since, struct buffer *to) {
    for (struct session *s = all->newest; s && s->changed > since; s = s->older) {
        uint8_t mark[WATERMARK];
        nm_put64(mark, s->client);
        nm_put32(mark + 8, s->acked);
        if (buffer_add(to, mark, sizeof mark) < 0) return false;
    }
    return true;
}

const char *sessions_learn(struct sessions *all, const uint8_t *p, size_t n, uint32_t now) {
    if (n % WATERMARK) return "watermarks are cut short";
    for (; n; p += WATERMARK, n -= WATERMARK) {
        struct session *s = find_or_add(all, nm_get64(p), now);
        if (s) advance(all, s, nm_get32(p + 8));
    }
    return NULL;
}
