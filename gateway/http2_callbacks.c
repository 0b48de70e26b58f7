/*
 * What the library calls while it reads and writes.  All of it runs under the connection's
 * lock: memory work and notes only (see http2_session.h).
 */
#include "http2_session.h"

#include <stdlib.h>

#include "stream.h"

enum {
    CONTINUATIONS_MAX = 32, /* of one header block; the library's 8 counts partial reads too */
    SETTINGS_MAX = 32,      /* entries of one frame; RFC 9113 knows eight settings */
    SEND_BLOCK_MAX = 256 * 1024, /* of a response's head: more than applications may send */
};

const uint8_t h2_drain_ping[8] = {'h', '2', 'c', 'g', 'i', ' ', 'o', 'k'};

struct stream *h2_find_locked(struct http2 *h, int32_t id)
{
    lock_assert_held(&h->conn->mu);
    if (h->found && h->found->id == id)
        return h->found;
    struct stream *s = nghttp2_session_get_stream_user_data(h->session, id);
    if (s && !h2_stream_of(s)->closed)
        h->found = s;
    return s;
}

void h2_note_failure(struct http2 *h, int rv)
{
    lock_assert_held(&h->conn->mu);
    if (rv == NGHTTP2_ERR_NOMEM)
        h->failed = GW_ENO_MEMORY;
}

void h2_close_locked(struct http2 *h, struct stream *s, int err)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    hs->closed = true;
    hs->err = err;
    if (h->found == s)
        h->found = NULL;
    h2_linger_end_locked(h, s);
    h->n_open--;
    if (s->pushed)
        h2_push_end_locked(h, s);
    h2_turn_end_locked(h, s);
    h2_window_end_locked(h, s);
    /* What nobody will take any more must not shrink the connection's window (RFC 9113 6.9). */
    if (hs->unconsumed)
        h2_note_failure(h, nghttp2_session_consume_connection(h->session, hs->unconsumed));
    hs->unconsumed = 0;
    stream_event_locked(s, STREAM_EV_CLOSED);
}

void h2_reset_locked(struct http2 *h, struct stream *s, int err)
{
    lock_assert_held(&h->conn->mu);
    if (h2_stream_of(s)->closed)
        return;
    /* Before the worker frees s: no callback may find it any more. */
    nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
    h2_note_failure(h, nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id,
                                                 h2_reset_code(err, s->out.head_sent)));
    h2_close_locked(h, s, err);
}

/* ---- request heads ---- */

static void name_last_stream(struct http2 *h)
{
    h2_note_failure(h,
                    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                          nghttp2_session_get_last_proc_stream_id(h->session),
                                          NGHTTP2_NO_ERROR, NULL, 0));
}

/* A client that goes on after the notice, without a word on the PING behind it, hears which
 * stream was the last when more came than can have been on their way. */
static void note_late_request(struct http2 *h)
{
    if (h->shutting_down && ++h->n_late == 2 * conn_limits(h->conn)->h2_streams)
        name_last_stream(h);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *h = user;
    const struct conf_gateway *g = conn_limits(h->conn);

    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        struct stream *known = h2_find_locked(h, frame->hd.stream_id);
        if (known)
            h2_head_begin_trailers(&h2_stream_of(known)->head);
        return 0;
    }
    note_late_request(h);
    struct stream *s = stream_new(h->conn, frame->hd.stream_id);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct h2_stream *hs = arena_zalloc(&s->arena, sizeof(*hs));
    s->proto = hs;
    if (!hs) {
        stream_event_locked(s, STREAM_EV_CLOSED); /* events() frees it */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    h2_head_init(&hs->head, (size_t)g->head_limit, g->head_fields);
    h->n_open++;
    h2_priority_open_locked(h, s);
    h2_window_open(h, s);
    nghttp2_session_set_stream_user_data(session, s->id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t nv_flags,
                     void *user)
{
    struct http2 *h = user;
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);
    struct slice n = slice_of(name, name_len), v = slice_of(value, value_len);

    (void)session;
    (void)nv_flags;
    if (!s)
        return 0;
    struct h2_head *head = &h2_stream_of(s)->head;
    int rc = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? h2_head_field(s, head, n, v)
                                                        : h2_head_trailer(head, n, v);
    if (rc == GW_ENO_MEMORY || rc == GW_ECLIENT_PROTO) {
        h2_reset_locked(h, s, rc);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (rc == 0)
        return 0;
    h->trip = (struct h2_trip){.what = "bytes of header list",
                               .counter = COUNTER_HEAD_LIMIT,
                               .figure = (uint32_t)head->size,
                               .limit = (uint32_t)head->max_size};
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void head_complete(struct http2 *h, struct stream *s, bool end_stream)
{
    struct h2_stream *hs = h2_stream_of(s);
    int rc = h2_head_done(s, &hs->head, end_stream);

    if (rc == GW_ECLIENT_PROTO || rc == GW_ENO_MEMORY) {
        h2_reset_locked(h, s, rc);
        return;
    }
    hs->bad = rc;
    if (rc == GW_EREQ_HEAD_LARGE && hs->head.n_fields > hs->head.max_fields)
        stream_head_large(s, "head_fields", hs->head.max_fields);
    else if (rc == GW_EREQ_HEAD_LARGE)
        stream_head_large(s, "head_limit", hs->head.max_size);
    h2_priority_asked_locked(h, s, hs->head.priority);
    s->in_eof = end_stream;
    stream_event_locked(s, STREAM_EV_HEAD);
}

/* ---- what came ---- */

/* RFC 9113 8.1.1: not less than was announced.  But curl 7.88 ends its upload as soon as it sees
 * an error status, and a reset would take the answer away that is under way: then what came is
 * the body. */
static void body_complete(struct http2 *h, struct stream *s)
{
    bool is_short = s->req.content_length >= 0 && s->in_total < (uint64_t)s->req.content_length;

    if (is_short && !s->out.head_sent) {
        h2_reset_locked(h, s, GW_ECLIENT_PROTO);
        return;
    }
    s->in_eof = true;
    h2_linger_request_ended_locked(h, s);
    stream_event_locked(s, STREAM_EV_BODY);
}

static void trailers_large(struct http2 *h, struct stream *s)
{
    counter_add(COUNTER_HEAD_LARGE);
    h2_reset_locked(h, s, GW_EREQ_HEAD_LARGE);
}

static void headers_came(struct http2 *h, const nghttp2_frame *frame)
{
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);
    bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (!s)
        return;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        head_complete(h, s, end_stream);
    else if (!end_stream) /* RFC 9113 8.1: what follows the body ends the request */
        h2_reset_locked(h, s, GW_ECLIENT_PROTO);
    else if (h2_stream_of(s)->head.large && !s->out.head_sent)
        trailers_large(h, s); /* they are bounded, and dropped */
    else
        body_complete(h, s);
}

static void data_came(struct http2 *h, const nghttp2_frame *frame)
{
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);

    if (s && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        body_complete(h, s);
}

static void reset_came(struct http2 *h, const nghttp2_frame *frame)
{
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);

    if (s)
        h2_stream_of(s)->peer_reset = true;
}

/* The round trip after the GOAWAY notice is over: whatever was on its way has arrived, so the
 * last stream can be named (RFC 9113 6.8). */
static void ping_came(struct http2 *h, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK &&
        memcmp(frame->ping.opaque_data, h2_rtt_ping, sizeof(h2_rtt_ping)) == 0)
        h2_window_pong(h);
    if (!h->shutting_down || !(frame->hd.flags & NGHTTP2_FLAG_ACK) ||
        memcmp(frame->ping.opaque_data, h2_drain_ping, sizeof(h2_drain_ping)) != 0)
        return;
    name_last_stream(h);
}

/* The preface is whole (RFC 9113 3.4): from here silence is idleness. */
static void settings_came(struct http2 *h, const nghttp2_frame *frame)
{
    h2_order_unblock(&h->order);
    h->conn->head_since_ms = 0; /* o: frames come on the worker */
    if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
        h2_check_settings_locked(h);
}

static void window_update_came(struct http2 *h, const nghttp2_frame *frame)
{
    struct stream *s = h->order.n ? h2_find_locked(h, frame->hd.stream_id) : NULL;

    if (s)
        h2_stream_of(s)->turn.blocked = false;
}

static const struct {
    uint8_t type;
    void (*came)(struct http2 *h, const nghttp2_frame *frame);
} frames[] = {
    {NGHTTP2_HEADERS, headers_came},  {NGHTTP2_DATA, data_came},
    {NGHTTP2_RST_STREAM, reset_came}, {NGHTTP2_SETTINGS, settings_came},
    {NGHTTP2_PING, ping_came},        {NGHTTP2_WINDOW_UPDATE, window_update_came},
};

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        if (frames[i].type == frame->hd.type)
            frames[i].came(user, frame);
    return 0;
}

/* A head that the library refuses has no stream that could be seen to close. */
static int on_invalid_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, int rv,
                                 void *user)
{
    (void)session;
    (void)rv;
    if (frame->hd.type == NGHTTP2_HEADERS)
        h2_check_reset_locked(user, (uint32_t)frame->hd.stream_id);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id,
                         const uint8_t *data, size_t n, void *user)
{
    struct http2 *h = user;
    struct stream *s = h2_find_locked(h, id);

    (void)flags;
    if (!s) { /* refused or reset meanwhile */
        h2_note_failure(h, nghttp2_session_consume_connection(session, n));
        return 0;
    }
    s->in_total += n;
    if (h2_stream_of(s)->lingers)
        h2_linger_data_locked(h, s, n);
    if (s->in_discard || h2_stream_of(s)->end_sent) {
        h2_window_credit_locked(h, s, n);
        return 0;
    }
    h2_stream_of(s)->unconsumed += n;
    if (s->req.content_length >= 0 && s->in_total > (uint64_t)s->req.content_length)
        h2_reset_locked(h, s, GW_ECLIENT_PROTO); /* RFC 9113 8.1.1 */
    else if (chain_append(&s->in, data, n) != 0)
        h2_reset_locked(h, s, GW_ENO_MEMORY);
    else
        stream_event_locked(s, STREAM_EV_BODY);
    return 0;
}

/* ---- what goes ---- */

static ssize_t nothing_yet(struct http2 *h, struct stream *s)
{
    h2_turn_over_locked(h, s);
    h2_stream_of(s)->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

/*
 * Takes nothing yet: NO_COPY makes the library call send_data for it at once, inside the same
 * nghttp2_session_mem_send.  So whose turn it is is decided with every frame, as late as produce()
 * is called.  Of a file the bytes are put where send_data wants them.
 */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                         uint32_t *data_flags, nghttp2_data_source *source, void *user)
{
    struct http2 *h = user;
    struct stream *s = h2_find_locked(h, id);

    (void)session;
    (void)buf;
    (void)source;
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const struct stream_out *out = &s->out;
    size_t most = length < h->room - H2_FRAME_HEAD ? length : h->room - H2_FRAME_HEAD;
    size_t n = most < out->body.n ? most : out->body.n;
    bool is_file = out->body.n == 0 && out->file_left;
    bool ends = n == out->body.n && out->eof && !h2_linger_holds_locked(h, s);
    if (n == 0 && !ends && !is_file)
        return nothing_yet(h, s);
    if (!h2_turn_is_locked(h, s))
        return NGHTTP2_ERR_DEFERRED;
    if (is_file) {
        n = h2_file_read_locked(h, s, length);
        if (n == 0)
            return nothing_yet(h, s);
        ends = n == (uint64_t)out->file_left && !h2_linger_holds_locked(h, s);
    }
    if (ends)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return (ssize_t)n;
}

const nghttp2_data_provider h2_body = {.read_callback = read_body};

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t n, nghttp2_data_source *source, void *user)
{
    struct http2 *h = user;
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);

    (void)session;
    (void)source;
    if (!s || h->room < H2_FRAME_HEAD + n)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(h->dst, head, H2_FRAME_HEAD);
    if (s->out.body.n) {
        chain_take(&s->out.body, h->dst + H2_FRAME_HEAD, n);
        stream_out_took_locked(s, n);
    } else if (n) {
        stream_file_took_locked(s, n, 0);
    }
    h->dst += H2_FRAME_HEAD + n;
    h->room -= H2_FRAME_HEAD + n;
    h2_order_sent(&h->order, &h2_stream_of(s)->turn, n);
    if (s->out.body.n == 0 && !s->out.file_left && !s->out.eof)
        h2_turn_over_locked(h, s); /* what it has to send next comes later */
    h->data_id = s->id;
    h->n_taken += n;
    h2_budget_sent(&h->budget, n);
    /* nghttp2_session_mem_send goes from DATA frame to DATA frame without coming back. */
    return h->room < H2_ROOM_MIN ? NGHTTP2_ERR_PAUSE : 0;
}

/* PING overtakes all that waits in the library; it must not overtake the notice, whose way to the
 * client and back it measures. */
static void goaway_went(struct http2 *h, const nghttp2_goaway *goaway)
{
    if (h->shutting_down && goaway->last_stream_id == INT32_MAX)
        h2_note_failure(h, nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, h2_drain_ping));
    if (h->said.not_it || h->said.code || goaway->error_code == NGHTTP2_NO_ERROR)
        return;
    h->said.code = goaway->error_code;
    if (goaway->opaque_data_len)
        h->said.why = strndup((const char *)goaway->opaque_data, goaway->opaque_data_len);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *h = user;
    bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;

    (void)session;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h->n_provoked += h2_code_is_provoked(frame->rst_stream.error_code);
        h2_check_reset_locked(h, (uint32_t)frame->hd.stream_id);
    }
    if (frame->hd.type == NGHTTP2_PUSH_PROMISE)
        h2_push_sent_locked(h, frame->push_promise.promised_stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY)
        goaway_went(h, &frame->goaway);
    if (!may_end || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct stream *s = h2_find_locked(h, frame->hd.stream_id);
    if (!s)
        return 0;
    h2_stream_of(s)->end_sent = true;
    h2_turn_over_locked(h, s);
    h2_linger_answer_ended_locked(h, s);
    return 0;
}

/* A response's head that could not be sent: too long for SEND_BLOCK_MAX.  The library leaves
 * the stream as it is, so it would hang. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int rv,
                             void *user)
{
    struct http2 *h = user;
    struct stream *s =
        frame->hd.type == NGHTTP2_HEADERS ? h2_find_locked(h, frame->hd.stream_id) : NULL;

    (void)session;
    if (frame->hd.type == NGHTTP2_PUSH_PROMISE)
        h2_push_not_sent_locked(h, frame->push_promise.promised_stream_id);
    if (s && rv != NGHTTP2_ERR_STREAM_CLOSING && rv != NGHTTP2_ERR_SESSION_CLOSING)
        h2_reset_locked(h, s,
                        rv == NGHTTP2_ERR_FRAME_SIZE_ERROR ? GW_ECGI_HEAD_LARGE : GW_EINTERNAL);
    return 0;
}

/* ---- the end of a stream ---- */

static int close_err(const struct h2_stream *hs, uint32_t code)
{
    if (hs->end_sent || hs->lingers)
        return 0; /* answered in full, whatever came of the rest of the request */
    if (hs->peer_reset)
        return GW_ECLIENT_RESET;
    return code == NGHTTP2_INTERNAL_ERROR ? GW_EINTERNAL : GW_ECLIENT_PROTO;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct http2 *h = user;
    struct stream *s = h2_find_locked(h, id);

    (void)session;
    if (s)
        h2_close_locked(h, s, close_err(h2_stream_of(s), code));
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(cb, h2_priority_chunk);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, h2_priority_update);
    return cb;
}

static nghttp2_option *options_new(const struct conf_gateway *g)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_http_messaging(o, 1); /* see http2_head.h */
    nghttp2_option_set_user_recv_extension_type(o, H2_PRIORITY_UPDATE);
    /* Ours cuts off first (http2_budget.h); these are the second line. */
    nghttp2_option_set_stream_reset_rate_limit(o, 2 * (uint64_t)g->h2_resets + 100,
                                               g->h2_resets);
    nghttp2_option_set_max_outbound_ack(o, g->h2_control_frames);
    nghttp2_option_set_max_settings(o, SETTINGS_MAX);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_max_send_header_block_length(o, SEND_BLOCK_MAX);
    return o;
}

int h2_session_open(struct http2 *h)
{
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *o = options_new(conn_limits(h->conn));

    if (cb && o && h2_mem_open(&h->mem) == 0) {
        nghttp2_mem mem = h2_mem_functions(&h->mem);
        if (nghttp2_session_server_new3(&h->session, cb, h, o, &mem) != 0)
            h->session = NULL;
    }
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    if (h->session)
        return 0;
    h2_mem_close(&h->mem);
    return GW_ENO_MEMORY;
}

void h2_session_close(struct http2 *h)
{
    /* Where 1.52 ran out of memory it may hold an item that it has freed (nghttp2_submit_data,
     * when the scheduler's queue cannot grow) and would free it again: better to lose some. */
    if (!h->failed)
        nghttp2_session_del(h->session);
    h->session = NULL;
    free(h->said.why);
    h->said.why = NULL;
    h2_mem_close(&h->mem);
}
