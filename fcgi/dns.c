#include "dns.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CARES_NO_DEPRECATED
#include <ares.h>
#include <ares_nameser.h>

enum {
    TIMEOUT_MS = 2000, /* of a try; c-ares doubles it each round */
    TRIES = 3,         /* of each name server */
    FOUND_MAX = 256,   /* of what a name has, so much is taken */
};

struct dns {
    struct loop *loop;
    const char *servers; /* borrowed; NULL: the system's */
    ares_channel channel;
    bool open; /* channel is */
    bool ends; /* nobody is told any more */
    unsigned n_asked;
    struct dns_fd *fds;
    struct timer timer;
};

struct dns_fd {
    struct loop_source src;
    struct dns *dns;
    struct dns_fd *next;
};

struct question {
    struct dns *dns;
    bool of_service;
    union {
        dns_addresses_fn *addresses;
        dns_services_fn *services; /* of_service */
    } fn;
    void *arg;
};

/* ---- the loop ---- */

static void set_timer(struct dns *d)
{
    struct timeval tv;

    if (d->open && ares_timeout(d->channel, NULL, &tv))
        timer_set(d->loop, &d->timer, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000);
    else
        timer_clear(&d->timer);
}

static void time_over(struct loop *l, struct timer *t)
{
    struct dns *d = (struct dns *)(void *)((char *)t - offsetof(struct dns, timer));

    (void)l;
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(d);
}

static void fd_event(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct dns_fd *f = (struct dns_fd *)(void *)src;
    struct dns *d = f->dns;
    bool in = events & (EPOLLIN | EPOLLHUP | EPOLLERR), out = events & EPOLLOUT;
    int fd = src->fd;

    (void)l;
    ares_process_fd(d->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    set_timer(d); /* f may be gone */
}

/* c-ares opened a socket, closes one, or waits for something else. */
static void fd_state(void *arg, ares_socket_t fd, int in, int out)
{
    struct dns *d = arg;
    struct dns_fd **at = &d->fds, *f;
    uint32_t events = (in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0);

    while ((f = *at) && f->src.fd != fd)
        at = &f->next;
    if (f && events) {
        loop_mod(d->loop, &f->src, events);
    } else if (f) {
        loop_del(d->loop, &f->src);
        *at = f->next;
        free(f);
    } else if (events && (f = calloc(1, sizeof(*f)))) { /* without one it times out */
        f->src = (struct loop_source){fd, fd_event};
        f->dns = d;
        f->next = d->fds;
        d->fds = f;
        if (loop_add(d->loop, &f->src, events) < 0) {
            d->fds = f->next;
            free(f);
        }
    }
}

/* ---- life ---- */

static void channel_close(struct dns *d)
{
    if (d->open)
        ares_destroy(d->channel);
    d->open = false;
    timer_clear(&d->timer);
}

/* A new one reads the system's files again. */
static int channel_open(struct dns *d)
{
    struct ares_options options = {
        .timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = fd_state};
    options.sock_state_cb_data = d;

    channel_close(d);
    int rc = ares_init_options(&d->channel, &options,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (rc != ARES_SUCCESS)
        return rc;
    d->open = true;
    return d->servers ? ares_set_servers_ports_csv(d->channel, d->servers) : ARES_SUCCESS;
}

struct dns *dns_new(struct loop *loop, const char *servers)
{
    struct dns *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(d);
        return NULL;
    }
    d->loop = loop;
    d->servers = servers;
    d->timer.fn = time_over;
    return d;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    d->ends = true;
    channel_close(d);
    ares_library_cleanup();
    free(d);
}

/* ---- questions ---- */

static const char *error_text(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return NULL;
    case ARES_ENOTFOUND:
        return "there is no such name (NXDOMAIN)";
    case ARES_ENODATA:
        return "the name has no such record";
    case ARES_ESERVFAIL:
        return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED:
        return "the name server refused";
    case ARES_ECONNREFUSED:
        return "no name server can be reached";
    case ARES_ETIMEOUT:
        return "no name server answered in time";
    default:
        return ares_strerror(status);
    }
}

static void call(const struct question *q, const char *error, const void *found, unsigned n,
                 unsigned ttl_s)
{
    if (q->of_service)
        q->fn.services(q->arg, error, found, n, ttl_s);
    else
        q->fn.addresses(q->arg, error, found, n, ttl_s);
}

static void tell(struct question *q, const char *error, const void *found, unsigned n,
                 unsigned ttl_s)
{
    struct dns *d = q->dns;

    if (!d->ends)
        call(q, error, found, n, ttl_s);
    d->n_asked--; /* only now: whoever was told may ask again, on the same channel */
    free(q);
}

/* A question with a channel to ask it on, or NULL: whoever asks has been told. */
static struct question *question_new(struct dns *d, const struct question *what)
{
    struct question *q = malloc(sizeof(*q));

    if (!q) {
        call(what, error_text(ARES_ENOMEM), NULL, 0, 0);
        return NULL;
    }
    *q = *what;
    q->dns = d;
    int rc = d->n_asked && d->open ? ARES_SUCCESS : channel_open(d);
    d->n_asked++;
    if (rc == ARES_SUCCESS)
        return q;
    tell(q, error_text(rc), NULL, 0, 0);
    return NULL;
}

static unsigned least(unsigned ttl_s, int other)
{
    unsigned o = other > 0 ? (unsigned)other : 0;

    return ttl_s == 0 || (o && o < ttl_s) ? o : ttl_s;
}

static void addresses_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
    struct question *q = arg;
    struct dns_address *found = NULL;
    unsigned n = 0, ttl_s = 0;

    (void)timeouts;
    if (status == ARES_SUCCESS && !res->nodes)
        status = ARES_ENODATA;
    if (status == ARES_SUCCESS && !(found = malloc(FOUND_MAX * sizeof(*found))))
        status = ARES_ENOMEM;
    for (struct ares_addrinfo_node *a = res && found ? res->nodes : NULL; a && n < FOUND_MAX;
         a = a->ai_next) {
        found[n] = (struct dns_address){.len = a->ai_addrlen};
        memcpy(&found[n].addr, a->ai_addr, a->ai_addrlen);
        ttl_s = least(ttl_s, a->ai_ttl);
        n++;
    }
    for (struct ares_addrinfo_cname *c = res && n ? res->cnames : NULL; c; c = c->next)
        ttl_s = least(ttl_s, c->ttl);
    tell(q, error_text(status), found, n, ttl_s);
    free(found);
    ares_freeaddrinfo(res);
}

void dns_find_addresses(struct dns *d, const char *host, uint16_t port, dns_addresses_fn *fn,
                        void *arg)
{
    /* Sorting would open sockets to each address to see whether there is a way to it. */
    static const struct ares_addrinfo_hints hints = {.ai_flags =
                                                         ARES_AI_NOSORT | ARES_AI_NUMERICSERV,
                                                     .ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};
    struct question *q = question_new(d, &(struct question){.fn.addresses = fn, .arg = arg});
    char service[8];

    if (!q)
        return;
    (void)snprintf(service, sizeof(service), "%u", port);
    ares_getaddrinfo(d->channel, host, service, &hints, addresses_answer, q);
    set_timer(d);
}

static void services_answer(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
    struct question *q = arg;
    struct ares_srv_reply *list = NULL;
    struct dns_service *found = NULL;
    unsigned n = 0;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(msg, len, &list);
    if (status == ARES_SUCCESS && !(found = malloc(FOUND_MAX * sizeof(*found))))
        status = ARES_ENOMEM;
    for (struct ares_srv_reply *s = found ? list : NULL; s && n < FOUND_MAX; s = s->next)
        found[n++] = (struct dns_service){s->host, s->port, s->priority, s->weight};
    tell(q, error_text(status), found, n, n ? dns_message_ttl(msg, (size_t)len) : 0);
    free(found);
    ares_free_data(list);
}

void dns_find_services(struct dns *d, const char *name, dns_services_fn *fn, void *arg)
{
    struct question *q =
        question_new(d, &(struct question){.of_service = true, .fn.services = fn, .arg = arg});

    if (!q)
        return;
    ares_query(d->channel, name, ns_c_in, ns_t_srv, services_answer, q);
    set_timer(d);
}

/* ---- messages: RFC 1035 4.1; c-ares shows no TTL of an SRV record ---- */

enum { MESSAGE_HEADER = 12, QUESTION_TAIL = 4, RECORD_TAIL = 10 };

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* Where the name at at ends, 0: outside the message. */
static size_t skip_name(const uint8_t *msg, size_t len, size_t at)
{
    while (at < len && msg[at] != 0 && msg[at] < 0xc0)
        at += (size_t)msg[at] + 1;
    at += at < len && msg[at] >= 0xc0 ? 2 : 1; /* a pointer ends it, 4.1.4 */
    return at <= len ? at : 0;
}

unsigned dns_message_ttl(const uint8_t *msg, size_t len)
{
    unsigned ttl_s = 0;
    size_t at = MESSAGE_HEADER;

    if (len < MESSAGE_HEADER)
        return 0;
    for (unsigned n = get16(msg + 4); n; n--) {
        at = skip_name(msg, len, at);
        if (at == 0 || len - at < QUESTION_TAIL)
            return 0;
        at += QUESTION_TAIL;
    }
    for (unsigned n = get16(msg + 6); n; n--) {
        at = skip_name(msg, len, at);
        if (at == 0 || len - at < RECORD_TAIL)
            return 0;
        unsigned ttl = get16(msg + at + 4) << 16 | get16(msg + at + 6);
        ttl_s = least(ttl_s, ttl > INT32_MAX ? 0 : (int)ttl); /* RFC 2181 8 */
        at += RECORD_TAIL + get16(msg + at + 8);
        if (at > len)
            return 0;
    }
    return ttl_s;
}
