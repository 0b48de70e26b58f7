#include "tls_config.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdlib.h>

/* Mozilla's "intermediate" without DHE, which nobody who lacks ECDHE still speaks.  All are
 * AEAD with forward secrecy, so none is on the list of RFC 9113 Appendix A. */
static const char ciphers_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static char groups[] = "X25519:P-256:P-384"; /* not const: the macro that takes it is not */

/* In our order of preference, as RFC 7301 3.1 writes them. */
static const unsigned char alpn_ours[] = "\x02h2\x08http/1.1";

/* All contexts accept each other's tickets: they are the same server. */
static const unsigned char session_context[] = "h2cgi";

/* ---- what OpenSSL calls ---- */

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, alpn_ours, sizeof(alpn_ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_site(SSL *ssl, int *alert, void *arg)
{
    const struct tls_config *tc = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX *ctx = tls_config_find(tc, slice_str(name));
    if (ctx != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, ctx))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    /* An unknown name gets the default certificate and no alert, so that a client by address
     * or by an alias sees whose server it reached (RFC 6066 3 leaves the choice). */
    return SSL_TLSEXT_ERR_OK;
}

/* There is nobody at the terminal to ask. */
static int no_passphrase(char *buf, int size, int rw, void *arg)
{
    (void)buf;
    (void)size;
    (void)rw;
    *(bool *)arg = true;
    return 0;
}

/* ---- names ---- */

static int compare_slices(struct slice a, struct slice b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_names(const void *a, const void *b)
{
    return compare_slices(((const struct tls_name *)a)->host,
                          ((const struct tls_name *)b)->host);
}

static SSL_CTX *find_name(const struct tls_config *tc, struct slice host)
{
    struct tls_name key = {.host = host};
    const struct tls_name *hit =
        tc->n_names ? bsearch(&key, tc->names, tc->n_names, sizeof(*tc->names), compare_names)
                    : NULL;

    return hit ? hit->ctx : NULL;
}

SSL_CTX *tls_config_find(const struct tls_config *tc, struct slice host)
{
    char lower[256]; /* a DNS name has at most 253 characters */
    SSL_CTX *ctx;

    if (host.n == 0 || host.n >= sizeof(lower))
        return tc->fallback;
    host = slice_lower(lower, host);
    if (lower[host.n - 1] == '.') /* the root's dot, RFC 1034 3.1 */
        host.n--;
    if ((ctx = find_name(tc, host)))
        return ctx;
    /* "*.b.c" is looked for by writing the star over what precedes ".b.c" of "a.b.c". */
    for (size_t i = 1; i + 1 < host.n; i++) {
        if (lower[i] != '.')
            continue;
        lower[i - 1] = '*';
        if ((ctx = find_name(tc, slice_of(lower + i - 1, host.n - i + 1))))
            return ctx;
    }
    return tc->fallback;
}

/* ---- files ---- */

/* Where an error is reported. */
struct report {
    const struct conf_site *site;
    FILE *to;
};

__attribute__((format(printf, 2, 3))) static int report(const struct report *r, const char *fmt,
                                                        ...)
{
    va_list ap;

    if (r->site->file)
        fprintf(r->to, "%s:%u: ", r->site->file, r->site->line);
    fprintf(r->to, "site %s: ", r->site->name);
    va_start(ap, fmt);
    vfprintf(r->to, fmt, ap);
    va_end(ap);
    fputc('\n', r->to);
    return -1;
}

/* The library's newest reason, which is the nearest to the cause in PEM and X.509 code. */
static const char *openssl_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text ? text : "unknown error";
}

static FILE *open_pem(const struct report *r, const char *what, const char *path)
{
    FILE *f = fopen(path, "re");

    if (!f)
        report(r, "%s %s is %s: %s", what, path, errno == ENOENT ? "missing" : "unreadable",
               strerror(errno));
    return f;
}

/* The leaf and what follows it in the file: the chain. */
static int load_chain(SSL_CTX *ctx, const struct report *r, const char *path)
{
    bool locked = false;
    FILE *f = open_pem(r, "certificate", path);
    int result = -1;

    if (!f)
        return -1;
    X509 *cert = PEM_read_X509_AUX(f, NULL, no_passphrase, &locked);
    if (!cert) {
        report(r, "certificate %s is not PEM: %s", path, openssl_reason());
        goto close_file;
    }
    if (SSL_CTX_use_certificate(ctx, cert) != 1) {
        report(r, "certificate %s cannot be used: %s", path, openssl_reason());
        goto free_cert;
    }
    for (;;) {
        X509 *ca = PEM_read_X509(f, NULL, no_passphrase, &locked);
        if (!ca)
            break;
        if (SSL_CTX_add0_chain_cert(ctx, ca) != 1) {
            X509_free(ca);
            report(r, "certificate %s has an unusable chain: %s", path, openssl_reason());
            goto free_cert;
        }
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        report(r, "certificate %s is damaged behind its first entry: %s", path,
               openssl_reason());
        goto free_cert;
    }
    result = 0;
free_cert:
    X509_free(cert);
close_file:
    fclose(f);
    ERR_clear_error();
    return result;
}

static int load_key(SSL_CTX *ctx, const struct report *r, const char *path, const char *cert)
{
    bool locked = false;
    FILE *f = open_pem(r, "certificate_key", path);
    int result = -1;

    if (!f)
        return -1;
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, no_passphrase, &locked);
    if (!key && locked)
        report(r, "certificate_key %s has a passphrase, which nobody is there to type", path);
    else if (!key)
        report(r, "certificate_key %s is not a PEM private key: %s", path, openssl_reason());
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        report(r, "certificate_key %s does not match certificate %s", path, cert);
    else
        result = 0;
    EVP_PKEY_free(key);
    fclose(f);
    ERR_clear_error();
    return result;
}

/* ---- contexts ---- */

static int configure(SSL_CTX *ctx, struct tls_config *tc)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* an idle connection holds no records */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only */
    /* One ticket: a client that resumes is given the next one then. */
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ctx, ciphers_1_2) || !SSL_CTX_set1_groups_list(ctx, groups) ||
        !SSL_CTX_set_num_tickets(ctx, 1) ||
        !SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1) ||
        !SSL_CTX_set_tlsext_ticket_keys(ctx, tc->ticket_key, TLS_TICKET_KEY))
        return -1;
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_site);
    SSL_CTX_set_tlsext_servername_arg(ctx, tc);
    return 0;
}

static SSL_CTX *make_context(struct tls_config *tc, const struct report *r)
{
    const struct conf_site *site = r->site;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || configure(ctx, tc) != 0) {
        report(r, "TLS cannot be set up: %s", openssl_reason());
        goto free_context;
    }
    if (load_chain(ctx, r, site->certificate) != 0)
        goto free_context;
    if (load_key(ctx, r, site->certificate_key, site->certificate) != 0)
        goto free_context;
    return ctx;
free_context:
    SSL_CTX_free(ctx);
    return NULL;
}

static struct tls_cert *find_cert(const struct tls_config *tc, const struct conf_site *site)
{
    for (size_t i = 0; site->certificate && site->certificate_key && i < tc->n_certs; i++) {
        struct tls_cert *c = &tc->certs[i];
        if (!strcmp(c->certificate, site->certificate) &&
            !strcmp(c->key, site->certificate_key))
            return c;
    }
    return NULL;
}

/* The context for site's two files, made when no earlier site has the same.  A pair that failed
 * is kept too, with a NULL ctx, so that its errors are told once. */
static struct tls_cert *cert_for_site(struct tls_config *tc, const struct report *r)
{
    const struct conf_site *site = r->site;
    struct tls_cert *c = find_cert(tc, site);

    if (c)
        return c;
    c = &tc->certs[tc->n_certs];
    c->certificate = arena_dup(&tc->arena, slice_str(site->certificate)).p;
    c->key = arena_dup(&tc->arena, slice_str(site->certificate_key)).p;
    if (!c->certificate || !c->key) {
        report(r, "out of memory");
        return NULL;
    }
    c->ctx = make_context(tc, r);
    tc->n_certs++;
    return c;
}

static int add_names(struct tls_config *tc, const struct report *r, SSL_CTX *ctx)
{
    for (unsigned i = 0; i < r->site->n_hosts; i++) {
        struct slice host = arena_dup(&tc->arena, r->site->hosts[i]);
        if (!host.p)
            return report(r, "out of memory");
        tc->names[tc->n_names++] = (struct tls_name){host, ctx};
    }
    return 0;
}

static int add_site(struct tls_config *tc, const struct report *r)
{
    const struct conf_site *site = r->site;

    if (!site->certificate && !site->certificate_key)
        return 0;
    if (!site->certificate_key)
        return report(r, "certificate without certificate_key");
    if (!site->certificate)
        return report(r, "certificate_key without certificate");
    struct tls_cert *c = cert_for_site(tc, r);
    if (!c || !c->ctx)
        return -1;
    if (!tc->fallback)
        tc->fallback = c->ctx;
    return add_names(tc, r, c->ctx);
}

static void default_from_site(struct tls_config *tc, const struct conf *conf)
{
    if (conf->default_site < 0 || (unsigned)conf->default_site >= conf->n_sites)
        return;
    const struct tls_cert *c = find_cert(tc, &conf->sites[conf->default_site]);
    if (c && c->ctx)
        tc->fallback = c->ctx;
}

static int add_sites(struct tls_config *tc, const struct conf *conf, FILE *errors_to)
{
    size_t n_hosts = 0;
    int result = 0;

    for (unsigned i = 0; i < conf->n_sites; i++)
        n_hosts += conf->sites[i].n_hosts;
    tc->certs = arena_zalloc(&tc->arena, (conf->n_sites + 1) * sizeof(*tc->certs));
    tc->names = arena_zalloc(&tc->arena, (n_hosts + 1) * sizeof(*tc->names));
    if (!tc->certs || !tc->names) {
        fprintf(errors_to, "TLS: out of memory\n");
        return -1;
    }
    for (unsigned i = 0; i < conf->n_sites; i++)
        if (add_site(tc, &(struct report){&conf->sites[i], errors_to}) != 0)
            result = -1;
    if (result == 0 && !tc->fallback) {
        fprintf(errors_to, "[listen] tls = on, but no site has a certificate\n");
        result = -1;
    }
    if (tc->n_names)
        qsort(tc->names, tc->n_names, sizeof(*tc->names), compare_names);
    default_from_site(tc, conf);
    return result;
}

static bool has_tls_listener(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->n_listens; i++)
        if (conf->listens[i].tls)
            return true;
    return false;
}

struct tls_config *tls_config_new(const struct conf *conf,
                                  const uint8_t ticket_key[TLS_TICKET_KEY], FILE *errors_to)
{
    struct tls_config *tc = calloc(1, sizeof(*tc));

    if (!tc || !(tc->bio = tls_bio_method())) {
        fprintf(errors_to, "TLS: out of memory\n");
        tls_config_free(tc);
        return NULL;
    }
    arena_init(&tc->arena);
    memcpy(tc->ticket_key, ticket_key, TLS_TICKET_KEY);
    tc->max_rekeys = conf->gateway.tls_key_updates;
    if (has_tls_listener(conf) && add_sites(tc, conf, errors_to) != 0) {
        tls_config_free(tc);
        return NULL;
    }
    return tc;
}

void tls_config_free(struct tls_config *tc)
{
    if (!tc)
        return;
    for (size_t i = 0; i < tc->n_certs; i++)
        SSL_CTX_free(tc->certs[i].ctx);
    BIO_meth_free(tc->bio);
    OPENSSL_cleanse(tc->ticket_key, sizeof(tc->ticket_key));
    arena_fini(&tc->arena);
    free(tc);
}
