/*
 * A script, read from the input, of what a client and the handlers of its requests do to a session.
 * Frames are made whole, with header blocks that decode, so that what lies behind the framing is
 * reached; nearly every rule can be broken on purpose, and raw bytes break the others.  Checked:
 * what goes out are whole frames of at most 16 KiB, nothing is sent for a stream behind its end, no
 * more body is held than the windows allow, and every stream that began closes once.
 *
 * in[0]   bit 0: small limits; 1: bodies are discarded; 2: the client says nothing by itself;
 *         3: bytes wait for OP_DELIVER; 4 to 7: what handlers do by themselves
 * in[1]   bytes of a piece in which input arrives, 0: as they come
 * then operations of one byte (low half: enum op, high half: which stream) and what they read
 */
#include "../unit/http2_mock.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

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
    const uint8_t *at, *end; /* of the script */
    uint32_t newest;         /* stream the client opened last */
    struct buf wire;         /* made, and not delivered */
    struct buf out;          /* all the session said */
    struct conn c;
    int rc; /* of the last input */
    size_t piece;
    bool waits;
} w;

static unsigned behaviour, n_heads, n_closed;
static bool discards;

static uint8_t next_byte(void)
{
    return w.at < w.end ? *w.at++ : 0;
}

static struct slice next_bytes(size_t n)
{
    size_t left = (size_t)(w.end - w.at);
    struct slice got = slice_of(w.at, n < left ? n : left);

    w.at += got.n;
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

    put32(&w.wire, (uint32_t)n << 8 | type);
    put8(&w.wire, flags);
    put32(&w.wire, id);
    put_slice(&w.wire, payload);
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
        return w.newest += 2;
    case LATER:
        return w.newest += 6;
    case EVEN:
        return 2;
    case FIRST:
        return 1;
    case IDLE:
        return w.newest + 100;
    case LAST:
        return w.newest = 0x7fffffff;
    case RESERVED_BIT:
        return 0x80000000 | w.newest;
    default:
        return w.newest - 2 * (which - 1);
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
        static const char x[4000];
        put_field(b, form, SLICE("x-long"), slice_of(x, 40 * (size_t)(next_byte() % 100)));
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
        put_slice(&b, flags & SPLIT ? SLICE("h2cgi ok") : SLICE("12345678"));
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

/* ---- handlers ---- */

static const struct field fields[] = {{{"Content-Type", 12}, {"text/plain", 10}}};

static void send_all(struct stream *s, int status, size_t n)
{
    static const char body[40000];

    mock_send_head(s, status, fields, 1, n < 100 ? (int64_t)n : -1);
    mock_send_body(s, body, n);
    mock_finish(s);
}

static void answer(struct stream *s)
{
    n_heads++;
    assert(s->req.authority.n > 0 && s->req.target.n > 0);
    s->in_discard = discards;
    if (s->pushed) {
        if (behaviour & 1)
            send_all(s, 200, 5);
        else
            http2_proto.reset(s, GW_EPUSH);
        return;
    }
    switch ((behaviour + (unsigned)s->id / 2) % 6) {
    case 0:
        send_all(s, 200, 5);
        break;
    case 1:
        send_all(s, 200, 40000);
        break;
    case 2:
        http2_proto.push(s, slice_of("", 0), NULL, 0);
        http2_proto.push(s, SLICE("/once"), fields, 1);
        http2_proto.push(s, arena_printf(&s->arena, "/%d", s->id), fields, 1);
        http2_proto.send_interim(s, 103, fields, 1);
        mock_send_head(s, 204, NULL, 0, -1);
        mock_finish(s);
        break;
    case 3:
        mock_send_head(s, 200, NULL, 0, -1);
        mock_send_body(s, "begun", 5);
        break;
    default: /* waits: for its body, or for OP_ACT */
        break;
    }
}

static void refuse(struct stream *s, int err)
{
    n_heads++;
    mock_send_head(s, gw_err_status(err), NULL, 0, 0);
    mock_finish(s);
}

static void take(struct stream *s)
{
    size_t n = (behaviour & 1) || s->in_eof ? s->in.n : s->in.n / 2;

    mock_consume(s, n);
    if (s->in_eof && !s->out.head_sent && behaviour & 8) {
        mock_send_head(s, 200, NULL, 0, -1);
        mock_finish(s);
    }
}

static void count_close(struct stream *s, int err)
{
    assert(err <= 0);
    (void)s;
    n_closed++;
}

/* What the worker does with the connection. */
static void act_on_connection(uint8_t what)
{
    static const int errs[] = {0,           0, GW_ECLIENT_IDLE, GW_EDRAINING, GW_ECLIENT_FLOOD,
                               GW_EREQ_TIME};

    http2_proto.shutdown(&w.c, errs[what % 6]);
    http2_proto.events(&w.c);
}

/* What a handler does later, of its own. */
static void act(unsigned which)
{
    enum { FIRST_OF_CONNECTION = 250 };
    static const int errs[] = {GW_EBACKEND_CLOSED, GW_EPOOL_FULL, GW_EBODY_LARGE, GW_EINTERNAL};
    struct stream *s = w.c.streams;
    uint8_t what = next_byte();

    if (what >= FIRST_OF_CONNECTION) {
        act_on_connection(what);
        return;
    }
    while (s && which--)
        s = s->next;
    if (!s || !s->start_us)
        return;
    switch (what % 8) {
    case 0:
        mock_consume(s, s->in.n);
        break;
    case 1:
        mock_consume(s, s->in.n / 2);
        break;
    case 2:
        if (!s->out.head_sent)
            send_all(s, 200, (size_t)what * 40);
        break;
    case 3:
        if (s->out.head_sent)
            mock_finish(s);
        break;
    case 4:
        http2_proto.reset(s, errs[what / 8 % 4]);
        break;
    case 5:
        if (!s->out.head_sent)
            http2_proto.send_interim(s, 100, NULL, 0);
        break;
    case 6:
        if (s->out.head_sent && !s->out.eof)
            mock_send_body(s, "more", 4);
        break;
    default:
        http2_proto.widen(s, (size_t)1 << (16 + what / 8 % 8));
        break;
    }
    http2_proto.events(&w.c);
}

/* ---- the connection ---- */

static void deliver(void)
{
    size_t held = 0, at = 0;

    while (at < buf_len(&w.wire) && w.rc == 0 && !w.c.ends) {
        size_t left = buf_len(&w.wire) - at, k = w.piece && w.piece < left ? w.piece : left;
        uint8_t *exact = malloc(k); /* its own, so that a read past it is seen */
        memcpy(exact, buf_at(&w.wire) + at, k);
        w.rc = http2_proto.input(&w.c, exact, k);
        free(exact);
        http2_proto.events(&w.c);
        at += k;
    }
    buf_fini(&w.wire);
    w.wire = (struct buf){0};
    for (const struct stream *s = w.c.streams; s; s = s->next)
        held += s->in.n;
    assert(held <= (size_t)mock_limits.h2_connection_window + 65535);
}

static void check_frames(const struct buf *out)
{
    static uint8_t ended[1 << 16];
    const uint8_t *at = out->data, *end = at + out->len;

    memset(ended, 0, sizeof(ended));
    while (at < end) {
        assert(end - at >= 9);
        uint32_t n = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
        uint32_t id =
            (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
        assert(n <= 16384 && (size_t)(end - at) >= 9 + n);
        if (at[3] <= 1) {
            assert(id > 0 && !ended[id % sizeof(ended)]);
            ended[id % sizeof(ended)] = at[4] & 1;
        }
        at += 9 + n;
    }
}

static void prepare(uint8_t what)
{
    mock_defaults();
    behaviour = what >> 4;
    discards = what & 2;
    n_heads = n_closed = 0;
    mock_limits.websocket = !(what & 1);
    if (what & 1) {
        mock_limits.h2_streams = 3;
        mock_limits.head_limit = 1000;
        mock_limits.head_fields = 5;
        mock_limits.h2_resets = 3;
        mock_limits.h2_control_frames = 20;
    }
    mock_on_head = answer;
    mock_on_bad_head = refuse;
    mock_on_body = take;
    mock_on_close = count_close;
    w.waits = what & 8;
    w.newest = (uint32_t)-1;
    w.rc = 0;
    if (!(what & 4)) /* preface, SETTINGS, and ours acknowledged */
        put_slice(&w.wire, SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                 "\0\0\0\4\1\0\0\0\0"));
}

static void client_does(enum op op, unsigned which)
{
    uint32_t id = op == OP_RAW ? 0 : stream_id(which);
    uint8_t flags = op == OP_RAW ? 0 : next_byte();

    if (op == OP_RAW)
        put_slice(&w.wire, next_bytes(next_byte()));
    else if (op == OP_DATA)
        data(id, flags);
    else if (op == OP_HEADERS || op == OP_CONTINUATION)
        headers((uint8_t)op, id, flags);
    else
        control((uint8_t)op, id, flags);
    if (!w.waits)
        deliver();
}

static void step(uint8_t code)
{
    enum op op = code & 15;
    unsigned which = code >> 4;

    switch (op) {
    case OP_DELIVER:
        deliver();
        break;
    case OP_PRODUCE:
        w.rc = mock_produce(&w.c, 1024 * (1 + (size_t)which * which), &w.out);
        break;
    case OP_TIME:
        mock_now_ms += (uint64_t)1 << which;
        mock_tick();
        http2_proto.events(&w.c);
        break;
    case OP_ACT:
        act(which);
        break;
    default:
        client_does(op, which);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    if (len < 2)
        return 0;
    w.at = in + 2;
    w.end = in + len;
    w.piece = in[1];
    prepare(in[0]);
    assert(mock_open(&w.c) == 0);
    while (w.at < w.end && w.rc == 0 && !w.c.ends && w.wire.len < 1 << 20)
        step(next_byte());
    deliver();
    if (w.rc == 0 && behaviour & 2)
        w.rc = http2_proto.input_eof(&w.c);
    else if (w.rc == 0 && behaviour & 4)
        http2_proto.shutdown(&w.c, 0);
    assert(mock_produce(&w.c, 64 * 1024, &w.out) == 0);
    check_frames(&w.out);
    mock_close(&w.c);
    assert(n_heads <= n_closed);
    buf_fini(&w.out);
    w.out = (struct buf){0};
    return 0;
}
