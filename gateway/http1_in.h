/*
 * gateway/http1_in.h - what a client sends over HTTP/1.1, made into requests and their bodies,
 * one request at a time; and the state that this shares with http1.c, which moves a connection
 * from one request to the next and answers.  Only http1*.c include it.
 *
 * Result   0, or a gw_err that ends the connection
 * Threads  worker, without the connection's lock
 * Memory   struct http1 dies with its connection; input that cannot be taken yet is copied to
 *          h->in
 * Source   RFC 9112 2.2, 6.3, 7.1
 */
#ifndef GATEWAY_HTTP1_IN_H
#define GATEWAY_HTTP1_IN_H

#include "conn.h"
#include "h1chunk.h"
#include "h1parse.h"
#include "http1_out.h"

/* What the next byte of input is. */
enum http1_in_state {
    IN_HEAD,    /* of a request head, or silence */
    IN_LENGTH,  /* of a body of body_left more bytes */
    IN_CHUNKED, /* of a chunked body */
    IN_RAW,     /* a tunnel's, to the connection's end */
    IN_WAIT,    /* the request is complete: the next one waits for its response */
    IN_DROP,    /* nobody's: nothing more is read from this client */
    N_IN_STATES
};

/* Field keys: o worker only   m under c->mu   om written by the worker under it, so that the
 * worker may read it without */
struct http1 {
    struct stream *s;             /* o   the request under way; NULL: none */
    struct h1_head head;          /* o   of the request under way or being received */
    struct h1_chunked chunked;    /* o */
    uint64_t body_left;           /* o */
    struct buf in;                /* o   input not yet parsed: half a head, or later requests */
    enum http1_in_state in_state; /* o */
    int32_t last_id;              /* o */
    int reset_err;                /* o   why s was given up; 0 */
    bool keep;                    /* o   another request may follow this one */
    bool is_head;      /* o   asked by HEAD, whatever the method becomes on the way */
    bool continue_due; /* o   the client may be waiting for leave to send the body */
    bool shutdown;     /* o   this request is the last */
    bool ended;        /* o   conn_end was called */
    bool eof;          /* o   the client closed its side */
    bool paused;       /* o */

    bool half_head;       /* om  a head has begun: the connection is not idle */
    struct http1_out out; /* m */
};

static inline struct http1 *http1_of(const struct conn *c)
{
    return c->proto_state;
}

/* The next byte is the first of a head. */
void http1_in_next_head(struct conn *c);

/* As much of p[0..n) as can be taken now: up to the end of the request under way. */
int http1_in_take(struct conn *c, const uint8_t *p, size_t n, size_t *ret_used);
/* The same of h->in. */
int http1_in_take_waiting(struct conn *c);

/* No message ends where we could say so: answer err, and read no more (RFC 9112 2.2, 11.2).
 * p[0..h->head.at) is what came of the head. */
int http1_in_bad_head(struct conn *c, const uint8_t *p, int err);

/* Is there more of the request's body than is worth reading just to get behind it?  A client
 * that waits for leave may never send it, and its next request would be taken for it. */
bool http1_in_rest_too_long(const struct http1 *h);

#endif
