/*
 * fcgi/runner_conn.c over a socketpair: the events of a request at every split, and what is
 * answered without one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../fcgi/runner_conn.h"

struct rig {
    struct runner_conn c;
    struct runner_input in;
    int peer;
};

static void rig_init(struct rig *g)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    g->in.off = g->in.len = 0;
    runner_conn_init(&g->c, fds[0], &g->in);
    g->peer = fds[1];
}

static void rig_fini(struct rig *g)
{
    runner_conn_fini(&g->c);
    close(g->peer);
}

static void put(struct buf *b, uint8_t type, uint16_t id, struct slice content, uint8_t padding)
{
    static const uint8_t zeros[255];
    uint8_t header[FCGI_RECORD_HEADER];

    fcgi_record_header(header, type, id, (uint16_t)content.n, padding);
    assert_int_equal(buf_append(b, header, sizeof(header)), 0);
    assert_int_equal(buf_puts(b, content), 0);
    assert_int_equal(buf_append(b, zeros, padding), 0);
}

static void put_begin(struct buf *b, uint16_t id, uint16_t role, bool keep)
{
    uint8_t begin[16];

    fcgi_begin_request(begin, id, role, keep);
    assert_int_equal(buf_append(b, begin, sizeof(begin)), 0);
}

static void put_head(struct buf *b, uint16_t id)
{
    put_begin(b, id, FCGI_RESPONDER, true);
    put(b, FCGI_PARAMS, id, SLICE("\1\2Axy\1\0B"), 5);
    put(b, FCGI_PARAMS, id, SLICE(""), 0);
}

static void feed(struct rig *g, const void *p, size_t n)
{
    if (n == 0)
        return;
    assert_int_equal(send(g->peer, p, n, 0), n);
    assert_int_equal(runner_conn_fill(&g->c), n);
}

/* All events that the input gives: a letter for each, content of the body as it is. */
static void drain(struct rig *g, struct buf *seen)
{
    static const char letters[] = ".HBEAX"; /* enum runner_event */

    for (;;) {
        enum runner_event event = runner_conn_next(&g->c);
        if (event == RUNNER_MORE)
            return;
        if (event == RUNNER_BODY) {
            assert_int_equal(buf_puts(seen, g->c.body), 0);
            continue;
        }
        assert_int_equal(buf_append(seen, letters + event, 1), 0);
        if (event == RUNNER_BROKEN)
            return;
    }
}

static const char *text_of(struct buf *b)
{
    assert_int_equal(buf_append(b, "", 1), 0);
    return (const char *)buf_at(b);
}

static void events_are_the_same_at_every_split(void **state)
{
    (void)state;
    struct buf in = {0};

    put_head(&in, 7);
    put(&in, FCGI_STDIN, 7, SLICE("hello "), 1);
    put(&in, FCGI_STDIN, 9, SLICE("stranger"), 0);
    put(&in, FCGI_STDIN, 7, SLICE("world"), 0);
    put(&in, FCGI_STDIN, 7, SLICE(""), 0);
    put(&in, FCGI_ABORT_REQUEST, 7, SLICE(""), 0);
    for (size_t cut = 0; cut <= buf_len(&in); cut++) {
        struct rig g;
        struct buf seen = {0};
        rig_init(&g);
        feed(&g, buf_at(&in), cut);
        drain(&g, &seen);
        feed(&g, buf_at(&in) + cut, buf_len(&in) - cut);
        drain(&g, &seen);
        assert_string_equal(text_of(&seen), "Hhello worldEA");
        assert_string_equal(runner_env_get(&g.c.env, "A"), "xy");
        assert_string_equal(runner_env_get(&g.c.env, "B"), "");
        assert_true(g.c.keep);
        buf_fini(&seen);
        rig_fini(&g);
    }
    buf_fini(&in);
}

static void rest_of_a_body_is_no_request(void **state)
{
    (void)state;
    struct buf in = {0}, evil = {0}, seen = {0};
    struct rig g;

    rig_init(&g);
    put_head(&evil, 1);
    put_head(&in, 1);
    put(&in, FCGI_STDIN, 1, SLICE("x"), 0);
    feed(&g, buf_at(&in), buf_len(&in));
    drain(&g, &seen);
    assert_int_equal(runner_conn_end(&g.c, 0), 0);
    assert_true(g.c.unread && !g.c.over);
    buf_clear(&in);
    put(&in, FCGI_STDIN, 1, buf_slice(&evil), 3);
    put(&in, FCGI_STDIN, 1, SLICE(""), 0);
    put_head(&in, 1);
    put(&in, FCGI_STDIN, 1, SLICE(""), 0);
    feed(&g, buf_at(&in), buf_len(&in));
    drain(&g, &seen);
    assert_string_equal(text_of(&seen), "HxHE");
    buf_fini(&in);
    buf_fini(&evil);
    buf_fini(&seen);
    rig_fini(&g);
}

/* What is answered to records that make no event. */
static void check_answer(const struct buf *in, const char *events, struct slice answer,
                         bool over)
{
    struct buf seen = {0};
    struct rig g;

    rig_init(&g);
    feed(&g, buf_at(in), buf_len(in));
    drain(&g, &seen);
    assert_string_equal(text_of(&seen), events);
    assert_int_equal(buf_len(&g.c.out), answer.n);
    assert_memory_equal(buf_at(&g.c.out), answer.p, answer.n);
    assert_int_equal(g.c.over, over);
    buf_fini(&seen);
    rig_fini(&g);
}

static void other_roles_are_refused(void **state)
{
    (void)state;
    struct buf in = {0};

    put_begin(&in, 3, FCGI_AUTHORIZER, false);
    put(&in, FCGI_PARAMS, 3, SLICE(""), 0);
    put(&in, FCGI_STDIN, 3, SLICE("x"), 0);
    check_answer(&in, "", SLICE("\1\3\0\3\0\10\0\0\0\0\0\0\3\0\0\0"), true);
    buf_fini(&in);
}

static void second_request_is_refused(void **state)
{
    (void)state;
    struct buf in = {0};

    put_head(&in, 1);
    put_head(&in, 2);
    check_answer(&in, "H", SLICE("\1\3\0\2\0\10\0\0\0\0\0\0\1\0\0\0"), false);
    buf_fini(&in);
}

static void abort_before_the_head_is_complete(void **state)
{
    (void)state;
    struct buf in = {0};

    put_begin(&in, 1, FCGI_RESPONDER, false);
    put(&in, FCGI_ABORT_REQUEST, 1, SLICE(""), 0);
    put(&in, FCGI_PARAMS, 1, SLICE(""), 0);
    check_answer(&in, "", SLICE("\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"), true);
    buf_fini(&in);
}

static void management_is_answered(void **state)
{
    (void)state;
    struct buf in = {0};

    put(&in, FCGI_GET_VALUES, 0, SLICE("\15\0FCGI_MAX_REQS\1\0X"), 8);
    put(&in, 99, 0, SLICE("?"), 0);
    put(&in, FCGI_DATA, 5, SLICE("?"), 0);
    check_answer(&in, "",
                 SLICE("\1\12\0\0\0\20\0\0\15\1FCGI_MAX_REQS1"
                       "\1\13\0\0\0\10\0\0\143\0\0\0\0\0\0\0"),
                 false);
    buf_fini(&in);
}

static void broken_streams_are_seen(void **state)
{
    (void)state;
    struct buf in = {0};

    put(&in, FCGI_BEGIN_REQUEST, 1, SLICE("\0\1\0\0\0\0\0"), 0); /* 7 bytes */
    check_answer(&in, "X", SLICE(""), false);
    buf_clear(&in);
    put_begin(&in, 0, FCGI_RESPONDER, false);
    check_answer(&in, "X", SLICE(""), false);
    buf_clear(&in);
    put_begin(&in, 1, FCGI_RESPONDER, true);
    put_begin(&in, 1, FCGI_RESPONDER, true);
    check_answer(&in, "X", SLICE(""), false);
    buf_clear(&in);
    put_begin(&in, 1, FCGI_RESPONDER, true);
    put(&in, FCGI_STDIN, 1, SLICE("x"), 0);
    check_answer(&in, "X", SLICE(""), false);
    buf_clear(&in);
    put_head(&in, 1);
    put(&in, FCGI_PARAMS, 1, SLICE("\1\1AB"), 0);
    check_answer(&in, "HX", SLICE(""), false);
    buf_fini(&in);
}

static void large_records_are_spliced(void **state)
{
    (void)state;
    static const uint8_t body[20000];
    struct buf in = {0};
    struct rig g;
    int pipe_fds[2];

    rig_init(&g);
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
    put_head(&in, 1);
    put(&in, FCGI_STDIN, 1, slice_of(body, sizeof(body)), 0);
    put(&in, FCGI_STDIN, 1, slice_of(body, sizeof(body)), 7);
    put(&in, FCGI_STDIN, 1, SLICE(""), 0);
    /* All of the head, the first record's header and ten bytes of it. */
    size_t cut = buf_len(&in) - (2 * (8 + sizeof(body)) + 7 + 8) + 8 + 10;
    feed(&g, buf_at(&in), cut);
    assert_int_equal(runner_conn_next(&g.c), RUNNER_HEAD);
    assert_int_equal(runner_conn_next(&g.c), RUNNER_BODY);
    assert_int_equal(g.c.body.n, 10);
    assert_int_equal(runner_conn_next(&g.c), RUNNER_MORE);
    assert_true(runner_conn_can_splice(&g.c));
    assert_int_equal(runner_conn_splice(&g.c, pipe_fds[1]), -EAGAIN);
    size_t rest = buf_len(&in) - cut;
    assert_int_equal(send(g.peer, buf_at(&in) + cut, rest, 0), rest);
    assert_int_equal(runner_conn_splice(&g.c, pipe_fds[1]), sizeof(body) - 10);
    assert_false(runner_conn_can_splice(&g.c));
    /* Only the header of the second is read, so that it can be spliced, too. */
    assert_int_equal(runner_conn_fill(&g.c), 8);
    assert_int_equal(runner_conn_next(&g.c), RUNNER_MORE);
    assert_true(runner_conn_can_splice(&g.c));
    assert_int_equal(runner_conn_splice(&g.c, pipe_fds[1]), sizeof(body));
    assert_int_equal(runner_conn_fill(&g.c), 15);
    assert_int_equal(runner_conn_next(&g.c), RUNNER_BODY_END);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    buf_fini(&in);
    rig_fini(&g);
}

static void output_is_whole_records(void **state)
{
    (void)state;
    uint8_t got[64];
    struct rig g;

    rig_init(&g);
    g.c.id = 5;
    assert_int_equal(runner_conn_put(&g.c, FCGI_STDOUT, SLICE("abc")), 0);
    uint8_t *at = runner_conn_room(&g.c, 100);
    memcpy(at, "de", 2);
    runner_conn_commit(&g.c, FCGI_STDERR, 2);
    (void)runner_conn_room(&g.c, 100);
    runner_conn_commit(&g.c, FCGI_STDOUT, 0); /* would end the stream */
    assert_int_equal(runner_conn_end(&g.c, 3), 0);
    assert_true(g.c.over);
    assert_int_equal(runner_conn_flush(&g.c), 0);
    assert_int_equal(recv(g.peer, got, sizeof(got), 0), 45);
    assert_memory_equal(got,
                        "\1\6\0\5\0\3\0\0abc\1\7\0\5\0\2\0\0de"
                        "\1\6\0\5\0\0\0\0\1\3\0\5\0\10\0\0\0\0\0\3\0\0\0\0",
                        45);
    rig_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_at_every_split),
        cmocka_unit_test(rest_of_a_body_is_no_request),
        cmocka_unit_test(other_roles_are_refused),
        cmocka_unit_test(second_request_is_refused),
        cmocka_unit_test(abort_before_the_head_is_complete),
        cmocka_unit_test(management_is_answered),
        cmocka_unit_test(broken_streams_are_seen),
        cmocka_unit_test(large_records_are_spliced),
        cmocka_unit_test(output_is_whole_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
