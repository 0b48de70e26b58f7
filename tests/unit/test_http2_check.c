/* Tests of gateway/http2_check.c: frames of streams that are gone, and what else the library
 * lets pass. */
#include "http2_peer.h"

#include "../../gateway/http2_check.h"

static void start_post(struct peer *p, uint32_t id)
{
    send_head(p, id, false, PAIRS(POST));
}

/* Each byte by itself, and all at once. */
static const size_t pieces[] = {1, SIZE_MAX};

static void say(struct peer *p, size_t piece)
{
    feed(p, piece);
    produce(p, 64 * 1024);
}

static void test_data_of_a_stream_that_the_client_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_new();
        start_post(p, 1);
        send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
        for (int n = 0; n < 3; n++)
            send_data(p, 1, false, 10);
        send_get(p, 3, "/");
        say(p, pieces[i]);
        assert_frames(p, "RST 1 5"); /* once */
        assert_int_equal(p->rc, 0);
        peer_free(p);
    }
}

static void test_headers_of_a_stream_that_the_client_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_new();
        start_post(p, 1);
        send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
        send_get(p, 1, "/");
        say(p, pieces[i]);
        assert_frames(p, "GOAWAY 0 last 1 code 5");
        assert_int_equal(p->rc, GW_ECLIENT_PROTO);
        peer_free(p);
    }
}

static void test_a_stream_opened_behind_a_later_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_new();
        send_get(p, 1, "/");
        send_get(p, 9, "/");
        send_get(p, 7, "/");
        say(p, pieces[i]);
        assert_frames(p, "GOAWAY 0 last 9 code 1");
        peer_free(p);
    }
}

/* What we reset, by whatever way, may be sent to for a while; also more streams than are
 * remembered. */
static void test_late_frames_of_reset_streams(void **state)
{
    enum { N = 3 * H2_RESETS_KEPT };
    struct peer *p = peer_new();

    (void)state;
    for (uint32_t id = 1; id <= 2 * N; id += 2)
        start_post(p, id);
    say(p, SIZE_MAX);
    for (uint32_t id = 1; id <= 2 * N; id += 2)
        http2_proto.reset(stream_of(p, (int32_t)id), GW_EBACKEND_CLOSED);
    say(p, SIZE_MAX);
    assert_int_equal(p->n_frames, N);
    for (uint32_t id = 1; id <= 2 * N; id += 2) {
        send_data(p, id, false, 10);
        send_head(p, id, true, PAIRS("x-sum", "1"));
    }
    say(p, SIZE_MAX);
    assert_frames(p, "");
    assert_int_equal(p->rc, 0);
    peer_free(p);
}

/* The library refuses a stream without ever having one: its body comes all the same. */
static void test_late_frames_of_refused_streams(void **state)
{
    (void)state;
    mock_limits.h2_streams = 1;
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_raw();
        buf_append(&p->in, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
        send_frame(p, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        for (uint32_t id = 1; id <= 5; id += 2) {
            start_post(p, id);
            send_data(p, id, false, 10);
            send_head(p, id, true, PAIRS("x-sum", "1"));
        }
        say(p, pieces[i]);
        assert_int_equal(p->rc, 0);
        const struct frame *last = &p->frames[p->n_frames - 1];
        assert_int_equal(last->type, NGHTTP2_RST_STREAM);
        assert_int_equal(last->payload[3], NGHTTP2_REFUSED_STREAM);
        peer_free(p);
    }
}

/* Between our GOAWAY and the client's sight of it. */
static void test_late_frames_of_streams_behind_goaway(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    start_post(p, 1);
    say(p, SIZE_MAX);
    http2_proto.shutdown(&p->c, 0);
    say(p, SIZE_MAX);
    send_frame(p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "h2cgi ok", 8);
    say(p, SIZE_MAX);
    assert_frames(p, "GOAWAY 0 last 1 code 0");
    start_post(p, 3);
    start_post(p, 5);
    send_data(p, 3, false, 10);
    send_data(p, 5, true, 10);
    send_head(p, 3, true, PAIRS("x-sum", "1"));
    send_data(p, 1, false, 10);
    say(p, SIZE_MAX);
    assert_frames(p, "");
    assert_int_equal(p->rc, 0);
    peer_free(p);
}

/* RFC 9113 6.9.2: an error of the connection, not of the stream. */
static void test_settings_that_make_a_window_too_large(void **state)
{
    static const struct {
        uint32_t update, window;
        const char *says;
    } rows[] = {
        {0x7fffffff - 65535, 65535, "SETTINGS 0 ACK"},
        {0x7fffffff - 65535, 65536, "GOAWAY 0 last 1 code 3"},
        {0x7fffffff - 65535, 1, "SETTINGS 0 ACK"},
        {1, 0x7fffffff, "GOAWAY 0 last 1 code 3"},
        {1, 0x7fffffff - 1, "SETTINGS 0 ACK"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = peer_new();
        start_post(p, 1);
        send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, rows[i].update);
        send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, rows[i].window);
        say(p, SIZE_MAX);
        assert_frames(p, rows[i].says);
        peer_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_data_of_a_stream_that_the_client_ended, setup),
        cmocka_unit_test_setup(test_headers_of_a_stream_that_the_client_ended, setup),
        cmocka_unit_test_setup(test_a_stream_opened_behind_a_later_one, setup),
        cmocka_unit_test_setup(test_late_frames_of_reset_streams, setup),
        cmocka_unit_test_setup(test_late_frames_of_refused_streams, setup),
        cmocka_unit_test_setup(test_late_frames_of_streams_behind_goaway, setup),
        cmocka_unit_test_setup(test_settings_that_make_a_window_too_large, setup),
    };

    return cmocka_run_group_tests_name("http2_check", tests, NULL, NULL);
}
