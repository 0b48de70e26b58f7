/*
 * gateway/http2_session.h - what the files of HTTP/2 share: the state of a connection and of a
 * stream, and the library's callbacks.  Only http2*.c include it.
 *
 * Threads  the nghttp2 session is memory under the connection's lock; callbacks run inside
 * nghttp2_session_mem_recv (worker) and nghttp2_session_mem_send (any lease holder), so they
 * only note: stream_event_locked, and the worker acts in proto->events.  Field keys as in
 * conn.h:  I constant   o owning worker only   m under conn->mu
 * Memory   struct http2 dies with its connection, struct h2_stream with its stream's arena
 */
#ifndef GATEWAY_HTTP2_SESSION_H
#define GATEWAY_HTTP2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "conn.h"
#include "http2_budget.h"
#include "http2_check.h"
#include "http2_head.h"
#include "http2_mem.h"
#include "http2_order.h"

/* The GOAWAY with which the library ended the connection of its own. */
struct h2_said {
    bool not_it;   /* we ended the connection, or will */
    uint32_t code; /* NO_ERROR: nobody did */
    char *why;     /* its words, if any; malloc'ed */
};

/* What was read of a stream's file for more than the frame that was begun. */
struct h2_ahead {
    int32_t id;
    int64_t at;    /* where in the file the next frame of it begins, */
    uint8_t *dst;  /* and where that frame */
    size_t length; /* of a frame's bytes, at most */
    size_t n;      /* bytes; 0: nothing was */
};

struct http2 {
    struct conn *conn;        /* I */
    nghttp2_session *session; /* m */
    struct h2_mem mem;        /* m  where it lies */
    const uint8_t *rest;      /* m  of a frame that did not fit what produce() was given; the */
    size_t rest_len;          /*    library's, valid until the next nghttp2_session_mem_send */
    uint8_t *dst;             /* m  where produce() is writing */
    size_t room;              /* m  bytes left there */
    struct h2_ahead ahead;    /* m  file bytes that are there for the frames behind dst */
    int32_t data_id;          /* m  the stream whose DATA went last */
    struct h2_budget budget;  /* m */
    struct h2_check check;    /* m */
    struct h2_broken broken;  /* m  why the input ends; why NULL: it does not */
    struct h2_said said;      /* m */
    uint32_t n_provoked;      /* m  resets sent for faults of the client's, not yet charged */
    uint64_t n_taken;         /* m  body bytes sent, over all streams */
    unsigned n_open;          /* m  streams that have not been closed */
    int failed;               /* m  GW_ENO_MEMORY once the session ran out of it */
    struct h2_trip trip;      /* m  what a callback ended the input for; what NULL: nothing */
    struct h2_order order;    /* m  who has response bytes to send */
    unsigned n_held;          /* m  streams with held */
    unsigned n_collected;     /* o  streams with collected: nothing is read while much waits */
    uint64_t grown;           /* m  bytes by which windows of open streams were grown */
    uint64_t rtt_asked_ms;    /* o  when a PING for it was sent; 0: none was */
    uint64_t rtt_ms;          /* o  the round trip; 0: not known */
    struct h2_look *look;     /* o  whose window is looked at again; NULL until one was */
    int32_t last_id;          /* m  the latest stream that was opened */
    struct stream *found;     /* m  by h2_find_locked() lately: most callbacks come in a row */
    struct h2_foretold *foretold; /* m  PRIORITY_UPDATEs; NULL until the first one */
    bool shutting_down;       /* m  GOAWAY notice went out, the final one waits for the PING */
    uint32_t n_late;          /* m  requests since the notice */
    bool calmed;              /* m  a GOAWAY said that no further stream is taken */
    bool client_eof;          /* m  nothing more will come */
    unsigned n_lingering;     /* m  streams with lingers */
    struct timer linger;      /* o  armed while there is one */
    struct stream *promised;  /* m  pushed streams whose promise was not sent yet */
    unsigned n_pushed;        /* m  pushed streams that have not been closed */
    struct h2_pushed *pushed; /* o  what the client has; NULL until something is pushed */
};

/* Lives in stream->arena as stream->proto. */
struct h2_stream {
    struct h2_head head;           /* o */
    uint64_t window;               /* o  the client may send so much ahead */
    uint64_t grown;                /* m  beyond h2_stream_window */
    uint64_t used;                 /* o  bytes taken since used_since_ms */
    uint64_t used_since_ms;        /* o */
    bool window_short;             /* o  it got less than it had use for, which was counted */
    bool collected;                /* o  its body goes to a spool, as fast as it comes */
    size_t unconsumed;             /* m  body bytes that nobody took yet */
    int err;                       /* m  why it closed; 0: answered in full */
    int bad;                       /* o  head's error that is answered; 0: route it */
    struct h2_turn turn;           /* m  whose id is the stream's */
    struct priority asked;         /* m  what the client wants; with what the application */
    struct priority_said answered; /* m  says it is turn.priority (RFC 9218 8) */
    bool was_told;                 /* m  a PRIORITY_UPDATE came before it was opened */
    bool has_body;                 /* m  the library was told to send DATA */
    bool deferred;                 /* m  the data source said it had nothing */
    bool held;                     /* m  or that others go first */
    bool end_sent;                 /* m  END_STREAM went out */
    bool peer_reset;               /* m  RST_STREAM came */
    bool lingers;          /* m  answered, but the request has not ended (http2_linger.c) */
    bool let_go;           /* m  END_STREAM need not wait for the request's end any more */
    uint8_t linger_silent; /* m  seconds without a byte of it, */
    uint8_t linger_ticks;  /* m  seconds in all, or since END_STREAM went out */
    size_t linger_bytes;   /* m  bytes that came meanwhile */
    struct stream *next_promised; /* m */
    bool closed; /* m  STREAM_EV_CLOSED was noted; the session knows s no more */
};

static inline struct h2_stream *h2_stream_of(const struct stream *s)
{
    return s->proto;
}

/* ---- http2_callbacks.c ---- */

/* Make h->session with our options and callbacks in h->mem; 0 or GW_ENO_MEMORY. */
int h2_session_open(struct http2 *h);
void h2_session_close(struct http2 *h);

enum {
    H2_FRAME_HEAD = 9,  /* RFC 9113 4.1 */
    H2_ROOM_MIN = 1024, /* a DATA frame is not begun in less room than this */
};

/* s as the session knows it, NULL if it was never made or is closed. */
struct stream *h2_find_locked(struct http2 *h, int32_t id);

/* rv of a library call; that memory is out is noted in h->failed, the rest does not matter. */
void h2_note_failure(struct http2 *h, int rv);

/* s is over as far as the protocol goes: credit back, STREAM_EV_CLOSED with err, once. */
void h2_close_locked(struct http2 *h, struct stream *s, int err);

/* RST_STREAM with the code for err, then as h2_close_locked. */
void h2_reset_locked(struct http2 *h, struct stream *s, int err);

extern const nghttp2_data_provider h2_body; /* of s->out */

/* The opaque data of the PING that follows a GOAWAY notice. */
extern const uint8_t h2_drain_ping[8];

/* ---- http2_file.c ---- */

/* Of s's file, what follows what was sent, put behind the head of a DATA frame at h->dst that has up
 * to length bytes, as in stream_file_read_locked(). */
size_t h2_file_read_locked(struct http2 *h, struct stream *s, size_t length);

/* ---- http2_priority.c ---- */

/* s is opened.  Its head is complete, and field is what that says. */
void h2_priority_open_locked(struct http2 *h, struct stream *s);
void h2_priority_asked_locked(struct http2 *h, struct stream *s, struct priority_said field);
/* The application's answer. */
void h2_priority_answer_locked(struct http2 *h, struct stream *s, const struct response *r);

void h2_priority_close(struct http2 *h); /* worker */

/* PRIORITY_UPDATE, for the library. */
enum { H2_PRIORITY_UPDATE = 0x10 };
int h2_priority_chunk(nghttp2_session *session, const nghttp2_frame_hd *hd, const uint8_t *data,
                      size_t n, void *user);
int h2_priority_update(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                       void *user);

/* s has body bytes, or its end, to send; or it has not. */
void h2_turn_ready_locked(struct http2 *h, struct stream *s);
void h2_turn_over_locked(struct http2 *h, struct stream *s);
/* s is closed. */
void h2_turn_end_locked(struct http2 *h, struct stream *s);
/* The library asks s for bytes: is it the one whose turn it is?  If not, the library is to ask
 * again, and will ask who is. */
bool h2_turn_is_locked(struct http2 *h, struct stream *s);
/* The library has no more to send.  true: it was told whom to ask. */
bool h2_turn_resume_locked(struct http2 *h);
/* Is there somebody it has to be told of? */
bool h2_turn_waits_locked(struct http2 *h);

/* ---- http2_linger.c ---- */

/* Nothing of the answer is left but its END_STREAM: does that wait for the request's end? */
bool h2_linger_holds_locked(struct http2 *h, struct stream *s);
void h2_linger_data_locked(struct http2 *h, struct stream *s, size_t n); /* n bytes dropped */
void h2_linger_request_ended_locked(struct http2 *h, struct stream *s);
void h2_linger_answer_ended_locked(struct http2 *h, struct stream *s); /* END_STREAM went out */
void h2_linger_let_go_locked(struct http2 *h, struct stream *s);
void h2_linger_end_locked(struct http2 *h, struct stream *s); /* s is closed */
void h2_linger_watch(struct http2 *h); /* worker: there is one; look at it every second */
void h2_linger_close(struct http2 *h); /* worker */

/* ---- http2_window.c ---- */

void h2_window_open(struct http2 *h, struct stream *s); /* worker: s is opened */
/* worker: let the client send to bytes ahead, as far as budgets go. */
void h2_window_grow(struct stream *s, uint64_t to);
/* worker: n bytes were taken by whoever the body is for. */
void h2_window_consumed(struct stream *s, size_t n);
/* n bytes of s were taken or dropped: the client may send as many more. */
void h2_window_credit_locked(struct http2 *h, struct stream *s, size_t n);
void h2_window_end_locked(struct http2 *h, struct stream *s); /* s is closed */
void h2_window_close(struct http2 *h);                        /* worker */
void h2_window_pong(struct http2 *h); /* worker: h2_rtt_ping came back */
extern const uint8_t h2_rtt_ping[8];

/* ---- http2_push.c ---- */

/* Worker: proto->push. */
void h2_push(struct stream *page, struct slice path, const struct field *fields,
             size_t n_fields);
void h2_push_close(struct http2 *h); /* worker */
/* The promise of stream id went out, or will not. */
void h2_push_sent_locked(struct http2 *h, int32_t id);
void h2_push_not_sent_locked(struct http2 *h, int32_t id);
void h2_push_end_locked(struct http2 *h, struct stream *s); /* s is closed */

/* ---- http2_response.c ---- */

/* The header block of a response, or of an interim one, in the stream's arena.  Its strings
 * stay where they are until the stream is closed, so the library need not copy them. */
struct h2_block {
    nghttp2_nv *nv;
    size_t n;
};
int h2_response_block(struct stream *s, const struct response *r, struct slice date,
                      struct h2_block *ret);
int h2_interim_block(struct stream *s, int status, const struct field *fields, size_t n_fields,
                     struct h2_block *ret);

/* ---- http2_codes.c ---- */

/* RST_STREAM's code for a stream we give up with err; answered: its head went out. */
uint32_t h2_reset_code(int err, bool answered);
/* GOAWAY's code for a connection we end with err. */
uint32_t h2_goaway_code(int err);
/* A negative result of the library: GOAWAY's code, and our error for it. */
uint32_t h2_library_code(int rv);
int h2_library_err(int rv);
/* Is it what a client makes us send by a fault of its own? */
bool h2_code_is_provoked(uint32_t code);

#endif
