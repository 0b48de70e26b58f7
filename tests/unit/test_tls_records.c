/* Tests of gateway/tls.c: records in pieces, damaged, and more of them than is fair. */
#include "tls_world.h"

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
    assert_int_equal(p.result, TLS_FLOODED);
    assert_non_null(
        strstr(tls_error(p.server), "101 key updates or renegotiations, limit 100"));
    to_server(&p, 0, SIZE_MAX); /* and so it stays; a last word can be said */
    assert_int_equal(p.result, TLS_FLOODED);
    assert_int_equal(tls_output(p.server, (const uint8_t *)"bye", 3, &p.out), TLS_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_at_every_offset),
        cmocka_unit_test(test_data_with_finished),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_record_sizes),
        cmocka_unit_test(test_key_updates_are_budgeted),
        cmocka_unit_test(test_renegotiation_is_refused),
    };

    return cmocka_run_group_tests_name("tls records", tests, make_files, remove_files);
}
