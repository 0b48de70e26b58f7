/* fcgi/pool.h when everything happens at once: callers that come, go and are answered in any order,
 * on one thread at random and on two workers' threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <time.h>

/* A clock that may jump ahead: then times are over that no test would wait for. */
static int64_t ahead_ms;

static int jumping_clock(clockid_t id, struct timespec *ts)
{
    int rc = clock_gettime(id, ts);
    int64_t ns = ts->tv_nsec + ahead_ms % 1000 * 1000000;

    ts->tv_sec += ahead_ms / 1000 + ns / 1000000000;
    ts->tv_nsec = ns % 1000000000;
    return rc;
}

#define clock_gettime jumping_clock
#include "fcgi_world.h"
#undef clock_gettime

/* The id of the record that ends what came: STDIN's end, or ABORT_REQUEST. */
static uint16_t last_id(const uint8_t *in, ssize_t n)
{
    return n < FCGI_RECORD_HEADER ? 1 : be16_get(in + n - FCGI_RECORD_HEADER + 2);
}

/* ---- everything at once ---- */

/* Callers of both workers come, go and are answered in any order; at the end nothing is missing.
 * jump_ms: the clock jumps so far at a time. */
static void everything_at_once(unsigned seed, unsigned jump_ms)
{
    enum { N = 10 };
    struct caller c[N];
    struct fcgi_asker who[N];
    bool live[N] = {false};
    unsigned n_ended = 0, n_aborted = 0;

    world.pool_conf.max_requests = 3;
    world.pool_conf.keepalive = 2;
    world.pool_conf.queue = 5;
    open_pool(2);
    for (int step = 0; step < 6000; step++) {
        size_t i = (size_t)rand_r(&seed) % N;
        switch (rand_r(&seed) % 5) {
        case 0:
            if (live[i])
                break;
            who[i] = (struct fcgi_asker){.tenant = (unsigned)rand_r(&seed) % 2,
                                         .client = (unsigned)rand_r(&seed) % 3};
            c[i] = (struct caller){.asker = &who[i],
                                   .worker = (unsigned)rand_r(&seed) % 2,
                                   .unsafe = rand_r(&seed) % 2};
            live[i] = true;
            ask(&c[i]);
            break;
        case 1:
            if (live[i] && rand_r(&seed) % 3 == 0 && c[i].r) {
                caller_abort(&c[i]);
                live[i] = false;
                n_aborted++;
            }
            break;
        case 2: /* a server takes what there is */
            if (world.n_served < N_SERVED)
                accept_now((unsigned)rand_r(&seed) % 2);
            break;
        case 3: { /* a server answers, hangs up, or says garbage */
            uint8_t drop[4096];
            if (!world.n_served)
                break;
            unsigned k = (unsigned)rand_r(&seed) % world.n_served;
            int fd = world.served[k];
            ssize_t n = recv(fd, drop, sizeof(drop), MSG_DONTWAIT);
            unsigned what = (unsigned)rand_r(&seed) % 8;
            if (n > 0 && what > 1) {
                uint8_t over[16];
                fcgi_end_request(over, last_id(drop, n), 0, FCGI_REQUEST_COMPLETE);
                (void)!send(fd, over, 16, MSG_NOSIGNAL | MSG_DONTWAIT);
            } else if (n == 0 || what == 0) {
                close(fd);
                world.served[k] = world.served[--world.n_served];
            } else if (what == 1 && n > 0) {
                (void)!send(fd, "garbage!", 8, MSG_NOSIGNAL | MSG_DONTWAIT);
            }
            break;
        }
        default:
            ahead_ms += jump_ms ? (unsigned)rand_r(&seed) % jump_ms : 0;
            world_poll(world.loops[rand_r(&seed) % 2]);
        }
        for (i = 0; i < N; i++) {
            if (live[i] && (c[i].ended || c[i].failed)) {
                n_ended += c[i].ended;
                live[i] = false;
                assert_null(c[i].r);
                caller_fini(&c[i]);
            }
        }
        assert_true(fcgi_stats().in_flight <= 3);
        assert_true(fcgi_stats().idle <= 2);
        assert_true(world.pool->servers[0]->n_conns <= 3 &&
                    world.pool->servers[1]->n_conns <= 3);
    }
    for (size_t i = 0; i < N; i++) {
        if (live[i])
            caller_fini(&c[i]);
    }
    assert_true(n_ended > 50 && n_aborted > 50);
}

static void test_random(void **state)
{
    (void)state;
    everything_at_once(3, 0);
}

/* With all its times short, and over now and then. */
static void test_random_times(void **state)
{
    for (unsigned seed = 1; seed <= 8; seed++) {
        world.pool_conf.queue_timeout_ms = 150;
        world.pool_conf.keepalive_time_ms = 100;
        world.pool_conf.keepalive_requests = 1 + seed % 4;
        world.pool_conf.abort_timeout_ms = 200;
        world.pool_conf.first_byte_timeout_ms = 300;
        world.pool_conf.read_timeout_ms = 400;
        world.pool_conf.timeout_ms = 1000;
        everything_at_once(seed, 50);
        fcgi_teardown(state);
        fcgi_setup(state);
    }
}

/* ---- two workers ---- */

enum { WALKERS = 6, WALKS = 1500 };

/* Asks, is answered, asks again, on its own worker. */
struct walker {
    struct loop_msg msg;
    struct fcgi_request *r;
    unsigned worker, seed;
    struct side *side;
};

static struct side {
    pthread_t thread;
    struct walker walkers[WALKERS];
    unsigned walks, n_live;
    unsigned n_ended, n_failed, n_aborted;
} sides[N_LOOPS];

static void walk(struct walker *k);

static void walker_granted(void *arg)
{
    struct walker *k = arg;
    struct buf params = {0};

    if (rand_r(&k->seed) % 16 == 0) {
        fcgi_request_abort(k->r);
        k->side->n_aborted++;
        walk(k);
        return;
    }
    fcgi_params_put(&params, SLICE("A"), SLICE("b"));
    fcgi_request_begin(k->r, FCGI_RESPONDER, &params, rand_r(&k->seed) % 2, false);
    buf_fini(&params);
}

static void walker_bytes(void *arg, const uint8_t *p, size_t n)
{
    (void)arg;
    (void)p;
    (void)n;
}

static void walker_end(void *arg, uint32_t app_status)
{
    struct walker *k = arg;

    (void)app_status;
    k->side->n_ended++;
    walk(k);
}

static void walker_error(void *arg, int err, enum fcgi_retry retry)
{
    struct walker *k = arg;

    (void)err;
    (void)retry;
    k->side->n_failed++;
    walk(k);
}

static const struct fcgi_request_ops walker_ops = {
    .granted = walker_granted,
    .stdout_bytes = walker_bytes,
    .stderr_bytes = walker_bytes,
    .end = walker_end,
    .error = walker_error,
};

static void walk(struct walker *k)
{
    struct side *side = k->side;

    while (side->walks < WALKS) {
        side->walks++;
        k->r = fcgi_request_new(world.pool, world.loops[k->worker], k->worker, NULL,
                                &walker_ops, k);
        if (rand_r(&k->seed) % 16)
            return;
        fcgi_request_abort(k->r); /* waiting, granted or refused */
        side->n_aborted++;
    }
    if (--side->n_live == 0)
        loop_stop(world.loops[k->worker]);
}

static void walker_start(struct loop *l, struct loop_msg *msg)
{
    (void)l;
    walk((struct walker *)(void *)msg);
}

static void *side_main(void *arg)
{
    struct side *side = arg;

    loop_run(world.loops[side - sides]);
    return NULL;
}

static atomic_bool servers_stop;

/* Answers what is whole, now and then hangs up instead. */
static bool server_answer(int fd, unsigned *seed)
{
    uint8_t in[4096], out[16];
    ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

    if (n == 0 || (n > 0 && rand_r(seed) % 64 == 0))
        return false;
    if (n >= FCGI_RECORD_HEADER && in[n - 8 + 1] == FCGI_STDIN) {
        fcgi_end_request(out, last_id(in, n), 0, FCGI_REQUEST_COMPLETE);
        return send(fd, out, sizeof(out), MSG_NOSIGNAL) == sizeof(out);
    }
    return n > 0 || errno == EAGAIN;
}

static void *servers_main(void *arg)
{
    struct pollfd p[64] = {{.fd = world.listen_fd[0], .events = POLLIN},
                           {.fd = world.listen_fd[1], .events = POLLIN}};
    unsigned n = 2, seed = 5;

    (void)arg;
    while (!atomic_load(&servers_stop)) {
        poll(p, n, 10);
        for (unsigned i = 2; i < n; i++) {
            if (p[i].revents && !server_answer(p[i].fd, &seed)) {
                close(p[i].fd);
                p[i--] = p[--n];
            }
        }
        for (unsigned i = 0; i < 2 && n < 64; i++) {
            int fd = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0)
                p[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    while (n > 2)
        close(p[--n].fd);
    return NULL;
}

static void test_two_workers(void **state)
{
    pthread_t servers;

    (void)state;
    world.pool_conf.max_requests = 3;
    world.pool_conf.keepalive = 2;
    world.pool_conf.queue = WALKERS * N_LOOPS;
    open_pool(2);
    memset(sides, 0, sizeof(sides));
    atomic_store(&servers_stop, false);
    assert_int_equal(pthread_create(&servers, NULL, servers_main, NULL), 0);
    for (unsigned i = 0; i < N_LOOPS; i++) {
        sides[i].n_live = WALKERS;
        for (unsigned k = 0; k < WALKERS; k++) {
            sides[i].walkers[k] = (struct walker){.msg.fn = walker_start,
                                                  .worker = i,
                                                  .seed = i * WALKERS + k,
                                                  .side = &sides[i]};
            loop_post(world.loops[i], &sides[i].walkers[k].msg);
        }
        assert_int_equal(pthread_create(&sides[i].thread, NULL, side_main, &sides[i]), 0);
    }
    for (unsigned i = 0; i < N_LOOPS; i++)
        assert_int_equal(pthread_join(sides[i].thread, NULL), 0);
    atomic_store(&servers_stop, true);
    assert_int_equal(pthread_join(servers, NULL), 0);
    for (unsigned i = 0; i < N_LOOPS; i++) {
        assert_int_equal(sides[i].n_ended + sides[i].n_failed + sides[i].n_aborted, WALKS);
        assert_true(sides[i].n_ended > WALKS / 3);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_random),
        T(test_random_times),
        T(test_two_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
