/* Tests of gateway/tls.c and tls_config.c: an OpenSSL client over memory BIOs against them. */
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

static const char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *p = paths[next++ % 8];

    snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void write_pair(const char *name, EVP_PKEY *key)
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

static int make_files(void **state)
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

static int remove_files(void **state)
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
static uint8_t key_1[TLS_TICKET_KEY] = {1, 2, 3}, key_2[TLS_TICKET_KEY] = {9, 9, 9};

static struct conf conf_of(unsigned n_sites)
{
    static const char *const names[] = {"one", "two", "three"};

    for (int i = 0; i < 3; i++) {
        snprintf(paths[i][0], sizeof(paths[i][0]), "%s/%s.pem", dir, names[i]);
        snprintf(paths[i][1], sizeof(paths[i][1]), "%s/%s.key", dir, names[i]);
        sites[i].certificate = paths[i][0];
        sites[i].certificate_key = paths[i][1];
    }
    return (struct conf){
        .listens = &tls_listener, .n_listens = 1, .sites = sites, .n_sites = n_sites};
}

static struct tls_config *config_new(const uint8_t *key)
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

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct pair *p = SSL_get_app_data(ssl);

    SSL_SESSION_free(p->ticket);
    p->ticket = session;
    return 1;
}

static void pair_open(struct pair *p, struct tls_config *tc, int version, const char *alpn,
                      const char *sni)
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

static void pair_close(struct pair *p)
{
    tls_free(p->server);
    SSL_SESSION_free(p->ticket);
    SSL_free(p->client);
    SSL_CTX_free(p->ctx);
    buf_fini(&p->plain);
    buf_fini(&p->out);
}

static void to_client(struct pair *p)
{
    if (buf_len(&p->out))
        BIO_write(p->to_client, buf_at(&p->out), (int)buf_len(&p->out));
    buf_clear(&p->out);
}

/* What the client has sent, in pieces of at most piece bytes but for the first, which has first
 * bytes (0: none apart). */
static void to_server(struct pair *p, size_t first, size_t piece)
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

static void client_reads(struct pair *p)
{
    char byte;

    /* Takes tickets and alerts; there is no data for it yet. */
    assert_true(SSL_peek(p->client, &byte, 1) <= 0);
    ERR_clear_error();
}

static bool pair_shake(struct pair *p, size_t first, size_t piece)
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

static void assert_cn(const struct pair *p, const char *name)
{
    X509 *x = SSL_get1_peer_certificate(p->client);
    char cn[64];

    assert_non_null(x);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof(cn));
    assert_string_equal(cn, name);
    X509_free(x);
}

static void assert_echo(struct pair *p, size_t n)
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

/* ---- tests ---- */

static void test_handshake(void **state)
{
    static const struct {
        int version;
        const char *name, *alpn, *chosen;
    } rows[] = {
        {TLS1_2_VERSION, "TLSv1.2", "\x02h2\x08http/1.1", "h2"},
        {TLS1_3_VERSION, "TLSv1.3", "\x02h2\x08http/1.1", "h2"},
        {TLS1_3_VERSION, "TLSv1.3", "\x08http/1.1\x02h2", "h2"}, /* our preference */
        {TLS1_3_VERSION, "TLSv1.3", "\x08http/1.1", "http/1.1"},
        {TLS1_3_VERSION, "TLSv1.3", "\x02h3\x08http/1.1", "http/1.1"},
        {TLS1_3_VERSION, "TLSv1.3", NULL, ""},
    };
    struct tls_config *tc = config_new(key_1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_facts facts;
        struct pair p;
        pair_open(&p, tc, rows[i].version, rows[i].alpn, "one.example");
        assert_false(tls_handshake_done(p.server));
        tls_facts(p.server, &facts);
        assert_string_equal(facts.sni, "");
        assert_true(pair_shake(&p, 0, SIZE_MAX));
        tls_facts(p.server, &facts);
        assert_string_equal(facts.version, rows[i].name);
        assert_true(slice_eq(tls_alpn(p.server), slice_str(rows[i].chosen)));
        assert_string_equal(facts.sni, "one.example");
        assert_string_equal(tls_error(p.server), "");
        assert_true(strlen(facts.cipher) > 5);
        assert_true(facts.used_bits >= 128 && facts.cipher_bits >= facts.used_bits);
        assert_echo(&p, 1);
        assert_echo(&p, 100000);
        pair_close(&p);
    }
    tls_config_free(tc);
}

static void test_old_versions_are_refused(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;

    (void)state;
    pair_open(&p, tc, TLS1_1_VERSION, NULL, "one.example");
    SSL_set_security_level(p.client, 0);
    assert_false(pair_shake(&p, 0, SIZE_MAX));
    assert_int_equal(p.result, TLS_FAILED);
    assert_non_null(strstr(tls_error(p.server), "unsupported protocol"));
    pair_close(&p);
    tls_config_free(tc);
}

static void test_alpn_without_overlap(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\003ftp", "one.example");
    assert_false(pair_shake(&p, 0, SIZE_MAX));
    assert_int_equal(p.result, TLS_FAILED);
    pair_close(&p);

    /* The alert says why (RFC 7301 3.2): 120 in a plaintext record, as no keys are there yet.
     */
    pair_open(&p, tc, TLS1_3_VERSION, "\003ftp", "one.example");
    SSL_do_handshake(p.client);
    to_server(&p, 0, SIZE_MAX);
    assert_int_equal(buf_len(&p.out), 7);
    assert_memory_equal(buf_at(&p.out), "\x15\x03\x03\x00\x02\x02\x78", 7);
    pair_close(&p);
    tls_config_free(tc);
}

static void test_sni(void **state)
{
    static const struct {
        const char *sni, *cn;
    } rows[] = {
        {"one.example", "one"},      {"ONE.Example", "one"},
        {"two.example", "two"},      {"a.deep.example", "two"},
        {"b.a.deep.example", "two"}, {"deep.example", "one"}, /* *.example */
        {"x.example", "one"},        {"three.test", "three"},
        {"unknown.test", "one"},     {NULL, "one"},
        {"two.example.test", "one"},
    };
    struct tls_config *tc = config_new(key_1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct pair p;
            pair_open(&p, tc, version, "\x02h2", rows[i].sni);
            assert_true(pair_shake(&p, 0, SIZE_MAX));
            assert_cn(&p, rows[i].cn);
            assert_true(slice_eq(tls_alpn(p.server), SLICE("h2")));
            pair_close(&p);
        }
    }
    tls_config_free(tc);
}

static void test_default_site(void **state)
{
    struct conf conf = conf_of(3);
    struct pair p;

    (void)state;
    conf.default_site = 2;
    struct tls_config *tc = tls_config_new(&conf, key_1, stderr);
    assert_non_null(tc);
    pair_open(&p, tc, TLS1_3_VERSION, NULL, "unknown.test");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    assert_cn(&p, "three");
    pair_close(&p);
    tls_config_free(tc);
}

static void test_split_at_every_offset(void **state)
{
    struct tls_config *tc = config_new(key_1);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (size_t first = 1; first < 350; first++) {
            struct pair p;
            pair_open(&p, tc, version, "\x02h2", "one.example");
            assert_true(pair_shake(&p, first, SIZE_MAX));
            pair_close(&p);
        }
        struct pair p;
        pair_open(&p, tc, version, "\x02h2", "one.example");
        assert_true(pair_shake(&p, 0, 1));
        SSL_write(p.client, "split", 5);
        to_server(&p, 0, 1);
        assert_int_equal(buf_len(&p.plain), 5);
        assert_memory_equal(buf_at(&p.plain), "split", 5);
        pair_close(&p);
    }
    tls_config_free(tc);
}

/* Data that came with the last flight of the handshake is not lost. */
static void test_data_with_finished(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    SSL_do_handshake(p.client);
    to_server(&p, 0, SIZE_MAX);
    to_client(&p);
    assert_int_equal(SSL_do_handshake(p.client), 1);
    SSL_write(p.client, "early bird", 10);
    assert_int_equal(buf_len(&p.plain), 0);
    to_server(&p, 0, SIZE_MAX);
    assert_int_equal(p.result, TLS_OK);
    assert_int_equal(buf_len(&p.plain), 10);
    pair_close(&p);
    tls_config_free(tc);
}

static void resume(struct tls_config *first, struct tls_config *second, int version, bool works)
{
    struct pair p, q;

    pair_open(&p, first, version, "\x02h2", "two.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    assert_echo(&p, 10);
    assert_non_null(p.ticket);
    pair_open(&q, second, version, "\x02h2", "two.example");
    SSL_set_session(q.client, p.ticket);
    assert_true(pair_shake(&q, 0, SIZE_MAX));
    assert_int_equal(SSL_session_reused(q.client), works);
    assert_echo(&q, 10);
    pair_close(&p);
    pair_close(&q);
}

static void test_tickets_outlive_a_config(void **state)
{
    struct tls_config *a = config_new(key_1), *b = config_new(key_1), *c = config_new(key_2);

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        resume(a, a, version, true);
        resume(a, b, version, true);
        resume(a, c, version, false);
    }
    tls_config_free(a);
    tls_config_free(b);
    tls_config_free(c);
}

static void test_close_notify(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;
    char byte;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    tls_close(p.server, &p.out);
    assert_true(buf_len(&p.out) > 0);
    to_client(&p);
    int rc = SSL_read(p.client, &byte, 1);
    assert_int_equal(SSL_get_error(p.client, rc), SSL_ERROR_ZERO_RETURN);
    SSL_write(p.client, "last", 4);
    SSL_shutdown(p.client);
    to_server(&p, 0, SIZE_MAX);
    assert_int_equal(p.result, TLS_CLOSED);
    assert_int_equal(buf_len(&p.plain), 4); /* what came before it is there */
    pair_close(&p);

    /* Before the handshake there is nobody to say it to. */
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    tls_close(p.server, &p.out);
    assert_int_equal(buf_len(&p.out), 0);
    pair_close(&p);
    tls_config_free(tc);
}

static void test_garbage(void **state)
{
    static const struct {
        struct slice in;
        const char *says;
    } rows[] = {
        {{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27}, "http request"},
        {{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24}, "wrong version number"},
        {{"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", 10}, ""},
        {{"\0\0\0\0\0\0\0\0\0\0\0\0", 12}, ""},
        {{"\x16\x03\x01\xff\xff\x01\xff\xff\xff\xff\xff\xff", 12}, ""},
    };
    struct tls_config *tc = config_new(key_1);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls *t = tls_new(tc);
        struct buf plain = {0}, out = {0};
        assert_int_equal(
            tls_input(t, (const uint8_t *)rows[i].in.p, rows[i].in.n, &plain, &out),
            TLS_FAILED);
        assert_int_equal(buf_len(&plain), 0);
        assert_non_null(strstr(tls_error(t), rows[i].says));
        assert_true(strlen(tls_error(t)) > 0);
        /* Dead: nothing more is tried. */
        assert_int_equal(tls_input(t, (const uint8_t *)"x", 1, &plain, &out), TLS_FAILED);
        assert_int_equal(tls_output(t, (const uint8_t *)"x", 1, &out), TLS_FAILED);
        tls_free(t);
        buf_fini(&plain);
        buf_fini(&out);
    }
    tls_config_free(tc);
}

/* One bit wrong in a record ends the connection with an alert (RFC 8446 5.2). */
static void test_damaged_record(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;
    char *data;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    SSL_write(p.client, "hello", 5);
    long n = BIO_get_mem_data(p.from_client, &data);
    data[n - 1] ^= 1;
    to_server(&p, 0, SIZE_MAX);
    assert_int_equal(p.result, TLS_FAILED);
    assert_true(buf_len(&p.out) > 0);
    assert_int_equal(buf_len(&p.plain), 0);
    pair_close(&p);
    tls_config_free(tc);
}

/* Lengths of the records in out, header and tag included; the number of them. */
static size_t records(const struct buf *out, size_t *lens, size_t max)
{
    size_t n = 0;

    for (size_t at = 0; at + 5 <= buf_len(out); n++) {
        size_t len = (size_t)buf_at(out)[at + 3] << 8 | buf_at(out)[at + 4];
        if (n < max)
            lens[n] = len - 17; /* content type and tag */
        at += 5 + len;
    }
    return n;
}

static void test_record_sizes(void **state)
{
    static uint8_t data[64 * 1024];
    struct tls_config *tc = config_new(key_1);
    struct pair p;
    size_t lens[16], n;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    /* A small first answer is one record. */
    assert_int_equal(tls_output(p.server, data, 4000, &p.out), TLS_OK);
    assert_int_equal(records(&p.out, lens, 16), 1);
    assert_int_equal(lens[0], 4000);
    buf_clear(&p.out);
    pair_close(&p);

    /* A long one starts with what one segment carries. */
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    assert_int_equal(tls_output(p.server, data, sizeof(data), &p.out), TLS_OK);
    n = records(&p.out, lens, 16);
    assert_in_range(n, 5, 9);
    assert_int_equal(lens[0], 1300);
    assert_int_equal(lens[1], 4096);
    assert_int_equal(lens[n - 2], 16384);
    buf_clear(&p.out);
    /* Once it flows, 64 KiB are four records. */
    assert_int_equal(tls_output(p.server, data, sizeof(data), &p.out), TLS_OK);
    assert_int_equal(records(&p.out, lens, 16), 4);
    buf_clear(&p.out);
    /* After a pause it starts over. */
    usleep(1100 * 1000);
    assert_int_equal(tls_output(p.server, data, sizeof(data), &p.out), TLS_OK);
    records(&p.out, lens, 16);
    assert_int_equal(lens[0], 1300);
    pair_close(&p);
    tls_config_free(tc);
}

static void test_key_updates_are_budgeted(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;
    int n = 0;

    (void)state;
    pair_open(&p, tc, TLS1_3_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    for (int i = 0; i < 99; i++) {
        assert_true(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED));
        SSL_do_handshake(p.client);
    }
    to_server(&p, 0, SIZE_MAX);
    to_client(&p);
    client_reads(&p);
    assert_int_equal(p.result, TLS_OK);
    assert_echo(&p, 1000);
    while (p.result == TLS_OK && n++ < 10) {
        assert_true(SSL_key_update(p.client, SSL_KEY_UPDATE_NOT_REQUESTED));
        SSL_do_handshake(p.client);
        to_server(&p, 0, SIZE_MAX);
    }
    assert_int_equal(n, 2);
    assert_non_null(strstr(tls_error(p.server), "key updates"));
    pair_close(&p);
    tls_config_free(tc);
}

static void test_renegotiation_is_refused(void **state)
{
    struct tls_config *tc = config_new(key_1);
    struct pair p;

    (void)state;
    pair_open(&p, tc, TLS1_2_VERSION, "\x02h2", "one.example");
    assert_true(pair_shake(&p, 0, SIZE_MAX));
    assert_true(SSL_renegotiate(p.client));
    SSL_do_handshake(p.client);
    to_server(&p, 0, SIZE_MAX);
    to_client(&p);
    /* A warning, or the end; never a second handshake. */
    assert_true(SSL_do_handshake(p.client) <= 0);
    pair_close(&p);
    tls_config_free(tc);
}

static void expect_error(struct conf *conf, const char *const *says)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    assert_null(tls_config_new(conf, key_1, f));
    fclose(f);
    for (; *says; says++)
        if (!strstr(text, *says))
            fail_msg("\"%s\" does not say \"%s\"", text, *says);
    free(text);
}

static void test_config_errors(void **state)
{
    static const struct {
        const char *cert, *key;
        const char *says[4];
    } rows[] = {
        {"none.pem", "one.key", {"x.ini:9: site b: certificate /", "/none.pem is missing"}},
        {"one.pem", "none.key", {"x.ini:9: site b: certificate_key /", "none.key is missing"}},
        {"empty.pem", "one.key", {"empty.pem is not PEM"}},
        {"text.pem", "one.key", {"text.pem is not PEM"}},
        {"one.key", "one.key", {"one.key is not PEM"}},
        {"one.pem", "text.pem", {"text.pem is not a PEM private key"}},
        {"one.pem", "one.pem", {"one.pem is not a PEM private key"}},
        {"one.pem", "two.key", {"two.key does not match certificate", "one.pem"}},
        {"one.pem", "three.key", {"three.key does not match certificate", "one.pem"}},
        {"one.pem", "locked.key", {"locked.key has a passphrase"}},
        {"one.pem", NULL, {"certificate without certificate_key"}},
        {NULL, "one.key", {"certificate_key without certificate"}},
        {".", "one.key", {"site b: certificate "}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf conf = conf_of(3);
        sites[1].certificate = rows[i].cert ? path_of(rows[i].cert) : NULL;
        sites[1].certificate_key = rows[i].key ? path_of(rows[i].key) : NULL;
        expect_error(&conf, rows[i].says);
    }
}

static void test_all_errors_at_once(void **state)
{
    struct conf conf = conf_of(3);

    (void)state;
    sites[0].certificate = path_of("none.pem");
    sites[2].certificate_key = path_of("two.key");
    expect_error(&conf, (const char *const[]){"site a:", "site c:", NULL});
    conf = conf_of(3);
    for (int i = 0; i < 3; i++)
        sites[i].certificate = sites[i].certificate_key = NULL;
    expect_error(&conf, (const char *const[]){"no site has a certificate", NULL});
}

static void test_no_tls_listener(void **state)
{
    struct conf conf = conf_of(3);

    (void)state;
    conf.n_listens = 0;
    sites[0].certificate = path_of("none.pem");
    struct tls_config *tc = tls_config_new(&conf, key_1, stderr);
    assert_non_null(tc);
    assert_null(tls_new(tc));
    tls_config_free(tc);
    tls_config_free(NULL);
    tls_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_alpn_without_overlap),
        cmocka_unit_test(test_sni),
        cmocka_unit_test(test_default_site),
        cmocka_unit_test(test_split_at_every_offset),
        cmocka_unit_test(test_data_with_finished),
        cmocka_unit_test(test_tickets_outlive_a_config),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_record_sizes),
        cmocka_unit_test(test_key_updates_are_budgeted),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_config_errors),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_no_tls_listener),
    };

    return cmocka_run_group_tests_name("tls", tests, make_files, remove_files);
}
