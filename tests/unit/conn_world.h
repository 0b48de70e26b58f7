/*
 * tests/unit/conn_world.h - a connection between a client on the other end of a socket pair and a
 * protocol made here, on a worker whose loop the test turns.  For one file of a test program.
 *
 *     open_conn(2, NULL, 0);                  on two writer threads
 *     owe(n);                                 the protocol has n more bytes to send
 *     assert_true(world_until(w.loop, got, &n));
 */
#ifndef TESTS_CONN_WORLD_H
#define TESTS_CONN_WORLD_H

#include <sys/ioctl.h>

#include "../../gateway/router.h"
#include "../../gateway/worker.h"
#include "loop_world.h"

/* ---- the protocol ---- */

/* What the test does with it and what it saw.  m: under the connection's lock. */
static struct {
    size_t owed;   /* m  bytes to be produced */
    uint64_t made; /* m  so far */
    bool broken;   /* m  produce fails from now on */
    bool over;     /* m  done */
    bool notes;    /* m  each produce is an event of the stream */

    struct stream *s; /* a stream, if the test made one */
    unsigned n_open, n_close, n_eof, n_shutdown, n_events, n_resets;
    int shutdown_err, eof_result, input_result, reset_err, close_err, calm_err, s_err;
    bool no_credit_in; /* the client may send no body */
    struct buf in;
} p;

static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 13 + at / 255);
}

static inline int fake_open(struct conn *c)
{
    (void)c;
    p.n_open++;
    return 0;
}

static inline int fake_input(struct conn *c, const uint8_t *bytes, size_t n)
{
    c->head_since_ms = 0;
    assert_int_equal(buf_append(&p.in, bytes, n), 0);
    return p.input_result;
}

static inline int fake_eof(struct conn *c)
{
    (void)c;
    p.n_eof++;
    return p.eof_result;
}

static inline void fake_events(struct conn *c)
{
    unsigned ev;

    loop_assert_owner(c->loop);
    while (conn_event_next(c, &ev)) {
        p.n_events++;
        if (ev & STREAM_EV_CLOSED) {
            stream_on_close(p.s, p.close_err);
            p.s = NULL;
        }
    }
}

static inline ssize_t fake_produce(struct conn *c, uint8_t *dst, size_t cap)
{
    size_t n = p.owed < cap ? p.owed : cap;

    lock_assert_held(&c->mu);
    assert_true(cap >= 32 * 1024);
    if (p.broken)
        return GW_ECLIENT_PROTO;
    for (size_t i = 0; i < n; i++)
        dst[i] = pattern(p.made + i);
    p.made += n;
    p.owed -= n;
    if (p.notes && p.s)
        stream_event_locked(p.s, STREAM_EV_WRITABLE);
    return (ssize_t)n;
}

static inline bool fake_want_write(struct conn *c)
{
    lock_assert_held(&c->mu);
    return p.owed > 0 || p.broken;
}

static inline bool fake_done(struct conn *c)
{
    lock_assert_held(&c->mu);
    return p.over;
}

static inline void fake_shutdown(struct conn *c, int err)
{
    (void)c;
    p.n_shutdown++;
    p.shutdown_err = err;
}

static inline int fake_send_head(struct stream *s, const struct response *r)
{
    (void)s;
    (void)r;
    return 0;
}

static inline int fake_interim(struct stream *s, int status, const struct field *fields,
                               size_t n)
{
    (void)s;
    (void)status;
    (void)fields;
    (void)n;
    return 0;
}

static inline void fake_ready(struct stream *s)
{
    (void)s;
}

static inline void fake_reset(struct stream *s, int err)
{
    p.n_resets++;
    p.reset_err = err;
    lock_take(&s->conn->mu);
    stream_event_locked(s, STREAM_EV_CLOSED);
    lock_drop(&s->conn->mu);
}

static inline void fake_consumed(struct stream *s, size_t n)
{
    (void)s;
    (void)n;
}

static inline void fake_close(struct conn *c)
{
    assert_null(c->streams);
    p.n_close++;
}

/* Of its bodies nothing is ever taken. */
static inline void fake_credit(const struct stream *s, struct credit *ret)
{
    (void)s;
    *ret = (struct credit){.in = !p.no_credit_in, .conn_out = true};
}

static inline void fake_calm(struct conn *cc, int err)
{
    (void)cc;
    p.calm_err = err;
}

#define FAKE                                                                                   \
    .open = fake_open, .input = fake_input, .input_eof = fake_eof, .events = fake_events,      \
    .produce = fake_produce, .want_write = fake_want_write, .done = fake_done,                 \
    .shutdown = fake_shutdown, .send_head = fake_send_head, .send_interim = fake_interim,      \
    .body_ready = fake_ready, .reset = fake_reset, .consumed = fake_consumed,                  \
    .credit = fake_credit, .calm = fake_calm, .close = fake_close

const struct proto http1_proto = {.name = "one", FAKE};
const struct proto http2_proto = {.name = "two", FAKE};

void router_handle(struct router *r, struct stream *s)
{
    (void)r;
    (void)s;
}

/* ---- the worker and the client ---- */

static struct conf conf;
static struct worker w;
static struct conn *c;
static int client; /* the other end */
static uint64_t n_got;

static inline bool no_conns(void *arg)
{
    (void)arg;
    return w.conns == NULL && atomic_load(&w.n_conns) == 0;
}

static inline int setup(void **state)
{
    (void)state;
    memset(&p, 0, sizeof(p));
    conf = (struct conf){.gateway = {.handshake_timeout_ms = 60000,
                                     .head_timeout_ms = 60000,
                                     .body_timeout_ms = 60000,
                                     .idle_timeout_ms = 60000,
                                     .write_timeout_ms = 60000}};
    client = -1;
    n_got = 0;
    c = NULL;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    if (client >= 0)
        close(client);
    if (c && w.conns)
        conn_kill(c);
    assert_true(world_until(w.loop, no_conns, NULL));
    assert_int_equal(p.n_open, p.n_close);
    assert_int_equal(atomic_load(&w.n_streams), 0);
    writers_free(w.writers);
    worker_fini(&w);
    buf_fini(&p.in);
    return 0;
}

enum { SMALL = 4096 };

static uint64_t opened_ms; /* not later than any time of the connection began */

/* A connection with a small socket buffer, on n_writers threads. */
static inline void open_conn(unsigned n_writers, const void *first, size_t n)
{
    struct conn_accepted a = {0};
    int fds[2], small = SMALL;

    w = (struct worker){.conf = &conf, .writers = writers_new(n_writers)};
    assert_int_equal(worker_init(&w), 0);
    w.loop->owner = pthread_self();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
                     0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    a.fd = fds[0];
    client = fds[1];
    opened_ms = clock_now_ms();
    assert_int_equal(worker_give(&w, &a, first, n), 0);
    assert_int_equal(atomic_load(&w.n_conns), 1);
    world_poll(w.loop);
    c = w.conns;
}

/* The protocol owes n more bytes. */
static inline void owe(size_t n)
{
    lock_take(&c->mu);
    p.owed += n;
    lock_drop(&c->mu);
    conn_dirty(c);
}

/* What there is to read; false at the end of file. */
static inline bool get(void)
{
    uint8_t bytes[8192];
    ssize_t n;

    while ((n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(n_got + (uint64_t)i));
        n_got += (uint64_t)n;
    }
    return n < 0 && errno == EAGAIN;
}

static inline bool got(void *arg)
{
    get();
    return n_got >= *(size_t *)arg;
}

static inline bool got_eof(void *arg)
{
    (void)arg;
    return !get();
}

static inline enum conn_lease lease(void)
{
    lock_take(&c->mu);
    enum conn_lease l = c->lease;
    lock_drop(&c->mu);
    return l;
}

static inline bool lease_is(void *arg)
{
    return lease() == *(enum conn_lease *)arg;
}

static inline void expect_lease(enum conn_lease want)
{
    assert_true(world_until(w.loop, lease_is, &want));
}

static inline void hang_up(void)
{
    close(client);
    client = -1;
}

#endif
