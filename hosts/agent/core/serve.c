/* A batch of queries: judge, run, answer (docs/protocol.md). */
#include "core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

uint32_t now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_sec + 1;
}

static void repeat(Core *core, struct item *item, const struct record *record) {
    core->counters[C_DUPLICATES]++;
    if (record->length > REPLY_ROOM && !by_stream(item)) {
        answer_long(core, item, record->flags, record->length);
        return;
    }
    if (record->length > REPLY_ROOM) {
        if ((Py_ssize_t)record->length <= core->stream_room)
            item->grown = malloc(NM_HEADER_LENGTH + (size_t)record->length);
        if (!item->grown) return; /* lost: the client resends */
        core->stream_room -= (Py_ssize_t)record->length;
    }
    memcpy(reply_of(core, item), record->reply, record->length);
    answer(item, record->flags, record->length);
}

/* Duplicate detection. True: to be executed, marked as running until completed or withdrawn. */
static bool admit(Core *core, struct item *item, uint32_t now) {
    struct record *record = NULL;
    switch (sessions_admit(&core->sessions, &item->h, now, &record)) {
    case ADMIT:
        return true;
    case REPEATED:
        repeat(core, item, record);
        return false;
    case FULL:
        refuse(core, item, C_REFUSED_SESSIONS,
               "too many unfinished writes or sessions are remembered here; the write was not "
               "executed (a client says what it has finished in the header field acked)");
        return false;
    case LATE:
        core->counters[C_LATE]++;
        return false;
    case RUNNING:
        core->counters[C_DUPLICATES]++;
        return false;
    }
    return false;
}

/* Makes the Python object of an item that Python must go on with. */
static Query *query_of(struct item *item) {
    Query *q = PyObject_New(Query, &QueryType);
    if (!q) return NULL;
    struct request r;
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    request_parse(&r, p, item->length - NM_HEADER_LENGTH);
    q->datagram = item->object ? Py_NewRef(item->object)
                               : PyBytes_FromStringAndSize((const char *)item->datagram, item->length);
    q->keys = keys_of_item(item);
    q->client = item->h.client, q->seq = item->h.seq, q->acked = item->h.acked;
    q->op = item->h.op, q->flags = item->h.flags, q->service = item->h.service;
    q->group = item->h.group, q->migration = item->h.migration;
    q->ip = ntohl(item->from.sin_addr.s_addr), q->port = ntohs(item->from.sin_port);
    q->hops = item->hops;
    q->write = item->h.op == NM_WRITE;
    q->blind = is_blind(item->command, p, &r);
    q->whole = item->whole;
    if (!q->datagram || !q->keys) Py_CLEAR(q);
    return q;
}

/* Tells the client to ask again; nothing was executed. */
static void retry(Core *core, struct item *item, uint32_t after) {
    nm_put32(reply_of(core, item), after);
    answer(item, NM_RETRY, 4);
    core->counters[C_RETRIES]++;
}

/* Counts a query of an OWNED group. What is long ago counts less and less: all counts are halved
 * whenever they come to this many together. */
static void count_asked(Core *core, uint16_t group) {
    enum { MOST = 1 << 20 };
    core->asked[group]++;
    if (++core->asked_in_all < MOST) return;
    core->asked_in_all = 0;
    for (int i = 0; i < NM_GROUPS; i++) core->asked_in_all += core->asked[i] /= 2;
}

/* What to do with a good query by the state of its group (docs/protocol.md). Returns -1 on a
 * Python error. Whatever needs more than the store is appended to `slow`. */
static int judge(Core *core, struct item *item, uint32_t now, PyObject *slow) {
    uint16_t group = item->h.group;
    uint32_t after;
    /* A double read is one only in the migration that it was doubled for: a late copy from an
     * earlier one would find this agent in another role, and two such answers prove nothing. It is
     * answered like any other read, by the owner. */
    bool write = item->h.op == NM_WRITE;
    item->whole = item->command->traits & T_WHOLE;
    bool twice = !write && item->h.flags & NM_DOUBLE && item->h.migration == core->moving[group];
    core->counters[write ? C_WRITES : C_READS]++;
    if (write) { /* a reply once given stays true, whoever owns the group now */
        if (!admit(core, item, now)) return 0;
    } else {
        sessions_acked(&core->sessions, item->h.client, item->h.acked, now);
    }
    switch ((enum group_state)core->states[group]) {
    case OWNED:
        count_asked(core, group);
        item->run = true, item->reply_flags = NM_AUTHORITATIVE;
        return 0;
    case EMIGRATING:
        if (!twice) break;
        core->counters[C_DOUBLE_READS]++;
        item->run = true, item->reply_flags = NM_FROM_SOURCE;
        return 0;
    case ABSENT:
        if (!core->owners[group]) {
            if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
            refuse(core, item, C_REFUSED_UNASSIGNED,
                   "group %u is not served here and its owner is not known", group);
            return 0;
        }
        if (!twice) break;
        core->counters[core->former[group] ? C_GONE : C_NOT_HERE_YET]++;
        answer(item, core->former[group] ? NM_GONE : 0, 0);
        return 0;
    case IMMIGRATING:
        core->counters[C_IMMIGRATING]++;
        switch (arriving_presence(core, item)) {
        case HERE:
            item->run = true, item->reply_flags = NM_AUTHORITATIVE;
            return 0;
        case NOT_HERE: /* the source's copy is the truth, all of it */
            /* A client can ask the source itself, unless it says that it did so in vain. What we say
             * is about this migration, whatever the read was stamped with. */
            if (!twice && !write && core->moving_told[group] && !(item->h.flags & NM_RETRY)) {
                core->counters[C_SENT_TO_SOURCE]++;
                item->h.migration = core->moving[group];
                item->tell = true;
            } else if (!twice && (after = arriving_missed(core, item))) {
                if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
                retry(core, item, after);
                return 0;
            } else if (!twice) {
                break;
            }
            core->counters[C_NOT_HERE_YET]++;
            answer(item, 0, 0);
            return 0;
        case UNKNOWN:
            break;
        }
        break;
    }
    if (write) sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
    core->counters[C_SLOW]++;
    PyObject *query = (PyObject *)query_of(item);
    if (!query) return -1;
    int result = PyList_Append(slow, query);
    Py_DECREF(query);
    return result;
}

/* Remembers how a write was answered, before anybody is told. */
static void complete(Core *core, struct item *item) {
    sessions_complete(&core->sessions, &item->h, item->reply_flags, reply_of(core, item),
                      item->reply_length);
    journal_done(core, item, reply_of(core, item));
}

static void lost(Core *core, struct item *item, bool started) {
    item->run = false;
    if (item->h.op != NM_WRITE || !started) {
        item->outcome = O_NOT_RUN;
        refuse(core, item, C_REFUSED_STORE, "the store is not reachable; nothing was executed");
        if (item->h.op == NM_WRITE) complete(core, item); /* so that a late copy of it is not either */
        return;
    }
    /* It may or may not have been executed: a resend must not execute it again. */
    item->outcome = O_UNKNOWN;
    refuse(core, item, C_STORE_LOST,
           "the connection to the store was lost; " OUTCOME_UNKNOWN);
    complete(core, item);
}

/* How many bytes of the reply are kept: by TCP what there is room for, and as much of a write's, for
 * its client will come by TCP to fetch it. */
static size_t most_of(const Core *core, const struct item *item) {
    if (!by_stream(item) && item->h.op != NM_WRITE) return REPLY_ROOM;
    Py_ssize_t room = core->stream_room < LONGEST ? core->stream_room : LONGEST;
    return room > REPLY_ROOM ? (size_t)room : REPLY_ROOM;
}

/* Answers with what the store has answered. */
static void done(Core *core, struct item *item, struct capture *c) {
    bool write = item->h.op == NM_WRITE, kept = c->length <= REPLY_ROOM || c->grown.data;
    uint16_t flags = (uint16_t)(item->reply_flags | (c->nil || c->error ? 0 : NM_FOUND));
    item->outcome = c->error ? O_ERROR : O_DONE;
    item->grown = c->grown.data;
    if (kept)
        answer(item, flags, (uint32_t)c->length);
    else if (write || by_stream(item))
        refuse(core, item, C_TOO_LONG_REPLIES,
               "the reply of %zu bytes is longer than %zu, which TCP clients may still take%s",
               c->length, most_of(core, item), write ? "; the write was executed" : "");
    else
        answer_long(core, item, flags, c->length);
    if (write) complete(core, item);
    if (!item->grown) return;
    if (by_stream(item)) core->stream_room -= (Py_ssize_t)c->length;
    else answer_long(core, item, flags, c->length);
}

/* Refuses all writes: there is no room to remember that they were executed. */
static void not_remembered(Core *core, struct item *items, size_t count) {
    const char *why = strerror(errno);
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        if (!item->run || item->h.op != NM_WRITE) continue;
        item->run = false, item->outcome = O_NOT_RUN;
        sessions_withdraw(&core->sessions, item->h.client, item->h.seq);
        refuse(core, item, C_REFUSED_OTHER,
               "the agent cannot write down what it executes (%s); nothing was executed", why);
    }
}

/* One round trip for all items with `run`, and the records of the writes among them. */
static void run(Core *core, struct item *items, size_t count) {
    struct iovec parts[BATCH];
    size_t running = 0;
    if (!journal_room_for(core, items, count)) not_remembered(core, items, count);
    for (size_t i = 0; i < count; i++)
        if (items[i].run)
            parts[running++] = (struct iovec){(void *)(items[i].datagram + NM_HEADER_LENGTH),
                                              items[i].length - NM_HEADER_LENGTH};
    if (!running) return;
    bool alive = store_connect(&core->store), started = alive;
    if (started) journal_intents(core, items, count);
    for (size_t at = 0; alive && at < running;) {
        struct msghdr message = {.msg_iov = parts + at, .msg_iovlen = running - at};
        ssize_t sent = sendmsg(core->store.fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) {
            store_close(&core->store);
            alive = false;
        }
        for (; sent > 0 && at < running && (size_t)sent >= parts[at].iov_len; at++)
            sent -= (ssize_t)parts[at].iov_len;
        if (sent > 0) {
            parts[at].iov_base = (uint8_t *)parts[at].iov_base + sent;
            parts[at].iov_len -= (size_t)sent;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct item *item = &items[i];
        if (!item->run) continue;
        struct capture c = {.data = reply_of(core, item), .room = REPLY_ROOM,
                            .most = most_of(core, item)};
        bool write = item->h.op == NM_WRITE;
        if (write && started) written_note(core, item);
        if (!alive || !(alive = store_skip(&core->store, &c))) {
            free(c.grown.data);
            lost(core, item, started);
            continue;
        }
        if (item->newer && !c.error) arriving_newer(core, item);
        if (!write && item->h.flags & NM_DOUBLE && item->reply_flags & NM_AUTHORITATIVE)
            core->counters[C_DOUBLE_AUTHORITATIVE]++;
        done(core, item, &c);
    }
}

static PyObject *control_of(const struct item *item) {
    const uint8_t *p = item->datagram + NM_HEADER_LENGTH;
    return Py_BuildValue("(BHHHHIkH)", item->h.op, item->h.service, item->h.group,
                         item->h.migration, nm_get16(p), nm_get32(p + 2),
                         (unsigned long)ntohl(item->from.sin_addr.s_addr),
                         ntohs(item->from.sin_port));
}

static void release(struct item *items, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Py_CLEAR(items[i].keys);
        free(items[i].grown);
        items[i].grown = NULL;
    }
}

/* Whether the client asks which groups are on the move. */
static bool wants_told(const struct nm_header *h) {
    return h->op == NM_READ && h->flags & NM_MOVING;
}

/* Whether the client asks for an agent that takes requests by TCP. */
static bool wants_stream(const struct item *item) {
    return item->h.op == NM_READ && item->h.flags & NM_LONG && item->length == NM_HEADER_LENGTH;
}

/* Takes `count` datagrams through everything. Returns (slow queries, control packets). */
static PyObject *serve(Core *core, struct item *items, size_t count) {
    PyObject *slow = PyList_New(0), *control = PyList_New(0);
    uint32_t now = now_seconds();
    bool failed = !slow || !control;
    size_t judged = 0; /* what follows a Python error is as if lost on the wire */
    core->counters[C_RECEIVED] += count;
    for (; judged < count && !failed; judged++) {
        struct item *item = &items[judged];
        item->send = item->run = item->whole = item->newer = item->tell = false;
        item->keys = NULL, item->grown = NULL;
        if (nm_header_get(&item->h, item->datagram, item->length) || item->h.op == NM_REPLY) {
            core->counters[C_MALFORMED]++;
        } else if (wants_stream(item)) {
            if (check_service(core, item)) answer_long(core, item, 0, 0);
        } else if (item->h.op == NM_READ || item->h.op == NM_WRITE) {
            item->tell = wants_told(&item->h);
            failed = check(core, item) && judge(core, item, now, slow) < 0;
        } else if (item->length != NM_HEADER_LENGTH + NM_CONTROL_LENGTH || item->hops ||
                   by_stream(item)) {
            core->counters[C_MALFORMED]++;
        } else {
            PyObject *packet = control_of(item);
            failed = !packet || PyList_Append(control, packet) < 0;
            Py_XDECREF(packet);
        }
    }
    run(core, items, judged);
    answers_send(core, items, judged);
    release(items, judged);
    if (!failed) return Py_BuildValue("(NN)", slow, control);
    Py_XDECREF(slow);
    Py_XDECREF(control);
    return NULL;
}

/* Drains one batch from the socket. None: nothing there. */
PyObject *serve_received(Core *core) {
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){core->received + i * RECEIVE, RECEIVE};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &core->items[i].from,
                                                   .msg_namelen = sizeof core->items[i].from,
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    int count = recvmmsg(core->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) Py_RETURN_NONE; /* EAGAIN, or an ICMP error of an earlier send */
    for (int i = 0; i < count; i++) {
        struct item *item = &core->items[i];
        item->datagram = core->received + (size_t)i * RECEIVE;
        /* port 0 is forged: nothing can be sent there, and to us it means TCP */
        item->length = item->from.sin_port ? messages[i].msg_len : 0;
        item->truncated = messages[i].msg_hdr.msg_flags & MSG_TRUNC;
        item->hops = 0;
        item->object = NULL;
    }
    return serve(core, core->items, (size_t)count);
}

/* The same for queries that another agent handed over, or that came by TCP: (ip, port, hops,
 * datagram) each. */
PyObject *serve_given(Core *core, PyObject *datagrams) {
    Py_ssize_t count = PyList_GET_SIZE(datagrams);
    if (count > BATCH) {
        PyErr_SetString(PyExc_ValueError, "more datagrams than a batch holds");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        struct item *item = &core->items[i];
        unsigned int ip;
        unsigned short port;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(datagrams, i), "IHbO!", &ip, &port, &item->hops,
                              &PyBytes_Type, &item->object))
            return NULL;
        Py_ssize_t length = PyBytes_GET_SIZE(item->object);
        if (length > NM_HEADER_LENGTH + LONGEST) {
            PyErr_SetString(PyExc_ValueError, "a request longer than any can be");
            return NULL;
        }
        item->from = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
                                          .sin_addr.s_addr = htonl(ip)};
        item->datagram = (const uint8_t *)PyBytes_AS_STRING(item->object);
        item->length = (uint32_t)length;
        item->truncated = false;
    }
    return serve(core, core->items, (size_t)count);
}

static void item_of(struct item *item, Query *q) {
    *item = (struct item){
        .from = {.sin_family = AF_INET, .sin_port = htons(q->port),
                 .sin_addr.s_addr = htonl(q->ip)},
        .h = {.op = q->op, .flags = q->flags, .service = q->service, .group = q->group,
              .migration = q->migration, .client = q->client, .seq = q->seq, .acked = q->acked},
        .datagram = (const uint8_t *)PyBytes_AS_STRING(q->datagram),
        .length = (uint32_t)PyBytes_GET_SIZE(q->datagram),
        .hops = q->hops,
        .keys = Py_NewRef(q->keys),
        .whole = q->whole,
        .newer = q->write && q->blind,
        .outcome = O_NOT_RUN,
    };
    item->tell = wants_told(&item->h);
}

/* Executes queries that Python decided to, in order, duplicates excepted. Returns one outcome a
 * query, as bytes. */
PyObject *serve_queries(Core *core, PyObject *queries, int flags) {
    Py_ssize_t total = PyList_GET_SIZE(queries);
    PyObject *outcomes = PyBytes_FromStringAndSize(NULL, total);
    if (!outcomes) return NULL;
    uint32_t now = now_seconds();
    for (Py_ssize_t first = 0; first < total; first += BATCH) {
        Py_ssize_t count = total - first < BATCH ? total - first : BATCH;
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *query = PyList_GET_ITEM(queries, first + i);
            struct item *item = &core->items[i];
            if (!Py_IS_TYPE(query, &QueryType)) {
                PyErr_SetString(PyExc_TypeError, "expected queries");
                release(core->items, (size_t)i);
                Py_DECREF(outcomes);
                return NULL;
            }
            item_of(item, (Query *)query);
            item->reply_flags = (uint16_t)flags;
            item->run = item->h.op != NM_WRITE || admit(core, item, now);
        }
        run(core, core->items, (size_t)count);
        answers_send(core, core->items, (size_t)count);
        release(core->items, (size_t)count);
        for (Py_ssize_t i = 0; i < count; i++)
            PyBytes_AS_STRING(outcomes)[first + i] = (char)core->items[i].outcome;
    }
    return outcomes;
}

/* The same for queries that Python has seen: (query, microseconds) each. */
int serve_retries(Core *core, PyObject *retries) {
    Py_ssize_t total = PyList_GET_SIZE(retries);
    for (Py_ssize_t first = 0; first < total; first += BATCH) {
        Py_ssize_t count = total - first < BATCH ? total - first : BATCH;
        for (Py_ssize_t i = 0; i < count; i++) {
            struct item *item = &core->items[i];
            PyObject *query;
            unsigned int after;
            if (!PyArg_ParseTuple(PyList_GET_ITEM(retries, first + i), "O!I", &QueryType, &query,
                                  &after)) {
                release(core->items, (size_t)i);
                return -1;
            }
            item_of(item, (Query *)query);
            retry(core, item, after);
        }
        answers_send(core, core->items, (size_t)count);
        release(core->items, (size_t)count);
    }
    return 0;
}

int serve_refuse(Core *core, Query *query, const char *message) {
    item_of(core->items, query);
    refuse(core, core->items, C_REFUSED_OTHER, "%s", message);
    answers_send(core, core->items, 1);
    release(core->items, 1);
    return 0;
}
