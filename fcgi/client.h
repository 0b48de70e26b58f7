/*
 * fcgi/client.h - one request to a FastCGI pool, from asking for a slot to giving it back.
 *
 * Life     fcgi_request_new() asks the pool for a slot at once.  Then, all on the request's
 *          loop and never from inside fcgi_request_new():
 *              granted   a slot is there: call fcgi_request_begin() with the parameters
 *              stdout    response bytes, as they come
 *              stderr    log bytes, as they come
 *              writable  of the STDIN or DATA handed in little is left to be sent: more may
 *                        follow.  Never from inside fcgi_request_stdin() or _data()
 *              end       END_REQUEST came; the request is gone after the call
 *              error     it failed or was refused; the request is gone after the call
 *          fcgi_request_abort() ends it from the caller's side; nothing is called any more.
 *          The slot stays taken until the application is through (END_REQUEST or EOF), at most
 *          abort_timeout (THREADS.md, rule 7).
 * Threads  the loop it was made on
 * Memory   the request belongs to this module; arg must live until end, error or abort
 * Source   FastCGI 1.0, 6
 */
#ifndef FCGI_CLIENT_H
#define FCGI_CLIENT_H

#include "../gateway/buf.h"
#include "../gateway/err.h"
#include "pool.h"

/* May the same request be sent again, to another server? */
enum fcgi_retry {
    FCGI_RETRY_NO,
    FCGI_RETRY_IDEMPOTENT, /* if it is idempotent: nothing of a response came back */
    FCGI_RETRY_UNSENT,     /* whatever it is: nothing of it was sent */
};

/* Who asks, for the fairness of the queue and the choice of the server; all may be 0.  The
 * caller keeps it over all tries of a request, at least until granted, error or abort. */
enum { FCGI_TRIES_MAX = 16 };
struct fcgi_asker {
    uint64_t tenant, client;        /* keys: whose turn it is, and which of its clients' */
    uint64_t balance_key;           /* balance = hash: equal keys go to the same server */
    uint32_t tried[FCGI_TRIES_MAX]; /* servers it was sent to: others are taken first */
    unsigned n_tried;
    uint64_t waited_ms; /* in tries before this one: queue_timeout is for all together */
    bool alone;         /* the request shares no connection: it may be paused at any time */
};

struct fcgi_request_ops {
    void (*granted)(void *arg);
    void (*stdout_bytes)(void *arg, const uint8_t *p, size_t n);
    void (*stderr_bytes)(void *arg, const uint8_t *p, size_t n);
    void (*writable)(void *arg);
    void (*end)(void *arg, uint32_t app_status);
    void (*error)(void *arg, int err, enum fcgi_retry retry);
};

/* NULL: memory is out.  worker is the loop's number.  asker may be NULL. */
struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      struct fcgi_asker *asker,
                                      const struct fcgi_request_ops *ops, void *arg);

/*
 * Send BEGIN_REQUEST and the pairs in params (params.h).  role: FCGI_RESPONDER, FCGI_AUTHORIZER
 * or FCGI_FILTER; for a filter DATA follows the end of STDIN (FastCGI 6.4).  idempotent: may go
 * on a kept connection without looking whether it is still open.  body: STDIN follows; else its
 * end is sent along.
 */
void fcgi_request_begin(struct fcgi_request *r, uint16_t role, const struct buf *params,
                        bool idempotent, bool body);

/*
 * For one that begins with an agreement and goes on with raw bytes both ways (WebSocket).  Behind
 * fcgi_request_begin(): STDIN stays open, but none comes before the application has answered, so
 * that it is the one whose times run.  Once it agreed: all of the pool's times are over, and the
 * caller sees to how long that lasts.
 */
void fcgi_request_upgrade(struct fcgi_request *r);
void fcgi_request_upgraded(struct fcgi_request *r);

/* Hand in STDIN: takes what fits from the front of from and says how much; what is left
 * waits for writable.  Nothing is taken before a connection is there. */
size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from);
void fcgi_request_stdin_end(struct fcgi_request *r);

/* Bytes on r's connection that the server has not read yet, as far as the kernel tells.  A system
 * call. */
size_t fcgi_request_unread(const struct fcgi_request *r);

/* A filter's: the same for DATA, once the end of STDIN was handed in. */
size_t fcgi_request_data(struct fcgi_request *r, struct chain *from);
void fcgi_request_data_end(struct fcgi_request *r);

/* Stop and go on reading the application's output.  false: others share the connection (multiplex
 * = auto), so it goes on; who cannot keep what comes aborts. */
bool fcgi_request_pause(struct fcgi_request *r);
void fcgi_request_resume(struct fcgi_request *r);

void fcgi_request_abort(struct fcgi_request *r);

/*
 * fn is called once, on r's loop, when the application is through with r: before end and error,
 * but after fcgi_request_abort() when it was aborted.  use: what its script used, NULL where that
 * is not known.  To be set between granted and fcgi_request_begin().
 */
typedef void fcgi_report_fn(void *arg, const struct script_use *use);
void fcgi_request_report(struct fcgi_request *r, fcgi_report_fn *fn, void *arg);

/* The same, besides, for a request that is going to be aborted; to be set just before. */
void fcgi_request_given_up(struct fcgi_request *r, fcgi_report_fn *fn, void *arg);

/* Milliseconds spent waiting for the slot. */
uint64_t fcgi_request_waited_ms(const struct fcgi_request *r);

#endif
