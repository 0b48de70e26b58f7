/*
 * A response on its way back: its head, its body, and what happens when the client is slower
 * than the application.
 *
 * The application is read as long as the stream's buffer takes it.  When that is full it is not
 * read for SLOW_MS; a client that is only a moment behind gets by with that.  One that is not
 * is slow: then the rest goes to a spool, so that the application is free for others, and from
 * there to the stream as the client takes it.  Once response_spool_limit bytes wait there, the
 * application is read again only as the client takes some.
 *
 * Each response has its bounds, and hundreds of slow clients have hundreds of them.  So while
 * much waits in a worker (worker_is_pressed), or in all spools, each gets by with less: smaller
 * reads, marks, batches and writes.  200 readers of 4 KiB/s take 25 MiB instead of 70.
 */
#include "forward.h"

#include <stddef.h>

#include "conn.h"
#include "error_redirect.h"
#include "hints.h"
#include "worker.h"

enum {
    SLOW_MS = 50,
    SHARED_SLACK = 4 * 1024 * 1024, /* what may come while the spool cannot take it, from an
                                       application that cannot be paused */
    HEAD_MAX = 64 * 1024,           /* of a response's heads, interim ones too */
    STDERR_LINE = 2048,             /* longer lines are logged in pieces */
    OUT_STEP = STREAM_PRESSED_HIGH,
};

int forward_parser_begin(struct forward *f)
{
    response_parser_init(&f->parser, &f->s->arena, HEAD_MAX - f->n_interim);
    f->parsing = true;
    return 0;
}

/* ---- the body ---- */

/* false: the application's connection is shared, and read on. */
static bool out_pause(struct forward *f)
{
    if (!f->paused && f->req)
        f->paused = fcgi_request_pause(f->req);
    return f->paused || !f->req;
}

static void out_resume(struct forward *f)
{
    timer_clear(&f->slow);
    if (!f->paused)
        return;
    f->paused = false;
    if (f->req)
        fcgi_request_resume(f->req);
}

static void out_finish_if_empty(struct forward *f)
{
    struct stream *s = f->s;

    if (!f->ended || (f->out_spool && spool_len(f->out_spool)))
        return;
    forward_release(f);
    stream_finish(s);
}

static void out_caught_up(struct forward *f)
{
    if (f->spooling)
        stream_caught_up(f->s);
    f->spooling = false;
}

/* The stream has room: move what is spooled, until it is full (forward_writable goes on) or
 * the rest is not in memory (out_spool_fn does).  With nothing left the application writes to
 * the stream again. */
static void out_pump(struct forward *f)
{
    struct stream *s = f->s;
    ssize_t buffered = 0;

    while (buffered == 0 || (size_t)buffered < s->out.high) {
        struct chain step = {0};
        if (spool_take(f->out_spool, &step, OUT_STEP) == 0)
            break;
        while (step.head && buffered >= 0) {
            struct slice part = chain_front(&step);
            buffered = stream_send_body(s, part.p, part.n);
            chain_drop(&step, part.n);
        }
        chain_fini(&step);
        if (buffered < 0)
            return; /* aborted, and closed() was called */
    }
    if (spool_err(f->out_spool)) {
        forward_fail(f, spool_err(f->out_spool));
        return;
    }
    if (spool_len(f->out_spool) == 0)
        out_caught_up(f);
    if (!spool_congested(f->out_spool))
        out_resume(f);
    out_finish_if_empty(f);
}

static void out_spool_fn(void *arg)
{
    struct forward *f = arg;
    struct stream *s = f->s;

    lock_take(&s->conn->mu);
    bool room = !s->out.want_writable; /* else forward_writable will come */
    lock_drop(&s->conn->mu);
    if (room)
        out_pump(f);
    else if (!spool_congested(f->out_spool))
        out_resume(f);
}

static uint64_t out_limit(const struct stream *s)
{
    int64_t own = s->route->response_spool_limit;
    return (uint64_t)(own >= 0 ? own : s->site->response_spool_limit);
}

static void out_spool_begin(struct forward *f)
{
    struct worker *w = worker_of(f->s);
    const struct spool_soft soft = {.most = out_limit(f->s)};
    struct chain back = {0};

    if (!f->out_spool)
        f->out_spool = spool_new(w->spool, w->writers, f->s->loop, &soft, out_spool_fn, f);
    f->spooling = f->out_spool != NULL;
    if (!f->spooling)
        return;
    stream_slow(f->s, &back);
    if (back.n)
        (void)spool_append_chain(f->out_spool, &back); /* its error is met by who takes next */
    chain_fini(&back);
}

void forward_slow_fn(struct loop *l, struct timer *t)
{
    struct forward *f = (struct forward *)(void *)((char *)t - offsetof(struct forward, slow));

    (void)l;
    out_spool_begin(f);
    if (f->spooling && !spool_congested(f->out_spool))
        out_resume(f);
}

void forward_writable(struct stream *s)
{
    struct forward *f = s->handler_state;

    if (f->out_spool && spool_len(f->out_spool)) {
        out_pump(f);
        return;
    }
    out_caught_up(f);
    out_resume(f);
}

bool forward_spools(const struct forward *f)
{
    const struct stream *s = f->s;
    int mode = s->route->response_body;

    return !f->streams && (mode >= 0 ? mode : (int)s->site->response_body) == CONF_BODY_SPOOL;
}

/* The stream takes no more for now.  An application that cannot be paused is spooled at once. */
static void out_full(struct forward *f)
{
    bool spooled = forward_spools(f);

    if (out_pause(f)) {
        if (spooled)
            timer_set(f->s->loop, &f->slow, SLOW_MS);
        return;
    }
    if (spooled)
        out_spool_begin(f);
    if (!f->spooling)
        forward_fail(f, GW_ESHARED_SLOW);
}

static void out_to_spool(struct forward *f, const uint8_t *p, size_t n)
{
    if (spool_append(f->out_spool, p, n) < 0) {
        forward_fail(f, spool_err(f->out_spool));
        return;
    }
    if (!spool_congested(f->out_spool)) {
        f->n_unpaused = 0;
        return;
    }
    f->n_unpaused = out_pause(f) ? 0 : f->n_unpaused + n;
    if (f->n_unpaused > SHARED_SLACK)
        forward_fail(f, GW_ESHARED_SLOW);
}

void forward_body_out(struct forward *f, const uint8_t *p, size_t n)
{
    struct stream *s = f->s;

    if (s->out.left >= 0 && (uint64_t)n > (uint64_t)s->out.left && !f->overlong) {
        f->overlong = true;
        conn_log_stream(s, CONF_LOG_WARN, GW_OK,
                        "pool=%s sent more than its Content-Length: cut", s->pool_name);
    }
    if (f->role && f->role->body)
        f->role->body(f, p, n);
    if (f->spooling || (f->out_spool && spool_len(f->out_spool))) {
        out_to_spool(f, p, n);
        return;
    }
    ssize_t buffered = stream_send_body(s, p, n);
    if (buffered >= 0 && (size_t)buffered >= s->out.high && !f->paused)
        out_full(f);
}

/* ---- the head ---- */

static bool field_says(const struct response_head *h, struct slice name, struct slice prefix)
{
    const struct field *f = fields_find(h->fields, h->n_fields, name);

    return f && f->value.n >= prefix.n && slice_ieq(slice_of(f->value.p, prefix.n), prefix);
}

static void field_drop(struct response_head *h, struct slice name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++) {
        if (!slice_ieq(h->fields[i].name, name))
            h->fields[n++] = h->fields[i];
    }
    h->n_fields = n;
}

/* Output that shows as it comes: events, what the application says is so, and what speaks HTTP
 * itself (the runner says the same of a script that does). */
static bool head_streams(const struct response_head *h)
{
    return h->nph || field_says(h, SLICE("Content-Type"), SLICE("text/event-stream")) ||
           field_says(h, SLICE("X-Accel-Buffering"), SLICE("no"));
}

/* An interim head; the final one follows. */
static int out_interim(struct forward *f, struct response_head *h)
{
    struct stream *s = f->s;
    struct sendfile none;

    if (h->status == 101)
        return GW_ECGI_SWITCHING; /* nobody asked for it: Upgrade ended here */
    /* The runner says it with a script's first head, whichever that is. */
    f->streams |= head_streams(h);
    field_drop(h, SLICE("X-Accel-Buffering"));
    sendfile_take(s, h, &none); /* of the final head only */
    if (!(f->role && f->role->bodiless))
        stream_send_interim(s, h->status, h->fields, h->n_fields);
    s->self_hinted |= h->status == 103;
    f->n_interim += f->parser.n_read;
    response_parser_fini(&f->parser);
    f->parsing = false;
    return f->n_interim < HEAD_MAX ? forward_parser_begin(f) : GW_ECGI_HEAD_LARGE;
}

static bool learns_hints(const struct forward *f)
{
    int own = f->s->route->early_hints;

    return (own >= 0 ? own != 0 : f->s->site->early_hints) && !(f->role && f->role->bodiless);
}

void forward_hint(struct forward *f)
{
    bool learns = learns_hints(f);
    bool told = f->s->route->n_early_hint && !(f->role && f->role->bodiless);

    if (learns || told)
        hints_send(f->s, learns ? router_hints(worker_of(f->s)->router) : NULL);
}

static int out_head(struct forward *f)
{
    struct response_head *h = &f->parser.head;
    struct stream *s = f->s;

    if (h->status == 101 && f->tunnel == FORWARD_TUNNEL_ASKED) {
        field_drop(h, SLICE("X-Accel-Buffering"));
        return forward_tunnel_agreed(f, h);
    }
    if (h->status < 200)
        return out_interim(f, h);
    f->head_done = true;
    if (f->tunnel)
        forward_tunnel_refused(f);
    f->streams |= head_streams(h);
    field_drop(h, SLICE("X-Accel-Buffering")); /* it was for us */
    sendfile_take(s, h, &f->sendfile);
    if (f->role)
        f->sendfile = (struct sendfile){0}; /* a responder's way of answering */
    int rc = forward_chunks_begin(f, h);
    if (rc < 0)
        return rc;
    if (f->sendfile.kind != SENDFILE_NONE)
        return 0; /* when the application is through, as with a local redirect */
    struct response r = {
        .status = h->status,
        .reason = h->reason,
        .fields = h->fields,
        .n_fields = h->n_fields,
        .content_length = h->content_length,
    };
    if (f->role && f->role->head && f->role->head(f, &r)) {
        f->taken = true;
        return 0;
    }
    if (h->kind == RESPONSE_LOCAL_REDIRECT) {
        f->redirect = true; /* when the application is through: its slot may be the only one */
        return 0;
    }
    if (s->route->error_page_intercept && !f->role && error_redirect_has(s, h->status)) {
        f->intercepted = true; /* likewise */
        return 0;
    }
    if (learns_hints(f))
        hints_learn(s, router_hints(worker_of(s)->router), &r);
    return stream_send_head(s, &r);
}

void forward_stdout(void *arg, const uint8_t *p, size_t n)
{
    struct forward *f = arg;

    while (n && !f->head_done) {
        ssize_t used = response_parser_feed(&f->parser, p, n);
        if (used == 0)
            return;
        int rc = used < 0 ? (int)used : out_head(f);
        if (f->s->finished || f->s->over)
            return; /* the stream was aborted, and closed() was called */
        if (rc < 0) {
            forward_fail(f, rc);
            return;
        }
        p += used;
        n -= (size_t)used;
    }
    if (!n || f->redirect || f->intercepted || f->taken || f->sendfile.kind != SENDFILE_NONE)
        return;
    if (f->chunks)
        forward_chunks(f, p, n);
    else
        forward_body_out(f, p, n);
}

/* ---- its log, its end ---- */

void forward_stderr_flush(struct forward *f)
{
    struct stream *s = f->s;

    if (buf_len(&f->stderr_line))
        log_app_line(CONF_LOG_ERROR, s->pool_name, s->site ? s->site->name : NULL, 0,
                     buf_slice(&f->stderr_line));
    buf_clear(&f->stderr_line);
}

/* Of the n bytes that came, so many are within stderr_limit. */
static size_t stderr_within_limit(struct forward *f, size_t n)
{
    uint64_t limit = (uint64_t)pool_conf(f->pool)->stderr_limit;

    if (f->n_stderr > limit)
        return 0;
    if (n <= limit - f->n_stderr) {
        f->n_stderr += n;
        return n;
    }
    n = (size_t)(limit - f->n_stderr);
    f->n_stderr = limit + 1;
    conn_log_stream(
        f->s, CONF_LOG_WARN, GW_OK,
        "pool=%s request=\"%.*s %.*s\" is over stderr_limit: the rest of its log is dropped",
        f->s->pool_name, SLICE_FMT(f->s->req.method), SLICE_FMT(f->s->req.target));
    return n;
}

void forward_stderr(void *arg, const uint8_t *p, size_t n)
{
    struct forward *f = arg;

    n = stderr_within_limit(f, n);
    while (n) {
        const uint8_t *nl = memchr(p, '\n', n);
        size_t k = nl ? (size_t)(nl - p) : n;
        size_t room = STDERR_LINE - buf_len(&f->stderr_line);
        if (k >= room) {
            k = room;
            nl = NULL;
        }
        if (buf_append(&f->stderr_line, p, k) < 0)
            buf_clear(&f->stderr_line);
        p += k;
        n -= k;
        if (nl) {
            p++;
            n--;
        }
        if (nl || buf_len(&f->stderr_line) >= STDERR_LINE)
            forward_stderr_flush(f);
    }
}

/* An application that its own time limit ended without a word: the time is the reason. */
static int no_head_err(const struct forward *f)
{
    uint64_t took = loop_now_ms(f->s->loop) - f->granted_ms;

    return took + 200 >= (uint64_t)pool_conf(f->pool)->timeout_ms ? GW_EBACKEND_TIME
                                                                  : GW_ECGI_NO_HEAD;
}

static void complete(struct forward *f)
{
    f->ended = true;
    /* Nobody reads what is left of the request.  A client may send all of it before it takes the
     * answer, which may be more than there is room for. */
    if (!f->s->in_eof)
        stream_discard_body(f->s);
    out_finish_if_empty(f);
}

void forward_said_all(struct forward *f)
{
    if (f->redirect)
        forward_redirect(f);
    else if (f->sendfile.kind != SENDFILE_NONE)
        forward_sendfile(f);
    else if (f->intercepted)
        forward_intercept(f);
    else
        complete(f);
}

void forward_end(void *arg, uint32_t app_status)
{
    struct forward *f = arg;
    struct stream *s = f->s;

    f->req = NULL;
    forward_stderr_flush(f);
    if (app_status)
        conn_log_stream(s, CONF_LOG_WARN, GW_OK,
                        "pool=%s request=\"%.*s %.*s\" ended with status %u", s->pool_name,
                        SLICE_FMT(s->req.method), SLICE_FMT(s->req.target), app_status);
    if (!f->head_done) {
        forward_fail(f, no_head_err(f));
        return;
    }
    if (f->chunks && !forward_chunks_end(f))
        return;
    if (f->role && f->role->end && f->role->end(f, app_status))
        return;
    forward_said_all(f);
}
