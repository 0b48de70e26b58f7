/* The stream, the writer threads and the page cache around files.c are played by this test. */
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

static void note_fields(const struct field *fields, size_t n)
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

ssize_t stream_send_chunk(struct stream *s, struct chunk *k)
{
    bool fail = out.fail_after && ++out.n_sends == out.fail_after;

    if (!fail) {
        assert_int_equal(buf_append(&out.body, k->data + k->off, k->len - k->off), 0);
        out.buffered += k->len - k->off;
    }
    free(k);
    if (fail && s->handler) { /* as an abort does */
        const struct handler *h = s->handler;
        s->handler = NULL;
        h->closed(s, GW_ENO_MEMORY);
    }
    return fail ? GW_ENO_MEMORY : (ssize_t)out.buffered;
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

static int lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static int setup(void **state)
{
    (void)state;
    fd_before = lowest_fd();
    memset(&out, 0, sizeof(out));
    n_fields = 0;
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

static int teardown(void **state)
{
    (void)state;
    unlink(name);
    mime_free(mime);
    buf_fini(&out.body);
    assert_null(the_job);
    assert_int_equal(lowest_fd(), fd_before); /* every descriptor was closed */
    return 0;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static void fill(size_t size)
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

static void add(const char *field, const char *value)
{
    fields[n_fields++] = (struct field){slice_str(field), slice_str(value)};
}

static void request(const char *method)
{
    struct route_match m = {.file = slice_str(name)};

    buf_clear(&out.body);
    struct buf body = out.body;
    memset(&out, 0, sizeof(out));
    out.body = body;
    stream = (struct stream){.conn = &conn};
    arena_init(&stream.arena);
    stream.req.method = slice_str(method);
    stream.req.fields = fields;
    stream.req.n_fields = n_fields;
    m.file_fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(m.file_fd >= 0);
    files_start(&stream, &m);
    assert_int_equal(m.file_fd, -1);
}

/* The client takes everything and wants more. */
static void client_takes(void)
{
    out.buffered = 0;
    if (stream.handler && stream.handler->writable)
        stream.handler->writable(&stream);
}

static void run_job(void)
{
    struct job *job = the_job;

    the_job = NULL;
    job->run(job);
    job->done(NULL, job);
}

static void end(void)
{
    if (stream.handler && stream.handler->closed)
        stream.handler->closed(&stream, 0);
    arena_fini(&stream.arena);
}

static void expect_body(size_t first, size_t n)
{
    assert_int_equal(buf_len(&out.body), n);
    for (size_t i = 0; i < n; i++) {
        if (buf_at(&out.body)[i] != byte_at(first + i))
            fail_msg("byte %zu differs", i);
    }
}

/* ---- tests ---- */

static void sizes(void **state)
{
    static const size_t table[] = {0,     1,      4096,   65535,  65536,
                                   65537, 131072, 131073, 300000, 1000003};
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        fill(table[i]);
        request("GET");
        assert_int_equal(out.status, 200);
        assert_int_equal(out.content_length, table[i]);
        for (unsigned turns = 0; !out.finished && turns < 100; turns++) {
            assert_true(out.buffered >= STREAM_OUT_HIGH); /* it stopped for no other reason */
            assert_true(out.buffered < STREAM_OUT_HIGH + CHUNK_MAX);
            client_takes();
        }
        assert_true(out.finished);
        expect_body(0, table[i]);
        end();
    }
}

static void small_file_is_one_read(void **state)
{
    (void)state;
    fill(1024);
    request("GET");
    assert_int_equal(n_reads, 1);
    assert_true(out.finished);
    assert_null(stream.handler);
    end();
}

static void head_fields(void **state)
{
    char first[1024];

    (void)state;
    fill(10);
    request("GET");
    assert_non_null(strstr(out.fields, "Content-Type: text/html\n"));
    assert_non_null(strstr(out.fields, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"));
    assert_non_null(strstr(out.fields, "Accept-Ranges: bytes\n"));
    assert_non_null(strstr(out.fields, "ETag: \""));
    assert_null(strstr(out.fields, "Content-Range"));
    strcpy(first, out.fields);
    end();
    request("HEAD");
    assert_string_equal(out.fields, first);
    assert_int_equal(out.content_length, 10);
    assert_int_equal(buf_len(&out.body), 0);
    assert_int_equal(n_reads, 1); /* the GET's */
    assert_true(out.finished);
    end();
    fill(11); /* another size: another tag */
    request("HEAD");
    assert_string_not_equal(out.fields, first);
    end();
}

static void other_methods(void **state)
{
    static const char *const methods[] = {"POST",    "PUT", "DELETE",
                                          "OPTIONS", "get", "PROPFIND"};

    (void)state;
    fill(10);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        request(methods[i]);
        assert_int_equal(out.err, GW_EREQ_METHOD);
        assert_string_equal(out.fields, "Allow: GET, HEAD\n"); /* RFC 9110 15.5.6 */
        end();
    }
}

static void ranges(void **state)
{
    (void)state;
    fill(200000);
    add("Range", "bytes=100000-");
    request("GET");
    assert_int_equal(out.status, 206);
    assert_int_equal(out.content_length, 100000);
    assert_non_null(strstr(out.fields, "Content-Range: bytes 100000-199999/200000\n"));
    while (!out.finished)
        client_takes();
    expect_body(100000, 100000);
    end();

    request("HEAD"); /* RFC 9110 14.2: ignored */
    assert_int_equal(out.status, 200);
    assert_int_equal(out.content_length, 200000);
    end();

    fields[0].value = SLICE("bytes=-1");
    request("GET");
    expect_body(199999, 1);
    end();

    fields[0].value = SLICE("bytes=200000-");
    request("GET");
    assert_int_equal(out.status, 0);
    assert_int_equal(out.err, GW_ERANGE);
    assert_string_equal(out.fields, "Content-Range: bytes */200000\n");
    end();
}

static void conditions(void **state)
{
    char tag[64];

    (void)state;
    fill(100);
    request("GET");
    const char *at = strstr(out.fields, "ETag: ") + 6;
    snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(at, "\n"), at);
    end();

    add("If-None-Match", tag);
    request("GET");
    assert_int_equal(out.status, 304);
    assert_int_equal(out.content_length, -1);
    assert_int_equal(strncmp(out.fields, "ETag: ", 6), 0);
    assert_true(out.finished);
    assert_int_equal(buf_len(&out.body), 0);
    end();

    fields[0].name = SLICE("If-Match");
    request("GET");
    assert_int_equal(out.status, 200);
    end();
    fields[0].value = SLICE("\"other\"");
    request("GET");
    assert_int_equal(out.err, GW_EPRECONDITION);
    end();
}

/* Each kind of cache, each size: the same bytes. */
static void cold_files(void **state)
{
    static const size_t table[] = {1, 65536, 65537, 300000};

    (void)state;
    for (int c = CACHE_COLD; c <= CACHE_HALF; c++) {
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            fill(table[i]);
            cache = (enum cache)c;
            request("GET");
            for (unsigned turns = 0; !out.finished && turns < 1000; turns++) {
                if (the_job)
                    run_job();
                else
                    client_takes();
            }
            assert_true(out.finished);
            expect_body(0, table[i]);
            end();
        }
    }
}

static void client_gone_while_reading(void **state)
{
    (void)state;
    fill(300000);
    cache = CACHE_COLD;
    request("GET");
    assert_non_null(the_job);
    end(); /* the job still has the file */
    run_job();
    assert_int_equal(buf_len(&out.body), 0);

    request("GET");
    run_job(); /* one piece, and the next job is under way */
    assert_non_null(the_job);
    stream.handler->writable(&stream); /* no second one beside it */
    end();
    run_job();
    assert_false(out.finished);
}

static void client_gone_while_waiting(void **state)
{
    (void)state;
    fill(300000);
    request("GET");
    assert_false(out.finished);
    end();
}

static void send_fails(void **state)
{
    (void)state;
    fill(300000);
    for (unsigned nth = 1; nth <= 4; nth++) {
        for (int c = CACHE_WARM; c <= CACHE_COLD; c++) {
            struct route_match m = {.file = slice_str(name), .file_fd = open(name, O_RDONLY)};
            memset(&out.status, 0, sizeof(out.status));
            buf_clear(&out.body);
            struct buf body = out.body;
            memset(&out, 0, sizeof(out));
            out.body = body;
            out.fail_after = nth;
            cache = (enum cache)c;
            stream = (struct stream){.conn = &conn, .req = {.method = SLICE("GET")}};
            arena_init(&stream.arena);
            files_start(&stream, &m);
            for (unsigned turns = 0; out.n_sends < nth && turns < 100; turns++) {
                if (the_job)
                    run_job();
                else
                    client_takes();
            }
            assert_int_equal(out.n_sends, nth);
            assert_false(out.finished);
            assert_null(stream.handler_state);
            end();
        }
    }
}

static void file_that_shrinks(void **state)
{
    (void)state;
    for (int c = CACHE_WARM; c <= CACHE_COLD; c++) {
        fill(300000);
        cache = (enum cache)c;
        request("GET");
        assert_int_equal(truncate(name, 1000), 0);
        for (unsigned turns = 0; !out.err && turns < 100; turns++) {
            if (the_job)
                run_job();
            else
                client_takes();
        }
        assert_int_equal(out.err, GW_EFILE_SHORT);
        assert_false(out.finished);
        end();
    }
}

static void disk_that_fails(void **state)
{
    (void)state;
    fill(300000);
    cache = CACHE_BROKEN;
    request("GET");
    assert_int_equal(out.err, GW_EFILE);
    end();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes),
        TEST(small_file_is_one_read),
        TEST(head_fields),
        TEST(other_methods),
        TEST(ranges),
        TEST(conditions),
        TEST(cold_files),
        TEST(client_gone_while_reading),
        TEST(client_gone_while_waiting),
        TEST(send_fails),
        TEST(file_that_shrinks),
        TEST(disk_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
