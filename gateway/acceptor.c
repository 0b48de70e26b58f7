#include "acceptor.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients.h"
#include "counters.h"
#include "log.h"
#include "proxyproto.h"
#include "seldom.h"

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

/*
 * A connection until a worker gets it, with the room for what is read of it meanwhile: for a
 * PROXY header, which may bring bytes behind it along, or else for the preface.
 */
struct acceptor_first {
    struct acceptor_port *port;
    struct conn_accepted accepted;
    bool wants_header;
    size_t n, cap;
    uint8_t *p;
};

/* A connection whose first bytes are not enough yet. */
struct acceptor_young {
    struct loop_source src;
    struct timer timer;
    struct acceptor *acceptor;
    struct acceptor_young *prev, *next;
    struct acceptor_first first;
    uint8_t bytes[];
};

struct acceptor {
    struct loop *loop;
    const struct conf_gateway *conf;
    struct worker *workers;
    unsigned n_workers;
    struct clients *clients;
    unsigned turn;
    struct acceptor_port *ports;
    unsigned n_ports;
    struct acceptor_young *young;
    unsigned n_young;
    struct timer pause;
    bool paused;
    bool stopped;
    uint64_t said_ms; /* when the log last heard of a pause; 0: never */
    struct seldom proxy_said;
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

static void accepted_close(const struct conn_accepted *c)
{
    close(c->fd);
    clients_disconnect(c->client);
}

static void acceptor_give(struct acceptor *a, const struct conn_accepted *c,
                          const uint8_t *first, size_t n)
{
    if (worker_give(acceptor_least_loaded(a), c, first, n) < 0)
        accepted_close(c);
}

/* ---- who comes ---- */

/* A port that is set up for a proxy that sends no header, or for another, is to be seen in every
 * log; somebody who knocks often is not. */
static void port_log(const struct acceptor_port *port, const union sockaddr_any *peer,
                     bool trouble, int err, const char *why)
{
    struct acceptor *a = port->acceptor;
    struct cidr_address address = cidr_address_of(&peer->sa);
    char text[CIDR_TEXT], more[SELDOM_TEXT] = "";
    int level = CONF_LOG_DEBUG;

    if (trouble)
        level = seldom_say(&a->proxy_said, loop_now_ms(a->loop) * 1000000, more)
                    ? CONF_LOG_WARN
                    : CONF_LOG_INFO;
    cidr_address_text(&address, text);
    log_line(level, "listen=%s client=%s %s: %s%s%s%s", port->listener->conf->name, text,
             gw_err_name(err), gw_err_text(err), why[0] ? "; " : "", why, more);
}

/* deny and allow of [listen].  Not worth a line each: whoever is kept out may knock often. */
static bool port_admits(const struct acceptor_port *port, const union sockaddr_any *client)
{
    const struct access *access = port->listener->conf->access;
    const struct cidr *rule;

    if (!access)
        return true;
    struct cidr_address address = cidr_address_of(&client->sa);
    if (access_ask(access, &address, &rule))
        return true;
    counter_add(COUNTER_LISTEN_DENY);
    return false;
}

/* Do we take it?  c->peer is its client, whoever told us; who is counted in c->client then. */
static bool port_takes(const struct acceptor_port *port, struct conn_accepted *c)
{
    struct acceptor *a = port->acceptor;
    struct cidr_address client = cidr_address_of(&c->peer.sa);

    if (!port_admits(port, &c->peer))
        return false;
    return clients_connect(a->clients, &client, loop_now_ms(a->loop) * 1000000, &c->client) ==
           0;
}

/* May it say whose connection this is? */
static bool port_trusts(const struct acceptor_port *port, const union sockaddr_any *peer)
{
    struct cidr_address address = cidr_address_of(&peer->sa);

    if (cidr_set_find(&port->acceptor->conf->trusted_proxies, &address))
        return true;
    counter_add(COUNTER_PROXY_UNTRUSTED);
    port_log(port, peer, true, GW_EPROXY_UNTRUSTED, "closed");
    return false;
}

/* ---- first bytes ---- */

/* There is no header and there will be none.  What a check that only connects leaves is no
 * trouble. */
static void first_no_header(const struct acceptor_first *f, const char *why)
{
    char text[160];
    int n = snprintf(text, sizeof(text), "%s; %zu bytes came", why, f->n);

    for (size_t i = 0; i < f->n && i < 8; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%02x", i ? " " : ": ", f->p[i]);
    if (f->n)
        counter_add(COUNTER_PROXY_HEADER);
    port_log(f->port, &f->accepted.peer, f->n > 0, GW_EPROXY_HEADER, text);
}

/* The header is off the front of what was read, and the connection is the client's. */
static int first_take_header(struct acceptor_first *f)
{
    struct conn_accepted *c = &f->accepted;
    struct proxy_header h;
    const char *why = "";
    ssize_t n = proxy_header_parse(f->p, f->n, &h, &why);

    if (n < 0)
        first_no_header(f, why);
    if (n <= 0)
        return (int)n;
    f->n -= (size_t)n;
    memmove(f->p, f->p + n, f->n);
    f->wants_header = false;
    c->https |= h.tls;
    c->unnamed = !h.known;
    if (h.known) {
        c->peer = h.from;
        c->local = h.to;
    }
    return port_takes(f->port, c) ? 1 : -1;
}

/* Do the bytes so far decide?  Anything but a prefix of the preface does (RFC 9113 3.4). */
static bool preface_decided(const uint8_t *p, size_t n)
{
    return n >= H2_PREFACE_LEN || memcmp(p, H2_PREFACE, n) != 0;
}

/* < 0: closed, failed or refused; 0: not yet; 1: a worker may have it. */
static int first_read(struct acceptor_first *f)
{
    size_t most = f->wants_header ? f->cap : H2_PREFACE_LEN;
    ssize_t n = recv(f->accepted.fd, f->p + f->n, most - f->n, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        if (f->wants_header)
            first_no_header(f, n < 0 ? strerror(errno) : "closed by the peer");
        return -1;
    }
    f->n += (size_t)n;
    int rc = f->wants_header ? first_take_header(f) : 1;
    if (rc <= 0 || f->accepted.tls)
        return rc;
    return preface_decided(f->p, f->n) ? 1 : 0;
}

/* ---- young connections ---- */

static void young_unlink(struct acceptor_young *y)
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
}

static void young_drop(struct acceptor_young *y)
{
    struct conn_accepted c = y->first.accepted;

    young_unlink(y);
    accepted_close(&c);
    free(y);
}

static void young_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct acceptor_young *y = (struct acceptor_young *)(void *)src;
    int rc = first_read(&y->first);

    (void)l;
    (void)events;
    if (rc < 0) {
        young_drop(y);
    } else if (rc > 0) {
        young_unlink(y);
        acceptor_give(y->acceptor, &y->first.accepted, y->first.p, y->first.n);
        free(y);
    }
}

static void young_timer(struct loop *l, struct timer *t)
{
    struct acceptor_young *y =
        (struct acceptor_young *)(void *)((char *)t - offsetof(struct acceptor_young, timer));
    char text[64];

    (void)l;
    counter_add(COUNTER_HEAD_TIMEOUT);
    if (y->first.wants_header) {
        (void)snprintf(text, sizeof(text), "head_timeout of %lld ms is over",
                       (long long)y->acceptor->conf->head_timeout_ms);
        first_no_header(&y->first, text);
    }
    young_drop(y);
}

static void young_new(const struct acceptor_first *first)
{
    struct acceptor *a = first->port->acceptor;
    size_t cap = first->wants_header ? PROXY_MAX : H2_PREFACE_LEN;
    struct acceptor_young *y = calloc(1, sizeof(*y) + cap);

    if (!y) {
        accepted_close(&first->accepted);
        return;
    }
    y->src.fd = first->accepted.fd;
    y->src.fn = young_event;
    y->timer.fn = young_timer;
    y->acceptor = a;
    y->first = *first;
    y->first.p = y->bytes;
    y->first.cap = cap;
    memcpy(y->bytes, first->p, first->n);
    if (loop_add(a->loop, &y->src, EPOLLIN) < 0) {
        accepted_close(&first->accepted);
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
    const struct gateway_listener *li = port->listener;
    uint8_t bytes[PROXY_MAX];
    struct acceptor_first f = {
        .port = port,
        .accepted =
            {.fd = fd, .tls = li->tls, .https = li->tls, .peer = *peer, .local = port->local},
        .wants_header = li->conf->proxy_protocol,
        .cap = sizeof(bytes),
        .p = bytes,
    };
    socklen_t len = sizeof(f.accepted.local);

    if (f.wants_header ? !port_trusts(port, peer) : !port_takes(port, &f.accepted)) {
        close(fd);
        return;
    }
    if (port->any_address)
        getsockname(fd, &f.accepted.local.sa, &len);
    int rc = f.accepted.tls && !f.wants_header ? 1 : first_read(&f);
    if (rc < 0)
        accepted_close(&f.accepted);
    else if (rc > 0)
        acceptor_give(port->acceptor, &f.accepted, f.p, f.n);
    else
        young_new(&f);
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
    a->clients = workers->clients;
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
