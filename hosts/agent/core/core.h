/* The agent's hot path: receive a batch, judge each query, one pipelined round trip to the store,
 * send the replies. One thread; a batch is executed completely before Python can change the state
 * of a group, so at most one owner executes writes (docs/consistency.md, invariant 1). */
#ifndef NETMIGRATE_CORE_H
#define NETMIGRATE_CORE_H /* included first: recvmmsg and sendmmsg are GNU extensions */

#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../../wire/wire.h"

enum {
    BATCH = 256,
    DATAGRAM = 1472,        /* largest UDP payload in an MTU of 1500 */
    REPLY_ROOM = DATAGRAM - NM_HEADER_LENGTH,
    RECEIVE = 2048,         /* room per received datagram: enough to see that it is too long */
    ARGUMENTS = 256,        /* more do not fit a datagram: the shortest takes 6 bytes */
    LONGEST = (1 << 30) - (1 << 16), /* bytes of a request or reply by TCP: what a frame takes */
    COMMANDS = 2048,        /* slots of the command table, a power of two */
    LOGIN = 1024,           /* room for an AUTH command */
    NAME = 48,              /* longest command name with its subcommand */
    SESSIONS = 1 << 17,     /* client sessions remembered */
    SESSION_RECORDS = 4096, /* unfinished writes per session */
};

#define OUTCOME_UNKNOWN "whether the write was executed is not known"

enum group_state { ABSENT, OWNED, EMIGRATING, IMMIGRATING };

/* Counted by the core; the names are in hosts/agent/counters.py, in this order. */
enum counter {
    C_RECEIVED, C_READS, C_WRITES, C_DUPLICATES, C_LATE, C_DOUBLE_READS, C_NOT_HERE_YET, C_GONE,
    C_IMMIGRATING, C_DOUBLE_AUTHORITATIVE, C_RETRIES, C_SENT_TO_SOURCE, C_SLOW, C_SENT, C_SEND_FAILED, C_STORE_LOST, C_TOO_LONG_REPLIES, C_STREAMED,
    C_MALFORMED, C_REFUSED_SERVICE, C_REFUSED_PAYLOAD, C_REFUSED_COMMAND, C_REFUSED_GROUP,
    C_REFUSED_OP, C_REFUSED_UNASSIGNED, C_REFUSED_SESSIONS, C_REFUSED_STORE, C_REFUSED_OTHER,
    C_COUNT,
};

/* What the core must know of a command; hosts/agent/commands.py derives it from COMMAND. */
enum trait {
    T_WRITE = 1,       /* executed at most once, only by the owner */
    T_MOVABLE = 2,     /* its keys are where COMMAND GETKEYS says */
    T_CONTAINER = 4,   /* the subcommand decides */
    T_BLIND = 8,       /* its outcome does not depend on what its keys hold */
    T_BLIND_SET = 16,  /* the same, unless one of NX, XX, GET and KEEPTTL is among its options */
    T_WHOLE = 32,      /* may touch any key of its group */
    T_NO_BLOCK = 64,   /* refused with a BLOCK argument */
};

struct command {
    char name[NAME];
    uint8_t name_length;
    int arity, first, last, step;
    uint32_t traits;
    char *refusal; /* NULL: may be executed */
};

struct slice { uint32_t offset, length; };

/* A parsed request: where its arguments are in the payload. The arguments are those of the request
 * that was parsed last: there is one thread, and it looks at one request at a time. */
struct request {
    int count;
    uint32_t body; /* offset of the first argument, behind the array's own line */
    const struct slice *arguments;
};

/* A growing byte string. */
struct buffer { uint8_t *data; size_t length, capacity; };

int buffer_reserve(struct buffer *b, size_t more);
int buffer_add(struct buffer *b, const void *data, size_t length);
int buffer_bulk(struct buffer *b, const void *data, size_t length);
int buffer_head(struct buffer *b, char type, size_t value);

/* resp.c */
const char *request_parse(struct request *r, const uint8_t *payload, size_t length);
bool same_word(const uint8_t *p, size_t length, const char *word);

/* Which process the store is; one that lost what it had is not used until that is accepted. */
enum { RUN_ID = 40 };
struct identity {
    char run_id[RUN_ID + 1]; /* empty: none is known yet */
    bool lost, accepted;
};

/* reply.c: replies of the store (RESP2) in memory */
struct scan { size_t at, open; };
#define SCAN ((struct scan){.open = 1}) /* the next reply, from its beginning */
enum whole { PART, WHOLE, BROKEN };
struct reply {
    uint8_t type; /* + - : $ or * */
    bool nil;
    const uint8_t *data; /* of a bulk string, else the line behind its type */
    size_t length;
    long long number;    /* of an integer, or how many elements an array has */
};
enum whole reply_scan(struct scan *scan, const uint8_t *p, size_t length);
struct reply reply_next(const uint8_t **p);
PyObject *reply_object(const uint8_t *p);
PyObject *store_error(const void *text, size_t length);
extern PyObject *StoreError;

/* store.c: a connection to Redis or Valkey. Anything that fails closes it. */
struct store {
    int fd; /* -1: not connected */
    struct identity *identity;
    long long id;            /* of the last connection, by which the store knows it; 0: none */
    char run_id[RUN_ID + 1]; /* of the process that it was to */
    char path[108];
    const char *name; /* by which the store lists it */
    uint8_t login[LOGIN]; /* an AUTH command for each new connection, or nothing */
    size_t login_length;
    uint8_t *in;
    size_t room, start, end;
};
struct capture {
    uint8_t *data;
    size_t room;          /* bytes that `data` has room for */
    size_t most;          /* bytes kept at most; beyond `room` in `grown` */
    size_t length;        /* bytes of the whole reply */
    struct buffer grown;  /* with room for a header before the reply; to be freed */
    bool nil, error;
};
bool store_connect(struct store *s);
bool store_greet(struct store *s); /* greet.c */
void store_close(struct store *s);
bool store_write(struct store *s, const void *data, size_t length);
bool store_skip(struct store *s, struct capture *c); /* one reply, its first bytes kept */
PyObject *store_object(struct store *s);
bool store_commands(struct buffer *to, PyObject *commands);
PyObject *store_call(struct store *s, PyObject *commands);

/* session.c: completion records (docs/consistency.md, invariant 5). */
struct session;
struct record {
    struct record *next, **link; /* the group's records */
    uint64_t client;
    uint32_t seq, length;
    uint16_t group, flags;
    uint8_t reply[];
};
struct sessions {
    struct session **table;
    size_t count, bytes;
    uint64_t clock;
    struct session *newest; /* by the time their watermark moved */
    struct record *groups[NM_GROUPS];
};
enum { RECORD_HEAD = 18 }; /* bytes of a record before its reply, where records are listed */
enum admission { ADMIT, LATE, REPEATED, RUNNING, FULL };
int sessions_init(struct sessions *all);
void sessions_free(struct sessions *all);
enum admission sessions_admit(struct sessions *all, const struct nm_header *h, uint32_t now,
                              struct record **record);
void sessions_acked(struct sessions *all, uint64_t client, uint32_t acked, uint32_t now);
void sessions_intend(struct sessions *all, uint64_t client, uint32_t seq, uint32_t acked,
                     uint32_t now);
void sessions_withdraw(struct sessions *all, uint64_t client, uint32_t seq);
bool sessions_complete(struct sessions *all, const struct nm_header *h, uint16_t flags,
                       const uint8_t *reply, size_t length);
size_t sessions_forget(struct sessions *all, uint32_t before);
enum { NOT_KEPT = 160 }; /* room for what stands for a long reply */
int not_kept(char *to, size_t length, const char *why);
void record_head(uint8_t *to, uint64_t client, uint32_t seq, uint16_t flags, uint32_t length);
bool sessions_dump(struct sessions *all, uint16_t group, bool whole, struct buffer *to);
const char *sessions_load(struct sessions *all, uint16_t group, const uint8_t *p, size_t n,
                          uint32_t now);
void sessions_drop(struct sessions *all, uint16_t group);
bool sessions_watermarks(struct sessions *all, uint64_t since, struct buffer *to);
const char *sessions_learn(struct sessions *all, const uint8_t *p, size_t n, uint32_t now);

/* journal.c: what outlives `kill -9`. */
struct journal {
    int fd;       /* 0: none */
    uint8_t *map; /* NULL: nothing is written down */
    size_t size, half, tail, least;
    char path[1024];
    /* of IMMIGRATING groups: the keys that clients have changed here, Py_True: every key is here */
    PyObject *newer[NM_GROUPS];
    uint16_t cleared[NM_GROUPS]; /* for which migration copies of the group may be written; 0: none */
};

/* A query the core could not finish alone, and what Python needs to go on with it. */
typedef struct {
    PyObject_HEAD
    PyObject *datagram, *keys;
    unsigned long long client;
    unsigned int seq, acked, ip;
    unsigned short flags, service, group, migration, port;
    unsigned char op, hops;
    char write, blind, whole;
} Query;
extern PyTypeObject QueryType;

/* One query of a batch, on its way through: a datagram, or the same without its limit of length that
 * came by TCP. Then the port that it is from is 0, and the address is the index of the server whose
 * agent has the client's connection. */
struct item {
    struct sockaddr_in from;
    struct nm_header h;
    const uint8_t *datagram;
    PyObject *object; /* that holds the datagram, NULL: our own memory; borrowed */
    uint32_t length;
    uint8_t hops;
    bool truncated, send, run;
    uint8_t outcome; /* see `outcome` */
    const struct command *command;
    PyObject *keys; /* of a T_MOVABLE command, or of a Query; owned */
    bool whole;     /* may touch any key of its group */
    bool newer;     /* a blind write in an IMMIGRATING group */
    bool tell;      /* the answer ends with which groups are on the move */
    uint16_t reply_flags;
    uint32_t reply_length; /* of the RESP reply, behind the header */
    uint8_t *grown;        /* the same with the header's room, where it is longer than a datagram */
};
enum outcome { O_DONE, O_ERROR, O_NOT_RUN, O_UNKNOWN };

typedef struct {
    PyObject_HEAD
    int fd;
    bool runs; /* the kernel takes runs of datagrams (outgoing.h) */
    uint16_t service;
    Py_buffer states_view, owners_view, former_view, moving_view;
    const uint8_t *states;  /* group_state of each group */
    const uint16_t *owners; /* server index, 0: nothing known */
    const uint8_t *former;  /* 1: this agent was the group's source */
    const uint16_t *moving; /* migration by which the group last came or went, or is to come */
    struct command *commands;
    bool absolute_expiry; /* the store has PEXPIRETIME */
    struct identity identity; /* of the store */
    struct store store;
    struct sessions sessions;
    struct journal journal;
    struct restore *restores;        /* under way (restore.c) */
    uint32_t restoring[NM_GROUPS];   /* how many of their sections are of the group */
    uint8_t from_first[NM_GROUPS];   /* 1: all that came of the group since its first key is here */
    PyObject *here[NM_GROUPS];    /* of IMMIGRATING groups (arriving.c); NULL: Python knows */
    PyObject *moving_told[NM_GROUPS]; /* ends of replies (moving.c); NULL: nothing is on the move */
    PyObject *missed;       /* takes (group, keys that are not here) of a query; says when to ask again */
    PyObject *answered;     /* takes (server, header, reply) of queries that came by TCP */
    Py_ssize_t stream_room; /* bytes that replies to TCP clients may still take */
    struct nm_stream stream; /* where TCP clients find this agent; no port: nowhere */
    uint32_t asked[NM_GROUPS]; /* queries served of late (judge) of each group that is OWNED */
    uint32_t asked_in_all;
    PyObject *written[NM_GROUPS]; /* where the keys written in a group are noted; NULL: nowhere */
    uint64_t counters[C_COUNT];
    struct item *items;
    uint8_t *received; /* BATCH × RECEIVE */
    uint8_t *replies;  /* BATCH × DATAGRAM */
} Core;

/* Whether the client asks which groups are on the move. */
static inline bool wants_told(const struct nm_header *h) {
    return h->op == NM_READ && h->flags & NM_MOVING;
}

extern PyTypeObject CoreType;
uint32_t now_seconds(void);

/* command.c */
int commands_load(Core *core, PyObject *rows);
const struct command *command_find(const Core *core, const char *name, size_t length);
int next_key(const struct command *c, const struct request *r, int after);

/* answer.c */
uint8_t *reply_of(Core *core, struct item *item);
bool by_stream(const struct item *item);
void answer(struct item *item, uint16_t flags, uint32_t length);
void answer_long(Core *core, struct item *item, uint16_t flags, size_t length);
__attribute__((format(printf, 4, 5))) void refuse(Core *core, struct item *item,
                                                  enum counter reason, const char *format, ...);
void answers_send(Core *core, struct item *items, size_t count);

/* check.c */
bool check_service(Core *core, struct item *item);
bool check(Core *core, struct item *item);
bool is_blind(const struct command *c, const uint8_t *p, const struct request *r);

/* arriving.c */
enum presence { HERE, NOT_HERE, UNKNOWN };
int arriving_set(Core *core, unsigned group, PyObject *here);
enum presence arriving_presence(Core *core, struct item *item);
void arriving_newer(Core *core, const struct item *item);
uint32_t arriving_missed(Core *core, const struct item *item);
PyObject *keys_of_item(const struct item *item);

/* moving.c */
int moving_tell(Core *core, unsigned first, unsigned last, PyObject *told);
void moving_add(Core *core, struct item *item);

/* written.c: which keys were written meanwhile, for a protocol that copies before it hands over. */
int written_track(Core *core, unsigned first, unsigned last, PyObject *written);
void written_note(Core *core, const struct item *item);

/* journal.c */
enum { /* what one batch may add */
    JOURNAL_BATCH = BATCH * (3 * 32 + REPLY_ROOM + DATAGRAM + ARGUMENTS * 16),
};
int journal_open(Core *core, const char *path, size_t least);
void journal_close(struct journal *j);
void journal_room(Core *core, size_t bytes);
bool journal_room_for(Core *core, const struct item *items, size_t count);
void journal_intents(Core *core, const struct item *items, size_t count);
void journal_done(Core *core, const struct item *item, const uint8_t *reply);
void journal_records(Core *core, uint16_t group);
void journal_marks(Core *core, const uint8_t *marks, size_t length);
void journal_drop(Core *core, uint16_t group);
void journal_arrived(Core *core, uint16_t group);
void journal_over(Core *core, uint16_t group);
void journal_cleared(Core *core, uint16_t group, uint16_t migration);

/* serve.c */
PyObject *serve_received(Core *core);
PyObject *serve_given(Core *core, PyObject *datagrams);
PyObject *serve_queries(Core *core, PyObject *queries, int flags);
int serve_retries(Core *core, PyObject *retries);
int serve_refuse(Core *core, Query *query, const char *message);

/* query.c */
Query *query_of(struct item *item); /* NULL: a Python error */
void item_of(struct item *item, Query *q);

/* judge.c */
/* Duplicate detection. True: to be executed, marked as running until completed or withdrawn. */
bool admit(Core *core, struct item *item, uint32_t now);
/* Marks it to be run, or answers it, or appends to `slow` what needs more than the store. -1: a
 * Python error. */
int judge(Core *core, struct item *item, uint32_t now, PyObject *slow);
void retry(Core *core, struct item *item, uint32_t after); /* nothing was executed */

/* run.c */
void run_items(Core *core, struct item *items, size_t count); /* those with `run` */

/* restore.c */
bool restoring(const Core *core, unsigned group, const uint8_t *key, size_t length);
PyObject *restore_now(Core *core, PyObject *body, PyObject *here);

#endif
