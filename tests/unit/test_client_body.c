/* fcgi/client.h: request bodies, taken as fast as the server takes them, and pauses of its output. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fcgi_world.h"

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
    struct caller c = {.post = true, .unsafe = true, .stdin_eof = true};
    int plugs[8], n_plugs = 0;

    (void)state;
    world.pool_conf.connect_timeout_ms = 100;
    open_pool(1);
    /* A full backlog: connect() says EAGAIN. */
    close(world.listen_fd[0]);
    unlink(world.paths[0] + strlen("unix:"));
    world.listen_fd[0] = listen_at(world.paths[0] + strlen("unix:"), 0);
    for (; n_plugs < 8; n_plugs++) {
        struct fcgi_server *sv = world.pool->servers[0];
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

/* ---- a filter's DATA, FastCGI 6.4 ---- */

/* STDIN to its end, then DATA to its end, each as slowly as the server reads. */
static void test_data_after_stdin(void **state)
{
    static uint8_t content[FCGI_RECORD_CONTENT_MAX];
    struct caller c = {.filter = true, .post = true, .unsafe = true};
    const uint8_t types[] = {FCGI_STDIN, FCGI_DATA};
    size_t n, at;

    (void)state;
    open_pool(1);
    fill(&c.stdin_, BIG);
    fill(&c.data, BIG);
    ask(&c);
    int fd = serve();
    assert_int_equal(world.role, FCGI_FILTER);
    turns(20);
    assert_int_equal(c.data.n, BIG); /* not while STDIN is open */
    c.stdin_eof = true;
    for (int i = 0; i < 2; i++) {
        at = 0;
        do {
            assert_int_equal(receive_record(fd, content, sizeof(content), &n), types[i]);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(content[k], pattern(at + k));
            at += n;
        } while (n);
        assert_int_equal(at, BIG);
    }
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    assert_true(is_closed(fd)); /* as behind a large body */
    caller_fini(&c);
}

/* Without a body: its end goes with the head.  A short file leaves the connection fit. */
static void test_data_alone(void **state)
{
    (void)state;
    open_pool(1);
    for (size_t len = 0; len < 4; len += 3) {
        struct caller c = {.filter = true};
        uint8_t content[8];
        size_t n;
        chain_append(&c.data, "abc", len);
        ask(&c);
        int fd = serve_get();
        if (len) {
            assert_int_equal(receive_record(fd, content, 8, &n), FCGI_DATA);
            assert_int_equal(n, len);
        }
        receive_empty(fd, FCGI_DATA);
        end(fd, 0, FCGI_REQUEST_COMPLETE);
        assert_true(comes(&c.ended));
        caller_fini(&c);
        hang_up(fd);
        turns(3);
    }
}

/* The filter has seen enough before the file's end: not to be kept. */
static void test_data_unread(void **state)
{
    struct caller c = {.filter = true};

    (void)state;
    open_pool(1);
    fill(&c.data, BIG);
    ask(&c);
    int fd = serve_get();
    say(fd, FCGI_STDOUT, "x", 1);
    end(fd, 0, FCGI_REQUEST_COMPLETE);
    assert_true(comes(&c.ended));
    assert_true(is_closed(fd));
    caller_fini(&c);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fcgi_setup, fcgi_teardown)
    const struct CMUnitTest tests[] = {
        T(test_stdin),
        T(test_stdin_backpressure),
        T(test_stdin_is_not_recursive),
        T(test_stdin_while_connecting),
        T(test_data_after_stdin),
        T(test_data_alone),
        T(test_data_unread),
        T(test_pause),
        T(test_pause_while_the_body_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
