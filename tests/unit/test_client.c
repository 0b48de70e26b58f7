/* fcgi/client.h: the bytes of a request and its answer, over real sockets, in every order and
 * with every ending. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "fcgi_world.h"

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

/* This process's socket that is connected to addr. */
static int connected_to(const struct sockaddr_in *addr)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)(void *)&peer, &len) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == addr->sin_port)
            return fd;
    }
    return -1;
}

/* Over TCP no piece of a body waits for the acknowledgement of the one before. */
static void test_tcp_does_not_wait(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    char text[32];
    int on = 0;
    socklen_t on_len = sizeof(on);
    struct caller c = {0};

    (void)state;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)(void *)&at, len), 0);
    assert_int_equal(listen(listening, 4), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)(void *)&at, &len), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(at.sin_port));
    world.addresses[0].text = text;
    open_pool(1);
    close(world.listen_fd[0]); /* nobody comes there */
    unlink(world.paths[0] + strlen("unix:"));
    world.listen_fd[0] = listening;
    ask(&c);
    int fd = serve_get();
    assert_int_equal(getsockopt(connected_to(&at), IPPROTO_TCP, TCP_NODELAY, &on, &on_len), 0);
    assert_true(on);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
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
            fcgi_teardown(state);
            fcgi_setup(state);
        }
    }
}

/* Split at every byte; the connection is used again each time. */
static void test_split(void **state)
{
    uint8_t answer[128];
    size_t n = put_answer(answer, 1);
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
        assert_int_equal(put_answer(answer, id_of(fd)), n);
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
    size_t n = put_answer(answer, 1);

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
            fcgi_teardown(state);
            fcgi_setup(state);
        }
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_get),
        T(test_tcp_does_not_wait),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
