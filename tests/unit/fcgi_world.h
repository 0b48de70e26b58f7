/*
 * tests/unit/fcgi_world.h - a pool with its callers on one side and FastCGI servers on the other,
 * over real unix sockets, all on the test's thread: what a server does happens when the test says
 * so.  For one file of a test program.
 *
 *     world.pool_conf.max_requests = 2;       after world_fcgi(): set what differs
 *     open_pool(1);                           so many servers
 *     struct caller a = ask();                asks for a slot; begins when granted
 *     int fd = serve();                       accepts, and reads a whole request head
 *     say(fd, FCGI_STDOUT, "x", 1); end(fd, 0, FCGI_REQUEST_COMPLETE);
 *     wait_for(&a.ended);
 */
#ifndef TESTS_FCGI_WORLD_H
#define TESTS_FCGI_WORLD_H

#include <fastcgi.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../fcgi/client.h"
#include "../../fcgi/params.h"
#include "../../fcgi/pool_priv.h"
#include "../../fcgi/record.h"
#include "loop_world.h"

enum { N_LOOPS = 2, N_SERVERS = 3, N_SERVED = 16, FD_MAX = 1024 };

static struct {
    struct conf conf;
    struct conf_pool pool_conf;
    struct conf_address addresses[N_SERVERS];
    char dir[64];
    char paths[N_SERVERS][192];
    int listen_fd[N_SERVERS];
    struct loop *loops[N_LOOPS]; /* two workers */
    struct pool *pool;
    int served[N_SERVED]; /* the servers' ends, closed at the end */
    unsigned n_served;
    uint16_t role;       /* of the last request that came */
    uint16_t id[FD_MAX]; /* of the last one that came over a descriptor; 0: none, so 1 */
} world;

/* ---- callers ---- */

struct caller {
    struct fcgi_request *r;
    struct fcgi_asker *asker;
    unsigned worker;
    bool waits;  /* do not begin when granted */
    bool post;   /* has a body */
    bool unsafe; /* not idempotent */
    bool granted, ended, failed;
    enum fcgi_retry retry;
    bool aborts_on_stdout;
    unsigned n_writable, n_stdout, order; /* order: among all that were granted */
    uint32_t app_status;
    int err;
    struct buf out, log;
    struct chain stdin_;
    bool stdin_eof; /* say so when all of it went */
    bool filter;    /* FCGI_FILTER: data follows */
    struct chain data;
};

static unsigned n_granted;

static inline void caller_begin(struct caller *c)
{
    struct buf params = {0};

    assert_int_equal(fcgi_params_put(&params, SLICE("A"), SLICE("b")), 0);
    fcgi_request_begin(c->r, c->filter ? FCGI_FILTER : FCGI_RESPONDER, &params, !c->unsafe,
                       c->post);
    buf_fini(&params);
}

static inline void caller_push(struct caller *c)
{
    if (c->stdin_.n)
        fcgi_request_stdin(c->r, &c->stdin_);
    if (c->r && c->stdin_eof && c->stdin_.n == 0)
        fcgi_request_stdin_end(c->r);
    if (!c->r || !c->filter || (c->post && (c->stdin_.n || !c->stdin_eof)))
        return;
    if (c->data.n)
        fcgi_request_data(c->r, &c->data);
    if (c->r && c->data.n == 0)
        fcgi_request_data_end(c->r);
}

static inline void on_granted(void *arg)
{
    struct caller *c = arg;

    assert_false(c->granted || c->ended || c->failed);
    c->granted = true;
    c->order = ++n_granted;
    if (c->waits)
        return;
    caller_begin(c);
    if (c->r && (c->post || c->filter))
        caller_push(c);
}

static inline void on_stdout(void *arg, const uint8_t *p, size_t n)
{
    struct caller *c = arg;

    assert_true(c->granted && !c->ended && !c->failed && n);
    c->n_stdout++;
    assert_int_equal(buf_append(&c->out, p, n), 0);
    if (c->aborts_on_stdout) {
        fcgi_request_abort(c->r);
        c->r = NULL;
    }
}

static inline void on_stderr(void *arg, const uint8_t *p, size_t n)
{
    assert_int_equal(buf_append(&((struct caller *)arg)->log, p, n), 0);
}

static inline void on_writable(void *arg)
{
    struct caller *c = arg;

    assert_true(c->granted && !c->ended && !c->failed);
    c->n_writable++;
    caller_push(c);
}

static inline void on_end(void *arg, uint32_t app_status)
{
    struct caller *c = arg;

    assert_true(c->granted && !c->ended && !c->failed);
    c->ended = true;
    c->app_status = app_status;
    c->r = NULL;
}

static inline void on_error(void *arg, int err, enum fcgi_retry retry)
{
    struct caller *c = arg;

    assert_true(!c->ended && !c->failed);
    c->failed = true;
    c->err = err;
    c->retry = retry;
    c->r = NULL;
}

static const struct fcgi_request_ops caller_ops = {
    .granted = on_granted,
    .stdout_bytes = on_stdout,
    .stderr_bytes = on_stderr,
    .writable = on_writable,
    .end = on_end,
    .error = on_error,
};

/* c's flags are set before; all else is made anew. */
static inline void ask(struct caller *c)
{
    c->r = fcgi_request_new(world.pool, world.loops[c->worker], c->worker, c->asker,
                            &caller_ops, c);
    assert_non_null(c->r);
}

static inline void caller_abort(struct caller *c)
{
    fcgi_request_abort(c->r);
    c->r = NULL;
}

static inline void caller_fini(struct caller *c)
{
    if (c->r)
        caller_abort(c);
    buf_fini(&c->out);
    buf_fini(&c->log);
    chain_fini(&c->stdin_);
    chain_fini(&c->data);
}

enum { BIG = 3 * 1024 * 1024 };

static inline uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 3 + at / 257 + at / 65535);
}

static inline void fill(struct chain *c, size_t n)
{
    static uint8_t bytes[64 * 1024];

    for (size_t at = 0; at < n; at += sizeof(bytes)) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = pattern(at + i);
        assert_int_equal(
            chain_append(c, bytes, n - at < sizeof(bytes) ? n - at : sizeof(bytes)), 0);
    }
}

/* ---- time ---- */

static inline void turn(void)
{
    for (int i = 0; i < N_LOOPS; i++)
        world_poll(world.loops[i]);
}

static inline void turns(int n)
{
    while (n-- > 0)
        turn();
}

/* Turns until *flag; false if that takes WORLD_MS. */
static inline bool comes(const bool *flag)
{
    uint64_t end = clock_now_ms() + WORLD_MS;

    while (!*flag && clock_now_ms() < end) {
        world_poll(world.loops[1]);
        world_turn(world.loops[0]);
    }
    return *flag;
}

static inline void turn_for(uint64_t ms)
{
    uint64_t end = clock_now_ms() + ms;

    while (clock_now_ms() < end) {
        world_poll(world.loops[1]);
        world_turn(world.loops[0]);
    }
    turns(3); /* the machine may have stood still until now: what is due by then happens */
}

/* ---- servers ---- */

/* A connection on server i, or -1: there is none. */
static inline int accept_now(unsigned i)
{
    int fd = accept4(world.listen_fd[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return -1;
    assert_true(world.n_served < N_SERVED && fd < FD_MAX);
    world.id[fd] = 0;
    world.served[world.n_served++] = fd;
    return fd;
}

/* So many bytes, exactly. */
static inline void receive(int fd, uint8_t *p, size_t n)
{
    uint64_t end = clock_now_ms() + WORLD_MS;
    size_t have = 0;

    while (have < n) {
        ssize_t k = recv(fd, p + have, n - have, MSG_DONTWAIT);
        if (k == 0 || clock_now_ms() > end)
            fail_msg("%zu of %zu bytes came", have, n);
        if (k > 0)
            have += (size_t)k;
        else
            turn();
    }
}

/* The next record's type; its content, up to cap bytes of it, in content. */
static inline uint8_t receive_record(int fd, uint8_t *content, size_t cap, size_t *ret_n)
{
    uint8_t head[FCGI_RECORD_HEADER], rest[FCGI_RECORD_CONTENT_MAX + 255];

    receive(fd, head, sizeof(head));
    assert_int_equal(head[0], FCGI_VERSION_1);
    size_t n = be16_get(head + 4);
    receive(fd, rest, n + head[6]);
    if (head[1] == FCGI_BEGIN_REQUEST && fd < FD_MAX)
        world.id[fd] = be16_get(head + 2);
    assert_true(n <= cap);
    memcpy(content, rest, n);
    *ret_n = n;
    return head[1];
}

static inline void receive_empty(int fd, uint8_t type)
{
    uint8_t none[1];
    size_t n;

    assert_int_equal(receive_record(fd, none, 0, &n), type);
    assert_int_equal(n, 0);
}

/* BEGIN_REQUEST and PARAMS; whether the connection is to be kept. */
static inline bool receive_head(int fd)
{
    uint8_t content[256];
    size_t n;

    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_BEGIN_REQUEST);
    assert_int_equal(n, 8);
    world.role = be16_get(content);
    bool keep = content[2] & FCGI_KEEP_CONN;
    assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_PARAMS);
    assert_int_equal(n, 4);
    assert_memory_equal(content, "\1\1Ab", 4);
    receive_empty(fd, FCGI_PARAMS);
    return keep;
}

/* A new connection with a request that has no body. */
static inline int serve(void)
{
    uint64_t stop = clock_now_ms() + WORLD_MS;
    int fd = -1;

    while (fd < 0 && clock_now_ms() < stop) {
        turn();
        for (unsigned i = 0; fd < 0 && i < N_SERVERS; i++) {
            if (world.listen_fd[i] >= 0)
                fd = accept_now(i);
        }
    }
    assert_true(fd >= 0);
    receive_head(fd);
    return fd;
}

static inline int serve_get(void)
{
    int fd = serve();

    receive_empty(fd, FCGI_STDIN);
    return fd;
}

static inline void say_raw(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;

    while (n) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0) {
            assert_int_equal(errno, EAGAIN);
            turn();
            continue;
        }
        at += k;
        n -= (size_t)k;
    }
}

/* The id of the request that came last over fd. */
static inline uint16_t id_of(int fd)
{
    assert_true(fd < FD_MAX);
    return world.id[fd] ? world.id[fd] : 1;
}

static inline void say(int fd, uint8_t type, const void *p, size_t n)
{
    uint8_t head[FCGI_RECORD_HEADER];

    fcgi_record_header(head, type, id_of(fd), (uint16_t)n, 0);
    say_raw(fd, head, sizeof(head));
    if (n)
        say_raw(fd, p, n);
}

static inline void end(int fd, uint32_t app_status, uint8_t status)
{
    uint8_t record[16];

    fcgi_end_request(record, id_of(fd), app_status, status);
    say_raw(fd, record, sizeof(record));
}

/* c's request runs on fd: answer it. */
static inline void answer(int fd, struct caller *c)
{
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c->ended));
}

/* The next request on a connection that was kept: is it to be kept again? */
static inline bool serve_again(int fd)
{
    turns(3);
    bool keep = receive_head(fd);
    receive_empty(fd, FCGI_STDIN);
    return keep;
}

/* What an answer may be made of: management records, padding, empty records. */
static inline size_t put_answer(uint8_t *to, uint16_t id)
{
    static const char padding[5] = "pad!";
    uint8_t *at = to;

    fcgi_record_header(at, FCGI_STDOUT, id, 3, 5);
    memcpy(at + 8, "abc", 3);
    memcpy(at + 11, padding, 5);
    at += 16;
    fcgi_record_header(at, FCGI_UNKNOWN_TYPE, 0, 8, 0);
    memset(at + 8, 0, 8);
    at += 16;
    fcgi_record_header(at, FCGI_STDERR, id, 1, 0);
    at[8] = 'e';
    at += 9;
    fcgi_record_header(at, FCGI_STDOUT, id, 0, 3);
    memcpy(at + 8, padding, 3);
    at += 11;
    fcgi_record_header(at, FCGI_STDOUT, id, 2, 0);
    memcpy(at + 8, "de", 2);
    at += 10;
    fcgi_end_request(at, id, 0x01020304, FCGI_REQUEST_COMPLETE);
    at[6] = 4; /* padding of its own */
    memcpy(at + 16, padding, 4);
    return (size_t)(at + 20 - to);
}

/* Has the gateway closed its end?  What it sent before is dropped. */
static inline bool is_closed(int fd)
{
    char bytes[4096];
    ssize_t n;

    turns(3);
    do {
        n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    } while (n > 0);
    return n == 0 || (n < 0 && errno == ECONNRESET); /* reset: with bytes it did not read */
}

static inline void hang_up(int fd)
{
    for (unsigned i = 0; i < world.n_served; i++) {
        if (world.served[i] == fd)
            world.served[i] = -1;
    }
    close(fd);
}

/* ---- life ---- */

static inline int listen_at(const char *path, int backlog)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof(un.sun_path));
    memcpy(un.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static inline void world_fcgi(void)
{
    memset(&world, 0, sizeof(world));
    n_granted = 0;
    snprintf(world.dir, sizeof(world.dir), "/tmp/h2cgi-pool-XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    for (int i = 0; i < N_LOOPS; i++)
        world.loops[i] = world_loop();
    for (unsigned i = 0; i < N_SERVERS; i++) {
        snprintf(world.paths[i], sizeof(world.paths[i]), "unix:%s/%u", world.dir, i);
        world.addresses[i].text = world.paths[i];
        world.listen_fd[i] = -1;
    }
    world.pool_conf = (struct conf_pool){
        .name = "test",
        .connect = world.addresses,
        .max_requests = 4,
        .keepalive = 4,
        .keepalive_time_ms = 60000,
        .keepalive_requests = 1000,
        .queue = 4,
        .queue_timeout_ms = 60000,
        .connect_timeout_ms = 60000,
        .send_timeout_ms = 60000,
        .first_byte_timeout_ms = 60000,
        .read_timeout_ms = 60000,
        .timeout_ms = 60000,
        .abort_timeout_ms = 60000,
    };
    world.conf.pools = &world.pool_conf;
    world.conf.n_pools = 1;
    world.conf.gateway.runtime_dir = world.dir;
}

static inline void open_pool(unsigned n_servers)
{
    world.pool_conf.n_connect = n_servers;
    for (unsigned i = 0; i < n_servers; i++)
        world.listen_fd[i] = listen_at(world.paths[i] + strlen("unix:"), 16);
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    assert_non_null(world.pool);
}

/* Every slot came back, and every connection is accounted for. */
static inline void expect_at_rest(void)
{
    struct pool_stats stats;

    turns(3);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.connections, stats.idle);
    for (unsigned i = 0; i < world.pool->n_servers; i++) {
        assert_int_equal(world.pool->servers[i]->n_in_flight, 0);
        assert_int_equal(world.pool->servers[i]->n_stuck, 0);
    }
    assert_int_equal(world.pool->turns.n_parties, 0);
}

static inline void world_fcgi_end(void)
{
    for (unsigned i = 0; i < world.n_served; i++) {
        if (world.served[i] >= 0)
            close(world.served[i]);
    }
    for (unsigned i = 0; i < N_SERVERS; i++) { /* what nobody accepted has no end yet */
        int fd;
        while (world.listen_fd[i] >= 0 &&
               (fd = accept4(world.listen_fd[i], NULL, NULL, SOCK_CLOEXEC)) >= 0)
            close(fd);
    }
    turns(3);
    if (world.pool)
        expect_at_rest();
    pool_free(world.pool);
    for (unsigned i = 0; i < N_SERVERS; i++) {
        if (world.listen_fd[i] < 0)
            continue;
        close(world.listen_fd[i]);
        unlink(world.paths[i] + strlen("unix:"));
    }
    for (int i = 0; i < N_LOOPS; i++)
        loop_free(world.loops[i]);
    assert_int_equal(rmdir(world.dir), 0);
}

/* ---- for a group of tests ---- */

static inline int fcgi_setup(void **state)
{
    (void)state;
    world_fcgi();
    return 0;
}

static inline int fcgi_teardown(void **state)
{
    (void)state;
    world_fcgi_end();
    return 0;
}

static inline struct pool_stats fcgi_stats(void)
{
    struct pool_stats s;

    pool_stats(world.pool, &s);
    return s;
}

#endif
