/*
 * gateway/http1_out.h - the response on its way out over HTTP/1.1: head, then body plain, in
 * chunks or not at all.  Memory work only.
 *
 * Life     IDLE -begin-> HEAD -head-> BODY -produce/body_ready-> DONE -end-> IDLE; cut leads
 *          from HEAD and BODY to DONE.  DONE notes STREAM_EV_CLOSED, once
 * Result   0, or GW_ENO_MEMORY with nothing changed
 * Threads  all under the connection's lock, by the worker or the lease holder.  A zeroed struct
 *          is idle
 * Source   RFC 9112 4 to 7; RFC 9110 6.6.1 (Date), 10.2.4 (Server), 15.2 (1xx)
 */
#ifndef GATEWAY_HTTP1_OUT_H
#define GATEWAY_HTTP1_OUT_H

#include "conn_file.h"
#include "stream.h"

enum http1_out_state {
    HTTP1_IDLE, /* no stream */
    HTTP1_HEAD, /* its final head is awaited; interim ones may go */
    HTTP1_BODY, /* body as it comes */
    HTTP1_DONE, /* all of it was produced, or given up */
};

/* Field key: m under conn->mu, all of it. */
struct http1_out {
    struct stream *s;           /* m */
    struct buf wire;            /* m  heads not yet produced */
    enum http1_out_state state; /* m */
    bool bodyless;              /* m  HEAD, 204, 304: nothing follows the head */
    bool cut;                   /* m  what came so far is all: no end is owed */
    bool chunks;                /* m  the body goes in chunks, and the last is still owed */
    bool reads;                 /* I  a file's bytes are produced: no socket can take them as
                                      they are */
};

/* What the connection adds to a response's own fields. */
struct http1_framing {
    int64_t content_length; /* -1: no such field */
    bool bodyless;          /* HEAD, 204, 304 */
    bool chunked;           /* Transfer-Encoding: chunked */
    bool close;             /* Connection: close */
    bool keep_alive;        /* Connection: keep-alive, for HTTP/1.0 */
    bool upgrade;           /* Connection: Upgrade, to websocket */
    struct slice date;      /* Date, unless the response has one */
};

void http1_out_begin(struct http1_out *o, struct stream *s);

/* The final head.  Its status line says HTTP/1.1 to whomever it goes (RFC 9110 2.5). */
int http1_out_head(struct http1_out *o, const struct response *r,
                   const struct http1_framing *f);

/* A 1xx head; after the final one it is left out. */
int http1_out_interim(struct http1_out *o, int status, const struct field *fields,
                      size_t n_fields);

/* More body, or its end, is in o->s->out. */
void http1_out_body_ready(struct http1_out *o);

/* Up to cap bytes for the wire; 0 only if http1_out_wants() is false, or has become so with a file
 * whose bytes could not be read here. */
size_t http1_out_produce(struct http1_out *o, uint8_t *dst, size_t cap);
bool http1_out_wants(const struct http1_out *o);

/* What has to go out before produce() gives more is bytes of a file: as proto->file_next and
 * file_sent say (conn.h). */
bool http1_out_file(const struct http1_out *o, struct file_piece *ret_piece);
void http1_out_file_sent(struct http1_out *o, const struct open_file *f, size_t n, int err);

/* No more follows: what is there still goes out, but nothing that says it is complete (RFC 9112
 * 8).  false: the response was already done. */
bool http1_out_cut(struct http1_out *o);

/* The stream is about to go. */
void http1_out_end(struct http1_out *o);

#endif
