/* Tests of gateway/http2*.c: budgets, and errors that end the connection. */
#include "http2_peer.h"

/* ---- budgets ---- */

/* Repeat a frame until the connection ends; how often it was taken. */
static unsigned flood(struct peer *p, uint8_t type, uint8_t flags, uint32_t id,
                      const void *payload, size_t n)
{
    unsigned i = 0;

    for (p->rc = 0; p->rc == 0 && i < 5000; i++) {
        send_frame(p, type, flags, id, payload, n);
        pump(p);
    }
    return i;
}

static void assert_calm(struct peer *p)
{
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    assert_int_equal(p->n_frames, 1);
    assert_int_equal(p->frames[0].type, NGHTTP2_GOAWAY);
    assert_int_equal(p->frames[0].payload[7], NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(mock_log_lines, 1);
    lock_take(&p->c.mu);
    assert_true(http2_proto.done(&p->c));
    assert_false(http2_proto.want_write(&p->c));
    lock_drop(&p->c.mu);
}

static void test_floods(void **state)
{
    static const struct {
        const char *what;
        uint8_t type, flags;
        uint32_t id;
        size_t n;
    } rows[] = {
        {"PING", NGHTTP2_PING, 0, 0, 8},
        {"PING ACK", NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, 8},
        {"SETTINGS", NGHTTP2_SETTINGS, 0, 0, 0},
        {"PRIORITY", NGHTTP2_PRIORITY, 0, 1, 5},
        {"empty DATA", NGHTTP2_DATA, 0, 1, 0},
        {"DATA of padding", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, 1},
        {"unknown", 0xfb, 0, 0, 10},
        {"unknown on a stream", 0x20, 0, 1, 0},
        {"PRIORITY_UPDATE", NGHTTP2_PRIORITY_UPDATE, 0, 0, 4},
        {"long PRIORITY_UPDATE", NGHTTP2_PRIORITY_UPDATE, 0, 0, 16},
    };
    static const uint8_t payload[16] = {0, 0, 0, 3}; /* a stream, where it is one */

    (void)state;
    mock_limits.h2_control_frames = 50;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mock_log_lines = 0;
        struct peer *p = peer_new();
        send_head(p, 1, false, PAIRS(POST));
        pump(p);
        unsigned n = flood(p, rows[i].type, rows[i].flags, rows[i].id, payload, rows[i].n);
        if (n < 48 || n > 51)
            fail_msg("%s: ended after %u", rows[i].what, n);
        assert_calm(p);
        assert_string_equal(mock_log, "ECLIENT_FLOOD: 51 control frames in 10 s, limit 50");
        peer_free(p);
    }
}

static void test_slow_pings_are_fine(void **state)
{
    static const uint8_t zeros[8];
    struct peer *p;

    (void)state;
    mock_limits.h2_control_frames = 50;
    p = peer_new();
    for (int i = 0; i < 500; i++) {
        mock_now_ms += 250;
        send_frame(p, NGHTTP2_PING, 0, 0, zeros, 8);
        pump(p);
        assert_frames(p, "PING 0 ACK");
    }
    peer_free(p);
}

static void test_window_churn(void **state)
{
    static const uint8_t one[4] = {0, 0, 0, 1};
    struct peer *p;

    (void)state;
    mock_limits.h2_control_frames = 50;
    p = peer_new();
    send_get(p, 1, "/");
    pump(p);
    unsigned n = flood(p, NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4);
    assert_in_range(n, 60, 120);
    assert_calm(p);
    peer_free(p);

    /* Who reads may say so: two updates for each frame, at any rate. */
    p = peer_new();
    send_get(p, 1, "/");
    pump(p);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, -1);
    for (int i = 0; i < 1000; i++) {
        mock_send_body(stream_of(p, 1), "x", 1);
        produce(p, 64 * 1024);
        send_frame(p, NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4);
        send_frame(p, NGHTTP2_WINDOW_UPDATE, 0, 1, one, 4);
        pump(p);
        assert_int_equal(p->rc, 0);
    }
    peer_free(p);
}

static void test_client_resets(void **state)
{
    struct peer *p;
    uint32_t id = 1;

    (void)state;
    mock_limits.h2_resets = 20;
    p = peer_new();
    for (p->rc = 0; p->rc == 0; id += 2) {
        send_get(p, id, "/");
        send_u32(p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        pump(p);
    }
    assert_int_equal(id, 1 + 2 * 21);
    assert_calm(p);
    assert_string_equal(mock_log, "ECLIENT_FLOOD: 21 resets in 30 s, limit 20");
    peer_free(p);
}

/* MadeYouReset: each makes us reset a stream. */
static void provoke(struct peer *p, uint32_t id, int how)
{
    switch (how) {
    case 0: /* window overflow */
        send_get(p, id, "/");
        send_u32(p, NGHTTP2_WINDOW_UPDATE, id, 0x7fffffff);
        break;
    case 1: /* more than its length */
        send_head(p, id, false, PAIRS(POST, "content-length", "1"));
        send_data(p, id, false, 2);
        break;
    case 2: /* malformed */
        send_head(p, id, true, PAIRS(GET("/"), "connection", "close"));
        break;
    case 3: /* malformed by our own checks */
        send_head(p, id, true, PAIRS(GET("/"), "host", "other"));
        break;
    case 4: /* pseudo-fields in trailers */
        send_head(p, id, false, PAIRS(POST));
        send_head(p, id, true, PAIRS(":path", "/"));
        break;
    default:
        fail();
    }
    pump(p);
}

static void test_provoked_resets(void **state)
{
    (void)state;
    mock_limits.h2_resets = 20;
    for (int how = 0; how < 5; how++) {
        struct peer *p = peer_new();
        uint32_t id = 1;
        mock_log_lines = 0;
        for (p->rc = 0; p->rc == 0 && id < 1000; id += 2)
            provoke(p, id, how);
        if (id < 1 + 2 * 20 || id > 1 + 2 * 23)
            fail_msg("way %d: ended after %u", how, id / 2);
        assert_calm(p);
        peer_free(p);
    }
}

/* Streams over the limit before our SETTINGS were acknowledged: REFUSED_STREAM. */
static void test_refused_streams(void **state)
{
    struct peer *p;

    (void)state;
    mock_limits.h2_streams = 4;
    p = peer_raw();
    buf_append(&p->in, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    send_frame(p, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    for (uint32_t id = 1; id <= 11; id += 2)
        send_get(p, id, "/");
    pump(p);
    assert_frames(p, "SETTINGS 0; SETTINGS 0 ACK; WINDOW_UPDATE 0 983041; RST 9 7; RST 11 7");
    assert_story("head 1 GET /; head 3 GET /; head 5 GET /; head 7 GET /");
    send_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    send_get(p, 13, "/");
    pump(p);
    assert_frames(p, "GOAWAY 0 last 7 code 1"); /* now it knows */
    peer_free(p);
}

/* A client that makes us answer and does not read: what waits is bounded. */
static void test_unread_frames(void **state)
{
    static const uint8_t zeros[8];
    struct peer *p = peer_new();
    unsigned i = 0;

    (void)state;
    for (p->rc = 0; p->rc == 0 && i < 100000; i++) {
        mock_now_ms += 100; /* never over the rate */
        send_frame(p, NGHTTP2_PING, 0, 0, zeros, 8);
        feed(p, SIZE_MAX);
    }
    assert_in_range(i, 900, 2500);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    produce(p, 64 * 1024);
    assert_int_equal(p->frames[p->n_frames - 1].type, NGHTTP2_GOAWAY);
    assert_int_equal(p->frames[p->n_frames - 1].payload[7], NGHTTP2_ENHANCE_YOUR_CALM);
    peer_free(p);
}

static void test_continuations(void **state)
{
    static uint8_t block[256];
    struct peer *p = peer_new();
    size_t n = pack_head(p, PAIRS(GET("/")), block, sizeof(block));

    (void)state;
    send_frame(p, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, n);
    for (int i = 0; i < 100; i++)
        send_frame(p, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
    pump(p);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    assert_frames(p, "GOAWAY 0 last 1 code 11");
    peer_free(p);
}

/* ---- connection errors ---- */

static void test_connection_errors(void **state)
{
    static const struct {
        const char *what;
        struct slice in;
        int code;
    } rows[] = {
        {"DATA on stream 0", {"\0\0\0\0\0\0\0\0\0", 9}, NGHTTP2_PROTOCOL_ERROR},
        {"DATA on an idle stream", {"\0\0\0\0\0\0\0\0\3", 9}, NGHTTP2_PROTOCOL_ERROR},
        {"HEADERS on an even stream", {"\0\0\1\1\5\0\0\0\2\x82", 10}, NGHTTP2_PROTOCOL_ERROR},
        {"bad HPACK", {"\0\0\1\1\5\0\0\0\1\xff", 10}, NGHTTP2_COMPRESSION_ERROR},
        {"HPACK index 0", {"\0\0\1\1\5\0\0\0\1\x80", 10}, NGHTTP2_COMPRESSION_ERROR},
        {"long frame", {"\0\x40\1\0\0\0\0\0\1", 9}, NGHTTP2_FRAME_SIZE_ERROR},
        {"short PING", {"\0\0\7\6\0\0\0\0\0\0\0\0\0\0\0\0", 16}, NGHTTP2_FRAME_SIZE_ERROR},
        {"SETTINGS of 5", {"\0\0\5\4\0\0\0\0\0\0\0\0\0\0", 14}, NGHTTP2_FRAME_SIZE_ERROR},
        {"SETTINGS on a stream", {"\0\0\0\4\0\0\0\0\1", 9}, NGHTTP2_PROTOCOL_ERROR},
        {"ENABLE_PUSH 2", {"\0\0\6\4\0\0\0\0\0\0\2\0\0\0\2", 15}, NGHTTP2_PROTOCOL_ERROR},
        {"window 2^31", {"\0\0\6\4\0\0\0\0\0\0\4\x80\0\0\0", 15}, NGHTTP2_FLOW_CONTROL_ERROR},
        {"RST on an idle stream", {"\0\0\4\3\0\0\0\0\1\0\0\0\0", 13}, NGHTTP2_PROTOCOL_ERROR},
        {"update of 0", {"\0\0\4\x8\0\0\0\0\0\0\0\0\0", 13}, NGHTTP2_PROTOCOL_ERROR},
        {"update overflow",
         {"\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff", 13},
         NGHTTP2_FLOW_CONTROL_ERROR},
        {"PUSH_PROMISE", {"\0\0\4\5\4\0\0\0\1\0\0\0\2", 13}, NGHTTP2_PROTOCOL_ERROR},
        {"lone CONTINUATION", {"\0\0\0\x9\4\0\0\0\1", 9}, NGHTTP2_PROTOCOL_ERROR},
        {"open header block",
         {"\0\0\1\1\1\0\0\0\1\x82\0\0\0\0\0\0\0\0\1", 19},
         NGHTTP2_PROTOCOL_ERROR},
        {"padding too long", {"\0\0\2\1\xd\0\0\0\1\5\x82", 11}, NGHTTP2_PROTOCOL_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t piece = 1; piece <= 64; piece += 63) {
            struct peer *p = peer_new();
            buf_append(&p->in, rows[i].in.p, rows[i].in.n);
            feed(p, piece);
            produce(p, 64 * 1024);
            const struct frame *f = p->n_frames ? &p->frames[p->n_frames - 1] : NULL;
            if (!f || f->type != NGHTTP2_GOAWAY || f->payload[7] != rows[i].code)
                fail_msg("%s: %s", rows[i].what, frames_text(p));
            assert_true(p->rc < 0 || p->c.ends); /* the connection is ended, by either way */
            peer_free(p);
        }
    }
}

static void test_bad_prefaces(void **state)
{
    static const struct slice rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", 24},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x8\6\0\0\0\0\0aaaaaaaa", 41}, /* no SETTINGS */
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct peer *p = peer_raw();
        buf_append(&p->in, rows[i].p, rows[i].n);
        pump(p);
        assert_true(p->rc < 0 || p->c.ends);
        assert_int_equal(p->frames[0].type, NGHTTP2_SETTINGS); /* RFC 9113 3.4 */
        assert_int_equal(p->frames[p->n_frames - 1].type, NGHTTP2_GOAWAY);
        assert_int_equal(p->frames[p->n_frames - 1].payload[7], NGHTTP2_PROTOCOL_ERROR);
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_floods, setup),
        cmocka_unit_test_setup(test_slow_pings_are_fine, setup),
        cmocka_unit_test_setup(test_window_churn, setup),
        cmocka_unit_test_setup(test_client_resets, setup),
        cmocka_unit_test_setup(test_provoked_resets, setup),
        cmocka_unit_test_setup(test_refused_streams, setup),
        cmocka_unit_test_setup(test_unread_frames, setup),
        cmocka_unit_test_setup(test_continuations, setup),
        cmocka_unit_test_setup(test_connection_errors, setup),
        cmocka_unit_test_setup(test_bad_prefaces, setup),
    };

    return cmocka_run_group_tests_name("http2_flood", tests, NULL, NULL);
}
