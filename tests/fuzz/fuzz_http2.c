/*
 * A client's bytes behind its preface, cut into pieces, against a session whose handlers answer,
 * wait, read or give up by what the first byte says.  Checked: what goes out are whole frames of
 * at most 16 KiB, nothing is sent for a stream behind its end, no more body is held than the
 * windows allow, and every stream closes once.
 *
 * in[0]  bit 0: prefaces as well; 1: acknowledge our SETTINGS; 2: small limits; 3: discard bodies;
 *        4 to 7: what handlers do
 * in[1]  bytes of a piece, 0: all at once
 */
#include "../unit/http2_mock.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static unsigned behaviour, n_heads, n_closed;
static size_t n_held;
static bool discards;

static void answer(struct stream *s)
{
    static const struct field fields[] = {{{"Content-Type", 12}, {"text/plain", 10}}};
    static const char body[40000];

    n_heads++;
    assert(s->req.authority.n > 0 && s->req.target.n > 0);
    s->in_discard = discards;
    switch ((behaviour + (unsigned)s->id / 2) % 6) {
    case 0:
        mock_send_head(s, 200, fields, 1, 5);
        mock_send_body(s, "hello", 5);
        mock_finish(s);
        break;
    case 1:
        mock_send_head(s, 200, fields, 1, -1);
        mock_send_body(s, body, sizeof(body));
        mock_finish(s);
        break;
    case 2:
        http2_proto.send_interim(s, 103, fields, 1);
        mock_send_head(s, 204, NULL, 0, -1);
        mock_finish(s);
        break;
    case 3:
        mock_send_head(s, 200, NULL, 0, -1);
        mock_send_body(s, body, 100);
        http2_proto.reset(s, GW_EBACKEND_CLOSED);
        break;
    case 4:
        http2_proto.reset(s, GW_EPOOL_FULL);
        break;
    default: /* waits for its body */
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
    if (s->in_eof && !s->out.head_sent) {
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
            assert(id % 2 == 1 && !ended[id % sizeof(ended)]);
            ended[id % sizeof(ended)] = at[4] & 1;
        }
        at += 9 + n;
    }
}

static size_t held(const struct conn *c)
{
    size_t n = 0;

    for (const struct stream *s = c->streams; s; s = s->next)
        n += s->in.n;
    return n;
}

static void prepare(uint8_t what, struct buf *in)
{
    mock_defaults();
    behaviour = what >> 4;
    discards = what & 8;
    n_heads = n_closed = 0;
    if (what & 4) {
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
    if (what & 1)
        buf_puts(in, SLICE(H2_PREFACE "\0\0\0\4\0\0\0\0\0"));
    if (what & 2)
        buf_puts(in, SLICE("\0\0\0\4\1\0\0\0\0"));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct buf wire = {0}, out = {0};
    struct conn c;
    int rc = 0;

    if (len < 2)
        return 0;
    prepare(in[0], &wire);
    buf_append(&wire, in + 2, len - 2);
    assert(mock_open(&c) == 0);
    size_t piece = in[1] ? in[1] : SIZE_MAX;
    for (size_t at = 0; at < buf_len(&wire) && rc == 0 && !c.ends; mock_now_ms += 10) {
        size_t k = buf_len(&wire) - at < piece ? buf_len(&wire) - at : piece;
        rc = http2_proto.input(&c, buf_at(&wire) + at, k);
        http2_proto.events(&c);
        n_held = held(&c);
        assert(n_held <= (size_t)mock_limits.h2_connection_window + 65535);
        if (rc == 0 && (at / 64) % 2)
            rc = mock_produce(&c, 32 * 1024, &out);
        at += k;
    }
    if (rc == 0 && behaviour & 2)
        rc = http2_proto.input_eof(&c);
    else if (rc == 0 && behaviour & 4)
        http2_proto.shutdown(&c, 0);
    assert(mock_produce(&c, 64 * 1024, &out) == 0);
    check_frames(&out);
    mock_close(&c);
    assert(n_heads <= n_closed);
    buf_fini(&wire);
    buf_fini(&out);
    return 0;
}
