/* Tests of gateway/http2*.c: requests, answers, resets and endings. */
#include "http2_peer.h"

static void answer_nothing(struct stream *s)
{
    static const struct {
        const char *path;
        int status;
        int64_t length;
    } rows[] = {{"/head", 200, 5}, {"/204", 204, -1}, {"/304", 304, 17}, {"/empty", 200, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (slice_eq(s->req.path, slice_str(rows[i].path)))
            mock_send_head(s, rows[i].status, NULL, 0, rows[i].length);
    }
    mock_send_body(s, "", 0);
    mock_finish(s);
}

/* ---- requests and answers ---- */

static void test_preface(void **state)
{
    struct peer *p = peer_raw();

    (void)state;
    produce(p, 64 * 1024);
    assert_frames(p, "SETTINGS 0; WINDOW_UPDATE 0 983041");
    assert_int_equal(p->frames[0].length, 24);
    assert_memory_equal(p->frames[0].payload,
                        "\0\3\0\0\0\x64" /* MAX_CONCURRENT_STREAMS 100 */
                        "\0\4\0\1\0\0"   /* INITIAL_WINDOW_SIZE 65536 */
                        "\0\6\0\1\0\0"   /* MAX_HEADER_LIST_SIZE 65536 */
                        "\0\x9\0\0\0\1", /* NO_RFC7540_PRIORITIES 1 */
                        24);
    peer_free(p);
}

static void test_get(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_hello;
    send_get(p, 1, "/a?b=c");
    feed(p, SIZE_MAX);
    assert_story("head 1 GET /a?b=c");
    uint8_t wire[65536];
    lock_take(&p->c.mu);
    ssize_t n = http2_proto.produce(&p->c, wire, sizeof(wire)); /* once is enough */
    assert_false(http2_proto.want_write(&p->c));
    lock_drop(&p->c.mu);
    http2_proto.events(&p->c);
    buf_clear(&p->out);
    buf_append(&p->out, wire, (size_t)n);
    parse_out(p);
    assert_frames(p, "HEADERS 1; DATA 1 5 ES");
    assert_string_equal(head_text(p, 0), ":status: 200\ndate: Mon, 23 Nov 2026 14:35:00 GMT\n"
                                         "server: h2cgi\ncontent-length: 5\n"
                                         "content-type: text/plain\n");
    assert_memory_equal(p->frames[1].payload, "hello", 5);
    assert_story("closed 1 0");
    assert_null(p->c.streams);
    peer_free(p);
}

static void check_request(struct stream *s)
{
    const struct request *r = &s->req;

    assert_int_equal(r->version, HTTP_2);
    assert_true(slice_eq(r->method, SLICE("GET")));
    assert_true(slice_eq(r->scheme, SLICE("http"))); /* the connection's, whatever it says */
    assert_true(slice_eq(r->authority, SLICE("example.org:8080")));
    assert_true(slice_eq(r->path, SLICE("/p%20q")));
    assert_true(slice_eq(r->query, SLICE("x=y")));
    assert_true(r->has_query);
    assert_false(r->has_body);
    assert_true(s->in_eof);
    assert_int_equal(r->content_length, -1);
    assert_int_equal(r->n_fields, 3);
    assert_true(slice_eq(r->fields[0].name, SLICE("accept")));
    assert_true(slice_eq(r->fields[0].value, SLICE("*/*")));
    assert_true(slice_eq(r->fields[1].value, SLICE("")));
    /* RFC 9113 8.2.3 */
    assert_true(slice_eq(r->fields[2].name, SLICE("cookie")));
    assert_true(slice_eq(r->fields[2].value, SLICE("a=b; c=d; e=f")));
    tell("checked");
}

static void test_request_fields(void **state)
{
    static const char *const pairs[] = {
        ":method",    "GET",    ":scheme", "https",  ":authority", "example.org:8080", ":path",
        "/p%20q?x=y", "cookie", "a=b",     "accept", "*/*",        "cookie",           "c=d",
        "x-empty",    "",       "cookie",  "e=f",    NULL};
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 10};

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct peer *p = peer_new();
        mock_on_head = check_request;
        send_head(p, 1, true, pairs);
        feed(p, pieces[i]);
        assert_story("checked");
        peer_free(p);
    }
}

/* HEAD, 204, 304 and a length of 0 end with the head, once. */
static void test_no_body(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_nothing;
    send_head(
        p, 1, true,
        PAIRS(":method", "HEAD", ":scheme", "https", ":authority", "a", ":path", "/head"));
    send_get(p, 3, "/204");
    send_get(p, 5, "/304");
    send_get(p, 7, "/empty");
    pump(p);
    assert_frames(p, "HEADERS 1 ES; HEADERS 3 ES; HEADERS 5 ES; HEADERS 7 ES");
    assert_non_null(strstr(head_text(p, 0), "content-length: 5\n"));
    assert_null(strstr(head_text(p, 1), "content-length"));
    assert_non_null(strstr(head_text(p, 2), "content-length: 17\n"));
    assert_story("closed 1 0; closed 3 0; closed 5 0; closed 7 0");
    peer_free(p);
}

static void test_response_fields(void **state)
{
    static const struct field fields[] = {
        {{"Set-Cookie", 10}, {"a=b", 3}}, {{"SET-COOKIE", 10}, {"c=d", 3}},
        {{"X-Empty", 7}, {"", 0}},        {{"Date", 4}, {"then", 4}},
        {{"server", 6}, {"theirs", 6}},
    };
    struct peer *p = peer_new();

    (void)state;
    send_get(p, 1, "/");
    pump(p);
    assert_int_equal(mock_send_head(stream_of(p, 1), 299, fields, 5, -1), 0);
    produce(p, 64 * 1024);
    assert_string_equal(head_text(p, 0), ":status: 299\nset-cookie: a=b\nset-cookie: c=d\n"
                                         "x-empty: \ndate: then\nserver: theirs\n");
    mock_finish(stream_of(p, 1));
    produce(p, 64 * 1024);
    assert_frames(p, "DATA 1 0 ES");
    peer_free(p);
}

static void test_interim(void **state)
{
    static const struct field link[] = {{{"Link", 4}, {"</a.css>", 8}}};
    struct peer *p = peer_new();

    (void)state;
    send_head(p, 1, false, PAIRS(POST, "expect", "100-continue", "content-length", "5"));
    pump(p);
    assert_true(stream_of(p, 1)->req.expect_continue);
    assert_int_equal(stream_of(p, 1)->req.content_length, 5);
    assert_int_equal(http2_proto.send_interim(stream_of(p, 1), 100, NULL, 0), 0);
    assert_int_equal(http2_proto.send_interim(stream_of(p, 1), 103, link, 1), 0);
    produce(p, 64 * 1024);
    assert_frames(p, "HEADERS 1; HEADERS 1");
    assert_string_equal(head_text(p, 0), ":status: 100\n");
    assert_string_equal(head_text(p, 1), ":status: 103\nlink: </a.css>\n");
    story[0] = '\0';
    send_data(p, 1, true, 5);
    pump(p);
    assert_story("body 1 5 end");
    mock_consume(stream_of(p, 1), 5);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, -1);
    mock_send_body(stream_of(p, 1), "x", 1);
    mock_finish(stream_of(p, 1));
    produce(p, 64 * 1024);
    assert_frames(p, "HEADERS 1; DATA 1 1 ES");
    assert_story("closed 1 0");
    peer_free(p);
}

/* ---- resets ---- */

static void test_reset_codes(void **state)
{
    static const struct {
        int err;
        bool answered;
        int code;
    } rows[] = {
        {GW_EBACKEND_CLOSED, true, NGHTTP2_INTERNAL_ERROR},
        {GW_ECGI_SHORT, true, NGHTTP2_INTERNAL_ERROR},
        {GW_EINTERNAL, false, NGHTTP2_INTERNAL_ERROR},
        {GW_EDRAINING, false, NGHTTP2_REFUSED_STREAM},
        {GW_EPOOL_FULL, false, NGHTTP2_REFUSED_STREAM},
        {GW_EPOOL_FULL, true, NGHTTP2_INTERNAL_ERROR},
        {GW_ECLIENT_SLOW, true, NGHTTP2_CANCEL},
        {GW_EBODY_TIME, true, NGHTTP2_CANCEL},
        {GW_ECLIENT_FLOOD, false, NGHTTP2_ENHANCE_YOUR_CALM},
        {GW_ECLIENT_PROTO, false, NGHTTP2_PROTOCOL_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char expect[64];
        struct peer *p = peer_new();
        send_get(p, 1, "/");
        pump(p);
        struct stream *s = stream_of(p, 1);
        if (rows[i].answered) {
            mock_send_head(s, 200, NULL, 0, -1);
            produce(p, 64 * 1024);
        }
        story[0] = '\0';
        mock_send_body(s, "lost", 4);
        http2_proto.reset(s, rows[i].err);
        http2_proto.reset(s, GW_EINTERNAL); /* once is enough */
        mock_send_body(s, "lost", 4);
        mock_finish(s);
        assert_story("");
        produce(p, 64 * 1024);
        snprintf(expect, sizeof(expect), "RST 1 %d", rows[i].code);
        assert_frames(p, expect);
        snprintf(expect, sizeof(expect), "closed 1 %s", gw_err_name(rows[i].err));
        assert_story(expect);
        assert_null(p->c.streams);
        peer_free(p);
    }
}

/* Freed before the library wrote what was queued for it. */
static void test_reset_with_output_queued(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    for (uint32_t id = 1; id <= 7; id += 2)
        send_get(p, id, "/");
    pump(p);
    for (int32_t id = 1; id <= 7; id += 2) {
        mock_send_head(stream_of(p, id), 200, plain_text, 1, 5);
        mock_send_body(stream_of(p, id), "hello", 5);
    }
    http2_proto.reset(stream_of(p, 3), GW_EINTERNAL);
    http2_proto.events(&p->c); /* frees 3 */
    send_u32(p, NGHTTP2_RST_STREAM, 5, NGHTTP2_CANCEL);
    feed(p, SIZE_MAX); /* frees 5 */
    story[0] = '\0';
    mock_finish(stream_of(p, 1));
    mock_finish(stream_of(p, 7));
    produce(p, 64 * 1024);
    assert_string_equal(story, "closed 1 0; closed 7 0");
    for (size_t i = 0; i < p->n_frames; i++)
        assert_true(p->frames[i].id != 5 &&
                    (p->frames[i].id != 3 || p->frames[i].type == NGHTTP2_RST_STREAM));
    peer_free(p);
}

static void test_rapid_reset_is_not_routed(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    send_get(p, 1, "/");
    send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    pump(p);
    assert_story("closed 1 ECLIENT_RESET");
    send_get(p, 3, "/");
    pump(p);
    send_u32(p, NGHTTP2_RST_STREAM, 3, NGHTTP2_CANCEL);
    pump(p);
    assert_story("head 3 GET /; closed 3 ECLIENT_RESET");
    peer_free(p);
}

static void test_huge_response_head(void **state)
{
    static char value[100000];
    struct peer *p = peer_new();

    (void)state;
    memset(value, '%', sizeof(value));
    struct field fields[] = {{{"a", 1}, {value, sizeof(value)}},
                             {{"b", 1}, {value, sizeof(value)}},
                             {{"c", 1}, {value, sizeof(value)}}};
    send_get(p, 1, "/");
    pump(p);
    mock_send_head(stream_of(p, 1), 200, fields, 3, 5);
    produce(p, 64 * 1024);
    assert_frames(p, "RST 1 2");
    assert_story("head 1 GET /; closed 1 ECGI_HEAD_LARGE");
    peer_free(p);
}

/* ---- endings ---- */

static void test_shutdown_in_two_steps(void **state)
{
    struct peer *p = peer_new();
    uint8_t ping[8];

    (void)state;
    send_get(p, 1, "/");
    pump(p);
    http2_proto.shutdown(&p->c, 0);
    http2_proto.shutdown(&p->c, 0);
    produce(p, 64 * 1024);
    assert_frames(p, "GOAWAY 0 last 2147483647 code 0; PING 0");
    memcpy(ping, p->frames[1].payload, 8);
    send_get(p, 3, "/"); /* was on its way */
    send_frame(p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, ping, 8);
    pump(p);
    assert_frames(p, "GOAWAY 0 last 3 code 0");
    send_get(p, 5, "/"); /* is not taken any more */
    pump(p);
    assert_int_equal(p->n_frames, 0);
    assert_story("head 1 GET /; head 3 GET /");
    for (int32_t id = 1; id <= 3; id += 2) {
        lock_take(&p->c.mu);
        assert_false(http2_proto.done(&p->c));
        lock_drop(&p->c.mu);
        mock_send_head(stream_of(p, id), 200, NULL, 0, 0);
        produce(p, 64 * 1024);
    }
    assert_story("closed 1 0; closed 3 0");
    lock_take(&p->c.mu);
    assert_true(http2_proto.done(&p->c));
    lock_drop(&p->c.mu);
    assert_int_equal(mock_end_err, 0);
    peer_free(p);
}

static void test_shutdown_at_once(void **state)
{
    static const struct {
        int err, code;
    } rows[] = {{GW_ECLIENT_IDLE, NGHTTP2_NO_ERROR},
                {GW_ECLIENT_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM},
                {GW_ECLIENT_PROTO, NGHTTP2_PROTOCOL_ERROR},
                {GW_ENO_MEMORY, NGHTTP2_INTERNAL_ERROR}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char expect[64];
        struct peer *p = peer_new();
        send_get(p, 1, "/");
        pump(p);
        http2_proto.shutdown(&p->c, rows[i].err);
        produce(p, 64 * 1024);
        snprintf(expect, sizeof(expect), "GOAWAY 0 last 1 code %d", rows[i].code);
        assert_frames(p, expect);
        assert_int_equal(mock_end_err, 0);
        peer_free(p);
    }
}

static void test_client_goes_away(void **state)
{
    static const uint8_t goaway[8];
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_hello;
    send_get(p, 1, "/");
    send_frame(p, NGHTTP2_GOAWAY, 0, 0, goaway, 8);
    pump(p);
    assert_frames(p, "HEADERS 1; DATA 1 5 ES");
    assert_int_equal(mock_end_err, 0); /* nothing is left to do */
    peer_free(p);
}

static void test_half_closed_client(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    assert_int_equal(http2_proto.input_eof(&p->c), 0);
    produce(p, 64 * 1024);
    assert_int_equal(mock_end_err, 0); /* nobody waits for anything */
    peer_free(p);

    mock_end_err = 1;
    p = peer_new();
    send_get(p, 1, "/");
    send_head(p, 3, false, PAIRS(POST));
    pump(p);
    story[0] = '\0';
    assert_int_equal(http2_proto.input_eof(&p->c), 0);
    produce(p, 64 * 1024);
    assert_frames(p, "RST 3 8");
    assert_story("closed 3 ECLIENT_GONE");
    assert_int_equal(mock_end_err, 1);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, 0);
    produce(p, 64 * 1024);
    assert_frames(p, "HEADERS 1 ES");
    assert_int_equal(mock_end_err, 0);
    peer_free(p);
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    (void)state;
    for (int at = 1; at <= 4; at++) {
        struct peer *p = peer_new();
        mock_no_memory = at;
        send_head(p, 1, true, PAIRS(GET("/"), "a", "b", "c", "d", "cookie", "e"));
        pump(p);
        assert_int_equal(p->n_frames, 1);
        assert_int_equal(p->frames[0].type, NGHTTP2_RST_STREAM);
        assert_null(p->c.streams);
        assert_true(strlen(story) == 0 || strcmp(story, "closed 1 ENO_MEMORY") == 0);
        story[0] = '\0';
        send_get(p, 3, "/");
        pump(p);
        assert_story("head 3 GET /");
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_preface, setup),
        cmocka_unit_test_setup(test_get, setup),
        cmocka_unit_test_setup(test_request_fields, setup),
        cmocka_unit_test_setup(test_no_body, setup),
        cmocka_unit_test_setup(test_response_fields, setup),
        cmocka_unit_test_setup(test_interim, setup),
        cmocka_unit_test_setup(test_reset_codes, setup),
        cmocka_unit_test_setup(test_reset_with_output_queued, setup),
        cmocka_unit_test_setup(test_rapid_reset_is_not_routed, setup),
        cmocka_unit_test_setup(test_huge_response_head, setup),
        cmocka_unit_test_setup(test_shutdown_in_two_steps, setup),
        cmocka_unit_test_setup(test_shutdown_at_once, setup),
        cmocka_unit_test_setup(test_client_goes_away, setup),
        cmocka_unit_test_setup(test_half_closed_client, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };

    return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
