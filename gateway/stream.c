#include "stream.h"

#include "access_report.h"
#include "clients.h"
#include "conn.h"
#include "counters.h"
#include "encode.h"
#include "error_redirect.h"
#include "field_rules.h"
#include "head_override.h"
#include "limits.h"
#include "push.h"
#include "remote.h"
#include "response_fields.h"
#include "router.h"
#include "stream_error.h"
#include "stream_out.h"
#include "window.h"
#include "worker.h"

struct stream *stream_new(struct conn *c, int32_t id)
{
    struct arena arena;

    /* It lives in its own arena: one allocation for both. */
    arena_init(&arena);
    struct stream *s = arena_zalloc(&arena, sizeof(*s));
    if (!s)
        return NULL;
    s->arena = arena;
    s->conn = c;
    s->loop = c->loop;
    s->id = id;
    s->req.content_length = -1;
    s->out.left = -1;
    s->out.high = STREAM_OUT_HIGH;
    s->created_ms = loop_now_ms(c->loop);
    s->next = c->streams;
    if (s->next)
        s->next->prev = s;
    c->streams = s;
    c->n_streams++;
    atomic_fetch_add_explicit(&c->worker->n_streams, 1, memory_order_relaxed);
    return s;
}

static void stream_free(struct stream *s)
{
    struct conn *c = s->conn;

    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        c->streams = s->next;
    c->n_streams--;
    window_give(c->worker->windows, s->window_extra);
    c->idle_since_ms = loop_now_ms(c->loop);
    worker_out_held(c->worker, -s->out.body.n);
    atomic_fetch_sub_explicit(&c->worker->n_streams, 1, memory_order_relaxed);
    encode_drop(s);
    chain_fini(&s->in);
    chain_fini(&s->out.body);
    open_file_unref(s->out.file);
    struct arena arena = s->arena;
    arena_fini(&arena);
}

int stream_add_field(struct stream *s, struct slice name, struct slice value)
{
    struct request *req = &s->req;
    struct field *fields =
        arena_grow(&s->arena, req->fields, req->n_fields, &req->cap_fields, sizeof(*fields));

    if (!fields)
        return GW_ENO_MEMORY;
    req->fields = fields;
    struct field f = {arena_dup(&s->arena, name), arena_dup(&s->arena, value)};
    if (!f.name.p || !f.value.p)
        return GW_ENO_MEMORY;
    fields[req->n_fields++] = f;
    return 0;
}

void stream_set_target(struct stream *s, struct slice target)
{
    struct request *req = &s->req;
    ssize_t mark = slice_find(target, '?');

    req->target = target;
    req->has_query = mark >= 0;
    req->path = mark < 0 ? target : slice_of(target.p, (size_t)mark);
    req->query = mark < 0 ? slice_of("", 0) : slice_from(target, (size_t)mark + 1);
}

/* ---- the answer ---- */

void stream_abort(struct stream *s, int err)
{
    const struct handler *h = s->handler;

    s->handler = NULL;
    s->finished = true;
    encode_drop(s);
    if (h && h->closed)
        h->closed(s, err);
    if (!s->err)
        s->err = err;
    if (s->over)
        return;
    s->conn->proto->reset(s, err);
    conn_dirty(s->conn);
}

bool stream_take_back(struct stream *s)
{
    if (!encode_is_held(s))
        return false;
    encode_drop(s);
    s->answered = false;
    s->status = 0;
    s->out.left = -1;
    lock_take(&s->conn->mu);
    s->out.no_body = false;
    lock_drop(&s->conn->mu);
    return true;
}

void stream_fail(struct stream *s, int err)
{
    const struct handler *h = s->handler;

    if (!s->over && stream_take_back(s)) {
        s->handler = NULL;
        s->finished = false;
        if (h && h->closed)
            h->closed(s, err);
        stream_error(s, err);
        return;
    }
    stream_log_error(s, err);
    stream_abort(s, err);
}

int stream_send_head(struct stream *s, const struct response *r)
{
    struct response clean = *r;
    int rc = s->override ? head_override_apply(&s->arena, s->override, &clean) : 0;

    loop_assert_owner(s->loop);
    if (rc == 0 && s->error)
        rc = error_answer_apply(&s->arena, s->error, s->request_id, &clean);
    if (rc == 0 && field_rules_any(s))
        rc = field_rules_apply(s, &clean);
    if (rc == 0)
        rc = response_fields_clean(&s->arena, &clean);
    if (s->over || s->finished)
        return GW_ECLIENT_GONE;
    s->status = clean.status;
    s->answered = true;
    bool no_body =
        slice_eq(s->req.method, SLICE("HEAD")) || clean.status == 204 || clean.status == 304;
    if (clean.status == 204)
        clean.content_length = -1; /* RFC 9110 8.6 */
    s->out.left = no_body ? -1 : clean.content_length;
    lock_take(&s->conn->mu);
    s->out.no_body = no_body;
    lock_drop(&s->conn->mu);
    if (rc == 0 && clean.status == 200 && s->route && s->route->push > 0)
        push_links(s, clean.fields, clean.n_fields);
    if (rc == 0 && s->route && s->route->compress)
        rc = encode_head(s, &clean);
    if (rc == 0)
        rc = stream_pass_head(s, &clean);
    if (rc < 0)
        stream_abort(s, rc);
    return rc < 0 ? rc : 0;
}

int stream_send_interim(struct stream *s, int status, const struct field *fields,
                        size_t n_fields)
{
    struct response clean = {.status = status, .fields = fields, .n_fields = n_fields};

    if (s->over || s->answered)
        return 0;
    if (response_fields_clean(&s->arena, &clean) < 0)
        return GW_ENO_MEMORY;
    if (status == 103 && s->route && s->route->push > 0)
        push_links(s, clean.fields, clean.n_fields); /* the promise in front of the hint */
    int rc = s->conn->proto->send_interim(s, status, clean.fields, clean.n_fields);
    conn_dirty(s->conn);
    return rc;
}

bool stream_is_bodiless(const struct stream *s)
{
    loop_assert_owner(s->loop);
    return s->out.no_body; /* written by this thread only */
}

void stream_finish(struct stream *s)
{
    if (s->over || s->finished)
        return;
    if (s->out.left > 0) {
        stream_fail(s, GW_ECGI_SHORT);
        return;
    }
    s->finished = true;
    int rc = s->encoder ? encode_finish(s) : 0;
    if (rc == 0)
        stream_pass_end(s);
    else if (rc < 0)
        stream_fail(s, rc);
    if (!s->in_eof)
        stream_discard_body(s);
}

void stream_answer(struct stream *s, const struct response *r, struct slice body)
{
    if (stream_send_head(s, r) < 0)
        return;
    if (body.n && stream_send_body(s, body.p, body.n) < 0)
        return;
    stream_finish(s);
}

/* ---- the request body ---- */

void stream_want_body(struct stream *s)
{
    if (s->in_eof || s->in_discard)
        return;
    /* RFC 9110 10.1.1: not needed once the client started to send. */
    if (s->req.expect_continue && s->in_total == 0)
        stream_send_interim(s, 100, NULL, 0);
    s->req.expect_continue = false;
    stream_wait_body(s, true);
}

void stream_wait_body(struct stream *s, bool for_client)
{
    uint64_t now = loop_now_ms(s->loop);

    if (for_client == s->waits_for_body)
        return;
    if (for_client)
        s->in_wait_at_ms = now;
    else
        s->in_waited_ms += now - s->in_wait_at_ms;
    s->waits_for_body = for_client;
}

void stream_widen(struct stream *s)
{
    if (!s->in_eof && s->conn->proto->widen)
        s->conn->proto->widen(s, UINT64_MAX);
}

void stream_consumed(struct stream *s, size_t n)
{
    if (n && !s->over)
        s->conn->proto->consumed(s, n);
}

void stream_as_get(struct stream *s)
{
    if (!s->in_eof)
        stream_discard_body(s);
    if (!slice_eq(s->req.method, SLICE("HEAD")))
        s->req.method = SLICE("GET");
    s->req.has_body = false;
    s->req.content_length = -1;
    s->req.protocol = slice_of("", 0);
}

void stream_discard_body(struct stream *s)
{
    s->in_discard = true;
    stream_wait_body(s, false);
    size_t n = s->in.n;
    chain_fini(&s->in);
    stream_consumed(s, n);
}

void stream_handle(struct stream *s, const struct handler *h, void *state)
{
    s->handler = h;
    s->handler_state = state;
    h->start(s);
}

/* ---- what protocols report ---- */

/* Its client may have one more request.  False: s has been answered. */
static bool stream_is_admitted(struct stream *s)
{
    unsigned wait_s;
    int err = clients_stream_begin(s, &wait_s);

    if (err == 0)
        return true;
    struct field after = {SLICE("Retry-After"), arena_printf(&s->arena, "%u", wait_s)};
    stream_error_fields(s, err, &after, after.value.p ? 1 : 0);
    return false;
}

/* One more on its connection; the last is served like any other. */
static void stream_count(struct stream *s)
{
    struct conn *c = s->conn;
    unsigned most = conn_limits(c)->connection_requests;

    c->n_requests++;
    if (!most || c->n_requests < most || c->drains)
        return;
    counter_add(COUNTER_CONNECTION_REQUESTS);
    conn_log_stream(s, CONF_LOG_INFO, GW_OK, "closing; connection_requests=%u", most);
    c->drains = true;
    c->proto->shutdown(c, 0);
    conn_dirty(c);
}

void stream_on_head(struct stream *s)
{
    struct conn *c = s->conn;

    loop_assert_owner(s->loop);
    s->start_us = clock_now_us();
    c->head_since_ms = 0;
    stream_count(s);
    s->asked_method = s->req.protocol.n ? SLICE("CONNECT") : s->req.method;
    s->asked_target = s->req.target;
    int rc = c->is_trusted ? remote_take(s, conn_limits(c)) : 0;
    if (rc < 0)
        stream_error(s, rc);
    else if (stream_is_admitted(s))
        router_handle(c->worker->router, s);
}

void stream_on_bad_head(struct stream *s, int err)
{
    loop_assert_owner(s->loop);
    s->start_us = clock_now_us();
    s->conn->head_since_ms = 0;
    stream_count(s);
    /* What no resource here does (RFC 9110 15.5.6). */
    struct field allow = {SLICE("Allow"), SLICE(STREAM_ALLOW)};
    stream_error_fields(s, err, &allow, err == GW_EREQ_METHOD ? 1 : 0);
}

void stream_on_body(struct stream *s)
{
    loop_assert_owner(s->loop);
    s->in_came_at_ms = loop_now_ms(s->loop);
    if (s->in_eof)
        stream_wait_body(s, false);
    if (s->in_discard) {
        stream_discard_body(s);
        return;
    }
    if (s->body_limit && s->in_total > s->body_limit && !s->finished) {
        stream_give_up(s, GW_EBODY_LARGE);
        stream_discard_body(s);
        return;
    }
    if (s->handler && s->handler->body)
        s->handler->body(s);
}

void stream_on_writable(struct stream *s)
{
    loop_assert_owner(s->loop);
    if (s->handler && s->handler->writable)
        s->handler->writable(s);
}

void stream_on_close(struct stream *s, int err)
{
    struct conn *c = s->conn;
    const struct handler *h = s->handler;

    loop_assert_owner(s->loop);
    assert(!s->over);
    s->over = true;
    if (!s->err)
        s->err = err;
    s->handler = NULL;
    lock_take(&c->mu);
    s->out.closed = true;
    conn_event_forget_locked(c, s);
    lock_drop(&c->mu);
    if (h && h->closed)
        h->closed(s, err);
    if (s->start_us)
        worker_log_access(c->worker, s);
    access_report_drop(s->report);
    s->report = NULL;
    /* That is how clients leave a tunnel, or do without what they have. */
    bool free_reset = (s->tunnel || s->pushed) && err == GW_ECLIENT_RESET;
    bool calm = clients_stream_end(s, free_reset ? 0 : err);
    if (s->limits_taken)
        limits_leave(s);
    stream_free(s);
    if (calm && c->state == CONN_OPEN && !c->ends) {
        c->proto->shutdown(c, GW_ECLIENT_FLOOD);
        conn_end(c, GW_ECLIENT_FLOOD, true);
    }
    if (c->ends || c->drains)
        conn_dirty(c); /* it may be done now */
}

void stream_event_locked(struct stream *s, unsigned ev)
{
    struct conn *c = s->conn;

    lock_assert_held(&c->mu);
    if (s->events == 0) {
        s->next_event = NULL;
        *c->events_tail = s;
        c->events_tail = &s->next_event;
    }
    s->events |= ev;
    if (ev & STREAM_EV_CLOSED)
        s->out.closed = true;
}
