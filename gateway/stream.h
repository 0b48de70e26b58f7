/*
 * gateway/stream.h - one request and its response, whichever protocol carries it.
 *
 * This is all that routes, files, FastCGI, errors and logs see of a client.  No caller knows
 * how a request or a response looks on the wire; the protocol modules (http1.c, http2.c) fill a
 * struct request, call the three stream_on_ functions, and implement struct proto (conn.h).
 *
 * Life     the protocol makes a stream (stream_new), fills s->req and calls stream_on_head().
 *          The router picks a struct handler, which answers with stream_send_head(),
 *          stream_send_body() ..., stream_finish(), or gives up with stream_error().  The
 *          protocol calls stream_on_close() exactly once, whatever the end; the handler then
 *          drops every reference it holds and the stream is freed
 * Threads  worker only, except the fields of struct stream_out, which are under the
 *          connection's lock
 * Memory   everything of a request (fields, paths, handler state) lives in s->arena and dies
 *          with the stream
 */
#ifndef GATEWAY_STREAM_H
#define GATEWAY_STREAM_H

#include "../conf/conf.h"
#include "buf.h"
#include "err.h"
#include "loop.h"
#include "open_file.h"
#include "pace.h"

struct access_report;
struct tunnel;
struct account;
struct limit_taken;
struct head_override;
struct error_answer;
struct file_piece;
struct remote;
struct conn;
struct stream;
struct site;

enum http_version { HTTP_1_0 = 10, HTTP_1_1 = 11, HTTP_2 = 20 };

/* What a request line may hold, over whichever protocol: 501 and 414 (RFC 9112 3). */
enum { REQUEST_METHOD_MAX = 64, REQUEST_TARGET_MAX = 8192 };

struct request {
    struct slice method; /* as sent, case-sensitive */
    struct slice
        scheme; /* "http" or "https": what the connection is, not what :scheme claims */
    struct slice
        authority;       /* Host or :authority verbatim, with port; may be empty for HTTP/1.0 */
    struct slice target; /* path?query verbatim: REQUEST_URI */
    struct slice path;   /* target up to '?', verbatim (percent-encoded) */
    struct slice query;  /* behind '?', verbatim; empty if none */
    bool has_query;      /* there was a '?' */
    struct field *fields; /* in order, without pseudo-fields; values trimmed of OWS.  Host is in
                             authority, and also here only if the client sent such a field */
    size_t n_fields, cap_fields;
    int64_t content_length; /* -1: unknown */
    bool has_body;        /* false: the head was all (h1: no Content-Length and no chunked; h2:
                             END_STREAM) */
    bool expect_continue; /* Expect: 100-continue on HTTP/1.1 or later */
    enum http_version version;
    struct slice protocol; /* :protocol of an extended CONNECT (RFC 8441 4), whose method is
                              here GET, what it means to applications; empty: it is none */
};

/* Who answers.  All run on the worker, without the connection's lock; all but start may be
 * NULL. */
struct handler {
    const char *name;
    void (*start)(struct stream *s); /* take over; may answer at once */
    void (*body)(struct stream *s);  /* more request body in s->in, or its end (s->in_eof) */
    size_t (*body_behind)(struct stream *s); /* bytes of it that were taken from s->in and not
                                                yet by whoever they are for; SIZE_MAX: no more
                                                should come */
    void (*writable)(
        struct stream *s); /* the response buffer fell below its low mark after it was full */
    void (*closed)(struct stream *s,
                   int err); /* the stream is over (err: 0 when answered in full): drop all
                                references to s; it is freed after this returns */
};

/* The response on its way out.  Field key m: under conn->mu. */
struct stream_out {
    struct chain body;  /* m  bytes the protocol has not yet taken */
    bool eof;           /* m  nothing follows body */
    bool head_sent;     /* m  final head handed to the protocol */
    bool no_body;       /* m  HEAD, 204, 304: body bytes are dropped where they are handed in */
    bool want_writable; /* m  the producer stopped at the high mark and waits for
                           handler->writable */
    size_t low;         /* m  the low mark then: half of the high one that was met */
    struct open_file *file;     /* m  whose bytes file_at .. file_at + file_left end the */
    int64_t file_at, file_left; /* m  body, and are taken by the connection itself */
    int64_t file_cold;          /* m  so many from file_at on it could not read and gave back */
    int file_err;               /* m  why it gave up on them */
    size_t high;                /* o  the high mark when body was last handed in */
    bool slow;                  /* o  the high mark is that for a slow client */
    bool closed;     /* m  the protocol is through with the stream; sent bytes go nowhere */
    uint64_t n_body; /* m  body bytes the protocol took; for the access log */
    int64_t left; /* o  bytes still owed of the announced Content-Length; -1: none announced */
};

enum {
    STREAM_OUT_HIGH = 128 * 1024,
    STREAM_OUT_LOW = STREAM_OUT_HIGH / 2,
    STREAM_ENCODED_HIGH = 64 * 1024, /* nothing of it is handed back once a client is slow */
    STREAM_SLOW_HIGH = 32 * 1024,    /* hundreds of slow clients are to cost little */
    STREAM_PRESSED_HIGH = 16 * 1024, /* the same while much waits in this worker */
    STREAM_IN_HIGH = 64 * 1024
};

/* Field keys:  I set when made, constant   o worker only   m under conn->mu */
struct stream {
    struct conn *conn;              /* I */
    struct loop *loop;              /* I  the worker's */
    void *proto;                    /* o/m  the protocol's own state for it */
    int32_t id;                     /* I  h2: stream id; h1: 1, 2, 3 ... on its connection */
    struct arena arena;             /* o */
    struct request req;             /* o */
    struct chain in;                /* o  request body received and not yet taken */
    bool in_eof;                    /* o  request body complete */
    bool in_discard;                /* o  nobody wants the body: dropped as it comes */
    uint64_t in_total;              /* o  body bytes received so far */
    uint64_t body_limit;            /* o  0: none; checked by stream_on_body */
    struct stream_out out;          /* m */
    struct encoder *encoder;        /* o  what the body goes through (encode.h), or NULL */
    const struct handler *handler;  /* o  NULL before routing and after the end */
    void *handler_state;            /* o  the handler's, in the arena */
    const struct conf_site *site;   /* o  NULL until routed */
    const struct conf_route *route; /* o */
    struct slice remote_user;       /* o  set after a check of ours only */
    struct slice auth_type;         /* o */
    const struct remote *remote; /* o  whom a trusted proxy speaks for; NULL: the connection's
                                       peer asks.  See remote.h */
    struct account *client;      /* o  of the client's address (clients.h); NULL: none */
    struct limit_taken *limits_taken; /* o  of its route (limits.h) */
    int status;                       /* o  final status sent, 0 before */
    int err;                          /* o  first error, for the log */
    struct slice err_why;         /* o  more on it: the rule, the figure; lives as long as s */
    struct slice request_id;      /* o  empty until asked for: stream_request_id */
    const char *pool_name;        /* o  for logs; NULL if no pool took part */
    uint64_t pool_wait_ms;        /* o  for a slot, all in all */
    struct access_report *report; /* o  of its script; NULL: none */
    struct slice asked_method, asked_target; /* o  as the client sent them, for the log */
    uint64_t start_us;                       /* o  monotonic, when the head was complete */
    uint64_t created_ms;                     /* o  loop time */
    struct pace out_pace;   /* o  how the client takes what waits for its credit, */
    struct pace in_pace;    /* o  and sends what is waited for */
    uint64_t in_waited_ms;  /* o  how long its body was waited for, but for this time, */
    uint64_t in_wait_at_ms; /* o  which began then: waits_for_body */
    uint64_t in_came_at_ms; /* o  when the last of it came; 0: none has */
    struct slice uri;       /* o  its path: settled, as rewritten; empty until routed */
    unsigned redirects;     /* o  local redirects so far */
    const struct head_override *override; /* o  what an application that lets others answer has
                                             on the head; NULL */
    const struct error_answer *error;     /* o  its error is being answered with a page of the
                                         site's own; NULL */
    struct tunnel *tunnel; /* o  raw bytes both ways (tunnel.h); NULL: it is not */
    bool pushed;           /* o  not asked for by the client (push.h) */
    bool hinted;           /* o  hints_send had its go */
    bool self_hinted;      /* o  its application sent a 103 */
    bool is_internal;    /* o  X-Accel-Redirect: the target is routed to internal routes too */
    bool waits_for_body; /* o  the handler cannot go on without request body: body_timeout and
                            body_min_rate run; see stream_wait_body */
    bool answered;       /* o  stream_send_head was called */
    bool finished;       /* o  stream_finish or stream_abort was called */
    uint64_t window_extra;      /* o  bytes taken from worker->windows */
    bool at_work;               /* o  counted in client */
    bool client_held;           /* o  client is not the connection's: to be dropped */
    bool over;                  /* o  stream_on_close was called */
    unsigned events;            /* m  STREAM_EV_*, for the protocol's list below */
    struct stream *next_event;  /* m  conn->events */
    struct stream *prev, *next; /* o  conn->streams */
};

/* ---- for handlers ---- */

/* Shape of a response's head.  Fields are sent in order with names as given on HTTP/1.1,
 * lower-cased on HTTP/2. The protocol adds Date and Server unless fields has them,
 * Content-Length from content_length, and what its framing needs.  Connection-specific fields
 * (RFC 9110 7.6.1) and Status are dropped by stream_send_head, as is any Content-Length among
 * the fields. */
struct response {
    int status;          /* 200..599; 101: see tunnel.h */
    struct slice reason; /* HTTP/1.1 only; empty: the standard one */
    const struct field *fields;
    size_t n_fields;
    int64_t
        content_length; /* -1: unknown; chunked, close or END_STREAM say where the body ends */
    bool no_server;     /* no Server field of the protocol's */
    /* Of a 304 or 206, where they are known: type and length that the 200 would have had. */
    struct slice whole_type;
    int64_t whole_length;
};

/* Send the final head.  Once per stream.  0, or a negative gw_err after which the stream has
 * been aborted. */
int stream_send_head(struct stream *s, const struct response *r);

/* Add body bytes.  More than the announced Content-Length is cut off.  Returns the number of
 * bytes now buffered (compare with STREAM_OUT_HIGH; at or over it stop until
 * handler->writable), or a negative gw_err: the stream has been aborted. */
ssize_t stream_send_body(struct stream *s, const void *p, size_t n);
/* The same, handing over a filled chunk (freed by the stream, also on failure). */
ssize_t stream_send_chunk(struct stream *s, struct chunk *k);

/*
 * The rest of the body is n bytes of f, from offset at on, and the connection takes them itself,
 * out of the page cache.  A reference is taken.  false: this response has to be given the bytes.
 * Else handler->writable is called once, and stream_file_result() tells then what became of them;
 * nothing may be handed in before.
 */
bool stream_send_file(struct stream *s, struct open_file *f, int64_t at, int64_t n);
/* 0, or why f failed: GW_EFILE, GW_EFILE_SHORT.  *ret_rest, without a reference, could not be read
 * from the page cache and is to be handed in; its n is 0 if everything went out. */
int stream_file_result(struct stream *s, struct file_piece *ret_rest);

/* The client is slow, and what it does not take waits elsewhere: the marks are those for slow
 * clients from now on, and what is buffered over the high one is handed back, to be sent again;
 * nothing of a body that is encoded.  Or it caught up. */
void stream_slow(struct stream *s, struct chain *ret_back);
void stream_caught_up(struct stream *s);

/* The response is complete.  Less than the announced Content-Length: the stream fails with
 * ECGI_SHORT (stream_fail). */
void stream_finish(struct stream *s);

/* Does the body go out as it is handed in, and not encoded?  After stream_send_head(). */
static inline bool stream_is_plain(const struct stream *s)
{
    return !s->encoder;
}

/* Is the head that was sent all of the response: to HEAD, or a 204 or 304? */
bool stream_is_bodiless(const struct stream *s);

/* 1xx.  100 is sent by stream_want_body itself. */
int stream_send_interim(struct stream *s, int status, const struct field *fields,
                        size_t n_fields);

/* Fail: the error page of gw_err_status(err) if no head went out yet, else abort (h2:
 * RST_STREAM, h1: close). The handler is detached first: its closed() is not called any more;
 * it has to have dropped its own things.  Where the site has a page of its own (error_page) s may
 * have another handler when this returns. */
void stream_error(struct stream *s, int err);
/* What the log says of a head, or trailers, over head_limit or head_fields. */
void stream_head_large(struct stream *s, const char *limit, uint64_t figure);
/* The same from outside the handler: its closed() is called first.  Also ends a stream that
 * was finished and whose client does not take what waits. */
void stream_give_up(struct stream *s, int err);
/* A name for the request that no other has, made the first time it is asked for: it is in the
 * error page, the log line of the error and the access log.  Empty when memory is out. */
struct slice stream_request_id(struct stream *s);
/* An error page with further fields (WWW-Authenticate, Retry-After, Allow, Location). */
void stream_error_fields(struct stream *s, int err, const struct field *fields,
                         size_t n_fields);

/* Of the server as a whole; applications may know others. */
#define STREAM_ALLOW "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

/* For a method that what is asked for does not know: OPTIONS is told by 204 which ones it does
 * (RFC 9110 9.3.7), any other by 405 (15.5.6); allow is the value of Allow. */
void stream_answer_allow(struct stream *s, struct slice allow);

/* A small complete answer from memory: head, body, finish. */
void stream_answer(struct stream *s, const struct response *r, struct slice body);

/* The handler is ready for the request body: sends 100 Continue if the client waits for it. */
void stream_want_body(struct stream *s);

/* Only while the next step is the client's does its time run: for_client, or somebody else's. */
void stream_wait_body(struct stream *s, bool for_client);

/* The body goes to a spool, which takes it as fast as it comes: a client that is never held
 * up by flow control needs no round trips (http2_window.c). */
void stream_widen(struct stream *s);

/* n bytes were taken from the front of s->in (chain_drop / chain_take done by the caller):
 * gives the client credit. */
void stream_consumed(struct stream *s, size_t n);

/* From now on it is a GET without a body, or a HEAD: somebody else answers (RFC 3875 6.2.2). */
void stream_as_get(struct stream *s);

/* Drop what is in s->in and what will come. */
void stream_discard_body(struct stream *s);

/* Give s to another handler (router to files, index to pool, local redirect) and start it.  The
 * old one's closed() is not called. */
void stream_handle(struct stream *s, const struct handler *h, void *state);

/* ---- for protocols ---- */

enum { STREAM_EV_HEAD = 1, STREAM_EV_BODY = 2, STREAM_EV_WRITABLE = 4, STREAM_EV_CLOSED = 8 };

/* A stream on c, linked into its list; NULL if memory is out. */
struct stream *stream_new(struct conn *c, int32_t id);

/* Add a field to s->req (both copied into the arena).  0 or GW_ENO_MEMORY. */
int stream_add_field(struct stream *s, struct slice name, struct slice value);

/* Split s->req.target into path, query, has_query. */
void stream_set_target(struct stream *s, struct slice target);

/* Worker, unlocked.  The request head is complete and valid: route it. */
void stream_on_head(struct stream *s);
/* The head was bad, but an answer can be given (h1: then closes): error page without routing.
 */
void stream_on_bad_head(struct stream *s, int err);
/* Bytes were appended to s->in (and counted in in_total), or in_eof was set. */
void stream_on_body(struct stream *s);
/* handler->writable is due. */
void stream_on_writable(struct stream *s);
/* The stream is over for the protocol: answered in full (0), reset, connection lost.  Frees s.
 */
void stream_on_close(struct stream *s, int err);

/* Under conn->mu, from protocol callbacks on any lease holder: note ev for the worker (conn.h,
 * proto->events). */
void stream_event_locked(struct stream *s, unsigned ev);

/* Under conn->mu: the protocol took n bytes of s->out.body (already dropped from the chain):
 * counts them and notes STREAM_EV_WRITABLE when the low mark is passed. */
void stream_out_took_locked(struct stream *s, size_t n);

/* Under conn->mu: up to n bytes of s->out.file, which follow what was taken of it, put at dst if the
 * page cache has them; they are taken only by stream_file_took_locked().  0: it has not, and the
 * handler will be told. */
size_t stream_file_read_locked(struct stream *s, uint8_t *dst, size_t n);
/* The same to n parts, which have room for no more than s->out.file_left. */
size_t stream_file_readv_locked(struct stream *s, const struct iovec *parts, unsigned n);
/* n bytes of it were sent, and the rest will not be if err; with the last one the body ends. */
void stream_file_took_locked(struct stream *s, size_t n, int err);

#endif
