/* Tests of gateway/tls.c and tls_config.c: who answers a handshake, and with what. */
#include "tls_world.h"

static uint8_t key_2[TLS_TICKET_KEY] = {9, 9, 9};

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
        cmocka_unit_test(test_tickets_outlive_a_config),
        cmocka_unit_test(test_config_errors),
        cmocka_unit_test(test_all_errors_at_once),
        cmocka_unit_test(test_no_tls_listener),
    };

    return cmocka_run_group_tests_name("tls", tests, make_files, remove_files);
}
