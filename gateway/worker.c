#include "worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients.h"
#include "file_cache.h"
#include "spare.h"

enum { ACCESS_FLUSH_MS = 200 };

/* A connection on its way from the acceptor: an entry of the worker's queue, which is its
 * loop's message list. */
struct worker_item {
    struct loop_msg msg;
    struct conn_accepted accepted;
    size_t n_first;
    uint8_t first[];
};

/* ---- connections ---- */

static void worker_take_fn(struct loop *l, struct loop_msg *msg)
{
    struct worker *w = loop_user(l);
    struct worker_item *item = (struct worker_item *)(void *)msg;
    struct conn *c = w->stopping ? NULL : conn_new(w, &item->accepted);

    if (!c) {
        close(item->accepted.fd);
        clients_disconnect(item->accepted.client);
        atomic_fetch_sub_explicit(&w->n_conns, 1, memory_order_relaxed);
    } else {
        c->next = w->conns;
        if (c->next)
            c->next->prev = c;
        w->conns = c;
        conn_start(c, item->first, item->n_first);
        if (w->draining)
            conn_drain(c);
    }
    free(item);
}

int worker_give(struct worker *w, const struct conn_accepted *a, const uint8_t *first, size_t n)
{
    struct worker_item *item = malloc(sizeof(*item) + n);

    if (!item)
        return GW_ENO_MEMORY;
    item->msg.fn = worker_take_fn;
    item->accepted = *a;
    item->n_first = n;
    if (n)
        memcpy(item->first, first, n);
    atomic_fetch_add_explicit(&w->n_conns, 1, memory_order_relaxed);
    loop_post(w->loop, &item->msg);
    return 0;
}

/* Stopping ends when nothing is left that would call back. */
static void worker_stop_if_idle(struct worker *w)
{
    if (w->stopping && !w->conns && !w->n_jobs)
        loop_stop(w->loop);
}

void worker_job_began(struct worker *w)
{
    w->n_jobs++;
}

void worker_job_ended(struct worker *w)
{
    w->n_jobs--;
    worker_stop_if_idle(w);
}

void worker_forget_conn(struct worker *w, struct conn *c)
{
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    atomic_fetch_sub_explicit(&w->n_conns, 1, memory_order_relaxed);
    worker_stop_if_idle(w);
}

/* ---- draining and stopping ---- */

static void worker_drain_fn(struct loop *l, struct loop_msg *msg)
{
    struct worker *w = loop_user(l);

    free(msg);
    w->draining = true;
    for (struct conn *c = w->conns; c; c = c->next)
        conn_drain(c);
}

static void worker_stop_fn(struct loop *l, struct loop_msg *msg)
{
    struct worker *w = loop_user(l);

    free(msg);
    w->draining = true;
    w->stopping = true;
    for (struct conn *c = w->conns; c; c = c->next) {
        c->end_err = GW_EDRAINING;
        conn_kill(c);
    }
    worker_stop_if_idle(w);
}

static void worker_order(struct worker *w, void (*fn)(struct loop *, struct loop_msg *))
{
    struct loop_msg *msg = malloc(sizeof(*msg));

    if (!msg)
        abort(); /* 24 bytes at the end of our life: nothing sensible is left to do */
    msg->fn = fn;
    loop_post(w->loop, msg);
}

void worker_drain(struct worker *w)
{
    worker_order(w, worker_drain_fn);
}

void worker_stop(struct worker *w)
{
    worker_order(w, worker_stop_fn);
}

/* ---- the Date field and the access log ---- */

struct slice worker_date(struct worker *w)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;

    if (now != w->date_at || !w->date_len) {
        (void)gmtime_r(&now, &tm);
        int n = snprintf(w->date, sizeof(w->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                         days[tm.tm_wday], tm.tm_mday % 100, months[tm.tm_mon],
                         (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100,
                         tm.tm_sec % 100);
        w->date_len = (size_t)n;
        w->date_at = now;
    }
    return slice_of(w->date, w->date_len);
}

static void worker_access_fn(struct loop *l, struct timer *t)
{
    struct worker *w =
        (struct worker *)(void *)((char *)t - offsetof(struct worker, access_timer));

    (void)l;
    log_batch_flush(&w->access);
}

static void flush_later(struct log_batch *b)
{
    struct worker *w = (struct worker *)(void *)((char *)b - offsetof(struct worker, access));

    if (buf_len(&b->lines) && !timer_armed(&w->access_timer))
        timer_set(w->loop, &w->access_timer, ACCESS_FLUSH_MS);
}

void worker_log_access(struct worker *w, const struct stream *s)
{
    log_access(&w->access, s);
    flush_later(&w->access);
}

/* ---- life ---- */

static uint64_t shortest_ms(const struct conf_gateway *g)
{
    const int64_t all[] = {g->handshake_timeout_ms, g->head_timeout_ms, g->body_timeout_ms,
                           g->idle_timeout_ms, g->write_timeout_ms};
    int64_t least = all[0];

    for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++)
        least = all[i] < least ? all[i] : least;
    return least > 0 ? (uint64_t)least : 1;
}

/* Its share of what all may hold. */
static int make_file_cache(struct worker *w)
{
    const struct conf_gateway *g = &w->conf->gateway;
    unsigned n = w->n_workers ? w->n_workers : 1;
    const struct file_cache_limits limits = {
        .n_files = (g->open_files + n - 1) / n,
        .valid_ms = (uint64_t)g->open_files_valid_ms,
        .memory = (size_t)g->open_files_memory / n,
    };

    w->files = file_cache_new(w->loop, &limits);
    return w->files || !limits.n_files ? 0 : GW_ENO_MEMORY;
}

int worker_init(struct worker *w)
{
    w->loop = loop_new("worker");
    if (!w->loop || send_scratch_init(&w->send) < 0 || make_file_cache(w) < 0) {
        worker_fini(w);
        return GW_ENO_MEMORY;
    }
    loop_set_user(w->loop, w);
    w->tick_ms = shortest_ms(&w->conf->gateway) / 2 + 1;
    w->writers_always = w->conf->gateway.writer == CONF_WRITER_ALWAYS;
    w->access_timer.fn = worker_access_fn;
    w->access.wake = flush_later;
    encoders_init(&w->encoders, w->loop, w->encode);
    return 0;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    pthread_setname_np(pthread_self(), "worker");
    loop_run(w->loop);
    log_batch_flush(&w->access);
    spare_thread_fini();
    return NULL;
}

int worker_start(struct worker *w)
{
    return pthread_create(&w->thread, NULL, worker_main, w);
}

void worker_join(struct worker *w)
{
    PTOK(pthread_join(w->thread, NULL));
    w->access.wake = NULL; /* its loop runs no more */
}

void worker_fini(struct worker *w)
{
    encoders_fini(&w->encoders);
    log_batch_flush(&w->access); /* scripts that were cut off with their pool */
    file_cache_free(w->files);
    w->files = NULL;
    loop_free(w->loop);
    buf_fini(&w->plain);
    buf_fini(&w->params);
    buf_fini(&w->access.lines);
    send_scratch_fini(&w->send);
    w->loop = NULL;
}
