/* Texts with variables: how they are cut up, and what values they get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../conf/vars.h"
#include "../../gateway/conn.h"
#include "../../gateway/expand.h"

#define ROWS(t) (sizeof(t) / sizeof((t)[0]))

/* ---- what is wrong with a text ---- */

static const struct {
    bool url;
    unsigned n_groups;
    const char *text, *why; /* NULL: nothing */
} bad_rows[] = {
    {false, 0, "plain", NULL},
    {false, 0, "", NULL},
    {false, 0, "$$ $host ${uri}x $http_user_agent $arg_x", NULL},
    {false, 0, "$", "a $ without the name of a variable behind it; $$ is a dollar"},
    {false, 0, "a$ b", "a $ without the name of a variable behind it; $$ is a dollar"},
    {false, 0, "${}", "a $ without the name of a variable behind it; $$ is a dollar"},
    {false, 0, "${host", "a ${ that is not closed"},
    {false, 0, "${host.x}", "a ${ that is not closed"},
    {false, 0, "$hots", "there is no variable $hots; did you mean \"host\"?"},
    {false, 0, "$scheem://", "there is no variable $scheem; did you mean \"scheme\"?"},
    {false, 0, "$xyzzy", "there is no variable $xyzzy"},
    {false, 0, "$http_", "there is no variable $http_; did you mean \"https\"?"},
    {false, 0, "$htpp_host", "there is no variable $htpp_host; did you mean \"http_host\"?"},
    {false, 0, "$1", "$1: there is no pattern with groups"},
    {false, 1, "$1$2", "$2, but the pattern has 1 group"},
    {false, 2, "${0}", "$0, but the pattern has 2 groups"},
    {false, 9, "$9$10", NULL}, /* $1, then a 0 */
    {true, 0, "/x", NULL},
    {true, 0, "https://$host$request_uri", NULL},
    {true, 0, "$scheme://$http_host:8443$uri$is_args$args", NULL},
    {true, 0, "https://$server_name/?u=http://$arg_u/", NULL},
    {true, 0, "$uri/", NULL},
    {true, 1, "$1", NULL},
    {true, 1, "https://$1.example.org/", NULL},
    {true, 0, "mailto:x@example.org", NULL},
    {true, 0, "x", "the target is an absolute path or a URL"},
    {true, 0, "x$uri", "the target is an absolute path or a URL"},
    {true, 0, "https:$uri", "the target is an absolute path or a URL"},
    {true, 0, "$arg_to", "the target is an absolute path or a URL"},
    {true, 0, "$http_referer", "the target is an absolute path or a URL"},
    {true, 0, "/a b", "the target has bytes that must be %-encoded"},
    {true, 0, "/a${uri}\xC3\xA4", "the target has bytes that must be %-encoded"},
    {true, 0, "$arg_s://x/", "of the variables only $scheme may be a URL's scheme"},
    {true, 0, "https://$arg_h/",
     "the host of a URL is not for the client to choose: $host, $server_name"},
    {true, 0, "//x.$cookie_h",
     "the host of a URL is not for the client to choose: $host, $server_name"},
    {true, 0, "https://$uri",
     "the host of a URL is not for the client to choose: $host, $server_name"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bad_rows); i++) {
        struct slice text = slice_str(bad_rows[i].text);
        const struct vars *v = NULL;
        struct arena a;

        arena_init(&a);
        const char *why = bad_rows[i].url ? vars_compile_url(&a, text, bad_rows[i].n_groups, &v)
                                          : vars_compile(&a, text, bad_rows[i].n_groups, &v);
        if (!bad_rows[i].why && why)
            fail_msg("%s: %s", bad_rows[i].text, why);
        if (bad_rows[i].why && (!why || strcmp(why, bad_rows[i].why) != 0))
            fail_msg("%s: \"%s\" instead of \"%s\"", bad_rows[i].text, why ? why : "",
                     bad_rows[i].why);
        assert_true(!why == !!v);
        arena_fini(&a);
    }
}

/* ---- values ---- */

static struct slice hosts[] = {{"*.example.org", 13}, {"www.example.org", 15}};
static const struct conf_site site = {.hosts = hosts, .n_hosts = 2, .root = "/srv/x"};
static const struct conf_route route = {.root = "/srv/r"};
static struct field fields[] = {
    {{"User-Agent", 10}, {"a\tb \"c\"", 7}},
    {{"X_Real_IP", 9}, {"spoofed", 7}},
    {{"cookie", 6}, {"a=1; bb=2", 9}},
    {{"Cookie", 6}, {"b=3", 3}},
};

static void request(struct conn *c, struct stream *s)
{
    *c = (struct conn){.peer_text = "192.0.2.1", .local_text = "192.0.2.9", .local_port = 8080};
    *s = (struct stream){.conn = c, .site = &site, .route = &route};
    c->peer_port = 4000;
    arena_init(&s->arena);
    s->req.method = SLICE("GET");
    s->req.scheme = SLICE("http");
    s->req.authority = SLICE("WWW.Example.org:8080");
    s->req.fields = fields;
    s->req.n_fields = ROWS(fields);
    s->req.version = HTTP_2;
    stream_set_target(s, SLICE("/a%0Ab/?x=1%202&y=//evil.example/\\&z"));
    s->uri = SLICE("/a\nb/");
}

static const struct expand_groups groups = {
    .group = {{NULL, 0}, {"/x/y?", 5}, {"//evil.example/", 15}, {"http://e/", 9}, {"", 0}}};

static const struct {
    enum expand_as as;
    const char *text, *want;
} value_rows[] = {
    {EXPAND_TEXT, "plain $$", "plain $"},
    {EXPAND_TEXT, "[$args]", "[x=1%202&y=//evil.example/\\&z]"},
    {EXPAND_TEXT, "$query_string", "x=1%202&y=//evil.example/\\&z"},
    {EXPAND_TEXT, "$is_args.$https.", "?.."},
    {EXPAND_TEXT, "$document_root $document_uri", "/srv/r /a\nb/"},
    {EXPAND_TEXT, "$host $http_host $server_name",
     "www.example.org WWW.Example.org:8080 www.example.org"},
    {EXPAND_TEXT, "$remote_addr:$remote_port $server_addr:$server_port",
     "192.0.2.1:4000 192.0.2.9:8080"},
    {EXPAND_TEXT, "$remote_user$request_method $server_protocol $scheme", "GET HTTP/2.0 http"},
    {EXPAND_TEXT, "$request_uri", "/a%0Ab/?x=1%202&y=//evil.example/\\&z"},
    {EXPAND_TEXT, "$arg_x|$arg_z|$arg_xx|$arg_", NULL},
    {EXPAND_TEXT, "$arg_x|$arg_z|$arg_xx|${arg_y}y", "1%202|||//evil.example/\\y"},
    {EXPAND_TEXT, "$cookie_a $cookie_b $cookie_bb $cookie_c", "1 3 2 "},
    {EXPAND_TEXT, "$http_user_agent$http_x_real_ip$http_nothing", "a\tb \"c\""},
    {EXPAND_TEXT, "$1$4", "/x/y?"},
    /* a field has one line */
    {EXPAND_FIELD, "u=$uri", "u=/a%0Ab/"},
    {EXPAND_FIELD, "$http_user_agent", "a%09b \"c\""},
    /* a Location */
    {EXPAND_URL, "https://$host$uri", "https://www.example.org/a%0Ab/"},
    {EXPAND_URL, "https://$host$request_uri",
     "https://www.example.org/a%0Ab/?x=1%202&y=//evil.example/%5C&z"},
    {EXPAND_URL, "/login?next=$uri&again=$request_uri",
     "/login?next=/a%0Ab/&again=/a%0Ab/?x=1%202&y=//evil.example/%5C&z"},
    {EXPAND_URL, "/$arg_y", "/evil.example/%5C"},
    {EXPAND_URL, "$2x", "/evil.example/x"},
    {EXPAND_URL, "$3", "/http://e/"},
    {EXPAND_URL, "$4", "/"},
    {EXPAND_URL, "/p$1?q=$1", "/p/x/y%3F?q=/x/y%3F"},
    {EXPAND_URL, "https://$host$1", "https://www.example.org/x/y%3F"},
    {EXPAND_URL, "https://$host$2", "https://www.example.org//evil.example/"},
    {EXPAND_URL, "https://$host$3", "https://www.example.orghttp%3A%2F%2Fe%2F"},
    {EXPAND_URL, "https://$2$1", "https://%2F%2Fevil.example%2F/x/y%3F"},
    {EXPAND_URL, "https://$server_name:$server_port/", "https://www.example.org:8080/"},
    {EXPAND_URL, "/?ua=$http_user_agent", "/?ua=a%09b%20%22c%22"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(value_rows); i++) {
        const struct vars *v;
        struct slice text = slice_str(value_rows[i].text), got;
        struct stream s;
        struct conn c;
        const char *why;

        request(&c, &s);
        if (value_rows[i].as == EXPAND_URL)
            why = vars_compile_url(&s.arena, text, 9, &v);
        else
            why = vars_compile(&s.arena, text, 9, &v);
        if (!value_rows[i].want) {
            assert_non_null(why);
        } else {
            if (why)
                fail_msg("%s: %s", text.p, why);
            assert_int_equal(expand(&s, v, &groups, value_rows[i].as, &got), 0);
            assert_string_equal(got.p, value_rows[i].want);
            assert_int_equal(got.n, strlen(value_rows[i].want));
        }
        arena_fini(&s.arena);
    }
}

/* Errors before a site is known have variables too. */
static void test_nothing_known(void **state)
{
    struct conn c = {0};
    struct stream s = {.conn = &c};
    const struct vars *v;
    struct slice got;

    (void)state;
    arena_init(&s.arena);
    s.req.scheme = SLICE("https");
    assert_null(vars_compile(&s.arena,
                             SLICE("$host|$uri|$args|$is_args|$document_root|$request_uri|"
                                   "$http_x|$cookie_x|$arg_x|$server_port|$remote_user|$https"),
                             0, &v));
    assert_int_equal(expand(&s, v, NULL, EXPAND_FIELD, &got), 0);
    assert_string_equal(got.p, "localhost|||||||||443||on");
    arena_fini(&s.arena);
}

static void test_limit(void **state)
{
    static char query[EXPAND_MAX + 2];
    const struct vars *v;
    struct slice got;
    struct stream s;
    struct conn c;

    (void)state;
    memset(query, 'x', sizeof(query));
    for (size_t n = EXPAND_MAX - 1; n <= EXPAND_MAX + 1; n++) {
        request(&c, &s);
        s.req.query = slice_of(query, n - 1);
        assert_null(vars_compile(&s.arena, SLICE("?$args"), 0, &v));
        int rc = expand(&s, v, NULL, EXPAND_FIELD, &got);
        assert_int_equal(rc, n <= EXPAND_MAX ? 0 : GW_EVARS);
        if (rc == 0)
            assert_int_equal(got.n, n);
        arena_fini(&s.arena);
    }
}

/* ---- the reference file has the table ---- */

static void test_reference(void **state)
{
    char *table = NULL, line[256];
    size_t len = 0, n = 0;
    FILE *out = open_memstream(&table, &len), *in = fopen("conf/h2cgi.ini", "r");

    (void)state;
    assert_true(in && out);
    vars_print(out);
    fclose(out);
    while (fgets(line, sizeof(line), in)) {
        if (strncmp(line, ";   $", 5) == 0) {
            if (!strstr(table, line))
                fail_msg("not as in tbl/vars.def: %s", line);
            n += strlen(line);
        }
    }
    if (n != len)
        fail_msg("conf/h2cgi.ini lacks some of:\n%s", table);
    fclose(in);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),           cmocka_unit_test(test_values),
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
