/*
 * Streams that we open (RFC 9113 8.4).
 *
 * A promise is a frame that the library sends when it comes to it; only then is the stream there,
 * and its request begins, so that nothing is done for a promise that is never made.  Until then the
 * stream is on h->promised, and must not be given up: the library holds on to it.
 *
 * A client is promised each URL once, and none that it had before on this connection, as far as
 * PUSHED_MAX go: what it has in its cache from there is not sent again.  No more than PUSHED_OPEN
 * are open at once, nor more than it takes (SETTINGS_MAX_CONCURRENT_STREAMS).  That it resets
 * them, since it has them, costs it nothing (h2_budget_pushed).
 */
#include "http2_session.h"

#include <stdlib.h>

#include "stream.h"

enum {
    PUSHED_MAX = 256, /* URLs on a connection */
    PUSHED_OPEN = 32,
    URGENCY_LAST = 7, /* RFC 9218 4.1 */
    PSEUDO = 4,
};

struct h2_pushed {
    uint64_t urls[PUSHED_MAX]; /* hashes */
    unsigned n;
};

/* ---- what the client has ---- */

static uint64_t hash_of(struct slice authority, struct slice path)
{
    const struct slice parts[] = {authority, path};
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a: who makes two collide goes without a push */

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < parts[k].n; i++)
            h = (h ^ (uint8_t)parts[k].p[i]) * 0x100000001b3;
    }
    return h;
}

/* Note it; false: it was noted before, or cannot be. */
static bool is_news(struct http2 *h, struct slice authority, struct slice path)
{
    uint64_t url = hash_of(authority, path);

    if (!h->pushed)
        h->pushed = calloc(1, sizeof(*h->pushed));
    if (!h->pushed || h->pushed->n == PUSHED_MAX)
        return false;
    for (unsigned i = 0; i < h->pushed->n; i++) {
        if (h->pushed->urls[i] == url)
            return false;
    }
    h->pushed->urls[h->pushed->n++] = url;
    return true;
}

void h2_push_close(struct http2 *h)
{
    free(h->pushed);
    h->pushed = NULL;
}

/* ---- the promise ---- */

/* The id of the next one; 0: the client takes none, now or ever. */
static int32_t next_id(struct http2 *h)
{
    lock_take(&h->conn->mu);
    nghttp2_session *session = h->session;
    uint32_t most =
        nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t id = nghttp2_session_get_next_stream_id(session);
    bool takes = nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_PUSH) &&
                 h->n_pushed < PUSHED_OPEN && h->n_pushed < most && !h->shutting_down &&
                 !h->calmed && !h->client_eof && id <= INT32_MAX;
    lock_drop(&h->conn->mu);
    return takes ? (int32_t)id : 0;
}

static int fill_request(struct stream *s, const struct stream *page, struct slice path,
                        const struct field *fields, size_t n_fields)
{
    struct h2_stream *hs = arena_zalloc(&s->arena, sizeof(*hs));
    struct slice target = arena_dup(&s->arena, path);

    s->proto = hs;
    s->req.method = SLICE("GET");
    s->req.scheme = page->req.scheme;
    s->req.authority = arena_dup(&s->arena, page->req.authority);
    s->req.version = HTTP_2;
    s->in_eof = s->pushed = true;
    if (!hs || !target.p || !s->req.authority.p)
        return GW_ENO_MEMORY;
    stream_set_target(s, target);
    for (size_t i = 0; i < n_fields; i++) {
        if (stream_add_field(s, fields[i].name, fields[i].value) != 0)
            return GW_ENO_MEMORY;
    }
    return 0;
}

static nghttp2_nv nv_of(struct slice name, struct slice value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.p,
        .value = (uint8_t *)(uintptr_t)value.p,
        .namelen = name.n,
        .valuelen = value.n,
    };
}

static int submit_locked(struct http2 *h, const struct stream *page, struct stream *s)
{
    size_t n = PSEUDO + s->req.n_fields;
    nghttp2_nv *nva = arena_alloc(&s->arena, n * sizeof(*nva));

    lock_assert_held(&h->conn->mu);
    if (!nva)
        return GW_ENO_MEMORY;
    nva[0] = nv_of(SLICE(":method"), s->req.method);
    nva[1] = nv_of(SLICE(":scheme"), s->req.scheme);
    nva[2] = nv_of(SLICE(":authority"), s->req.authority);
    nva[3] = nv_of(SLICE(":path"), s->req.target);
    for (size_t i = 0; i < s->req.n_fields; i++)
        nva[PSEUDO + i] = nv_of(s->req.fields[i].name, s->req.fields[i].value);
    int32_t id =
        nghttp2_submit_push_promise(h->session, NGHTTP2_FLAG_NONE, page->id, nva, n, s);
    return id == s->id ? 0 : id < 0 ? h2_library_err(id) : GW_EINTERNAL;
}

/* It is one of the connection's streams from here on. */
static void promise_locked(struct http2 *h, const struct stream *page, struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);
    struct priority p = h2_stream_of(page)->turn.priority;

    lock_assert_held(&h->conn->mu);
    p.urgency = p.urgency < URGENCY_LAST ? (uint8_t)(p.urgency + 1) : URGENCY_LAST;
    hs->turn.id = s->id;
    hs->asked = hs->turn.priority = p;
    hs->next_promised = h->promised;
    h->promised = s;
    h->n_open++;
    h->n_pushed++;
}

void h2_push(struct stream *page, struct slice path, const struct field *fields,
             size_t n_fields)
{
    struct conn *c = page->conn;
    struct http2 *h = c->proto_state;

    if (path.n == 0) {
        (void)is_news(h, page->req.authority, page->req.target);
        return;
    }
    if (!nghttp2_check_path((const uint8_t *)path.p, path.n))
        return;
    int32_t id = next_id(h);
    if (id == 0 || !is_news(h, page->req.authority, path))
        return;
    struct stream *s = stream_new(c, id);
    if (!s)
        return;
    int rc = fill_request(s, page, path, fields, n_fields);
    if (rc == 0) {
        lock_take(&c->mu);
        rc = submit_locked(h, page, s);
        if (rc == 0)
            promise_locked(h, page, s);
        lock_drop(&c->mu);
    }
    if (rc < 0)
        stream_on_close(s, rc);
    else
        conn_dirty(c);
}

/* ---- what comes of it ---- */

static struct stream *take_promised(struct http2 *h, int32_t id)
{
    struct stream **at = &h->promised;

    lock_assert_held(&h->conn->mu);
    while (*at && (*at)->id != id)
        at = &h2_stream_of(*at)->next_promised;
    struct stream *s = *at;
    if (s)
        *at = h2_stream_of(s)->next_promised;
    return s;
}

void h2_push_sent_locked(struct http2 *h, int32_t id)
{
    struct stream *s = take_promised(h, id);

    if (!s)
        return;
    h2_budget_pushed(&h->budget);
    stream_event_locked(s, STREAM_EV_HEAD);
}

void h2_push_not_sent_locked(struct http2 *h, int32_t id)
{
    struct stream *s = take_promised(h, id);

    if (!s)
        return;
    nghttp2_session_set_stream_user_data(h->session, id, NULL); /* if it is open by now */
    h2_close_locked(h, s, GW_ECLIENT_RESET);
}

/* A client may reset it before the library has said that the promise is sent. */
void h2_push_end_locked(struct http2 *h, struct stream *s)
{
    h->n_pushed--;
    (void)take_promised(h, s->id);
}
