#include "tls_config.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

enum {
    RECORD_MAX = 16 * 1024,  /* RFC 8446 5.1 */
    RECORD_EXTRA = 64,       /* header, nonce, tag and content type of one record, rounded up */
    RECORD_FIRST = 1300,     /* fits one TCP segment: the head is read with the first one */
    RECORD_EARLY = 4 * 1024, /* then a few segments each */
    EARLY_BYTES = 14 * 1024, /* as long as a fresh congestion window lasts, RFC 6928 */
    IDLE_MS = 1000           /* after which the window is taken to be small again */
};

/* All fields are under the connection's lock. */
struct tls {
    SSL *ssl;
    const struct tls_config *config;
    const uint8_t *in; /* the caller's, while tls_input runs */
    size_t in_len;
    struct buf *out;  /* the caller's, while any call runs */
    char *error;      /* malloc'ed on failure, so that a connection without one pays 8 bytes */
    uint64_t sent_ms; /* monotonic, when the last record was made */
    uint32_t n_early; /* plaintext bytes since the start or the last pause, up to EARLY_BYTES */
    uint16_t n_rekeys;
    bool done, failed, no_memory;
};

/* ---- the BIO: reads from in[], writes to out ---- */

static int bio_read(BIO *bio, char *dst, int n)
{
    struct tls *t = BIO_get_data(bio);
    size_t k = n > 0 && (size_t)n < t->in_len ? (size_t)n : t->in_len;

    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (k == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(dst, t->in, k);
    t->in += k;
    t->in_len -= k;
    return (int)k;
}

static int bio_write(BIO *bio, const char *src, int n)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (buf_append(t->out, src, (size_t)n) != 0) {
        t->no_memory = true;
        return -1;
    }
    return n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "h2cgi memory");

    if (!m)
        return NULL;
    if (!BIO_meth_set_read(m, bio_read) || !BIO_meth_set_write(m, bio_write) ||
        !BIO_meth_set_ctrl(m, bio_ctrl)) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* ---- budget ---- */

/* The library's own code sees these inside SSL_read; nothing else tells that they came.  Each
 * makes us derive keys and answer, for a few bytes of the client's (RFC 8446 4.6.3).  A
 * renegotiation is refused by SSL_OP_NO_RENEGOTIATION with a warning, which is counted. */
static void count_rekeys(int write_p, int version, int content_type, const void *msg, size_t n,
                         SSL *ssl, void *arg)
{
    struct tls *t = arg;
    const uint8_t *p = msg;

    (void)version;
    (void)ssl;
    if (!t->done || t->n_rekeys > t->config->max_rekeys)
        return;
    if (!write_p && content_type == SSL3_RT_HANDSHAKE && n > 0 && p[0] == SSL3_MT_KEY_UPDATE)
        t->n_rekeys++;
    if (write_p && content_type == SSL3_RT_ALERT && n > 1 && p[1] == SSL_AD_NO_RENEGOTIATION)
        t->n_rekeys++;
    if (t->n_rekeys > t->config->max_rekeys)
        t->in_len = 0; /* SSL_read would go on to the end of in[]: starve it */
}

/* ---- life ---- */

struct tls *tls_new(struct tls_config *tc)
{
    struct tls *t = tc->fallback ? calloc(1, sizeof(*t)) : NULL;
    BIO *bio;

    if (!t)
        return NULL;
    ERR_clear_error();
    t->config = tc;
    t->ssl = SSL_new(tc->fallback);
    if (!t->ssl)
        goto free_tls;
    bio = BIO_new(tc->bio);
    if (!bio)
        goto free_ssl;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio); /* one object for both directions; taken over */
    SSL_set_msg_callback(t->ssl, count_rekeys);
    SSL_set_msg_callback_arg(t->ssl, t);
    SSL_set_accept_state(t->ssl);
    return t;
free_ssl:
    SSL_free(t->ssl);
free_tls:
    free(t);
    ERR_clear_error();
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t->error);
    free(t);
}

/* ---- failures ---- */

static enum tls_result fail(struct tls *t, const char *what)
{
    unsigned long code = ERR_peek_error(); /* the oldest: the cause */
    const char *reason = ERR_reason_error_string(code);
    char text[160];

    if (t->no_memory)
        reason = "out of memory";
    (void)snprintf(text, sizeof(text), "%s: %s", what, reason ? reason : "connection cut");
    ERR_clear_error();
    t->failed = true;
    free(t->error);
    t->error = strdup(text);
    return TLS_FAILED;
}

static enum tls_result check_rekeys(struct tls *t)
{
    char text[80];

    if (t->n_rekeys <= t->config->max_rekeys)
        return TLS_OK;
    (void)snprintf(text, sizeof(text), "%u key updates or renegotiations, limit %u",
                   t->n_rekeys, t->config->max_rekeys);
    free(t->error);
    t->error = strdup(text);
    return TLS_FLOODED;
}

/* ---- input ---- */

static enum tls_result handshake(struct tls *t)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    if (rc == 1) {
        t->done = true;
        return TLS_OK;
    }
    if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
        return TLS_OK;
    return fail(t, "handshake");
}

/* One record's worth.  *ret_more is false when in[] has been used up. */
static enum tls_result read_some(struct tls *t, struct buf *plain, bool *ret_more)
{
    size_t n = 0;
    uint8_t *at = buf_reserve(plain, RECORD_MAX);

    if (!at) {
        t->no_memory = true;
        return fail(t, "input");
    }
    ERR_clear_error();
    int rc = SSL_read_ex(t->ssl, at, RECORD_MAX, &n);
    /* Asking an empty BIO again would cost as much as a small record (read_ahead is off:
     * nothing is left inside but what SSL_pending tells). */
    *ret_more = rc == 1 && (t->in_len > 0 || SSL_pending(t->ssl) > 0);
    if (rc == 1)
        buf_commit(plain, n);
    else if (SSL_get_error(t->ssl, rc) == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    else if (SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ)
        return fail(t, "input");
    return check_rekeys(t);
}

enum tls_result tls_input(struct tls *t, const uint8_t *in, size_t n, struct buf *plain,
                          struct buf *out)
{
    enum tls_result result = TLS_OK;
    bool more = true;

    if (t->failed)
        return TLS_FAILED;
    if (t->n_rekeys > t->config->max_rekeys)
        return TLS_FLOODED;
    t->in = in;
    t->in_len = n;
    t->out = out;
    if (!t->done)
        result = handshake(t);
    while (result == TLS_OK && t->done && more)
        result = read_some(t, plain, &more);
    t->in = NULL;
    t->in_len = 0;
    t->out = NULL;
    return result;
}

/* ---- output ---- */

static uint64_t now_ms(void)
{
    struct timespec ts;

    /* A few milliseconds of error cost nothing here; the exact clock costs twice as much. */
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * How long the next record shall be when left bytes wait.  A client can use no byte of a record
 * before its last one came, so on a connection whose congestion window is (again) small, one
 * segment goes first, then records of a few segments.  What fits RECORD_EARLY is sent as one,
 * since cutting it up would only cost; once the window is open, records are as long as may be.
 */
static size_t record_len(const struct tls *t, size_t left)
{
    size_t max = RECORD_MAX;

    if (t->n_early < EARLY_BYTES) {
        max = RECORD_EARLY;
        if (t->n_early == 0 && left > RECORD_EARLY)
            max = RECORD_FIRST;
    }
    return left < max ? left : max;
}

enum tls_result tls_output(struct tls *t, const uint8_t *p, size_t n, struct buf *out)
{
    enum tls_result result = TLS_OK;
    uint64_t now = now_ms();

    if (t->failed)
        return TLS_FAILED;
    if (now - t->sent_ms > IDLE_MS)
        t->n_early = 0;
    t->sent_ms = now;
    t->out = out;
    /* One growth for all records; if it cannot be had, the first record will say so. */
    (void)buf_reserve(out, n + RECORD_EXTRA * (n / RECORD_MAX + 8));
    while (n > 0 && result == TLS_OK) {
        size_t len = record_len(t, n), done = 0;
        ERR_clear_error();
        if (SSL_write_ex(t->ssl, p, len, &done) != 1) {
            result = fail(t, "output");
            break;
        }
        p += done;
        n -= done;
        if (t->n_early < EARLY_BYTES)
            t->n_early += (uint32_t)done;
    }
    t->out = NULL;
    return result;
}

void tls_close(struct tls *t, struct buf *out)
{
    if (t->failed || !t->done)
        return;
    t->out = out;
    ERR_clear_error();
    SSL_shutdown(t->ssl); /* 0: the client's close_notify is not waited for, RFC 8446 6.1 */
    ERR_clear_error();
    t->out = NULL;
}

void tls_keep_buffers(struct tls *t, bool keep)
{
    if (t->failed)
        return;
    if (keep) {
        SSL_clear_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    } else {
        SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
        SSL_free_buffers(t->ssl); /* refuses, harmlessly, while a record is half read */
    }
}

void tls_thread_fini(void)
{
    OPENSSL_thread_stop();
}

/* ---- questions ---- */

bool tls_handshake_done(const struct tls *t)
{
    return t->done;
}

struct slice tls_alpn(const struct tls *t)
{
    const unsigned char *p = NULL;
    unsigned n = 0;

    if (t->done)
        SSL_get0_alpn_selected(t->ssl, &p, &n);
    return p ? slice_of(p, n) : SLICE("");
}

const char *tls_error(const struct tls *t)
{
    return t->error ? t->error : "";
}

static bool certificate_covers(X509 *cert, struct slice host)
{
    char text[256];

    if (slice_starts(host, SLICE("[")) && slice_ends(host, SLICE("]")))
        host = slice_of(host.p + 1, host.n - 2);
    if (!cert || host.n == 0 || host.n >= sizeof(text))
        return false;
    if (X509_check_host(cert, host.p, host.n, 0, NULL) == 1)
        return true;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return X509_check_ip_asc(cert, text, 0) == 1;
}

bool tls_answers_for(const struct tls *t, struct slice host)
{
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);

    if (!sni || slice_ieq(host, slice_str(sni)) ||
        tls_config_find(t->config, host) == SSL_get_SSL_CTX(t->ssl))
        return true;
    bool covers = certificate_covers(SSL_get_certificate(t->ssl), host);
    ERR_clear_error();
    return covers;
}

void tls_facts(const struct tls *t, struct tls_facts *ret_facts)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    struct tls_facts f = {.version = SSL_get_version(t->ssl), .cipher = "", .sni = ""};

    if (cipher) {
        f.cipher = SSL_CIPHER_get_name(cipher);
        f.used_bits = SSL_CIPHER_get_bits(cipher, &f.cipher_bits);
    }
    if (sni)
        f.sni = sni;
    *ret_facts = f;
}
