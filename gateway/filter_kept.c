#include "filter_kept.h"

#include <time.h>

#include "files_cond.h"
#include "httpdate.h"

/* One on its way out; in the stream's arena. */
struct kept_out {
    struct answer_cache *cache;
    const struct kept_answer *kept;
    size_t offset;
};

static void kept_end(struct stream *s)
{
    struct kept_out *o = s->handler_state;

    s->handler_state = NULL;
    answer_cache_drop(o->cache, o->kept);
}

static void kept_pump(struct stream *s)
{
    struct kept_out *o = s->handler_state;
    ssize_t buffered = 0;

    if (!o)
        return;
    while (o->offset < o->kept->n_body && buffered < STREAM_OUT_HIGH) {
        size_t n = o->kept->n_body - o->offset;
        if (n > CHUNK_MAX)
            n = CHUNK_MAX;
        buffered = stream_send_body(s, o->kept->body + o->offset, n);
        if (buffered < 0)
            return; /* the stream was aborted, and closed() was called */
        o->offset += n;
    }
    if (o->offset < o->kept->n_body)
        return;
    kept_end(s);
    stream_finish(s);
}

static void kept_closed(struct stream *s, int err)
{
    (void)err;
    if (s->handler_state)
        kept_end(s);
}

static const struct handler kept_handler = {
    .name = "kept",
    .start = kept_pump,
    .writable = kept_pump,
    .closed = kept_closed,
};

/* ---- the head ---- */

/* Is it what the client has?  Only its own validators count: the file's are not those of what
 * the filter made of it. */
static bool client_has_it(const struct stream *s, const struct kept_answer *kept)
{
    const struct field *etag = fields_find(kept->fields, kept->n_fields, SLICE("ETag"));
    const struct field *modified =
        fields_find(kept->fields, kept->n_fields, SLICE("Last-Modified"));
    struct validators v = {.mtime = INT64_MAX, .now = (int64_t)time(NULL)};

    if (etag)
        v.etag = etag->value;
    if (slice_starts(v.etag, SLICE("W/"))) /* weak comparison, RFC 9110 8.8.3.2 */
        v.etag = slice_from(v.etag, 2);
    if (modified && httpdate_parse(modified->value, v.now) >= 0)
        v.mtime = httpdate_parse(modified->value, v.now);
    return cond_check(s->req.fields, s->req.n_fields, &v) == COND_NOT_MODIFIED;
}

/* What a 304 repeats of the head that it stands for (RFC 9110 15.4.5). */
static bool is_repeated(struct slice name)
{
    static const struct slice names[] = {
        {"Cache-Control", 13}, {"Content-Location", 16}, {"Date", 4},
        {"ETag", 4},           {"Expires", 7},           {"Last-Modified", 13},
    };

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

/* The head's fields with Age (RFC 9111 5.1), in the stream's arena; NULL when memory is out. */
static struct field *head_fields(struct stream *s, const struct kept_answer *kept,
                                 bool not_modified, size_t *ret_n)
{
    uint64_t age_s = (loop_now_ms(s->loop) - kept->made_ms) / 1000;
    struct slice age = arena_printf(&s->arena, "%llu", (unsigned long long)age_s);
    struct field *fields = arena_alloc(&s->arena, (kept->n_fields + 1) * sizeof(struct field));
    size_t n = 0;

    if (!fields || !age.p)
        return NULL;
    for (size_t i = 0; i < kept->n_fields; i++) {
        if ((!not_modified || is_repeated(kept->fields[i].name)) &&
            !slice_ieq(kept->fields[i].name, SLICE("Age")))
            fields[n++] = kept->fields[i];
    }
    fields[n++] = (struct field){SLICE("Age"), age};
    *ret_n = n;
    return fields;
}

void filter_kept_answer(struct stream *s, struct answer_cache *cache,
                        const struct kept_answer *kept)
{
    bool has_it = client_has_it(s, kept);
    struct kept_out *o = arena_zalloc(&s->arena, sizeof(*o));
    struct response r = {.status = has_it ? 304 : 200,
                         .content_length = has_it ? -1 : (int64_t)kept->n_body};

    r.fields = head_fields(s, kept, has_it, &r.n_fields);
    if (!o || !r.fields) {
        answer_cache_drop(cache, kept);
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    *o = (struct kept_out){cache, kept, 0};
    int rc =
        stream_send_head(s, &r); /* which copies no field's bytes: kept stays until after */
    if (rc == 0 && !has_it && slice_eq(s->req.method, SLICE("GET"))) {
        stream_handle(s, &kept_handler, o);
        return;
    }
    answer_cache_drop(cache, kept);
    if (rc == 0)
        stream_finish(s);
}
