/* header.NAME, expires, hsts: what is read, and what becomes of a response's fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../conf/fields.h"
#include "../../gateway/conn.h"
#include "../../gateway/field_rules.h"
#include "conf_text.h"

/* ---- reading ---- */

static const struct {
    const char *text, *cache_control, *why;
} expires_rows[] = {
    {"off", "", NULL},
    {"epoch", "no-cache", NULL},
    {"no-cache", "no-cache", NULL},
    {"no-store", "no-store", NULL},
    {"max", "max-age=315360000", NULL},
    {"0", "max-age=0", NULL},
    {"90", "max-age=90", NULL},
    {"5m", "max-age=300", NULL},
    {"12h", "max-age=43200", NULL},
    {"30d", "max-age=2592000", NULL},
    {"2w", "max-age=1209600", NULL},
    {"1M", "max-age=2592000", NULL},
    {"10y  public immutable", "max-age=315360000, public, immutable", NULL},
    {"11y", NULL, "must be off, "},
    {"315360001", NULL, "must be off, "},
    {"9223372036854775807d", NULL, "must be off, "},
    {"-1", NULL, "must be off, "},
    {"d", NULL, "must be off, "},
    {"1.5d", NULL, "must be off, "},
    {"off x", NULL, "must be off, "},
    {"1d imutable", NULL, "unknown word \"imutable\"; did you mean \"immutable\"?"},
};

static void test_expires(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(expires_rows); i++) {
        struct conf_expires e = {0};
        struct arena a;

        arena_init(&a);
        const char *why = fields_parse_expires(&a, slice_str(expires_rows[i].text), &e);
        if (expires_rows[i].why) {
            assert_non_null(why);
            assert_memory_equal(why, expires_rows[i].why, strlen(expires_rows[i].why));
        } else {
            assert_null(why);
            assert_true(slice_eq(e.cache_control, slice_str(expires_rows[i].cache_control)));
        }
        arena_fini(&a);
    }
}

static const struct {
    const char *text, *value, *why;
} hsts_rows[] = {
    {"off", "", NULL},
    {"0", "max-age=0", NULL},
    {"1y", "max-age=31536000", NULL},
    {"31536000 includeSubDomains", "max-age=31536000; includeSubDomains", NULL},
    {"2y preload includeSubDomains", "max-age=63072000; includeSubDomains; preload", NULL},
    {"on", NULL, "must be off or a time up to 10y (365d, 1y, 31536000)"},
    {"1y preload", NULL, "preload needs includeSubDomains and a time of a year or more"},
    {"364d includeSubDomains preload", NULL,
     "preload needs includeSubDomains and a time of a year or more"},
    {"1y includeSubdomains", NULL,
     "unknown word \"includeSubdomains\"; did you mean \"includeSubDomains\"?"},
};

static void test_hsts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(hsts_rows); i++) {
        struct slice value = {NULL, 0};
        struct arena a;

        arena_init(&a);
        const char *why = fields_parse_hsts(&a, slice_str(hsts_rows[i].text), &value);
        if (hsts_rows[i].why)
            assert_string_equal(why, hsts_rows[i].why);
        else
            assert_true(!why && slice_eq(value, slice_str(hsts_rows[i].value)));
        arena_fini(&a);
    }
}

static const struct {
    const char *name, *text;
    enum conf_header_action action;
    bool always;
    const char *value, *why;
} header_rows[] = {
    {"X-A", "b", CONF_HEADER_SET, false, "b", NULL},
    {"X-A", "set add", CONF_HEADER_SET, false, "add", NULL},
    {"X-A", "always  add   a b", CONF_HEADER_ADD, true, "a b", NULL},
    {"X-A", "default $$x", CONF_HEADER_DEFAULT, false, "$x", NULL},
    {"X-A", "additional", CONF_HEADER_SET, false, "additional", NULL},
    {"X-A", "add always x", CONF_HEADER_ADD, false, "always x", NULL},
    {"X-A", "remove", CONF_HEADER_REMOVE, false, NULL, NULL},
    {"X-A", "off", CONF_HEADER_OFF, false, NULL, NULL},
    {"X-A", "remove x", 0, false, NULL,
     "nothing follows remove and off; a value that begins so needs set before it"},
    {"X-A", "always remove", 0, false, NULL, "always does not go with remove and off"},
    {"X-A", "always", 0, false, NULL, "needs a value"},
    {"X-A", "add", 0, false, NULL, "needs a value"},
    {"X-A", "a\001", 0, false, NULL, "the value has bytes that no field can have"},
    {"X-A", "$hots", 0, false, NULL, "there is no variable $hots; did you mean \"host\"?"},
    {"X A", "b", 0, false, NULL, "not the name of a field"},
    {"", "b", 0, false, NULL, "not the name of a field"},
    {":status", "b", 0, false, NULL, "not the name of a field"},
    {"content-length", "1", 0, false, NULL,
     "h2cgi sets this field itself, as the connection needs it"},
    {"Connection", "remove", 0, false, NULL,
     "h2cgi sets this field itself, as the connection needs it"},
};

static void test_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(header_rows); i++) {
        struct conf_header h = {
            .pair = {slice_str(header_rows[i].name), slice_str(header_rows[i].text)}};
        struct arena a;

        arena_init(&a);
        const char *why = fields_parse_header(&a, &h.pair);
        if (header_rows[i].why) {
            assert_non_null(why);
            assert_string_equal(why, header_rows[i].why);
        } else {
            assert_null(why);
            assert_int_equal(h.action, header_rows[i].action);
            assert_int_equal(h.always, header_rows[i].always);
            if (header_rows[i].value)
                assert_true(slice_eq(h.value->literal, slice_str(header_rows[i].value)));
        }
        arena_fini(&a);
    }
}

/* ---- applying ---- */

/* keys of the site and of the route / , path, method, status, fields before -> after; a date is
 * written as DATE or EPOCH. */
static const struct {
    const char *site, *route, *path, *method;
    int status;
    const char *before, *after;
} apply_rows[] = {
    {"header.A = 1\n", "", "/", "GET", 200, "", "A: 1|"},
    {"header.A = 1\n", "", "/", "GET", 404, "", ""},
    {"header.A = always 1\n", "", "/", "GET", 404, "", "A: 1|"},
    {"header.A = 1\n", "", "/", "GET", 200, "a: 0|b: 0|A: 2|", "b: 0|A: 1|"},
    {"header.A = add 1\nheader.a = add 2\n", "", "/", "GET", 200, "A: 0|", "A: 0|A: 1|a: 2|"},
    {"header.A = default 1\n", "", "/", "GET", 200, "a: 0|", "a: 0|"},
    {"header.A = default 1\n", "", "/", "GET", 200, "b: 0|", "b: 0|A: 1|"},
    {"header.A = remove\n", "", "/", "GET", 500, "a: 0|A: 1|b: 2|", "b: 2|"},
    {"header.A = 1\nheader.B = 1\n", "header.a = 2\n", "/", "GET", 200, "", "B: 1|a: 2|"},
    {"header.A = 1\n", "header.A = off\n", "/", "GET", 200, "A: 0|", "A: 0|"},
    {"header.A = $uri\n", "", "/x\r\ny", "GET", 200, "", "A: /x%0D%0Ay|"},
    {"header.A = $http_none\n", "", "/", "GET", 200, "A: 0|", "A: 0|"},
    {"header.Content-Type = x/y\nheader.A = 1\n", "", "/", "GET", 304, "", "A: 1|"},
    /* expires */
    {"expires = 1h\n", "", "/", "GET", 200, "", "Expires: DATE|Cache-Control: max-age=3600|"},
    {"expires = 1h\n", "", "/", "HEAD", 206, "", "Expires: DATE|Cache-Control: max-age=3600|"},
    {"expires = 1h\n", "", "/", "GET", 304, "", "Expires: DATE|Cache-Control: max-age=3600|"},
    {"expires = no-store\n", "", "/", "GET", 200, "",
     "Expires: EPOCH|Cache-Control: no-store|"},
    {"expires = 1h\n", "", "/", "POST", 200, "", ""},
    {"expires = 1h\n", "", "/", "GET", 302, "", ""},
    {"expires = 1h\n", "", "/", "GET", 404, "", ""},
    {"expires = 1h\n", "", "/", "GET", 200, "cache-control: private|",
     "cache-control: private|"},
    {"expires = 1h\n", "", "/", "GET", 200, "expires: x|", "expires: x|"},
    {"expires = 1h\n", "", "/", "GET", 200, "Set-Cookie: x|", "Set-Cookie: x|"},
    {"expires = 1h\n", "expires = off\n", "/", "GET", 200, "", ""},
    {"expires = 1h\nexpires.CSS = 1d immutable\n", "", "/a.b/x.css", "GET", 200, "",
     "Expires: DATE|Cache-Control: max-age=86400, immutable|"},
    {"expires.css = 1d\n", "", "/x.css/y", "GET", 200, "", ""},
    {"expires.css = 1d\n", "expires.css = off\nexpires = 1h\n", "/x.css", "GET", 200, "", ""},
    {"expires.css = 1d\n", "expires.js = 1h\n", "/x.CSS", "GET", 200, "",
     "Expires: DATE|Cache-Control: max-age=86400|"},
    {"expires = 1h\nheader.Cache-Control = add public\n", "", "/", "GET", 200, "",
     "Expires: DATE|Cache-Control: max-age=3600|Cache-Control: public|"},
    /* hsts: the path /tls is over TLS here */
    {"hsts = 1y\n", "", "/tls", "GET", 404, "Strict-Transport-Security: x|",
     "Strict-Transport-Security: max-age=31536000|"},
    {"hsts = 1y\n", "", "/", "GET", 200, "Strict-Transport-Security: x|", ""},
};

static size_t fields_of(const char *text, struct field *fields)
{
    struct slice rest = slice_str(text);
    size_t n = 0;

    while (rest.n) {
        size_t end = (size_t)slice_find(rest, '|'), colon = (size_t)slice_find(rest, ':');
        fields[n++] = (struct field){slice_of(rest.p, colon),
                                     slice_of(rest.p + colon + 2, end - colon - 2)};
        rest = slice_from(rest, end + 1);
    }
    return n;
}

static void text_of(const struct response *r, char *out)
{
    char *at = out;

    for (size_t i = 0; i < r->n_fields; i++) {
        struct slice value = r->fields[i].value;
        if (slice_eq(r->fields[i].name, SLICE("Expires")) && value.n == 29)
            value = slice_ends(value, SLICE("Jan 1970 00:00:00 GMT")) ? SLICE("EPOCH")
                                                                      : SLICE("DATE");
        at += sprintf(at, "%.*s: %.*s|", SLICE_FMT(r->fields[i].name), SLICE_FMT(value));
    }
    *at = '\0';
}

static void test_apply(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(apply_rows); i++) {
        char ini[1024], got[1024];
        struct field fields[8];
        struct conn c = {0};
        struct stream s = {.conn = &c};
        struct response r = {.status = apply_rows[i].status, .fields = fields};

        snprintf(ini, sizeof(ini),
                 "[listen l]\naddress = *:1\n[site s]\nroot = /\n%s[route s /]\n%s",
                 apply_rows[i].site, apply_rows[i].route);
        struct conf *conf = conf_read(&(struct conf_source){"x", slice_str(ini), true}, stderr);
        assert_non_null(conf);
        arena_init(&s.arena);
        s.site = &conf->sites[0];
        s.route = &conf->sites[0].routes[0];
        s.uri = slice_str(apply_rows[i].path);
        s.req.method = slice_str(apply_rows[i].method);
        s.req.scheme = slice_eq(s.uri, SLICE("/tls")) ? SLICE("https") : SLICE("http");
        r.n_fields = fields_of(apply_rows[i].before, fields);
        if (field_rules_any(&s))
            assert_int_equal(field_rules_apply(&s, &r), 0);
        text_of(&r, got);
        if (strcmp(got, apply_rows[i].after) != 0)
            fail_msg("row %zu: %s instead of %s", i, got, apply_rows[i].after);
        arena_fini(&s.arena);
        conf_free(conf);
    }
}

/* Before a site is known, and before its route is. */
static void test_unrouted(void **state)
{
    struct conf *conf = good("[site s]\nroot = /\nheader.A = always 1\n"
                             "[listen l]\naddress = *:1\n");
    struct conn c = {0};
    struct stream s = {.conn = &c};
    struct response r = {.status = 400};
    char got[100];

    (void)state;
    arena_init(&s.arena);
    assert_false(field_rules_any(&s));
    s.site = &conf->sites[0];
    assert_true(field_rules_any(&s));
    assert_int_equal(field_rules_apply(&s, &r), 0);
    text_of(&r, got);
    assert_string_equal(got, "A: 1|");
    arena_fini(&s.arena);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expires),  cmocka_unit_test(test_hsts),
        cmocka_unit_test(test_header),   cmocka_unit_test(test_apply),
        cmocka_unit_test(test_unrouted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
