/* gateway/filter.h: how a file's bytes come to the filter, warm and cold, and what ends that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../gateway/answer_cache.h"
#include "../../gateway/filter.h"
#include "forward_world.h"

/* ---- the file ---- */

enum { SIZE = 400000 };

static struct route_match match;
static int file_fd;
static bool cold;

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    assert_int_equal(n, 1);
    assert_int_equal(flags, RWF_NOWAIT);
    if (!cold)
        return pread(fd, iov->iov_base, iov->iov_len, offset);
    errno = EAGAIN;
    return -1;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static int make_file(void)
{
    char name[] = "/tmp/test_filter.XXXXXX";
    static uint8_t bytes[SIZE];
    int fd = mkostemp(name, O_CLOEXEC);

    unlink(name);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    assert_int_equal(write(fd, bytes, SIZE), SIZE);
    return fd;
}

/* ---- the filter's end of DATA ---- */

static struct buf data;
static size_t room; /* bytes it takes of it now */
static bool data_ended;

size_t fcgi_request_data(struct fcgi_request *r, struct chain *from)
{
    size_t n = from->n < room ? from->n : room;
    uint8_t *at = buf_reserve(&data, n + 1);

    assert_true(app_there && r->begun && at && (r->stdin_ended || !r->body) && !data_ended);
    chain_take(from, at, n);
    buf_commit(&data, n);
    room -= n;
    return n;
}

void fcgi_request_data_end(struct fcgi_request *r)
{
    assert_true(app_there && r->begun && !data_ended);
    data_ended = true;
}

static struct answer_cache *cache;

struct answer_cache *router_filter_cache(const struct router *r)
{
    (void)r;
    return cache;
}

/* ---- one request ---- */

static void run_filter(struct stream *stream)
{
    stream->route = &route;
    stream->site = &site;
    filter_start(stream, NULL, &match);
    f = stream->handler_state;
}

static int setup_filter(void **state)
{
    setup(state);
    w.route = run_filter;
    file_fd = make_file();
    match =
        (struct route_match){.route = &route, .site = &site, .open = open_file_new(file_fd)};
    data_ended = cold = false;
    room = SIZE_MAX;
    cache = answer_cache_new(0, 0);
    return cache ? 0 : -1;
}

static int teardown_filter(void **state)
{
    teardown(state);
    buf_fini(&data);
    answer_cache_free(cache);
    assert_int_equal(fcntl(file_fd, F_GETFD), -1); /* closed by then */
    return 0;
}

/* All that is due until nothing is. */
static void run(void)
{
    for (int turns = 0; world_job() || !(data_ended || s->err); turns++) {
        assert_true(turns < 100);
        world_poll(w.loop);
    }
}

static void expect_data(size_t n)
{
    assert_int_equal(buf_len(&data), n);
    for (size_t i = 0; i < n; i++) {
        if (buf_at(&data)[i] != byte_at(i))
            fail_msg("byte %zu differs", i);
    }
}

static void finish(void)
{
    app_says("Content-Type: text/plain\n\nmade");
    app_ends(0);
    assert_int_equal(s->status, 200);
    expect_body("made");
    assert_true(world_complete(s));
}

static void test_warm_and_cold(void **state)
{
    for (int i = 0; i < 2; i++) {
        if (i) {
            teardown_filter(state);
            setup_filter(state);
        }
        cold = i == 1;
        begin();
        assert_int_equal(app.role, FCGI_FILTER);
        run();
        assert_true(data_ended);
        expect_data(SIZE);
        finish();
    }
}

/* A filter that takes little at a time. */
static void test_back_pressure(void **state)
{
    (void)state;
    room = 1000;
    begin();
    while (!data_ended) {
        assert_true(buf_len(&data) <= SIZE);
        cold = buf_len(&data) % 3 == 0;
        room = 50001;
        app.ops->writable(app.arg);
        while (world_job())
            ;
    }
    expect_data(SIZE);
    finish();
}

/* The body first, to its end. */
static void test_body_first(void **state)
{
    (void)state;
    s->req.method = SLICE("POST");
    s->req.has_body = true;
    s->req.content_length = 6;
    s->in_eof = false;
    begin();
    chain_append(&s->in, "abc", 3);
    stream_on_body(s);
    assert_int_equal(buf_len(&data), 0);
    chain_append(&s->in, "def", 3);
    s->in_eof = true;
    stream_on_body(s);
    assert_true(app.stdin_ended);
    assert_int_equal(buf_len(&app.stdin_), 6);
    run();
    expect_data(SIZE);
    finish();
}

/* Another try gets all of it, also while a job of the first one reads. */
static void test_retry(void **state)
{
    (void)state;
    cold = true;
    begin();
    assert_true(world_job());
    app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT);
    assert_int_equal(n_asked, 2);
    buf_clear(&data);
    grant();
    run();
    expect_data(SIZE);
    finish();
}

static void test_shrinks(void **state)
{
    for (int i = 0; i < 2; i++) {
        if (i) {
            teardown_filter(state);
            setup_filter(state);
        }
        cold = i == 1;
        room = 1000;
        begin();
        while (world_job())
            ;
        assert_int_equal(ftruncate(file_fd, 10000), 0);
        room = SIZE_MAX;
        app.ops->writable(app.arg);
        run();
        assert_int_equal(s->err, GW_EFILE_SHORT);
        assert_int_equal(s->status, 502);
        assert_int_equal(n_aborted, 1);
    }
}

/* Ends of all kinds while a job reads: it finds nobody, and the file is closed. */
static void test_ends_while_reading(void **state)
{
    for (int i = 0; i < 3; i++) {
        if (i) {
            teardown_filter(state);
            setup_filter(state);
        }
        cold = true;
        begin();
        assert_non_null(w.jobs);
        if (i == 0)
            finish();
        else if (i == 1)
            app_fails(GW_EBACKEND_CLOSED, FCGI_RETRY_NO);
        else
            stream_on_close(s, GW_ECLIENT_GONE);
        while (world_job())
            ;
        assert_false(data_ended);
    }
}

static void test_methods(void **state)
{
    (void)state;
    s->req.method = SLICE("DELETE");
    stream_on_head(s);
    assert_int_equal(s->status, 405);
    assert_non_null(strstr(w.seen.fields, "Allow: GET, HEAD, POST, OPTIONS|"));
    assert_int_equal(n_asked, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_filter, teardown_filter)
    const struct CMUnitTest tests[] = {
        T(test_warm_and_cold), T(test_back_pressure),      T(test_body_first), T(test_retry),
        T(test_shrinks),       T(test_ends_while_reading), T(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
