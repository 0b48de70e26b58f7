/*
 * The gateway process: makes pools, router, writers, workers and the acceptor, starts them,
 * waits for orders, and stops them in reverse.  The main thread is the acceptor's; orders and
 * the spawner's news come through its loop.
 */
#include "gateway.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sched.h>
#include <unistd.h>

#include "../fcgi/dns.h"
#include "../fcgi/pool.h"
#include "acceptor.h"
#include "clients.h"
#include "counter_report.h"
#include "fdpass.h"
#include "pool_report.h"
#include "processes.h"
#include "router.h"
#include "spool.h"
#include "window.h"
#include "worker.h"

enum { WORKERS_MAX = 64 };

struct gateway {
    const struct gateway_setup *setup;
    struct loop *loop;
    struct pool **pools;
    struct router *router;
    struct writers *writers;
    struct worker *workers;
    unsigned n_workers;
    unsigned n_inited;
    unsigned n_started;
    struct acceptor *acceptor;
    struct spool_budget spool;
    struct clients *clients;
    struct window_budget windows;
    struct encode_budget encode;
    struct processes *processes;
    struct pool_reports *reports;
    struct counter_report *counters;
    struct dns *dns; /* NULL: no pool has a name */
    struct loop_source control;
    struct timer drain;
    uint64_t drain_until_ms;
    bool draining, stopping;
};

/* ---- orders ---- */

static void gateway_stop(struct gateway *g)
{
    if (g->stopping)
        return;
    g->stopping = true;
    if (g->draining) {
        pool_reports_end(g->reports);
        counter_report_end();
    }
    acceptor_stop(g->acceptor);
    loop_stop(g->loop);
}

static unsigned gateway_n_conns(const struct gateway *g)
{
    unsigned n = 0;

    for (unsigned i = 0; i < g->n_workers; i++)
        n += atomic_load_explicit(&g->workers[i].n_conns, memory_order_relaxed);
    return n;
}

enum { DRAIN_LOOK_MS = 20 };

static void gateway_drain_fn(struct loop *l, struct timer *t)
{
    struct gateway *g = (struct gateway *)(void *)((char *)t - offsetof(struct gateway, drain));

    if (gateway_n_conns(g) == 0 || loop_now_ms(l) >= g->drain_until_ms)
        gateway_stop(g);
    else
        timer_set(l, t, DRAIN_LOOK_MS);
}

static void gateway_drain(struct gateway *g)
{
    if (g->draining)
        return;
    g->draining = true;
    acceptor_stop(g->acceptor);
    for (unsigned i = 0; i < g->n_workers; i++)
        worker_drain(&g->workers[i]);
    for (unsigned i = 0; i < g->setup->conf->n_pools; i++)
        pool_drain(g->pools[i]);
    g->drain_until_ms =
        loop_now_ms(g->loop) + (uint64_t)g->setup->conf->gateway.drain_timeout_ms;
    timer_set(g->loop, &g->drain, DRAIN_LOOK_MS);
}

static void control_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct gateway *g =
        (struct gateway *)(void *)((char *)src - offsetof(struct gateway, control));
    char order = 0;
    int fds[2];
    size_t n_fds = 0;

    (void)l;
    (void)events;
    int n = fdpass_recv(src->fd, &order, fds, 2, &n_fds);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || order == GATEWAY_CONTROL_END) {
        gateway_stop(g); /* end of file: the master is gone */
    } else if (order == GATEWAY_CONTROL_DRAIN) {
        gateway_drain(g);
    } else if (order == GATEWAY_CONTROL_LOGS && n_fds >= 1) {
        log_use_fds(fds[0], n_fds == 2 ? fds[1] : -1);
    } else if (order == GATEWAY_CONTROL_SPAWNER && n_fds == 1) {
        n_fds = 0;
        if (processes_use_spawner(g->processes, fds[0], true) < 0)
            log_line(CONF_LOG_ERROR, "spawner cannot be watched: %s", strerror(errno));
    }
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
}

/* ---- parts ---- */

static unsigned worker_count(const struct conf_gateway *c)
{
    cpu_set_t set;
    unsigned n = c->workers;

    if (n == 0)
        n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : n;
}

static int gateway_make_pools(struct gateway *g)
{
    const struct conf *conf = g->setup->conf;

    g->pools = calloc(conf->n_pools + 1, sizeof(struct pool *));
    for (unsigned i = 0; g->pools && i < conf->n_pools; i++) {
        g->pools[i] = pool_new(conf, i, g->n_workers, stderr);
        if (!g->pools[i])
            return GW_ENO_MEMORY;
    }
    return g->pools ? 0 : GW_ENO_MEMORY;
}

/* In the main thread's loop: names are rare, and their answers small. */
static int gateway_resolve_names(struct gateway *g)
{
    const struct conf *conf = g->setup->conf;

    for (unsigned i = 0; i < conf->n_pools; i++) {
        if (!pool_has_names(g->pools[i]))
            continue;
        if (!g->dns)
            g->dns = dns_new(g->loop, conf->gateway.resolver);
        if (!g->dns || pool_names_start(g->pools[i], g->loop, g->dns) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

/* While all that has a timer in the loop is still there. */
static void gateway_end_names(struct gateway *g)
{
    dns_free(g->dns);
    for (unsigned i = 0; g->pools && i < g->setup->conf->n_pools; i++) {
        if (g->pools[i])
            pool_names_stop(g->pools[i]);
    }
}

static int gateway_make_workers(struct gateway *g)
{
    g->workers = calloc(g->n_workers, sizeof(*g->workers));
    for (unsigned i = 0; g->workers && i < g->n_workers; i++) {
        struct worker *w = &g->workers[i];
        w->index = i;
        w->n_workers = g->n_workers;
        w->conf = g->setup->conf;
        w->gateway = g;
        w->router = g->router;
        w->writers = g->writers;
        w->tls = g->setup->tls;
        w->spool = &g->spool;
        w->clients = g->clients;
        w->windows = &g->windows;
        w->encode = &g->encode;
        if (worker_init(w) < 0)
            return GW_ENO_MEMORY;
        g->n_inited++;
    }
    return g->workers ? 0 : GW_ENO_MEMORY;
}

/* Each pool's on one worker. */
static int gateway_start_checks(struct gateway *g)
{
    for (unsigned i = 0; i < g->setup->conf->n_pools; i++) {
        unsigned worker = i % g->n_workers;
        if (pool_checks_start(g->pools[i], g->workers[worker].loop, worker) < 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

static int gateway_make(struct gateway *g)
{
    const struct conf_gateway *c = &g->setup->conf->gateway;

    g->n_workers = worker_count(c);
    g->spool = (struct spool_budget){.dir = c->spool_dir,
                                     .limit = (uint64_t)c->spool_limit,
                                     .memory = (size_t)c->spool_memory};
    g->windows.limit = (uint64_t)c->h2_window_memory;
    g->encode.limit = (size_t)c->compress_memory;
    g->loop = loop_new("acceptor");
    g->writers = writers_new(c->writers);
    g->clients = clients_new(c);
    if (!g->loop || !g->writers || !g->clients || gateway_make_pools(g) < 0)
        return GW_ENO_MEMORY;
    g->router = router_new(g->setup->conf, g->pools, stderr);
    if (!g->router || gateway_make_workers(g) < 0)
        return GW_ENO_MEMORY;
    loop_set_user(g->loop, g);
    g->drain.fn = gateway_drain_fn;
    g->processes = processes_new(g->loop, g->setup, g->pools);
    g->reports = pool_reports_new(g->loop, g->pools, g->setup->conf->n_pools);
    g->counters = counter_report_new(g->loop);
    if (!g->processes || !g->reports || !g->counters)
        return GW_ENO_MEMORY;
    g->acceptor = acceptor_new(g->loop, g->setup, g->workers, g->n_workers);
    if (!g->acceptor || gateway_start_checks(g) < 0)
        return GW_ENO_MEMORY;
    return gateway_resolve_names(g);
}

static int gateway_watch(struct gateway *g)
{
    g->control = (struct loop_source){g->setup->control_fd, control_event};
    if (loop_add(g->loop, &g->control, EPOLLIN) < 0)
        return -1;
    return processes_use_spawner(g->processes, g->setup->spawner_fd, false);
}

static int gateway_start(struct gateway *g)
{
    for (unsigned i = 0; i < g->n_workers; i++) {
        if (worker_start(&g->workers[i]) != 0)
            return -1;
        g->n_started++;
    }
    return 0;
}

static void gateway_end(struct gateway *g)
{
    for (unsigned i = 0; i < g->n_started; i++)
        worker_stop(&g->workers[i]);
    for (unsigned i = 0; i < g->n_started; i++)
        worker_join(&g->workers[i]);
    gateway_end_names(g);
    acceptor_free(g->acceptor);
    processes_free(g->processes);
    pool_reports_free(g->reports);
    counter_report_free(g->counters);
    writers_free(g->writers);
    for (unsigned i = 0; g->pools && i < g->setup->conf->n_pools; i++)
        pool_free(g->pools[i]);
    router_free(g->router);
    for (unsigned i = 0; i < g->n_inited; i++)
        worker_fini(&g->workers[i]);
    clients_free(g->clients);
    loop_free(g->loop);
    free((void *)g->pools);
    free(g->workers);
}

/* sendfile(2) knows no MSG_NOSIGNAL: a client that goes must not end the process. */
static void ignore_sigpipe(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL);
}

int gateway_run(const struct gateway_setup *setup)
{
    struct gateway g = {.setup = setup};
    int status = 1;

    ignore_sigpipe();
    if (gateway_make(&g) < 0 || gateway_watch(&g) < 0 || gateway_start(&g) < 0) {
        log_line(CONF_LOG_ERROR,
                 "gateway: cannot start: out of memory, descriptors or threads");
    } else {
        pthread_setname_np(pthread_self(),
                           "acceptor"); /* now: new threads begin with our name */
        if (fdpass_send(setup->control_fd, GATEWAY_CONTROL_READY, NULL, 0) < 0)
            log_line(CONF_LOG_WARN, "gateway: the master does not listen: %s", strerror(errno));
        loop_run(g.loop);
        status = 0;
    }
    gateway_end(&g);
    return status;
}
