/* gateway/forwarded.h: the client behind proxies, and what is no word of theirs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/forwarded.h"

/* 10.0.0.0/8 and 2001:db8:aa::/48 are proxies. */
static struct cidr_rule proxies[2];
static struct cidr_set trusted = {proxies, 2};

static int setup(void **state)
{
    (void)state;
    trusted.n = 2;
    assert_null(cidr_parse(SLICE("10.0.0.0/8"), &proxies[0].block));
    assert_null(cidr_parse(SLICE("2001:db8:aa::/48"), &proxies[1].block));
    assert_null(cidr_set_build(&trusted));
    return 0;
}

/* "NAME: value\n" lines into "ADDRESS PORT PROTO HOST", with - for what is not known. */
static void walk(enum conf_trusted_field field, const char *lines, char out[200])
{
    struct field fields[16];
    size_t n = 0;
    struct forwarded f;
    char text[CIDR_TEXT] = "-";

    for (const char *at = lines; *at;) {
        size_t len = strcspn(at, "\n");
        ssize_t colon = slice_find(slice_of(at, len), ':');
        assert_true(colon > 0 && n < 16);
        fields[n].name = slice_of(at, (size_t)colon);
        fields[n++].value = slice_trim(slice_from(slice_of(at, len), (size_t)colon + 1));
        at += len + (at[len] == '\n');
    }
    forwarded_walk(fields, n, field, &trusted, &f);
    if (f.known)
        cidr_address_text(&f.address, text);
    snprintf(out, 200, "%s %u %.*s %.*s", text, f.port, (int)(f.proto.n ? f.proto.n : 1),
             f.proto.n ? f.proto.p : "-", (int)(f.host.n ? f.host.n : 1),
             f.host.n ? f.host.p : "-");
}

struct row {
    const char *lines, *want;
};

static void check(enum conf_trusted_field field, const struct row *rows, size_t n)
{
    char got[200];

    for (size_t i = 0; i < n; i++) {
        walk(field, rows[i].lines, got);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s\n-> %s, not %s", rows[i].lines, got, rows[i].want);
    }
}

#define CHECK(field, rows) check(field, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_x_forwarded_for(void **state)
{
#define F "X-Forwarded-For: "
    static const struct row rows[] = {
        {"", "- 0 - -"},
        {"Forwarded: for=192.0.2.1", "- 0 - -"},
        {F, "- 0 - -"},
        {F "192.0.2.1", "192.0.2.1 0 - -"},
        {"x-forwarded-for:192.0.2.1", "192.0.2.1 0 - -"},
        {F "192.0.2.9, 192.0.2.1", "192.0.2.1 0 - -"},
        {F "192.0.2.9, 192.0.2.1, 10.0.0.1", "192.0.2.1 0 - -"},
        {F "192.0.2.9,192.0.2.1\t,10.0.0.1 , 10.1.0.1", "192.0.2.1 0 - -"},
        {F "10.0.0.2, 10.0.0.1", "10.0.0.2 0 - -"}, /* all are proxies: the first of them */
        {F "192.0.2.9\n" F "192.0.2.1\n" F "10.0.0.1", "192.0.2.1 0 - -"}, /* lines are one */
        {F "192.0.2.1\nVia: x\n" F "10.0.0.1", "192.0.2.1 0 - -"},
        {F ", ,192.0.2.1, ,", "192.0.2.1 0 - -"},
        {F "192.0.2.1:4711", "192.0.2.1 4711 - -"},
        {F "192.0.2.1:_x", "192.0.2.1 0 - -"},
        {F "2001:db8::1", "2001:db8::1 0 - -"},
        {F "[2001:db8::1]", "2001:db8::1 0 - -"},
        {F "[2001:db8::1]:80", "2001:db8::1 80 - -"},
        {F "2001:DB8:0:0::1, 2001:db8:aa::7", "2001:db8::1 0 - -"},
        {F "::ffff:192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1 0 - -"},
        /* what is no address ends the walk at the one before */
        {F "192.0.2.1, unknown", "- 0 - -"},
        {F "192.0.2.1, unknown, 10.0.0.1", "10.0.0.1 0 - -"},
        {F "192.0.2.1, _hidden, 10.0.0.1", "10.0.0.1 0 - -"},
        {F "192.0.2.1, \"10.0.0.2\"", "- 0 - -"},
        {F "\", 192.0.2.1", "192.0.2.1 0 - -"}, /* it has no quotes */
        {F "192.0.2.1 10.0.0.1", "- 0 - -"},
        {F "192.0.2.256", "- 0 - -"},
        {F "192.0.2.1:", "- 0 - -"},
        {F "192.0.2.1:65536", "- 0 - -"},
        {F "192.0.2.1:80:80", "- 0 - -"},
        {F "192.0.2.1/32", "- 0 - -"},
        {F "[192.0.2.1]", "- 0 - -"},
        {F "[]", "- 0 - -"},
        {F "[2001:db8::1", "- 0 - -"},
        {F "2001:db8::1]", "- 0 - -"},
        {F "[2001:db8::1]80", "- 0 - -"},
        {F "unix:", "- 0 - -"},
        {F "all", "- 0 - -"},
    };
    (void)state;
    CHECK(CONF_TRUST_X_FORWARDED_FOR, rows);
}

static void test_x_beside(void **state)
{
#define P "X-Forwarded-Proto: "
#define H "X-Forwarded-Host: "
    static const struct row rows[] = {
        {P "https", "- 0 https -"},
        {F "192.0.2.1\n" P "https\n" H "example.org", "192.0.2.1 0 https example.org"},
        {F "192.0.2.1\n" P "HTTP\n" H "a:80", "192.0.2.1 0 http a:80"},
        {F "192.0.2.1, 10.0.0.1\n" P "https", "192.0.2.1 0 https -"}, /* one for all */
        {F "192.0.2.1, 10.0.0.1\n" P "https, http", "192.0.2.1 0 https -"},
        {F "192.0.2.1, 10.0.0.1\n" P "https, http, http", "192.0.2.1 0 http -"},
        /* the client wrote the first of each */
        {F "192.0.2.9, 192.0.2.1\n" P "https, http\n" H "evil, good", "192.0.2.1 0 http good"},
        {F "192.0.2.1\n" P "wss", "192.0.2.1 0 - -"},
        {F "192.0.2.1\n" P "https evil", "192.0.2.1 0 - -"},
        {F "192.0.2.1\n" H "a b", "192.0.2.1 0 - -"},
        {F "192.0.2.1\n" H "user@a", "192.0.2.1 0 - -"},
        {F "192.0.2.1\n" H "a:99999", "192.0.2.1 0 - -"},
    };
    (void)state;
    CHECK(CONF_TRUST_X_FORWARDED_FOR, rows);
}

static void test_forwarded(void **state)
{
#undef F
#define F "Forwarded: "
    static const struct row rows[] = {
        {"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https", "- 0 - -"},
        {F "for=192.0.2.1", "192.0.2.1 0 - -"},
        {F "For=192.0.2.1;PROTO=HTTPS;Host=example.org;by=_gw",
         "192.0.2.1 0 https example.org"},
        {F "for=\"192.0.2.1:4711\"", "192.0.2.1 4711 - -"},
        {F "for=192.0.2.1:4711", "192.0.2.1 4711 - -"},
        {F "for=\"[2001:db8::1]\"", "2001:db8::1 0 - -"},
        {F "for=\"[2001:db8::1]:80\";host=\"a:80\"", "2001:db8::1 80 - a:80"},
        {F "for=192.0.2.9, for=192.0.2.1", "192.0.2.1 0 - -"},
        {F "for=192.0.2.1;proto=https, for=10.0.0.1;proto=http", "192.0.2.1 0 https -"},
        {F "for=192.0.2.9;proto=https\n" F "for=192.0.2.1;proto=http\n" F "for=10.0.0.1",
         "192.0.2.1 0 http -"},
        {F "for=192.0.2.1;;proto=http;", "192.0.2.1 0 http -"},
        {F "for=192.0.2.1 ; proto=http", "192.0.2.1 0 http -"},
        {F "for=192.0.2.1;x=\"a,b;c\"", "192.0.2.1 0 - -"},
        {F "for=192.0.2.1;proto=https, for=10.0.0.1;x=\",\"", "192.0.2.1 0 https -"},
        /* who wrote them is trusted, whomever they are for */
        {F "for=unknown;proto=https", "- 0 https -"},
        {F "for=_gw;proto=https, for=10.0.0.1;proto=http", "10.0.0.1 0 https -"},
        {F "for=192.0.2.9, proto=https", "- 0 https -"},
        {F "for=192.0.2.9, for=\"_gw:_p\", for=10.0.0.1", "10.0.0.1 0 - -"},
        /* garbage ends the walk */
        {F "for=192.0.2.1, garbage", "- 0 - -"},
        {F "for=192.0.2.1, =x, for=10.0.0.1;proto=https", "10.0.0.1 0 - -"},
        {F "for=192.0.2.1;for=192.0.2.2", "- 0 - -"},
        {F "for=192.0.2.1;proto=http;proto=https", "- 0 - -"},
        {F "for=192.0.2.1;proto=", "- 0 - -"},
        {F "for=\"\"", "- 0 - -"},
        {F "for=\"192.0.2.1", "- 0 - -"},
        {F "for=192.0.2.1;host=\"a\\\"b\"", "- 0 - -"},
        {F "for=\"192.0.2\\.1\"", "- 0 - -"},
        {F "for=192.0.2.1;host=\"a b\";proto=x", "192.0.2.1 0 - -"},
        /* a quote that the client left open swallows nothing */
        {F "for=\", for=192.0.2.1;proto=http", "192.0.2.1 0 http -"},
        {F "for=\"10.0.0.1, for=\"[2001:db8::1]:80\"", "2001:db8::1 80 - -"},
        {F "for=10.0.0.9;x=\", for=192.0.2.1, for=10.0.0.1", "192.0.2.1 0 - -"},
        {F "for=10.0.0.9;x=\"\\, for=192.0.2.1", "192.0.2.1 0 - -"},
        {F "x=\"\n" F "for=192.0.2.1", "192.0.2.1 0 - -"},
    };
    (void)state;
    CHECK(CONF_TRUST_FORWARDED, rows);
}

static void test_all_trusted(void **state)
{
    static const struct row rows[] = {
        {"X-Forwarded-For: 192.0.2.1, 10.0.0.1", "192.0.2.1 0 - -"}};

    (void)state;
    assert_null(cidr_parse(SLICE("all"), &proxies[0].block));
    trusted.n = 1;
    assert_null(cidr_set_build(&trusted));
    CHECK(CONF_TRUST_X_FORWARDED_FOR, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_x_forwarded_for, setup),
        cmocka_unit_test_setup(test_x_beside, setup),
        cmocka_unit_test_setup(test_forwarded, setup),
        cmocka_unit_test_setup(test_all_trusted, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
