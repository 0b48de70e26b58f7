/*
 * gateway/worker.h - one event loop with its connections, and what all connections of it share.
 *
 * Threads  worker_init, _start, _join, _fini: init.  The rest: the worker, but where another is named
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <time.h>

#include "conn.h"
#include "conn_send.h"
#include "encode.h"
#include "log.h"
#include "tls.h"
#include "writer.h"

struct router;
struct gateway;
struct file_cache;
struct spool_budget;
struct clients;
struct window_budget;

/* Field keys: I set at init, o the worker's thread, a atomic */
struct worker {
    unsigned index;                /* I */
    unsigned n_workers;            /* I  all in all */
    struct loop *loop;             /* I */
    pthread_t thread;              /* I */
    const struct conf *conf;       /* I */
    struct gateway *gateway;       /* I */
    struct router *router;         /* I */
    struct writers *writers;       /* I */
    bool writers_always;           /* I  writer = always: every byte goes through the threads */
    struct tls_config *tls;        /* I */
    struct file_cache *files;      /* o  NULL: none is kept open */
    struct spool_budget *spool;    /* I */
    struct window_budget *windows; /* I */
    struct encode_budget *encode;  /* I */
    struct clients *clients;       /* I */
    uint64_t tick_ms;              /* I  half the shortest of the connections' times */
    struct log_batch access;       /* o */
    struct timer access_timer;     /* o */
    struct conn *conns;            /* o */
    struct buf plain;              /* o  decrypted input of one turn */
    struct buf params;             /* o  parameters of the request that is begun */
    struct send_scratch send;      /* o */
    struct encoders encoders;      /* o */
    atomic_uint n_conns;           /* a  relaxed: the acceptor's choice and statistics */
    atomic_uint n_streams;         /* a  relaxed */
    atomic_size_t out_held;        /* a  bytes of output that wait for clients, in streams and
                                   connections; relaxed: a gauge */
    unsigned n_jobs;               /* o  under way on writer threads */
    bool draining;                 /* o */
    bool stopping;   /* o  connections are cut off; the loop ends with the last one */
    time_t date_at;  /* o  Date field, made once a second */
    char date[32];   /* o */
    size_t date_len; /* o */
};

int worker_init(
    struct worker *w); /* fields marked I are set by the caller; 0 or GW_ENO_MEMORY */
int worker_start(struct worker *w); /* its thread; 0 or errno */
void worker_join(struct worker *w);
void worker_fini(struct worker *w);

/* Any thread: take over an accepted socket (copied; its descriptor is the worker's from now
 * on). */
int worker_give(struct worker *w, const struct conn_accepted *a, const uint8_t *first,
                size_t n);
/* Any thread: let connections finish; or cut them off and end the loop. */
void worker_drain(struct worker *w);
void worker_stop(struct worker *w);

/* Jobs under way for this worker: its loop does not end before they are done. */
void worker_job_began(struct worker *w);
void worker_job_ended(struct worker *w);

/* A connection was freed. */
void worker_forget_conn(struct worker *w, struct conn *c);

/* IMF-fixdate of now (RFC 9110 5.6.7), made once per second. */
struct slice worker_date(struct worker *w);

/* One line for a stream that ended. */
void worker_log_access(struct worker *w, const struct stream *s);

/* So much output waits that each response gets less memory: many slow clients at once. */
enum { WORKER_OUT_MANY = 2 * 1024 * 1024 };

static inline bool worker_is_pressed(const struct worker *w)
{
    return atomic_load_explicit(&w->out_held, memory_order_relaxed) > WORKER_OUT_MANY;
}

/* Any lease holder: n more bytes wait, or fewer (a negative number, as size_t). */
static inline void worker_out_held(struct worker *w, size_t n)
{
    atomic_fetch_add_explicit(&w->out_held, n, memory_order_relaxed);
}

static inline struct worker *worker_of(const struct stream *s)
{
    return s->conn->worker;
}

#endif
