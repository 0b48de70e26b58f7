/* fcgi/client.h: the bytes of a request and its answer, over real sockets, in every order and
 * with every ending. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

static int setup(void **state)
{
    (void)state;
    world_fcgi();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fcgi_end();
    return 0;
}

static void expect(const struct buf *b, const char *text)
{
    assert_int_equal(buf_len(b), strlen(text));
    if (text[0])
        assert_memory_equal(buf_at(b), text, strlen(text));
}

/* ---- a request and its answer ---- */

static void test_get(void **state)
{
    struct caller c = {0};

    (void)state;
    open_pool(1);
    ask(&c);
    assert_false(c.granted); /* never from inside */
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "hello ", 6);
    say(fd, FCGI_STDERR, "log", 3);
    say(fd, FCGI_STDOUT, "world", 5);
    say(fd, FCGI_STDOUT, NULL, 0);
    say(fd, FCGI_STDERR, NULL, 0);
    end(fd, 7, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    expect(&c.out, "hello world");
    expect(&c.log, "log");
    assert_int_equal(c.app_status, 7);
    assert_false(is_closed(fd));
    caller_fini(&c);
}

static void test_keep_conn_flag(void **state)
{
    static const struct {
        unsigned keepalive;
        bool keep;
    } rows[] = {{4, true}, {0, false}};

    for (size_t i = 0; i < 2; i++) {
        struct caller c = {0};
        int fd = -1;
        world.pool_conf.keepalive = rows[i].keepalive;
        open_pool(1);
        ask(&c);
        turns(3);
        fd = accept_now(0);
        assert_true(fd >= 0);
        assert_int_equal(receive_head(fd), rows[i].keep);
        receive_empty(fd, FCGI_STDIN);
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        assert_true(comes(&c.ended));
        assert_int_equal(is_closed(fd), !rows[i].keep);
        caller_fini(&c);
        if (i == 0) {
            teardown(state);
            setup(state);
        }
    }
}

/* What an answer may be made of: management records, padding, empty records. */
static size_t put_answer(uint8_t *to)
{
    static const char padding[5] = "pad!";
    uint8_t *at = to;

    fcgi_record_header(at, FCGI_STDOUT, 1, 3, 5);
    memcpy(at + 8, "abc", 3);
    memcpy(at + 11, padding, 5);
    at += 16;
    fcgi_record_header(at, FCGI_UNKNOWN_TYPE, 0, 8, 0);
    memset(at + 8, 0, 8);
    at += 16;
    fcgi_record_header(at, FCGI_STDERR, 1, 1, 0);
    at[8] = 'e';
    at += 9;
    fcgi_record_header(at, FCGI_STDOUT, 1, 0, 3);
    memcpy(at + 8, padding, 3);
    at += 11;
    fcgi_record_header(at, FCGI_STDOUT, 1, 2, 0);
    memcpy(at + 8, "de", 2);
    at += 10;
    fcgi_end_request(at, 1, 0x01020304, FCGI_REQUEST_COMPLETE);
    at[6] = 4; /* padding of its own */
    memcpy(at + 16, padding, 4);
    return (size_t)(at + 20 - to);
}

/* Split at every byte; the connection is used again each time. */
static void test_split(void **state)
{
    uint8_t answer[128];
    size_t n = put_answer(answer);
    int fd = -1;

    (void)state;
    open_pool(1);
    for (size_t cut = 0; cut <= n; cut++) {
        struct caller c = {0};
        ask(&c);
        if (fd < 0) {
            fd = serve();
        } else {
            turns(2);
            receive_head(fd);
        }
        receive_empty(fd, FCGI_STDIN);
        say_raw(fd, answer, cut);
        turns(2);
        if (cut < n)
            say_raw(fd, answer + cut, n - cut);
        turns(2);
        assert_true(c.ended);
        expect(&c.out, "abcde");
        expect(&c.log, "e");
        assert_int_equal(c.app_status, 0x01020304);
        caller_fini(&c);
        /* Padding that came late is something unasked for on an idle connection. */
        if (is_closed(fd)) {
            assert_true(cut >= n - 4 && cut < n);
            fd = -1;
        }
    }
}

static void test_byte_by_byte(void **state)
{
    struct caller c = {0};
    uint8_t answer[128];
    size_t n = put_answer(answer);

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    for (size_t i = 0; i < n && !c.ended; i++) {
        say_raw(fd, answer + i, 1);
        turns(1);
    }
    assert_true(c.ended);
    expect(&c.out, "abcde");
    caller_fini(&c);
}

static void test_large_answer(void **state)
{
    static uint8_t content[FCGI_RECORD_CONTENT_MAX];
    struct caller c = {0};

    (void)state;
    memset(content, 'x', sizeof(content));
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    for (int i = 0; i < 20; i++)
        say(fd, FCGI_STDOUT, content, sizeof(content));
    turns(50);
    assert_int_equal(buf_len(&c.out), 20 * sizeof(content));
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    caller_fini(&c);
}

/* ---- END_REQUEST and what is no answer ---- */

static void test_statuses(void **state)
{
    static const struct {
        uint8_t status;
        bool some_stdout; /* came before */
        int err;          /* 0: ends well */
        bool retry;
    } rows[] = {
        {FCGI_REQUEST_COMPLETE, false, 0, false},
        {FCGI_CANT_MPX_CONN, false, GW_EBACKEND_MPX, false},
        {FCGI_OVERLOADED, false, GW_EBACKEND_OVERLOADED, true},
        {FCGI_OVERLOADED, true, GW_EBACKEND_OVERLOADED, false},
        {FCGI_UNKNOWN_ROLE, false, GW_EBACKEND_ROLE, false},
        {4, false, GW_EFCGI_PROTO, false},
        {255, false, GW_EFCGI_PROTO, false},
    };
    (void)state;
    open_pool(1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller c = {.unsafe = true};
        ask(&c);
        turns(2);
        int fd = accept_now(0);
        if (fd < 0)
            fd = world.served[world.n_served - 1];
        receive_head(fd);
        receive_empty(fd, FCGI_STDIN);
        if (rows[i].some_stdout)
            say(fd, FCGI_STDOUT, "x", 1);
        end(fd, 0, rows[i].status);
        turns(2);
        assert_int_equal(c.ended, rows[i].err == 0);
        assert_int_equal(c.err, rows[i].err);
        assert_int_equal(c.retry, rows[i].retry);
        if (c.failed)
            assert_true(is_closed(fd));
        caller_fini(&c);
    }
}

struct record {
    uint8_t version, type;
    uint16_t id, n;
};

static void test_garbage(void **state)
{
    static const struct record rows[] = {
        {2, FCGI_STDOUT, 1, 1},        /* a version nobody knows */
        {0, FCGI_STDOUT, 1, 1},        /* zeros */
        {1, FCGI_STDOUT, 2, 1},        /* another's request */
        {1, FCGI_BEGIN_REQUEST, 1, 8}, /* what only we may say */
        {1, FCGI_STDIN, 1, 1},         {1, 77, 1, 1},
        {1, FCGI_END_REQUEST, 1, 7},                                  /* too short */
        {1, FCGI_END_REQUEST, 1, 0},   {1, FCGI_END_REQUEST, 1, 100}, /* too long */
    };
    static const uint8_t zeros[100];

    (void)state;
    open_pool(1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller c = {0};
        uint8_t head[FCGI_RECORD_HEADER];
        ask(&c);
        int fd = serve_get();
        fcgi_record_header(head, rows[i].type, rows[i].id, rows[i].n, 0);
        head[0] = rows[i].version;
        say_raw(fd, head, sizeof(head));
        say_raw(fd, zeros, rows[i].n);
        turns(3);
        assert_true(c.failed);
        assert_int_equal(c.err, GW_EFCGI_PROTO);
        assert_false(c.retry);
        assert_true(is_closed(fd));
        hang_up(fd);
        caller_fini(&c);
    }
}

/* Bytes behind END_REQUEST would be read as the next request's answer. */
static void test_more_than_an_answer(void **state)
{
    struct caller c = {0};
    uint8_t both[16 + 9];

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    fcgi_end_request(both, 1, 0, FCGI_REQUEST_COMPLETE);
    fcgi_record_header(both + 16, FCGI_STDOUT, 1, 1, 0);
    both[24] = 'x';
    say_raw(fd, both, sizeof(both));
    assert_true(comes(&c.ended));
    assert_true(is_closed(fd));
    caller_fini(&c);
}

static void test_closed_by_the_server(void **state)
{
    static const struct {
        bool some; /* of the answer came */
        bool retry;
    } rows[] = {{false, true}, {true, false}};

    (void)state;
    open_pool(1);
    for (size_t i = 0; i < 2; i++) {
        struct caller c = {0};
        ask(&c);
        int fd = serve_get();
        if (rows[i].some)
            say(fd, FCGI_STDOUT, "x", 1);
        hang_up(fd);
        assert_true(comes(&c.failed));
        assert_int_equal(c.err, GW_EBACKEND_CLOSED);
        assert_int_equal(c.retry, rows[i].retry);
        expect(&c.out, rows[i].some ? "x" : "");
        caller_fini(&c);
    }
}

/* It answers an upload it does not want and closes: the answer is what the caller gets. */
static void test_answers_and_closes(void **state)
{
    static const uint8_t body[100 * 1024];
    struct caller c = {.post = true, .unsafe = true};

    (void)state;
    open_pool(1);
    assert_int_equal(chain_append(&c.stdin_, body, sizeof(body)), 0);
    ask(&c);
    int fd = serve();
    say(fd, FCGI_STDOUT, "no", 2);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    hang_up(fd);
    assert_true(comes(&c.ended));
    expect(&c.out, "no");
    caller_fini(&c);
}

static void test_reset_while_idle(void **state)
{
    struct caller c = {0}, d = {0};

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    struct pool_stats stats;
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.idle, 1);
    hang_up(fd);
    turns(3);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.idle, 0);
    assert_int_equal(stats.connections, 0);
    ask(&d);
    fd = serve_get(); /* a fresh one */
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&d.ended));
    caller_fini(&c);
    caller_fini(&d);
}

/* The same, and nobody saw it yet: who must not ask twice looks before, others are told to retry. */
static void test_idle_connection_found_closed(void **state)
{
    for (int unsafe = 0; unsafe < 2; unsafe++) {
        struct caller c = {0}, d = {.unsafe = unsafe};
        open_pool(1);
        ask(&c);
        int fd = serve_get();
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        assert_true(comes(&c.ended));
        hang_up(fd);
        d.waits = true;
        ask(&d);
        loop_run_tasks(world.loops[0]); /* granted; nobody saw the end of file */
        assert_true(d.granted);
        caller_begin(&d);
        if (unsafe) {
            fd = serve_get();
            end(fd, 0, FCGI_REQUEST_COMPLETE);
            assert_true(comes(&d.ended));
        } else {
            assert_true(comes(&d.failed));
            assert_true(d.retry);
        }
        caller_fini(&c);
        caller_fini(&d);
        if (!unsafe) {
            teardown(state);
            setup(state);
        }
    }
}

/* ---- STDIN ---- */

/* A body in pieces, one by one, each a record of its own or more; what came is what went. */
static void test_stdin(void **state)
{
    struct caller c = {.post = true, .unsafe = true};
    uint8_t content[8];
    size_t n;

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve();
    for (int i = 0; i < 5; i++) {
        chain_append(&c.stdin_, "12345678", (size_t)i + 1);
        caller_push(&c);
        assert_int_equal(c.stdin_.n, 0);
        assert_int_equal(receive_record(fd, content, 8, &n), FCGI_STDIN);
        assert_int_equal(n, i + 1);
        assert_memory_equal(content, "12345678", n);
    }
    c.stdin_eof = true;
    caller_push(&c);
    caller_push(&c); /* its end goes once */
    receive_empty(fd, FCGI_STDIN);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    assert_false(is_closed(fd)); /* short, and all of it went: kept */
    caller_fini(&c);
}

enum { BIG = 3 * 1024 * 1024 };

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 3 + at / 257 + at / 65535);
}

static void fill(struct chain *c, size_t n)
{
    static uint8_t bytes[64 * 1024];

    for (size_t at = 0; at < n; at += sizeof(bytes)) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = pattern(at + i);
        assert_int_equal(
            chain_append(c, bytes, n - at < sizeof(bytes) ? n - at : sizeof(bytes)), 0);
    }
}

/* The server reads slowly: no more than a mark's worth waits, writable asks for the rest. */
static void test_stdin_backpressure(void **state)
{
    static uint8_t content[FCGI_RECORD_CONTENT_MAX];
    struct caller c = {.post = true, .unsafe = true, .stdin_eof = true};
    size_t n, at = 0;

    (void)state;
    open_pool(1);
    fill(&c.stdin_, BIG);
    ask(&c);
    int fd = serve();
    turns(20);
    assert_true(c.stdin_.n > BIG / 2); /* it did not go anywhere */
    assert_true(buf_len(&c.r->conn->out) <= STDIN_MARK + FCGI_RECORD_CONTENT_MAX + 8);
    do {
        assert_int_equal(receive_record(fd, content, sizeof(content), &n), FCGI_STDIN);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(content[i], pattern(at + i));
        at += n;
    } while (n);
    assert_int_equal(at, BIG);
    assert_true(c.n_writable > 10);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    assert_true(is_closed(fd)); /* libfcgi would close it, too */
    caller_fini(&c);
}

/* writable never comes from inside fcgi_request_stdin: a server that takes everything at once
 * would have it call itself for each piece of the body. */
static void test_stdin_is_not_recursive(void **state)
{
    static uint8_t content[FCGI_RECORD_CONTENT_MAX];
    struct caller c = {.post = true, .unsafe = true};
    size_t n;

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve();
    fill(&c.stdin_, 70 * 1024);
    size_t taken = fcgi_request_stdin(c.r, &c.stdin_);
    assert_true(taken > 0 && c.stdin_.n > 0);
    assert_int_equal(c.n_writable, 0);
    for (size_t read = 0; read < taken; read += n)
        receive_record(fd, content, sizeof(content), &n);
    turns(2);
    assert_int_equal(c.n_writable, 1);
    assert_int_equal(c.stdin_.n, 0);
    say(fd, FCGI_STDOUT, "x", 1);
    end(fd, 0, FCGI_REQUEST_COMPLETE); /* before the body's end: not to be kept */
    assert_true(comes(&c.ended));
    assert_true(is_closed(fd));
    caller_fini(&c);
}

/* While it connects nothing of the body is taken: if that fails, the caller has all of it for the
 * next try. */
static void test_stdin_while_connecting(void **state)
{
    struct caller fill_it[2] = {{0}}, c = {.post = true, .unsafe = true, .stdin_eof = true};
    int plugs[8], n_plugs = 0;

    (void)state;
    (void)fill_it;
    world.pool_conf.connect_timeout_ms = 100;
    open_pool(1);
    /* A full backlog: connect() says EAGAIN. */
    close(world.listen_fd[0]);
    unlink(world.paths[0] + strlen("unix:"));
    world.listen_fd[0] = listen_at(world.paths[0] + strlen("unix:"), 0);
    for (; n_plugs < 8; n_plugs++) {
        struct fcgi_server *sv = &world.pool->servers[0];
        plugs[n_plugs] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(plugs[n_plugs], &sv->addr.sa, sv->addr_len) < 0) {
            close(plugs[n_plugs]);
            break;
        }
    }
    assert_true(n_plugs < 8);
    chain_append(&c.stdin_, "body", 4);
    ask(&c);
    turns(3);
    assert_true(c.granted && !c.failed);
    assert_int_equal(c.stdin_.n, 4);
    assert_true(comes(&c.failed));
    assert_int_equal(c.err, GW_EBACKEND_CONNECT_TIME);
    assert_true(c.retry);
    assert_int_equal(c.stdin_.n, 4);

    struct caller d = {.post = true, .unsafe = true, .stdin_eof = true};
    chain_append(&d.stdin_, "body", 4);
    ask(&d);
    turns(3);
    while (n_plugs)
        close(plugs[--n_plugs]);
    for (int fd; (fd = accept4(world.listen_fd[0], NULL, NULL, SOCK_NONBLOCK)) >= 0;)
        close(fd); /* the plugs' */
    int fd = serve();
    uint8_t content[8];
    size_t n;
    assert_int_equal(receive_record(fd, content, 8, &n), FCGI_STDIN);
    assert_memory_equal(content, "body", 4);
    receive_empty(fd, FCGI_STDIN);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&d.ended));
    caller_fini(&c);
    caller_fini(&d);
}

/* ---- pause ---- */

static void test_pause(void **state)
{
    struct caller c = {0};

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    fcgi_request_pause(c.r);
    fcgi_request_pause(c.r);
    say(fd, FCGI_STDOUT, "x", 1);
    turns(3);
    assert_int_equal(c.n_stdout, 0);
    fcgi_request_resume(c.r);
    turns(2);
    assert_int_equal(c.n_stdout, 1);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    caller_fini(&c);
}

/* A pause is about output: the body goes on, even if the pause begins while nothing of it waits
 * but the caller. */
static void test_pause_while_the_body_goes(void **state)
{
    static uint8_t content[FCGI_RECORD_CONTENT_MAX];

    (void)state;
    open_pool(1);
    for (int resumes = 0; resumes < 2; resumes++) {
        struct caller c = {.post = true};
        size_t n, left = 300 * 1024;
        fill(&c.stdin_, left);
        ask(&c);
        int fd = serve();
        fcgi_request_pause(c.r);
        if (resumes)
            fcgi_request_resume(c.r);
        for (; left; left -= n)
            receive_record(fd, content, sizeof(content), &n);
        hang_up(fd);
        caller_fini(&c);
    }
}

/* ---- abort ---- */

static void test_abort_running(void **state)
{
    struct caller c = {0};
    struct pool_stats stats;

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "x", 1);
    turns(2);
    caller_abort(&c);
    receive_empty(fd, FCGI_ABORT_REQUEST);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight,
                     1); /* the slot is held until the application is through */
    say(fd, FCGI_STDOUT, "y", 1);
    turns(2);
    assert_int_equal(c.n_stdout, 1);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    turns(2);
    expect_at_rest();
    assert_true(is_closed(fd));
    caller_fini(&c);
}

static void test_abort_then_end_of_file(void **state)
{
    struct caller c = {0};

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    caller_abort(&c);
    hang_up(fd);
    turns(3);
    expect_at_rest();
    caller_fini(&c);
}

static void test_abort_timeout(void **state)
{
    struct caller c = {0};
    struct pool_stats stats;

    (void)state;
    world.pool_conf.abort_timeout_ms = 60;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    caller_abort(&c);
    turn_for(30);
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.in_flight, 1);
    turn_for(80);
    expect_at_rest();
    receive_empty(fd, FCGI_ABORT_REQUEST);
    assert_true(is_closed(fd));
    caller_fini(&c);
}

/* From inside a callback, with more of the answer in the same read. */
static void test_abort_inside(void **state)
{
    struct caller c = {.aborts_on_stdout = true};
    uint8_t answer[128];
    size_t n = put_answer(answer);

    (void)state;
    open_pool(1);
    ask(&c);
    int fd = serve_get();
    say_raw(fd, answer, n);
    turns(3);
    assert_int_equal(c.n_stdout, 1);
    expect_at_rest();
    caller_fini(&c);
}

static void test_abort_connecting(void **state)
{
    struct caller c = {0};

    (void)state;
    world.pool_conf.n_connect = 1;
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    assert_non_null(world.pool);
    world.listen_fd[0] = listen_at(world.paths[0] + strlen("unix:"), 0);
    struct fcgi_server *sv = &world.pool->servers[0];
    int plugs[2];
    for (int i = 0; i < 2; i++) {
        plugs[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(plugs[i], &sv->addr.sa, sv->addr_len) < 0)
            assert_int_equal(errno, EAGAIN);
    }
    ask(&c);
    turns(2);
    assert_true(c.granted);
    caller_abort(&c);
    turns(2);
    expect_at_rest();
    close(plugs[0]);
    close(plugs[1]);
    caller_fini(&c);
}

/* ---- failures to connect ---- */

static void test_no_server(void **state)
{
    struct caller c = {0}, d = {.post = true, .unsafe = true};
    struct pool_stats stats;

    (void)state;
    world.pool_conf.n_connect = 1; /* nobody listens */
    world.pool = pool_new(&world.conf, 0, N_LOOPS, stderr);
    ask(&c);
    assert_true(comes(&c.failed));
    assert_int_equal(c.err, GW_EBACKEND_CONNECT);
    assert_true(c.retry);
    ask(&d);
    assert_true(comes(&d.failed));
    pool_stats(world.pool, &stats);
    assert_int_equal(stats.n_failed, 2);
    caller_fini(&c);
    caller_fini(&d);
}

/* ---- times ---- */

static void expect_time(struct caller *c, int err, bool retry)
{
    uint64_t begun = clock_now_ms();

    assert_true(comes(&c->failed));
    assert_int_equal(c->err, err);
    assert_int_equal(c->retry, retry);
    assert_true(clock_now_ms() - begun >= 30);
    caller_fini(c);
    turns(3);
    for (unsigned i = 0; i < world.n_served; i++) {
        if (world.served[i] >= 0)
            hang_up(world.served[i]);
    }
}

static void test_times(void **state)
{
    struct caller a = {0}, b = {0}, c = {.post = true}, d = {0};

    (void)state;
    world.pool_conf.first_byte_timeout_ms = 60;
    world.pool_conf.read_timeout_ms = 60;
    world.pool_conf.send_timeout_ms = 60;
    world.pool_conf.timeout_ms = 400;
    world.pool_conf.abort_timeout_ms = 60;
    open_pool(1);
    ask(&a);
    serve_get();
    expect_time(&a, GW_EBACKEND_FIRST_TIME, false);

    ask(&b);
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "x", 1);
    turns(2);
    expect_time(&b, GW_EBACKEND_READ_TIME, false);

    fill(&c.stdin_, BIG); /* which it does not read */
    ask(&c);
    serve();
    expect_time(&c, GW_EBACKEND_SEND_TIME, false);

    ask(&d); /* always something, never the end */
    fd = serve_get();
    uint64_t stop = clock_now_ms() + 2000;
    while (!d.failed && clock_now_ms() < stop) {
        say(fd, FCGI_STDOUT, "x", 1);
        turn_for(20);
    }
    assert_int_equal(d.err, GW_EBACKEND_TIME);
    receive_empty(fd, FCGI_ABORT_REQUEST);
    turn_for(100);
    expect_at_rest();
    caller_fini(&d);
}

/* A client that sends its body slowly has times of its own. */
static void test_no_time_while_the_body_comes(void **state)
{
    struct caller c = {.post = true};

    (void)state;
    world.pool_conf.first_byte_timeout_ms = 50;
    open_pool(1);
    ask(&c);
    int fd = serve();
    turn_for(150);
    assert_false(c.failed);
    fcgi_request_stdin_end(c.r);
    receive_empty(fd, FCGI_STDIN);
    expect_time(&c, GW_EBACKEND_FIRST_TIME, false);
}

static void test_waited(void **state)
{
    struct caller a = {0}, b = {0};

    (void)state;
    world.pool_conf.max_requests = 1;
    open_pool(1);
    ask(&a);
    int fd = serve_get();
    ask(&b);
    turn_for(50);
    assert_int_equal(fcgi_request_waited_ms(b.r), 0);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&b.granted));
    assert_true(fcgi_request_waited_ms(b.r) >= 30);
    receive_head(fd);
    receive_empty(fd, FCGI_STDIN);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&b.ended));
    caller_fini(&a);
    caller_fini(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_get),
        T(test_keep_conn_flag),
        T(test_split),
        T(test_byte_by_byte),
        T(test_large_answer),
        T(test_statuses),
        T(test_garbage),
        T(test_more_than_an_answer),
        T(test_closed_by_the_server),
        T(test_answers_and_closes),
        T(test_reset_while_idle),
        T(test_idle_connection_found_closed),
        T(test_stdin),
        T(test_stdin_backpressure),
        T(test_stdin_is_not_recursive),
        T(test_stdin_while_connecting),
        T(test_pause),
        T(test_pause_while_the_body_goes),
        T(test_abort_running),
        T(test_abort_then_end_of_file),
        T(test_abort_timeout),
        T(test_abort_inside),
        T(test_abort_connecting),
        T(test_no_server),
        T(test_times),
        T(test_no_time_while_the_body_comes),
        T(test_waited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
