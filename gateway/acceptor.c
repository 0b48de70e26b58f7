#include "acceptor.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 64,
    PAUSE_MS = 50,        /* how long to wait when a limit was reached */
    SAY_EVERY_MS = 10000, /* at a limit pauses come with every connection that goes */
    NOTSENT_LOWAT =
        128 * 1024, /* bytes a socket takes beyond what is in flight: priorities decide late */
};

/* A listening socket. */
struct acceptor_port {
    struct loop_source src;
    struct acceptor *acceptor;
    const struct gateway_listener *listener;
    union sockaddr_any local;
    bool any_address; /* bound to all: the local address is the connection's own */
};

/* A plain connection whose first bytes are not enough yet. */
struct acceptor_young {
    struct loop_source src;
    struct timer timer;
    struct acceptor *acceptor;
    struct acceptor_young *prev, *next;
    struct conn_accepted accepted;
    uint8_t first[H2_PREFACE_LEN];
    size_t n_first;
};

struct acceptor {
    struct loop *loop;
    const struct conf_gateway *conf;
    struct worker *workers;
    unsigned n_workers;
    unsigned turn;
    struct acceptor_port *ports;
    unsigned n_ports;
    struct acceptor_young *young;
    unsigned n_young;
    struct timer pause;
    bool paused;
    bool stopped;
    uint64_t said_ms; /* when the log last heard of a pause; 0: never */
};

/* ---- limits ---- */

static unsigned acceptor_n_conns(const struct acceptor *a)
{
    unsigned n = a->n_young;

    for (unsigned i = 0; i < a->n_workers; i++)
        n += atomic_load_explicit(&a->workers[i].n_conns, memory_order_relaxed);
    return n;
}

static void acceptor_watch(struct acceptor *a, bool on)
{
    for (unsigned i = 0; i < a->n_ports; i++)
        loop_mod(a->loop, &a->ports[i].src, on ? EPOLLIN : 0);
}

/* What waits stays in the kernel's backlog meanwhile. */
static void acceptor_pause(struct acceptor *a, const char *why)
{
    uint64_t now = loop_now_ms(a->loop);

    if (!a->said_ms || now >= a->said_ms + SAY_EVERY_MS) {
        log_line(CONF_LOG_WARN, "accepting pauses: %s", why);
        a->said_ms = now;
    }
    if (!a->paused)
        acceptor_watch(a, false);
    a->paused = true;
    timer_set(a->loop, &a->pause, PAUSE_MS);
}

static void acceptor_pause_fn(struct loop *l, struct timer *t)
{
    struct acceptor *a =
        (struct acceptor *)(void *)((char *)t - offsetof(struct acceptor, pause));

    if (a->stopped)
        return;
    if (acceptor_n_conns(a) >= a->conf->max_connections) {
        timer_set(l, t, PAUSE_MS);
        return;
    }
    a->paused = false;
    acceptor_watch(a, true);
}

/* ---- giving away ---- */

/* Streams first, then connections, then in turn. */
static struct worker *acceptor_least_loaded(struct acceptor *a)
{
    struct worker *best = NULL;
    unsigned best_streams = 0, best_conns = 0;

    a->turn++;
    for (unsigned i = 0; i < a->n_workers; i++) {
        struct worker *w = &a->workers[(a->turn + i) % a->n_workers];
        unsigned streams = atomic_load_explicit(&w->n_streams, memory_order_relaxed);
        unsigned conns = atomic_load_explicit(&w->n_conns, memory_order_relaxed);
        if (!best || streams < best_streams ||
            (streams == best_streams && conns < best_conns)) {
            best = w;
            best_streams = streams;
            best_conns = conns;
        }
    }
    return best;
}

static void acceptor_give(struct acceptor *a, const struct conn_accepted *c,
                          const uint8_t *first, size_t n)
{
    if (worker_give(acceptor_least_loaded(a), c, first, n) < 0)
        close(c->fd);
}

/* ---- young connections ---- */

static void young_forget(struct acceptor_young *y)
{
    struct acceptor *a = y->acceptor;

    timer_clear(&y->timer);
    loop_del(a->loop, &y->src);
    if (y->next)
        y->next->prev = y->prev;
    if (y->prev)
        y->prev->next = y->next;
    else
        a->young = y->next;
    a->n_young--;
    free(y);
}

static void young_drop(struct acceptor_young *y)
{
    int fd = y->src.fd;

    young_forget(y);
    close(fd);
}

/* Do the bytes so far decide?  Anything but a prefix of the preface does (RFC 9113 3.4). */
static bool preface_decided(const uint8_t *p, size_t n)
{
    return n == H2_PREFACE_LEN || memcmp(p, H2_PREFACE, n) != 0;
}

/* < 0: closed or failed; 0: not yet; 1: decided. */
static int preface_read(int fd, uint8_t *first, size_t *n_first)
{
    ssize_t n = recv(fd, first + *n_first, H2_PREFACE_LEN - *n_first, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    *n_first += (size_t)n;
    return preface_decided(first, *n_first) ? 1 : 0;
}

static void young_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct acceptor_young *y = (struct acceptor_young *)(void *)src;
    int rc = preface_read(src->fd, y->first, &y->n_first);

    (void)l;
    (void)events;
    if (rc < 0) {
        young_drop(y);
    } else if (rc > 0) {
        struct acceptor *a = y->acceptor;
        struct acceptor_young copy = *y;
        young_forget(y);
        acceptor_give(a, &copy.accepted, copy.first, copy.n_first);
    }
}

static void young_timer(struct loop *l, struct timer *t)
{
    (void)l;
    young_drop(
        (struct acceptor_young *)(void *)((char *)t - offsetof(struct acceptor_young, timer)));
}

static void young_new(struct acceptor *a, const struct conn_accepted *c, const uint8_t *first,
                      size_t n)
{
    struct acceptor_young *y = calloc(1, sizeof(*y));

    if (!y) {
        close(c->fd);
        return;
    }
    y->src.fd = c->fd;
    y->src.fn = young_event;
    y->timer.fn = young_timer;
    y->acceptor = a;
    y->accepted = *c;
    y->n_first = n;
    if (n)
        memcpy(y->first, first, n);
    if (loop_add(a->loop, &y->src, EPOLLIN) < 0) {
        close(c->fd);
        free(y);
        return;
    }
    y->next = a->young;
    if (y->next)
        y->next->prev = y;
    a->young = y;
    a->n_young++;
    timer_set(a->loop, &y->timer, (uint64_t)a->conf->head_timeout_ms);
}

/* ---- accepting ---- */

static void port_accepted(struct acceptor_port *port, int fd, const union sockaddr_any *peer)
{
    struct acceptor *a = port->acceptor;
    struct conn_accepted c = {
        .fd = fd, .tls = port->listener->tls, .peer = *peer, .local = port->local};
    socklen_t len = sizeof(c.local);
    uint8_t first[H2_PREFACE_LEN];
    size_t n = 0;

    if (port->any_address)
        getsockname(fd, &c.local.sa, &len);
    if (c.tls) {
        acceptor_give(a, &c, NULL, 0);
        return;
    }
    int rc = preface_read(fd, first, &n);
    if (rc < 0)
        close(fd);
    else if (rc > 0)
        acceptor_give(a, &c, first, n);
    else
        young_new(a, &c, first, n);
}

static void port_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct acceptor_port *port = (struct acceptor_port *)(void *)src;
    struct acceptor *a = port->acceptor;

    (void)l;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && !a->stopped; i++) {
        union sockaddr_any peer = {0};
        socklen_t len = sizeof(peer);

        if (acceptor_n_conns(a) >= a->conf->max_connections) {
            acceptor_pause(a, "max_connections reached");
            return;
        }
        int fd = accept4(src->fd, &peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            port_accepted(port, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            acceptor_pause(a, strerror(errno));
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else that one connection went away: take the next */
    }
}

/* ---- life ---- */

static bool address_is_any(const union sockaddr_any *s)
{
    if (s->sa.sa_family == AF_INET)
        return s->in.sin_addr.s_addr == INADDR_ANY;
    return s->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&s->in6.sin6_addr);
}

static int port_init(struct acceptor *a, struct acceptor_port *port,
                     const struct gateway_listener *li)
{
    socklen_t len = sizeof(port->local);
    int one = 1, lowat = NOTSENT_LOWAT;

    port->src.fd = li->fd;
    port->src.fn = port_event;
    port->acceptor = a;
    port->listener = li;
    if (getsockname(li->fd, &port->local.sa, &len) < 0)
        return -1;
    port->any_address = address_is_any(&port->local);
    if (port->local.sa.sa_family !=
        AF_UNIX) { /* accepted sockets inherit both: no call per connection */
        setsockopt(li->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(li->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    }
    return loop_add(a->loop, &port->src, EPOLLIN);
}

struct acceptor *acceptor_new(struct loop *l, const struct gateway_setup *setup,
                              struct worker *workers, unsigned n_workers)
{
    struct acceptor *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->loop = l;
    a->conf = &setup->conf->gateway;
    a->workers = workers;
    a->n_workers = n_workers;
    a->pause.fn = acceptor_pause_fn;
    a->ports = calloc(setup->n_listeners ? setup->n_listeners : 1, sizeof(*a->ports));
    if (!a->ports) {
        acceptor_free(a);
        return NULL;
    }
    for (unsigned i = 0; i < setup->n_listeners; i++) {
        if (port_init(a, &a->ports[i], &setup->listeners[i]) < 0) {
            acceptor_free(a);
            return NULL;
        }
        a->n_ports++;
    }
    return a;
}

void acceptor_stop(struct acceptor *a)
{
    if (a->stopped)
        return;
    a->stopped = true;
    timer_clear(&a->pause);
    for (unsigned i = 0; i < a->n_ports; i++) {
        loop_del(a->loop, &a->ports[i].src);
        close(a->ports[i].src.fd);
    }
    for (struct acceptor_young *y = a->young, *next; y; y = next) {
        next = y->next;
        young_drop(y);
    }
}

void acceptor_free(struct acceptor *a)
{
    if (!a)
        return;
    acceptor_stop(a);
    free(a->ports);
    free(a);
}
