#include "http2_session.h"

#include "stream.h"

enum { FRAME_MAX = 16384, WINDOW_MAX = 0x7fffffff }; /* RFC 9113 6.5.2: ours; 6.9.1 */

/* ---- streams ---- */

static bool is_open(struct http2 *h, uint32_t id)
{
    return nghttp2_session_get_stream_remote_close(h->session, (int32_t)id) >= 0;
}

static bool was_reset(const struct h2_check *c, uint32_t id)
{
    unsigned n = c->n_reset < H2_RESETS_KEPT ? c->n_reset : H2_RESETS_KEPT;

    for (unsigned i = 0; i < n; i++)
        if (c->reset[i] == id)
            return true;
    return false;
}

void h2_check_reset_locked(struct http2 *h, uint32_t id)
{
    struct h2_check *c = &h->check;
    uint32_t *slot = &c->reset[c->n_reset % H2_RESETS_KEPT];

    lock_assert_held(&h->conn->mu);
    if (was_reset(c, id) ||
        nghttp2_session_get_stream_remote_close(h->session, (int32_t)id) == 1)
        return; /* noted, or the request has ended: nothing can be under way */
    if (c->n_reset++ >= H2_RESETS_KEPT && *slot > c->forgotten)
        c->forgotten = *slot;
    *slot = id;
}

/* RFC 9113 5.1: what may be under way since before the client learned of the end.  After GOAWAY
 * that is any stream above the one it named (6.8). */
static bool may_be_late(const struct http2 *h, uint32_t id)
{
    return h->shutting_down || id <= h->check.forgotten || was_reset(&h->check, id);
}

/* ---- frames ---- */

/* RFC 9113 4.2: too small for what its flags say is in it. */
static bool has_no_pad_length(const struct h2_frame_head *f)
{
    return f->flags & NGHTTP2_FLAG_PADDED && f->length == 0;
}

/* Does the frame need a look when it comes to its turn?  New streams are counted on the way. */
static bool is_checked(struct h2_check *c, const struct h2_frame_head *f)
{
    switch (f->type) {
    case NGHTTP2_DATA:
        return true;
    case NGHTTP2_HEADERS:
        if (f->stream_id <= c->newest)
            return true;
        if (f->stream_id % 2) {
            c->before = c->newest;
            c->newest = f->stream_id;
        }
        return has_no_pad_length(f);
    case NGHTTP2_PRIORITY:
        return f->stream_id == 0;
    case NGHTTP2_SETTINGS:
        return !(f->flags & NGHTTP2_FLAG_ACK);
    case NGHTTP2_CONTINUATION:
        return f->length > FRAME_MAX;
    default:
        return false;
    }
}

static struct h2_broken fine(void)
{
    return (struct h2_broken){NULL, NGHTTP2_NO_ERROR};
}

/* DATA or HEADERS of a stream that the library does not know.  For DATA a stream error will do
 * (6.1), once; HEADERS would open what cannot be opened (5.1, 5.1.1). */
static struct h2_broken check_closed(struct http2 *h, const struct h2_frame_head *f)
{
    const struct h2_check *c = &h->check;
    bool is_client = f->stream_id % 2;

    if (!is_client || f->stream_id > c->newest || may_be_late(h, f->stream_id))
        return fine(); /* if it is idle, the library says so */
    if (f->type == NGHTTP2_HEADERS && f->stream_id > c->before && f->stream_id < c->newest)
        return (struct h2_broken){"a stream was opened behind a later one",
                                  NGHTTP2_PROTOCOL_ERROR};
    if (f->type == NGHTTP2_HEADERS)
        return (struct h2_broken){"HEADERS of a closed stream", NGHTTP2_STREAM_CLOSED};
    h2_note_failure(h, nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE,
                                                 (int32_t)f->stream_id, NGHTTP2_STREAM_CLOSED));
    h2_check_reset_locked(h, f->stream_id);
    return fine();
}

/* The library resets streams whose windows SETTINGS would make too large, but it is an error of
 * the connection (6.9.2); what it was before can only be seen in front of it. */
static void note_windows(struct http2 *h)
{
    struct h2_check *c = &h->check;

    c->widest = 0;
    c->old_window =
        nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    for (const struct stream *s = h->conn->streams; s; s = s->next) {
        int32_t n = nghttp2_session_get_stream_remote_window_size(h->session, s->id);
        if (n > c->widest)
            c->widest = n;
    }
}

void h2_check_settings_locked(struct http2 *h)
{
    const struct h2_check *c = &h->check;
    int64_t window =
        nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);

    lock_assert_held(&h->conn->mu);
    if (c->widest && c->widest + window - c->old_window > WINDOW_MAX)
        h->broken =
            (struct h2_broken){"SETTINGS made a window too large", NGHTTP2_FLOW_CONTROL_ERROR};
}

static struct h2_broken check_frame(struct http2 *h, const struct h2_frame_head *f)
{
    switch (f->type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        if (has_no_pad_length(f))
            return (struct h2_broken){"no pad length", NGHTTP2_FRAME_SIZE_ERROR};
        return is_open(h, f->stream_id) ? fine() : check_closed(h, f);
    case NGHTTP2_PRIORITY: /* 6.3 */
        return (struct h2_broken){"PRIORITY of stream 0", NGHTTP2_PROTOCOL_ERROR};
    case NGHTTP2_CONTINUATION: /* 4.2 */
        return (struct h2_broken){"CONTINUATION too long", NGHTTP2_FRAME_SIZE_ERROR};
    default:
        note_windows(h);
        return fine();
    }
}

/* ---- input ---- */

static ssize_t give(struct http2 *h, struct slice in)
{
    return in.n ? nghttp2_session_mem_recv(h->session, (const uint8_t *)in.p, in.n) : 0;
}

/* A frame is checked in front of the last byte of its header: then the library has done all that
 * came before, and nothing of what this frame asks for. */
ssize_t h2_check_recv_locked(struct http2 *h, struct slice in)
{
    struct slice rest = in;
    struct h2_frame_head f;

    lock_assert_held(&h->conn->mu);
    while (h2_scan_next(&h->check.scan, &rest, &f)) {
        if (!is_checked(&h->check, &f))
            continue;
        size_t n = in.n - rest.n - 1;
        ssize_t rv = give(h, slice_of(in.p, n));
        if (rv < 0 || h->broken.why)
            return rv < 0 ? rv : 0;
        in = slice_from(in, n);
        h->broken = check_frame(h, &f);
        if (h->broken.why)
            return 0;
    }
    return give(h, in);
}
