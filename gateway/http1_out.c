#include "http1_out.h"

#include "conn.h"
#include "errors.h"
#include "h1parse.h"

#define STATUS_LINE "HTTP/1.1 "
#define SERVER "Server: h2cgi\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CLOSE "Connection: close\r\n"
#define KEEP_ALIVE "Connection: keep-alive\r\n"
#define UPGRADE "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define DATE "Date: "
#define LENGTH "Content-Length: "

#define LAST_CHUNK "0\r\n\r\n"

/* Around the data of a chunk: 8 digits and two line ends. */
enum { CHUNK_FRAME = 8 + 2 + 2 };

/* Room for all that is not a field of the response, the reason or the date. */
enum {
    FIXED = sizeof(STATUS_LINE "200 \r\n" SERVER CHUNKED CLOSE KEEP_ALIVE UPGRADE DATE LENGTH
                               "9223372036854775807\r\n\r\n\r\n")
};

/* ---- heads ---- */

static uint8_t *put(uint8_t *at, struct slice s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static uint8_t *put_decimal(uint8_t *at, uint64_t v)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return put(at, slice_of(digits + n, sizeof(digits) - n));
}

/* reason is the application's text: one that could end the line early is left out. */
static uint8_t *put_status(uint8_t *at, int status, struct slice reason)
{
    at = put(at, SLICE(STATUS_LINE));
    at = put_decimal(at, (uint64_t)(unsigned)status);
    *at++ = ' '; /* RFC 9112 4: also in front of an empty reason */
    if (h1_value_ok(reason))
        at = put(at, reason);
    return put(at, SLICE("\r\n"));
}

static uint8_t *put_field(uint8_t *at, const struct field *f)
{
    at = put(at, f->name);
    at = put(at, SLICE(": "));
    at = put(at, f->value);
    return put(at, SLICE("\r\n"));
}

static size_t fields_size(const struct field *fields, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += fields[i].name.n + fields[i].value.n + 4;
    return size;
}

static int put_head(struct buf *out, const struct response *r, const struct http1_framing *f)
{
    struct slice reason = r->reason.n ? r->reason : http_reason(r->status);
    uint8_t *start =
        buf_reserve(out, FIXED + reason.n + f->date.n + fields_size(r->fields, r->n_fields));
    bool has_date = false, has_server = false;

    if (!start)
        return GW_ENO_MEMORY;
    uint8_t *at = put_status(start, r->status, reason);
    for (size_t i = 0; i < r->n_fields; i++) {
        at = put_field(at, &r->fields[i]);
        has_date |= slice_ieq(r->fields[i].name, SLICE("Date"));
        has_server |= slice_ieq(r->fields[i].name, SLICE("Server"));
    }
    if (!has_server && !r->no_server)
        at = put(at, SLICE(SERVER));
    if (!has_date)
        at = put_field(at, &(struct field){SLICE("Date"), f->date});
    if (f->content_length >= 0) {
        at = put(at, SLICE(LENGTH));
        at = put_decimal(at, (uint64_t)f->content_length);
        at = put(at, SLICE("\r\n"));
    }
    if (f->chunked)
        at = put(at, SLICE(CHUNKED));
    if (f->close)
        at = put(at, SLICE(CLOSE));
    if (f->keep_alive)
        at = put(at, SLICE(KEEP_ALIVE));
    if (f->upgrade)
        at = put(at, SLICE(UPGRADE));
    at = put(at, SLICE("\r\n"));
    buf_commit(out, (size_t)(at - start));
    return 0;
}

void http1_out_begin(struct http1_out *o, struct stream *s)
{
    o->s = s;
    o->state = HTTP1_HEAD;
    o->cut = false;
}

void http1_out_end(struct http1_out *o)
{
    o->s = NULL;
    o->state = HTTP1_IDLE;
}

int http1_out_head(struct http1_out *o, const struct response *r, const struct http1_framing *f)
{
    int rc = put_head(&o->wire, r, f);

    if (rc < 0)
        return rc;
    o->state = HTTP1_BODY;
    o->bodyless = f->bodyless;
    o->chunks = f->chunked;
    return 0;
}

int http1_out_interim(struct http1_out *o, int status, const struct field *fields,
                      size_t n_fields)
{
    struct slice reason = http_reason(status);

    if (o->state != HTTP1_HEAD)
        return 0;
    uint8_t *start = buf_reserve(&o->wire, FIXED + reason.n + fields_size(fields, n_fields));
    if (!start)
        return GW_ENO_MEMORY;
    uint8_t *at = put_status(start, status, reason);
    for (size_t i = 0; i < n_fields; i++)
        at = put_field(at, &fields[i]);
    at = put(at, SLICE("\r\n"));
    buf_commit(&o->wire, (size_t)(at - start));
    return 0;
}

/* ---- on the way ---- */

static void note_done(struct http1_out *o)
{
    o->state = HTTP1_DONE;
    o->chunks = false;
    buf_fini(&o->wire); /* an idle connection holds no memory it can do without */
    o->s->out.closed = true;
    stream_event_locked(o->s, STREAM_EV_CLOSED);
}

static void check_done(struct http1_out *o)
{
    if (o->state != HTTP1_BODY || buf_len(&o->wire) || o->s->out.body.n || o->s->out.file_left)
        return;
    if (o->cut || (o->s->out.eof && !o->chunks))
        note_done(o);
}

static size_t produce_wire(struct http1_out *o, uint8_t *dst, size_t cap)
{
    size_t n = buf_len(&o->wire) < cap ? buf_len(&o->wire) : cap;

    if (n) {
        memcpy(dst, buf_at(&o->wire), n);
        buf_drop(&o->wire, n);
    }
    return n;
}

static size_t produce_body(struct http1_out *o, uint8_t *dst, size_t cap)
{
    struct stream_out *out = &o->s->out;
    size_t n = chain_take(&out->body, dst, cap);

    if (n)
        stream_out_took_locked(o->s, n);
    if (n < cap && o->reads && out->body.n == 0 && out->file_left) {
        size_t got = stream_file_read_locked(o->s, dst + n, cap - n);
        if (got)
            stream_file_took_locked(o->s, got, 0);
        n += got;
    }
    return n;
}

/* RFC 9112 7.1: a size in hexadecimal and its line end. */
static size_t put_size(uint8_t *dst, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    int shift = 28;

    while (shift > 0 && size >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        dst[n++] = (uint8_t)digits[size >> shift & 0xf];
    dst[n++] = '\r';
    dst[n++] = '\n';
    return n;
}

/* One chunk of all there is room for, and the last one if the body ends with it. */
static size_t produce_chunks(struct http1_out *o, uint8_t *dst, size_t cap)
{
    const struct stream_out *out = &o->s->out;
    size_t n = 0;

    if (out->body.n && cap > CHUNK_FRAME) {
        size_t room = cap - CHUNK_FRAME;
        size_t size = out->body.n < room ? out->body.n : room;
        n = put_size(dst, size);
        n += produce_body(o, dst + n, size);
        dst[n++] = '\r';
        dst[n++] = '\n';
    }
    if (out->eof && !o->cut && out->body.n == 0 && cap - n >= sizeof(LAST_CHUNK) - 1) {
        memcpy(dst + n, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
        n += sizeof(LAST_CHUNK) - 1;
        o->chunks = false;
    }
    return n;
}

size_t http1_out_produce(struct http1_out *o, uint8_t *dst, size_t cap)
{
    if (cap > INT32_MAX)
        cap = INT32_MAX; /* so that CHUNK_FRAME's digits do */
    size_t n = produce_wire(o, dst, cap);
    if (o->state == HTTP1_BODY && buf_len(&o->wire) == 0) {
        if (o->chunks)
            n += produce_chunks(o, dst + n, cap - n);
        else
            n += produce_body(o, dst + n, cap - n);
    }
    check_done(o);
    return n;
}

bool http1_out_wants(const struct http1_out *o)
{
    if (buf_len(&o->wire))
        return true;
    return o->state == HTTP1_BODY &&
           (o->s->out.body.n || o->s->out.file_left || (o->chunks && o->s->out.eof && !o->cut));
}

void http1_out_body_ready(struct http1_out *o)
{
    if (o->state != HTTP1_BODY)
        return;
    size_t n = o->s->out.body.n;
    if (o->bodyless && n) {
        chain_fini(&o->s->out.body);
        stream_out_took_locked(o->s, n);
    }
    check_done(o); /* an end that needs no byte on the wire */
}

bool http1_out_file(const struct http1_out *o, struct file_piece *ret_piece)
{
    if (o->reads || o->state != HTTP1_BODY || buf_len(&o->wire) || o->s->out.body.n ||
        !o->s->out.file_left)
        return false;
    const struct stream_out *out = &o->s->out;
    int64_t most = FILE_PIECE - out->file_at % FILE_PIECE;
    *ret_piece = (struct file_piece){
        .file = open_file_ref(out->file),
        .at = out->file_at,
        .n = (size_t)(out->file_left < most ? out->file_left : most),
    };
    return true;
}

/* Meanwhile the stream may have gone, or have been cut. */
void http1_out_file_sent(struct http1_out *o, const struct open_file *f, size_t n, int err)
{
    if (!o->s || o->s->out.file != f || !o->s->out.file_left)
        return;
    stream_file_took_locked(o->s, n, err);
    check_done(o);
}

bool http1_out_cut(struct http1_out *o)
{
    if (o->state == HTTP1_BODY) {
        o->cut = true;
        o->s->out.file_left = 0;
    } else if (o->state == HTTP1_HEAD)
        note_done(o);
    else
        return false;
    check_done(o);
    return true;
}
