/*
 * gateway/files.c - answers with a regular file (router.h, files_start).
 *
 * It is handed over in chunks of 64 KiB as file_read.h reads them, until the stream's buffer is
 * full.  A file of at most one chunk that is cached needs no state at all: one read, one answer.
 */
#include "router.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file_read.h"
#include "files_cond.h"
#include "httpdate.h"
#include "mime.h"
#include "worker.h"

/* What goes into the answer's head. */
struct file_head {
    int64_t size;
    struct range part; /* what is sent of it */
    struct slice type;
    char etag[20]; /* "0123456789abcdef" with its quotes */
    char last_modified[HTTPDATE_LEN + 1];
    struct validators v;
};

/* ---- sending ---- */

/* The handler's state is the file_read; the handler is through with s. */
static void file_end(struct stream *s)
{
    struct file_read *r = s->handler_state;

    s->handler_state = NULL;
    file_read_free(r);
}

static void file_pump(struct stream *s)
{
    struct file_read *r = s->handler_state;
    ssize_t buffered = 0;
    int err;

    while (file_read_left(r) > 0 && buffered < STREAM_OUT_HIGH) {
        struct chunk *k = file_read_next(r, &err);
        if (!k && err) {
            file_end(s);
            stream_error(s, err);
        }
        if (!k)
            return;
        buffered = stream_send_chunk(s, k);
        if (buffered < 0)
            return; /* the stream was aborted, and closed() was called */
    }
    if (file_read_left(r) == 0) {
        file_end(s);
        stream_finish(s);
    }
}

static void file_more(void *arg)
{
    file_pump(arg);
}

static void file_writable(struct stream *s)
{
    if (s->handler_state)
        file_pump(s);
}

static void file_closed(struct stream *s, int err)
{
    (void)err;
    if (s->handler_state)
        file_end(s);
}

static const struct handler files_handler = {
    .name = "files",
    .start = file_pump,
    .writable = file_writable,
    .closed = file_closed,
};

/* Takes fd; the head has gone out. */
static void file_send_large(struct stream *s, int fd, struct range part)
{
    struct file_read *r =
        file_read_new(s->loop, worker_of(s)->writers, fd, part.first, part.n, file_more, s);

    if (r)
        stream_handle(s, &files_handler, r);
    else
        stream_error(s, GW_ENO_MEMORY);
}

/* ---- the head ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) + 0x9e3779b97f4a7c15u; /* splitmix64 */
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

/*
 * Strong: another inode, size or nanosecond of change is another tag, so that a deploy that
 * keeps the times is noticed too.  Hashed, since an inode number is nobody's business.
 */
static void make_validators(struct file_head *h, const struct stat *st)
{
    uint64_t ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
    uint64_t tag = mix(mix(mix(0, (uint64_t)st->st_size), ns), (uint64_t)st->st_ino);

    int n = snprintf(h->etag, sizeof(h->etag), "\"%016llx\"", (unsigned long long)tag);
    h->v.etag = slice_of(h->etag, (size_t)n);
    h->v.now = (int64_t)time(NULL);
    h->v.mtime = (int64_t)st->st_mtim.tv_sec;
    if (h->v.mtime > h->v.now) /* RFC 9110 8.8.2.1: never in the future */
        h->v.mtime = h->v.now;
    httpdate_format(h->last_modified, h->v.mtime);
}

static int send_head(struct stream *s, int status, const struct file_head *h)
{
    struct field fields[5] = {
        {SLICE("Content-Type"), h->type},
        {SLICE("Last-Modified"), slice_of(h->last_modified, HTTPDATE_LEN)},
        {SLICE("ETag"), h->v.etag},
        {SLICE("Accept-Ranges"), SLICE("bytes")},
    };
    char content_range[80];
    struct response r = {
        .status = status, .fields = fields, .n_fields = 4, .content_length = h->part.n};

    if (status == 206) { /* 14.4 */
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
    const struct field etag = {SLICE("ETag"), h->v.etag};
    struct response r = {.status = 304, .fields = &etag, .n_fields = 1, .content_length = -1};

    stream_answer(s, &r, slice_of("", 0));
}

static void answer_unsatisfiable(struct stream *s, const struct file_head *h)
{
    struct slice value = arena_printf(&s->arena, "bytes */%lld", (long long)h->size); /* 14.4 */
    const struct field field = {SLICE("Content-Range"), value};

    stream_error_fields(s, GW_ERANGE, &field, value.p ? 1 : 0);
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
    if (!slice_eq(req->method, SLICE("GET"))) /* 14.2: Range is GET's */
        return false;
    switch (range_check(req->fields, req->n_fields, &h->v, h->size, &h->part)) {
    case RANGE_UNSATISFIABLE:
        answer_unsatisfiable(s, h);
        return true;
    case RANGE_PART:
        *ret_status = 206;
        break;
    case RANGE_WHOLE:
        break;
    }
    return false;
}

/* ---- the whole answer ---- */

/* All of a small file that is in the page cache; NULL if it is not, or not small. */
static struct chunk *read_small(int fd, struct range part)
{
    if (part.n == 0 || part.n > CHUNK_MAX)
        return NULL;
    struct chunk *k = chunk_new((size_t)part.n);
    if (k && file_read_warm(fd, k, part.first) == (ssize_t)part.n) {
        k->len = (uint32_t)part.n;
        return k;
    }
    free(k);
    return NULL;
}

/* Takes fd. */
static void file_send(struct stream *s, int fd, int status, const struct file_head *h)
{
    bool want_body = h->part.n > 0 && slice_eq(s->req.method, SLICE("GET"));
    struct chunk *k = want_body ? read_small(fd, h->part) : NULL;

    if (send_head(s, status, h) < 0) {
        free(k);
        close(fd);
    } else if (want_body && !k) {
        file_send_large(s, fd, h->part);
    } else {
        close(fd);
        if (!k || stream_send_chunk(s, k) >= 0)
            stream_finish(s);
    }
}

void files_start(struct stream *s, struct route_match *m)
{
    const struct field allow = {SLICE("Allow"), SLICE("GET, HEAD")};
    struct file_head h = {.type = mime_find(router_mime(worker_of(s)->router), m->file)};
    struct stat st;
    int status, fd = m->file_fd;

    m->file_fd = -1; /* taken over */
    if (!slice_eq(s->req.method, SLICE("GET")) && !slice_eq(s->req.method, SLICE("HEAD"))) {
        close(fd);
        stream_error_fields(s, GW_EREQ_METHOD, &allow, 1);
        return;
    }
    if (fstat(fd, &st) < 0) {
        close(fd);
        stream_error(s, GW_EFILE);
        return;
    }
    stream_discard_body(s);
    h.size = (int64_t)st.st_size;
    h.part = (struct range){0, h.size};
    make_validators(&h, &st);
    if (answer_without_body(s, &h, &status))
        close(fd);
    else
        file_send(s, fd, status, &h);
}
