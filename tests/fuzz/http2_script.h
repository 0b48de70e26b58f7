/*
 * The script of fuzz_http2.c, and what its client says: frames, made whole from numbers, with header
 * blocks that decode.
 *
 * A frame is made of flags (those of the frame, and what is done to it: enum of flags) and what its
 * kind reads: of DATA a length and perhaps padding, of HEADERS fields by number, and so on.
 */
#ifndef TESTS_FUZZ_HTTP2_SCRIPT_H
#define TESTS_FUZZ_HTTP2_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../../gateway/buf.h"
#include "../../gateway/slice.h"
#include "../../gateway/stream.h"

enum op {
    OP_DATA, /* as enum frame_type */
    OP_HEADERS,
    OP_PRIORITY,
    OP_RST_STREAM,
    OP_SETTINGS,
    OP_PUSH_PROMISE,
    OP_PING,
    OP_GOAWAY,
    OP_WINDOW_UPDATE,
    OP_CONTINUATION,
    OP_ANY_FRAME,
    OP_RAW,
    OP_DELIVER,
    OP_PRODUCE,
    OP_TIME,
    OP_ACT,
};

/* Flags: those of the frame, and in bits that no frame has what is done to it. */
enum {
    END_STREAM = 0x01,
    END_HEADERS = 0x04,
    PADDED = 0x08,
    PRIORITY = 0x20,
    SHORTER = 0x10, /* the last byte is missing */
    BARE = 0x40,    /* HEADERS: no pseudo-fields but those that are asked for */
    SPLIT = 0x80,   /* HEADERS: half of it in a CONTINUATION */
};

static struct {
    const uint8_t *at, *end; /* what is left of it */
    uint32_t newest;         /* stream the client opened last */
    struct buf wire;         /* made, and not delivered */
} script;

static uint8_t next_byte(void)
{
    return script.at < script.end ? *script.at++ : 0;
}

static struct slice next_bytes(size_t n)
{
    size_t left = (size_t)(script.end - script.at);
    struct slice got = slice_of(script.at, n < left ? n : left);

    script.at += got.n;
    return got;
}

/* ---- frames ---- */

static void put8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, 1);
}

static void put32(struct buf *b, uint32_t v)
{
    const uint8_t p[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    buf_append(b, p, sizeof(p));
}

static void put_slice(struct buf *b, struct slice s)
{
    if (s.n)
        buf_append(b, s.p, s.n);
}

static void put_frame(uint8_t type, uint8_t flags, uint32_t id, struct slice payload)
{
    size_t n = payload.n;

    put32(&script.wire, (uint32_t)n << 8 | type);
    put8(&script.wire, flags);
    put32(&script.wire, id);
    put_slice(&script.wire, payload);
}

/* Interesting numbers: of windows, of settings, of error codes. */
static uint32_t next_number(void)
{
    static const uint32_t numbers[] = {
        0,          1,          2,          3,         100,           4096,
        16383,      16384,      65535,      65536,     (1 << 24) - 1, 1 << 24,
        0x7fff0000, 0x7fffffff, 0x80000000, 0xffffffff};
    uint8_t which = next_byte();

    return which < 128 ? numbers[which % 16] : which;
}

/* 1 to 6: those the client opened last; the others as the names say. */
static uint32_t stream_id(unsigned which)
{
    enum { NEXT = 8, LATER, EVEN, FIRST, IDLE, LAST, RESERVED_BIT };

    switch (which) {
    case 0:
        return 0;
    case NEXT:
        return script.newest += 2;
    case LATER:
        return script.newest += 6;
    case EVEN:
        return 2;
    case FIRST:
        return 1;
    case IDLE:
        return script.newest + 100;
    case LAST:
        return script.newest = 0x7fffffff;
    case RESERVED_BIT:
        return 0x80000000 | script.newest;
    default:
        return script.newest - 2 * (which - 1);
    }
}

/* ---- header blocks (RFC 7541 6) ---- */

static const struct field known[] = {
    {{":method", 7}, {"GET", 3}},
    {{":method", 7}, {"POST", 4}},
    {{":method", 7}, {"HEAD", 4}},
    {{":method", 7}, {"CONNECT", 7}},
    {{":method", 7}, {"OPTIONS", 7}},
    {{":method", 7}, {"", 0}},
    {{":scheme", 7}, {"https", 5}},
    {{":scheme", 7}, {"1x", 2}},
    {{":authority", 10}, {"localhost", 9}},
    {{":authority", 10}, {"u@localhost", 11}},
    {{":authority", 10}, {"", 0}},
    {{":path", 5}, {"/", 1}},
    {{":path", 5}, {"/a?b", 4}},
    {{":path", 5}, {"*", 1}},
    {{":path", 5}, {"", 0}},
    {{":path", 5}, {"a", 1}},
    {{":status", 7}, {"200", 3}},
    {{":protocol", 9}, {"websocket", 9}},
    {{"host", 4}, {"localhost", 9}},
    {{"host", 4}, {"other", 5}},
    {{"content-length", 14}, {"0", 1}},
    {{"content-length", 14}, {"5", 1}},
    {{"content-length", 14}, {"100000", 6}},
    {{"content-length", 14}, {"-1", 2}},
    {{"cookie", 6}, {"a=1", 3}},
    {{"cookie", 6}, {"", 0}},
    {{"te", 2}, {"trailers", 8}},
    {{"te", 2}, {"gzip", 4}},
    {{"expect", 6}, {"100-continue", 12}},
    {{"expect", 6}, {"200-ok", 6}},
    {{"connection", 10}, {"close", 5}},
    {{"transfer-encoding", 17}, {"chunked", 7}},
    {{"upgrade", 7}, {"h2c", 3}},
    {{"priority", 8}, {"u=1, i", 6}},
    {{"priority", 8}, {"u=9;", 4}},
    {{"x-trailer", 9}, {"1", 1}},
    {{"X-Upper", 7}, {"1", 1}},
    {{"", 0}, {"1", 1}},
    {{"x-space", 7}, {" 1", 2}},
    {{"x-nul", 5}, {"a\0b", 3}},
};

enum { N_KNOWN = sizeof(known) / sizeof(known[0]), FORM_SHIFT = 6, LITERAL = 63 };

static void put_string(struct buf *b, struct slice s)
{
    enum { PREFIX_7 = 127 };
    size_t n = s.n;

    if (n < PREFIX_7) {
        put8(b, (uint8_t)n);
    } else {
        put8(b, PREFIX_7);
        for (n -= PREFIX_7; n >= 128; n >>= 7)
            put8(b, (uint8_t)(n | 128));
        put8(b, (uint8_t)n);
    }
    put_slice(b, s);
}

/* form: not indexed, indexed from now on, never indexed. */
static void put_field(struct buf *b, unsigned form, struct slice name, struct slice value)
{
    static const uint8_t forms[] = {0x00, 0x40, 0x10, 0x40};

    put8(b, forms[form & 3]);
    put_string(b, name);
    put_string(b, value);
}

static void put_next_field(struct buf *b)
{
    uint8_t which = next_byte();
    unsigned form = which >> FORM_SHIFT;

    which &= LITERAL;
    if (which < N_KNOWN) {
        put_field(b, form, known[which].name, known[which].value);
    } else if (which == LITERAL) {
        struct slice name = next_bytes(next_byte() % 64);
        put_field(b, form, name, next_bytes(next_byte()));
    } else if (which == LITERAL - 1) { /* long */
        static const struct slice names[] = {{"x-long", 6}, {":path", 5}, {":method", 7}};
        static char x[9000];
        uint8_t n = next_byte();
        memset(x, 'a', sizeof(x));
        x[0] = n / 100 == 1 ? '/' : 'a';
        put_field(b, form, names[n / 100], slice_of(x, 90 * (size_t)(n % 100)));
    } else { /* an index, or whatever it may be */
        put_slice(b, next_bytes(which == LITERAL - 2 ? 1 : 3));
    }
}

static void put_block(struct buf *b, uint8_t flags)
{
    unsigned n = next_byte() % 64;

    if (!(flags & BARE)) {
        bool post = !(flags & END_STREAM);
        put_field(b, 0, known[post].name, known[post].value);
        put_slice(b, SLICE("\x87\x84")); /* :scheme https, :path / */
        put_field(b, 1, SLICE(":authority"), SLICE("localhost"));
    }
    while (n--)
        put_next_field(b);
}

static void put_padding(struct buf *b, uint8_t flags, uint8_t n)
{
    static const uint8_t zeros[255];

    if (flags & PADDED)
        buf_append(b, zeros, n);
}

static void headers(uint8_t type, uint32_t id, uint8_t flags)
{
    struct buf b = {0};
    uint8_t pad = flags & PADDED ? next_byte() : 0;

    if (flags & PADDED)
        put8(&b, pad);
    if (flags & PRIORITY && type == OP_HEADERS) {
        put32(&b, next_byte() & 1 ? id : 0);
        put8(&b, next_byte());
    }
    put_block(&b, flags);
    if (pad < 250)
        put_padding(&b, flags, pad);
    struct slice all =
        slice_of(buf_at(&b), buf_len(&b) - (flags & SHORTER ? buf_len(&b) > 0 : 0));
    uint8_t wire_flags = flags & (END_STREAM | END_HEADERS | PADDED | PRIORITY);
    if (flags & SPLIT && all.n) {
        put_frame(type, wire_flags & (uint8_t)~END_HEADERS, id, slice_of(all.p, all.n / 2));
        put_frame(OP_CONTINUATION, flags & END_HEADERS, id, slice_from(all, all.n / 2));
    } else {
        put_frame(type, wire_flags, id, all);
    }
    buf_fini(&b);
}

static void data(uint32_t id, uint8_t flags)
{
    static const char body[255 * 128];
    uint8_t n = next_byte(), pad = flags & PADDED ? next_byte() : 0;
    struct buf b = {0};

    if (flags & PADDED)
        put8(&b, pad);
    buf_append(&b, body, n < 128 ? n : ((size_t)n - 127) * 128);
    if (pad < 250) /* else it is more than there is */
        put_padding(&b, flags, pad);
    put_frame(OP_DATA, flags & (END_STREAM | PADDED), id, slice_of(buf_at(&b), buf_len(&b)));
    buf_fini(&b);
}

static void settings(struct buf *b, uint8_t flags)
{
    for (unsigned n = flags & END_STREAM ? 0 : next_byte() % 40; n; n--) {
        put8(b, 0);
        put8(b, next_byte() % 16);
        put32(b, next_number());
    }
}

static void control(uint8_t type, uint32_t id, uint8_t flags)
{
    struct buf b = {0};

    switch (type) {
    case OP_PRIORITY:
        put32(&b, stream_id(next_byte() % 16));
        put8(&b, next_byte());
        break;
    case OP_SETTINGS:
        settings(&b, flags);
        break;
    case OP_PUSH_PROMISE:
        put32(&b, next_number());
        put_block(&b, flags);
        break;
    case OP_PING:
        put_slice(&b, flags & SPLIT  ? SLICE("h2cgi ok")
                      : flags & BARE ? SLICE("h2cgi rt") /* as http2_window.c asks */
                                     : SLICE("12345678"));
        break;
    case OP_GOAWAY:
        put32(&b, next_number());
        put32(&b, next_number());
        put_slice(&b, next_bytes(next_byte() % 8));
        break;
    case OP_ANY_FRAME: /* also RFC 9218's PRIORITY_UPDATE, 16 */
        type = next_byte();
        put_slice(&b, next_bytes(next_byte()));
        break;
    default: /* RST_STREAM, WINDOW_UPDATE */
        put32(&b, next_number());
        break;
    }
    size_t n = buf_len(&b);
    put_frame(type, flags & 0x0f, id, slice_of(buf_at(&b), n - (flags & SHORTER && n)));
    buf_fini(&b);
}

/* One frame of the kind op, which is none of this program's own, to stream id. */
static inline void script_frame(enum op op, uint32_t id, uint8_t flags)
{
    if (op == OP_DATA)
        data(id, flags);
    else if (op == OP_HEADERS || op == OP_CONTINUATION)
        headers((uint8_t)op, id, flags);
    else
        control((uint8_t)op, id, flags);
}

#endif
