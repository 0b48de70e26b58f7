/*
 * tests/unit/tls_world.h - certificates, a configuration of three sites, and an OpenSSL client joined
 * to gateway/tls.c over memory BIOs.
 */
#ifndef TESTS_TLS_WORLD_H
#define TESTS_TLS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../gateway/tls.h"

/* ---- certificates, made once ---- */

static char dir[] = "/tmp/h2cgi-test-tls-XXXXXX";

static inline const char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *p = paths[next++ % 8];

    snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

static inline void write_text(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void write_pair(const char *name, EVP_PKEY *key)
{
    char file[64];
    X509 *x = X509_new();

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);

    snprintf(file, sizeof(file), "%s.pem", name);
    FILE *f = fopen(path_of(file), "w");
    assert_non_null(f);
    PEM_write_X509(f, x);
    fclose(f);
    snprintf(file, sizeof(file), "%s.key", name);
    f = fopen(path_of(file), "w");
    assert_non_null(f);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    write_pair("one", EVP_EC_gen("P-256"));
    write_pair("two", EVP_EC_gen("P-256"));
    write_pair("three", EVP_RSA_gen(2048));
    write_text("empty.pem", "");
    write_text("text.pem", "this is not PEM\n");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(path_of("locked.key"), "w");
    PEM_write_PKCS8PrivateKey(f, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(f);
    EVP_PKEY_free(key);
    return 0;
}

static inline int remove_files(void **state)
{
    static const char *const names[] = {"one.pem",   "one.key",   "two.pem",
                                        "two.key",   "three.pem", "three.key",
                                        "empty.pem", "text.pem",  "locked.key"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i]));
    rmdir(dir);
    return 0;
}

/* ---- configurations ---- */

static struct slice hosts_one[] = {{"one.example", 11}, {"*.example", 9}};
static struct slice hosts_two[] = {{"two.example", 11}, {"*.deep.example", 14}};
static struct slice hosts_three[] = {{"three.test", 10}};
static struct conf_listen tls_listener = {.name = "https", .tls = true};
static char paths[3][2][128];
static struct conf_site sites[] = {
    {.name = "a", .hosts = hosts_one, .n_hosts = 2, .file = "x.ini", .line = 3},
    {.name = "b", .hosts = hosts_two, .n_hosts = 2, .file = "x.ini", .line = 9},
    {.name = "c", .hosts = hosts_three, .n_hosts = 1, .file = "x.ini", .line = 15},
};
static uint8_t key_1[TLS_TICKET_KEY] = {1, 2, 3};

static inline struct conf conf_of(unsigned n_sites)
{
    static const char *const names[] = {"one", "two", "three"};

    for (int i = 0; i < 3; i++) {
        snprintf(paths[i][0], sizeof(paths[i][0]), "%s/%s.pem", dir, names[i]);
        snprintf(paths[i][1], sizeof(paths[i][1]), "%s/%s.key", dir, names[i]);
        sites[i].certificate = paths[i][0];
        sites[i].certificate_key = paths[i][1];
    }
    return (struct conf){.gateway = {.tls_key_updates = 100},
                         .listens = &tls_listener,
                         .n_listens = 1,
                         .sites = sites,
                         .n_sites = n_sites};
}

static inline struct tls_config *config_new(const uint8_t *key)
{
    struct conf conf = conf_of(3);
    struct tls_config *tc = tls_config_new(&conf, key, stderr);

    assert_non_null(tc);
    return tc;
}

/* ---- a client and a server, joined ---- */

struct pair {
    SSL_CTX *ctx;
    SSL *client;
    BIO *to_client, *from_client;
    struct tls *server;
    struct buf plain, out;
    enum tls_result result;
    SSL_SESSION *ticket;
};

static inline int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct pair *p = SSL_get_app_data(ssl);

    SSL_SESSION_free(p->ticket);
    p->ticket = session;
    return 1;
}

static inline void pair_open(struct pair *p, struct tls_config *tc, int version,
                             const char *alpn, const char *sni)
{
    *p = (struct pair){.ctx = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_min_proto_version(p->ctx, version);
    SSL_CTX_set_max_proto_version(p->ctx, version);
    SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(p->ctx, keep_ticket);
    if (alpn)
        SSL_CTX_set_alpn_protos(p->ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    p->client = SSL_new(p->ctx);
    SSL_set_app_data(p->client, p);
    if (sni)
        /* SSL_set_tlsext_host_name without its cast of a const away. */
        SSL_ctrl(p->client, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (char *)(uintptr_t)sni);
    p->to_client = BIO_new(BIO_s_mem());
    p->from_client = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(p->to_client, -1);
    SSL_set_bio(p->client, p->to_client, p->from_client);
    SSL_set_connect_state(p->client);
    p->server = tls_new(tc);
    assert_non_null(p->server);
}

static inline void pair_close(struct pair *p)
{
    tls_free(p->server);
    SSL_SESSION_free(p->ticket);
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    buf_fini(&p->plain);
    buf_fini(&p->out);
}

static inline void to_client(struct pair *p)
{
    if (buf_len(&p->out))
        BIO_write(p->to_client, buf_at(&p->out), (int)buf_len(&p->out));
    buf_clear(&p->out);
}

/* What the client has sent, in pieces of at most piece bytes but for the first, which has first
 * bytes (0: none apart). */
static inline void to_server(struct pair *p, size_t first, size_t piece)
{
    char *data;
    long n = BIO_get_mem_data(p->from_client, &data);
    uint8_t *copy = malloc((size_t)n + 1);

    memcpy(copy, data, (size_t)n);
    BIO_reset(p->from_client);
    for (size_t at = 0; at < (size_t)n && p->result == TLS_OK;) {
        size_t k = at == 0 && first ? first : piece;
        k = k < (size_t)n - at ? k : (size_t)n - at;
        /* Its own allocation, so that a read past it is seen. */
        uint8_t *part = malloc(k);
        memcpy(part, copy + at, k);
        p->result = tls_input(p->server, part, k, &p->plain, &p->out);
        free(part);
        at += k;
    }
    free(copy);
}

static inline void client_reads(struct pair *p)
{
    char byte;

    /* Takes tickets and alerts; there is no data for it yet. */
    assert_true(SSL_peek(p->client, &byte, 1) <= 0);
    ERR_clear_error();
}

static inline bool pair_shake(struct pair *p, size_t first, size_t piece)
{
    for (int turn = 0; turn < 6; turn++) {
        SSL_do_handshake(p->client);
        ERR_clear_error();
        to_server(p, first, piece);
        to_client(p);
        if (p->result != TLS_OK)
            break;
    }
    client_reads(p);
    return p->result == TLS_OK && tls_handshake_done(p->server) &&
           SSL_is_init_finished(p->client);
}

static inline void assert_cn(const struct pair *p, const char *name)
{
    X509 *x = SSL_get1_peer_certificate(p->client);
    char cn[64];

    assert_non_null(x);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
    assert_string_equal(cn, name);
    X509_free(x);
}

static inline void assert_echo(struct pair *p, size_t n)
{
    uint8_t *sent = malloc(n), *got = malloc(n);
    size_t done = 0;

    for (size_t i = 0; i < n; i++)
        sent[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(SSL_write(p->client, sent, (int)n), (int)n);
    to_server(p, 0, SIZE_MAX);
    assert_string_equal(tls_error(p->server), "");
    assert_int_equal(p->result, TLS_OK);
    assert_int_equal(buf_len(&p->plain), n);
    assert_memory_equal(buf_at(&p->plain), sent, n);
    assert_int_equal(tls_output(p->server, buf_at(&p->plain), n, &p->out), TLS_OK);
    buf_clear(&p->plain);
    to_client(p);
    while (done < n) {
        int k = SSL_read(p->client, got + done, (int)(n - done));
        assert_true(k > 0);
        done += (size_t)k;
    }
    assert_memory_equal(sent, got, n);
    free(sent);
    free(got);
}

#endif
