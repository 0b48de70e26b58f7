/*
 * gateway/files.c - answers with a regular file (router.h, files_start): which answer, and its
 * head.  The bytes are files_send.c's.  A file of at most one chunk that is in the page cache
 * needs no state at all: one read, one answer.
 */
#include "router.h"

#include <stdlib.h>
#include <time.h>

#include "files_cond.h"
#include "files_parts.h"
#include "files_send.h"
#include "head_override.h"
#include "httpdate.h"
#include "mime_route.h"
#include "open_file.h"
#include "precompressed.h"
#include "worker.h"

/* What goes into the answer's head. */
struct file_head {
    int64_t size;
    struct range part;         /* what is sent of it, */
    struct files_parts *parts; /* unless it is several; NULL: it is not */
    struct slice type;
    struct slice coding; /* Content-Encoding; empty: none */
    bool vary;           /* another form would have been for another client */
    char last_modified[HTTPDATE_LEN + 1];
    struct validators v;
};

/* ---- the head ---- */

static void make_validators(struct file_head *h, const struct open_file *f)
{
    h->v = (struct validators){
        .etag = slice_of(f->etag, OPEN_FILE_ETAG),
        .mtime = (int64_t)f->st.st_mtim.tv_sec,
        .now = (int64_t)time(NULL),
    };
    if (h->v.mtime <= h->v.now) {
        memcpy(h->last_modified, f->last_modified, sizeof(h->last_modified));
        return;
    }
    h->v.mtime = h->v.now; /* RFC 9110 8.8.2.1: never in the future */
    httpdate_format(h->last_modified, h->v.mtime);
}

static int send_head(struct stream *s, int status, const struct file_head *h)
{
    struct field fields[7] = {
        {SLICE("Content-Type"), h->parts ? files_parts_type(h->parts) : h->type},
        {SLICE("Last-Modified"), slice_of(h->last_modified, HTTPDATE_LEN)},
        {SLICE("ETag"), h->v.etag},
        {SLICE("Accept-Ranges"), SLICE("bytes")},
    };
    char content_range[80];
    struct response r = {
        .status = status,
        .fields = fields,
        .n_fields = 4,
        .content_length = h->parts ? files_parts_length(h->parts) : h->part.n,
        .whole_type = status == 206 ? h->type : slice_of(NULL, 0),
        .whole_length = h->size,
    };

    if (h->coding.n)
        fields[r.n_fields++] = (struct field){SLICE("Content-Encoding"), h->coding};
    if (h->vary)
        fields[r.n_fields++] = (struct field){SLICE("Vary"), SLICE("Accept-Encoding")};
    if (status == 206 &&
        !h->parts) { /* 14.4; in each part where there are several (15.3.7.2) */
        int n = snprintf(content_range, sizeof(content_range), "bytes %lld-%lld/%lld",
                         (long long)h->part.first, (long long)(h->part.first + h->part.n - 1),
                         (long long)h->size);
        fields[r.n_fields++] =
            (struct field){SLICE("Content-Range"), slice_of(content_range, (size_t)n)};
    }
    return stream_send_head(s, &r);
}

static void answer_not_modified(struct stream *s, const struct file_head *h)
{
    /* 15.4.5: with an ETag no other validator is needed */
    const struct field fields[] = {{SLICE("ETag"), h->v.etag},
                                   {SLICE("Vary"), SLICE("Accept-Encoding")}};
    struct response r = {.status = 304,
                         .fields = fields,
                         .n_fields = h->vary ? 2 : 1,
                         .content_length = -1,
                         .whole_type = h->type,
                         .whole_length = h->size};

    stream_answer(s, &r, slice_of("", 0));
}

static void answer_unsatisfiable(struct stream *s, const struct file_head *h)
{
    struct slice value = arena_printf(&s->arena, "bytes */%lld", (long long)h->size); /* 14.4 */
    const struct field field = {SLICE("Content-Range"), value};

    stream_error_fields(s, GW_ERANGE, &field, value.p ? 1 : 0);
}

/* What of the file the client asks for.  True: s was answered. */
static bool answer_range(struct stream *s, struct file_head *h, int *ret_status)
{
    struct ranges ranges;
    int err;

    switch (range_check(s->req.fields, s->req.n_fields, &h->v, h->size, &ranges)) {
    case RANGE_UNSATISFIABLE:
        answer_unsatisfiable(s, h);
        return true;
    case RANGE_WHOLE:
        return false;
    case RANGE_PART:
        break;
    }
    *ret_status = 206;
    if (ranges.n == 1) {
        h->part = ranges.at[0];
        return false;
    }
    h->parts = files_parts_new(s, &ranges, h->type, h->size, &err);
    if (!h->parts)
        stream_error(s, err);
    return !h->parts;
}

/* Answered without a byte of the file? */
static bool answer_without_body(struct stream *s, struct file_head *h, int *ret_status)
{
    const struct request *req = &s->req;

    *ret_status = 200;
    switch (cond_check(req->fields, req->n_fields, &h->v)) {
    case COND_FAILED:
        stream_error(s, GW_EPRECONDITION);
        return true;
    case COND_NOT_MODIFIED:
        answer_not_modified(s, h);
        return true;
    case COND_SEND:
        break;
    }
    /* 14.2: Range is GET's */
    return slice_eq(req->method, SLICE("GET")) && answer_range(s, h, ret_status);
}

/* ---- the whole answer ---- */

/* Takes f. */
static void file_send(struct stream *s, struct open_file *f, int status,
                      const struct file_head *h)
{
    bool want_body = h->part.n > 0 && slice_eq(s->req.method, SLICE("GET"));
    struct chunk *k =
        want_body && !h->parts ? files_read_small(worker_of(s)->files, f, h->part) : NULL;

    if (send_head(s, status, h) < 0) {
        chunk_free(k);
    } else if (h->parts) {
        files_parts_send(s, f, h->parts);
        return;
    } else if (want_body && !k) {
        files_send(s, f, h->part);
        return;
    } else if (!k || stream_send_chunk(s, k) >= 0) {
        stream_finish(s);
    }
    open_file_unref(f);
}

/* An application that has the file sent may know better what it is. */
static struct slice type_of(struct stream *s, const struct route_match *m)
{
    const struct field *said = NULL;

    if (s->override)
        said = fields_find(s->override->fields, s->override->n_fields, SLICE("Content-Type"));
    return said ? said->value
                : mime_route(router_mime(worker_of(s)->router), &s->arena, s->route, m->file);
}

void files_start(struct stream *s, struct route_match *m)
{
    struct file_head h = {.type = type_of(s, m)};
    int status;

    if (!slice_eq(s->req.method, SLICE("GET")) && !slice_eq(s->req.method, SLICE("HEAD"))) {
        open_file_unref(m->open);
        m->open = NULL;
        stream_answer_allow(s, SLICE("GET, HEAD, OPTIONS"));
        return;
    }
    stream_discard_body(s);
    h.vary = precompressed_pick(s, m, &h.coding);
    struct open_file *f = m->open;
    m->open = NULL; /* taken over */
    h.size = (int64_t)f->st.st_size;
    h.part = (struct range){0, h.size};
    make_validators(&h, f);
    if (answer_without_body(s, &h, &status))
        open_file_unref(f);
    else
        file_send(s, f, status, &h);
}
