/*
 * What comes from a server: records, and whose they are.
 */
#include <assert.h>
#include <errno.h>
#include <fastcgi.h>

#include "../gateway/log.h"
#include "pool_priv.h"

enum { END_BODY_MAX = 64 /* more than the 8 bytes that it has are no END_REQUEST */ };

/* FastCGI 4: records that are no request's.  One that nobody asked for is passed over. */
static void take_management(struct fcgi_conn *fc, const struct fcgi_piece *piece)
{
    struct fcgi_values values;

    if (!fc->asked)
        return;
    if (piece->type == FCGI_UNKNOWN_TYPE && piece->end) { /* FastCGI 4.2 */
        fc->asked = false;
        pool_server_says(fc->server, NULL);
    }
    if (piece->type == FCGI_GET_VALUES_RESULT) {
        if (fcgi_values_feed(&fc->values, piece->content, piece->len) < 0) {
            fc->asked = false;
            return;
        }
        if (!piece->end)
            return;
        fc->asked = false;
        if (fcgi_values_end(&fc->values, &values) == 0)
            pool_server_says(fc->server, &values);
        fcgi_conn_widen(fc);
        fcgi_conn_share(fc);
    }
    unsigned at = 0;
    struct fcgi_request *r = fcgi_ids_next(&fc->ids, &at);
    if (!fc->asked && r && r->asks_values)
        fcgi_request_values(r);
}

static bool take_end(struct fcgi_request *r, const struct fcgi_piece *piece)
{
    for (size_t i = 0; i < piece->len; i++) {
        if (r->n_end_body < sizeof(r->end_body))
            r->end_body[r->n_end_body] = piece->content[i];
        if (++r->n_end_body > END_BODY_MAX)
            return false;
    }
    return true;
}

/* Of an id without a request: of one that is over it may still come, anything else is nobody's.
 */
static bool may_be_late(bool late, uint8_t type)
{
    return late && (type == FCGI_STDOUT || type == FCGI_STDERR || type == FCGI_END_REQUEST);
}

void fcgi_conn_said_more(struct fcgi_conn *fc, const char *then)
{
    /* On a shared one that is what follows an abort. */
    if (!fc->said_more && !fc->ids.n)
        log_line(CONF_LOG_WARN, "pool=%s server=%s says more of a request that is over: %s",
                 fc->pool->conf->name, fc->server->name, then);
    fc->said_more = true;
}

/* The record's content, or some of it.  more: bytes follow it. */
static void take_piece(struct fcgi_conn *fc, const struct fcgi_piece *piece, bool more)
{
    bool late;
    struct fcgi_request *r = fcgi_ids_find(&fc->ids, piece->id, &late);

    if (!r) {
        unsigned at = 0;
        if (may_be_late(late, piece->type))
            fcgi_conn_said_more(fc, "dropped");
        else
            fcgi_conn_fail(fc, GW_EFCGI_PROTO, FCGI_RETRY_IDEMPOTENT,
                           fc->ids.n_used == 1 ? fcgi_ids_next(&fc->ids, &at) : NULL);
        return;
    }
    if (!r->any_input && (r->stuck || r->probe || r->starts))
        pool_request_answers(r->pool, r);
    r->any_input = true;
    if (!r->aborted)
        r->moved_ms = loop_now_ms(r->loop);
    switch (piece->type) {
    case FCGI_STDOUT:
        r->any_stdout |= piece->len > 0;
        if (r->ops && piece->len)
            r->ops->stdout_bytes(r->arg, piece->content, piece->len);
        return;
    case FCGI_STDERR:
        if (r->ops && piece->len)
            r->ops->stderr_bytes(r->arg, piece->content, piece->len);
        return;
    case FCGI_END_REQUEST:
        if (!take_end(r, piece))
            break;
        if (!piece->end)
            return;
        if (more)
            fcgi_conn_said_more(fc, "connection closed");
        fcgi_request_ended(r, more);
        return;
    default:
        break;
    }
    fcgi_conn_fail(fc, GW_EFCGI_PROTO, FCGI_RETRY_IDEMPOTENT, r);
}

/* Padding behind the last record is the reader's before its request ends: then the connection
 * may be another's. */
static size_t take_padding(struct fcgi_conn *fc, const uint8_t *p, size_t n)
{
    struct fcgi_piece none;

    if (n == 0 || n > fc->reader.padding_left)
        return n;
    ssize_t rc = fcgi_reader_next(&fc->reader, p, n, &none);
    assert(rc == 0);
    (void)rc;
    return 0;
}

static void take_bytes(struct fcgi_conn *fc, const uint8_t *p, size_t n)
{
    struct fcgi_piece piece;
    unsigned tenure = fcgi_conn_tenure(fc);

    while (n) {
        ssize_t used = fcgi_reader_next(&fc->reader, p, n, &piece);
        if (used == 0)
            return;
        if (used < 0) {
            unsigned at = 0;
            fcgi_conn_fail(fc, GW_EFCGI_PROTO, FCGI_RETRY_IDEMPOTENT,
                           fc->ids.n_used == 1 ? fcgi_ids_next(&fc->ids, &at) : NULL);
            return;
        }
        p += used;
        n -= (size_t)used;
        if (piece.end)
            n = take_padding(fc, p, n);
        if (piece.id == 0)
            take_management(fc, &piece);
        else
            take_piece(fc, &piece, n > 0);
        if (fcgi_conn_tenure(fc) != tenure)
            return;
    }
}

void fcgi_conn_read(struct loop *l, struct fcgi_conn *fc)
{
    uint8_t *scratch = loop_scratch(l);

    /* Once an event: what was read is sent at the end of the turn, so a response flows
     * through without piling up; epoll says again what is left. */
    ssize_t n = recv(fc->src.fd, scratch, loop_scratch_len(l), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fcgi_conn_fail(fc, GW_EBACKEND_CLOSED, FCGI_RETRY_IDEMPOTENT, NULL);
        return;
    }
    fc->moved_ms = loop_now_ms(l);
    if (!fc->heard && !fc->reused)
        atomic_store_explicit(&fc->server->heard_ms, fc->moved_ms, memory_order_relaxed);
    fc->heard = true;
    take_bytes(fc, scratch, (size_t)n);
}
