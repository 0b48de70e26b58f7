/*
 * gateway/forward.h - between forward.c (the request's way to a pool) and forward_out.c (the
 * response's way back).
 *
 * Threads  worker
 * Memory   struct forward lives in its stream's arena; what it holds besides goes with
 *          forward_release()
 */
#ifndef GATEWAY_FORWARD_H
#define GATEWAY_FORWARD_H

#include "../fcgi/client.h"
#include "../fcgi/response.h"
#include "metavars.h"
#include "router.h"
#include "sendfile.h"
#include "spool.h"
#include "stream.h"

union sockaddr_any;
struct forward;

enum { FORWARD_REDIRECTS_MAX = 5 }; /* lighttpd's number for local redirects */

/* What the other roles do differently; each hook may be NULL. */
struct forward_role {
    uint16_t role; /* FCGI_AUTHORIZER, FCGI_FILTER */
    bool bodiless; /* the request's body is not its business: held back */

    /* Complete what the role's variables are. */
    void (*ask)(struct forward *f, struct metavars_ask *ask);
    /* A request begins, perhaps again. */
    void (*begin)(struct forward *f);
    /* STDIN is all handed over: a filter's DATA may follow.  Again whenever there is room. */
    void (*data)(struct forward *f);
    /* The final head came; r is what will be sent.  true: it is taken: nothing goes to the
     * client, and the rest of the output is dropped. */
    bool (*head)(struct forward *f, struct response *r);
    /* Body bytes for the client, before they go. */
    void (*body)(struct forward *f, const uint8_t *p, size_t n);
    /* The application ended.  true: the role goes on from here itself. */
    bool (*end)(struct forward *f, uint32_t app_status);
    /* All is over, however: drop what state holds. */
    void (*release)(struct forward *f);
};

/* A WebSocket (forward_tunnel.c). */
enum forward_tunnel {
    FORWARD_NO_TUNNEL,
    FORWARD_TUNNEL_ASKED, /* the application may agree; until then it gets nothing of STDIN */
    FORWARD_TUNNEL_OPEN,  /* it did */
};

struct forward {
    struct stream *s;
    struct pool *pool;
    struct route_match *m;
    const struct forward_role *role; /* NULL: a responder */
    void *role_state;
    struct fcgi_request *req; /* NULL when none is under way */
    struct fcgi_asker asker;
    enum forward_tunnel tunnel;
    unsigned tries; /* requests begun */
    int tried_err;  /* how the last of them failed; 0: none did */

    /* request body */
    bool body;              /* there is one, and it goes to the application */
    struct spool *in_spool; /* NULL unless spooled */
    struct chain in_next;   /* taken from the spool, not yet by the backend */
    int64_t content_length; /* what CONTENT_LENGTH says, -1: left out */
    bool collecting;        /* the spool is still being filled */
    bool body_ended;        /* STDIN's end was handed over */
    bool body_sent;         /* the backend took body bytes: no retry */

    /* response */
    struct response_parser parser;
    bool parsing;                  /* parser is initialised */
    size_t n_interim;              /* bytes of the interim heads so far */
    bool head_done;                /* the final head went to the stream */
    bool redirect;                 /* local redirect: the rest of the output is dropped */
    bool taken;                    /* role->head took it: likewise */
    bool intercepted;              /* its status has an error_page: likewise */
    struct sendfile sendfile;      /* others answer in its place: likewise */
    bool streams;                  /* never spooled: event streams, X-Accel-Buffering: no */
    bool ended;                    /* END_REQUEST came; what is spooled still has to go out */
    bool paused;                   /* the backend is not read */
    bool spooling;                 /* the client is slow: output goes to out_spool */
    bool overlong;                 /* more than Content-Length came: said once */
    struct forward_chunks *chunks; /* the application chunks it itself; NULL: it does not */
    struct spool *out_spool;       /* NULL until the client was slow */
    size_t n_unpaused; /* bytes the spool should not have got: its source cannot wait */
    struct timer slow; /* while paused for the client */
    struct buf stderr_line;
    uint64_t n_stderr; /* bytes so far, up to one over stderr_limit */
    uint64_t asked_ms; /* 0: it waits for no slot */
    uint64_t granted_ms;
};

/* forward_start() in another role than responder; state is the role's. */
void forward_start_role(struct stream *s, struct pool *pool, struct route_match *m,
                        const struct forward_role *role, void *state);

/* Drop everything; s is no longer touched by us. */
void forward_release(struct forward *f);
/* Release, then fail the stream. */
void forward_fail(struct forward *f, int err);
/* RFC 3875 6.2.2: run the request again as GET for f->parser.head.location. */
void forward_redirect(struct forward *f);
/* Answer with f->sendfile. */
void forward_sendfile(struct forward *f);

/* Answer its status with the error_page. */
void forward_intercept(struct forward *f);
/* Hand the application what it takes of its STDIN. */
void forward_body_pump(struct forward *f);

/* forward_tunnel.c */

/* The client may ask for a WebSocket: if it does, see whether it does so rightly.  false: it does
 * not, and has been answered. */
bool forward_tunnel_ask(struct forward *f);
/* The application's final head, or a 101: 0 or gw_err. */
int forward_tunnel_agreed(struct forward *f, const struct response_head *h);
void forward_tunnel_refused(struct forward *f);

/* forward_chunks.c */

/* The final head: does it say that the body is chunked?  0 or gw_err. */
int forward_chunks_begin(struct forward *f, const struct response_head *h);
/* n > 0 bytes of such a body came. */
void forward_chunks(struct forward *f, const uint8_t *p, size_t n);
/* The application has ended.  false: in the middle of a chunk, or f failed before. */
bool forward_chunks_end(struct forward *f);

/* forward_asker.c: fill f->asker. */
void forward_asker(struct forward *f);

/* forward_out.c: what the application says. */
/* Bytes of the body itself. */
void forward_body_out(struct forward *f, const uint8_t *p, size_t n);
void forward_stdout(void *arg, const uint8_t *p, size_t n);
void forward_stderr(void *arg, const uint8_t *p, size_t n);
void forward_end(void *arg, uint32_t app_status);
void forward_writable(struct stream *s);
void forward_slow_fn(struct loop *l, struct timer *t);
int forward_parser_begin(struct forward *f);
/* The application said all it had to say: others answer, if it wants that, or the stream is
 * finished when what is spooled went out. */
void forward_said_all(struct forward *f);
/* The client may load what the answer will need (hints.h). */
void forward_hint(struct forward *f);
/* May what the client does not take wait in a spool? */
bool forward_spools(const struct forward *f);
/* Log the line that has no end yet. */
void forward_stderr_flush(struct forward *f);

#endif
