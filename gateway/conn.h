/*
 * gateway/conn.h - one accepted socket: its lock, its lease, TLS or plain, and the protocol
 * that speaks on it.
 *
 * Threads  a connection belongs to one worker, which reads it, runs its protocol's input, makes
 *          and frees its streams and closes its descriptor.  Output is sent by whoever holds
 *          the lease (writer.h).  Field keys: I constant   o owning worker only   m under mu
 *          a atomic   L lease holder only
 * Memory   made and freed by the worker
 */
#ifndef GATEWAY_CONN_H
#define GATEWAY_CONN_H

#include "buf.h"
#include "conn_file.h"
#include "err.h"
#include "lock.h"
#include "loop.h"
#include "sockaddr.h"
#include "pace.h"
#include "stream.h"
#include "writer.h"

struct worker;
struct tls;

/* What flow control leaves of a stream (RFC 9113 5.2). */
struct credit {
    bool in;             /* the client may send body */
    bool out;            /* it takes more of this stream, */
    bool conn_out;       /* and of the connection */
    uint64_t conn_taken; /* body bytes that it took in all */
};

/*
 * What a protocol implements.  c->proto_state is its own.  "worker" means: on the owning
 * worker, without c->mu (it takes the lock itself where it touches what produce() touches).
 * "locked" means: c->mu held, by the worker or a writer; only memory work there, no system
 * call, no logging, no stream_ function but those named _locked.
 */
struct proto {
    const char *name; /* "HTTP/1.1", "HTTP/2" */

    /* worker: make state; 0 or gw_err. */
    int (*open)(struct conn *c);

    /* worker: plaintext from the client, all of which is taken.  < 0: the connection is broken
     * beyond answering (conn closes it after sending what produce() still has). */
    int (*input)(struct conn *c, const uint8_t *p, size_t n);

    /* worker: the client closed its sending side (half-close); streams complete so far are
     * still answered.  <0: close now. */
    int (*input_eof)(struct conn *c);

    /* worker: run the events that callbacks noted (conn_event_next); called after input and
     * after a writer's message. */
    void (*events)(struct conn *c);

    /* locked: write up to cap (>= 32 KiB when called) plaintext bytes for the wire into dst;
     * how many.  0: nothing to send now.  < 0: broken, close.  Must not return 0 while
     * want_write() is true. */
    ssize_t (*produce)(struct conn *c, uint8_t *dst, size_t cap);
    bool (*want_write)(struct conn *c); /* locked */

    /* locked, may be NULL: produce() gives nothing more before bytes of a file went out: those
     * are *ret_piece, with a reference for the caller.  Then n of them were sent, or err: the
     * file failed. */
    bool (*file_next)(struct conn *c, struct file_piece *ret_piece);
    void (*file_sent)(struct conn *c, const struct open_file *f, size_t n, int err);

    /* worker, may be NULL: may the rest of the body of s be bytes of a file, which file_next()
     * names or produce() reads? */
    bool (*takes_file)(const struct stream *s);

    /* locked: nothing under way and nothing owed: the connection may be closed as soon as its
     * output went out. */
    bool (*done)(struct conn *c);

    /* worker: begin to end the connection: h1: Connection: close on what follows; h2: GOAWAY.
     * err 0: graceful. */
    void (*shutdown)(struct conn *c, int err);

    /* worker: head of the response to s.  r is already cleaned (stream_send_head).  Copies what
     * it keeps. */
    int (*send_head)(struct stream *s, const struct response *r);
    int (*send_interim)(struct stream *s, int status, const struct field *fields,
                        size_t n_fields);

    /* locked: s->out got more body, or eof. */
    void (*body_ready)(struct stream *s);

    /* worker: give up on s: h2: RST_STREAM with the code for err; h1: cut the connection.
     * stream_on_close follows as an event, never from inside this call. */
    void (*reset)(struct stream *s, int err);

    /* worker: n body bytes of s were taken or dropped: window credit, or read on. */
    void (*consumed)(struct stream *s, size_t n);

    /* locked, may be NULL: there is no flow control but the socket's. */
    void (*credit)(const struct stream *s, struct credit *ret);

    /* worker, may be NULL: send the client what it would get for path, with these fields, beside
     * s, whose head has not been sent; if it takes that, and has not got it.  path empty: only
     * note that it has what s is about. */
    void (*push)(struct stream *s, struct slice path, const struct field *fields,
                 size_t n_fields);

    /* worker, may be NULL: a stream was given up with err, for which the client shall have no
     * further ones; those under way go on, then the connection ends. */
    void (*calm)(struct conn *c, int err);

    /* worker: idle for a while, no stream is open and nothing waits to be written: give back
     * memory that only streams need.  NULL: there is none. */
    void (*cool)(struct conn *c);

    /* worker, may be NULL: the body of s is taken as fast as it comes: let up to n bytes of it
     * be under way at once. */
    void (*widen)(struct stream *s, uint64_t n);

    /* worker: free proto_state.  All streams have been closed before. */
    void (*close)(struct conn *c);
};

enum conn_lease { LEASE_WORKER, LEASE_WRITER, LEASE_STALLED };

enum conn_state { CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSING, CONN_LINGER, CONN_DEAD };

struct conn {
    struct loop_source src;         /* o  src.fd is the socket */
    struct worker *worker;          /* I */
    struct loop *loop;              /* I */
    uint64_t serial;                /* I  for the log */
    union sockaddr_any peer;        /* I */
    union sockaddr_any local;       /* I */
    char peer_text[48];             /* I  "192.0.2.1", "2001:db8::1", "unix:" */
    char local_text[48];            /* I  the same for our end; "" on unix sockets */
    uint16_t peer_port, local_port; /* I */
    bool is_tls;                    /* I */
    bool is_https;   /* I  TLS, here or, as a trusted proxy says, between it and the client */
    bool is_trusted; /* I  its requests may say who asks (remote.h) */
    bool is_unnamed; /* I  a proxy's, which does not say whose: peer is the proxy */
    enum conn_state state;     /* o */
    struct account *client;    /* I  of the peer's address; NULL: none.  Its, to the end */
    const struct proto *proto; /* om NULL until preface or ALPN told; constant after */
    void *proto_state;         /* o/m as the protocol says */
    struct stream *streams;    /* o  all of them */
    unsigned n_streams;        /* o */
    uint64_t n_requests;       /* o */
    uint64_t n_cooled;         /* o  n_requests when memory was last given back */

    struct lock mu;
    struct tls *tls;             /* m  NULL when plain */
    struct stream *events;       /* m  streams with something for the worker, in order */
    struct stream **events_tail; /* m */
    enum conn_lease lease;       /* m */
    struct buf tls_out; /* m  records made by tls_input, older than what is encrypted next */
    bool dead;          /* m  torn down: nothing is produced any more */
    bool broken;        /* m  the socket failed on write, or the protocol while producing */
    bool tls_failed;    /* m  only tls_out may still be sent */
    bool note;          /* m  post a message when the lease comes back */
    bool msg_pending;   /* m  a message to the worker is under way */

    struct buf out;   /* L  wire bytes made and not taken by the socket */
    bool sends_files; /* L  its socket holds as much as it may */
    bool out_is_file; /* L  what waits is in a file: sending it costs no thread */
    atomic_uint_least64_t
        progress_ms; /* a  when output that waits last moved; 0: none waits.  relaxed: a
                        clock, not a flag */

    struct job warm;           /*    reads what is to be sent; guarded by the lease */
    struct file_piece cold;    /*    this, */
    bool warmed;               /* L  which was done: no second time for the same bytes */
    struct loop_msg msg;       /*    guarded by msg_pending */
    struct loop_task flush;    /* o  end-of-turn output, and endings */
    struct timer timer;        /* o  looks at all times below */
    uint64_t since_ms;         /* o  when it was accepted; lingering: since when */
    uint64_t read_at_ms;       /* o  last byte from the client */
    uint64_t handshake_rtt_ms; /* o  how long TLS waited for the client's last flight: one round
                                  trip to the client itself; 0: not known */
    uint64_t idle_since_ms;    /* o  when the last stream ended */
    uint64_t head_since_ms;    /* o  a head is awaited since, with a byte of it or, on a fresh
                                 connection, none; 0: not.  The protocol keeps it */
    int queued_seen;          /* o  bytes the kernel held when output was last found waiting, */
    uint64_t progress_seen;   /* o  and progress_ms then */
    uint64_t n_moves;         /* o  looks that found either moved on */
    struct pace socket_pace;  /* o  how it takes what waits for the socket, */
    struct pace credit_pace;  /* o  and what waits for the connection's credit */
    uint32_t epoll_events;    /* o  what the loop watches */
    int end_err;              /* o  why it ends */
    bool read_paused;         /* o  the protocol asked */
    bool kill;                /* o  tear down at the end of the turn */
    bool ends;                /* o  close when the output went out */
    bool lingers;             /* o  and read on for a while before closing */
    bool drains;              /* o  close when the protocol is done */
    bool close_sent;          /* o  close_notify was made */
    bool tls_warm;            /* o  TLS keeps its buffers between records */
    bool is_tunnel;           /* o  HTTP/1.1 has gone over to a tunnel, for ever */
    bool eof_in;              /* o  the client closed its side */
    struct conn *prev, *next; /* o  worker's list */
};

/* ---- for protocols (worker) ---- */

/* There may be something to produce: flush at the end of the turn. */
void conn_dirty(struct conn *c);

void conn_pause_read(struct conn *c);
void conn_resume_read(struct conn *c);

/* End the connection once its output went out (err: for the log; 0: normal).  linger: read and
 * drop input for a while first (RFC 9112 9.6), so that the client sees the answer and not a
 * reset. */
void conn_end(struct conn *c, int err, bool linger);

/* Detach the list of streams with events; worker.  Walk it with next_event; each stream's
 * events are returned in *ret_events and cleared, so call per stream:  while ((s =
 * conn_event_next(c, &ev))) ... */
struct stream *conn_event_next(struct conn *c, unsigned *ret_events);

/* Under mu: take s off the list. */
void conn_event_forget_locked(struct conn *c, struct stream *s);

/* The limits and times in force. */
const struct conf_gateway *conn_limits(const struct conn *c);
/* True once the gateway drains: no keep-alive, GOAWAY. */
bool conn_draining(const struct conn *c);

/* One line to the error log with connection, client and err's name and text; GW_OK has neither. */
void conn_log(const struct conn *c, int level, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same of a request: its client (remote.h), and via=PEER where a proxy speaks for it. */
void conn_log_stream(const struct stream *s, int level, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- for workers ---- */

/* An accepted socket with what the acceptor knows of it. */
struct conn_accepted {
    int fd;
    bool tls;
    bool https; /* as conn's is_https and is_unnamed */
    bool unnamed;
    union sockaddr_any peer, local; /* what a PROXY header says, where there was one */
    struct account
        *client; /* with the descriptor; clients_disconnect() if it comes to nothing */
};

/* NULL if memory is out (fd stays the caller's).  conn_start begins: first[0..n) was read by
 * the acceptor, on plain sockets at least the whole HTTP/2 preface or what cannot be one. */
struct conn *conn_new(struct worker *w, const struct conn_accepted *a);
void conn_start(struct conn *c, const uint8_t *first, size_t n);
/* Finish what is under way, then close. */
void conn_drain(struct conn *c);
/* Cut it off at the end of this turn, whatever is under way. */
void conn_kill(struct conn *c);

/* RFC 9113 3.4 */
#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
enum { H2_PREFACE_LEN = 24 };

extern const struct proto http1_proto; /* http1.c */
extern const struct proto http2_proto; /* http2.c */

#endif
