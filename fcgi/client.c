/*
 * A request's life: its slot, its head and STDIN, its end.  What goes over the connection is
 * client_conn.c's.
 *
 * A request that failed or ended is reported last, after its slot was given back, and is freed
 * with that: what runs after fcgi_request_fail() or fcgi_request_ended() must not touch it.
 */
#include "client.h"

#include <assert.h>
#include <fastcgi.h>
#include <stddef.h>
#include <stdlib.h>

#include "params.h"
#include "pool_priv.h"

enum {
    STDIN_RECORD =
        32 * 1024, /* a chunk of 64 KiB gives two records, not a large one and one of a byte */
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

/* r's slot goes back.  keep: its connection is fit for another request. */
static void request_release(struct fcgi_request *r, bool keep)
{
    struct fcgi_conn *fc = r->conn;
    bool close_it;

    timer_clear(&r->timer);
    timer_clear(&fc->timer);
    if (keep && fc->events != EPOLLIN)
        fcgi_conn_watch(fc, EPOLLIN);
    fc->request = NULL;
    fc->reused = true;
    if (!keep)
        fcgi_conn_drop(fc);
    struct fcgi_request *next = pool_release(r->pool, r, keep, &close_it);
    if (close_it) { /* the pool keeps enough idle ones */
        fcgi_conn_drop(fc);
        fcgi_conn_give_back(fc, r->worker);
    }
    request_schedule(next);
}

void fcgi_request_fail(struct fcgi_request *r, int err, enum fcgi_retry retry)
{
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (r->conn) {
        pool_request_failed(r->pool, r, err);
        request_release(r, false);
    }
    timer_clear(&r->timer);
    free(r);
    if (ops)
        ops->error(arg, err, retry);
}

static void request_granted(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;

    if (r->refused) {
        if (r->ops)
            fcgi_request_fail(r, r->refused, FCGI_RETRY_NO);
        else
            free(r);
        return;
    }
    if (fc->stolen_from) { /* still in the loop that kept it */
        loop_del_foreign(fc->stolen_from, &fc->src);
        fc->stolen_from = NULL;
        fc->watched = false;
        fcgi_conn_watch(fc, EPOLLIN);
    }
    if (!r->ops) { /* aborted while the grant was on its way: pass it on */
        request_release(r, fc->src.fd >= 0);
        free(r);
        return;
    }
    r->phase = PHASE_READY;
    r->granted_ms = loop_now_ms(r->loop);
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
        return; /* else the grant is on its way, just in time */
    }
    if (r->phase != PHASE_RUNNING) {
        fcgi_request_fail(r, GW_EBACKEND_TIME, FCGI_RETRY_NO);
        return;
    }
    /* The slot stays taken until the application is through; the caller hears of it now. */
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;
    if (ops) {
        fcgi_request_abort(r);
        ops->error(arg, GW_EBACKEND_TIME, FCGI_RETRY_NO);
    }
}

struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      struct fcgi_asker *asker,
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
    r->asker = asker;
    if (asker) {
        r->tenant = asker->tenant;
        r->client = asker->client;
        r->balance_key = asker->balance_key;
    }
    r->task.fn = granted_task;
    r->timer.fn = request_timer;
    r->asked_ms = loop_now_ms(loop);
    if (pool_ask(pool, r) != 0)
        loop_defer(loop, &r->task);
    else
        timer_set(loop, &r->timer, (uint64_t)pool->conf->queue_timeout_ms);
    return r;
}

uint64_t fcgi_request_waited_ms(const struct fcgi_request *r)
{
    return r->granted_ms ? r->granted_ms - r->asked_ms : 0;
}

/* ---- what is sent ---- */

static int put_head(struct fcgi_conn *fc, uint16_t role, const struct buf *params, bool body)
{
    uint8_t record[16];

    fcgi_begin_request(record, REQUEST_ID, role, fc->pool->keepalive > 0);
    if (buf_append(&fc->out, record, 16) < 0 ||
        fcgi_params_records(&fc->out, REQUEST_ID, buf_at(params), buf_len(params)) < 0)
        return GW_ENO_MEMORY;
    if (body)
        return 0;
    fcgi_record_header(record, FCGI_STDIN, REQUEST_ID, 0, 0);
    return buf_append(&fc->out, record, FCGI_RECORD_HEADER);
}

void fcgi_request_begin(struct fcgi_request *r, uint16_t role, const struct buf *params,
                        bool idempotent, bool body)
{
    struct fcgi_conn *fc = r->conn;

    r->phase = PHASE_RUNNING;
    r->stdin_open = body;
    r->data_open = role == FCGI_FILTER;
    fc->reader = (struct fcgi_reader){0};
    buf_clear(&fc->end_body);
    buf_clear(&fc->out);
    fc->any_input = false;
    fc->any_stdout = false;
    fc->send_broken = false;
    if (put_head(fc, role, params, body) < 0) {
        fcgi_request_fail(r, GW_ENO_MEMORY, FCGI_RETRY_NO);
        return;
    }
    fcgi_conn_start(fc, idempotent);
}

static size_t put_stream(struct fcgi_request *r, uint8_t type, struct chain *from)
{
    struct fcgi_conn *fc = r->conn;
    size_t taken = 0;

    /* If no connection can be had the caller still has all of it, for another server. */
    if (atomic_load_explicit(&fc->state, memory_order_relaxed) != FC_ACTIVE) {
        r->stdin_blocked = from->n > 0;
        return 0;
    }
    while (from->n && buf_len(&fc->out) < STDIN_MARK) {
        struct slice s = chain_front(from);
        uint8_t header[FCGI_RECORD_HEADER];
        if (s.n > STDIN_RECORD)
            s.n = STDIN_RECORD;
        fcgi_record_header(header, type, REQUEST_ID, (uint16_t)s.n, 0);
        if (!fc->send_broken) { /* else nobody reads it any more: dropped */
            if (!buf_reserve(&fc->out, sizeof(header) + s.n))
                break;
            buf_append(&fc->out, header, sizeof(header));
            buf_append(&fc->out, s.p, s.n);
        }
        chain_drop(from, s.n);
        taken += s.n;
    }
    r->stdin_total += taken;
    if (from->n)
        r->stdin_blocked = true;
    if (taken || from->n)
        fcgi_conn_flush(fc);
    return taken;
}

/* The empty record that ends a stream. */
static void put_end(struct fcgi_request *r, uint8_t type)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t header[FCGI_RECORD_HEADER];

    fcgi_record_header(header, type, REQUEST_ID, 0, 0);
    if (fc->send_broken || buf_append(&fc->out, header, sizeof(header)) < 0)
        return;
    if (fcgi_request_speaks(r)) /* a filter's DATA follows, and goes along */
        return;
    if (atomic_load_explicit(&fc->state, memory_order_relaxed) == FC_ACTIVE)
        fcgi_conn_said_all(fc);
}

size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from)
{
    return put_stream(r, FCGI_STDIN, from);
}

void fcgi_request_stdin_end(struct fcgi_request *r)
{
    if (!r->stdin_open)
        return;
    r->stdin_open = false;
    put_end(r, FCGI_STDIN);
}

size_t fcgi_request_data(struct fcgi_request *r, struct chain *from)
{
    assert(!r->stdin_open); /* FastCGI 6.4: first STDIN to its end */
    return put_stream(r, FCGI_DATA, from);
}

void fcgi_request_data_end(struct fcgi_request *r)
{
    if (!r->data_open)
        return;
    r->data_open = false;
    put_end(r, FCGI_DATA);
}

static void conn_set_reading(struct fcgi_request *r, bool on)
{
    struct fcgi_conn *fc = r->conn;

    if (r->paused == !on)
        return;
    r->paused = !on;
    if (r->phase != PHASE_RUNNING ||
        atomic_load_explicit(&fc->state, memory_order_relaxed) != FC_ACTIVE)
        return;
    fc->moved_ms = loop_now_ms(r->loop);
    fcgi_conn_rewatch(fc);
}

void fcgi_request_pause(struct fcgi_request *r)
{
    conn_set_reading(r, false);
}

void fcgi_request_resume(struct fcgi_request *r)
{
    conn_set_reading(r, true);
}

/* ---- the end ---- */

void fcgi_request_ended(struct fcgi_request *r, bool more)
{
    static const int errors[] = {[FCGI_CANT_MPX_CONN] = GW_EBACKEND_MPX,
                                 [FCGI_OVERLOADED] = GW_EBACKEND_OVERLOADED,
                                 [FCGI_UNKNOWN_ROLE] = GW_EBACKEND_ROLE};
    struct fcgi_conn *fc = r->conn;
    uint32_t app_status = 0;
    uint8_t status = 0;
    const struct fcgi_request_ops *ops = r->ops;
    void *arg = r->arg;

    if (!fcgi_end_request_decode(buf_at(&fc->end_body), buf_len(&fc->end_body), &app_status,
                                 &status) ||
        status > FCGI_UNKNOWN_ROLE) {
        fcgi_request_fail(r, GW_EFCGI_PROTO, FCGI_RETRY_NO);
        return;
    }
    if (status != FCGI_REQUEST_COMPLETE) {
        bool again = status == FCGI_OVERLOADED && !fc->any_stdout;
        fcgi_request_fail(r, errors[status], again ? FCGI_RETRY_IDEMPOTENT : FCGI_RETRY_NO);
        return;
    }
    bool keep = fc->pool->keepalive > 0 && !more && !fc->send_broken &&
                !fcgi_request_speaks(r) && !r->aborted && buf_len(&fc->out) == 0 &&
                r->stdin_total <= STDIN_REUSE;
    r->answered = true;
    request_release(r, keep);
    free(r);
    if (ops)
        ops->end(arg, app_status);
}

/* ---- giving up ---- */

static void request_abort_running(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t record[FCGI_RECORD_HEADER];

    if (atomic_load_explicit(&fc->state, memory_order_relaxed) != FC_ACTIVE ||
        fc->send_broken) {
        request_release(r, false);
        free(r);
        return;
    }
    r->aborted = true;
    r->ops = NULL;
    fc->since_ms = loop_now_ms(r->loop); /* abort_timeout runs from here */
    timer_clear(&r->timer);
    timer_set(r->loop, &fc->timer, (uint64_t)fc->pool->conf->abort_timeout_ms);
    r->paused = false;
    fcgi_record_header(record, FCGI_ABORT_REQUEST, REQUEST_ID, 0, 0);
    if (buf_append(&fc->out, record, sizeof(record)) == 0)
        fcgi_conn_flush(fc);
}

void fcgi_request_abort(struct fcgi_request *r)
{
    r->ops = NULL;
    switch (r->phase) {
    case PHASE_RUNNING:
        request_abort_running(r);
        return;
    case PHASE_READY:
        request_release(r, r->conn->src.fd >= 0);
        free(r);
        return;
    case PHASE_ASKING:
        timer_clear(&r->timer);
        if (pool_leave(r->pool, r, POOL_CLIENT_GONE))
            free(r);
        return; /* else the grant on its way finds it gone */
    }
}
