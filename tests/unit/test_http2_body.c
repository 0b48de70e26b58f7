/* Tests of gateway/http2*.c: bodies both ways and their flow control. */
#include "http2_peer.h"

/* ---- bodies ---- */

static void test_upload_is_bounded_by_credit(void **state)
{
    struct peer *p = peer_new();
    struct stream *s;

    (void)state;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST));
    for (int i = 0; i < 4; i++)
        send_data(p, 1, false, 16384);
    pump(p);
    s = stream_of(p, 1);
    assert_int_equal(s->in.n, 65536);
    assert_int_equal(s->in_total, 65536);
    assert_int_equal(p->n_frames, 0); /* no credit for what nobody took */
    mock_consume(s, 32767);
    produce(p, 64 * 1024);
    assert_int_equal(p->n_frames, 0); /* nor for less than half the window */
    mock_consume(s, 1);
    produce(p, 64 * 1024);
    assert_frames(p, "WINDOW_UPDATE 1 32768");
    /* One byte past the window is the client's fault: RST_STREAM(FLOW_CONTROL_ERROR). */
    send_data(p, 1, false, 16384);
    send_data(p, 1, false, 16384);
    send_data(p, 1, false, 1);
    pump(p);
    assert_frames(p, "RST 1 3");
    assert_story("head 1 POST /post; closed 1 ECLIENT_PROTO");
    peer_free(p);
}

static void test_connection_credit_comes_back(void **state)
{
    struct peer *p = peer_new();
    uint32_t credit = 0;

    (void)state;
    mock_on_body = NULL;
    /* 12 streams of 64 KiB that nobody reads: reset by the client, by us, answered early. */
    for (uint32_t id = 1; id < 25; id += 2) {
        send_head(p, id, false, PAIRS(POST));
        for (int i = 0; i < 4; i++)
            send_data(p, id, false, 16384);
        if (id % 4 == 1)
            send_u32(p, NGHTTP2_RST_STREAM, id, NGHTTP2_CANCEL);
        pump(p);
        if (id % 4 == 3)
            http2_proto.reset(stream_of(p, (int32_t)id), GW_EBACKEND_CLOSED);
        send_data(p, id, false, 100); /* on its way when the reset was sent */
        pump(p);
        for (size_t i = 0; i < p->n_frames; i++)
            if (p->frames[i].type == NGHTTP2_WINDOW_UPDATE && p->frames[i].id == 0)
                credit += (uint32_t)p->frames[i].payload[1] << 16 |
                          (uint32_t)p->frames[i].payload[2] << 8 | p->frames[i].payload[3];
    }
    assert_null(p->c.streams);
    /* All but what has not added up to half a window. */
    assert_true(credit > 12u * 65636 - 512 * 1024);
    assert_int_equal(p->rc, 0);
    peer_free(p);
}

static void test_discarded_body(void **state)
{
    struct peer *p = peer_new();
    bool updated = false;

    (void)state;
    send_head(p, 1, false, PAIRS(POST));
    pump(p);
    stream_of(p, 1)->in_discard = true;
    story[0] = '\0';
    for (int i = 0; i < 100; i++) {
        send_data(p, 1, false, 16384);
        pump(p);
        updated |= p->n_frames > 0;
    }
    assert_true(updated);
    assert_int_equal(p->rc, 0);
    assert_int_equal(stream_of(p, 1)->in.n, 0);
    assert_story("");
    send_data(p, 1, true, 1);
    pump(p);
    assert_story("body 1 0 end");
    peer_free(p);
}

static void test_padded_data(void **state)
{
    static const uint8_t padded[] = {3, 'a', 'b', 0, 0, 0};
    struct peer *p = peer_new();

    (void)state;
    send_head(p, 1, false, PAIRS(POST, "content-length", "2"));
    send_frame(p, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_END_STREAM, 1, padded, 6);
    pump(p);
    assert_story("head 1 POST /post; body 1 2 end");
    assert_int_equal(stream_of(p, 1)->in_total, 2);
    peer_free(p);
}

static void test_trailers_are_dropped(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    send_head(p, 1, false, PAIRS(POST));
    send_data(p, 1, false, 3);
    send_head(p, 1, true, PAIRS("x-checksum", "1234"));
    pump(p);
    assert_story("head 1 POST /post; body 1 3 end");
    assert_int_equal(stream_of(p, 1)->req.n_fields, 0);
    peer_free(p);
}

/* The rest of a request that was answered is taken, and dropped; the answer ends behind it. */
static void test_early_answer(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_hello;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST));
    send_data(p, 1, false, 1000);
    pump(p);
    assert_frames(p, "HEADERS 1; DATA 1 5");
    assert_story("head 1 POST /post");
    assert_int_equal(stream_of(p, 1)->in.n, 1000); /* the real stream.c drops this */
    mock_consume(stream_of(p, 1), 1000);
    stream_of(p, 1)->in_discard = true;
    for (int i = 0; i < 100; i++) {
        send_data(p, 1, false, 10000);
        pump(p);
        assert_int_equal(p->rc, 0);
        assert_int_equal(stream_of(p, 1)->in.n, 0);
    }
    send_data(p, 1, true, 1000);
    pump(p);
    assert_frames(p, "DATA 1 0 ES");
    assert_story("closed 1 0");
    peer_free(p);
}

/* One that ends short of its length once it saw the answer (curl) is no malformed one. */
static void test_early_answer_cut_short(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_hello;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST, "content-length", "1000"));
    pump(p);
    assert_frames(p, "HEADERS 1; DATA 1 5");
    send_data(p, 1, true, 10);
    pump(p);
    assert_frames(p, "DATA 1 0 ES");
    assert_story("head 1 POST /post; closed 1 0");
    peer_free(p);
}

/* An answer without a body waits for the request's end like any other. */
static void test_early_answer_empty(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST));
    pump(p);
    mock_send_head(stream_of(p, 1), 204, NULL, 0, 0);
    mock_finish(stream_of(p, 1));
    produce(p, 64 * 1024);
    assert_frames(p, "HEADERS 1");
    send_data(p, 1, true, 10);
    pump(p);
    assert_frames(p, "DATA 1 0 ES");
    assert_story("head 1 POST /post; closed 1 0");
    peer_free(p);
}

static void begin_linger(struct peer *p)
{
    mock_on_head = answer_hello;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST));
    pump(p);
    stream_of(p, 1)->in_discard = true;
    assert_frames(p, "HEADERS 1; DATA 1 5");
    assert_story("head 1 POST /post");
    assert_non_null(mock_timer);
}

/* A second passes. */
static void tick(struct peer *p)
{
    mock_now_ms += 1000;
    mock_tick();
    produce(p, 64 * 1024);
}

/* Seconds until the answer ends, a byte coming in every nth. */
static int linger(struct peer *p, int nth)
{
    for (int s = 1; s < 100; s++) {
        tick(p);
        if (p->n_frames) {
            assert_frames(p, "DATA 1 0 ES");
            return s;
        }
        if (s % nth == 0) {
            send_data(p, 1, false, 1);
            pump(p);
        }
    }
    return 100;
}

/* Two seconds behind its end comes the reset (RFC 9113 8.1). */
static void assert_reset_follows(struct peer *p)
{
    story[0] = '\0';
    tick(p);
    assert_int_equal(p->n_frames, 0);
    tick(p);
    assert_frames(p, "RST 1 0");
    assert_story("closed 1 0");
}

static void test_early_answer_silent_client(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    begin_linger(p);
    assert_int_equal(linger(p, 1000), 2);
    assert_reset_follows(p);
    mock_now_ms += 1000;
    mock_tick();
    assert_null(mock_timer);
    send_data(p, 1, true, 1000); /* was on its way */
    pump(p);
    assert_int_equal(p->n_frames, 0);
    assert_int_equal(p->rc, 0);
    peer_free(p);
}

static void test_early_answer_slow_client(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    begin_linger(p);
    assert_int_equal(linger(p, 1), 30);
    assert_reset_follows(p);
    peer_free(p);
}

static void test_early_answer_endless_body(void **state)
{
    struct peer *p = peer_new();
    size_t n = 0;

    (void)state;
    begin_linger(p);
    do {
        assert_true(n < 20 * 1024 * 1024);
        send_data(p, 1, false, 16384);
        pump(p);
        n += 16384;
    } while (p->n_frames == 0 || p->frames[p->n_frames - 1].type != NGHTTP2_DATA);
    assert_int_equal(n, 16 * 1024 * 1024 + 16384);
    assert_int_equal(p->frames[p->n_frames - 1].flags, NGHTTP2_FLAG_END_STREAM);
    assert_reset_follows(p);
    peer_free(p);
}

/* A connection that ends while a request lingers leaves no timer behind. */
static void test_early_answer_connection_ends(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    begin_linger(p);
    peer_free(p);
    assert_null(mock_timer);

    p = peer_new();
    begin_linger(p);
    assert_int_equal(http2_proto.input_eof(&p->c), 0);
    produce(p, 64 * 1024);
    assert_frames(p, "DATA 1 0 ES; RST 1 0");
    assert_int_equal(mock_end_err, 0);
    assert_story("closed 1 0");
    peer_free(p);
}

static void test_download_follows_windows(void **state)
{
    struct peer *p = peer_new();
    char *data = calloc(1, 200000);

    (void)state;
    send_get(p, 1, "/");
    pump(p);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, -1);
    mock_send_body(stream_of(p, 1), data, 200000);
    stream_of(p, 1)->out.want_writable = true;
    produce(p, 64 * 1024);
    assert_int_equal(stream_of(p, 1)->out.n_body, 65535);
    lock_take(&p->c.mu);
    assert_false(http2_proto.want_write(&p->c));
    lock_drop(&p->c.mu);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1000000);
    pump(p);
    assert_int_equal(p->n_frames, 0);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, 100000);
    pump(p);
    assert_int_equal(stream_of(p, 1)->out.n_body, 165535);
    assert_false(stream_of(p, 1)->out.want_writable); /* below the low mark: told */
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, 100000);
    pump(p);
    assert_frames(p, "DATA 1 16384; DATA 1 16384; DATA 1 1697");
    mock_finish(stream_of(p, 1));
    produce(p, 64 * 1024);
    assert_frames(p, "DATA 1 0 ES");
    free(data);
    peer_free(p);
}

/* The same bytes whatever room produce() is given. */
static void test_any_room(void **state)
{
    static const size_t caps[] = {32 * 1024, 32 * 1024 + 1, 33 * 1024 + 7, 40000, 64 * 1024};
    static uint8_t data[300000], got[3][sizeof(data)];
    static char long_value[60000];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + (i >> 8));
    memset(long_value, '%', sizeof(long_value)); /* longer in Huffman's code: stays as it is */
    struct field fields[] = {{{"x-long", 6}, {long_value, sizeof(long_value)}}};
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct peer *p = peer_new();
        size_t n[3] = {0}, ended = 0;
        send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
        send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 21);
        for (uint32_t id = 1; id <= 5; id += 2)
            send_get(p, id, "/");
        pump(p);
        for (int32_t id = 1; id <= 5; id += 2) {
            mock_send_head(stream_of(p, id), 200, fields, 1, sizeof(data));
            mock_send_body(stream_of(p, id), data, sizeof(data));
            mock_finish(stream_of(p, id));
        }
        produce(p, caps[i]);
        for (size_t k = 0; k < p->n_frames; k++) {
            const struct frame *f = &p->frames[k];
            if (f->type != NGHTTP2_DATA)
                continue;
            size_t which = f->id / 2;
            assert_true(n[which] + f->length <= sizeof(data));
            memcpy(got[which] + n[which], f->payload, f->length);
            n[which] += f->length;
            ended += f->flags & NGHTTP2_FLAG_END_STREAM;
        }
        assert_int_equal(ended, 3);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(n[k], sizeof(data));
            assert_memory_equal(got[k], data, sizeof(data));
        }
        peer_free(p);
    }
}

/* A full batch is full: 64 KiB of room takes four DATA frames and leaves little. */
static void test_batches_are_full(void **state)
{
    static uint8_t wire[64 * 1024], data[200000];
    struct peer *p = peer_new();

    (void)state;
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    send_get(p, 1, "/");
    pump(p);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, sizeof(data));
    mock_send_body(stream_of(p, 1), data, sizeof(data));
    lock_take(&p->c.mu);
    ssize_t n = http2_proto.produce(&p->c, wire, sizeof(wire));
    assert_true(http2_proto.want_write(&p->c));
    lock_drop(&p->c.mu);
    assert_in_range(n, sizeof(wire) - 1024, sizeof(wire));
    peer_free(p);
}

static void test_body_comes_later(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    send_get(p, 1, "/");
    send_get(p, 3, "/");
    pump(p);
    mock_send_head(stream_of(p, 1), 200, NULL, 0, -1);
    mock_send_head(stream_of(p, 3), 200, NULL, 0, -1);
    produce(p, 64 * 1024);
    assert_frames(p, "HEADERS 1; HEADERS 3");
    mock_send_body(stream_of(p, 3), "abc", 3);
    produce(p, 64 * 1024);
    assert_frames(p, "DATA 3 3");
    mock_send_body(stream_of(p, 1), "de", 2);
    mock_finish(stream_of(p, 3));
    produce(p, 64 * 1024);
    assert_int_equal(p->n_frames, 2);
    story[0] = '\0';
    mock_finish(stream_of(p, 1));
    produce(p, 64 * 1024);
    assert_frames(p, "DATA 1 0 ES");
    assert_story("closed 1 0");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_upload_is_bounded_by_credit, setup),
        cmocka_unit_test_setup(test_connection_credit_comes_back, setup),
        cmocka_unit_test_setup(test_discarded_body, setup),
        cmocka_unit_test_setup(test_padded_data, setup),
        cmocka_unit_test_setup(test_trailers_are_dropped, setup),
        cmocka_unit_test_setup(test_early_answer, setup),
        cmocka_unit_test_setup(test_early_answer_cut_short, setup),
        cmocka_unit_test_setup(test_early_answer_empty, setup),
        cmocka_unit_test_setup(test_early_answer_silent_client, setup),
        cmocka_unit_test_setup(test_early_answer_slow_client, setup),
        cmocka_unit_test_setup(test_early_answer_endless_body, setup),
        cmocka_unit_test_setup(test_early_answer_connection_ends, setup),
        cmocka_unit_test_setup(test_download_follows_windows, setup),
        cmocka_unit_test_setup(test_any_room, setup),
        cmocka_unit_test_setup(test_batches_are_full, setup),
        cmocka_unit_test_setup(test_body_comes_later, setup),
    };

    return cmocka_run_group_tests_name("http2_body", tests, NULL, NULL);
}
