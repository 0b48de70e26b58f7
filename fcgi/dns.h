/*
 * fcgi/dns.h - addresses and services of names, asked for without blocking.  The only module that
 * knows c-ares.
 *
 * Source   /etc/hosts, then the name servers that were given, else those of /etc/resolv.conf; its
 *          files are read again whenever nothing is under way
 * Result   fn is called exactly once for each question, perhaps before the call that asks returns.
 *          error: NULL, or a constant text that says what went wrong; then nothing was found.
 *          What was found is the caller's during the call only
 * Units    ttl_s: seconds that the answer holds, 0: it does not say (/etc/hosts)
 * Threads  its loop's
 */
#ifndef FCGI_DNS_H
#define FCGI_DNS_H

#include <stdint.h>
#include <sys/socket.h>

#include "../gateway/loop.h"

struct dns;

/* servers: "192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53", or NULL.  NULL: memory is out. */
struct dns *dns_new(struct loop *loop, const char *servers);

/* What is still under way is dropped: its fn is not called. */
void dns_free(struct dns *d);

struct dns_address {
    struct sockaddr_storage addr; /* with the port that was asked for */
    socklen_t len;
};

typedef void dns_addresses_fn(void *arg, const char *error, const struct dns_address *found,
                              unsigned n, unsigned ttl_s);

/* A and AAAA; one at least is found if there is no error.  host is copied. */
void dns_find_addresses(struct dns *d, const char *host, uint16_t port, dns_addresses_fn *fn,
                        void *arg);

/* RFC 2782 */
struct dns_service {
    const char *host; /* "" for a single dot: there is no such service */
    uint16_t port, priority, weight;
};

typedef void dns_services_fn(void *arg, const char *error, const struct dns_service *found,
                             unsigned n, unsigned ttl_s);

/* SRV; name is "_fcgi._tcp.example.org", copied. */
void dns_find_services(struct dns *d, const char *name, dns_services_fn *fn, void *arg);

/* The least TTL of the answers of a DNS message, 0: it has none, or is none.  Pure. */
unsigned dns_message_ttl(const uint8_t *msg, size_t len);

#endif
