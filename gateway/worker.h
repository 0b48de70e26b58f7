/*
 * gateway/worker.h - one event loop with its connections, and what all connections of it share.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "conn.h"
#include "log.h"
#include "tls.h"
#include "writer.h"

struct router;
struct gateway;
struct spool_budget;

/* Field keys: I set at init, o the worker's thread, a atomic */
struct worker {
    unsigned index;                 /* I */
    struct loop *loop;              /* I */
    pthread_t thread;               /* I */
    const struct conf *conf;        /* I */
    struct gateway *gateway;        /* I */
    struct router *router;          /* I */
    struct writers *writers;        /* I */
    struct tls_config *tls;         /* I */
    struct log_batch access;        /* o */
    struct loop_task access_task;   /* o */
    struct timer access_timer;      /* o */
    struct conn *conns;             /* o */
    uint8_t *scratch;               /* o  64 KiB for reads */
    struct buf plain;               /* o  decrypted input of one turn */
    atomic_uint n_conns, n_streams; /* a  relaxed: the acceptor's choice and statistics */
    bool draining;                  /* o */
    time_t date_at;                 /* o  Date field, made once a second */
    char date[32];                  /* o */
    size_t date_len;                /* o */
};

enum { WORKER_SCRATCH = 64 * 1024 };

/* IMF-fixdate of now (RFC 9110 5.6.7), made once per second. */
struct slice worker_date(struct worker *w);

static inline struct worker *worker_of(const struct stream *s)
{
    return s->conn->worker;
}

#endif
