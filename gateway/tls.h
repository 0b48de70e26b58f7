/*
 * gateway/tls.h - OpenSSL behind memory: certificates by SNI, and a session that never sees a
 * socket.
 *
 * Threads  tls_config_*: master, before threads.  tls_*: under the connection's lock (any lease
 *          holder)
 * Memory   struct tls belongs to its connection
 */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include <stdio.h>

#include "../conf/conf.h"
#include "buf.h"

struct tls_config;
struct tls;

enum { TLS_TICKET_KEY = 80 };

/*
 * Load certificate and key of every site that has one (relative to nothing: absolute paths),
 * check that they match, and make one SSL_CTX each; sites with the same two files share it.  EC
 * and RSA, TLS 1.2 and 1.3, ALPN h2 and http/1.1 (server's preference), SNI by the sites' hosts
 * (exact, wildcard, default site). All errors to errors_to, each naming site, file and line,
 * and saying missing, unreadable, not PEM or mismatched; then NULL.  ticket_key: 80 random
 * bytes the master keeps, so that tickets survive a restart of the gateway.  A configuration
 * without a TLS listener gives an empty config.  Needs [listen] tls = on to find at least one
 * certificate.
 */
struct tls_config *tls_config_new(const struct conf *conf,
                                  const uint8_t ticket_key[TLS_TICKET_KEY], FILE *errors_to);
void tls_config_free(struct tls_config *tc);

/* Server session, NULL if memory is out. */
struct tls *tls_new(struct tls_config *tc);
void tls_free(struct tls *t);

enum tls_result {
    TLS_OK = 0,       /* progress may go on */
    TLS_CLOSED = 1,   /* close_notify came */
    TLS_FLOODED = -2, /* more key updates than tls_key_updates: nothing more is read; output and
                         tls_close go on */
    TLS_FAILED =
        -1 /* fatal; the alert, if any, is in out; nothing more may be called but tls_free */
};

/*
 * Feed wire bytes and take what they decrypt to: plaintext is appended to plain, wire bytes to
 * be sent (handshake, alerts, tickets) to out.  All of in is taken.  During the handshake plain
 * stays empty.
 */
enum tls_result tls_input(struct tls *t, const uint8_t *in, size_t n, struct buf *plain,
                          struct buf *out);

bool tls_handshake_done(const struct tls *t);
/* "h2", "http/1.1" or "" after the handshake. */
struct slice tls_alpn(const struct tls *t);

/*
 * Is host (of an authority, no port) one that this session may be used for?  Not, if the client
 * asked for another name, host has a certificate of its own, and the one that was shown does not
 * cover it (RFC 9110 7.4).  A client that named nobody saw the default certificate, and
 * took it.
 */
bool tls_answers_for(const struct tls *t, struct slice host);

/* Encrypt p[0..n) and append the records to out.  Record sizes: small (one MSS) for the first
 * KiBs after idle, then 16 KiB. */
enum tls_result tls_output(struct tls *t, const uint8_t *p, size_t n, struct buf *out);

/* Keep the record buffers (34 KiB) between records, which saves four allocations a request, or
 * give them back, as a fresh session does after each record. */
void tls_keep_buffers(struct tls *t, bool keep);

/* Append close_notify. */
void tls_close(struct tls *t, struct buf *out);

/* A thread that called tls_ functions ends: free what OpenSSL keeps for it. */
void tls_thread_fini(void);

/* Text of the last failure, for the log; "" if none. */
const char *tls_error(const struct tls *t);

/* What the handshake came to, for variables and logs. */
struct tls_facts {
    const char *version;        /* "TLSv1.3"; constant */
    const char *cipher;         /* OpenSSL's name of it; constant */
    int cipher_bits, used_bits; /* of its keys: what it has, what counts */
    const char *sni;            /* host name, "" if none; the session's, as long as the lock */
};
void tls_facts(const struct tls *t, struct tls_facts *ret_facts);

#endif
