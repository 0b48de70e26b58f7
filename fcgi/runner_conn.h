/*
 * fcgi/runner_conn.h - the FastCGI side of one connection to the runner.
 *
 * Shape    bytes come into the shared input (runner_conn_fill), runner_conn_next turns them
 * into events of the one request that a connection carries at a time; records go out through
 * the queue c->out, in whole records only, so that STDOUT and STDERR never interleave
 * (runner_conn_flush)
 *
 *              BEGIN .. PARAMS .. PARAMS(0)    HEAD
 *              STDIN content                   BODY (again and again)
 *              STDIN(0)                        BODY_END
 *              ABORT                           ABORT
 *
 *          Management records, other requests on the connection (CANT_MPX_CONN), other roles
 *          (UNKNOWN_ROLE) and an ABORT before the head is complete are answered here.  Records
 *          of a request that is not there are skipped (FastCGI 3.3), whatever they hold: so the
 *          rest of a body that nobody read is never taken for a new request
 * Threads  one
 * Memory   a connection is embedded; _fini frees what it holds and closes the descriptor
 * Source   FastCGI 1.0, 3.3, 4, 5
 */
#ifndef FCGI_RUNNER_CONN_H
#define FCGI_RUNNER_CONN_H

#include "params.h"
#include "record.h"
#include "runner_env.h"

/*
 * What was read and not yet taken.  One for all connections: only the connection whose request
 * is under way may leave anything in it, and no other one is read before that is over.
 */
struct runner_input {
    size_t off, len; /* unread is data[off..len) */
    uint8_t data[64 * 1024];
};

enum runner_conn_state {
    RUNNER_CONN_IDLE,   /* no request */
    RUNNER_CONN_PARAMS, /* its head is coming in */
    RUNNER_CONN_BODY,   /* head complete, STDIN is coming in */
    RUNNER_CONN_ENDED,  /* STDIN is complete */
};

enum runner_event {
    RUNNER_MORE, /* all input was taken; nothing yet */
    RUNNER_HEAD, /* c->env is complete */
    RUNNER_BODY, /* c->body is a run of the request's body, borrowed from the input */
    RUNNER_BODY_END,
    RUNNER_ABORT,  /* the web server wants no answer any more */
    RUNNER_BROKEN, /* not FastCGI, or out of memory: only closing is left */
};

struct runner_conn {
    int fd;
    struct runner_input *in; /* borrowed */
    struct fcgi_reader reader;
    struct fcgi_params params;   /* FCGI_PARAMS of the request */
    struct fcgi_params values;   /* FCGI_GET_VALUES */
    struct buf values_found;     /* the pairs of its answer */
    uint8_t begin[8], begin_len; /* FCGI_BEGIN_REQUEST's content */
    enum runner_conn_state state;
    uint16_t id;      /* of the request */
    bool keep;        /* FCGI_KEEP_CONN */
    bool over;        /* a request without it has ended: close when all is sent */
    bool unread;      /* the last request was over before its body was */
    bool closing;     /* our side is shut down, the peer's rest is drained */
    bool big_records; /* the last STDIN record was worth a splice */
    struct runner_env env;
    struct slice body;
    struct buf out;
    int64_t since_ms; /* last sign of life, for limits */
};

void runner_conn_init(struct runner_conn *c, int fd, struct runner_input *in);
void runner_conn_fini(struct runner_conn *c);

/* Read once from the socket.  > 0 bytes; 0 end of input; -EAGAIN; another negative errno. */
ssize_t runner_conn_fill(struct runner_conn *c);

/* The next event.  c->body must have been used up before the next call. */
enum runner_event runner_conn_next(struct runner_conn *c);

/* Move body bytes of the present record from the socket straight into pipe_fd, as _fill.
 * _can_splice: whether that is possible now (input empty, content of STDIN comes next) and
 * worth it. */
bool runner_conn_can_splice(const struct runner_conn *c);
ssize_t runner_conn_splice(struct runner_conn *c, int pipe_fd);

/* Send what the socket takes of c->out.  0, or a negative errno: the peer is gone. */
int runner_conn_flush(struct runner_conn *c);

/* Queue data as records of a stream (FCGI_STDOUT, FCGI_STDERR), 0 or GW_ENO_MEMORY. */
int runner_conn_put(struct runner_conn *c, uint8_t type, struct slice data);

/* Room for a record's content of up to max bytes at the end of the queue, or NULL; and the
 * record made of the first len bytes written there (0: none is queued). */
uint8_t *runner_conn_room(struct runner_conn *c, size_t max);
void runner_conn_commit(struct runner_conn *c, uint8_t type, size_t len);

/* Queue the end of the request; the connection is ready for the next one. */
int runner_conn_end(struct runner_conn *c, uint32_t app_status);

#endif
