/* The order in which simple_switch takes a packet through a v1model program.
 *
 * Included at the end of the generated C, after struct packet {struct p4_packet p; hdr; meta; std;}
 * and the program's blocks, so that the compiler sees the whole path of a packet.
 *
 * ingress, then: clone, digest, and one of resubmit, multicast, drop, unicast;
 * egress, then: clone, and one of drop, recirculate, out.
 * Ingress and egress each have a queue and take from it in turn, as simple_switch's threads do. When
 * nothing waits, a packet and the copies that ingress made go through egress at once, in order.
 */

enum {
    P4_NORMAL = 0,
    P4_INGRESS_CLONE = 1,
    P4_EGRESS_CLONE = 2,
    P4_RECIRCULATED = 4,
    P4_REPLICATED = 5,
    P4_RESUBMITTED = 6,
};

/* BMv2 goes round for ever; here a received packet may make this many copies that wait. */
enum { P4_MOST_PASSES = 4096 };

static void p4_zero_metadata(struct packet *c)
{
    memset(&c->meta, 0, sizeof c->meta);
    memset(&c->std, 0, sizeof c->std);
}

static void p4_clear_requests(struct packet *c)
{
    c->p.cloned = c->p.resubmitted = c->p.recirculated = false;
    c->p.digest = 0;
    c->p.truncate = UINT32_MAX;
}

static void p4_start_packet(struct packet *c, const uint8_t *data, uint32_t length)
{
    memset(c, 0, sizeof *c);
    c->p.data = data;
    c->p.length = c->p.ingress_length = c->p.packet_length = length;
    c->p.truncate = UINT32_MAX;
}

/* After a failed assertion, or in a loop without end. */
static P4_COLD void p4_lose(struct p4s *s, struct packet *c)
{
    if (c->p.turns > P4_MOST_TURNS) {
        s->endless++;
        P4_TRACE_EVENT(s, c, P4_TRACE_ENDLESS);
    } else {
        s->failed_asserts++;
        P4_TRACE_EVENT(s, c, P4_TRACE_FAILED);
    }
}

static void p4_parse(struct p4s *s, struct packet *c)
{
    c->p.parsed = c->p.error = c->p.steps = 0;
    c->p.checksum_error = false;
    program_parse(s, c);
    P4_TRACE_EVENT(s, c, P4_TRACE_PARSED, c->p.error, c->p.parsed);
}

/* --- copies ----------------------------------------------------------------------------------- */

static struct packet *p4_take_packet(struct p4s *s)
{
    struct packet *c = s->spare;
    if (c)
        s->spare = c->p.next;
    else
        c = malloc(sizeof *c);
    return c;
}

static void p4_drop_owner(struct packet *c)
{
    if (c->p.owner && --c->p.owner->references == 0)
        free(c->p.owner);
    c->p.owner = NULL;
}

static void p4_give_packet(struct p4s *s, struct packet *c)
{
    p4_drop_owner(c);
    c->p.next = s->spare;
    s->spare = c;
}

/* A copy that shares the bytes; NULL when memory is out: the copy is then lost. */
static struct packet *p4_copy_packet(struct p4s *s, const struct packet *c)
{
    struct packet *copy = p4_take_packet(s);
    if (copy) {
        *copy = *c;
        if (copy->p.owner)
            copy->p.owner->references++;
        p4_clear_requests(copy);
    }
    return copy;
}

static void p4_wait(struct p4_queue *queue, struct packet *c)
{
    c->p.next = NULL;
    if (queue->last)
        queue->last->p.next = c;
    else
        queue->first = c;
    queue->last = c;
}

static bool p4_waits(const struct p4s *s)
{
    return s->ingress.first || s->egress.first;
}

static void p4_wait_for_egress(struct p4s *s, struct packet *c, uint32_t port)
{
    c->p.egress = port;
    p4_wait(&s->egress, c);
}

/* --- egress ----------------------------------------------------------------------------------- */

static void p4_clone_egress(struct p4s *s, const struct packet *c)
{
    const struct p4_replicas *replicas = p4_clone_session(&s->replication, c->p.clone_session);
    if (!replicas || !replicas->count)
        P4_TRACE_EVENT(s, c, P4_TRACE_NO_SESSION, c->p.clone_session);
    for (uint32_t i = 0; replicas && i < replicas->count; i++) {
        struct packet *copy = p4_copy_packet(s, c);
        if (!copy)
            return;
        p4_zero_metadata(copy);
        program_preserve(copy, c, c->p.clone_list);
        copy->std.instance_type_ = P4_EGRESS_CLONE;
        copy->std.egress_rid_ = replicas->list[i].instance & 0xffff;
        copy->p.truncate = replicas->truncate ? replicas->truncate : UINT32_MAX;
        P4_TRACE_COPY(s, c, copy, P4_TRACE_CLONE, c->p.clone_session, replicas->list[i].port,
                      copy->std.egress_rid_);
        p4_wait_for_egress(s, copy, replicas->list[i].port);
    }
}

static void p4_recirculate(struct p4s *s, const struct packet *c)
{
    struct p4_buffer *buffer = malloc(sizeof *buffer + c->p.out_length);
    struct packet *again = buffer ? p4_take_packet(s) : NULL;
    if (!again) {
        free(buffer);
        return;
    }
    buffer->references = 1;
    memcpy(buffer->bytes, s->out, c->p.out_length);
    p4_start_packet(again, buffer->bytes, c->p.out_length);
    again->p.owner = buffer;
    again->p.port = c->p.port;
    program_preserve(again, c, c->p.recirculate_list);
    again->std.instance_type_ = P4_RECIRCULATED;
    again->std.packet_length_ = c->p.out_length;
    P4_TRACE_COPY(s, c, again, P4_TRACE_RECIRCULATE, c->p.out_length);
    p4_wait(&s->ingress, again);
}

static void p4_run_egress(struct p4s *s, struct packet *c, uint32_t port, p4s_emit emit, void *ctx)
{
#ifdef P4_USES_PRIORITY
    /* Like simple_switch without --priority-queues: the only queue of a port is number 0. */
    if (c->std.priority_ != 0) {
        P4_TRACE_EVENT(s, c, P4_TRACE_DROPPED);
        return;
    }
#endif
    c->std.egress_port_ = port & 0x1ff;
    /* Anything but the drop port, as wide as the field. */
    c->std.egress_spec_ = (s->drop_port + 1) & 0x1ff;
    c->std.packet_length_ = c->p.packet_length;
    /* Nothing queues between ingress and egress: depths and time in the queue stay 0. */
#ifdef P4_USES_QUEUE_TIME
    c->std.enq_timestamp_ = (uint32_t)((p4_now_ns() - s->origin_ns) / 1000);
#endif
#ifdef P4_USES_EGRESS_TIME
    c->std.egress_global_timestamp_ = (p4_now_ns() - s->origin_ns) / 1000 & 0xffffffffffffull;
#endif
    c->p.exited = false;
    P4_TRACE_EVENT(s, c, P4_TRACE_EGRESS, port, c->std.egress_rid_);
    program_egress(s, c);
    if (P4_UNLIKELY(c->p.cloned)) {
        p4_clone_egress(s, c);
        c->p.cloned = false;
    }
    if (c->std.egress_spec_ == s->drop_port) {
        P4_TRACE_EVENT(s, c, P4_TRACE_DROPPED);
        return;
    }
    program_compute(s, c);
    c->p.out_length = 0;
    program_deparse(s, c);
    if (P4_UNLIKELY(c->p.failed)) {
        p4_lose(s, c);
        return;
    }
    uint32_t payload = c->p.length - c->p.parsed;
    if (!p4_reserve_out(s, c->p.out_length + payload))
        return;
    if (payload)
        memcpy(s->out + c->p.out_length, c->p.data + c->p.parsed, payload);
    c->p.out_length += payload;
    if (P4_UNLIKELY(c->p.recirculated)) {
        p4_recirculate(s, c);
    } else {
        uint32_t sent = c->p.out_length < c->p.truncate ? c->p.out_length : c->p.truncate;
        P4_TRACE_EVENT(s, c, P4_TRACE_OUT, port, sent, c->p.out_length);
        emit(ctx, port, s->out, sent);
    }
}

/* --- ingress ---------------------------------------------------------------------------------- */

static void p4_copy_to_egress(struct p4s *s, struct packet *copy, uint32_t port, bool waits,
                              p4s_emit emit, void *ctx)
{
    if (waits) {
        p4_wait_for_egress(s, copy, port);
    } else {
        p4_run_egress(s, copy, port, emit, ctx);
        p4_give_packet(s, copy);
    }
}

/* The packet as it came in, parsed anew, with the kept metadata as ingress left it. */
static void p4_clone_ingress(struct p4s *s, const struct packet *c, bool waits, p4s_emit emit,
                             void *ctx)
{
    const struct p4_replicas *replicas = p4_clone_session(&s->replication, c->p.clone_session);
    if (!replicas || !replicas->count) {
        P4_TRACE_EVENT(s, c, P4_TRACE_NO_SESSION, c->p.clone_session);
        return;
    }
    struct packet *clone = p4_take_packet(s);
    if (!clone)
        return;
    const struct p4_replica *last = &replicas->list[replicas->count - 1];
    p4_start_packet(clone, c->p.data, c->p.length);
    P4_TRACE_COPY(s, c, clone, P4_TRACE_CLONE, c->p.clone_session, last->port,
                  last->instance & 0xffff);
    clone->p.ingress_length = c->p.ingress_length;
    clone->p.port = c->p.port;
    clone->std.ingress_port_ = c->p.port & 0x1ff;
    p4_parse(s, clone);
    p4_zero_metadata(clone);
    program_preserve(clone, c, c->p.clone_list);
    clone->std.instance_type_ = P4_INGRESS_CLONE;
    clone->p.truncate = replicas->truncate ? replicas->truncate : UINT32_MAX;
    /* What egress queues may outlive this clone: it shares the bytes' ownership. */
    if ((clone->p.owner = c->p.owner))
        clone->p.owner->references++;
    for (uint32_t i = 0; i + 1 < replicas->count; i++) {
        struct packet *copy = p4_copy_packet(s, clone);
        if (!copy)
            break;
        copy->p.truncate = clone->p.truncate;
        copy->std.egress_rid_ = replicas->list[i].instance & 0xffff;
        P4_TRACE_COPY(s, c, copy, P4_TRACE_CLONE, c->p.clone_session, replicas->list[i].port,
                      copy->std.egress_rid_);
        p4_copy_to_egress(s, copy, replicas->list[i].port, waits, emit, ctx);
    }
    clone->std.egress_rid_ = last->instance & 0xffff;
    p4_copy_to_egress(s, clone, last->port, waits, emit, ctx);
}

static void p4_multicast(struct p4s *s, struct packet *c, bool waits, p4s_emit emit, void *ctx)
{
    const struct p4_replicas *replicas = p4_multicast_group(&s->replication, c->std.mcast_grp_);
    c->std.instance_type_ = P4_REPLICATED;
    if (!replicas || !replicas->count)
        P4_TRACE_EVENT(s, c, P4_TRACE_NO_GROUP, c->std.mcast_grp_);
    for (uint32_t i = 0; replicas && i < replicas->count; i++) {
        struct packet *copy = p4_copy_packet(s, c);
        if (!copy)
            return;
        copy->std.egress_rid_ = replicas->list[i].instance & 0xffff;
        P4_TRACE_COPY(s, c, copy, P4_TRACE_MULTICAST, c->std.mcast_grp_, replicas->list[i].port,
                      copy->std.egress_rid_);
        p4_copy_to_egress(s, copy, replicas->list[i].port, waits, emit, ctx);
    }
}

static void p4_resubmit(struct p4s *s, const struct packet *c)
{
    struct packet *again = p4_take_packet(s);
    if (!again)
        return;
    p4_start_packet(again, c->p.data, c->p.length);
    again->p.port = c->p.port;
    again->p.ingress_length = c->p.ingress_length;
    if ((again->p.owner = c->p.owner))
        again->p.owner->references++;
    program_preserve(again, c, c->p.resubmit_list);
    again->std.instance_type_ = P4_RESUBMITTED;
    again->std.packet_length_ = c->p.length;
    P4_TRACE_COPY(s, c, again, P4_TRACE_RESUBMIT);
    p4_wait(&s->ingress, again);
}

static void p4_run_ingress(struct p4s *s, struct packet *c, p4s_emit emit, void *ctx)
{
    p4_parse(s, c);
    c->p.exited = false;
    program_verify(s, c);
    c->std.parser_error_ = c->p.error;
    c->std.checksum_error_ = c->p.checksum_error;
    c->p.exited = false;
    P4_TRACE_EVENT(s, c, P4_TRACE_INGRESS, c->std.ingress_port_, c->std.instance_type_);
    program_ingress(s, c);
    if (P4_UNLIKELY(c->p.failed)) {
        p4_lose(s, c);
        return;
    }
    bool waits = p4_waits(s) || c->p.resubmitted;
    if (P4_UNLIKELY(c->p.cloned)) {
        p4_clone_ingress(s, c, waits, emit, ctx);
        c->p.cloned = false;
    }
    if (P4_UNLIKELY(c->p.digest))
        program_send_digest(s, c);
    if (P4_UNLIKELY(c->p.resubmitted)) {
        p4_resubmit(s, c);
    } else if (c->std.mcast_grp_ != 0) {
        p4_multicast(s, c, waits, emit, ctx);
    } else if (c->std.egress_spec_ != s->drop_port) {
        c->std.instance_type_ = P4_NORMAL;
        struct packet *copy = P4_UNLIKELY(waits) ? p4_copy_packet(s, c) : NULL;
        if (copy) {
            copy->p.truncate = c->p.truncate;
            p4_wait_for_egress(s, copy, c->std.egress_spec_);
        } else {
            p4_run_egress(s, c, c->std.egress_spec_, emit, ctx);
        }
    } else {
        P4_TRACE_EVENT(s, c, P4_TRACE_DROPPED);
    }
}

/* --- what waits ------------------------------------------------------------------------------- */

static struct packet *p4_next(struct p4s *s, struct p4_queue *queue, uint32_t *passes)
{
    struct packet *c = queue->first;
    if (!c)
        return NULL;
    queue->first = c->p.next;
    if (!queue->first)
        queue->last = NULL;
    if (++*passes <= P4_MOST_PASSES)
        return c;
    s->endless++;
    P4_TRACE_EVENT(s, c, P4_TRACE_ENDLESS);
    p4_give_packet(s, c);
    return NULL;
}

static P4_COLD void p4_run_waiting(struct p4s *s, p4s_emit emit, void *ctx)
{
    uint32_t passes = 0;
    while (p4_waits(s)) {
        struct packet *c = p4_next(s, &s->ingress, &passes);
        if (c) {
            p4_run_ingress(s, c, emit, ctx);
            p4_give_packet(s, c);
        }
        c = p4_next(s, &s->egress, &passes);
        if (c) {
            p4_run_egress(s, c, c->p.egress, emit, ctx);
            p4_give_packet(s, c);
        }
    }
}

void p4s_process(struct p4s *s, uint32_t port, const uint8_t *data, uint32_t length, p4s_emit emit,
                 void *ctx)
{
    struct packet *c = s->main;
    P4_TRACE_BEGIN(s, port, length);
    p4_start_packet(c, data, length);
    c->p.port = port;
    c->std.ingress_port_ = port & 0x1ff;
    c->std.packet_length_ = length;
#ifdef P4_USES_INGRESS_TIME
    c->std.ingress_global_timestamp_ = (p4_now_ns() - s->origin_ns) / 1000 & 0xffffffffffffull;
#endif
    p4_run_ingress(s, c, emit, ctx);
    if (P4_UNLIKELY(p4_waits(s)))
        p4_run_waiting(s, emit, ctx);
    P4_TRACE_END(s);
}
