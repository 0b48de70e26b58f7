#include "runner_conn.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../gateway/err.h"

enum {
    /* The kernel takes no string of an environment over 128 KiB. */
    PARAM_MAX = 128 * 1024,
    VALUE_MAX = 1024,
    VALUES_FOUND_MAX = 1024,
    /* Below this a splice, which needs a read of its own for the header that follows, costs
     * more than the copy it saves. */
    SPLICE_MIN = 16 * 1024,
};

void runner_conn_init(struct runner_conn *c, int fd, struct runner_input *in)
{
    *c = (struct runner_conn){.fd = fd, .in = in};
    fcgi_params_init(&c->params, PARAM_MAX);
    fcgi_params_init(&c->values, VALUE_MAX);
}

void runner_conn_fini(struct runner_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    fcgi_params_fini(&c->params);
    fcgi_params_fini(&c->values);
    buf_fini(&c->values_found);
    runner_env_fini(&c->env);
    buf_fini(&c->out);
    *c = (struct runner_conn){.fd = -1};
}

/* ---- in ---- */

ssize_t runner_conn_fill(struct runner_conn *c)
{
    struct runner_input *in = c->in;

    if (in->off == in->len)
        in->off = in->len = 0;
    size_t room = sizeof(in->data) - in->len;
    /* Between large records only the header is read: what follows it shall be spliced. */
    if (c->big_records && fcgi_reader_content_left(&c->reader) == 0)
        room = fcgi_reader_wants(&c->reader);
    ssize_t n;
    do {
        n = recv(c->fd, in->data + in->len, room, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    in->len += (size_t)n;
    return n;
}

static bool is_end_of_stream(const struct fcgi_piece *p)
{
    return p->begin && p->end && p->len == 0; /* an empty record, FastCGI 3.3 */
}

static bool is_ours(const struct runner_conn *c, const struct fcgi_piece *p)
{
    return c->state != RUNNER_CONN_IDLE && p->id == c->id;
}

/* The answer to a request that is not run. */
static enum runner_event refuse(struct runner_conn *c, uint16_t id, uint8_t protocol_status)
{
    uint8_t end[16];

    fcgi_end_request(end, id, 0, protocol_status);
    return buf_append(&c->out, end, sizeof(end)) ? RUNNER_BROKEN : RUNNER_MORE;
}

static enum runner_event on_begin(struct runner_conn *c, const struct fcgi_piece *p)
{
    if (p->begin)
        c->begin_len = 0;
    for (size_t i = 0; i < p->len && c->begin_len < sizeof(c->begin); i++)
        c->begin[c->begin_len++] = p->content[i];
    if (!p->end)
        return RUNNER_MORE;
    if (c->begin_len < sizeof(c->begin) || p->id == FCGI_NULL_REQUEST_ID)
        return RUNNER_BROKEN;
    if (c->state != RUNNER_CONN_IDLE)
        return p->id == c->id ? RUNNER_BROKEN : refuse(c, p->id, FCGI_CANT_MPX_CONN);
    c->keep = c->begin[2] & FCGI_KEEP_CONN;
    if (be16_get(c->begin) != FCGI_RESPONDER) { /* 6.2; what follows of it is skipped */
        c->over = !c->keep;
        return refuse(c, p->id, FCGI_UNKNOWN_ROLE);
    }
    c->id = p->id;
    c->state = RUNNER_CONN_PARAMS;
    fcgi_params_clear(&c->params);
    runner_env_clear(&c->env);
    return RUNNER_MORE;
}

static int add_param(void *arg, struct slice name, struct slice value)
{
    return runner_env_add(arg, name, value);
}

static enum runner_event on_params(struct runner_conn *c, const struct fcgi_piece *p)
{
    if (!is_ours(c, p))
        return RUNNER_MORE;
    if (c->state != RUNNER_CONN_PARAMS)
        return RUNNER_BROKEN;
    if (!is_end_of_stream(p)) {
        int err = fcgi_params_feed(&c->params, p->content, p->len, add_param, &c->env);
        return err ? RUNNER_BROKEN : RUNNER_MORE;
    }
    if (fcgi_params_end(&c->params))
        return RUNNER_BROKEN;
    c->state = RUNNER_CONN_BODY;
    return RUNNER_HEAD;
}

static enum runner_event on_stdin(struct runner_conn *c, const struct fcgi_piece *p)
{
    if (!is_ours(c, p) || c->state == RUNNER_CONN_ENDED)
        return RUNNER_MORE;
    if (c->state == RUNNER_CONN_PARAMS)
        return RUNNER_BROKEN;
    if (is_end_of_stream(p)) {
        c->state = RUNNER_CONN_ENDED;
        c->big_records = false;
        return RUNNER_BODY_END;
    }
    if (p->begin)
        c->big_records = p->len + fcgi_reader_content_left(&c->reader) >= SPLICE_MIN;
    c->body = slice_of(p->content, p->len);
    return p->len ? RUNNER_BODY : RUNNER_MORE;
}

static enum runner_event on_abort(struct runner_conn *c, const struct fcgi_piece *p)
{
    if (!is_ours(c, p) || !p->end)
        return RUNNER_MORE;
    if (c->state != RUNNER_CONN_PARAMS)
        return RUNNER_ABORT;
    c->state = RUNNER_CONN_IDLE; /* nothing was started yet */
    c->over = !c->keep;
    return refuse(c, c->id, FCGI_REQUEST_COMPLETE);
}

/* FastCGI 4.1.  One script at a time; connections are kept without limit to it. */
static const struct value_row {
    struct slice name, value;
} value_rows[] = {
    {{FCGI_MAX_CONNS, sizeof(FCGI_MAX_CONNS) - 1}, {"1", 1}},
    {{FCGI_MAX_REQS, sizeof(FCGI_MAX_REQS) - 1}, {"1", 1}},
    {{FCGI_MPXS_CONNS, sizeof(FCGI_MPXS_CONNS) - 1}, {"0", 1}},
};

static int find_value(void *arg, struct slice name, struct slice value)
{
    struct buf *found = arg;

    (void)value;
    for (size_t i = 0; i < sizeof(value_rows) / sizeof(value_rows[0]); i++) {
        if (slice_eq(value_rows[i].name, name) && buf_len(found) < VALUES_FOUND_MAX)
            return fcgi_params_put(found, name, value_rows[i].value);
    }
    return 0;
}

static enum runner_event on_get_values(struct runner_conn *c, const struct fcgi_piece *p)
{
    if (p->begin) {
        fcgi_params_clear(&c->values);
        buf_clear(&c->values_found);
    }
    if (fcgi_params_feed(&c->values, p->content, p->len, find_value, &c->values_found))
        return RUNNER_BROKEN;
    if (!p->end)
        return RUNNER_MORE;
    size_t len = buf_len(&c->values_found);
    uint8_t header[FCGI_RECORD_HEADER];
    fcgi_record_header(header, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, (uint16_t)len, 0);
    if (buf_append(&c->out, header, sizeof(header)))
        return RUNNER_BROKEN;
    if (len && buf_append(&c->out, buf_at(&c->values_found), len))
        return RUNNER_BROKEN;
    return RUNNER_MORE;
}

/* FastCGI 4.2 */
static enum runner_event on_unknown(struct runner_conn *c, const struct fcgi_piece *p)
{
    uint8_t out[FCGI_RECORD_HEADER + 8] = {0};

    if (p->id != FCGI_NULL_REQUEST_ID || !p->end)
        return RUNNER_MORE;
    fcgi_record_header(out, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, 8, 0);
    out[FCGI_RECORD_HEADER] = p->type;
    return buf_append(&c->out, out, sizeof(out)) ? RUNNER_BROKEN : RUNNER_MORE;
}

typedef enum runner_event record_fn(struct runner_conn *c, const struct fcgi_piece *p);

static record_fn *const on_record[FCGI_MAXTYPE + 1] = {
    [FCGI_BEGIN_REQUEST] = on_begin,   [FCGI_ABORT_REQUEST] = on_abort,
    [FCGI_PARAMS] = on_params,         [FCGI_STDIN] = on_stdin,
    [FCGI_GET_VALUES] = on_get_values,
};

/* A peer that asks and never reads the answers. */
static bool is_flooding(const struct runner_conn *c)
{
    enum { ANSWERS_MAX = 1024 * 1024 };
    return buf_len(&c->out) > ANSWERS_MAX;
}

enum runner_event runner_conn_next(struct runner_conn *c)
{
    struct runner_input *in = c->in;
    struct fcgi_piece p;

    while (in->off < in->len) {
        ssize_t n = fcgi_reader_next(&c->reader, in->data + in->off, in->len - in->off, &p);
        if (n < 0)
            return RUNNER_BROKEN;
        if (n == 0) {
            in->off = in->len;
            return RUNNER_MORE;
        }
        in->off += (size_t)n;
        record_fn *fn = p.type <= FCGI_MAXTYPE ? on_record[p.type] : NULL;
        enum runner_event event = fn ? fn(c, &p) : on_unknown(c, &p);
        if (event != RUNNER_MORE)
            return event;
        if (is_flooding(c))
            return RUNNER_BROKEN;
    }
    return RUNNER_MORE;
}

bool runner_conn_can_splice(const struct runner_conn *c)
{
    return c->state == RUNNER_CONN_BODY && c->big_records && c->in->off == c->in->len &&
           fcgi_reader_content_left(&c->reader) > 0;
}

ssize_t runner_conn_splice(struct runner_conn *c, int pipe_fd)
{
    size_t want = fcgi_reader_content_left(&c->reader);
    ssize_t n;

    do {
        n = splice(c->fd, NULL, pipe_fd, NULL, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n > 0)
        fcgi_reader_took(&c->reader, (size_t)n);
    return n;
}

/* ---- out ---- */

int runner_conn_flush(struct runner_conn *c)
{
    while (buf_len(&c->out)) {
        ssize_t n = send(c->fd, buf_at(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
        if (n > 0)
            buf_drop(&c->out, (size_t)n);
        else if (n < 0 && errno == EAGAIN)
            return 0;
        else if (n < 0 && errno != EINTR)
            return -errno;
    }
    return 0;
}

uint8_t *runner_conn_room(struct runner_conn *c, size_t max)
{
    uint8_t *at = buf_reserve(&c->out, FCGI_RECORD_HEADER + max);

    return at ? at + FCGI_RECORD_HEADER : NULL;
}

void runner_conn_commit(struct runner_conn *c, uint8_t type, size_t len)
{
    if (len == 0)
        return; /* an empty record would end the stream */
    fcgi_record_header(c->out.data + c->out.len, type, c->id, (uint16_t)len, 0);
    buf_commit(&c->out, FCGI_RECORD_HEADER + len);
}

int runner_conn_put(struct runner_conn *c, uint8_t type, struct slice data)
{
    while (data.n) {
        size_t n = data.n < FCGI_RECORD_CONTENT_MAX ? data.n : FCGI_RECORD_CONTENT_MAX;
        uint8_t *at = runner_conn_room(c, n);
        if (!at)
            return GW_ENO_MEMORY;
        memcpy(at, data.p, n);
        runner_conn_commit(c, type, n);
        data = slice_from(data, n);
    }
    return 0;
}

int runner_conn_end(struct runner_conn *c, uint32_t app_status)
{
    uint8_t out[FCGI_RECORD_HEADER + 16];

    fcgi_record_header(out, FCGI_STDOUT, c->id, 0, 0); /* FastCGI 3.3, appendix B */
    fcgi_end_request(out + FCGI_RECORD_HEADER, c->id, app_status, FCGI_REQUEST_COMPLETE);
    c->unread = c->state != RUNNER_CONN_ENDED;
    c->state = RUNNER_CONN_IDLE;
    c->over = !c->keep;
    c->big_records = false;
    return buf_append(&c->out, out, sizeof(out));
}
