/*
 * gateway/tls_config.h - what tls.c and tls_config.c share; nobody else includes it.
 *
 * Threads  constant once made, read by any
 */
#ifndef GATEWAY_TLS_CONFIG_H
#define GATEWAY_TLS_CONFIG_H

#include <openssl/ssl.h>

#include "tls.h"

/* One certificate with its key, shared by all sites that name the same two files. */
struct tls_cert {
    const char *certificate, *key; /* paths; in the config's arena */
    SSL_CTX *ctx;
};

/* A host name (lower case, perhaps with a leading "*.") and what it is served with. */
struct tls_name {
    struct slice host;
    SSL_CTX *ctx; /* borrowed from certs */
};

struct tls_config {
    struct arena arena;
    struct tls_cert *certs;
    size_t n_certs;
    struct tls_name *names; /* sorted by host */
    size_t n_names;
    SSL_CTX *fallback; /* the default site's, else the first one; NULL: an empty config */
    BIO_METHOD *bio;
    unsigned max_rekeys;
    uint8_t ticket_key[TLS_TICKET_KEY];
};

/* Which SSL_CTX a name (any case, not NUL-terminated) is served with: exact, then the longest
 * wildcard, then the fallback. */
SSL_CTX *tls_config_find(const struct tls_config *tc, struct slice host);

/* tls.c: the BIO behind which struct tls stands; NULL if memory is out. */
BIO_METHOD *tls_bio_method(void);

#endif
