/*
 * A client of gateway/http2*.c for the tests that include this once: frames made by hand in,
 * frames out read by hand; streams, connection and worker are mocked (http2_mock.h).
 */
#ifndef TESTS_HTTP2_PEER_H
#define TESTS_HTTP2_PEER_H

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

__attribute__((format(printf, 1, 2))) static inline void tell(const char *fmt, ...)
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

static inline void assert_story(const char *what)
{
    assert_string_equal(story, what);
    story[0] = '\0';
}

static inline void tell_head(struct stream *s)
{
    tell("head %d %.*s %.*s", s->id, SLICE_FMT(s->req.method), SLICE_FMT(s->req.target));
}

static inline void tell_bad_head(struct stream *s, int err)
{
    tell("bad %d %s", s->id, gw_err_name(err));
}

static inline void tell_body(struct stream *s)
{
    tell("body %d %zu%s", s->id, s->in.n, s->in_eof ? " end" : "");
}

static inline void tell_close(struct stream *s, int err)
{
    tell("closed %d %s", s->id, err ? gw_err_name(err) : "0");
}

static inline void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t id,
                             const void *p, size_t n)
{
    uint8_t head[9] = {
        (uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
        (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    buf_append(b, head, sizeof(head));
    buf_append(b, p, n);
}

static inline void send_frame(struct peer *p, uint8_t type, uint8_t flags, uint32_t id,
                              const void *payload, size_t n)
{
    put_frame(&p->in, type, flags, id, payload, n);
}

/* Pairs of strings, NULL-terminated; the block has n bytes. */
static inline size_t pack_head(struct peer *p, const char *const *pairs, uint8_t *block,
                               size_t cap)
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

static inline void send_head(struct peer *p, uint32_t id, bool end_stream,
                             const char *const *pairs)
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

static inline void send_get(struct peer *p, uint32_t id, const char *path)
{
    send_head(p, id, true, PAIRS(GET(path)));
}

static inline void send_data(struct peer *p, uint32_t id, bool end_stream, size_t n)
{
    uint8_t *data = calloc(1, n + 1);

    send_frame(p, NGHTTP2_DATA, end_stream ? NGHTTP2_FLAG_END_STREAM : 0, id, data, n);
    free(data);
}

static inline void send_u32(struct peer *p, uint8_t type, uint32_t id, uint32_t value)
{
    uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                    (uint8_t)value};

    send_frame(p, type, 0, id, b, 4);
}

static inline void send_setting(struct peer *p, uint16_t setting, uint32_t value)
{
    uint8_t b[6] = {(uint8_t)(setting >> 8), (uint8_t)setting,      (uint8_t)(value >> 24),
                    (uint8_t)(value >> 16),  (uint8_t)(value >> 8), (uint8_t)value};

    send_frame(p, NGHTTP2_SETTINGS, 0, 0, b, 6);
}

/* Cut what came into frames. */
static inline void parse_out(struct peer *p)
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

static inline void produce(struct peer *p, size_t cap)
{
    buf_clear(&p->out);
    assert_true(mock_produce(&p->c, cap, &p->out) >= 0);
    parse_out(p);
}

/* Give the connection what was sent, in pieces of so many bytes, and take its answer. */
static inline void feed(struct peer *p, size_t piece)
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

static inline void pump(struct peer *p)
{
    feed(p, SIZE_MAX);
    produce(p, 64 * 1024);
}

static inline struct peer *peer_raw(void)
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
static inline struct peer *peer_new(void)
{
    struct peer *p = peer_raw();

    buf_append(&p->in, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    send_frame(p, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    send_frame(p, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    produce(p, 64 * 1024);
    pump(p);
    return p;
}

static inline void peer_free(struct peer *p)
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

static inline int setup(void **state)
{
    (void)state;
    mock_defaults();
    return 0;
}

/* ---- looking at what came ---- */

/* The frames that came, as text: "HEADERS 1 ES EH; DATA 1 5 ES".  Lengths of heads are left
 * out, as they are HPACK's business. */
static inline const char *frames_text(const struct peer *p)
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
static inline const char *head_text(struct peer *p, size_t i)
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

static inline struct stream *stream_of(struct peer *p, int32_t id)
{
    for (struct stream *s = p->c.streams; s; s = s->next)
        if (s->id == id)
            return s;
    fail_msg("no stream %d", id);
    return NULL;
}

/* ---- handlers ---- */

static const struct field plain_text[]
    __attribute__((unused)) = {{{"Content-Type", 12}, {"text/plain", 10}}};

static inline void answer_hello(struct stream *s)
{
    tell_head(s);
    assert_int_equal(mock_send_head(s, 200, plain_text, 1, 5), 0);
    mock_send_body(s, "hello", 5);
    mock_finish(s);
}

#endif
