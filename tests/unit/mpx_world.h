/*
 * tests/unit/mpx_world.h - fcgi_world.h with multiplex = auto: a server that offers it, and records
 * with the ids of several requests.
 */
#ifndef TESTS_MPX_WORLD_H
#define TESTS_MPX_WORLD_H

#include "fcgi_world.h"

enum { PLACES = 4 }; /* multiplex_requests */

static inline void world_mpx(void)
{
    world_fcgi();
    world.pool_conf.multiplex = true;
    world.pool_conf.multiplex_requests = PLACES;
    world.pool_conf.max_requests = 8;
    world.pool_conf.keepalive = 8;
}

/* ---- of each test ---- */

static inline int mpx_setup(void **state)
{
    (void)state;
    world_mpx();
    return 0;
}

static inline int mpx_teardown(void **state)
{
    (void)state;
    world_fcgi_end();
    return 0;
}

static inline void mpx_again(void **state)
{
    mpx_teardown(state);
    mpx_setup(state);
}

static inline void expect_text(const struct buf *b, const char *text)
{
    assert_int_equal(buf_len(b), strlen(text));
    if (text[0])
        assert_memory_equal(buf_at(b), text, strlen(text));
}

/* ---- the server's side ---- */

static inline size_t put(uint8_t *to, uint16_t id, uint8_t type, const char *text)
{
    size_t n = strlen(text);

    fcgi_record_header(to, type, id, (uint16_t)n, 0);
    memcpy(to + 8, text, n);
    return 8 + n;
}

static inline void say_id(int fd, uint16_t id, uint8_t type, const char *text)
{
    uint8_t record[64];

    say_raw(fd, record, put(record, id, type, text));
}

static inline void end_id(int fd, uint16_t id, uint8_t status)
{
    uint8_t record[16];

    fcgi_end_request(record, id, 0, status);
    say_raw(fd, record, sizeof(record));
}

static bool mpx_keep;

static inline uint16_t receive_id(int fd, uint8_t type, size_t *ret_n)
{
    static uint8_t rest[FCGI_RECORD_CONTENT_MAX + 255];
    uint8_t head[FCGI_RECORD_HEADER];

    receive(fd, head, sizeof(head));
    assert_int_equal(head[1], type);
    *ret_n = be16_get(head + 4);
    receive(fd, rest, *ret_n + head[6]);
    if (type == FCGI_BEGIN_REQUEST)
        mpx_keep = rest[2] & FCGI_KEEP_CONN;
    return be16_get(head + 2);
}

/* The head of a request, its STDIN's end, too, unless it has a body; its id.  mpx_keep: is the
 * connection to be kept? */
static inline uint16_t receive_request(int fd, bool body)
{
    size_t n;
    uint16_t id = receive_id(fd, FCGI_BEGIN_REQUEST, &n);

    assert_int_equal(receive_id(fd, FCGI_PARAMS, &n), id);
    assert_int_equal(receive_id(fd, FCGI_PARAMS, &n), id);
    assert_int_equal(n, 0);
    if (!body) {
        assert_int_equal(receive_id(fd, FCGI_STDIN, &n), id);
        assert_int_equal(n, 0);
    }
    return id;
}

static inline int accepted(void)
{
    uint64_t stop = clock_now_ms() + WORLD_MS;
    int fd = -1;

    while (fd < 0 && clock_now_ms() < stop) {
        turn();
        fd = accept_now(0);
    }
    assert_true(fd >= 0);
    return fd;
}

static inline void expect_question(int fd)
{
    size_t n;

    assert_int_equal(receive_id(fd, FCGI_GET_VALUES, &n), 0);
}

static inline void say_values(int fd, const char *conns, const char *mpxs)
{
    struct buf pairs = {0};
    uint8_t head[FCGI_RECORD_HEADER];

    if (conns)
        fcgi_params_put(&pairs, SLICE(FCGI_MAX_CONNS), slice_str(conns));
    fcgi_params_put(&pairs, SLICE(FCGI_MPXS_CONNS), slice_str(mpxs));
    fcgi_record_header(head, FCGI_GET_VALUES_RESULT, 0, (uint16_t)buf_len(&pairs), 3);
    say_raw(fd, head, sizeof(head));
    say_raw(fd, buf_at(&pairs), buf_len(&pairs));
    say_raw(fd, "pad", 3);
    buf_fini(&pairs);
}

/* A pool whose server multiplexes, with one connection, on which c has begun. */
static inline int open_shared(struct caller *c, const char *conns)
{
    open_pool(1);
    ask(c);
    int fd = accepted();
    expect_question(fd);
    assert_int_equal(receive_request(fd, false), 1);
    say_values(fd, conns, "1");
    turns(2);
    return fd;
}

static inline uint16_t ask_on(int fd, struct caller *c)
{
    ask(c);
    turns(3);
    return receive_request(fd, c->post);
}

static inline void expect_no_connection(void)
{
    turns(3);
    assert_int_equal(accept_now(0), -1);
}

#endif
