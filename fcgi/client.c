/*
 * A request's life: its slot, its beginning, its end.  What it says is client_send.c's, what
 * goes over the connection client_conn.c's.
 *
 * A request that failed or ended is reported last, after its slot was given back, and is freed
 * with that: what runs after fcgi_request_fail(), fcgi_conn_fail() or fcgi_request_ended() must
 * not touch it; nor its connection, if its tenure is another.
 */
#include "client.h"

#include <fastcgi.h>
#include <stddef.h>
#include <stdlib.h>

#include "pool_check.h"

enum {
    STDIN_REUSE =
        4 * 1024, /* libfcgi closes a kept connection after more unread STDIN than its 8
                               KiB, records included */
};

/* ---- grants ---- */

static void request_granted(struct fcgi_request *r);

static void granted_task(struct loop *l, struct loop_task *task)
{
    (void)l;
    request_granted(
        (struct fcgi_request *)(void *)((char *)task - offsetof(struct fcgi_request, task)));
}

static void request_schedule(struct fcgi_request *next)
{
    if (next)
        loop_defer(next->loop, &next->task);
}

void fcgi_request_granted_msg(struct loop *l, struct loop_msg *msg)
{
    (void)l;
    request_granted(
        (struct fcgi_request *)(void *)((char *)msg - offsetof(struct fcgi_request, msg)));
}

void fcgi_conn_give_back(struct fcgi_conn *fc, unsigned worker)
{
    request_schedule(pool_conn_closed(fc->pool, fc, worker));
}

/* r, if it was begun, is off its connection.  fit: another request may be on that.  Returns
 * whether it is still open. */
static bool request_leave(struct fcgi_request *r, bool fit)
{
    struct fcgi_conn *fc = r->conn;

    timer_clear(&r->timer);
    fcgi_request_hush(r, false);
    if (r->paused)
        fc->paused = false;
    if (r->id)
        fcgi_ids_give(&fc->ids, r->id);
    r->id = 0;
    fc->reused = true;
    if (fc->ids.n_used)
        return true; /* it is the others' too */
    timer_clear(&fc->timer);
    loop_undefer(r->loop, &fc->flush);
    fit = fit && !fc->ending && fc->src.fd >= 0;
    if (fit && fc->events != EPOLLIN)
        fcgi_conn_watch(fc, EPOLLIN);
    if (!fit)
        fcgi_conn_drop(fc);
    atomic_store_explicit(&fc->tenure, fcgi_conn_tenure(fc) + 1, memory_order_relaxed);
    return fit;
}

void fcgi_request_report(struct fcgi_request *r, fcgi_report_fn *fn, void *arg)
{
    r->report = fn;
    r->report_arg = arg;
}

void fcgi_request_given_up(struct fcgi_request *r, fcgi_report_fn *fn, void *arg)
{
    r->given_up = fn;
    r->given_up_arg = arg;
}

void fcgi_request_tell(struct fcgi_request *r)
{
    const struct script_usage *usage = r->conn ? r->conn->server->usage : NULL;
    fcgi_report_fn *fn = r->report, *given_up = r->given_up;
    struct script_use use;

    r->report = r->given_up = NULL;
    if (!fn && !given_up)
        return;
    bool known = usage && script_usage_get(usage, r->usage_n, &use);
    if (fn)
        fn(r->report_arg, known ? &use : NULL);
    if (given_up)
        given_up(r->given_up_arg, known ? &use : NULL);
}

/* r's slot goes back.  keep: its connection is open, and fit for others. */
static void request_release(struct fcgi_request *r, bool keep)
{
    struct fcgi_conn *fc = r->conn;
    bool close_it;

    fcgi_request_tell(r); /* before another's script can say something there */
    struct fcgi_request *next = pool_release(r->pool, r, keep, &close_it);
    if (close_it) { /* the pool keeps enough idle ones */
        fcgi_conn_drop(fc);
        fcgi_conn_give_back(fc, r->worker);
    } else if (keep) {
        pool_sweep_later(r->pool, r->loop, r->worker);
    }
    request_schedule(next);
}

/* Tell r's caller, if it has one, that it failed. */
static void request_report(struct fcgi_request *r, int err, enum fcgi_retry retry)
{
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    timer_clear(&r->timer);
    free(r);
    if (ops)
        ops->error(arg, err, retry);
}

void fcgi_conn_fail(struct fcgi_conn *fc, int err, enum fcgi_retry retry,
                    struct fcgi_request *fault)
{
    struct fcgi_request *over = NULL, **end = &over, *r;
    unsigned at = 0;

    while ((r = fcgi_ids_next(&fc->ids, &at))) {
        r->retry = r == fault || r->any_input ? FCGI_RETRY_NO : retry;
        r->phase = PHASE_OVER;
        *end = r;
        end = &r->over;
    }
    pool_request_failed(fc->pool, fault ? fault : over, err);
    for (r = over; r; r = r->over)
        request_leave(r, false);
    for (r = over; r; r = r->over)
        request_release(r, false);
    while ((r = over)) {
        over = r->over;
        request_report(r, err, r->retry);
    }
}

/* r is given up by its caller or by its times: the slot stays taken until the application is
 * through.  Its caller hears nothing more. */
static void request_abort_running(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    bool only = fc->ids.n_used == 1;
    uint64_t abort_ms = (uint64_t)fc->pool->conf->abort_timeout_ms;

    r->ops = NULL;
    if (only && (!fcgi_conn_is(fc, FC_ACTIVE) || fc->send_broken || r->asks_values)) {
        request_release(r, request_leave(r, false));
        free(r);
        return;
    }
    r->aborted = true;
    r->moved_ms = loop_now_ms(r->loop); /* abort_timeout runs from here */
    timer_clear(&r->timer);
    timer_set(r->loop, &fc->timer, only ? abort_ms : fc->pool->tick_ms);
    if (r->paused)
        fc->paused = false;
    r->paused = false;
    fcgi_request_hush(r, false);
    fcgi_put_abort(r);
}

void fcgi_request_fail(struct fcgi_request *r, int err, enum fcgi_retry retry)
{
    if (r->phase == PHASE_RUNNING && r->conn->ids.n_used == 1) {
        fcgi_conn_fail(r->conn, err, retry, retry == FCGI_RETRY_NO ? r : NULL);
        return;
    }
    if (r->phase == PHASE_RUNNING) { /* the others' connection stays */
        const struct fcgi_request_ops *ops = r->ops;
        void *arg = r->arg;
        if (r->any_input)
            retry = FCGI_RETRY_NO;
        pool_request_failed(r->pool, r, err);
        request_abort_running(r);
        if (ops)
            ops->error(arg, err, retry);
        return;
    }
    if (r->conn)
        request_release(r, request_leave(r, true));
    request_report(r, err, retry);
}

void fcgi_request_give_up(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    /* It may be at work for ever: the connection is closed when the others are through. */
    fc->ending = true;
    pool_conn_share(fc, false);
    request_release(r, request_leave(r, false));
    free(r);
}

static void request_granted(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    if (r->refused) {
        request_report(r, r->refused, FCGI_RETRY_NO);
        return;
    }
    if (fc->stolen_from) { /* still in the loop that kept it */
        loop_del_foreign(fc->stolen_from, &fc->src);
        fc->stolen_from = NULL;
        fc->watched = false;
        fcgi_conn_watch(fc, EPOLLIN);
    }
    if (!r->ops) { /* aborted while the grant was on its way: pass it on */
        request_release(r, request_leave(r, true));
        free(r);
        return;
    }
    r->granted_ms = loop_now_ms(r->loop);
    if (r->waited && fcgi_request_waited_ms(r) > r->patience_ms) {
        pool_count_late(r->pool);
        fcgi_request_fail(r, GW_EPOOL_TIME, FCGI_RETRY_NO);
        return;
    }
    r->phase = PHASE_READY;
    timer_set(r->loop, &r->timer, (uint64_t)r->pool->conf->timeout_ms);
    r->ops->granted(r->arg);
}

static void request_timer(struct loop *l, struct timer *t)
{
    struct fcgi_request *r =
        (struct fcgi_request *)(void *)((char *)t - offsetof(struct fcgi_request, timer));

    (void)l;
    if (!r->granted_ms) {
        if (pool_leave(r->pool, r, POOL_TIMED_OUT))
            fcgi_request_fail(r, GW_EPOOL_TIME, FCGI_RETRY_NO);
        return; /* else the word is on its way */
    }
    if (r->phase != PHASE_RUNNING) {
        fcgi_request_fail(r, GW_EBACKEND_TIME, FCGI_RETRY_NO);
        return;
    }
    fcgi_request_time_over(r, GW_EBACKEND_TIME);
}

void fcgi_request_time_over(struct fcgi_request *r, int err)
{
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (!ops)
        return; /* aborted: abort_timeout runs */
    pool_request_failed(r->pool, r, err);
    request_abort_running(r);
    ops->error(arg, err, FCGI_RETRY_NO);
}

struct fcgi_request *fcgi_request_make(struct pool *pool, struct loop *loop, unsigned worker,
                                       const struct fcgi_request_ops *ops, void *arg)
{
    struct fcgi_request *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->pool = pool;
    r->loop = loop;
    r->worker = worker;
    r->ops = ops;
    r->arg = arg;
    r->task.fn = granted_task;
    r->timer.fn = request_timer;
    r->asked_ms = loop_now_ms(loop);
    return r;
}

struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      struct fcgi_asker *asker,
                                      const struct fcgi_request_ops *ops, void *arg)
{
    struct fcgi_request *r = fcgi_request_make(pool, loop, worker, ops, arg);

    if (!r)
        return NULL;
    r->asker = asker;
    r->patience_ms = (uint64_t)pool->conf->queue_timeout_ms;
    if (asker) {
        r->tenant = asker->tenant;
        r->client = asker->client;
        r->balance_key = asker->balance_key;
        r->alone = asker->alone;
        r->patience_ms -= asker->waited_ms < r->patience_ms ? asker->waited_ms : r->patience_ms;
    }
    if (pool_ask(pool, r) != 0)
        loop_defer(loop, &r->task);
    else
        timer_set(loop, &r->timer, r->patience_ms);
    return r;
}

uint64_t fcgi_request_waited_ms(const struct fcgi_request *r)
{
    return r->granted_ms ? r->granted_ms - r->asked_ms : 0;
}

/* ---- from a request to raw bytes ---- */

void fcgi_request_upgrade(struct fcgi_request *r)
{
    r->upgrades = true;
}

void fcgi_request_upgraded(struct fcgi_request *r)
{
    r->upgraded = true;
    timer_clear(&r->timer);
}

/* ---- the beginning ---- */

/* One request more.  Behind the last that keepalive_requests allows the connection ends, and in
 * a gateway that drains behind each. */
static void conn_count(struct fcgi_conn *fc)
{
    if (++fc->n_begun < fc->pool->conf->keepalive_requests && !pool_drains(fc->pool))
        return;
    fc->ending = true;
    if (fc->ids.n)
        pool_conn_share(fc, false);
}

void fcgi_request_begin(struct fcgi_request *r, uint16_t role, const struct buf *params,
                        bool idempotent, bool body)
{
    struct fcgi_conn *fc = r->conn;

    if (fc->ids.n_used == 0)
        fcgi_conn_prepare(fc);
    r->phase = PHASE_RUNNING;
    r->id = fcgi_ids_take(&fc->ids, r);
    if (!r->id) { /* it was to share a connection whose server no longer offers that */
        r->phase = PHASE_READY;
        fcgi_request_fail(r, GW_EBACKEND_MPX, FCGI_RETRY_UNSENT);
        return;
    }
    conn_count(fc);
    r->moved_ms = loop_now_ms(r->loop);
    r->stdin_open = r->has_body = body;
    r->data_open = role == FCGI_FILTER;
    fc->n_speaking += fcgi_request_speaks(r);
    if (fc->ids.n && fcgi_request_speaks(r)) {
        r->has_body = true;
        pool_request_close(r, true);
    }
    if (fcgi_put_head(r, role, params, body, idempotent) < 0) {
        fcgi_request_fail(r, GW_ENO_MEMORY, FCGI_RETRY_NO);
        return;
    }
    fcgi_conn_start(fc, idempotent);
}

/* ---- pauses ---- */

bool fcgi_request_pause(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    if (r->paused)
        return true;
    /* Others would wait for its client. */
    if (r->phase == PHASE_RUNNING && fc->ids.n && !pool_request_try_close(r))
        return false;
    r->paused = true;
    if (r->phase != PHASE_RUNNING)
        return true;
    fc->paused = true;
    fc->moved_ms = loop_now_ms(r->loop);
    if (fcgi_conn_is(fc, FC_ACTIVE))
        fcgi_conn_rewatch(fc);
    return true;
}

void fcgi_request_resume(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    if (!r->paused)
        return;
    r->paused = false;
    if (r->phase != PHASE_RUNNING)
        return;
    fc->paused = false;
    fc->moved_ms = r->moved_ms = loop_now_ms(r->loop);
    if (fc->ids.n && !r->alone && !r->has_body)
        pool_request_close(r, false);
    if (fcgi_conn_is(fc, FC_ACTIVE))
        fcgi_conn_rewatch(fc);
}

/* ---- the end ---- */

/* END_REQUEST refused it.  A server that does not take it beside others did nothing of it. */
static void request_refused(struct fcgi_request *r, uint8_t status)
{
    static const int errors[] = {[FCGI_CANT_MPX_CONN] = GW_EBACKEND_MPX,
                                 [FCGI_OVERLOADED] = GW_EBACKEND_OVERLOADED,
                                 [FCGI_UNKNOWN_ROLE] = GW_EBACKEND_ROLE};
    struct fcgi_conn *fc = r->conn;
    enum fcgi_retry retry = FCGI_RETRY_NO;

    if (status == FCGI_OVERLOADED && !r->any_stdout)
        retry = FCGI_RETRY_IDEMPOTENT;
    if (status == FCGI_CANT_MPX_CONN && fc->ids.n) {
        pool_server_cannot_share(fc->server);
        retry = r->any_stdout || r->stdin_total ? FCGI_RETRY_NO : FCGI_RETRY_UNSENT;
    }
    pool_request_failed(r->pool, r, errors[status]);
    request_release(r, request_leave(r, false));
    request_report(r, errors[status], retry);
}

/* May the connection be used again behind r, which is the last on it? */
static bool request_leaves_it_fit(const struct fcgi_request *r, bool more)
{
    const struct fcgi_conn *fc = r->conn;

    return fc->pool->keepalive > 0 && !more && !fc->send_broken && !fcgi_request_speaks(r) &&
           !r->aborted && buf_len(&fc->out) == 0 &&
           (fc->ids.n || r->stdin_total <= STDIN_REUSE);
}

void fcgi_request_ended(struct fcgi_request *r, bool more)
{
    struct fcgi_conn *fc = r->conn;
    uint32_t app_status = 0;
    uint8_t status = 0;
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (!fcgi_end_request_decode(r->end_body, r->n_end_body, &app_status, &status) ||
        status > FCGI_UNKNOWN_ROLE) {
        fcgi_conn_fail(fc, GW_EFCGI_PROTO, FCGI_RETRY_IDEMPOTENT, r);
        return;
    }
    if (status != FCGI_REQUEST_COMPLETE) {
        request_refused(r, status);
        return;
    }
    r->answered = true;
    bool fit = request_leaves_it_fit(r, more);
    if (fc->ids.n_used > 1 && fcgi_request_speaks(r)) {
        fcgi_request_hush(r, true); /* net/http/fcgi reads on until then */
    }
    request_release(r, request_leave(r, fit));
    free(r);
    if (ops)
        ops->end(arg, app_status);
}

void fcgi_request_values(struct fcgi_request *r)
{
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    r->answered = fcgi_check_is_owed(r); /* else it was there, and that is all */
    if (r->answered)
        pool_request_answers(r->pool, r);
    request_release(r, request_leave(r, false));
    free(r);
    if (ops)
        ops->end(arg, 0);
}

/* ---- giving up ---- */

void fcgi_request_abort(struct fcgi_request *r)
{
    switch (r->phase) {
    case PHASE_RUNNING:
        request_abort_running(r);
        return;
    case PHASE_READY:
        request_release(r, request_leave(r, true));
        free(r);
        return;
    case PHASE_ASKING:
        r->ops = NULL;
        timer_clear(&r->timer);
        if (pool_leave(r->pool, r, POOL_CLIENT_GONE))
            free(r);
        return; /* else the grant on its way finds it gone */
    case PHASE_OVER:
        r->ops = NULL;
        return;
    }
}
