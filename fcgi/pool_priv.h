/*
 * fcgi/pool_priv.h - what the files of a pool share:
 *
 *     pool.c          made and freed; slots: ask, leave, release
 *     pool_server.c   its servers: added, retired, the state of their processes
 *     pool_names.c    servers by name, which come and go with its addresses
 *     pool_balance.c  which server a request goes to
 *     pool_health.c   which servers are in rotation
 *     pool_check.c    checks: is a server well?
 *     pool_idle.c     connections as things to be had: fresh, kept, taken over
 *     pool_peer.c     whose its servers may be
 *     pool_share.c    connections that several requests may be on
 *     pool_queue.c    who waits, and who is refused; whose turn it is: turns.c
 *     pool_process.c  its servers as processes: by what pool_procs.c decides
 *     client.c        a request's life
 *     client_send.c   what it says
 *     client_check.c  a check's life, where it differs
 *     client_conn.c   a connection: opened, written to, closed
 *     client_input.c  what comes from it, and whose that is
 *     client_times.c  times
 *
 * Threads  any worker: _locked under pool->mu; the rest by the loop that owns the connection
 * Field keys:  I set when made   m under pool->mu   o the owner loop, while it owns   a atomic
 */
#ifndef FCGI_POOL_PRIV_H
#define FCGI_POOL_PRIV_H

#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../gateway/buf.h"
#include "../gateway/timer.h"
#include "client.h"
#include "ids.h"
#include "pool.h"
#include "record.h"
#include "turns.h"
#include "values.h"

enum {
    STDIN_MARK = 64 * 1024, /* STDIN waiting for the socket; over it the caller waits */
};

enum fcgi_conn_state {
    FC_FREE,       /* on the pool's list of unused structs; fd -1 */
    FC_CONNECTING, /* connect() under way, or to be tried again */
    FC_ACTIVE,     /* requests are on it */
    FC_IDLE,       /* kept; on an idle list */
};

/* A connection to a server.  As a rule it has one request at a time; one that is
 * shared (multiplex = auto, and the server offers it) has several.  The struct is never freed
 * before its pool: a worker may hold a stale event for one that another worker took over. */
struct fcgi_conn {
    struct loop_source src;
    struct pool *pool;            /* I */
    struct fcgi_server *server;   /* m  set at grant; o reads */
    _Atomic(struct loop *) owner; /* a  written under mu; an event on another loop is stale */
    atomic_int state; /* a  enum fcgi_conn_state; IDLE is left and entered under mu only */
    struct loop *stolen_from;         /* m  set when taken over: still in that loop's epoll */
    unsigned worker;                  /* m  the owner's number */
    struct fcgi_conn *next, *prev;    /* m  idle or shared list of its worker, or free list */
    struct fcgi_request *granted;     /* m  requests that have it, begun or not, by next */
    unsigned n_granted;               /* m */
    unsigned n_closing;               /* m  of them that keep others away */
    bool shares;                      /* m  takes others beside those it has */
    bool listed;                      /* m  on server->shared */
    uint64_t idle_ms;                 /* m  idle since */
    bool shut;                        /* m, then o  shut down while it was idle */
    struct fcgi_ids ids;              /* o  requests begun */
    struct fcgi_reader reader;        /* o */
    struct fcgi_values_reader values; /* o  GET_VALUES_RESULT so far */
    struct buf out;                   /* o  records not yet sent; whole ones */
    struct timer timer;               /* o */
    struct loop_task flush;           /* o  out is sent at the end of the turn */
    uint32_t events;                  /* o  what the loop watches */
    uint64_t since_ms;                /* o  connecting since */
    uint64_t moved_ms;                /* o  last byte in either direction */
    unsigned n_speaking;              /* o  requests that have more to say */
    unsigned n_blocked;               /* o  of them wait for writable */
    unsigned n_begun;                 /* o  requests since it was opened */
    unsigned turn;                    /* o  whose turn it is: a place in ids */
    atomic_uint tenure; /* a  another when the last request was over; relaxed: who asks knows
                               its own */
    bool watched;       /* o  in the owner's epoll */
    bool reused;        /* o  had a request before */
    bool heard;         /* o  a byte came since it was opened */
    bool paused;        /* o  not read: its only request's caller wants no more for now */
    bool asked;         /* o  GET_VALUES was sent and not answered */
    bool send_broken;   /* o  it takes no more; what it answered is still read */
    bool said_more;     /* o  something of a request that is over came */
    bool ending;        /* o  closed when the requests it has are over */
};

/* An address is always UP; the others are states of a process. */
enum server_state {
    SERVER_OFF,      /* not started; it will be when requests wait */
    SERVER_STARTING, /* up soon */
    SERVER_UP,
    SERVER_DRAINING, /* ends when it is through with what it has */
    SERVER_DOWN,     /* ended, and not back at once */
    SERVER_RETIRED,  /* no longer the pool's: forgotten with its last connection */
};

#define SERVER_NO_SLOT UINT_MAX

/* Never freed before its pool; the struct of a server that was retired and forgotten is used
 * again for the next that is added.  What may have outlived a server holds its serial. */
struct fcgi_server {
    struct pool *pool; /* I */
    unsigned index;    /* m  in pool->servers */
    unsigned slot;     /* I  of its process; SERVER_NO_SLOT: an address */
    uint32_t serial;   /* I  never used twice in a pool; 0 is no server's */
    union {
        struct sockaddr sa;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } addr;                  /* I */
    socklen_t addr_len;      /* I */
    char *name;              /* I  for the log */
    unsigned weight;         /* I  1 and more */
    unsigned max;            /* I  slots of this server */
    bool backup;             /* I */
    enum server_state state; /* m */
    unsigned n_in_flight;    /* m */
    unsigned n_conns;        /* m  in flight and idle */
    unsigned n_idle;         /* m */
    unsigned n_stuck; /* m  fresh connections that wait for a pinned thread: keep no idle */
    bool out;         /* m  out of rotation until out_until_ms, then for all but a probe */
    bool out_refused; /* m  because it refused connections */
    bool checking;    /* m  a check is out */
    uint64_t check_due_ms; /* m  for the next one, with checks */
    bool probing;          /* m  a request is out to see whether it is back */
    unsigned out_delay_ms; /* m  the last one */
    uint64_t out_until_ms; /* m */
    unsigned n_bad;        /* m  requests in a row that it let down */
    int64_t turn;          /* m  balance: what it is owed */
    uint64_t hash;         /* I  of its name */
    uint64_t n_requests;   /* m  granted so far */
    uint64_t due_at;       /* m  poke when n_requests is that */
    bool answers;          /* m  a byte came while it was STARTING */
    bool took;             /* m  one of its connections ended while it was STARTING */
    bool doubtful;         /* m  STARTING, as others before it that did not come up */
    const struct script_usage *usage; /* I  cgi */
    atomic_uint n_asked;              /* a  GET_VALUES without an answer; relaxed: a hint */
    atomic_bool has_answered;         /* a  relaxed */
    atomic_uint_least64_t heard_ms;   /* a  a fresh connection's first byte; relaxed: a hint */
    atomic_bool multiplexes;   /* a  FCGI_MPXS_CONNS=1; relaxed, looked at again under mu */
    unsigned max_conns;        /* m  FCGI_MAX_CONNS of a server that multiplexes; 0: none */
    struct fcgi_server *next;  /* m  retired, or to be used again */
    struct fcgi_conn **shared; /* m  [n_workers], that take one more request */
    struct fcgi_conn *idle[];  /* m  [n_workers], last used first; shared lies behind it */
};

enum request_state {
    REQ_WAITING, /* in the queue */
    REQ_GRANTED, /* has a slot; the message or task that says so is under way, or was read */
    REQ_GONE,    /* aborted while that was under way: passes the grant on */
};

/* How far the request's own loop is with it. */
enum request_phase {
    PHASE_ASKING,
    PHASE_READY,
    PHASE_RUNNING,
    PHASE_OVER, /* its caller will hear of it in this turn */
};

struct fcgi_request {
    struct loop_msg msg;                  /*    the grant on its way; guarded by REQ_GRANTED */
    struct loop_task task;                /*    the same when the loop is our own */
    struct pool *pool;                    /* I */
    struct loop *loop;                    /* I */
    unsigned worker;                      /* I */
    const struct fcgi_request_ops *ops;   /* I  NULL once aborted */
    void *arg;                            /* I */
    struct fcgi_asker *asker;             /* m  NULL once granted or gone, or nobody said */
    uint64_t tenant, client, balance_key; /* I  the asker's */
    enum request_state state;             /* m */
    enum request_phase phase;             /* o */
    struct turn turn;                     /* m  while WAITING */
    bool waited;                          /* m, then o  it was in the queue */
    uint64_t patience_ms;                 /* I  it may wait so long */
    struct fcgi_request *next, *prev;     /* m  conn->granted */
    uint64_t asked_ms;                    /* I */
    uint64_t granted_ms;                  /* o */
    int refused;                          /* m, then o  gw_err to report instead of a grant */
    bool probe;                           /* m  its server is out of rotation: is it back? */
    bool answered;                        /* o  END_REQUEST came */
    struct fcgi_conn *conn;               /* m set at grant, then o */
    struct timer timer;        /* o  queue_timeout, then the whole request's timeout */
    bool stdin_open;           /* o  STDIN's end was not sent */
    bool upgrades;             /* o  STDIN waits for the application's word, */
    bool upgraded;             /* o  which it gave: no time runs any more */
    bool data_open;            /* o  a filter's DATA's end was not sent */
    bool stdin_blocked;        /* o  the caller waits for writable, with either */
    bool had_turn;             /* o  put a record since others could */
    bool paused;               /* o */
    bool aborted;              /* o  ABORT_REQUEST was sent */
    bool alone;                /* I  shares no connection */
    bool has_body;             /* o */
    bool closes;               /* m  counted in conn->n_closing */
    bool stuck;                /* m  counted in server->n_stuck */
    bool starts;               /* m, then o  its server was STARTING: is it up? */
    unsigned usage_n;          /* m, then o  of server->usage when it was granted */
    fcgi_report_fn *report;    /* o  NULL: nobody asks */
    void *report_arg;          /* o */
    fcgi_report_fn *given_up;  /* o  NULL: it was not */
    void *given_up_arg;        /* o */
    bool check;                /* I  of its server's health */
    bool asks_values;          /* I  a check by GET_VALUES, or by a connection alone */
    bool any_input;            /* o  a record for it came */
    bool any_stdout;           /* o  a byte of its response did */
    uint16_t id;               /* o  0: not begun */
    uint64_t stdin_total;      /* o  with DATA */
    uint64_t moved_ms;         /* o  last record for it, or of it */
    uint8_t end_body[8];       /* o  content of END_REQUEST */
    unsigned n_end_body;       /* o  so far, also what is over 8 */
    enum fcgi_retry retry;     /* o  PHASE_OVER: what its caller is told */
    struct fcgi_request *over; /* o  the next whose caller is told the same */
};

/* One worker's view of a pool: what has to be looked at later. */
struct pool_wake {
    struct timer timer; /* o  a server that is out of rotation is due */
    struct timer sweep; /* o  an idle connection may have been kept for long enough */
    struct pool *pool;  /* I */
    unsigned worker;    /* I */
};

/* What is looked at when a unix socket was, or is to be, connected to: peer.h. */
enum pool_peers { POOL_PEERS_ANY, POOL_PEERS_OWNER, POOL_PEERS_LISTENER };

struct pool {
    const struct conf_pool *conf; /* I */
    unsigned n_workers;           /* I */
    unsigned max;                 /* I */
    unsigned keepalive;           /* I */
    enum pool_peers peers;        /* I */
    uid_t peer_user;              /* I  of POOL_PEERS_OWNER and _LISTENER */
    uint64_t tick_ms;             /* I  the shortest of the connections' times */
    struct pool_wake *wakes;      /* I  [n_workers] */
    struct pool_checks *checks;   /* I  one worker's; NULL: no health_interval */
    atomic_bool draining;         /* a  written under mu; never unset; relaxed */
    struct lock mu;
    struct fcgi_server **servers;            /* m */
    unsigned n_servers, cap_servers;         /* m */
    struct fcgi_server **candidates;         /* m  [cap_servers], while one is chosen */
    unsigned n_backup;                       /* m  servers that are backups */
    struct fcgi_server *retired;             /* m  with connections left */
    struct fcgi_server *free_servers;        /* m  structs to be used again */
    uint32_t serial;                         /* m  of the server that was added last */
    struct turns turns;                      /* m  who waits */
    struct fcgi_conn *free_conns;            /* m */
    struct fcgi_conn **all_conns;            /* m  every struct ever made, for pool_free */
    unsigned n_all, cap_all;                 /* m */
    unsigned n_in_flight, n_waiting, n_idle; /* m */
    uint64_t turn_ms;                        /* m  when a waiter last had its turn, or the first
                                                   came */
    uint64_t pace_us;                        /* m  between turns, on average */
    struct pool_stats stats;                 /* m */
    struct procs *procs;                     /*    the main thread's; NULL: addresses */
    struct pool_names *names;                /*    the main thread's; NULL: no names */
    unsigned n_unresolved;                   /* m  names that had no answer at all so far */
    struct loop *poke_loop;                  /* m */
    struct loop_msg *poke;                   /* m  NULL: nobody decides */
    bool poked;                              /* m  it is under way */
    unsigned n_up;                           /* m  processes that are UP */
};

static inline bool pool_drains(const struct pool *p)
{
    return atomic_load_explicit(&p->draining, memory_order_relaxed);
}

static inline struct loop *fcgi_conn_loop(const struct fcgi_conn *fc)
{
    return atomic_load_explicit(&fc->owner, memory_order_relaxed);
}

static inline bool fcgi_conn_is(const struct fcgi_conn *fc, enum fcgi_conn_state state)
{
    return atomic_load_explicit(&fc->state, memory_order_relaxed) == (int)state;
}

/* Callers may end their requests when they are called.  Who goes on with a connection after a
 * call compares this with what it was before: if it is another, the connection is its pool's,
 * or another worker's. */
static inline unsigned fcgi_conn_tenure(const struct fcgi_conn *fc)
{
    return atomic_load_explicit(&fc->tenure, memory_order_relaxed);
}

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

/* A request whose grant came after queue_timeout is refused all the same. */
void pool_count_late(struct pool *p);

/* r's slot comes back.  keep: its connection may be used again; *ret_close says that the
 * pool has no use for it, then the caller closes it and calls pool_conn_closed.  Without keep
 * its descriptor has been closed before.  Returns a waiter of the same worker that now has a
 * grant, or NULL (another worker's got its as a message). */
struct fcgi_request *pool_release(struct pool *p, struct fcgi_request *r, bool keep,
                                  bool *ret_close);

/* fc's descriptor was closed: its struct is free, and its server has room.  Returns as
 * pool_release. */
struct fcgi_request *pool_conn_closed(struct pool *p, struct fcgi_conn *fc, unsigned worker);

/* Requests that wait get what there is by now: a server is back, or new. */
void pool_serve_waiters(struct pool *p);

/* Take an idle connection of loop off its list, to close it.  false: it is not idle, or not
 * loop's any more. */
bool pool_take_idle(struct pool *p, struct fcgi_conn *fc, struct loop *loop);

/* r's fresh connection had no byte for STUCK_MS, nor had another one: idle connections of its
 * server may pin the thread or child that should accept it, so they are closed and none is kept
 * until r had an answer (THREADS.md, rule 6). */
void pool_mark_stuck(struct pool *p, struct fcgi_request *r, bool stuck);

/* r, which is in no queue, gets fc. */
void pool_grant_locked(struct pool *p, struct fcgi_request *r, struct fcgi_conn *fc)
    REQUIRES(p->mu);

/* ---- pool_server.c ---- */

struct server_spec {
    const char *name; /* copied */
    const struct sockaddr_storage *addr;
    socklen_t addr_len;
    unsigned weight, max; /* 0: 1, and the pool's max_requests */
    bool backup;
    unsigned slot; /* SERVER_NO_SLOT: an address */
};

/* Add a server, which gets its share at once.  Any thread.  NULL: memory is out. */
struct fcgi_server *pool_server_add(struct pool *p, const struct server_spec *spec);

/* No new request goes there; its idle connections are closed, and it is forgotten when the
 * last of the others is.  Who waited for it alone hears that the pool is down.  Any thread;
 * sv must not be touched afterwards. */
void pool_server_retire(struct pool *p, struct fcgi_server *sv);

/* May a request go there now, if it has room?  Out of rotation one may when the delay is
 * over: the probe. */
bool server_usable_locked(const struct fcgi_server *sv);
bool server_has_room_locked(const struct fcgi_server *sv);

/* A connection of sv was closed: a retired one may be forgotten. */
void server_forget_locked(struct pool *p, struct fcgi_server *sv) REQUIRES(p->mu);

/* Every idle connection of sv, or of all (NULL): their owners see the end of file and close
 * them; a descriptor is closed by its owner only. */
void server_shut_idle_locked(struct pool *p, const struct fcgi_server *sv) REQUIRES(p->mu);

/* ---- pool_process.c ---- */

bool pool_processes_init(struct pool *p); /* false: memory is out */
void pool_processes_fini(struct pool *p);

/* A request waits. */
void process_wanted_locked(struct pool *p) REQUIRES(p->mu);
void process_granted_locked(struct pool *p, struct fcgi_server *sv, struct fcgi_request *r)
    REQUIRES(p->mu);
void process_released_locked(struct pool *p, const struct fcgi_server *sv) REQUIRES(p->mu);

/* r->starts, and its server sent a first byte.  r's thread. */
void pool_process_answers(struct pool *p, struct fcgi_request *r);

/* ---- pool_balance.c ---- */

/* The server that r goes to, or NULL: none has room. */
struct fcgi_server *balance_choose_locked(struct pool *p, const struct fcgi_request *r)
    REQUIRES(p->mu);

/* ---- pool_health.c ---- */

/* Is there a server for who waits?  SOON: one is started, or tried again within a second. */
enum pool_outlook { OUTLOOK_NONE, OUTLOOK_SOON, OUTLOOK_NOW };
enum pool_outlook pool_outlook_locked(const struct pool *p) REQUIRES(p->mu);

/* A health check's verdict on the server with that serial, if it is still there.  Not ok: out of
 * rotation, for longer each time, because of reason.  ok: back in rotation if it was out.  Logs
 * what changed.  Any thread. */
void pool_server_health(struct pool *p, uint32_t serial, bool ok, const char *reason);

/* What a request tells about its server, before its slot is given back: connected, a first
 * byte (only if it is a probe, or was stuck), a failure.  r's thread. */
void pool_request_connected(struct pool *p, struct fcgi_request *r);
void pool_request_answers(struct pool *p, struct fcgi_request *r);
void pool_request_failed(struct pool *p, struct fcgi_request *r, int err);

/* When the next server that is out is due, 0: none is. */
uint64_t pool_due_ms_locked(const struct pool *p) REQUIRES(p->mu);

/* r is granted a connection to sv: is it the probe? */
void health_granted_locked(struct fcgi_server *sv, struct fcgi_request *r);
/* r gives its slot back. */
void health_released_locked(struct fcgi_server *sv, struct fcgi_request *r);

/* Look again, on this worker, when the next server that is out of rotation is due. */
void pool_wake_later(struct pool *p, struct loop *loop, unsigned worker);
void pool_wake_fn(struct loop *l, struct timer *t);

/* ---- pool_peer.c ---- */

/* Whose its servers may be; before they are added.  -1 with a line on errors_to. */
int pool_peers_init(struct pool *p, FILE *errors_to);

/* Say now what is wrong with sockets that are there; init. */
void pool_peers_look(struct pool *p);

/* Before and after connect(): 0, or an error of peer.h, of which the log has what is wrong. */
int pool_peer_before(const struct fcgi_server *sv);
int pool_peer_after(const struct fcgi_server *sv, int fd);

/* ---- pool_idle.c ---- */

/* A connection to sv for r, or NULL: memory is out, or the server takes no more. */
struct fcgi_conn *conn_take_locked(struct pool *p, struct fcgi_server *sv,
                                   const struct fcgi_request *r) REQUIRES(p->mu);
void conn_free_locked(struct pool *p, struct fcgi_conn *fc) REQUIRES(p->mu);
void idle_add_locked(struct pool *p, struct fcgi_conn *fc, const struct fcgi_request *after)
    REQUIRES(p->mu);
void idle_remove_locked(struct pool *p, struct fcgi_conn *fc) REQUIRES(p->mu);

/* worker has an idle connection: it is closed when keepalive_time is over. */
void pool_sweep_later(struct pool *p, struct loop *loop, unsigned worker);
void pool_sweep_fn(struct loop *l, struct timer *t);

/* ---- pool_queue.c ---- */

/* r waits, another perhaps no longer: 0, GW_EPOOL_FULL or GW_ENO_MEMORY. */
int queue_add_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu);
/* r leaves the queue without having had its turn. */
void queue_leave_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu);
/* Who is to have the slot that worker frees; still in the queue.  Whose time is over is refused on
 * the way. */
struct fcgi_request *queue_next_locked(struct pool *p, unsigned worker) REQUIRES(p->mu);
/* r, which queue_next_locked said, has it. */
void queue_take_locked(struct pool *p, struct fcgi_request *r) REQUIRES(p->mu);
/* No server will come: everybody leaves the queue, and is told so. */
void queue_refuse_all_locked(struct pool *p) REQUIRES(p->mu);
/* How long one who comes now would wait. */
uint64_t queue_wait_ms_locked(const struct pool *p) REQUIRES(p->mu);

/* ---- pool_share.c ---- */

/* What of fc has changed may make it one that takes another request, or no longer. */
void share_update_locked(struct fcgi_conn *fc);

/* A connection to sv, of r's worker, that takes r beside those it has.  crowded: also one that
 * carries a request body, behind which r may have to wait. */
struct fcgi_conn *share_take_locked(struct pool *p, struct fcgi_server *sv,
                                    const struct fcgi_request *r, bool crowded) REQUIRES(p->mu);

/* The owner's thread: fc may be shared from now on, or no longer. */
void pool_conn_share(struct fcgi_conn *fc, bool shares);

/* r keeps other requests off its connection from now on, or no longer. */
void pool_request_close(struct fcgi_request *r, bool closes);

/* The same, if r is the only one; false: others have the connection too. */
bool pool_request_try_close(struct fcgi_request *r);

/* What a server answered (NULL: that it knows no GET_VALUES), or that it has gone away and may
 * be another when it comes back. */
void pool_server_says(struct fcgi_server *sv, const struct fcgi_values *values);
void pool_server_forget_values(struct fcgi_server *sv);

/* It took a second request on a connection for an error. */
void pool_server_cannot_share(struct fcgi_server *sv);

/* ---- client.c for the others; the owner's thread ---- */

void fcgi_request_granted_msg(struct loop *l, struct loop_msg *msg);

/* r failed, and it alone: its connection, too, unless others are on it. */
void fcgi_request_fail(struct fcgi_request *r, int err, enum fcgi_retry retry);

/* The connection is over, and every request on it.  Each may be sent again as retry says, but
 * not one that had an answer already, and not the one whose fault it was (NULL: nobody's). */
void fcgi_conn_fail(struct fcgi_conn *fc, int err, enum fcgi_retry retry,
                    struct fcgi_request *fault);

/* One of r's times is over: its caller hears of it now, but the slot stays taken until the
 * application is through with it, at most abort_timeout. */
void fcgi_request_time_over(struct fcgi_request *r, int err);

/* Tell whoever asked that r is over. */
void fcgi_request_tell(struct fcgi_request *r);

/* END_REQUEST is whole, in r->end_body; r is over.  more: bytes follow it. */
void fcgi_request_ended(struct fcgi_request *r, bool more);

/* What a GET_VALUES check waited for came. */
void fcgi_request_values(struct fcgi_request *r);

/* An aborted request whose END_REQUEST does not come gives its slot back. */
void fcgi_request_give_up(struct fcgi_request *r);

/* A connection struct whose descriptor is closed goes back to its pool. */
void fcgi_conn_give_back(struct fcgi_conn *fc, unsigned worker);

struct fcgi_request *fcgi_request_make(struct pool *pool, struct loop *loop, unsigned worker,
                                       const struct fcgi_request_ops *ops, void *arg);

/* ---- client_send.c ---- */

/* The head of r, and what goes before it, into its connection's out.  GW_ENO_MEMORY: nothing
 * was put there. */
int fcgi_put_head(struct fcgi_request *r, uint16_t role, const struct buf *params, bool body,
                  bool idempotent);
void fcgi_put_abort(struct fcgi_request *r);

/* r says nothing more: its streams are counted out.  tell: the server hears of their ends. */
void fcgi_request_hush(struct fcgi_request *r, bool tell);

/* Of those that wait to say more, each has a turn while there is room.  false: the connection
 * is no longer ours. */
bool fcgi_conn_give_turns(struct fcgi_conn *fc);

/* ---- client_conn.c ---- */

void fcgi_conn_event(struct loop *l, struct loop_source *src, uint32_t events);
void fcgi_conn_flush_task(struct loop *l, struct loop_task *task);
void fcgi_conn_close_fd(struct fcgi_conn *fc); /* not from its epoll: the kernel does that */

/* What its requests wait for now: output to read, room to write. */
void fcgi_conn_rewatch(struct fcgi_conn *fc);
void fcgi_conn_watch(struct fcgi_conn *fc, uint32_t events);
void fcgi_conn_drop(
    struct fcgi_conn *fc); /* close it; the struct is for fcgi_conn_give_back or pool_release */

/* A request that has an id is first on it: the connection is made ready for it. */
void fcgi_conn_prepare(struct fcgi_conn *fc);

/* out holds the head of r: send it, connecting first where that must be.  idempotent: a kept
 * connection need not be looked at before.  The request may be over afterwards. */
void fcgi_conn_start(struct fcgi_conn *fc, bool idempotent);

/* Connect (again, after the backlog was full); or it cannot be had. */
void fcgi_conn_try(struct fcgi_conn *fc);
void fcgi_conn_unopened(struct fcgi_conn *fc, int err);

/* All of a request is in out: send it; what the server owes now is an answer. */
void fcgi_conn_said_all(struct fcgi_conn *fc);

/* Send what is in out: now, or, with several requests on it, together at the end of the turn. */
void fcgi_conn_flush(struct fcgi_conn *fc);
void fcgi_conn_push(struct fcgi_conn *fc);

/* Others may come beside its requests, unless it has one place or is to end. */
void fcgi_conn_share(struct fcgi_conn *fc);

/* Several requests may be on it, if its server offers that. */
void fcgi_conn_widen(struct fcgi_conn *fc);

/* ---- client_input.c ---- */

void fcgi_conn_read(struct loop *l, struct fcgi_conn *fc);

/* Log, once for a connection, that something of a request that is over came; then: what is done
 * about it. */
void fcgi_conn_said_more(struct fcgi_conn *fc, const char *then);

/* ---- client_times.c ---- */

enum {
    STUCK_MS =
        50, /* a fresh connection without a byte for so long may wait for a pinned thread, */
    STUCK_MOST_MS = 10 * STUCK_MS, /* or while others that are fresh are served meanwhile */
};

void fcgi_conn_timer(struct loop *l, struct timer *t);

/* Fresh, all of the request said, no byte back: a thread that an idle connection pins may be
 * what it waits for. */
bool fcgi_conn_may_be_stuck(const struct fcgi_conn *fc);

#endif
