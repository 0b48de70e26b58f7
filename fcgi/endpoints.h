/*
 * fcgi/endpoints.h - what a name stands for: a set of addresses, each with a share.  Pure but for
 * memory.
 *
 * Names    "app.example.org/192.0.2.1:9000", "app.example.org/[2001:db8::1]:9000"; two endpoints
 *          of a set with one name are one
 * Threads  one at a time
 */
#ifndef FCGI_ENDPOINTS_H
#define FCGI_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct fcgi_server;

enum {
    ENDPOINT_NAME = 256 + 64,
    ENDPOINTS_MAX = 256, /* of a set; more are left out */
    SRV_SCALE = 100,     /* of an SRV record's weights, so that 0 can be a hundredth of 1 */
};

struct endpoint {
    char name[ENDPOINT_NAME];
    struct sockaddr_storage addr; /* IPv4 or IPv6 */
    socklen_t addr_len;
    unsigned target; /* SRV: which record it is of; the record's priority and weight */
    uint16_t priority, srv_weight;
    unsigned weight;
    bool backup;
    struct fcgi_server *server; /* the user's */
};

struct endpoints {
    struct endpoint *list;
    unsigned n, cap;
};

void endpoints_fini(struct endpoints *e);

/* Add one at addr of host, with the shares that like has; nothing if it is there already, or
 * ENDPOINTS_MAX are.  GW_ENO_MEMORY, or 0. */
int endpoints_add(struct endpoints *e, const char *host, const struct sockaddr_storage *addr,
                  socklen_t addr_len, const struct endpoint *like);

/* Add what old has of host at that port, with the shares that like has. */
int endpoints_keep(struct endpoints *e, const struct endpoints *old, const char *host,
                   uint16_t port, const struct endpoint *like);

/* Weights and backups by RFC 2782: those of the lowest priority there is are no backups; the
 * addresses of one record share its weight. */
void endpoints_rank(struct endpoints *e);

/* Servers of old move to the endpoints of e that are the same with the same share.  Then those of
 * e without one are new, and those of old that still have one are gone. */
void endpoints_match(struct endpoints *e, struct endpoints *old);

#endif
