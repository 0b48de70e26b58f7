/*
 * The access log: a line for each request, in batches.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "conn.h"
#include "log.h"
#include "log_text.h"
#include "remote.h"

enum {
    BATCH_FULL = 32 * 1024,  /* lines are written when there are this many bytes */
    BATCH_KEEP = 128 * 1024, /* a batch that one huge line made larger is given back */
};

/* ---- pieces ---- */

static char *put_slice(char *at, struct slice s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static char *put_number(char *at, uint64_t v)
{
    char digits[20];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

/* Seconds with six decimals. */
static char *put_seconds(char *at, uint64_t us)
{
    at = put_number(at, us / 1000000);
    *at++ = '.';
    for (uint64_t unit = 100000; unit; unit /= 10)
        *at++ = (char)('0' + us / unit % 10);
    return at;
}

/* "23/Nov/2026:14:05:06 +0000", made once a second and thread: strftime costs more than the
 * rest of the line. */
static struct slice clf_time(void)
{
    static _Thread_local time_t at;
    static _Thread_local char text[40];
    static _Thread_local size_t len;
    time_t now = time(NULL);
    struct tm tm;

    if (now != at || len == 0) {
        at = now;
        len = localtime_r(&now, &tm) ? strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S %z", &tm)
                                     : 0;
    }
    return slice_of(text, len);
}

static struct slice version_text(enum http_version v)
{
    switch (v) {
    case HTTP_1_0:
        return SLICE("HTTP/1.0");
    case HTTP_1_1:
        return SLICE("HTTP/1.1");
    case HTTP_2:
        return SLICE("HTTP/2");
    }
    return SLICE("-");
}

static struct slice field_value(const struct request *req, struct slice name)
{
    const struct field *f = fields_find(req->fields, req->n_fields, name);
    return f && f->value.n ? f->value : SLICE("-");
}

static struct slice or_dash(struct slice s)
{
    return s.n ? s : SLICE("-");
}

/* A user name may hold spaces and quotes, and stands between spaces. */
static char *put_user(char *at, struct slice user)
{
    for (size_t i = 0; i < user.n; i++) {
        unsigned char c = (unsigned char)user.p[i];
        at = c != ' ' && log_plain_quoted(c) ? (*at = (char)c, at + 1) : log_put_hex(at, c);
    }
    return at;
}

/* ---- lines ---- */

/* " pool=php wait=3ms" */
static char *put_pool(char *at, struct slice name, uint64_t wait_ms)
{
    at = put_slice(at, SLICE(" pool="));
    at = put_user(at, name);
    at = put_slice(at, SLICE(" wait="));
    at = put_number(at, wait_ms);
    return put_slice(at, SLICE("ms"));
}

/* The line but for what a script used, and its end.  false: memory is out. */
static bool put_line(struct buf *out, const struct stream *s)
{
    enum { FIXED = 320 }; /* address, time, numbers, punctuation */
    const struct request *req = &s->req;
    struct slice user = or_dash(s->remote_user);
    /* What the client asked for, not where an application redirected that to. */
    struct slice method = or_dash(s->asked_method.n ? s->asked_method : req->method);
    struct slice target = or_dash(s->asked_method.n ? s->asked_target : req->target);
    struct slice referer = field_value(req, SLICE("Referer"));
    struct slice agent = field_value(req, SLICE("User-Agent"));

    struct slice pool = s->pool_name ? slice_str(s->pool_name) : SLICE("");
    size_t most = FIXED + 4 * (pool.n + user.n + method.n + target.n + referer.n + agent.n);
    char *line = (char *)buf_reserve(out, most);
    if (!line)
        return false;

    char *at = put_slice(line, slice_str(remote_text(s)));
    at = put_slice(at, SLICE(" - "));
    at = put_user(at, user);
    at = put_slice(at, SLICE(" ["));
    at = put_slice(at, clf_time());
    at = put_slice(at, SLICE("] \""));
    at = log_put_quoted(at, method);
    *at++ = ' ';
    at = log_put_quoted(at, target);
    *at++ = ' ';
    at = put_slice(at, version_text(req->version));
    at = put_slice(at, SLICE("\" "));
    /* No status: the client left before there was one; 499 is nginx's number for it. */
    at = put_number(at, s->status > 0 ? (uint64_t)s->status : 499);
    *at++ = ' ';
    /* Without conn->mu: the stream is closed, so nobody counts any more. */
    at = put_number(at, s->out.n_body);
    at = put_slice(at, SLICE(" \""));
    at = log_put_quoted(at, referer);
    at = put_slice(at, SLICE("\" \""));
    at = log_put_quoted(at, agent);
    at = put_slice(at, SLICE("\" "));
    at = put_seconds(at, s->start_us ? clock_now_us() - s->start_us : 0);
    if (s->pushed)
        at = put_slice(at, SLICE(" pushed"));
    if (pool.n)
        at = put_pool(at, pool, s->pool_wait_ms);
    if (s->request_id.n) {
        at = put_slice(at, SLICE(" id="));
        at = put_slice(at, s->request_id);
    }
    buf_commit(out, (size_t)(at - line));
    return true;
}

/* " exit=0 cpu=12ms mem=3456K"; what is not plausible as a wait status is shown as nothing. */
static void put_use(struct buf *out, const struct script_use *use)
{
    char *line = (char *)buf_reserve(out, 128), *at = line;

    if (!line)
        return;
    if (WIFEXITED(use->status)) {
        at = put_slice(at, SLICE(" exit="));
        at = put_number(at, (uint64_t)WEXITSTATUS(use->status));
    } else if (WIFSIGNALED(use->status)) {
        at = put_slice(at, SLICE(" signal="));
        at = put_number(at, (uint64_t)WTERMSIG(use->status));
    }
    at = put_slice(at, SLICE(" cpu="));
    at = put_number(at, use->cpu_us / 1000);
    at = put_slice(at, SLICE("ms mem="));
    at = put_number(at, use->peak_kb);
    at = put_slice(at, SLICE("K"));
    buf_commit(out, (size_t)(at - line));
}

static void end_line(struct log_batch *b)
{
    buf_append(&b->lines, "\n", 1);
    if (buf_len(&b->lines) >= BATCH_FULL)
        log_batch_flush(b);
}

/* The script of a line that waits has ended. */
static void finish_line(struct access_report *r)
{
    struct log_batch *b = r->batch;

    if (r->known)
        put_use(&r->line, &r->use);
    if (buf_append(&b->lines, buf_at(&r->line), buf_len(&r->line)) == 0)
        end_line(b);
    if (b->wake)
        b->wake(b);
}

void log_access(struct log_batch *b, const struct stream *s)
{
    struct access_report *r = s->report;

    if (log_access_fd() < 0)
        return;
    if (r && !r->over) { /* its script has yet to end; the batch gets the line then */
        r->batch = b;
        r->finish = put_line(&r->line, s) ? finish_line : NULL;
        return;
    }
    if (!put_line(&b->lines, s))
        return; /* a line lost is better than a request refused */
    if (r && r->known)
        put_use(&b->lines, &r->use);
    end_line(b);
}

void log_batch_flush(struct log_batch *b)
{
    int fd = log_access_fd();

    if (buf_len(&b->lines) && fd >= 0)
        log_write(fd, (const char *)buf_at(&b->lines), buf_len(&b->lines));
    if (b->lines.cap > BATCH_KEEP)
        buf_fini(&b->lines);
    else
        buf_clear(&b->lines);
}
