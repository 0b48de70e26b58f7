/*
 * Priorities: what clients and applications say of them (RFC 9218), and the turns of the streams.
 *
 * Which stream sends next is decided here (http2_order.h), with every DATA frame, and not by the
 * library.  Its own scheduler, 1.52, serves urgencies strictly, so that the less urgent starve; of
 * one urgency whatever is not incremental holds up all that is; and it puts streams into the order
 * in which PRIORITY_UPDATEs first named them.  So all streams look alike to it, and when it asks
 * one for bytes whose turn it is not, that one is put off (held) and the right one is put into the
 * library's queue.  A stream that is alone, or first both there and here, is not put off: what has
 * no Priority field costs nothing for it.
 *
 * Its PRIORITY_UPDATE would take the library's order of streams along, lets a stream id of zero
 * pass, and ignores frames of more than 40 bytes; so that frame is read here, too.
 */
#include "http2_session.h"

#include <stddef.h>
#include <stdlib.h>

#include "stream.h"

/* ---- turns ---- */

static struct h2_stream *stream_of_turn(struct h2_turn *t)
{
    return (struct h2_stream *)(void *)((char *)t - offsetof(struct h2_stream, turn));
}

void h2_turn_ready_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    if (h2_stream_of(s)->has_body)
        h2_order_enter(&h->order, &h2_stream_of(s)->turn);
}

void h2_turn_over_locked(struct http2 *h, struct stream *s)
{
    lock_assert_held(&h->conn->mu);
    h2_order_leave(&h->order, &h2_stream_of(s)->turn);
}

static void let_go(struct http2 *h, struct h2_stream *hs)
{
    if (hs->held)
        h->n_held--;
    hs->held = false;
}

void h2_turn_end_locked(struct http2 *h, struct stream *s)
{
    h2_turn_over_locked(h, s);
    let_go(h, h2_stream_of(s));
}

/* Of those whose window is open; asked: known to be so. */
static struct h2_turn *next_turn(struct http2 *h, const struct h2_turn *asked)
{
    struct h2_turn *t;

    while ((t = h2_order_next(&h->order)) && t != asked) {
        if (nghttp2_session_get_stream_remote_window_size(h->session, t->id) > 0)
            break;
        t->blocked = true; /* until WINDOW_UPDATE or SETTINGS */
    }
    return t;
}

static void resume(struct http2 *h, struct h2_turn *t)
{
    struct h2_stream *hs = stream_of_turn(t);

    if (!hs->held)
        return; /* it is in the library's queue */
    let_go(h, hs);
    h2_note_failure(h, nghttp2_session_resume_data(h->session, t->id));
}

bool h2_turn_is_locked(struct http2 *h, struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    h2_order_enter(&h->order, &hs->turn);
    hs->turn.blocked = false;
    if (h->order.n == 1)
        return true;
    struct h2_turn *t = next_turn(h, &hs->turn);
    if (t == &hs->turn)
        return true;
    hs->held = true;
    h->n_held++;
    if (t)
        resume(h, t);
    return false;
}

/* Who was put off and has its turn now.  Once GOAWAY(error) went out nobody has (want_read). */
static struct h2_turn *held_turn(struct http2 *h)
{
    lock_assert_held(&h->conn->mu);
    if (h->n_held == 0 || nghttp2_session_get_remote_window_size(h->session) <= 0 ||
        !nghttp2_session_want_read(h->session))
        return NULL;
    struct h2_turn *t = next_turn(h, NULL);
    return t && stream_of_turn(t)->held ? t : NULL;
}

bool h2_turn_resume_locked(struct http2 *h)
{
    struct h2_turn *t = held_turn(h);

    if (t)
        resume(h, t);
    return t != NULL;
}

bool h2_turn_waits_locked(struct http2 *h)
{
    return held_turn(h) != NULL;
}

/* ---- who wants what ---- */

static void settle(struct http2 *h, struct h2_stream *hs)
{
    struct priority p = priority_over(hs->asked, hs->answered);

    if (p.urgency != hs->turn.priority.urgency ||
        p.incremental != hs->turn.priority.incremental)
        h2_order_change(&h->order, &hs->turn, p);
}

void h2_priority_answer_locked(struct http2 *h, struct stream *s, const struct response *r)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    for (size_t i = 0; i < r->n_fields; i++) {
        if (slice_ieq(r->fields[i].name, SLICE("Priority")))
            (void)priority_parse(r->fields[i].value, &hs->answered);
    }
    if (hs->answered.urgency || hs->answered.incremental)
        settle(h, hs);
}

/* ---- PRIORITY_UPDATE (RFC 9218 7.1) ---- */

enum {
    ID_LEN = 4,
    VALUE_MAX = 256, /* of a field; what is longer is ignored */
};

/* Made for the first frame: who sends none does not pay.  Streams that are open or foretold are
 * never more than h2_streams together, which the client is held to. */
struct h2_foretold {
    size_t n; /* bytes of the frame so far; beyond data[] they are counted only */
    uint8_t data[ID_LEN + VALUE_MAX];
    unsigned n_streams, cap_streams;
    struct foretold {
        int32_t id; /* not opened yet */
        struct priority priority;
    } * streams;
};

static int found_wrong(struct http2 *h, uint32_t code, const char *why)
{
    h->broken = (struct h2_broken){why, code};
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int out_of_memory(struct http2 *h)
{
    h->failed = GW_ENO_MEMORY;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static struct h2_foretold *foretold(struct http2 *h)
{
    if (!h->foretold)
        h->foretold = calloc(1, sizeof(*h->foretold));
    return h->foretold;
}

void h2_priority_close(struct http2 *h)
{
    if (h->foretold)
        free(h->foretold->streams);
    free(h->foretold);
    h->foretold = NULL;
}

int h2_priority_chunk(nghttp2_session *session, const nghttp2_frame_hd *hd, const uint8_t *data,
                      size_t n, void *user)
{
    struct http2 *h = user;
    struct h2_foretold *f = foretold(h);

    (void)session;
    (void)hd;
    if (!f)
        return out_of_memory(h);
    size_t room = f->n < sizeof(f->data) ? sizeof(f->data) - f->n : 0;
    if (room)
        memcpy(f->data + f->n, data, n < room ? n : room);
    f->n += n;
    return 0;
}

/* Forget those up to id: they are open now, or closed (RFC 9113 5.1.1). */
static void forget(struct h2_foretold *f, int32_t id)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f->n_streams; i++) {
        if (f->streams[i].id > id)
            f->streams[n++] = f->streams[i];
    }
    f->n_streams = n;
}

static struct foretold *find(struct h2_foretold *f, int32_t id)
{
    for (unsigned i = 0; i < f->n_streams; i++) {
        if (f->streams[i].id == id)
            return &f->streams[i];
    }
    return NULL;
}

/* For a stream that will be opened, perhaps. */
static int foretell(struct http2 *h, int32_t id, struct priority p)
{
    struct h2_foretold *f = h->foretold;
    struct foretold *at = find(f, id);

    if (!at && f->n_streams + h->n_open >= conn_limits(h->conn)->h2_streams)
        return found_wrong(h, NGHTTP2_PROTOCOL_ERROR,
                           "PRIORITY_UPDATE: more than MAX_CONCURRENT_STREAMS");
    if (!at && f->n_streams == f->cap_streams) {
        unsigned cap = f->cap_streams ? 2 * f->cap_streams : 8;
        void *grown = realloc(f->streams, cap * sizeof(*f->streams));
        if (!grown)
            return out_of_memory(h);
        f->streams = grown;
        f->cap_streams = cap;
    }
    if (!at)
        at = &f->streams[f->n_streams++];
    *at = (struct foretold){id, p};
    return 0;
}

/* All that is not said has its default again, since the frame replaces what was (7). */
static int apply(struct http2 *h, int32_t id, struct slice value)
{
    struct priority_said said = {0};
    struct stream *s = h2_find_locked(h, id);

    if (priority_parse(value, &said) != 0)
        return 0;
    struct priority p = priority_over(PRIORITY_DEFAULT, said);
    if (s) {
        h2_stream_of(s)->asked = p;
        settle(h, h2_stream_of(s));
    } else if (id > h->last_id) {
        return foretell(h, id, p);
    }
    return 0; /* closed: it comes too late */
}

int h2_priority_update(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                       void *user)
{
    struct http2 *h = user;
    struct h2_foretold *f = foretold(h);

    (void)session;
    (void)payload;
    lock_assert_held(&h->conn->mu);
    if (!f)
        return out_of_memory(h);
    size_t n = f->n;
    f->n = 0;
    if (n < ID_LEN)
        return found_wrong(h, NGHTTP2_FRAME_SIZE_ERROR, "PRIORITY_UPDATE: too short");
    if (hd->stream_id != 0)
        return found_wrong(h, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE: on a stream");
    uint32_t id = (uint32_t)f->data[0] << 24 | (uint32_t)f->data[1] << 16 |
                  (uint32_t)f->data[2] << 8 | f->data[3];
    id &= 0x7fffffff;
    if (id == 0)
        return found_wrong(h, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE: of stream 0");
    if (id % 2 == 0) /* a push, and we push nothing */
        return found_wrong(h, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE: of an idle push");
    int rv =
        n > sizeof(f->data) ? 0 : apply(h, (int32_t)id, slice_of(f->data + ID_LEN, n - ID_LEN));
    return rv ? rv : NGHTTP2_ERR_CANCEL; /* nothing is left to do with it */
}

/* ---- streams that begin ---- */

void h2_priority_open_locked(struct http2 *h, struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);

    lock_assert_held(&h->conn->mu);
    h->last_id = s->id;
    hs->turn.id = s->id;
    hs->asked = hs->turn.priority = PRIORITY_DEFAULT;
    if (!h->foretold)
        return;
    const struct foretold *told = find(h->foretold, s->id);
    if (told) {
        hs->asked = hs->turn.priority = told->priority;
        hs->was_told = true;
    }
    forget(h->foretold, s->id);
}

void h2_priority_asked_locked(struct http2 *h, struct stream *s, struct priority_said field)
{
    struct h2_stream *hs = h2_stream_of(s);

    /* A frame is the word of who sits at the other end of this connection; the field may be
     * that of somebody behind it. */
    if (hs->was_told || !(field.urgency || field.incremental))
        return;
    hs->asked = priority_over(PRIORITY_DEFAULT, field);
    settle(h, hs);
}
