/* How bodies flow over HTTP/1.1, and how its connections end. */
#include "http1_world.h"

#include "body_file.h"

/* ---- bodies of some size ---- */

/* Undo the chunks in t.out behind its head; the data's length, each byte an 'x'. */
static size_t count_chunks(unsigned *ret_n)
{
    char *at = strstr(t.out, "\r\n\r\n") + 4;
    size_t total = 0;

    for (*ret_n = 0;; (*ret_n)++) {
        size_t size = strtoul(at, &at, 16);
        assert_memory_equal(at, "\r\n", 2);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(at[2 + i], 'x');
        at += 2 + size;
        assert_memory_equal(at, "\r\n", 2);
        at += 2;
        total += size;
        if (size == 0)
            break;
    }
    assert_ptr_equal(at, t.out + t.n_out);
    return total;
}

static void long_responses_flow(void **state)
{
    unsigned n;

    (void)state;
    for (size_t cap = 600; cap <= 64 * 1024; cap = cap * 2 + 1) {
        begin();
        t.cap = cap;
        say(GET("/slow"));
        t.out[t.n_out] = '\0';
        assert_int_equal(count_chunks(&n), SLOW_BODY);
        /* One chunk per piece handed over, however small the parts it was made of. */
        assert_in_range(n, SLOW_BODY / cap, SLOW_BODY / (cap - 300) + 5);
        assert_int_equal(t.n_closed, 1);
        end();
    }
}

/* ---- files ---- */

/* The held request is answered with a file, which tls or the socket takes. */
static struct open_file *answer_file(bool tls)
{
    const struct response r = {.status = 200, .content_length = BODY_FILE};
    struct open_file *f = body_file();

    begin();
    http1_proto.close(&t.c);
    t.c.is_tls = tls;
    assert_int_equal(http1_proto.open(&t.c), 0);
    say(GET("/hold"));
    stream_send_head(t.held, &r);
    assert_true(stream_send_file(t.held, f, 0, BODY_FILE));
    open_file_unref(f); /* the stream has its own reference */
    return f;
}

static size_t body_sent(void)
{
    const char *body = strstr(t.out, "\r\n\r\n") + 4;
    size_t n = (size_t)(t.out + t.n_out - body);

    for (size_t i = 0; i < n; i++)
        assert_int_equal((uint8_t)body[i], body_byte(i));
    return n;
}

/* With its last byte the response has ended, whatever the handler does about it. */
static void files_over_tls(void **state)
{
    (void)state;
    body_warm = BODY_FILE;
    answer_file(true);
    flush();
    assert_int_equal(body_sent(), BODY_FILE);
    assert_int_equal(t.n_closed, 1);
    assert_int_equal(t.close_err, 0);
    end();
}

static void cold_files_over_tls(void **state)
{
    static char rest[BODY_FILE];
    struct file_piece back;

    (void)state;
    for (body_warm = 0; body_warm < BODY_FILE; body_warm += 70 * 1000) {
        struct open_file *f = answer_file(true);
        flush();
        assert_int_equal(body_sent(), body_warm);
        assert_int_equal(stream_file_result(t.held, &back), 0);
        assert_ptr_equal(back.file, f);
        assert_int_equal(back.at, body_warm);
        assert_int_equal(back.n, BODY_FILE - body_warm);
        assert_int_equal(pread(f->fd, rest, back.n, back.at), back.n);
        assert_true(stream_send_body(t.held, rest, back.n) >= 0);
        stream_finish(t.held);
        flush();
        assert_int_equal(body_sent(), BODY_FILE);
        assert_int_equal(t.n_closed, 1);
        end();
    }
}

static bool socket_takes(size_t n, int err, size_t want)
{
    struct file_piece piece;

    lock_take(&t.c.mu);
    bool is_file = http1_proto.file_next(&t.c, &piece);
    if (is_file) {
        assert_int_equal(piece.n, want);
        http1_proto.file_sent(&t.c, piece.file, n, err);
    }
    lock_drop(&t.c.mu);
    if (is_file)
        open_file_unref(piece.file);
    return is_file;
}

static void files_over_sockets(void **state)
{
    struct file_piece back;

    (void)state;
    for (int err = 0; err >= GW_EFILE_SHORT; err += GW_EFILE_SHORT) {
        answer_file(false);
        lock_take(&t.c.mu);
        t.n_out = (size_t)http1_proto.produce(&t.c, (uint8_t *)t.out, t.cap);
        lock_drop(&t.c.mu);
        assert_int_equal(body_sent(), 0); /* the head alone */
        assert_true(socket_takes(1000, 0, BODY_FILE));
        assert_true(socket_takes(BODY_FILE - 1000, err, BODY_FILE - 1000));
        assert_false(socket_takes(0, 0, 0));
        assert_int_equal(stream_file_result(t.held, &back), err);
        assert_int_equal(back.n, 0);
        assert_int_equal(t.held->out.closed, err == 0);
        http1_proto.events(&t.c);
        assert_int_equal(t.n_closed, err == 0);
        end();
    }
}

/* ---- pauses ---- */

static void uploads_pause_the_socket(void **state)
{
    char part[16 * 1024];

    (void)state;
    memset(part, 'u', sizeof(part));
    begin();
    say("POST /hold HTTP/1.1\r\n" HOST "Content-Length: 10000000\r\n\r\n");
    for (int i = 0; i < 4; i++)
        input(part, sizeof(part));
    assert_false(t.paused); /* at the mark, not over it */
    input(part, 1);
    assert_true(t.paused);
    assert_int_equal(t.held->in_total, STREAM_IN_HIGH + 1);
    chain_drop(&t.held->in, 1);
    stream_consumed(t.held, 1);
    assert_false(t.paused);
    input(part, 1);
    assert_true(t.paused);
    stream_error(t.held, GW_EFORBIDDEN); /* nobody wants the rest: read on to say so */
    assert_false(t.paused);
    flush();
    expect_out("{403}", "upload");
    assert_true(t.ended && t.lingers);
    end();
}

static void early_requests_pause_the_socket(void **state)
{
    unsigned n = 0;

    (void)state;
    begin();
    say(GET("/hold"));
    while (!t.paused && n < 10000) {
        say(GET("/hello"));
        n++;
    }
    assert_in_range(n, 64 * 1024 / strlen(GET("/hello")),
                    64 * 1024 / strlen(GET("/hello")) + 1);
    run_hello(t.held);
    flush();
    assert_false(t.paused);
    assert_int_equal(t.n_closed, n + 1);
    assert_false(t.ended);
    end();
}

/* Head and answer while the body still comes: neither waits for the other. */
static void full_duplex(void **state)
{
    (void)state;
    begin();
    say("POST /duplex HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    expect_out("HTTP/1.1 200 OK\r\n" COMMON CHUNKED "\r\n", "head");
    say("2\r\nab\r\n");
    expect_out("2\r\nab\r\n", "first");
    say("1\r\nc\r\n1\r\nd\r\n0\r\n\r\n" GET("/hello"));
    expect_out("2\r\ncd\r\n0\r\n\r\n" HELLO, "rest");
    end();
    /* broken in the middle: the client sees it cut off */
    begin();
    say("POST /duplex HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    say("2\r\nab\r\n");
    say("x");
    expect_out("HTTP/1.1 200 OK\r\n" COMMON CHUNKED "\r\n2\r\nab\r\n", "broken");
    assert_true(t.ended && !t.lingers);
    assert_int_equal(t.end_err, GW_EBODY_SYNTAX);
    assert_int_equal(t.n_closed, 1);
    assert_int_equal(t.close_err, GW_EBODY_SYNTAX);
    end();
}

static void broken_bodies_let_the_handler_go(void **state)
{
    (void)state;
    begin();
    say("POST /hold HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx");
    assert_null(t.held);
    expect_out("{400}", "");
    assert_true(t.ended && t.lingers);
    end();
}

/* ---- endings ---- */

static void half_closed_clients_are_answered(void **state)
{
    (void)state;
    begin();
    say(GET("/hold") GET("/hello"));
    assert_int_equal(http1_proto.input_eof(&t.c), 0);
    assert_false(t.ended);
    run_hello(t.held);
    flush();
    expect_out(HELLO HELLO, "eof");
    assert_true(t.ended && !t.lingers);
    end();
    /* behind the last whole request: half of one */
    begin();
    say(GET("/hold") "GET /he");
    assert_int_equal(http1_proto.input_eof(&t.c), 0);
    run_hello(t.held);
    flush();
    expect_out(HELLO, "eof");
    assert_true(t.ended && !t.lingers);
    end();
    /* a request that will never be whole */
    begin();
    say("POST /hold HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
    assert_true(http1_proto.input_eof(&t.c) < 0);
    end();
    begin();
    say("GET /hello HT");
    assert_int_equal(http1_proto.input_eof(&t.c), 0);
    assert_true(t.ended && t.n_out == 0 && t.end_err == 0);
    end();
    begin();
    assert_int_equal(http1_proto.input_eof(&t.c), 0);
    assert_true(t.ended && !t.lingers);
    end();
}

static bool done(void)
{
    lock_take(&t.c.mu);
    bool is = http1_proto.done(&t.c);
    lock_drop(&t.c.mu);
    return is;
}

static void draining_says_close(void **state)
{
    (void)state;
    begin();
    say(GET("/hold") GET("/hello"));
    assert_false(done());
    t.draining = true;
    http1_proto.shutdown(&t.c, 0);
    assert_false(t.ended);
    run_hello(t.held);
    flush();
    expect_out("{200}" CLOSE "\r\nhello", "drain");
    assert_true(t.ended && t.lingers && done()); /* the second one has to be asked again */
    end();
    /* idle */
    begin();
    say(GET("/hello"));
    t.n_out = 0;
    http1_proto.shutdown(&t.c, 0);
    assert_true(t.ended && !t.lingers && done());
    end();
    /* half a head is still waited for */
    begin();
    say("GET /hello HT");
    http1_proto.shutdown(&t.c, 0);
    assert_false(t.ended || done());
    say("TP/1.1\r\n" HOST "\r\n");
    expect_out("{200}" CLOSE "\r\nhello", "drain");
    assert_true(t.ended && t.lingers);
    end();
    /* draining begins when the head is out: nothing says so, and it closes all the same */
    begin();
    say("POST /duplex HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    t.draining = true;
    say("b");
    expect_out("HTTP/1.1 200 OK\r\n" COMMON CHUNKED "\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
               "drain");
    assert_true(t.ended && t.lingers);
    end();
}

static void late_heads_are_told(void **state)
{
    (void)state;
    begin();
    say("GET /hello HTTP/1.1\r\nHo");
    assert_int_equal(t.c.head_since_ms, 1000);
    http1_proto.shutdown(&t.c, GW_EREQ_TIME);
    flush();
    expect_out("{408}", "late");
    assert_true(t.ended && t.lingers);
    end();
    /* a lone empty line is no head: nothing to tell */
    begin();
    say("\r\n");
    assert_int_equal(t.c.head_since_ms, 0);
    http1_proto.shutdown(&t.c, GW_EREQ_TIME);
    flush();
    expect_out("", "silent");
    assert_true(t.ended);
    end();
}

static void the_head_timer_runs_behind_a_response(void **state)
{
    (void)state;
    begin();
    say(GET("/hold") "GET /hel");
    assert_int_equal(t.c.head_since_ms, 0);
    run_hello(t.held);
    flush();
    assert_int_equal(t.c.head_since_ms, 1000);
    assert_false(done());
    say("lo HTTP/1.1\r\n" HOST "\r\n");
    expect_out(HELLO HELLO, "");
    assert_int_equal(t.c.head_since_ms, 0);
    assert_true(done());
    end();
}

static void limits_of_a_head(void **state)
{
    char head[16 * 1024];

    (void)state;
    begin();
    memset(head, 'a', sizeof(head));
    memcpy(head, "GET /", 5);
    input(head, 5000);
    expect_out("{414}", "target over head_limit");
    assert_true(t.ended && t.lingers);
    end();
    begin();
    say("GET / HTTP/1.1\r\n" HOST "A: ");
    for (int i = 0; i < 5000; i++)
        say("b");
    expect_out("{431}", "head over head_limit");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_responses_flow),
        cmocka_unit_test(files_over_tls),
        cmocka_unit_test(cold_files_over_tls),
        cmocka_unit_test(files_over_sockets),
        cmocka_unit_test(uploads_pause_the_socket),
        cmocka_unit_test(early_requests_pause_the_socket),
        cmocka_unit_test(full_duplex),
        cmocka_unit_test(broken_bodies_let_the_handler_go),
        cmocka_unit_test(half_closed_clients_are_answered),
        cmocka_unit_test(draining_says_close),
        cmocka_unit_test(late_heads_are_told),
        cmocka_unit_test(the_head_timer_runs_behind_a_response),
        cmocka_unit_test(limits_of_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
