/*
 * Tests of gateway/http2*.c but for http2_budget.c: frames made by hand in, frames out read by
 * hand, and streams, connection and worker mocked (http2_mock.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "http2_mock.h"

/* ---- the client ---- */

enum { MAX_FRAMES = 4096 };

struct frame {
    uint32_t length;
    uint8_t type, flags;
    uint32_t id;
    const uint8_t *payload;
};

struct peer {
    struct conn c;
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    struct buf in;  /* to be given to the connection */
    struct buf out; /* all it said since the last clear */
    struct frame *frames;
    size_t n_frames;
    int rc; /* of the last input */
};

/* What happened, as text: "head GET /; body 5; closed 0". */
static char story[4096];

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
    size_t n = strlen(story);
    va_list ap;

    if (n && n + 2 < sizeof(story)) {
        strcat(story, "; ");
        n += 2;
    }
    va_start(ap, fmt);
    vsnprintf(story + n, sizeof(story) - n, fmt, ap);
    va_end(ap);
}

static void assert_story(const char *what)
{
    assert_string_equal(story, what);
    story[0] = '\0';
}

static void tell_head(struct stream *s)
{
    tell("head %d %.*s %.*s", s->id, SLICE_FMT(s->req.method), SLICE_FMT(s->req.target));
}

static void tell_bad_head(struct stream *s, int err)
{
    tell("bad %d %s", s->id, gw_err_name(err));
}

static void tell_body(struct stream *s)
{
    tell("body %d %zu%s", s->id, s->in.n, s->in_eof ? " end" : "");
}

static void tell_close(struct stream *s, int err)
{
    tell("closed %d %s", s->id, err ? gw_err_name(err) : "0");
}

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, const void *p,
                      size_t n)
{
    uint8_t head[9] = {
        (uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
        (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    buf_append(b, head, sizeof(head));
    buf_append(b, p, n);
}

static void send_frame(struct peer *p, uint8_t type, uint8_t flags, uint32_t id,
                       const void *payload, size_t n)
{
    put_frame(&p->in, type, flags, id, payload, n);
}

/* Pairs of strings, NULL-terminated; the block has n bytes. */
static size_t pack_head(struct peer *p, const char *const *pairs, uint8_t *block, size_t cap)
{
    nghttp2_nv nv[256];
    size_t n = 0;

    for (; pairs[2 * n] && n < 256; n++) {
        nv[n] = (nghttp2_nv){(uint8_t *)(uintptr_t)pairs[2 * n],
                             (uint8_t *)(uintptr_t)pairs[2 * n + 1], strlen(pairs[2 * n]),
                             strlen(pairs[2 * n + 1]), NGHTTP2_NV_FLAG_NONE};
    }
    ssize_t len = nghttp2_hd_deflate_hd(p->deflater, block, cap, nv, n);
    assert_true(len >= 0);
    return (size_t)len;
}

static void send_head(struct peer *p, uint32_t id, bool end_stream, const char *const *pairs)
{
    static uint8_t block[256 * 1024];
    size_t n = pack_head(p, pairs, block, sizeof(block)), at = n < 16384 ? n : 16384;
    uint8_t flags = (uint8_t)((end_stream ? NGHTTP2_FLAG_END_STREAM : 0) |
                              (at == n ? NGHTTP2_FLAG_END_HEADERS : 0));

    send_frame(p, NGHTTP2_HEADERS, flags, id, block, at);
    while (at < n) {
        size_t k = n - at < 16384 ? n - at : 16384;
        send_frame(p, NGHTTP2_CONTINUATION, at + k == n ? NGHTTP2_FLAG_END_HEADERS : 0, id,
                   block + at, k);
        at += k;
    }
}

#define GET(path)                                                                              \
    ":method", "GET", ":scheme", "https", ":authority", "example.org", ":path", path
#define POST                                                                                   \
    ":method", "POST", ":scheme", "https", ":authority", "example.org", ":path", "/post"
#define PAIRS(...)                                                                             \
    (const char *const[])                                                                      \
    {                                                                                          \
        __VA_ARGS__, NULL                                                                      \
    }

static void send_get(struct peer *p, uint32_t id, const char *path)
{
    send_head(p, id, true, PAIRS(GET(path)));
}

static void send_data(struct peer *p, uint32_t id, bool end_stream, size_t n)
{
    uint8_t *data = calloc(1, n + 1);

    send_frame(p, NGHTTP2_DATA, end_stream ? NGHTTP2_FLAG_END_STREAM : 0, id, data, n);
    free(data);
}

static void send_u32(struct peer *p, uint8_t type, uint32_t id, uint32_t value)
{
    uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                    (uint8_t)value};

    send_frame(p, type, 0, id, b, 4);
}

static void send_setting(struct peer *p, uint16_t setting, uint32_t value)
{
    uint8_t b[6] = {(uint8_t)(setting >> 8), (uint8_t)setting,      (uint8_t)(value >> 24),
                    (uint8_t)(value >> 16),  (uint8_t)(value >> 8), (uint8_t)value};

    send_frame(p, NGHTTP2_SETTINGS, 0, 0, b, 6);
}

/* Cut what came into frames. */
static void parse_out(struct peer *p)
{
    const uint8_t *at = p->out.data, *end = at + p->out.len;

    p->n_frames = 0;
    while (at + 9 <= end) {
        struct frame f = {.length = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2],
                          .type = at[3],
                          .flags = at[4],
                          .id = (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 |
                                (uint32_t)at[7] << 8 | at[8],
                          .payload = at + 9};
        assert_true(f.length <= 16384);
        at += 9 + f.length;
        assert_true(at <= end);
        assert_true(p->n_frames < MAX_FRAMES);
        p->frames[p->n_frames++] = f;
    }
    assert_true(at == end);
}

static void produce(struct peer *p, size_t cap)
{
    buf_clear(&p->out);
    assert_true(mock_produce(&p->c, cap, &p->out) >= 0);
    parse_out(p);
}

/* Give the connection what was sent, in pieces of so many bytes, and take its answer. */
static void feed(struct peer *p, size_t piece)
{
    p->rc = 0;
    for (size_t at = 0; at < buf_len(&p->in) && p->rc == 0 && !p->c.ends;) {
        size_t k = buf_len(&p->in) - at < piece ? buf_len(&p->in) - at : piece;
        uint8_t *part = malloc(k);
        memcpy(part, buf_at(&p->in) + at, k);
        p->rc = http2_proto.input(&p->c, part, k);
        http2_proto.events(&p->c);
        free(part);
        at += k;
    }
    buf_clear(&p->in);
}

static void pump(struct peer *p)
{
    feed(p, SIZE_MAX);
    produce(p, 64 * 1024);
}

static struct peer *peer_raw(void)
{
    struct peer *p = calloc(1, sizeof(*p));

    assert_int_equal(mock_open(&p->c), 0);
    assert_int_equal(nghttp2_hd_deflate_new(&p->deflater, 4096), 0);
    assert_int_equal(nghttp2_hd_inflate_new(&p->inflater), 0);
    p->frames = calloc(MAX_FRAMES, sizeof(*p->frames));
    mock_on_head = tell_head;
    mock_on_bad_head = tell_bad_head;
    mock_on_body = tell_body;
    mock_on_close = tell_close;
    story[0] = '\0';
    return p;
}

/* Both sides' prefaces are over, but for our SETTINGS being acknowledged if ack is false. */
static struct peer *peer_new(void)
{
    struct peer *p = peer_raw();

    buf_append(&p->in, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    send_frame(p, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    send_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    produce(p, 64 * 1024);
    pump(p);
    return p;
}

static void peer_free(struct peer *p)
{
    mock_on_close = NULL;
    mock_close(&p->c);
    nghttp2_hd_deflate_del(p->deflater);
    nghttp2_hd_inflate_del(p->inflater);
    buf_fini(&p->in);
    buf_fini(&p->out);
    free(p->frames);
    free(p);
}

static int setup(void **state)
{
    (void)state;
    mock_defaults();
    return 0;
}

/* ---- looking at what came ---- */

/* The frames that came, as text: "HEADERS 1 ES EH; DATA 1 5 ES".  Lengths of heads are left
 * out, as they are HPACK's business. */
static const char *frames_text(const struct peer *p)
{
    static const char *const names[] = {"DATA",          "HEADERS",     "PRIORITY", "RST",
                                        "SETTINGS",      "PUSH",        "PING",     "GOAWAY",
                                        "WINDOW_UPDATE", "CONTINUATION"};
    static char text[16384];
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < p->n_frames && at < sizeof(text) - 100; i++) {
        const struct frame *f = &p->frames[i];
        bool ends = f->type <= NGHTTP2_HEADERS && f->flags & NGHTTP2_FLAG_END_STREAM;
        at += (size_t)sprintf(text + at, "%s%s %u", i ? "; " : "", names[f->type], f->id);
        if (f->type == NGHTTP2_DATA)
            at += (size_t)sprintf(text + at, " %u", f->length);
        if (f->type == NGHTTP2_RST_STREAM || f->type == NGHTTP2_WINDOW_UPDATE)
            at += (size_t)sprintf(text + at, " %d",
                                  f->payload[0] << 24 | f->payload[1] << 16 |
                                      f->payload[2] << 8 | f->payload[3]);
        if (f->type == NGHTTP2_GOAWAY)
            at += (size_t)sprintf(text + at, " last %d code %d",
                                  f->payload[0] << 24 | f->payload[1] << 16 |
                                      f->payload[2] << 8 | f->payload[3],
                                  f->payload[7]);
        if (f->flags & NGHTTP2_FLAG_ACK && f->type >= NGHTTP2_SETTINGS)
            at += (size_t)sprintf(text + at, " ACK");
        if (ends)
            at += (size_t)sprintf(text + at, " ES");
    }
    return text;
}

#define assert_frames(p, what) assert_string_equal(frames_text(p), what)

/* Decode the head in frame i and its CONTINUATIONs: "name: value\n..." */
static const char *head_text(struct peer *p, size_t i)
{
    static char text[400 * 1024];
    size_t at = 0;
    bool last;

    text[0] = '\0';
    do {
        const struct frame *f = &p->frames[i++];
        const uint8_t *in = f->payload;
        size_t n = f->length;
        last = f->flags & NGHTTP2_FLAG_END_HEADERS;
        for (;;) {
            nghttp2_nv nv;
            int flags = 0;
            ssize_t k = nghttp2_hd_inflate_hd2(p->inflater, &nv, &flags, in, n, last);
            assert_true(k >= 0);
            in += k;
            n -= (size_t)k;
            if (flags & NGHTTP2_HD_INFLATE_EMIT)
                at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s: %.*s\n",
                                       (int)nv.namelen, nv.name, (int)nv.valuelen, nv.value);
            if (flags & NGHTTP2_HD_INFLATE_FINAL)
                nghttp2_hd_inflate_end_headers(p->inflater);
            if (flags & NGHTTP2_HD_INFLATE_FINAL ||
                (n == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT)))
                break;
        }
    } while (!last);
    return text;
}

static struct stream *stream_of(struct peer *p, int32_t id)
{
    for (struct stream *s = p->c.streams; s; s = s->next)
        if (s->id == id)
            return s;
    fail_msg("no stream %d", id);
    return NULL;
}

/* ---- handlers ---- */

static const struct field plain_text[] = {{{"Content-Type", 12}, {"text/plain", 10}}};

static void answer_hello(struct stream *s)
{
    tell_head(s);
    assert_int_equal(mock_send_head(s, 200, plain_text, 1, 5), 0);
    mock_send_body(s, "hello", 5);
    mock_finish(s);
}

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

static void test_early_answer(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_head = answer_hello;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST));
    send_data(p, 1, false, 1000);
    pump(p);
    assert_frames(p, "HEADERS 1; DATA 1 5 ES; RST 1 0"); /* RFC 9113 8.1 */
    assert_story("head 1 POST /post; closed 1 0");
    send_data(p, 1, true, 1000); /* was on its way */
    pump(p);
    assert_int_equal(p->n_frames, 0);
    assert_int_equal(p->rc, 0);
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

/* ---- malformed heads ---- */

#define HTTPS ":scheme", "https"
#define AUTH ":authority", "example.org"

static void test_heads(void **state)
{
    /* answer: a story, or the code of RST_STREAM */
    static const struct {
        const char *what;
        const char *pairs[20];
        const char *story;
        int rst;
    } rows[] = {
        {"plain", {GET("/")}, "head 1 GET /", -1},
        {"another method",
         {":method", "M-SEARCH", HTTPS, AUTH, ":path", "/"},
         "head 1 M-SEARCH /",
         -1},
        {"asterisk", {":method", "OPTIONS", HTTPS, AUTH, ":path", "*"}, "head 1 OPTIONS *", -1},
        {"Host alone",
         {":method", "GET", HTTPS, ":path", "/", "host", "a.b"},
         "head 1 GET /",
         -1},
        {"same Host", {GET("/"), "host", "example.org"}, "head 1 GET /", -1},
        {"same Host, other case", {GET("/"), "host", "EXAMPLE.org"}, "head 1 GET /", -1},
        {"same Host, default port", {GET("/"), "host", "example.org:80"}, "head 1 GET /", -1},
        {"same Host, empty port", {GET("/"), "host", "example.org:"}, "head 1 GET /", -1},
        {"te: trailers", {GET("/"), "te", "trailers"}, "head 1 GET /", -1},
        {"IPv6",
         {":method", "GET", HTTPS, ":authority", "[::1]:81", ":path", "/"},
         "head 1 GET /",
         -1},
        {"CONNECT", {":method", "CONNECT", AUTH}, "bad 1 EREQ_METHOD", -1},
        {"other Expect", {POST, "expect", "200-ok"}, "bad 1 EREQ_EXPECT", -1},
        {"another scheme",
         {":method", "GET", ":scheme", "ftp", AUTH, ":path", "/"},
         "head 1 GET /",
         -1},

        {"other Host", {GET("/"), "host", "example.com"}, "closed 1 ECLIENT_PROTO", 1},
        {"other port", {GET("/"), "host", "example.org:81"}, "closed 1 ECLIENT_PROTO", 1},
        {"Host twice",
         {GET("/"), "host", "example.org", "host", "example.org"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"no authority", {":method", "GET", HTTPS, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"empty authority",
         {":method", "GET", HTTPS, ":authority", "", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty Host",
         {":method", "GET", HTTPS, ":path", "/", "host", ""},
         "closed 1 ECLIENT_PROTO",
         1},
        {"userinfo",
         {":method", "GET", HTTPS, ":authority", "u@example.org", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"userinfo in Host",
         {":method", "GET", HTTPS, ":path", "/", "host", "u:p@a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"bad port",
         {":method", "GET", HTTPS, ":authority", "a:65536", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"empty path",
         {":method", "GET", HTTPS, AUTH, ":path", ""},
         "closed 1 ECLIENT_PROTO",
         1},
        {"relative path",
         {":method", "GET", HTTPS, AUTH, ":path", "a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"absolute path",
         {":method", "GET", HTTPS, AUTH, ":path", "https://a/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"GET *", {":method", "GET", HTTPS, AUTH, ":path", "*"}, "closed 1 ECLIENT_PROTO", 1},
        {"relative path of another scheme",
         {":method", "GET", ":scheme", "ftp", AUTH, ":path", "a"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"no path", {":method", "GET", HTTPS, AUTH}, "closed 1 ECLIENT_PROTO", 1},
        {"no method", {HTTPS, AUTH, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"no scheme", {":method", "GET", AUTH, ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"method twice", {":method", "GET", GET("/")}, "closed 1 ECLIENT_PROTO", 1},
        {"path twice", {GET("/"), ":path", "/"}, "closed 1 ECLIENT_PROTO", 1},
        {"unknown pseudo-field", {GET("/"), ":x", "y"}, "closed 1 ECLIENT_PROTO", 1},
        {":status", {GET("/"), ":status", "200"}, "closed 1 ECLIENT_PROTO", 1},
        {":protocol",
         {":method", "CONNECT", ":protocol", "websocket", HTTPS, AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"late pseudo-field",
         {":method", "GET", HTTPS, AUTH, "a", "b", ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"upper case", {GET("/"), "Accept", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"space in name", {GET("/"), "a b", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"empty name", {GET("/"), "", "x"}, "closed 1 ECLIENT_PROTO", 1},
        {"CR in value", {GET("/"), "a", "x\ry"}, "closed 1 ECLIENT_PROTO", 1},
        {"LF in value", {GET("/"), "a", "x\ny: z"}, "closed 1 ECLIENT_PROTO", 1},
        {"space before value", {GET("/"), "a", " x"}, "closed 1 ECLIENT_PROTO", 1},
        {"space behind value", {GET("/"), "a", "x "}, "closed 1 ECLIENT_PROTO", 1},
        {"connection", {GET("/"), "connection", "close"}, "closed 1 ECLIENT_PROTO", 1},
        {"keep-alive", {GET("/"), "keep-alive", "1"}, "closed 1 ECLIENT_PROTO", 1},
        {"proxy-connection",
         {GET("/"), "proxy-connection", "close"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"transfer-encoding",
         {GET("/"), "transfer-encoding", "chunked"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"upgrade", {GET("/"), "upgrade", "h2c"}, "closed 1 ECLIENT_PROTO", 1},
        {"te: gzip", {GET("/"), "te", "gzip"}, "closed 1 ECLIENT_PROTO", 1},
        {"two lengths",
         {POST, "content-length", "1", "content-length", "1"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"length not a number", {POST, "content-length", "1,1"}, "closed 1 ECLIENT_PROTO", 1},
        {"length negative", {POST, "content-length", "-1"}, "closed 1 ECLIENT_PROTO", 1},
        {"length too large",
         {POST, "content-length", "99999999999999999999"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"length without body", {POST, "content-length", "1"}, "closed 1 ECLIENT_PROTO", 1},
        {"CONNECT with path",
         {":method", "CONNECT", AUTH, ":path", "/"},
         "closed 1 ECLIENT_PROTO",
         1},
        {"CONNECT without authority", {":method", "CONNECT"}, "closed 1 ECLIENT_PROTO", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char rst[32];
        struct peer *p = peer_new();
        send_head(p, 1, true, rows[i].pairs);
        pump(p);
        snprintf(rst, sizeof(rst), "RST 1 %d", rows[i].rst);
        if (strcmp(story, rows[i].story) || strcmp(frames_text(p), rows[i].rst < 0 ? "" : rst))
            fail_msg("%s: \"%s\", frames \"%s\"", rows[i].what, story, frames_text(p));
        story[0] = '\0';
        send_get(p, 3, "/next"); /* a stream error only */
        pump(p);
        assert_story("head 3 GET /next");
        peer_free(p);
    }
}

/* The body makes the message malformed (RFC 9113 8.1.1). */
static void test_length_mismatch(void **state)
{
    struct peer *p = peer_new();

    (void)state;
    mock_on_body = NULL;
    send_head(p, 1, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 1, true, 4);
    send_head(p, 3, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 3, false, 6);
    send_head(p, 5, false, PAIRS(POST, "content-length", "5"));
    send_data(p, 5, true, 5);
    pump(p);
    assert_frames(p, "RST 1 1; RST 3 1");
    assert_story("head 1 POST /post; head 3 POST /post; head 5 POST /post; "
                 "closed 1 ECLIENT_PROTO; closed 3 ECLIENT_PROTO");
    peer_free(p);
}

static void test_too_many_fields(void **state)
{
    static const char *pairs[2 * 110 + 1] = {GET("/")};

    (void)state;
    for (int n = 99; n <= 102; n++) {
        struct peer *p = peer_new();
        for (int i = 0; i < n; i++) {
            pairs[8 + 2 * i] = "x";
            pairs[9 + 2 * i] = "y";
        }
        pairs[8 + 2 * n] = NULL;
        send_head(p, 1, true, pairs);
        pump(p);
        assert_story(n <= 100 ? "head 1 GET /" : "bad 1 EREQ_HEAD_LARGE");
        peer_free(p);
    }
}

/* Many crumbs are one cookie. */
static void test_many_crumbs(void **state)
{
    static const char *pairs[2 * 210 + 1] = {GET("/")};
    struct peer *p = peer_new();

    (void)state;
    for (int i = 0; i < 200; i++) {
        pairs[8 + 2 * i] = "cookie";
        pairs[9 + 2 * i] = "a=1";
    }
    send_head(p, 1, true, pairs);
    pump(p);
    assert_story("head 1 GET /");
    assert_int_equal(stream_of(p, 1)->req.n_fields, 1);
    assert_int_equal(stream_of(p, 1)->req.fields[0].value.n, 200 * 5 - 2);
    peer_free(p);
}

static void test_large_list(void **state)
{
    static char value[60001];
    struct peer *p = peer_new();

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    send_head(p, 1, true, PAIRS(GET("/"), "x", value));
    send_head(p, 3, true, PAIRS(GET("/"), "x", value, "y", value));
    pump(p);
    assert_story("head 1 GET /; bad 3 EREQ_HEAD_LARGE");
    assert_int_equal(p->rc, 0);
    /* Far over what was announced: an HPACK bomb. */
    send_head(p, 5, true,
              PAIRS(GET("/"), "x", value, "x", value, "x", value, "x", value, "x", value, "x",
                    value));
    pump(p);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
    assert_frames(p, "GOAWAY 0 last 5 code 11");
    assert_string_equal(mock_log, "ECLIENT_FLOOD: 300342 bytes of header list, limit 65536");
    peer_free(p);
}

static void test_large_trailers(void **state)
{
    static char value[60001];
    struct peer *p = peer_new();

    (void)state;
    memset(value, 'a', sizeof(value) - 1);
    send_head(p, 1, false, PAIRS(POST));
    send_head(p, 1, true, PAIRS("x", value, "x", value, "x", value));
    pump(p);
    assert_story("head 1 POST /post; body 1 0 end");
    send_head(p, 3, false, PAIRS(POST));
    send_head(p, 3, true, PAIRS("x", value, "x", value, "x", value, "x", value, "x", value));
    pump(p);
    assert_int_equal(p->rc, GW_ECLIENT_FLOOD);
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
    };
    static const uint8_t zeros[16];

    (void)state;
    mock_limits.h2_control_frames = 50;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mock_log_lines = 0;
        struct peer *p = peer_new();
        send_head(p, 1, false, PAIRS(POST));
        pump(p);
        unsigned n = flood(p, rows[i].type, rows[i].flags, rows[i].id, zeros, rows[i].n);
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
    assert_frames(p, "PING 0; GOAWAY 0 last 2147483647 code 0");
    memcpy(ping, p->frames[0].payload, 8);
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
    assert_true(http2_proto.input_eof(&p->c) < 0); /* nobody waits for anything */
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
        cmocka_unit_test_setup(test_upload_is_bounded_by_credit, setup),
        cmocka_unit_test_setup(test_connection_credit_comes_back, setup),
        cmocka_unit_test_setup(test_discarded_body, setup),
        cmocka_unit_test_setup(test_padded_data, setup),
        cmocka_unit_test_setup(test_trailers_are_dropped, setup),
        cmocka_unit_test_setup(test_early_answer, setup),
        cmocka_unit_test_setup(test_download_follows_windows, setup),
        cmocka_unit_test_setup(test_any_room, setup),
        cmocka_unit_test_setup(test_batches_are_full, setup),
        cmocka_unit_test_setup(test_body_comes_later, setup),
        cmocka_unit_test_setup(test_heads, setup),
        cmocka_unit_test_setup(test_length_mismatch, setup),
        cmocka_unit_test_setup(test_too_many_fields, setup),
        cmocka_unit_test_setup(test_many_crumbs, setup),
        cmocka_unit_test_setup(test_large_list, setup),
        cmocka_unit_test_setup(test_large_trailers, setup),
        cmocka_unit_test_setup(test_reset_codes, setup),
        cmocka_unit_test_setup(test_reset_with_output_queued, setup),
        cmocka_unit_test_setup(test_rapid_reset_is_not_routed, setup),
        cmocka_unit_test_setup(test_huge_response_head, setup),
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
        cmocka_unit_test_setup(test_shutdown_in_two_steps, setup),
        cmocka_unit_test_setup(test_shutdown_at_once, setup),
        cmocka_unit_test_setup(test_client_goes_away, setup),
        cmocka_unit_test_setup(test_half_closed_client, setup),
        cmocka_unit_test_setup(test_no_memory, setup),
    };

    return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
