#include "runner_serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner_script.h"

enum {
    CONNS_MAX = 32,
    /* From the first byte of a head to its last: a web server sends it in one go. */
    HEAD_MS = 10 * 1000,
    /* A peer that was answered before it had sent its body, and shall read the answer before
     * it meets a closed connection. */
    LINGER_MS = 2 * 1000,
    /* When descriptors or memory have run out, accepting can wait. */
    ACCEPT_PAUSE_MS = 100,
};

struct serve {
    struct runner *r;
    bool tcp;
    int failed;                          /* negative errno of accept that will not get better */
    int64_t now_ms;                      /* of this turn */
    int64_t accept_ms;                   /* not before */
    size_t n_conns;                      /* places of conns in use or free again */
    struct runner_conn conns[CONNS_MAX]; /* fd -1: free */
};

enum { ON_SIGNAL, ON_LISTEN, ON_STDERR, N_FIXED };

static void close_conn(struct serve *sv, struct runner_conn *c)
{
    runner_conn_fini(c);
    sv->r->input.off = sv->r->input.len = 0;
    while (sv->n_conns && sv->conns[sv->n_conns - 1].fd < 0)
        sv->n_conns--;
}

/* ---- accept ---- */

/* A free place, if need be by closing the connection that was silent longest. */
static struct runner_conn *place(struct serve *sv)
{
    struct runner_conn *oldest = &sv->conns[0];

    for (size_t i = 0; i < sv->n_conns; i++) {
        if (sv->conns[i].fd < 0)
            return &sv->conns[i];
        if (sv->conns[i].since_ms < oldest->since_ms)
            oldest = &sv->conns[i];
    }
    if (sv->n_conns < CONNS_MAX)
        return &sv->conns[sv->n_conns++];
    runner_conn_fini(oldest);
    return oldest;
}

static void accept_failed(struct serve *sv, int err)
{
    switch (err) {
    case EAGAIN: /* somebody else on the same socket took it */
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
        break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        sv->accept_ms = sv->now_ms + ACCEPT_PAUSE_MS;
        break;
    default:
        sv->failed = -err;
    }
}

/* FastCGI 3.2: over TCP only the listed addresses may connect, if there is a list. */
static bool is_allowed(const struct sockaddr_storage *peer)
{
    const char *list = getenv("FCGI_WEB_SERVER_ADDRS");
    char text[INET6_ADDRSTRLEN];
    const void *addr = &((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    struct slice left, item;

    if (!list || (peer->ss_family != AF_INET && peer->ss_family != AF_INET6))
        return true;
    if (peer->ss_family == AF_INET6)
        addr = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (!inet_ntop(peer->ss_family, addr, text, sizeof(text)))
        return false;
    left = slice_str(list);
    while (slice_list_next(&left, &item)) {
        if (slice_ieq(item, slice_str(text)))
            return true;
    }
    return false;
}

static void serve_conn(struct serve *sv, struct runner_conn *c);

static void accept_one(struct serve *sv)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    int on = 1;
    int fd =
        accept4(sv->r->listen_fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        accept_failed(sv, errno);
        return;
    }
    if (!is_allowed(&peer)) {
        close(fd);
        return;
    }
    /* The end of an answer is a small packet behind the last: it must not wait for an ACK. */
    if (sv->tcp)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct runner_conn *c = place(sv);
    runner_conn_init(c, fd, &sv->r->input);
    c->since_ms = sv->now_ms;
    serve_conn(sv, c); /* as a rule the request is there already */
}

/* ---- one connection ---- */

static bool in_head(const struct runner_conn *c)
{
    return c->state != RUNNER_CONN_IDLE || c->reader.n_header > 0;
}

/* The answer is sent and the connection not to be kept. */
static void end_conn(struct serve *sv, struct runner_conn *c)
{
    if (!c->unread || shutdown(c->fd, SHUT_WR) != 0) {
        close_conn(sv, c);
        return;
    }
    c->closing = true;
    c->since_ms = sv->now_ms;
    sv->r->input.off = sv->r->input.len = 0;
}

/* Take what is in the input: requests run from here, one after the other. */
static void take_input(struct serve *sv, struct runner_conn *c)
{
    for (;;) {
        switch (runner_conn_next(c)) {
        case RUNNER_MORE:
            if (runner_conn_flush(c) < 0)
                close_conn(sv, c);
            else if (c->over && buf_len(&c->out) == 0)
                end_conn(sv, c);
            return;
        case RUNNER_HEAD:
            runner_script_run(sv->r, c);
            sv->now_ms = c->since_ms = runner_now();
            if (c->fd < 0 || sv->r->finish || sv->r->stop) {
                close_conn(sv, c);
                return;
            }
            if (c->over) {
                end_conn(sv, c);
                return;
            }
            break;
        case RUNNER_BODY: /* these belong to a request, and there is none */
        case RUNNER_BODY_END:
        case RUNNER_ABORT:
        case RUNNER_BROKEN:
            close_conn(sv, c);
            return;
        }
    }
}

static void serve_conn(struct serve *sv, struct runner_conn *c)
{
    if (!in_head(c) && !c->closing)
        c->since_ms = sv->now_ms;
    ssize_t n = runner_conn_fill(c);
    if (n == -EAGAIN)
        return;
    if (n <= 0)
        close_conn(sv, c);
    else if (c->closing)
        sv->r->input.off = sv->r->input.len = 0;
    else
        take_input(sv, c);
}

/* When the connection has to be given up; INT64_MAX: never, an idle one may stay. */
static int64_t due_of(const struct runner_conn *c)
{
    if (c->closing)
        return c->since_ms + LINGER_MS;
    return in_head(c) || buf_len(&c->out) ? c->since_ms + HEAD_MS : INT64_MAX;
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct serve *sv)
{
    int64_t at = sv->r->kin.tick_ms;

    if (sv->accept_ms)
        at = earlier(at, sv->accept_ms);
    for (size_t i = 0; i < sv->n_conns; i++) {
        if (sv->conns[i].fd >= 0)
            at = earlier(at, due_of(&sv->conns[i]));
    }
    if (at == INT64_MAX)
        return -1;
    return (int)earlier(at > sv->now_ms ? at - sv->now_ms : 0, 60 * 1000);
}

static size_t fill_slots(const struct serve *sv, struct pollfd *p)
{
    p[ON_SIGNAL] = (struct pollfd){.fd = sv->r->signal_fd, .events = POLLIN};
    p[ON_LISTEN] =
        (struct pollfd){.fd = sv->accept_ms ? -1 : sv->r->listen_fd, .events = POLLIN};
    p[ON_STDERR] = (struct pollfd){.fd = sv->r->stderr_fd, .events = POLLIN};
    for (size_t i = 0; i < sv->n_conns; i++) {
        const struct runner_conn *c = &sv->conns[i];
        short out = buf_len(&c->out) ? POLLOUT : 0;
        p[N_FIXED + i] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | out)};
    }
    return N_FIXED + sv->n_conns;
}

static void on_signal(struct serve *sv)
{
    struct rusage usage;
    bool exited;
    int status;

    if (runner_signals(sv->r))
        (void)runner_kin_reap(&sv->r->kin, 0, &exited, &status, &usage);
}

static void on_conn(struct serve *sv, struct runner_conn *c, short revents)
{
    if (revents & POLLIN)
        serve_conn(sv, c);
    else if (revents & POLLOUT)
        take_input(sv, c); /* sends */
    else
        close_conn(sv, c);
}

static void on_time(struct serve *sv)
{
    if (sv->now_ms >= sv->r->kin.tick_ms)
        runner_kin_tick(&sv->r->kin, sv->now_ms);
    if (sv->accept_ms && sv->now_ms >= sv->accept_ms)
        sv->accept_ms = 0;
    for (size_t i = 0; i < sv->n_conns; i++) {
        if (sv->conns[i].fd >= 0 && sv->now_ms >= due_of(&sv->conns[i]))
            close_conn(sv, &sv->conns[i]);
    }
}

static bool is_over(const struct serve *sv)
{
    return sv->r->stop || sv->r->finish || sv->failed;
}

static void turn(struct serve *sv)
{
    struct pollfd p[N_FIXED + CONNS_MAX];
    size_t n_slots = fill_slots(sv, p);
    int n = poll(p, n_slots, wait_ms(sv));

    sv->now_ms = runner_now();
    if (n > 0 && p[ON_SIGNAL].revents)
        on_signal(sv);
    if (n > 0 && p[ON_STDERR].revents)
        runner_stray_stderr(sv->r);
    /* Known connections first: they are older than those that wait to be accepted. */
    for (size_t i = 0; n > 0 && N_FIXED + i < n_slots && !is_over(sv); i++) {
        if (p[N_FIXED + i].revents && sv->conns[i].fd == p[N_FIXED + i].fd)
            on_conn(sv, &sv->conns[i], p[N_FIXED + i].revents);
    }
    if (n > 0 && p[ON_LISTEN].revents && !is_over(sv))
        accept_one(sv);
    on_time(sv);
}

int runner_serve(struct runner *r)
{
    static struct serve sv; /* too large for a stack */
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof(local);

    sv = (struct serve){.r = r, .now_ms = runner_now()};
    for (size_t i = 0; i < CONNS_MAX; i++)
        sv.conns[i].fd = -1;
    if (getsockname(r->listen_fd, (struct sockaddr *)&local, &len) == 0)
        sv.tcp = local.ss_family == AF_INET || local.ss_family == AF_INET6;
    while (!is_over(&sv))
        turn(&sv);
    for (size_t i = 0; i < CONNS_MAX; i++)
        runner_conn_fini(&sv.conns[i]);
    return sv.failed;
}
