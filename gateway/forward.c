/*
 * A request on its way to a pool: its body, its slot, its parameters, and what happens when
 * that fails.
 */
#include "forward.h"

#include <fastcgi.h>

#include "access_report.h"
#include "clients.h"
#include "conn.h"
#include "error_redirect.h"
#include "metavars.h"
#include "worker.h"

enum {
    /* Bytes taken from a spool at a time: more than the backend takes at once, so that one that
     * takes all there is does not keep the worker from its other streams. */
    BODY_STEP = 128 * 1024,
};

static void forward_ask(struct forward *f);

/* ---- endings ---- */

/* It waits for a slot no longer. */
static void wait_over(struct forward *f)
{
    if (!f->asked_ms)
        return;
    uint64_t ms = loop_now_ms(f->s->loop) - f->asked_ms;
    f->s->pool_wait_ms += ms;
    f->asker.waited_ms += ms;
    f->asked_ms = 0;
}

void forward_release(struct forward *f)
{
    wait_over(f);
    if (f->req) {
        struct fcgi_request *r = f->req;
        f->req = NULL;
        fcgi_request_abort(r);
    }
    timer_clear(&f->slow);
    spool_free(f->in_spool);
    spool_free(f->out_spool);
    f->in_spool = f->out_spool = NULL;
    chain_fini(&f->in_next);
    if (f->parsing)
        response_parser_fini(&f->parser);
    f->parsing = false;
    forward_stderr_flush(f); /* the last words of what crashed have no line end */
    buf_fini(&f->stderr_line);
    const struct forward_role *role = f->role;
    f->role = NULL;
    if (role && role->release)
        role->release(f);
}

void forward_fail(struct forward *f, int err)
{
    struct stream *s = f->s;
    struct pool *pool = f->pool;

    forward_release(f);
    if (gw_err_status(err) == 503) { /* it passes: say when to come back (RFC 9110 10.2.3) */
        struct slice after = arena_printf(&s->arena, "%u", pool_retry_after(pool));
        struct field retry = {SLICE("Retry-After"), after};
        stream_error_fields(s, err, &retry, after.p ? 1 : 0);
        return;
    }
    stream_error(s, err);
}

void forward_redirect(struct forward *f)
{
    struct stream *s = f->s;
    struct slice target = arena_dup(&s->arena, f->parser.head.location);

    forward_release(f);
    if (!target.p || ++s->redirects > FORWARD_REDIRECTS_MAX) {
        stream_error(s, target.p ? GW_EREDIRECTS : GW_ENO_MEMORY);
        return;
    }
    s->handler = NULL;
    s->handler_state = NULL;
    stream_as_get(s);
    stream_set_target(s, target);
    router_handle(worker_of(s)->router, s);
}

void forward_sendfile(struct forward *f)
{
    struct stream *s = f->s;
    struct sendfile sf = f->sendfile;
    struct response_head head = f->parser.head; /* what it points to is in the arena */

    forward_release(f);
    s->handler = NULL;
    s->handler_state = NULL;
    sendfile_start(s, f->m, &sf, &head);
}

void forward_intercept(struct forward *f)
{
    struct stream *s = f->s;
    const struct response_head *h = &f->parser.head; /* what it points to is in the arena */
    struct field *kept = arena_alloc(&s->arena, (h->n_fields + 1) * sizeof(*kept));
    int status = h->status;
    size_t n = 0;

    for (size_t i = 0; kept && i < h->n_fields; i++) {
        if (error_redirect_keeps(h->fields[i].name))
            kept[n++] = h->fields[i];
    }
    forward_release(f);
    s->handler = NULL;
    s->handler_state = NULL;
    if (!kept || !error_redirect(s, status, kept, n))
        stream_error(s, GW_ENO_MEMORY);
}

/* ---- the request body ---- */

static bool body_all_handed_over(const struct forward *f)
{
    if (f->in_spool)
        return !f->collecting && f->in_next.n == 0 && spool_len(f->in_spool) == 0;
    return f->s->in_eof && f->s->in.n == 0;
}

/* STDIN is through: a filter's DATA. */
static void data_pump(struct forward *f)
{
    if (f->role && f->role->data)
        f->role->data(f);
}

static void body_end(struct forward *f)
{
    f->body_ended = true;
    fcgi_request_stdin_end(f->req);
    if (f->req)
        data_pump(f);
}

/* Hand the backend what it takes. */
void forward_body_pump(struct forward *f)
{
    struct stream *s = f->s;
    size_t n;

    if (!f->req || !f->granted_ms || f->tunnel == FORWARD_TUNNEL_ASKED)
        return;
    if (!f->body || f->body_ended) {
        data_pump(f);
        return;
    }
    if (f->in_spool) {
        do {
            if (f->in_next.n == 0)
                spool_take(f->in_spool, &f->in_next, BODY_STEP);
            n = f->in_next.n ? fcgi_request_stdin(f->req, &f->in_next) : 0;
            f->body_sent |= n > 0;
        } while (n > 0 && f->in_next.n == 0 && f->req);
    } else if (s->in.n) {
        n = fcgi_request_stdin(f->req, &s->in);
        f->body_sent |= n > 0;
        stream_consumed(s, n);
    }
    if (!f->req)
        return;
    if (f->in_spool && spool_err(f->in_spool))
        forward_fail(f, spool_err(f->in_spool));
    else if (body_all_handed_over(f))
        body_end(f);
    else if (!f->in_spool && !f->tunnel)
        stream_wait_body(f->s, s->in.n == 0);
}

/* Fill the spool until the body is complete, so that its length is known. */
static void body_collect(struct forward *f)
{
    struct stream *s = f->s;
    size_t n = s->in.n;

    if (n && !spool_congested(f->in_spool)) {
        if (spool_append_chain(f->in_spool, &s->in) == 0)
            stream_consumed(s, n);
    }
    if (spool_err(f->in_spool)) {
        forward_fail(f, spool_err(f->in_spool));
        return;
    }
    stream_wait_body(f->s, s->in.n == 0);
    if (!s->in_eof || s->in.n)
        return;
    f->collecting = false;
    f->content_length = (int64_t)s->in_total;
    forward_ask(f);
}

static void forward_in_spool_fn(void *arg)
{
    struct forward *f = arg;

    if (f->collecting)
        body_collect(f);
    else
        forward_body_pump(f);
}

static void forward_body(struct stream *s)
{
    forward_in_spool_fn(s->handler_state);
}

static size_t forward_body_behind(struct stream *s)
{
    const struct forward *f = s->handler_state;

    if (f->in_spool)
        return spool_congested(f->in_spool) ? SIZE_MAX : 0;
    return f->req && f->granted_ms ? s->in.n + fcgi_request_unread(f->req) : SIZE_MAX;
}

/* ---- the slot and what follows ---- */

static bool method_is_idempotent(struct slice method)
{
    static const struct slice methods[] = {{"GET", 3},     {"HEAD", 4},   {"PUT", 3},
                                           {"OPTIONS", 7}, {"DELETE", 6}, {"PROPFIND", 8}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_eq(method, methods[i]))
            return true; /* RFC 9110 9.2.2 */
    }
    return false;
}

/* The script's end goes into the access log, be it later than the stream's. */
static void want_report(struct forward *f)
{
    struct stream *s = f->s;

    if (!pool_conf(f->pool)->cgi)
        return;
    access_report_drop(s->report); /* of a try before, or of who redirected here */
    s->report = access_report_new();
    if (s->report)
        fcgi_request_report(f->req, access_report_end, s->report);
}

static void forward_granted(void *arg)
{
    struct forward *f = arg;
    struct stream *s = f->s;
    struct buf *params = &worker_of(s)->params;
    struct metavars_ask ask = {FCGI_RESPONDER, f->content_length, -1, 0, false};
    /* Where one kept connection was closed others may be: the second time we look before. */
    bool idempotent = method_is_idempotent(s->req.method) && !f->body && f->tries == 1;

    wait_over(f);
    f->granted_ms = loop_now_ms(s->loop);
    buf_clear(params);
    ask.websocket = f->tunnel != FORWARD_NO_TUNNEL;
    if (f->role)
        ask.role = f->role->role;
    if (f->role && f->role->ask)
        f->role->ask(f, &ask);
    int rc = metavars_build(s, f->m, &ask, params);
    if (rc < 0 || (rc = forward_parser_begin(f)) < 0) {
        forward_fail(f, rc);
        return;
    }
    want_report(f);
    f->body_ended = false;
    fcgi_request_begin(f->req, ask.role, params, idempotent, f->body);
    if (!f->req)
        return; /* it failed at once */
    if (f->role && f->role->begin)
        f->role->begin(f);
    if (f->tunnel)
        fcgi_request_upgrade(f->req);
    else if (f->body && !f->in_spool)
        stream_want_body(s);
    forward_body_pump(f);
}

/* Did everything come that was announced?  Then how the application closed does not matter. */
static bool answer_is_complete(const struct forward *f)
{
    uint64_t spooled = f->out_spool ? spool_len(f->out_spool) : 0;

    if (!f->head_done || f->taken)
        return false;
    return f->redirect || f->intercepted || f->sendfile.kind != SENDFILE_NONE ||
           stream_is_bodiless(f->s) ||
           (f->s->out.left >= 0 && (uint64_t)f->s->out.left <= spooled);
}

static void forward_error(void *arg, int err, enum fcgi_retry retry)
{
    struct forward *f = arg;
    struct stream *s = f->s;

    f->req = NULL;
    wait_over(f);
    f->granted_ms = 0;
    if (err == GW_EPOOL_DOWN && f->tried_err)
        err = f->tried_err; /* what it met says more than that nobody else is left */
    bool safe =
        retry == FCGI_RETRY_UNSENT || (retry == FCGI_RETRY_IDEMPOTENT &&
                                       method_is_idempotent(s->req.method) && !f->body_sent);
    if (safe && !f->head_done && f->tries <= pool_conf(f->pool)->retries) {
        if (f->parsing)
            response_parser_fini(&f->parser);
        f->parsing = false;
        f->n_interim = 0;
        f->tried_err = err;
        forward_ask(f);
        return;
    }
    if (!answer_is_complete(f))
        forward_fail(f, err);
    else
        forward_said_all(f);
}

static void forward_stdin_writable(void *arg)
{
    forward_body_pump(arg);
}

static const struct fcgi_request_ops forward_ops = {
    .granted = forward_granted,
    .stdout_bytes = forward_stdout,
    .stderr_bytes = forward_stderr,
    .writable = forward_stdin_writable,
    .end = forward_end,
    .error = forward_error,
};

static void forward_ask(struct forward *f)
{
    struct stream *s = f->s;

    f->tries++;
    f->asked_ms = loop_now_ms(s->loop);
    f->asker.alone = !forward_spools(f);
    f->req =
        fcgi_request_new(f->pool, s->loop, worker_of(s)->index, &f->asker, &forward_ops, f);
    if (!f->req)
        forward_fail(f, GW_ENO_MEMORY);
}

/* ---- the handler ---- */

static int body_mode(const struct stream *s)
{
    int mode = s->route->request_body;
    return mode >= 0 ? mode : (int)s->site->request_body;
}

static void forward_begin(struct stream *s)
{
    struct forward *f = s->handler_state;
    struct worker *w = worker_of(s);
    int mode = body_mode(s);

    if (s->route->websocket && !f->role && !forward_tunnel_ask(f))
        return;
    if (f->tunnel) {
        f->content_length = -1;
        f->body = true; /* its STDIN is open */
        f->streams = true;
        forward_ask(f);
        return;
    }
    f->body = s->req.has_body && !(f->role && f->role->bodiless);
    bool unknown = f->body && s->req.content_length < 0;
    if (f->body && s->body_limit && s->req.content_length > 0 &&
        (uint64_t)s->req.content_length > s->body_limit) {
        stream_error(s, GW_EBODY_LARGE); /* before a byte of it is read */
        return;
    }
    f->content_length = f->body ? s->req.content_length : -1;
    if (!s->req.has_body && s->req.content_length == 0)
        f->content_length = 0; /* an empty POST says so */
    f->collecting = f->body && (mode == CONF_BODY_SPOOL || (unknown && mode == CONF_BODY_AUTO));
    if (!f->collecting) {
        forward_hint(f);
        forward_ask(f);
        return;
    }
    f->in_spool = spool_new(w->spool, w->writers, s->loop, NULL, forward_in_spool_fn, f);
    if (!f->in_spool) {
        forward_fail(f, GW_ENO_MEMORY);
        return;
    }
    stream_widen(s);
    stream_want_body(s);
    body_collect(f);
}

/* Through with what the client gave up. */
static void given_up_ended(void *arg, const struct script_use *use)
{
    clients_worked(arg, clock_now_ms(), use ? use->cpu_us : 0);
}

static void given_up_answer_ended(void *arg, const struct script_use *use)
{
    (void)use; /* what was answered was worth it */
    clients_worked(arg, clock_now_ms(), 0);
}

/* The client gave up what the application is at work on: it pays for that, and has it at work
 * until it is over. */
static void charge_client(struct forward *f)
{
    struct stream *s = f->s;
    uint64_t since_ms = s->answered ? loop_now_ms(s->loop) : f->granted_ms;
    struct client_work *work = clients_work(worker_of(s)->clients, s->client, since_ms);

    if (work)
        fcgi_request_given_up(f->req, s->answered ? given_up_answer_ended : given_up_ended,
                              work);
}

static void forward_closed(struct stream *s, int err)
{
    struct forward *f = s->handler_state;

    if (s->client && f->req && f->granted_ms && !s->tunnel && !s->pushed &&
        clients_is_given_up(err))
        charge_client(f);
    forward_release(f);
}

static const struct handler forward_handler = {
    .name = "pool",
    .start = forward_begin,
    .body = forward_body,
    .body_behind = forward_body_behind,
    .writable = forward_writable,
    .closed = forward_closed,
};

void forward_start_role(struct stream *s, struct pool *pool, struct route_match *m,
                        const struct forward_role *role, void *state)
{
    struct forward *f = arena_zalloc(&s->arena, sizeof(*f));

    if (!f) {
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    f->s = s;
    f->pool = pool;
    f->m = m;
    f->role = role;
    f->role_state = state;
    f->slow.fn = forward_slow_fn;
    forward_asker(f);
    s->pool_name = pool_conf(pool)->name;
    stream_handle(s, &forward_handler, f);
}

void forward_start(struct stream *s, struct pool *pool, struct route_match *m)
{
    forward_start_role(s, pool, m, NULL, NULL);
}
