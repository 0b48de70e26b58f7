/*
 * HTTP/2 (RFC 9113) on libnghttp2: struct proto over an nghttp2 session.
 *
 * Input runs on the worker: the budget looks at the frames first, then the session reads them,
 * and its callbacks (http2_callbacks.c) note what happened to which stream.  events() acts on
 * the notes without the lock.  Output is made by whoever holds the connection's lease:
 * produce() lets the session serialize straight into the caller's memory, DATA from the
 * streams' chains with one copy, and from files with none.
 */
#include "http2_session.h"

#include <stdlib.h>

#include "stream.h"
#include "worker.h"

enum {
    QUEUE_SLACK = 64, /* frames that may wait beside those that limits allow */
    COLLECTED_HIGH = 4 * 1024 * 1024,
    COLLECTED_LOW = 1024 * 1024,
};

static struct http2 *http2_of(const struct conn *c)
{
    return c->proto_state;
}

/* ---- open and close ---- */

/* RFC 9113 6.5.2, RFC 9218 2.1, RFC 8441 3. */
static int submit_settings(struct http2 *h, const struct conf_gateway *g)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, g->h2_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)g->h2_stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)g->head_limit},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    size_t n = sizeof(settings) / sizeof(settings[0]);

    /* The last one only where it is of use: 0 is what it is without. */
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                   g->websocket ? n : n - 1);
}

static int http2_open(struct conn *c)
{
    const struct conf_gateway *g = conn_limits(c);
    struct http2 *h = calloc(1, sizeof(*h));

    if (!h)
        return GW_ENO_MEMORY;
    h->conn = c;
    h2_budget_init(&h->budget, g->h2_resets, g->h2_control_frames);
    if (h2_session_open(h) != 0)
        goto free_http2;
    if (submit_settings(h, g) != 0 ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                              (int32_t)g->h2_connection_window) != 0)
        goto close_session;
    c->proto_state = h;
    return 0;
close_session:
    h2_session_close(h);
free_http2:
    free(h);
    return GW_ENO_MEMORY;
}

static void http2_close(struct conn *c)
{
    struct http2 *h = http2_of(c);

    if (!h)
        return;
    c->proto_state = NULL;
    h2_linger_close(h);
    h2_window_close(h);
    h2_session_close(h);
    h2_priority_close(h);
    h2_push_close(h);
    free(h);
}

static void http2_cool(struct conn *c)
{
    h2_mem_cool(&http2_of(c)->mem);
}

/* ---- input ---- */

/* Why input ends the connection. */
struct verdict {
    int err;             /* 0: it does not */
    uint32_t code;       /* for GOAWAY */
    const char *why;     /* the library's words, or NULL: */
    struct h2_trip trip; /* the figure that was too high */
};

static struct verdict flooded(struct h2_trip trip)
{
    return (struct verdict){
        .err = GW_ECLIENT_FLOOD, .code = NGHTTP2_ENHANCE_YOUR_CALM, .trip = trip};
}

/* Frames of ours that a client lets pile up by not reading are bounded by what it may cause. */
static bool queue_is_long(struct http2 *h, struct h2_trip *ret)
{
    size_t n = nghttp2_session_get_outbound_queue_size(h->session);
    size_t limit = (size_t)h->budget.max_controls + h->budget.max_resets +
                   4 * (size_t)conn_limits(h->conn)->h2_streams + QUEUE_SLACK;

    *ret = (struct h2_trip){.what = "frames not read",
                            .counter = COUNTER_H2_UNREAD,
                            .figure = (uint32_t)n,
                            .limit = (uint32_t)limit};
    return n > limit;
}

static struct verdict feed_locked(struct http2 *h, struct slice in)
{
    uint64_t now = loop_now_ms(h->conn->loop);
    struct h2_trip trip;

    lock_assert_held(&h->conn->mu);
    if (!h2_budget_input(&h->budget, in, now)) {
        h2_budget_tripped(&h->budget, now, &trip);
        return flooded(trip);
    }
    ssize_t n = h2_check_recv_locked(h, in);
    h2_note_failure(h, (int)n);
    h2_budget_provoked(&h->budget, h->n_provoked, now);
    h->n_provoked = 0;
    if (h2_budget_tripped(&h->budget, now, &trip) || queue_is_long(h, &trip))
        return flooded(trip);
    if (h->trip.what)
        return flooded(h->trip);
    if (h->broken.why)
        return (struct verdict){GW_ECLIENT_PROTO, h->broken.code, h->broken.why, {0}};
    if (n < 0)
        return (struct verdict){
            h2_library_err((int)n), h2_library_code((int)n), nghttp2_strerror((int)n), {0}};
    return (struct verdict){0};
}

static void say_verdict(const struct conn *c, const struct verdict *v)
{
    char within[32] = "";

    if (v->err == GW_ECLIENT_FLOOD) /* the library's words, or ours */
        counter_add(v->why ? COUNTER_H2_LIBRARY : v->trip.counter);
    if (v->why) {
        conn_log(c, CONF_LOG_INFO, v->err, "%s", v->why);
        return;
    }
    if (v->trip.window_s)
        (void)snprintf(within, sizeof(within), " in %u s", v->trip.window_s);
    conn_log(c, CONF_LOG_WARN, v->err, "%u %s%s, limit %u", v->trip.figure, v->trip.what,
             within, v->trip.limit);
}

static void terminate_locked(struct http2 *h, uint32_t code)
{
    lock_assert_held(&h->conn->mu);
    h->said.not_it = true;
    nghttp2_session_terminate_session(h->session, code);
}

static int http2_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct http2 *h = http2_of(c);

    lock_take(&c->mu);
    struct verdict v = feed_locked(h, slice_of(p, n));
    if (v.err) /* conn ends the connection once this went out */
        terminate_locked(h, v.code);
    lock_drop(&c->mu);
    if (v.err)
        say_verdict(c, &v);
    return v.err;
}

/* A request that is not complete will never be; those that are get their answers, then events()
 * ends the connection. */
static int http2_input_eof(struct conn *c)
{
    struct http2 *h = http2_of(c);

    lock_take(&c->mu);
    h->client_eof = true;
    for (struct stream *s = c->streams; s; s = s->next) {
        if (s->in_eof || !s->proto)
            continue;
        if (h2_stream_of(s)->lingers)
            h2_linger_let_go_locked(h, s);
        else
            h2_reset_locked(h, s, GW_ECLIENT_GONE);
    }
    lock_drop(&c->mu);
    conn_dirty(c);
    return 0;
}

/* ---- events ---- */

/* What stream_on_ functions may be called for s, which CLOSED frees. */
static void stream_events(struct stream *s, unsigned ev)
{
    struct h2_stream *hs = h2_stream_of(s);

    if (ev & STREAM_EV_CLOSED) {
        if (hs && hs->collected)
            http2_of(s->conn)->n_collected--;
        /* A request that was reset before anybody saw it costs nothing more: it is not even
         * routed. */
        stream_on_close(s, hs ? hs->err : GW_ENO_MEMORY);
        return;
    }
    if (ev & STREAM_EV_HEAD && hs->bad)
        stream_on_bad_head(s, hs->bad);
    else if (ev & STREAM_EV_HEAD)
        stream_on_head(s);
    if (ev & STREAM_EV_BODY)
        stream_on_body(s);
    if (ev & STREAM_EV_WRITABLE)
        stream_on_writable(s);
}

static bool written_locked(struct http2 *h)
{
    return h->rest_len == 0 && !nghttp2_session_want_write(h->session) &&
           !h2_turn_waits_locked(h);
}

/* Nothing more will be read or written: GOAWAY went out or came in and no stream is left, the
 * session was terminated, or a half-closed client has all its answers. */
static bool over_locked(struct http2 *h)
{
    if (!written_locked(h))
        return false;
    return !nghttp2_session_want_read(h->session) || (h->client_eof && h->n_open == 0);
}

/* The library met a fault, said GOAWAY and will do nothing more. */
static void say_said(const struct conn *c, const struct h2_said *said)
{
    bool flood = said->code == NGHTTP2_ENHANCE_YOUR_CALM;

    if (flood)
        counter_add(COUNTER_H2_LIBRARY);
    conn_log(c, CONF_LOG_INFO, flood ? GW_ECLIENT_FLOOD : GW_ECLIENT_PROTO, "%s%s%s",
             nghttp2_http2_strerror(said->code), said->why ? ": " : "",
             said->why ? said->why : "");
}

/* A body that is collected has a large window (http2_window.c).  Where the disk does not keep up it is
 * the socket that makes its client wait, so that the window is not filled with what waits here. */
static void pace(struct conn *c)
{
    struct http2 *h = http2_of(c);
    size_t waits = 0;

    for (struct stream *s = h->n_collected ? c->streams : NULL; s; s = s->next) {
        const struct h2_stream *hs = h2_stream_of(s);
        if (hs && hs->collected && !s->over)
            waits += s->in.n;
    }
    bool full = waits > (c->read_paused ? COLLECTED_LOW : COLLECTED_HIGH);
    if (full == c->read_paused)
        return;
    if (full)
        conn_pause_read(c);
    else
        conn_resume_read(c);
}

static void http2_widen(struct stream *s, uint64_t to)
{
    struct h2_stream *hs = h2_stream_of(s);

    if (!hs->collected)
        http2_of(s->conn)->n_collected++;
    hs->collected = true;
    h2_window_grow(s, to);
}

static void http2_events(struct conn *c)
{
    struct http2 *h = http2_of(c);
    struct h2_said said = {0};
    struct stream *s;
    unsigned ev;

    while ((s = conn_event_next(c, &ev)))
        stream_events(s, ev);
    pace(c);
    lock_take(&c->mu);
    bool over = over_locked(h), lingers = h->n_lingering > 0;
    if (over) {
        said = h->said;
        h->said = (struct h2_said){.not_it = true}; /* once */
    }
    lock_drop(&c->mu);
    if (lingers)
        h2_linger_watch(h);
    if (said.code)
        say_said(c, &said);
    if (over) /* lingering where the client may be sending: a reset would take GOAWAY with it */
        conn_end(c, 0, said.code != NGHTTP2_NO_ERROR);
    free(said.why);
}

/* ---- output ---- */

static void put_rest(struct http2 *h)
{
    size_t k = h->rest_len < h->room ? h->rest_len : h->room;

    memcpy(h->dst, h->rest, k);
    h->rest += k;
    h->rest_len -= k;
    h->dst += k;
    h->room -= k;
}

/* The library gives all frames but DATA as memory of its own; DATA is put behind them by
 * send_data, which also sees to it that no frame is begun where H2_ROOM_MIN is not left. */
static ssize_t http2_produce(struct conn *c, uint8_t *dst, size_t cap)
{
    struct http2 *h = http2_of(c);
    ssize_t n = 0;

    lock_assert_held(&c->mu);
    h->dst = dst;
    h->room = cap;
    h->ahead.n = 0;
    if (h->rest_len)
        put_rest(h);
    while (h->rest_len == 0 && h->room >= H2_ROOM_MIN) {
        n = nghttp2_session_mem_send(h->session, &h->rest);
        if (n == 0 && h2_turn_resume_locked(h))
            continue;
        if (n <= 0)
            break;
        h->rest_len = (size_t)n;
        put_rest(h);
    }
    h->dst = NULL;
    h2_note_failure(h, (int)n);
    if (n < 0)
        return h2_library_err((int)n);
    if (h->failed)
        return h->failed;
    if (over_locked(h))
        c->note = true; /* the worker has to end the connection */
    return (ssize_t)(cap - h->room);
}

static bool http2_want_write(struct conn *c)
{
    lock_assert_held(&c->mu);
    return !written_locked(http2_of(c));
}

static bool http2_done(struct conn *c)
{
    lock_assert_held(&c->mu);
    return over_locked(http2_of(c));
}

/*
 * Gracefully in two steps (RFC 9113 6.8): a GOAWAY that names no last stream, and after a round
 * trip, which a PING measures, the one that does; requests already on their way are not lost.
 * A client that never answers the PING is held to the connection's idle and drain times.
 */
static void http2_shutdown(struct conn *c, int err)
{
    struct http2 *h = http2_of(c);

    lock_take(&c->mu);
    if (err) {
        terminate_locked(h, h2_goaway_code(err));
    } else if (!h->shutting_down) {
        h->shutting_down = true;
        nghttp2_submit_shutdown_notice(h->session); /* goaway_went sends the PING */
    }
    lock_drop(&c->mu);
    conn_dirty(c);
}

/* ---- streams ---- */

static int result(int rv)
{
    return rv == 0 ? 0 : h2_library_err(rv);
}

static int http2_send_head(struct stream *s, const struct response *r)
{
    struct conn *c = s->conn;
    struct http2 *h = http2_of(c);
    struct h2_block block;
    int rv = 0;

    struct response ok = *r;
    if (s->pushed && r->status != 200)
        return GW_EPUSH;
    if (r->status == 101) /* RFC 8441 5: CONNECT has no other way to say so */
        ok.status = s->status = 200;
    if (h2_response_block(s, &ok, worker_date(c->worker), &block) != 0)
        return GW_ENO_MEMORY;
    lock_take(&c->mu);
    /* Who is refused a tunnel has no request that could end. */
    h2_stream_of(s)->let_go |= s->req.protocol.n > 0;
    /* Without a body the head ends the stream, once, whatever the application writes; but not
     * before the request has ended (http2_linger.c). */
    bool ends = s->in_eof && (s->out.no_body || r->content_length == 0);
    h2_priority_answer_locked(h, s, r);
    h2_stream_of(s)->has_body = !ends;
    if (!h2_stream_of(s)->closed)
        rv = nghttp2_submit_response(h->session, s->id, block.nv, block.n,
                                     ends ? NULL : &h2_body);
    lock_drop(&c->mu);
    return result(rv);
}

static int http2_send_interim(struct stream *s, int status, const struct field *fields,
                              size_t n_fields)
{
    struct conn *c = s->conn;
    struct http2 *h = http2_of(c);
    struct h2_block block;
    int rv = 0;

    if (s->pushed) /* nobody waits for it */
        return 0;
    if (h2_interim_block(s, status, fields, n_fields, &block) != 0)
        return GW_ENO_MEMORY;
    lock_take(&c->mu);
    if (!h2_stream_of(s)->closed)
        rv = nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->id, NULL, block.nv,
                                    block.n, NULL);
    lock_drop(&c->mu);
    return rv < 0 ? h2_library_err(rv) : 0;
}

static bool http2_takes_file(const struct stream *s)
{
    (void)s;
    return true;
}

static void http2_body_ready(struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&s->conn->mu);
    if (hs->closed)
        return;
    h2_turn_ready_locked(http2_of(s->conn), s);
    if (!hs->deferred)
        return;
    hs->deferred = false;
    h2_note_failure(http2_of(s->conn),
                    nghttp2_session_resume_data(http2_of(s->conn)->session, s->id));
}

static void http2_reset(struct stream *s, int err)
{
    struct conn *c = s->conn;

    lock_take(&c->mu);
    h2_reset_locked(http2_of(c), s, err);
    lock_drop(&c->mu);
    conn_dirty(c);
}

static void http2_consumed(struct stream *s, size_t n)
{
    struct conn *c = s->conn;
    struct http2 *h = http2_of(c);
    struct h2_stream *hs = h2_stream_of(s);

    lock_take(&c->mu);
    if (n > hs->unconsumed)
        n = hs->unconsumed; /* the rest was given back when the stream closed */
    hs->unconsumed -= n;
    if (n)
        h2_window_credit_locked(h, s, n);
    bool dirty = !written_locked(h);
    int failed = h->failed;
    lock_drop(&c->mu);
    if (failed)
        conn_end(c, failed, false);
    else if (dirty)
        conn_dirty(c);
    if (!failed && !s->in_eof)
        h2_window_consumed(s, n);
    if (c->read_paused)
        pace(c);
}

static void http2_credit(const struct stream *s, struct credit *ret)
{
    struct http2 *h = http2_of(s->conn);

    lock_assert_held(&s->conn->mu);
    *ret = (struct credit){
        .in = nghttp2_session_get_stream_local_window_size(h->session, s->id) > 0 &&
              nghttp2_session_get_local_window_size(h->session) > 0,
        .out = nghttp2_session_get_stream_remote_window_size(h->session, s->id) > 0,
        .conn_out = nghttp2_session_get_remote_window_size(h->session) > 0,
        .conn_taken = h->n_taken,
    };
}

static void http2_calm(struct conn *c, int err)
{
    struct http2 *h = http2_of(c);

    lock_take(&c->mu);
    if (!h->calmed)
        h2_note_failure(
            h, nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                     nghttp2_session_get_last_proc_stream_id(h->session),
                                     h2_goaway_code(err), NULL, 0));
    h->calmed = true;
    h->said.not_it = true;
    lock_drop(&c->mu);
    conn_dirty(c);
}

const struct proto http2_proto = {
    .name = "HTTP/2",
    .open = http2_open,
    .input = http2_input,
    .input_eof = http2_input_eof,
    .events = http2_events,
    .produce = http2_produce,
    .want_write = http2_want_write,
    .done = http2_done,
    .shutdown = http2_shutdown,
    .send_head = http2_send_head,
    .send_interim = http2_send_interim,
    .takes_file = http2_takes_file,
    .body_ready = http2_body_ready,
    .reset = http2_reset,
    .consumed = http2_consumed,
    .widen = http2_widen,
    .credit = http2_credit,
    .calm = http2_calm,
    .push = h2_push,
    .cool = http2_cool,
    .close = http2_close,
};
