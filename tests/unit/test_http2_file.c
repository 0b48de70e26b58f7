/* Tests of gateway/http2*.c and stream_file.c: bodies that are files, in the page cache and not. */
#include "http2_peer.h"

#include "body_file.h"

/* Stream id answers with the file from first on. */
static struct stream *answer_file(struct peer *p, uint32_t id, int64_t first)
{
    struct stream *s = stream_of(p, (int32_t)id);

    mock_send_head(s, 200, NULL, 0, BODY_FILE - first);
    mock_send_file(s, body_file(), first, BODY_FILE - first);
    return s;
}

static void expect_file(const struct peer *p, uint32_t id, size_t first, size_t end)
{
    for (size_t k = 0; k < p->n_frames; k++) {
        const struct frame *f = &p->frames[k];
        if (f->type != NGHTTP2_DATA || f->id != id)
            continue;
        for (size_t i = 0; i < f->length; i++, first++)
            assert_int_equal(f->payload[i], body_byte(first));
    }
    assert_int_equal(first, end);
}

static bool ends(const struct peer *p)
{
    return p->frames[p->n_frames - 1].flags & NGHTTP2_FLAG_END_STREAM;
}

static unsigned n_writable;

static void note_writable(struct stream *s)
{
    n_writable++;
    assert_int_equal(s->out.file_left, 0);
}

static void test_file(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    body_warm = BODY_FILE;
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    send_get(p, 1, "/");
    pump(p);
    struct stream *s = answer_file(p, 1, 1000);
    produce(p, 64 * 1024);
    expect_file(p, 1, 1000, 1000 + 65535); /* as far as its window goes */
    assert_int_equal(s->out.n_body, 65535);
    lock_take(&p->c.mu);
    assert_false(http2_proto.want_write(&p->c));
    lock_drop(&p->c.mu);
    story[0] = '\0';
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 1, 1 << 20);
    pump(p);
    expect_file(p, 1, 1000 + 65535, BODY_FILE);
    assert_true(ends(p)); /* no frame of its own for that */
    assert_story("closed 1 0");
    peer_free(p);
}

/* What the page cache does not have is given back; whoever reads it goes on with chunks. */
static void test_file_is_cold(void **state)
{
    static const int64_t warms[] = {0, 1, 16384, 20000};
    static char rest[BODY_FILE];

    (void)state;
    for (size_t i = 0; i < sizeof(warms) / sizeof(warms[0]); i++) {
        struct peer *p = peer_new();
        send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
        send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
        body_warm = warms[i];
        n_writable = 0;
        mock_on_writable = note_writable;
        send_get(p, 1, "/");
        pump(p);
        struct stream *s = answer_file(p, 1, 0);
        produce(p, 64 * 1024);
        expect_file(p, 1, 0, (size_t)body_warm);
        pump(p);
        assert_int_equal(n_writable, 1);
        size_t n = (size_t)s->out.file_cold;
        assert_int_equal(s->out.file_at, body_warm);
        assert_int_equal(n, BODY_FILE - body_warm);
        assert_false(s->out.eof);
        assert_int_equal(pread(s->out.file->fd, rest, n, s->out.file_at), n);
        mock_send_body(s, rest, n);
        mock_finish(s);
        produce(p, 64 * 1024);
        expect_file(p, 1, (size_t)body_warm, BODY_FILE);
        assert_true(ends(p));
        peer_free(p);
    }
}

/* Two of them and what is in memory, each with the other's frames in between, whatever room. */
static void test_files_beside_others(void **state)
{
    static const size_t caps[] = {32 * 1024, 33 * 1024 + 7, 64 * 1024};
    static uint8_t data[BODY_FILE];

    (void)state;
    body_warm = BODY_FILE;
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct peer *p = peer_new();
        send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
        send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 21);
        for (uint32_t id = 1; id <= 5; id += 2)
            send_get(p, id, "/");
        pump(p);
        answer_file(p, 1, 0);
        answer_file(p, 3, 77);
        mock_send_head(stream_of(p, 5), 200, NULL, 0, sizeof(data));
        mock_send_body(stream_of(p, 5), data, sizeof(data));
        mock_finish(stream_of(p, 5));
        story[0] = '\0';
        produce(p, caps[i]);
        expect_file(p, 1, 0, BODY_FILE);
        expect_file(p, 3, 77, BODY_FILE);
        assert_null(p->c.streams);
        peer_free(p);
    }
}

static void open_windows(struct peer *p)
{
    send_setting(p, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    send_u32(p, NGHTTP2_WINDOW_UPDATE, 0, 1 << 20);
    pump(p);
    body_warm = BODY_FILE;
    body_reads = 0;
    body_bytes = 0;
}

/* All but the first frame of a file is read a batch at a time, and no byte of it twice. */
static void test_file_is_read_at_once(void **state)
{
    static const struct {
        size_t cap;
        unsigned batches;
    } rows[] = {
        {64 * 1024, 4}, {60 * 1024, 4}, {40 * 1024, 5}, {16393, 13}, {16393 + 1024, 13}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer *p = peer_new();
        open_windows(p);
        send_get(p, 1, "/");
        pump(p);
        answer_file(p, 1, 0);
        produce(p, rows[i].cap);
        expect_file(p, 1, 0, BODY_FILE);
        assert_true(ends(p));
        assert_true(body_reads <= rows[i].batches + 1);
        assert_int_equal(body_bytes, BODY_FILE);
        peer_free(p);
    }
}

/* The page cache has some of the frames that follow. */
static void test_file_is_cold_within_a_batch(void **state)
{
    static const int64_t warms[] = {16385, 32768, 40000, 49152, 65536, 65537, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(warms) / sizeof(warms[0]); i++) {
        struct peer *p = peer_new();
        open_windows(p);
        body_warm = warms[i];
        send_get(p, 1, "/");
        pump(p);
        struct stream *s = answer_file(p, 1, 0);
        produce(p, 60 * 1024);
        expect_file(p, 1, 0, (size_t)warms[i]);
        assert_int_equal(s->out.file_at, warms[i]);
        assert_int_equal(s->out.file_cold, BODY_FILE - warms[i]);
        peer_free(p);
    }
}

/* Frames that go by turns are read one by one. */
static void test_files_by_turns(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    open_windows(p);
    for (uint32_t id = 1; id <= 3; id += 2)
        send_head(p, id, true, PAIRS(GET("/"), "priority", "i"));
    pump(p);
    answer_file(p, 1, 0);
    answer_file(p, 3, 0);
    produce(p, 60 * 1024);
    expect_file(p, 1, 0, BODY_FILE);
    expect_file(p, 3, 0, BODY_FILE);
    assert_true(body_bytes < 3 * BODY_FILE);
    peer_free(p);
}

/* It is reset while the rest of its file waits for a window. */
static void test_file_is_reset(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    body_warm = BODY_FILE;
    send_get(p, 1, "/");
    pump(p);
    answer_file(p, 1, 0);
    produce(p, 64 * 1024);
    story[0] = '\0';
    send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    pump(p);
    assert_story("closed 1 ECLIENT_RESET");
    peer_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_file, setup),
        cmocka_unit_test_setup(test_file_is_cold, setup),
        cmocka_unit_test_setup(test_files_beside_others, setup),
        cmocka_unit_test_setup(test_file_is_read_at_once, setup),
        cmocka_unit_test_setup(test_file_is_cold_within_a_batch, setup),
        cmocka_unit_test_setup(test_files_by_turns, setup),
        cmocka_unit_test_setup(test_file_is_reset, setup),
    };

    return cmocka_run_group_tests_name("http2_file", tests, NULL, NULL);
}
