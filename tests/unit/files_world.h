/*
 * tests/unit/files_world.h - files.c and what it is made of, over a real file, between a stream,
 * writer threads and a page cache that the test plays.  For one file of a test program.
 *
 *     fill(300000);
 *     add("Range", "bytes=0-9"); cache = CACHE_COLD;
 *     request("GET"); run_job(); client_takes();
 *     expect_body(0, 10);
 *     end();
 */
#ifndef TESTS_FILES_WORLD_H
#define TESTS_FILES_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/mime.h"
#include "../../gateway/router.h"
#include "../../gateway/worker.h"

/* ---- played ---- */

static struct {
    int status; /* of the head; 0: none */
    int64_t content_length;
    char fields[1024]; /* "name: value\n" ... */
    struct buf body;
    size_t buffered; /* what the client has not taken */
    bool finished;
    int err;
    unsigned fail_after; /* the nth send fails; 0: none does */
    unsigned n_sends;
} out;

static inline void note_fields(const struct field *fields, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out.fields + at, sizeof(out.fields) - at, "%.*s: %.*s\n",
                               SLICE_FMT(fields[i].name), SLICE_FMT(fields[i].value));
}

int stream_send_head(struct stream *s, const struct response *r)
{
    assert_int_equal(out.status, 0);
    out.status = r->status;
    out.content_length = r->content_length;
    note_fields(r->fields, r->n_fields);
    s->answered = true;
    return 0;
}

ssize_t stream_send_body(struct stream *s, const void *p, size_t n)
{
    bool fail = out.fail_after && ++out.n_sends == out.fail_after;

    if (!fail) {
        assert_int_equal(buf_append(&out.body, p, n), 0);
        out.buffered += n;
    }
    if (fail && s->handler) { /* as an abort does */
        const struct handler *h = s->handler;
        s->handler = NULL;
        h->closed(s, GW_ENO_MEMORY);
    }
    return fail ? GW_ENO_MEMORY : (ssize_t)out.buffered;
}

ssize_t stream_send_chunk(struct stream *s, struct chunk *k)
{
    ssize_t buffered = stream_send_body(s, k->data + k->off, k->len - k->off);

    free(k);
    return buffered;
}

static size_t
    passes; /* so many bytes of a file the connection takes itself; 0: it takes none */
static struct file_piece rest; /* what it gives back */

bool stream_send_file(struct stream *s, struct open_file *f, int64_t at, int64_t n)
{
    (void)s;
    if (!passes)
        return false;
    size_t takes = passes < (size_t)n ? passes : (size_t)n;
    uint8_t *to = buf_reserve(&out.body, takes);
    assert_non_null(to);
    assert_int_equal(pread(f->fd, to, takes, at), takes);
    buf_commit(&out.body, takes);
    rest = (struct file_piece){open_file_ref(f), at + (int64_t)takes, (size_t)n - takes};
    return true;
}

int stream_file_result(struct stream *s, struct file_piece *ret_rest)
{
    (void)s;
    *ret_rest = rest;
    rest.n = 0;
    return out.err;
}

void stream_finish(struct stream *s)
{
    (void)s;
    assert_false(out.finished);
    out.finished = true;
}

void stream_answer(struct stream *s, const struct response *r, struct slice body)
{
    (void)body;
    stream_send_head(s, r);
    stream_finish(s);
}

void stream_error_fields(struct stream *s, int err, const struct field *fields, size_t n)
{
    s->handler = NULL;
    out.err = err;
    note_fields(fields, n);
}

void stream_error(struct stream *s, int err)
{
    stream_error_fields(s, err, NULL, 0);
}

void stream_answer_allow(struct stream *s, struct slice allow)
{
    const struct field field = {SLICE("Allow"), allow};

    stream_error_fields(s, GW_EREQ_METHOD, &field, 1);
}

void stream_discard_body(struct stream *s)
{
    s->in_discard = true;
}

void stream_handle(struct stream *s, const struct handler *h, void *state)
{
    s->handler = h;
    s->handler_state = state;
    h->start(s);
}

static struct mime *mime;

const struct mime *router_mime(const struct router *r)
{
    (void)r;
    return mime;
}

static struct job *the_job;

void writers_job(struct writers *w, struct job *job)
{
    (void)w;
    assert_null(the_job);
    the_job = job;
}

/* The page cache: what preadv2(RWF_NOWAIT) says. */
static enum cache { CACHE_WARM, CACHE_COLD, CACHE_UNKNOWN, CACHE_HALF, CACHE_BROKEN } cache;
static unsigned n_reads;

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    size_t want = iov->iov_len;

    assert_int_equal(n, 1);
    assert_int_equal(flags, RWF_NOWAIT);
    n_reads++;
    if (cache == CACHE_COLD || cache == CACHE_UNKNOWN || cache == CACHE_BROKEN) {
        errno = cache == CACHE_COLD ? EAGAIN : cache == CACHE_UNKNOWN ? EOPNOTSUPP : EIO;
        return -1;
    }
    if (cache == CACHE_HALF && want > 1)
        want /= 2;
    return pread(fd, iov->iov_base, want, offset);
}

/* ---- one request ---- */

static char name[64];
static struct worker worker;
static struct conn conn = {.worker = &worker};
static struct stream stream;
static struct field fields[4];
static size_t n_fields;
static int fd_before;

static inline int lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static unsigned fail_after; /* of the next requests */

static inline int setup(void **state)
{
    (void)state;
    fd_before = lowest_fd();
    memset(&out, 0, sizeof(out));
    n_fields = 0;
    fail_after = 0;
    passes = 0;
    n_reads = 0;
    cache = CACHE_WARM;
    the_job = NULL;
    mime = mime_new("/nonexistent");
    snprintf(name, sizeof(name), "/tmp/test_files.XXXXXX.html");
    int fd = mkstemps(name, 5);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    unlink(name);
    mime_free(mime);
    buf_fini(&out.body);
    assert_null(the_job);
    assert_int_equal(lowest_fd(), fd_before); /* every descriptor was closed */
    return 0;
}

static inline uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static inline void fill(size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    int fd = open(name, O_WRONLY | O_TRUNC);

    for (size_t i = 0; i < size; i++)
        p[i] = byte_at(i);
    assert_int_equal(write(fd, p, size), (ssize_t)size);
    struct timespec times[2] = {{784111777, 0}, {784111777, 5}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
    free(p);
}

static inline void add(const char *field, const char *value)
{
    fields[n_fields++] = (struct field){slice_str(field), slice_str(value)};
}

static inline void request(const char *method)
{
    struct route_match m = {.file = slice_str(name)};

    buf_clear(&out.body);
    struct buf body = out.body;
    memset(&out, 0, sizeof(out));
    out.body = body;
    out.fail_after = fail_after;
    stream = (struct stream){.conn = &conn};
    arena_init(&stream.arena);
    stream.req.method = slice_str(method);
    stream.req.fields = fields;
    stream.req.n_fields = n_fields;
    m.open = open_file_new(open(name, O_RDONLY | O_CLOEXEC));
    assert_non_null(m.open);
    files_start(&stream, &m);
    assert_null(m.open);
}

/* The client takes everything and wants more. */
static inline void client_takes(void)
{
    out.buffered = 0;
    if (stream.handler && stream.handler->writable)
        stream.handler->writable(&stream);
}

static inline void run_job(void)
{
    struct job *job = the_job;

    the_job = NULL;
    job->run(job);
    job->done(NULL, job);
}

/* One turn of the answer: whatever it waits for comes. */
static inline void go_on(void)
{
    if (the_job)
        run_job();
    else
        client_takes();
}

static inline void end(void)
{
    if (stream.handler && stream.handler->closed)
        stream.handler->closed(&stream, 0);
    open_file_unref(rest.file);
    rest.file = NULL;
    arena_fini(&stream.arena);
}

static inline void expect_body(size_t first, size_t n)
{
    assert_int_equal(buf_len(&out.body), n);
    for (size_t i = 0; i < n; i++) {
        if (buf_at(&out.body)[i] != byte_at(first + i))
            fail_msg("byte %zu differs", i);
    }
}

#endif
