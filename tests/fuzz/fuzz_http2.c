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

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../gateway/http2_session.h"
#include "../../gateway/window.h"
#include "http2_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static struct {
    struct buf out; /* all the session said */
    struct conn c;
    int rc; /* of the last input */
    size_t piece;
    bool waits;
} w;

static struct window_budget windows;
static struct worker worker = {.windows = &windows};
static unsigned behaviour, n_heads, n_closed;
static bool discards;

enum { FILE_SIZE = 80000 };

/* ---- handlers ---- */

static const struct field fields[] = {{{"Content-Type", 12}, {"text/plain", 10}}};

/* Whatever it was given and has not consumed. */
static size_t body_behind(struct stream *s)
{
    return s->in.n;
}

static const struct handler handler = {.name = "fuzz", .body_behind = body_behind};

static void send_all(struct stream *s, int status, size_t n)
{
    static const char body[40000];

    mock_send_head(s, status, fields, 1, n < 100 ? (int64_t)n : -1);
    mock_send_body(s, body, n);
    mock_finish(s);
}

static struct open_file *a_file;

/* Of half of them half is in the page cache (preadv2), and the others end a byte too early. */
static void send_file(struct stream *s)
{
    mock_send_head(s, 200, fields, 1, FILE_SIZE / 2);
    mock_send_file(s, open_file_ref(a_file), s->id % 4 == 1 ? 0 : FILE_SIZE / 2 + 1,
                   FILE_SIZE / 2);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
    size_t left = at < FILE_SIZE / 4 ? (size_t)(FILE_SIZE / 4 - at) : FILE_SIZE;
    ssize_t got = 0, more = 1;

    assert(flags == RWF_NOWAIT);
    if (at == FILE_SIZE / 4) {
        errno = EAGAIN;
        return -1;
    }
    for (int i = 0; i < n && left && more; i++) {
        size_t want = iov[i].iov_len < left ? iov[i].iov_len : left;
        more = pread(fd, iov[i].iov_base, want, at + got);
        assert(want && more >= 0);
        got += more;
        left -= (size_t)more;
    }
    return got;
}

/* What could not be read so, or the end. */
static void hand_in(struct stream *s)
{
    static const char bytes[FILE_SIZE];
    int64_t n = s->out.file_cold;

    s->out.file_cold = 0;
    if (n)
        mock_send_body(s, bytes, (size_t)n);
    if (s->out.file)
        mock_finish(s);
}

static void answer(struct stream *s)
{
    n_heads++;
    assert(s->req.authority.n > 0 && s->req.target.n > 0);
    s->in_discard = discards;
    s->handler = &handler;
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
        if (behaviour & 4)
            send_file(s);
        else
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
    window_give(&windows, s->window_extra);
    n_closed++;
}

enum { CALM = 248, COOL, SHUTDOWN, FIRST_OF_CONNECTION = CALM };

/* What the worker does with the connection. */
static void act_on_connection(uint8_t what)
{
    static const int errs[] = {0,           0, GW_ECLIENT_IDLE, GW_EDRAINING, GW_ECLIENT_FLOOD,
                               GW_EREQ_TIME};
    struct credit credit;

    if (what == CALM)
        http2_proto.calm(&w.c, GW_ECLIENT_FLOOD);
    else if (what == COOL)
        http2_proto.cool(&w.c);
    else
        http2_proto.shutdown(&w.c, errs[what % 6]);
    http2_proto.events(&w.c);
    lock_take(&w.c.mu);
    for (struct stream *s = w.c.streams; s; s = s->next)
        http2_proto.credit(s, &credit);
    lock_drop(&w.c.mu);
}

/* What a handler does later, of its own. */
static void act(unsigned which)
{
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

/* No more than was allowed: 65,535 bytes until our SETTINGS came, then what the windows are. */
static void check_held(void)
{
    size_t held = 0;

    for (const struct stream *s = w.c.streams; s; s = s->next) {
        const struct h2_stream *hs = h2_stream_of(s);
        assert(s->in.n <= (hs->window > 65535 ? hs->window : 65535));
        held += s->in.n;
    }
    assert(held <= (size_t)mock_limits.h2_connection_window);
}

static void deliver(void)
{
    size_t at = 0;

    while (at < buf_len(&script.wire) && w.rc == 0 && !w.c.ends) {
        size_t left = buf_len(&script.wire) - at,
               k = w.piece && w.piece < left ? w.piece : left;
        uint8_t *exact = malloc(k); /* its own, so that a read past it is seen */
        memcpy(exact, buf_at(&script.wire) + at, k);
        w.rc = http2_proto.input(&w.c, exact, k);
        free(exact);
        http2_proto.events(&w.c);
        at += k;
    }
    buf_fini(&script.wire);
    script.wire = (struct buf){0};
    check_held();
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
    mock_limits.h2_stream_window_max = 8 << 20;
    mock_limits.h2_connection_window = 16 << 20;
    windows = (struct window_budget){.limit = 32 << 20};
    if (what & 1) {
        mock_limits.h2_stream_window = 1000;
        mock_limits.h2_connection_window = 1 << 20;
        mock_limits.h2_streams = 3;
        mock_limits.head_limit = 1000;
        mock_limits.head_fields = 5;
        mock_limits.h2_resets = 3;
        mock_limits.h2_control_frames = 20;
    }
    mock_on_head = answer;
    mock_on_bad_head = refuse;
    mock_on_body = take;
    mock_on_writable = hand_in;
    mock_on_close = count_close;
    w.waits = what & 8;
    script.newest = (uint32_t)-1;
    w.rc = 0;
    if (!(what & 4)) /* preface, SETTINGS, and ours acknowledged */
        put_slice(&script.wire, SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                      "\0\0\0\4\1\0\0\0\0"));
}

static void client_does(enum op op, unsigned which)
{
    uint32_t id = op == OP_RAW ? 0 : stream_id(which);
    uint8_t flags = op == OP_RAW ? 0 : next_byte();

    if (op == OP_RAW)
        put_slice(&script.wire, next_bytes(next_byte()));
    else
        script_frame(op, id, flags);
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
    if (!a_file) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        assert(ftruncate(fd, FILE_SIZE) == 0);
        a_file = open_file_new(fd);
    }
    script.at = in + 2;
    script.end = in + len;
    w.piece = in[1];
    prepare(in[0]);
    assert(mock_open(&w.c) == 0);
    w.c.worker = &worker;
    while (script.at < script.end && w.rc == 0 && !w.c.ends && script.wire.len < 1 << 20)
        step(next_byte());
    deliver();
    if (w.rc == 0 && behaviour & 2)
        w.rc = http2_proto.input_eof(&w.c);
    else if (w.rc == 0 && behaviour & 4)
        http2_proto.shutdown(&w.c, 0);
    assert(mock_produce(&w.c, 64 * 1024, &w.out) == 0);
    check_frames(&w.out);
    mock_close(&w.c);
    assert(n_heads <= n_closed && windows.used == 0);
    buf_fini(&w.out);
    w.out = (struct buf){0};
    return 0;
}
