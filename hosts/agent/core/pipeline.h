/* The second connection to the store: non-blocking, so that queries go on, on the first one, while
 * the keys of groups on the move are read and written. */
#ifndef NETMIGRATE_PIPELINE_H
#define NETMIGRATE_PIPELINE_H

#include "core.h"

typedef struct pipeline Pipeline;
struct job;

struct job_kind {
    /* Takes the next reply. False: a Python error. */
    bool (*reply)(Pipeline *p, struct job *job, const uint8_t *data);
    PyObject *(*result)(Pipeline *p, struct job *job); /* of a job that was answered, all of it */
    void (*drop)(Pipeline *p, struct job *job);        /* frees it */
};

/* Commands that belong together. Their kinds begin with this. */
struct job {
    const struct job_kind *kind;
    struct job *next; /* begun after it */
    size_t owed;      /* replies that are still to come */
    char error[256];  /* the store's first complaint, or nothing */
};

/* Who gets the next replies. */
struct run { struct job *job; size_t replies; };

struct pipeline {
    PyObject_HEAD
    Core *core;
    struct store store;
    struct buffer out, in;
    size_t written, read; /* of out; of in */
    struct scan scan;     /* of the reply at in.data + read */
    struct run *runs;     /* from first_run to last_run */
    size_t first_run, last_run, run_room;
    struct job *jobs, **last;
    bool expiring; /* some key of the store has an expiry, or had of late (dump.c) */
    bool strings;  /* most keys of late were strings */
};
extern PyTypeObject PipelineType;

/* pipeline.c: a kind appends its commands to `out`, then says how many there are. False: no memory,
 * with a Python error; the job is not begun and still the caller's. */
bool pipeline_begin(Pipeline *p, struct job *job, size_t commands);
bool pipeline_more(Pipeline *p, struct job *job, size_t commands); /* of a job that is begun */
void job_fails(struct job *job, const char *what, const uint8_t *text, size_t length);

/* Each begins a job. False: a Python error, and nothing is begun. */
bool call_begin(Pipeline *p, PyObject *commands);
bool list_begin(Pipeline *p, PyObject *groups);
bool dump_begin(Pipeline *p, PyObject *sections, bool piecewise);
bool restore_begin(Pipeline *p, PyObject *body, PyObject *here);
extern const struct job_kind RESTORE;
void restore_spread(struct job *failed);
void restore_missed(Core *core, const uint8_t *body, size_t length);

/* body.c: the body of a KEYS frame. */
enum tag { TAG_GROUP, TAG_KEY, TAG_ABSENT, TAG_END, TAG_STRING, TAG_MORE };
struct entry {
    enum tag tag;
    uint16_t group;
    const uint8_t *key, *value;
    uint32_t key_length, value_length;
    uint64_t expiry;
};
bool body_is_good(const uint8_t *p, size_t length);
bool body_next(const uint8_t **p, const uint8_t *end, struct entry *e);
size_t body_size(const struct entry *e);
uint8_t *body_put(uint8_t *to, const struct entry *e);

/* put.c */
struct strings { struct buffer words; size_t keys; };
int put_entry(struct buffer *b, struct strings *strings, const struct entry *e, size_t *commands);
int put_strings(struct buffer *b, struct strings *strings, size_t *commands);
int put_unlink(struct buffer *b, const struct entry *e, size_t *commands);

#endif
