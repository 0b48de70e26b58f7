/* Exact pairs, read back from the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <fastcgi.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../fcgi/params.h"
#include "../../gateway/conn.h"
#include "../../gateway/metavars.h"
#include "../../gateway/version.h"

enum {
    PAIRS_MAX = 300,
    PLAIN = 21 /* variables of a plain request without fields */
};

static struct {
    char name[PAIRS_MAX][160];
    char value[PAIRS_MAX][512];
    size_t n;
} got;

static int collect(void *arg, struct slice name, struct slice value)
{
    (void)arg;
    assert_true(got.n < PAIRS_MAX);
    snprintf(got.name[got.n], sizeof(got.name[0]), "%.*s", SLICE_FMT(name));
    snprintf(got.value[got.n], sizeof(got.value[0]), "%.*s", SLICE_FMT(value));
    got.n++;
    return 0;
}

/* NULL: not set.  A name that is there twice fails the test. */
static const char *value_of(const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < got.n; i++) {
        if (strcmp(got.name[i], name) == 0) {
            assert_null(value);
            value = got.value[i];
        }
    }
    return value;
}

struct expect {
    const char *name, *value;
};

static void expect_all(const struct expect *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *v = value_of(rows[i].name);
        if ((v == NULL) != (rows[i].value == NULL) || (v && strcmp(v, rows[i].value) != 0))
            fail_msg("%s=%s", rows[i].name, v ? v : "(not set)");
    }
}

static void expect_each_once(void)
{
    for (size_t i = 0; i < got.n; i++)
        assert_non_null(value_of(got.name[i]));
}

/* ---- a request ---- */

static struct slice hosts[] = {{"*.example.org", 13}, {"www.example.org", 15}};
static struct conf_site site = {.name = "example", .hosts = hosts, .n_hosts = 2};
static struct conf_route route;
static struct conn conn;
static struct stream stream;
static struct route_match match;
static struct metavars_ask ask;
static struct field fields[128];

#define S(literal)                                                                             \
    {                                                                                          \
        literal, sizeof(literal) - 1                                                           \
    }

static int setup(void **state)
{
    (void)state;
    route = (struct conf_route){.pool = 0};
    ask = (struct metavars_ask){FCGI_RESPONDER, -1, -1, 0, false};
    memset(&conn, 0, sizeof(conn));
    strcpy(conn.peer_text, "192.0.2.7");
    conn.peer_port = 40123;
    conn.local_port = 8443;
    strcpy(conn.local_text, "192.0.2.1");
    stream = (struct stream){.conn = &conn};
    arena_init(&stream.arena);
    stream.req = (struct request){
        .method = S("GET"),
        .scheme = S("http"),
        .authority = S("Example.org:8443"),
        .target = S("/cgi-bin/hello/a%20b?x=1&y[]=%20;z"),
        .path = S("/cgi-bin/hello/a%20b"),
        .query = S("x=1&y[]=%20;z"),
        .has_query = true,
        .fields = fields,
        .n_fields = 0,
        .content_length = -1,
        .version = HTTP_1_1,
    };
    match = (struct route_match){
        .site = &site,
        .route = &route,
        .path = S("/cgi-bin/hello/a b"),
        .script_name = S("/cgi-bin/hello"),
        .path_info = S("/a b"),
        .path_translated = S("/srv/site/a b"),
        .document_root = S("/srv/cgi"),
        .file = S("/srv/cgi/hello"),
    };
    got.n = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&stream.arena);
    return 0;
}

static void add(const char *name, const char *value)
{
    fields[stream.req.n_fields++] = (struct field){slice_str(name), slice_str(value)};
}

static void build(int64_t content_length)
{
    struct buf out = {0};
    struct fcgi_params reader;

    got.n = 0;
    ask.content_length = content_length;
    assert_int_equal(metavars_build(&stream, &match, &ask, &out), 0);
    fcgi_params_init(&reader, 1 << 20);
    assert_int_equal(fcgi_params_feed(&reader, buf_at(&out), buf_len(&out), collect, NULL), 0);
    assert_int_equal(fcgi_params_end(&reader), 0);
    fcgi_params_fini(&reader);
    buf_fini(&out);
    expect_each_once();
}

#define EXPECT(...)                                                                            \
    do {                                                                                       \
        static const struct expect rows_[] = {__VA_ARGS__};                                    \
        expect_all(rows_, sizeof(rows_) / sizeof(rows_[0]));                                   \
    } while (0)

/* ---- tests ---- */

static void plain_get(void **state)
{
    (void)state;
    build(-1);
    EXPECT({"AUTH_TYPE", NULL},                                   /* RFC 3875 4.1.1 */
           {"CONTENT_LENGTH", NULL},                              /* 4.1.2 */
           {"CONTENT_TYPE", NULL},                                /* 4.1.3 */
           {"DOCUMENT_ROOT", "/srv/cgi"},                         /**/
           {"DOCUMENT_URI", "/cgi-bin/hello/a b"},                /**/
           {"GATEWAY_INTERFACE", "CGI/1.1"},                      /* 4.1.4 */
           {"HTTPS", NULL},                                       /**/
           {"HTTP_HOST", "Example.org:8443"},                     /* 4.1.18 */
           {"PATH_INFO", "/a b"},                                 /* 4.1.5 */
           {"PATH_TRANSLATED", "/srv/site/a b"},                  /* 4.1.6 */
           {"QUERY_STRING", "x=1&y[]=%20;z"},                     /* 4.1.7 */
           {"REDIRECT_STATUS", "200"},                            /**/
           {"REMOTE_ADDR", "192.0.2.7"},                          /* 4.1.8 */
           {"REMOTE_HOST", "192.0.2.7"},                          /* 4.1.9 */
           {"REMOTE_IDENT", NULL},                                /* 4.1.10 */
           {"REMOTE_PORT", "40123"},                              /**/
           {"REMOTE_USER", NULL},                                 /* 4.1.11 */
           {"REQUEST_METHOD", "GET"},                             /* 4.1.12 */
           {"REQUEST_SCHEME", "http"},                            /**/
           {"REQUEST_URI", "/cgi-bin/hello/a%20b?x=1&y[]=%20;z"}, /**/
           {"SCRIPT_FILENAME", "/srv/cgi/hello"},                 /**/
           {"SCRIPT_NAME", "/cgi-bin/hello"},                     /* 4.1.13 */
           {"SERVER_ADDR", "192.0.2.1"},                          /**/
           {"SERVER_NAME", "Example.org"},                        /* 4.1.14 */
           {"SERVER_PORT", "8443"},                               /* 4.1.15 */
           {"SERVER_PROTOCOL", "HTTP/1.1"},                       /* 4.1.16 */
           {"SERVER_SOFTWARE", "h2cgi/" H2CGI_VERSION},           /* 4.1.17 */
           {"SSL_PROTOCOL", NULL}, {"SSL_CIPHER", NULL}, {"SSL_TLS_SNI", NULL});
    assert_int_equal(got.n, PLAIN);
}

static void what_is_empty(void **state)
{
    (void)state;
    stream.req.query = (struct slice){NULL, 0};
    stream.req.has_query = false;
    match.script_name = (struct slice){NULL, 0};
    match.path_info = match.path_translated = match.document_root = match.file =
        slice_of("", 0);
    build(0);
    EXPECT({"QUERY_STRING", ""}, {"SCRIPT_NAME", ""}, {"PATH_INFO", NULL},
           {"PATH_TRANSLATED", NULL}, {"DOCUMENT_ROOT", NULL}, {"SCRIPT_FILENAME", NULL},
           {"CONTENT_LENGTH", "0"});
}

static void post_over_tls_and_h2(void **state)
{
    (void)state;
    conn.is_tls = true;
    stream.req.scheme = SLICE("https");
    stream.req.method = SLICE("POST");
    stream.req.version = HTTP_2;
    stream.remote_user = SLICE("alice");
    stream.auth_type = SLICE("Basic");
    add("content-type", "multipart/form-data; boundary=\"x\"");
    add("content-length", "9223372036854775807");
    build(INT64_MAX);
    EXPECT({"HTTPS", "on"}, {"REQUEST_SCHEME", "https"}, {"REQUEST_METHOD", "POST"},
           {"SERVER_PROTOCOL", "HTTP/2.0"}, {"REMOTE_USER", "alice"}, {"AUTH_TYPE", "Basic"},
           {"CONTENT_TYPE", "multipart/form-data; boundary=\"x\""},
           {"CONTENT_LENGTH", "9223372036854775807"}, {"HTTP_CONTENT_TYPE", NULL},
           {"HTTP_CONTENT_LENGTH", NULL});
    stream.redirects = 1; /* RFC 3875 6.2.2 */
    stream.req.method = SLICE("GET");
    build(-1);
    EXPECT({"CONTENT_TYPE", NULL}, {"CONTENT_LENGTH", NULL}, {"REQUEST_METHOD", "GET"});
}

static void server_names(void **state)
{
    static const struct {
        const char *authority, *name;
        const char *host;
    } rows[] = {
        {"example.net", "example.net", "example.net"},
        {"[2001:db8::1]:80", "[2001:db8::1]", "[2001:db8::1]:80"},
        {"", "www.example.org", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        stream.req.authority = slice_str(rows[i].authority);
        build(-1);
        assert_string_equal(value_of("SERVER_NAME"), rows[i].name);
        if (rows[i].host)
            assert_string_equal(value_of("HTTP_HOST"), rows[i].host);
        else
            assert_null(value_of("HTTP_HOST"));
    }
    stream.req.version = HTTP_1_0;
    site.n_hosts = 1; /* only a wildcard */
    build(-1);
    site.n_hosts = 2;
    EXPECT({"SERVER_NAME", "192.0.2.1"}, {"SERVER_PROTOCOL", "HTTP/1.0"});
}

static void addresses(void **state)
{
    (void)state;
    strcpy(conn.local_text, "2001:db8::5");
    build(-1);
    EXPECT({"SERVER_ADDR", "2001:db8::5"});
    conn.local_text[0] = '\0';
    conn.peer_port = 0;
    strcpy(conn.peer_text, "unix:");
    conn.local_port = 0;
    build(-1);
    EXPECT({"SERVER_ADDR", NULL}, {"REMOTE_PORT", NULL}, {"REMOTE_ADDR", "unix:"},
           {"SERVER_PORT", "80"});
    stream.req.scheme = SLICE("https");
    build(-1);
    EXPECT({"SERVER_PORT", "443"});
}

static void fields_become_variables(void **state)
{
    (void)state;
    add("User-Agent", "curl/7");
    add("accept", "text/html");
    add("X-Empty", "");
    add("If-None-Match", "\"a\"");
    add("Range", "bytes=0-1");
    add("Content-Encoding", "gzip");
    add("Git-Protocol", "version=2");
    add("X-42", "digits");
    add("sec-ch-ua-mobile", "?0");
    build(-1);
    EXPECT({"HTTP_USER_AGENT", "curl/7"}, {"HTTP_ACCEPT", "text/html"}, {"HTTP_X_EMPTY", ""},
           {"HTTP_IF_NONE_MATCH", "\"a\""}, {"HTTP_RANGE", "bytes=0-1"},
           {"HTTP_CONTENT_ENCODING", "gzip"}, {"HTTP_GIT_PROTOCOL", "version=2"},
           {"HTTP_X_42", "digits"}, {"HTTP_SEC_CH_UA_MOBILE", "?0"});
}

static void fields_that_stay(void **state)
{
    static const char *const names[] = {
        "Proxy",
        "proxy",
        "PROXY",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Transfer-Encoding",
        "HTTP2-Settings",
        "Expect",
        "Proxy-Connection",
        "Proxy-Authorization",
        "Host",
        "Content-Type",
        "Content-Length",
        /* would come out as the variable of another field */
        "X_Forwarded_For",
        "x.forwarded.for",
        "Remote_User",
        "a b",
        "a\x80",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        add(names[i], "evil");
    add("X-Forwarded-For", "192.0.2.1");
    build(-1);
    EXPECT({"HTTP_X_FORWARDED_FOR", "192.0.2.1"}, {"HTTP_HOST", "Example.org:8443"},
           {"CONTENT_TYPE", "evil"});
    assert_int_equal(got.n, PLAIN + 2);
}

/* underscores = pass: one variable, one spelling; and what never passes does not pass so. */
static void underscores(void **state)
{
    (void)state;
    site.underscores = CONF_UNDERSCORES_PASS;
    route.underscores = -1;
    add("X_Alone", "1");
    add("x.dots", "2");
    add("X_Before", "evil");
    add("X_Before", "evil too");
    add("X-Before", "3");
    add("x-before", "4");
    add("X-After", "5");
    add("X.After", "evil");
    add("A_B.C", "6");
    add("a.b_c", "evil");
    add("a_b.c", "7");
    add("_", "8");
    add("X~Y", "evil");
    add("Content_Length", "evil");
    add("Transfer_Encoding", "evil");
    add("Proxy_Connection", "evil");
    build(-1);
    EXPECT({"HTTP_X_ALONE", "1"}, {"HTTP_X_DOTS", "2"}, {"HTTP_X_BEFORE", "3, 4"},
           {"HTTP_X_AFTER", "5"}, {"HTTP_A_B_C", "6, 7"}, {"HTTP__", "8"});
    assert_int_equal(got.n, PLAIN + 6);
    route.underscores = CONF_UNDERSCORES_DROP;
    build(-1);
    EXPECT({"HTTP_X_ALONE", NULL}, {"HTTP_X_BEFORE", "3, 4"}, {"HTTP_X_AFTER", "5"});
    assert_int_equal(got.n, PLAIN + 2);
    site.underscores = CONF_UNDERSCORES_DROP;
    route.underscores = CONF_UNDERSCORES_PASS;
    build(-1);
    EXPECT({"HTTP_X_ALONE", "1"});
    site.underscores = CONF_UNDERSCORES_DROP;
}

static void authorization(void **state)
{
    (void)state;
    add("Authorization", "Bearer x");
    build(-1);
    EXPECT({"HTTP_AUTHORIZATION", "Bearer x"}, {"REMOTE_USER", NULL});
    route.auth.basic = 1;
    build(-1);
    EXPECT({"HTTP_AUTHORIZATION", NULL}, {"REMOTE_USER", NULL});
}

static void repeated_fields(void **state)
{
    (void)state;
    add("X-Dup", "1");
    add("Cookie", "a=1");
    add("x-dup", "2");
    add("cookie", "b=2; c=3");
    add("X-Once", "once");
    add("X-DUP", "");
    add("cookie", "d=4");
    build(-1);
    EXPECT({"HTTP_X_DUP", "1, 2, "}, {"HTTP_COOKIE", "a=1; b=2; c=3; d=4"},
           {"HTTP_X_ONCE", "once"});
}

/* More names than buckets, each twice, in any order. */
static void many_fields(void **state)
{
    static char names[60][16];

    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof(names[i]), "X-%d", i);
        add(names[i], "a");
    }
    for (int i = 59; i >= 0; i--)
        add(names[i], "b");
    build(-1);
    assert_int_equal(got.n, PLAIN + 60);
    for (int i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof(name), "HTTP_X_%d", i);
        assert_string_equal(value_of(name), "a, b");
    }
}

static void route_variables(void **state)
{
    static struct conf_pair env[] = {
        {S("GIT_PROJECT_ROOT"), S("/srv/git")},
        {S("SCRIPT_NAME"), S("/other")},
        {S("HTTP_ACCEPT"), S("*/*")},
        {S("REMOTE_USER"), S("")},
        {S("HTTPS"), S("on")},
    };

    (void)state;
    route.env = env;
    route.n_env = 5;
    add("Accept", "text/html");
    add("Accept", "text/plain");
    stream.remote_user = SLICE("alice");
    build(-1);
    EXPECT({"GIT_PROJECT_ROOT", "/srv/git"}, {"SCRIPT_NAME", "/other"}, {"HTTP_ACCEPT", "*/*"},
           {"REMOTE_USER", ""}, {"HTTPS", "on"});
    assert_string_equal(got.name[got.n - 1], "HTTPS"); /* last */
}

/* What an authorizer said lies over the client's fields, and the route over both. */
static void authorizer_variables(void **state)
{
    static struct field vars[] = {
        {S("HALL_NAME"), S("Alice W.")},
        {S("HTTP_X_USER"), S("alice")},
        {S("FROM_ROUTE"), S("authorizer")},
    };
    static struct conf_pair env[] = {{S("FROM_ROUTE"), S("route")}};

    (void)state;
    match.vars = vars;
    match.n_vars = 3;
    route.env = env;
    route.n_env = 1;
    add("X-User", "mallory");
    add("X-Other", "x");
    build(-1);
    EXPECT({"HALL_NAME", "Alice W."}, {"HTTP_X_USER", "alice"}, {"FROM_ROUTE", "route"},
           {"HTTP_X_OTHER", "x"});
}

/* FastCGI 6.3 and 6.4 */
static void other_roles(void **state)
{
    static struct conf_pair env[] = {{S("SCRIPT_NAME"), S("/x")}, {S("LEVEL"), S("2")}};

    (void)state;
    build(-1);
    EXPECT({"FCGI_DATA_LENGTH", NULL}, {"FCGI_DATA_LAST_MOD", NULL});
    ask.role = FCGI_FILTER;
    ask.data_length = 0;
    ask.data_last_mod = 1700000000;
    build(3);
    EXPECT({"FCGI_DATA_LENGTH", "0"}, {"FCGI_DATA_LAST_MOD", "1700000000"},
           {"CONTENT_LENGTH", "3"}, {"SCRIPT_NAME", "/cgi-bin/hello"}, {"PATH_INFO", "/a b"});
    ask.data_last_mod = -5; /* before 1970 */
    build(-1);
    EXPECT({"FCGI_DATA_LAST_MOD", "0"});

    ask = (struct metavars_ask){FCGI_AUTHORIZER, -1, -1, 0, false};
    route.env = env;
    route.n_env = 2;
    add("Content-Type", "text/x");
    build(-1);
    EXPECT({"CONTENT_LENGTH", NULL}, {"PATH_INFO", NULL}, {"PATH_TRANSLATED", NULL},
           {"SCRIPT_NAME", NULL}, {"LEVEL", "2"}, {"CONTENT_TYPE", "text/x"},
           {"SCRIPT_FILENAME", "/srv/cgi/hello"}, {"DOCUMENT_ROOT", "/srv/cgi"},
           {"REQUEST_URI", "/cgi-bin/hello/a%20b?x=1&y[]=%20;z"},
           {"QUERY_STRING", "x=1&y[]=%20;z"}, {"REQUEST_METHOD", "GET"},
           {"REMOTE_ADDR", "192.0.2.7"});
}

static void long_values(void **state)
{
    static char name[400], value[70000];
    struct buf out = {0};

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    memset(value, 'v', sizeof(value) - 1);
    add(name, value);
    add("X-After", "here");
    assert_int_equal(metavars_build(&stream, &match, &ask, &out), 0);
    assert_true(buf_len(&out) > sizeof(name) + sizeof(value));
    assert_non_null(memmem(buf_at(&out), buf_len(&out), "HTTP_X_AFTERhere", 16));
    buf_fini(&out);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_get),
        TEST(what_is_empty),
        TEST(post_over_tls_and_h2),
        TEST(server_names),
        TEST(addresses),
        TEST(fields_become_variables),
        TEST(fields_that_stay),
        TEST(underscores),
        TEST(authorization),
        TEST(repeated_fields),
        TEST(many_fields),
        TEST(route_variables),
        TEST(long_values),
        TEST(authorizer_variables),
        TEST(other_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
