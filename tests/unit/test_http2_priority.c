/* Tests of gateway/http2_priority.c: the order of DATA frames, and PRIORITY_UPDATE. */
#include "http2_peer.h"

enum { FRAME = 16384 };

#define CREDIT (1u << 30)

/* A client with that much window for each stream, and more than enough for all. */
static struct peer *peer_window(uint32_t window)
{
    struct peer *p = peer_new();

    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, CREDIT);
    pump(p);
    story[0] = '\0';
    return p;
}

static void ask(struct peer *p, uint32_t id, const char *priority)
{
    send_head(p, id, true, priority ? PAIRS(GET("/"), "priority", priority) : PAIRS(GET("/")));
    feed(p, SIZE_MAX);
}

/* The application says so many frames, and its end. */
static void answer(struct peer *p, int32_t id, unsigned frames, const char *priority)
{
    static const uint8_t zeros[64 * FRAME];
    struct stream *s = stream_of(p, id);
    struct field field = {SLICE("Priority"), slice_str(priority)};

    mock_send_head(s, 200, &field, priority ? 1 : 0, -1);
    mock_send_body(s, zeros, (size_t)frames * FRAME);
    mock_finish(s);
}

static void update(struct peer *p, uint32_t id, const char *value)
{
    uint8_t payload[512] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                            (uint8_t)id};

    memcpy(payload + 4, value, strlen(value));
    send_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, 0, payload, 4 + strlen(value));
    feed(p, SIZE_MAX);
}

/* Streams of the DATA frames, of which each is 16 KiB: "1 1 3". */
static const char *order(const struct peer *p)
{
    static char text[4096];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < p->n_frames; i++) {
        if (p->frames[i].type == NGHTTP2_DATA && p->frames[i].length)
            at += (size_t)snprintf(text + at, sizeof(text) - at, at ? " %u" : "%u",
                                   p->frames[i].id);
    }
    return text;
}

/* What goes out until nothing more does. */
static const char *all(struct peer *p)
{
    produce(p, 4 * 1024 * 1024); /* no frame is cut short */
    return order(p);
}

/* At most n frames of DATA. */
static const char *some(struct peer *p, unsigned n)
{
    uint8_t *dst = malloc(n * (FRAME + 9) + 1024);

    buf_clear(&p->out);
    lock_take(&p->c.mu);
    ssize_t k = http2_proto.produce(&p->c, dst, n * (FRAME + 9) + 512);
    lock_drop(&p->c.mu);
    assert_true(k >= 0);
    buf_append(&p->out, dst, (size_t)k);
    free(dst);
    parse_out(p);
    return order(p);
}

/* ---- the order ---- */

static void test_by_id_unless_told(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    for (uint32_t id = 1; id < 7; id += 2)
        ask(p, id, NULL);
    answer(p, 5, 2, NULL);
    answer(p, 1, 2, NULL);
    answer(p, 3, 1, NULL);
    assert_string_equal(all(p), "1 1 3 5 5");
    assert_null(p->c.streams);
    peer_free(p);
}

static void test_urgency(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "u=7");
    ask(p, 3, NULL);
    ask(p, 5, "u=0");
    ask(p, 7, "u=5, i");
    for (int32_t id = 1; id < 9; id += 2)
        answer(p, id, 2, NULL);
    assert_string_equal(all(p), "5 5 3 3 7 7 1 1");
    assert_null(p->c.streams);
    peer_free(p);
}

static void test_incremental(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "i");
    ask(p, 3, "u=3,i=?1");
    ask(p, 5, "u=3");
    ask(p, 7, "i=?0");
    for (int32_t id = 1; id < 9; id += 2)
        answer(p, id, 3, NULL);
    /* 5 and 7 have one share together */
    assert_string_equal(all(p), "1 3 5 1 3 5 1 3 5 7 7 7");
    assert_null(p->c.streams);
    peer_free(p);
}

/* Whoever has no window is passed over, and comes back with it. */
static void test_window(void **state)
{
    struct peer *p = peer_window(FRAME);

    (void)state;
    ask(p, 1, "u=0");
    ask(p, 3, "u=1, i");
    ask(p, 5, "u=1, i");
    for (int32_t id = 1; id < 7; id += 2)
        answer(p, id, 4, NULL);
    assert_string_equal(all(p), "1 3 5");
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 5, 3 * FRAME);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 3, FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(some(p, 3), "3 5 5");
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "1 5");
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 3, FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "");
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4 * FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "1 1 3 3");
    assert_null(p->c.streams);
    peer_free(p);
}

/* Out of window in the middle of being the one that goes, with others put off for it. */
static void test_window_shrinks(void **state)
{
    struct peer *p = peer_window(4 * FRAME);

    (void)state;
    ask(p, 1, "u=5");
    ask(p, 3, "u=1");
    answer(p, 1, 2, NULL);
    answer(p, 3, 4, NULL);
    assert_string_equal(some(p, 2), "3 3");
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, FRAME);
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2 * FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "1 1");
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 3, 3 * FRAME);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "3 3");
    assert_null(p->c.streams);
    peer_free(p);
}

/* The connection's window: it is decided when it opens, not before. */
static void test_connection_window(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CREDIT);
    ask(p, 1, "u=5");
    answer(p, 1, 8, NULL);
    assert_string_equal(all(p), "1 1 1 1"); /* one of them a byte short */
    ask(p, 3, "u=2");
    answer(p, 3, 1, NULL);
    assert_string_equal(all(p), "");
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, CREDIT);
    feed(p, SIZE_MAX);
    assert_string_equal(all(p), "3 1 1 1 1 1");
    assert_null(p->c.streams);
    peer_free(p);
}

/* An application that is slow gives its place to others, and has it back with its next byte. */
static void test_slow_application(void **state)
{
    static const uint8_t zeros[FRAME];
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "u=0");
    ask(p, 3, "u=4");
    mock_send_head(stream_of(p, 1), 200, NULL, 0, -1);
    answer(p, 3, 6, NULL);
    assert_string_equal(some(p, 2), "3 3");
    mock_send_body(stream_of(p, 1), zeros, FRAME);
    assert_string_equal(some(p, 2), "1 3");
    mock_send_body(stream_of(p, 1), zeros, FRAME);
    assert_string_equal(some(p, 2), "1 3");
    mock_finish(stream_of(p, 1));
    assert_string_equal(all(p), "3 3");
    assert_null(p->c.streams);
    peer_free(p);
}

/* Who is reset while others are put off for it does not stop them. */
static void test_reset(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t id = 1 + 4 * i;
        ask(p, id, "u=5");
        ask(p, id + 2, "u=1");
        answer(p, (int32_t)id, 2, NULL);
        answer(p, (int32_t)id + 2, 4, NULL);
        (void)some(p, 1);
        if (i == 0)
            http2_proto.reset(stream_of(p, (int32_t)id + 2), GW_EBACKEND_CLOSED);
        else
            send_u32(p, NGHTTP2_RST_STREAM, id + 2, NGHTTP2_CANCEL);
        feed(p, SIZE_MAX);
        assert_string_equal(all(p), i == 0 ? "1 1" : "5 5");
        assert_null(p->c.streams);
    }
    peer_free(p);
}

/* GOAWAY for an error: what was put off is not owed any more. */
static void test_terminated(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "u=5");
    ask(p, 3, "u=1");
    answer(p, 1, 2, NULL);
    answer(p, 3, 4, NULL);
    assert_string_equal(some(p, 1), "3");
    http2_proto.shutdown(&p->c, GW_ECLIENT_PROTO);
    produce(p, 64 * 1024);
    lock_take(&p->c.mu);
    assert_false(http2_proto.want_write(&p->c));
    assert_true(http2_proto.done(&p->c));
    lock_drop(&p->c.mu);
    peer_free(p);
}

static void test_nobody_starves(void **state)
{
    struct peer *p = peer_window(CREDIT);
    unsigned at[2] = {0}, n = 0;

    (void)state;
    ask(p, 1, "u=7");
    ask(p, 3, "u=0");
    answer(p, 1, 2, NULL);
    for (unsigned i = 0; i < 4; i++) {
        static const uint8_t zeros[40 * FRAME];
        if (i == 0)
            mock_send_head(stream_of(p, 3), 200, NULL, 0, -1);
        mock_send_body(stream_of(p, 3), zeros, sizeof(zeros));
    }
    mock_finish(stream_of(p, 3));
    produce(p, 4 * 1024 * 1024);
    for (size_t i = 0, k = 0; i < p->n_frames; i++) {
        if (p->frames[i].type != NGHTTP2_DATA)
            continue;
        if (p->frames[i].id == 1 && k < 2)
            at[k++] = n;
        n++;
    }
    assert_int_equal(at[0], 64);
    assert_int_equal(at[1], 129);
    peer_free(p);
}

/* ---- who says what ---- */

static void test_answer_overrides(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "u=2, i");
    ask(p, 3, "u=2, i");
    ask(p, 5, "u=6");
    answer(p, 1, 2, "i=?0"); /* its urgency stays */
    answer(p, 3, 2, "u=7;because, x=(1)");
    answer(p, 5, 2, "u=0");
    assert_string_equal(all(p), "5 5 1 1 3 3");
    peer_free(p);

    p = peer_window(CREDIT);
    ask(p, 1, "u=2");
    ask(p, 3, "u=1");
    answer(p, 1, 1, "u=0,");
    answer(p, 3, 1, "u=\"0\"");
    assert_string_equal(all(p), "3 1"); /* says nothing */
    peer_free(p);
}

static void test_update(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, NULL);
    ask(p, 3, "u=3, i");
    answer(p, 1, 6, NULL);
    answer(p, 3, 4, NULL);
    assert_string_equal(some(p, 2), "3 1");
    update(p, 1, "u=1"); /* in the middle of it */
    assert_string_equal(some(p, 1), "1");
    update(p, 1, "i"); /* what it does not say is the default again */
    assert_string_equal(all(p), "1 1 3 1 3 1 3");
    update(p, 1, "u=0"); /* closed */
    assert_int_equal(p->rc, 0);
    assert_null(p->c.streams);
    peer_free(p);
}

/* What the application says of its answer stays said. */
static void test_update_of_an_answer(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    ask(p, 1, "i");
    ask(p, 3, "i");
    answer(p, 1, 2, "u=5");
    answer(p, 3, 2, NULL);
    update(p, 1, "u=1, i");
    assert_string_equal(all(p), "3 3 1 1");
    peer_free(p);
}

static void test_foretold(void **state)
{
    struct peer *p = peer_window(CREDIT);

    (void)state;
    update(p, 7, "u=5");
    update(p, 5, "u=0");
    update(p, 3, "u=1");
    update(p, 7, "u=6"); /* the last one counts */
    update(p, 3, "\"");  /* says nothing */
    for (uint32_t id = 1; id < 9; id += 2)
        ask(p, id, id == 7 ? "u=0" : NULL);
    for (int32_t id = 1; id < 9; id += 2)
        answer(p, id, 1, NULL);
    assert_string_equal(all(p), "5 3 1 7");
    /* The next ones know nothing of it. */
    ask(p, 9, NULL);
    ask(p, 11, "u=2");
    answer(p, 9, 1, NULL);
    answer(p, 11, 1, NULL);
    assert_string_equal(all(p), "11 9");
    peer_free(p);
}

/* No more are kept than may be opened (RFC 9218 7.1). */
static void test_foretold_limit(void **state)
{
    struct peer *p;

    (void)state;
    mock_limits.h2_streams = 10;
    p = peer_window(CREDIT);
    ask(p, 1, NULL);
    for (unsigned i = 0; i < 100; i++)
        for (uint32_t id = 3; id < 21; id += 2)
            update(p, id, "u=2");
    assert_int_equal(p->rc, 0);
    ask(p, 11, NULL); /* closes 3 to 9: four are kept */
    for (uint32_t id = 21; id < 29; id += 2)
        update(p, id, "u=2");
    assert_int_equal(p->rc, 0);
    update(p, 29, "u=2");
    assert_int_equal(p->rc, GW_ECLIENT_PROTO);
    produce(p, 64 * 1024);
    assert_frames(p, "GOAWAY 0 last 11 code 1");
    assert_string_equal(mock_log,
                        "ECLIENT_PROTO: PRIORITY_UPDATE: more than MAX_CONCURRENT_STREAMS");
    peer_free(p);
}

static void test_wrong_updates(void **state)
{
    static const struct {
        uint32_t id;
        uint8_t payload[5];
        size_t n;
        const char *frames;
    } rows[] = {
        {0, {0}, 0, "GOAWAY 0 last 1 code 6"},
        {0, {0, 0, 0}, 3, "GOAWAY 0 last 1 code 6"},
        {0, {0, 0, 0, 0}, 4, "GOAWAY 0 last 1 code 1"},
        {0, {0x80, 0, 0, 0}, 4, "GOAWAY 0 last 1 code 1"},
        {0, {0, 0, 0, 2}, 4, "GOAWAY 0 last 1 code 1"},
        {1, {0, 0, 0, 1, 'i'}, 5, "GOAWAY 0 last 1 code 1"},
        {3, {0, 0, 0, 1, 'i'}, 5, "GOAWAY 0 last 1 code 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t piece = 1; piece < 20; piece += 18) {
            struct peer *p = peer_window(CREDIT);
            ask(p, 1, NULL);
            send_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, rows[i].id, rows[i].payload, rows[i].n);
            feed(p, piece);
            assert_int_equal(p->rc, GW_ECLIENT_PROTO);
            produce(p, 64 * 1024);
            assert_frames(p, rows[i].frames);
            peer_free(p);
        }
    }
}

/* Longer than anybody needs: ignored; byte by byte: the same. */
static void test_long_updates(void **state)
{
    static const char more[] = ", x=\"0123456789012345678901234567890123456789\"";
    struct peer *p = peer_window(CREDIT);
    char value[500] = "u=7";
    uint8_t payload[500] = {0, 0, 0, 1};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        strcat(value, more);
    ask(p, 1, NULL);
    ask(p, 3, NULL);
    memcpy(payload + 4, value, strlen(value));
    send_frame(p, NGHTTP2_PRIORITY_UPDATE, 0, 0, payload, 4 + strlen(value));
    feed(p, 1);
    for (unsigned i = 0; i < 5; i++)
        strcat(value, more);
    value[2] = '0';
    update(p, 1, value);
    answer(p, 1, 1, NULL);
    answer(p, 3, 1, NULL);
    assert_string_equal(all(p), "3 1");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_by_id_unless_told, setup),
        cmocka_unit_test_setup(test_urgency, setup),
        cmocka_unit_test_setup(test_incremental, setup),
        cmocka_unit_test_setup(test_window, setup),
        cmocka_unit_test_setup(test_window_shrinks, setup),
        cmocka_unit_test_setup(test_connection_window, setup),
        cmocka_unit_test_setup(test_slow_application, setup),
        cmocka_unit_test_setup(test_reset, setup),
        cmocka_unit_test_setup(test_terminated, setup),
        cmocka_unit_test_setup(test_nobody_starves, setup),
        cmocka_unit_test_setup(test_answer_overrides, setup),
        cmocka_unit_test_setup(test_update, setup),
        cmocka_unit_test_setup(test_update_of_an_answer, setup),
        cmocka_unit_test_setup(test_foretold, setup),
        cmocka_unit_test_setup(test_foretold_limit, setup),
        cmocka_unit_test_setup(test_wrong_updates, setup),
        cmocka_unit_test_setup(test_long_updates, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
