/*
 * What a request says: its head, STDIN and DATA, ABORT_REQUEST, in whole records behind those of
 * the others on its connection.
 *
 * With one that has more to say, as much goes into the connection's buffer as it takes.  With
 * several each puts a record in turn, so that no body holds up another.
 */
#include <assert.h>
#include <fastcgi.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "params.h"
#include "pool_priv.h"

enum {
    STDIN_RECORD =
        32 * 1024, /* a chunk of 64 KiB gives two records, not a large one and one of a byte */
    ASKED_MAX = 3, /* a server that does not answer GET_VALUES is asked so often */
};

/* ---- the head ---- */

/* In front of a fresh connection's first request, so that it costs no connection of its own;
 * and not of one that could not be sent again should the server close for that. */
static bool asks_values(const struct fcgi_request *r, bool safe)
{
    const struct fcgi_conn *fc = r->conn;
    struct fcgi_server *sv = fc->server;

    if (!fc->pool->conf->multiplex || !safe || fc->src.fd >= 0 || fc->ids.n_used > 1 ||
        atomic_load_explicit(&sv->has_answered, memory_order_relaxed))
        return false;
    return atomic_fetch_add_explicit(&sv->n_asked, 1, memory_order_relaxed) < ASKED_MAX;
}

/* Is the server to keep the connection behind r?  A shared one always: to close it behind one
 * request would end the others, so that is left to us. */
static bool asks_to_keep(const struct fcgi_conn *fc)
{
    return fc->pool->keepalive > 0 && (fc->ids.n || !fc->ending);
}

int fcgi_put_head(struct fcgi_request *r, uint16_t role, const struct buf *params, bool body,
                  bool idempotent)
{
    struct buf *out = &r->conn->out;
    size_t before = buf_len(out);
    uint8_t record[16];

    if (asks_values(r, idempotent && !body)) {
        if (fcgi_values_ask(out) < 0)
            return GW_ENO_MEMORY;
        r->conn->asked = true;
    }
    fcgi_begin_request(record, r->id, role, asks_to_keep(r->conn));
    if (buf_append(out, record, 16) < 0 ||
        fcgi_params_records(out, r->id, buf_at(params), buf_len(params)) < 0)
        goto no_memory;
    if (body)
        return 0;
    fcgi_record_header(record, FCGI_STDIN, r->id, 0, 0);
    if (buf_append(out, record, FCGI_RECORD_HEADER) == 0)
        return 0;
no_memory:
    out->len = out->off + before;
    return GW_ENO_MEMORY;
}

void fcgi_put_abort(struct fcgi_request *r)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t record[FCGI_RECORD_HEADER];

    fcgi_record_header(record, FCGI_ABORT_REQUEST, r->id, 0, 0);
    if (!fc->send_broken && buf_append(&fc->out, record, sizeof(record)) == 0)
        fcgi_conn_push(fc);
}

/* ---- STDIN and DATA ---- */

static void request_block(struct fcgi_request *r, bool blocked)
{
    if (r->stdin_blocked != blocked)
        r->conn->n_blocked += blocked ? 1 : -1u;
    r->stdin_blocked = blocked;
}

/* May r put another record now?  Beside others once a turn. */
static bool request_may_put(const struct fcgi_request *r)
{
    const struct fcgi_conn *fc = r->conn;

    return buf_len(&fc->out) < STDIN_MARK && (fc->n_speaking < 2 || !r->had_turn);
}

static size_t put_stream(struct fcgi_request *r, uint8_t type, struct chain *from)
{
    struct fcgi_conn *fc = r->conn;
    size_t taken = 0;

    /* If no connection can be had the caller still has all of it, for another server. */
    if (!fcgi_conn_is(fc, FC_ACTIVE)) {
        request_block(r, from->n > 0);
        return 0;
    }
    while (from->n && request_may_put(r)) {
        struct slice s = chain_front(from);
        uint8_t header[FCGI_RECORD_HEADER];
        if (s.n > STDIN_RECORD)
            s.n = STDIN_RECORD;
        fcgi_record_header(header, type, r->id, (uint16_t)s.n, 0);
        if (!fc->send_broken) { /* else nobody reads it any more: dropped */
            if (!buf_reserve(&fc->out, sizeof(header) + s.n))
                break;
            buf_append(&fc->out, header, sizeof(header));
            buf_append(&fc->out, s.p, s.n);
        }
        chain_drop(from, s.n);
        taken += s.n;
        r->had_turn = true;
    }
    r->stdin_total += taken;
    r->moved_ms = loop_now_ms(r->loop);
    if (from->n)
        request_block(r, true);
    if (taken || from->n)
        fcgi_conn_push(fc);
    return taken;
}

/* The empty record that ends a stream. */
static bool put_end(struct fcgi_request *r, uint8_t type)
{
    struct fcgi_conn *fc = r->conn;
    uint8_t header[FCGI_RECORD_HEADER];

    fcgi_record_header(header, type, r->id, 0, 0);
    return !fc->send_broken && buf_append(&fc->out, header, sizeof(header)) == 0;
}

/* One of r's streams ended. */
static void request_said(struct fcgi_request *r, bool put)
{
    struct fcgi_conn *fc = r->conn;

    r->moved_ms = loop_now_ms(r->loop);
    if (fcgi_request_speaks(r)) /* a filter's DATA follows, and goes along */
        return;
    fc->n_speaking--;
    if (put && fcgi_conn_is(fc, FC_ACTIVE))
        fcgi_conn_said_all(fc);
}

size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from)
{
    return put_stream(r, FCGI_STDIN, from);
}

/* On a unix socket what lies in the server's queue, on TCP what its kernel has not got. */
size_t fcgi_request_unread(const struct fcgi_request *r)
{
    int queued;

    if (!fcgi_conn_is(r->conn, FC_ACTIVE) || ioctl(r->conn->src.fd, SIOCOUTQ, &queued) < 0)
        return SIZE_MAX;
    return buf_len(&r->conn->out) + (size_t)queued;
}

void fcgi_request_stdin_end(struct fcgi_request *r)
{
    if (!r->stdin_open)
        return;
    r->stdin_open = false;
    request_said(r, put_end(r, FCGI_STDIN));
}

size_t fcgi_request_data(struct fcgi_request *r, struct chain *from)
{
    assert(!r->stdin_open); /* FastCGI 6.4: first STDIN to its end */
    return put_stream(r, FCGI_DATA, from);
}

void fcgi_request_data_end(struct fcgi_request *r)
{
    if (!r->data_open)
        return;
    r->data_open = false;
    request_said(r, put_end(r, FCGI_DATA));
}

void fcgi_request_hush(struct fcgi_request *r, bool tell)
{
    struct fcgi_conn *fc = r->conn;

    request_block(r, false);
    if (!fcgi_request_speaks(r))
        return;
    fc->n_speaking--;
    if (tell && r->stdin_open)
        put_end(r, FCGI_STDIN);
    if (tell && r->data_open)
        put_end(r, FCGI_DATA);
    r->stdin_open = r->data_open = false;
    if (tell)
        fcgi_conn_push(fc);
}

/* ---- turns ---- */

/* The next that waits, behind the one that had the last turn. */
static struct fcgi_request *next_blocked(struct fcgi_conn *fc)
{
    for (int round = 0; round < 2; round++) {
        struct fcgi_request *r;
        while ((r = fcgi_ids_next(&fc->ids, &fc->turn))) {
            if (r->stdin_blocked)
                return r;
        }
        fc->turn = 0;
    }
    return NULL;
}

bool fcgi_conn_give_turns(struct fcgi_conn *fc)
{
    unsigned tenure = fcgi_conn_tenure(fc);

    for (unsigned n = fc->n_blocked; n && buf_len(&fc->out) < STDIN_MARK / 2; n--) {
        struct fcgi_request *r = next_blocked(fc);
        if (!r)
            break;
        request_block(r, false);
        r->had_turn = false;
        if (r->ops)
            r->ops->writable(r->arg);
        if (fcgi_conn_tenure(fc) != tenure)
            return false;
    }
    return true;
}
