/*
 * fcgi/pool_priv.h - what pool.c (slots, queue, idle lists), client.c (requests) and
 * client_conn.c (bytes on connections) share.
 *
 * Field keys:  I set when made   m under pool->mu   o the owner loop, while it owns   a atomic
 */
#ifndef FCGI_POOL_PRIV_H
#define FCGI_POOL_PRIV_H

#include <sys/socket.h>

#include "../gateway/buf.h"
#include "client.h"
#include "pool.h"
#include "record.h"

enum {
    REQUEST_ID = 1,         /* one request at a time on a connection */
    STDIN_MARK = 64 * 1024, /* STDIN waiting for the socket; over it the caller waits */
};

enum fcgi_conn_state {
    FC_FREE,       /* on the pool's list of unused structs; fd -1 */
    FC_CONNECTING, /* connect() under way, or to be tried again */
    FC_ACTIVE,     /* a request is on it */
    FC_IDLE,       /* kept; on an idle list */
};

/* A connection to a server.  The struct is never freed before its pool: a worker may hold a
 * stale event for one that another worker took over. */
struct fcgi_conn {
    struct loop_source src;
    struct pool *pool;            /* I */
    struct fcgi_server *server;   /* m  set at grant; o reads */
    _Atomic(struct loop *) owner; /* a  written under mu; an event on another loop is stale */
    atomic_int state; /* a  enum fcgi_conn_state; IDLE is left and entered under mu only */
    struct loop *stolen_from;      /* m  set when taken over: still in that loop's epoll */
    unsigned worker;               /* m  the owner's number, while IDLE */
    struct fcgi_conn *next, *prev; /* m  idle list of its worker, or free list */
    struct fcgi_request *request;  /* o */
    struct fcgi_reader reader;     /* o */
    struct buf end_body;           /* o  END_REQUEST content so far */
    struct buf out;                /* o  records not yet sent; whole ones */
    struct timer timer;            /* o */
    uint32_t events;               /* o  what the loop watches */
    uint64_t since_ms;             /* o  connecting since */
    uint64_t moved_ms;             /* o  last byte in either direction */
    bool watched;                  /* o  in the owner's epoll */
    bool reused;                   /* o  had a request before */
    bool any_input;                /* o  a byte came for this request */
    bool any_stdout;               /* o  a byte of its response did */
    bool send_broken;              /* o  it takes no more; what it answered is still read */
};

struct fcgi_server {
    struct pool *pool; /* I */
    unsigned index;    /* I */
    union {
        struct sockaddr sa;
        struct sockaddr_storage storage;
    } addr;               /* I */
    socklen_t addr_len;   /* I */
    const char *name;     /* I  for the log */
    unsigned max;         /* I  slots of this server */
    unsigned n_in_flight; /* m */
    unsigned n_conns;     /* m  in flight and idle */
    unsigned n_stuck;     /* m  fresh connections without a byte for 50 ms: keep no idle ones */
    bool down;            /* m  its process ended and will not be back at once */
    uint64_t failed_until_ms; /* m  connect failed: others first until then */
    unsigned fail_delay_ms;   /* m */
};

enum request_state {
    REQ_WAITING, /* in the queue */
    REQ_GRANTED, /* has a slot; the message or task that says so is under way, or was read */
    REQ_GONE,    /* aborted while that was under way: passes the grant on */
};

/* How far the request's own loop is with it. */
enum request_phase { PHASE_ASKING, PHASE_READY, PHASE_RUNNING };

struct fcgi_request {
    struct loop_msg msg;                /*    the grant on its way; guarded by REQ_GRANTED */
    struct loop_task task;              /*    the same when the loop is our own */
    struct pool *pool;                  /* I */
    struct loop *loop;                  /* I */
    unsigned worker;                    /* I */
    const struct fcgi_request_ops *ops; /* I  NULL once aborted */
    void *arg;                          /* I */
    enum request_state state;           /* m */
    enum request_phase phase;           /* o */
    struct fcgi_request *next, *prev;   /* m  queue */
    uint64_t seq;                       /* m  age in the queue */
    uint64_t asked_ms, granted_ms;      /* o */
    int refused;                        /* o  gw_err to report instead of a grant */
    struct fcgi_conn *conn;             /* m set at grant, then o */
    struct timer timer;                 /* o  queue_timeout, then the whole request's timeout */
    bool stdin_open;                    /* o  STDIN's end was not sent */
    bool data_open;                     /* o  a filter's DATA's end was not sent */
    bool stdin_blocked;                 /* o  the caller waits for writable, with either */
    bool paused;                        /* o */
    bool aborted;                       /* o  ABORT_REQUEST was sent */
    bool stuck;                         /* m  counted in server->n_stuck */
    uint64_t stdin_total;               /* o  with DATA */
};

/* The requests of one worker that wait, oldest first. */
struct waiters {
    struct fcgi_request *head, *tail; /* m */
    unsigned n_in_flight;             /* m  of this worker */
    unsigned streak;                  /* m  slots it kept to itself in a row */
};

struct pool {
    const struct conf_pool *conf; /* I */
    unsigned n_workers;           /* I */
    struct fcgi_server *servers;  /* I */
    unsigned n_servers;           /* I */
    unsigned max;                 /* I */
    unsigned keepalive;           /* I */
    uint64_t tick_ms;             /* I  the shortest of the connections' times */
    struct lock mu;
    struct waiters *waiters;                 /* m  [n_workers] */
    struct fcgi_conn **idle;                 /* m  [n_workers], last used first */
    struct fcgi_conn *free_conns;            /* m */
    struct fcgi_conn **all_conns;            /* m  every struct ever made, for pool_free */
    unsigned n_all, cap_all;                 /* m */
    unsigned n_in_flight, n_waiting, n_idle; /* m */
    unsigned cursor;                         /* m  round robin over servers */
    unsigned n_up;                           /* m  servers not down */
    uint64_t seq;                            /* m */
    uint64_t last_wait_ms;                   /* m  of the last granted waiter */
    struct pool_stats stats;                 /* m */
};

/* Is there something of the request that the server still has to be told? */
static inline bool fcgi_request_speaks(const struct fcgi_request *r)
{
    return r->stdin_open || r->data_open;
}

/* ---- pool.c for client.c ---- */

/* Take a slot or queue up.  1: r->conn is set (kept, or fd -1 to be connected), state
 * GRANTED; 0: WAITING; < 0: refused. */
int pool_ask(struct pool *p, struct fcgi_request *r);

/* r leaves the queue.  false: it was granted meanwhile, and the grant is on its way: a
 * client that is gone makes it GONE, to be passed on; one that only waited too long uses it. */
enum pool_leaving { POOL_CLIENT_GONE, POOL_TIMED_OUT };
bool pool_leave(struct pool *p, struct fcgi_request *r, enum pool_leaving why);

/* r's slot comes back.  keep: its connection may be used again; *ret_close says that the
 * pool has no use for it, then the caller closes it and calls pool_conn_closed.  Without keep
 * its descriptor has been closed before.  Returns a waiter of the same worker that now has a
 * grant, or NULL (another worker's got its as a message). */
struct fcgi_request *pool_release(struct pool *p, struct fcgi_request *r, bool keep,
                                  bool *ret_close);

/* fc's descriptor was closed: its struct is free, and its server has room.  Returns as
 * pool_release. */
struct fcgi_request *pool_conn_closed(struct pool *p, struct fcgi_conn *fc, unsigned worker);
void pool_conn_free_locked(struct pool *p, struct fcgi_conn *fc);

/* Take an idle connection of loop off its list, to close it.  false: it is not idle, or not
 * loop's any more. */
bool pool_take_idle(struct pool *p, struct fcgi_conn *fc, struct loop *loop);

/* connect() worked or failed: after a failure other servers are taken first for a while. */
void pool_connected(struct pool *p, struct fcgi_server *sv, bool ok, uint64_t now_ms);

/* r's fresh connection had no byte for 50 ms: idle connections of its server may pin the
 * thread or child that should accept it, so they are closed and none is kept until r had an
 * answer (THREADS.md, rule 6). */
void pool_mark_stuck(struct pool *p, struct fcgi_request *r, bool stuck);

/* ---- client.c for the others ---- */

void fcgi_request_granted_msg(struct loop *l, struct loop_msg *msg);

/* r is over: its slot goes back, it is freed, and its owner, if it has one, hears of it. */
void fcgi_request_fail(struct fcgi_request *r, int err, bool retry);

/* END_REQUEST is whole, in conn->end_body; r is over.  more: bytes follow it. */
void fcgi_request_ended(struct fcgi_request *r, bool more);

/* A connection struct whose descriptor is closed goes back to its pool. */
void fcgi_conn_give_back(struct fcgi_conn *fc, unsigned worker);

/* ---- client_conn.c for the others; the owner's thread ---- */

void fcgi_conn_event(struct loop *l, struct loop_source *src, uint32_t events);
void fcgi_conn_timer(struct loop *l, struct timer *t);
void fcgi_conn_close_fd(struct fcgi_conn *fc); /* not from its epoll: the kernel does that */

/* What its request waits for now: output to read, room to write. */
void fcgi_conn_rewatch(struct fcgi_conn *fc);
void fcgi_conn_watch(struct fcgi_conn *fc, uint32_t events);
void fcgi_conn_drop(
    struct fcgi_conn *fc); /* close it; the struct is for fcgi_conn_give_back or pool_release */

/* out holds the head of fc->request: send it, connecting first where that must be.
 * idempotent: a kept connection need not be looked at before.  The request may be over
 * afterwards. */
void fcgi_conn_start(struct fcgi_conn *fc, bool idempotent);

/* The end of STDIN and DATA is in out: send it; what the server owes now is an answer. */
void fcgi_conn_said_all(struct fcgi_conn *fc);

/* Send what is in out. */
void fcgi_conn_flush(struct fcgi_conn *fc);

#endif
