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

struct fcgi_request_ops {
    void (*granted)(void *arg);
    void (*stdout_bytes)(void *arg, const uint8_t *p, size_t n);
    void (*stderr_bytes)(void *arg, const uint8_t *p, size_t n);
    void (*writable)(void *arg);
    void (*end)(void *arg, uint32_t app_status);
    /* retry: nothing of a response came back, so the same request may be sent to another
     * server if it is idempotent. */
    void (*error)(void *arg, int err, bool retry);
};

/* NULL: memory is out.  worker is the loop's number. */
struct fcgi_request *fcgi_request_new(struct pool *pool, struct loop *loop, unsigned worker,
                                      const struct fcgi_request_ops *ops, void *arg);

/*
 * Send BEGIN_REQUEST and the pairs in params (params.h).  role: FCGI_RESPONDER, FCGI_AUTHORIZER
 * or FCGI_FILTER; for a filter DATA follows the end of STDIN (FastCGI 6.4).  idempotent: may go
 * on a kept connection without looking whether it is still open.  body: STDIN follows; else its
 * end is sent along.
 */
void fcgi_request_begin(struct fcgi_request *r, uint16_t role, const struct buf *params,
                        bool idempotent, bool body);

/* Hand in STDIN: takes what fits from the front of from and says how much; what is left
 * waits for writable.  Nothing is taken before a connection is there. */
size_t fcgi_request_stdin(struct fcgi_request *r, struct chain *from);
void fcgi_request_stdin_end(struct fcgi_request *r);

/* A filter's: the same for DATA, once the end of STDIN was handed in. */
size_t fcgi_request_data(struct fcgi_request *r, struct chain *from);
void fcgi_request_data_end(struct fcgi_request *r);

/* Stop and go on reading the application's output. */
void fcgi_request_pause(struct fcgi_request *r);
void fcgi_request_resume(struct fcgi_request *r);

void fcgi_request_abort(struct fcgi_request *r);

/* Milliseconds spent waiting for the slot. */
uint64_t fcgi_request_waited_ms(const struct fcgi_request *r);

#endif
