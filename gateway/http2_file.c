/*
 * DATA of a file: its bytes are read straight to where the frames go.
 *
 * A batch has four frames, and to read each by a call of its own costs half as much again as to read
 * them at once.  So when a stream sent the frame before, and will likely send those that follow, too,
 * all that the batch has room for is read, each frame's bytes to where they would lie.  What comes
 * otherwise, because another frame goes in between, is read once more.
 */
#include "http2_session.h"

#include <sys/uio.h>

enum { FRAMES = 8 };

static size_t least(size_t a, uint64_t b)
{
    return a < b ? a : (size_t)b;
}

/* What s may send by its client's windows, and has. */
static uint64_t may_send(const struct http2 *h, const struct stream *s)
{
    int64_t conn = nghttp2_session_get_remote_window_size(h->session);
    int64_t stream = nghttp2_session_get_stream_remote_window_size(h->session, s->id);
    int64_t n = conn < stream ? conn : stream;

    if (n > s->out.file_left)
        n = s->out.file_left;
    return n > 0 ? (uint64_t)n : 0;
}

/* Where the bytes of the frames lie that fit.  The first one is begun: there is room for it, and the
 * windows have length at least. */
static unsigned plan_frames(const struct http2 *h, const struct stream *s, size_t length,
                            struct iovec *parts)
{
    unsigned n = 0, most = h->data_id == s->id ? FRAMES : 1;
    uint64_t left = may_send(h, s);
    uint8_t *dst = h->dst;
    size_t room = h->room;

    do {
        size_t k = least(least(length, room - H2_FRAME_HEAD), left);
        parts[n++] = (struct iovec){dst + H2_FRAME_HEAD, k};
        dst += H2_FRAME_HEAD + k;
        room -= H2_FRAME_HEAD + k;
        left -= k;
    } while (n < most && left && room >= H2_ROOM_MIN);
    return n;
}

static bool is_there(const struct http2 *h, const struct stream *s, size_t length)
{
    const struct h2_ahead *a = &h->ahead;

    return a->n && a->id == s->id && a->at == s->out.file_at && a->dst == h->dst &&
           a->length == length;
}

size_t h2_file_read_locked(struct http2 *h, struct stream *s, size_t length)
{
    struct h2_ahead *a = &h->ahead;
    struct iovec parts[FRAMES];

    if (!is_there(h, s, length)) {
        unsigned n = plan_frames(h, s, length, parts);
        *a = (struct h2_ahead){
            .id = s->id, .at = s->out.file_at, .dst = h->dst, .length = length};
        a->n = stream_file_readv_locked(s, parts, n);
    }
    size_t n = least(least(length, h->room - H2_FRAME_HEAD), a->n);
    a->at += (int64_t)n;
    a->dst += H2_FRAME_HEAD + n;
    a->n -= n;
    return n;
}
