#include "stream.h"

#include <stdlib.h>

#include "access_report.h"
#include "conn.h"
#include "errors.h"
#include "head_override.h"
#include "router.h"
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
    if (s->wide)
        c->worker->n_wide--;
    c->idle_since_ms = loop_now_ms(c->loop);
    worker_out_held(c->worker, -s->out.body.n);
    atomic_fetch_sub_explicit(&c->worker->n_streams, 1, memory_order_relaxed);
    chain_fini(&s->in);
    chain_fini(&s->out.body);
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

/* Fields that belong to one connection (RFC 9110 7.6.1), to the gateway (RFC 3875 6.3.3), or
 * to the protocol's own framing. */
static bool field_is_hop_by_hop(struct slice name)
{
    static const struct slice names[] = {
        {"Connection", 10}, {"Keep-Alive", 10}, {"Transfer-Encoding", 17},
        {"Status", 6},      {"Upgrade", 7},     {"Content-Length", 14},
        {"Trailer", 7},     {"TE", 2},          {"Proxy-Connection", 16},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_ieq(name, names[i]))
            return true;
    }
    return false;
}

/* A response field that could forge another, or that HTTP/2 would refuse (RFC 9110 5.5,
 * 5.6.2). */
static bool field_is_sound(const struct field *f)
{
    if (f->name.n == 0)
        return false;
    for (size_t i = 0; i < f->name.n; i++) {
        unsigned char ch = (unsigned char)f->name.p[i];
        if (ch <= ' ' || ch >= 0x7f || ch == ':')
            return false;
    }
    return !memchr(f->value.p ? f->value.p : "", '\n', f->value.n) &&
           !memchr(f->value.p ? f->value.p : "", '\r', f->value.n) &&
           !memchr(f->value.p ? f->value.p : "", '\0', f->value.n);
}

static int fields_clean(struct arena *a, struct response *r)
{
    size_t n = 0;
    struct field *clean = arena_alloc(a, (r->n_fields + 1) * sizeof(*clean));

    if (!clean)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!field_is_hop_by_hop(r->fields[i].name) && field_is_sound(&r->fields[i]))
            clean[n++] = r->fields[i];
    }
    r->fields = clean;
    r->n_fields = n;
    return 0;
}

/* Give up: nobody hears of s any more but the protocol, which ends it.  A handler is told by
 * closed(). */
static void stream_abort(struct stream *s, int err)
{
    const struct handler *h = s->handler;

    s->handler = NULL;
    s->finished = true;
    if (h && h->closed)
        h->closed(s, err);
    if (!s->err)
        s->err = err;
    if (s->over)
        return;
    s->conn->proto->reset(s, err);
    conn_dirty(s->conn);
}

int stream_send_head(struct stream *s, const struct response *r)
{
    struct response clean = *r;
    int rc = s->override ? head_override_apply(&s->arena, s->override, &clean) : 0;

    loop_assert_owner(s->loop);
    if (rc == 0)
        rc = fields_clean(&s->arena, &clean);
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
    s->out.head_sent = true;
    lock_drop(&s->conn->mu);
    if (rc == 0)
        rc = s->conn->proto->send_head(s, &clean);
    if (rc < 0) {
        stream_abort(s, rc);
        return rc;
    }
    conn_dirty(s->conn);
    return 0;
}

int stream_send_interim(struct stream *s, int status, const struct field *fields,
                        size_t n_fields)
{
    struct response clean = {.status = status, .fields = fields, .n_fields = n_fields};

    if (s->over || s->answered)
        return 0;
    if (fields_clean(&s->arena, &clean) < 0)
        return GW_ENO_MEMORY;
    int rc = s->conn->proto->send_interim(s, status, clean.fields, clean.n_fields);
    conn_dirty(s->conn);
    return rc;
}

bool stream_is_bodiless(const struct stream *s)
{
    loop_assert_owner(s->loop);
    return s->out.no_body; /* written by this thread only */
}

/* Cut n to what the announced Content-Length leaves (RFC 9110 8.6: never more than said). */
static size_t stream_cut(struct stream *s, size_t n)
{
    if (s->out.left < 0)
        return n;
    if ((uint64_t)n > (uint64_t)s->out.left)
        n = (size_t)s->out.left;
    s->out.left -= (int64_t)n;
    return n;
}

/* How much of its body is kept for the client before the producer is to wait. */
static size_t stream_high(const struct stream *s)
{
    bool pressed = worker_is_pressed(s->conn->worker);

    return pressed ? STREAM_PRESSED_HIGH : s->out.slow ? STREAM_SLOW_HIGH : STREAM_OUT_HIGH;
}

static void stream_full_locked(struct stream *s, size_t high)
{
    lock_assert_held(&s->conn->mu);
    s->out.want_writable = true;
    s->out.low = high / 2;
}

/* k is a filled chunk, or p[0..n) is copied. */
static ssize_t stream_put(struct stream *s, struct chunk *k, const void *p, size_t n)
{
    struct conn *c = s->conn;
    size_t high = stream_high(s);
    int rc = 0;

    loop_assert_owner(s->loop);
    if (s->over || s->finished) {
        free(k);
        return 0;
    }
    s->out.high = high;
    loop_scratch_small(s->loop, high == STREAM_PRESSED_HIGH);
    n = stream_cut(s, n);
    if (k)
        k->len = k->off + (uint32_t)n;
    lock_take(&c->mu);
    if (s->out.closed || s->out.no_body || n == 0) {
        free(k);
    } else {
        if (k)
            chain_append_chunk(&s->out.body, k);
        else
            rc = chain_append(&s->out.body, p, n);
        if (rc == 0) {
            worker_out_held(c->worker, n); /* before some of it is taken */
            c->proto->body_ready(s);
        }
    }
    size_t buffered = s->out.body.n;
    if (buffered >= high)
        stream_full_locked(s,
                           high); /* until the low mark, though less may be added meanwhile */
    lock_drop(&c->mu);
    if (rc < 0) {
        stream_abort(s, rc);
        return rc;
    }
    conn_dirty(c);
    return (ssize_t)buffered;
}

ssize_t stream_send_body(struct stream *s, const void *p, size_t n)
{
    return stream_put(s, NULL, p, n);
}

ssize_t stream_send_chunk(struct stream *s, struct chunk *k)
{
    return stream_put(s, k, NULL, k->len - k->off);
}

void stream_slow(struct stream *s, struct chain *ret_back)
{
    struct stream_out *out = &s->out;

    out->slow = true;
    size_t high = stream_high(s);
    struct chunk *kept = chunk_new(high);
    lock_take(&s->conn->mu);
    if (kept && out->body.n > high) {
        kept->len = (uint32_t)chain_take(&out->body, kept->data, high);
        chain_move(ret_back, &out->body);
        worker_out_held(s->conn->worker, -ret_back->n);
        chain_append_chunk(&out->body, kept);
        kept = NULL;
        stream_full_locked(s, high);
    }
    lock_drop(&s->conn->mu);
    free(kept);
    if (out->left >= 0)
        out->left += (int64_t)ret_back->n; /* it will be counted again */
}

void stream_caught_up(struct stream *s)
{
    s->out.slow = false;
}

static void stream_log_error(const struct stream *s, int err)
{
    int status = gw_err_status(err);
    bool ours = status >= 500 && err != GW_EREQ_CODING && err != GW_EREQ_VERSION;
    int level = ours ? CONF_LOG_ERROR : CONF_LOG_INFO;

    conn_log(s->conn, level, err, "site=%s pool=%s request=\"%.*s %.*s\"",
             s->site ? s->site->name : "-", s->pool_name ? s->pool_name : "-",
             SLICE_FMT(s->req.method), SLICE_FMT(s->req.target));
}

void stream_finish(struct stream *s)
{
    struct conn *c = s->conn;

    if (s->over || s->finished)
        return;
    if (s->out.left > 0) {
        stream_log_error(s, GW_ECGI_SHORT);
        stream_abort(s, GW_ECGI_SHORT);
        return;
    }
    s->finished = true;
    lock_take(&c->mu);
    s->out.eof = true;
    if (!s->out.closed)
        c->proto->body_ready(s);
    lock_drop(&c->mu);
    if (!s->in_eof)
        stream_discard_body(s);
    conn_dirty(c);
}

void stream_answer(struct stream *s, const struct response *r, struct slice body)
{
    if (stream_send_head(s, r) < 0)
        return;
    if (body.n && stream_send_body(s, body.p, body.n) < 0)
        return;
    stream_finish(s);
}

void stream_error_fields(struct stream *s, int err, const struct field *fields, size_t n_fields)
{
    int status = gw_err_status(err);

    s->handler = NULL;
    s->override = NULL; /* it was for what is not there */
    if (s->over || s->finished)
        return;
    if (!s->err)
        s->err = err;
    stream_log_error(s, err);
    if (s->answered || status == 0) {
        stream_abort(s, err);
        return;
    }
    struct slice type;
    struct slice page = error_page(&s->arena, status, &type);
    struct field *all = arena_alloc(&s->arena, (n_fields + 1) * sizeof(*all));
    if (!all) {
        stream_abort(s, GW_ENO_MEMORY);
        return;
    }
    for (size_t i = 0; i < n_fields; i++)
        all[i] = fields[i];
    all[n_fields] = (struct field){SLICE("Content-Type"), type};
    struct response r = {
        .status = status,
        .fields = all,
        .n_fields = n_fields + 1,
        .content_length = (int64_t)page.n,
    };
    stream_answer(s, &r, page);
}

void stream_error(struct stream *s, int err)
{
    stream_error_fields(s, err, NULL, 0);
}

void stream_give_up(struct stream *s, int err)
{
    const struct handler *h = s->handler;

    s->handler = NULL;
    if (h && h->closed)
        h->closed(s, err);
    if (!s->finished) {
        stream_error(s, err);
        return;
    }
    stream_log_error(s, err);
    stream_abort(s, err); /* what was handed in will never be taken */
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
    s->body_at_ms = loop_now_ms(s->loop);
    s->waits_for_body = true;
}

enum { WIDE_MAX = 8, WIDE_WINDOW = 8 * 1024 * 1024 };

void stream_widen(struct stream *s)
{
    struct worker *w = s->conn->worker;

    if (s->wide || s->in_eof || !s->conn->proto->widen || w->n_wide >= WIDE_MAX)
        return;
    s->wide = true;
    w->n_wide++;
    s->conn->proto->widen(s, WIDE_WINDOW);
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
}

void stream_discard_body(struct stream *s)
{
    s->in_discard = true;
    s->waits_for_body = false;
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

void stream_on_head(struct stream *s)
{
    struct conn *c = s->conn;

    loop_assert_owner(s->loop);
    s->start_us = clock_now_us();
    s->body_at_ms = loop_now_ms(s->loop);
    c->head_since_ms = 0;
    c->n_requests++;
    s->asked_method = s->req.method;
    s->asked_target = s->req.target;
    router_handle(c->worker->router, s);
}

void stream_on_bad_head(struct stream *s, int err)
{
    loop_assert_owner(s->loop);
    s->start_us = clock_now_us();
    s->conn->head_since_ms = 0;
    s->conn->n_requests++;
    /* What no resource here does (RFC 9110 15.5.6). */
    struct field allow = {SLICE("Allow"),
                          SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")};
    stream_error_fields(s, err, &allow, err == GW_EREQ_METHOD ? 1 : 0);
}

void stream_on_body(struct stream *s)
{
    loop_assert_owner(s->loop);
    s->body_at_ms = loop_now_ms(s->loop);
    if (s->in_eof)
        s->waits_for_body = false;
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
    stream_free(s);
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

void stream_out_took_locked(struct stream *s, size_t n)
{
    lock_assert_held(&s->conn->mu);
    s->out.n_body += n;
    worker_out_held(s->conn->worker, -n);
    if (s->out.want_writable && s->out.body.n < s->out.low) {
        s->out.want_writable = false;
        stream_event_locked(s, STREAM_EV_WRITABLE);
    }
}
