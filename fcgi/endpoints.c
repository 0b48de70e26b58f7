#include "endpoints.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../gateway/err.h"

void endpoints_fini(struct endpoints *e)
{
    free(e->list);
    *e = (struct endpoints){0};
}

static struct endpoint *find(const struct endpoints *e, const char *name)
{
    for (unsigned i = 0; i < e->n; i++) {
        if (strcmp(e->list[i].name, name) == 0)
            return &e->list[i];
    }
    return NULL;
}

static uint16_t port_of(const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

    return ntohs(addr->ss_family == AF_INET6 ? in6->sin6_port : in->sin_port);
}

static void put_name(char name[ENDPOINT_NAME], const char *host,
                     const struct sockaddr_storage *addr)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    bool six = addr->ss_family == AF_INET6;
    char ip[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(addr->ss_family,
                    six ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, ip,
                    sizeof(ip));
    (void)snprintf(name, ENDPOINT_NAME, "%.255s/%s%s%s:%u", host, six ? "[" : "", ip,
                   six ? "]" : "", port_of(addr));
}

static int add(struct endpoints *e, const struct endpoint *one)
{
    if (e->n >= ENDPOINTS_MAX || find(e, one->name))
        return 0;
    if (e->n == e->cap) {
        unsigned cap = e->cap ? e->cap * 2 : 4;
        struct endpoint *more = realloc(e->list, cap * sizeof(*more));
        if (!more)
            return GW_ENO_MEMORY;
        e->list = more;
        e->cap = cap;
    }
    e->list[e->n++] = *one;
    return 0;
}

int endpoints_add(struct endpoints *e, const char *host, const struct sockaddr_storage *addr,
                  socklen_t addr_len, const struct endpoint *like)
{
    struct endpoint one = *like;

    put_name(one.name, host, addr);
    one.addr = *addr;
    one.addr_len = addr_len;
    one.server = NULL;
    return add(e, &one);
}

int endpoints_keep(struct endpoints *e, const struct endpoints *old, const char *host,
                   uint16_t port, const struct endpoint *like)
{
    size_t n = strlen(host);
    int rc = 0;

    for (unsigned i = 0; i < old->n && rc == 0; i++) {
        const struct endpoint *o = &old->list[i];
        if (strncmp(o->name, host, n) == 0 && o->name[n] == '/' && port_of(&o->addr) == port)
            rc = endpoints_add(e, host, &o->addr, o->addr_len, like);
    }
    return rc;
}

static unsigned n_of_target(const struct endpoints *e, unsigned target)
{
    unsigned n = 0;

    for (unsigned i = 0; i < e->n; i++)
        n += e->list[i].target == target;
    return n;
}

void endpoints_rank(struct endpoints *e)
{
    unsigned lowest = UINT16_MAX;

    for (unsigned i = 0; i < e->n; i++)
        lowest = e->list[i].priority < lowest ? e->list[i].priority : lowest;
    for (unsigned i = 0; i < e->n; i++) {
        struct endpoint *one = &e->list[i];
        unsigned weight = (unsigned)one->srv_weight * SRV_SCALE / n_of_target(e, one->target);
        one->weight = weight ? weight : 1;
        one->backup |= one->priority > lowest;
    }
}

void endpoints_match(struct endpoints *e, struct endpoints *old)
{
    for (unsigned i = 0; i < e->n; i++) {
        struct endpoint *one = &e->list[i], *before = find(old, one->name);
        if (!before || before->weight != one->weight || before->backup != one->backup)
            continue;
        one->server = before->server;
        before->server = NULL;
    }
}
