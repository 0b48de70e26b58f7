/* The rules of rewrite: what is read, and what becomes of a path. */
#include "conf_text.h"

#include <time.h>

#include "../../conf/rewrite.h"
#include "../../gateway/conn.h"
#include "../../gateway/counters.h"
#include "../../gateway/path.h"
#include "../../gateway/rewrite.h"
#include "../../gateway/router.h"

static const struct {
    const char *rule, *why;
} wrong_rows[] = {
    {"^/( /x", "at byte 4 of the pattern: missing closing parenthesis"},
    {"a**b /x", "at byte 3 of the pattern: quantifier does not follow a repeatable item"},
    {"(?<a>x /x", "at byte 7 of the pattern: missing closing parenthesis"},
    {"x", "a rule is PATTERN TARGET [last, break, redirect or permanent]"},
    {"x \"\"", "a rule is PATTERN TARGET [last, break, redirect or permanent]"},
    {"x /y last last", "a rule is PATTERN TARGET [last, break, redirect or permanent]"},
    {"x /y braek",
     "the last word is last, break, redirect or permanent, not braek; did you mean \"break\"?"},
    {"x /y \"", "a double quote that is not closed"},
    {"x y", "the target is an absolute path or a URL"},
    {"x ?", "the target is an absolute path or a URL"},
    {"x /$1", "$1: there is no pattern with groups"},
    {"(x) /$0", "$0, but the pattern has 1 group"},
    {"(x) http://e/$1 break", "last and break go with a path, and this is a URL"},
    {"x //e/ last", "last and break go with a path, and this is a URL"},
    {"x http://$arg_x/",
     "the host of a URL is not for the client to choose: $host, $server_name"},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(wrong_rows); i++) {
        struct conf_rewrite rule;
        struct arena a;

        arena_init(&a);
        const char *why = rewrite_parse(&a, slice_str(wrong_rows[i].rule), &rule);
        if (!why || strcmp(why, wrong_rows[i].why) != 0)
            fail_msg("%s: %s", wrong_rows[i].rule, why ? why : "nothing wrong");
        arena_fini(&a);
    }
}

/* Up to three rules on a target; what they say, path?query then, or the Location. */
static const struct {
    const char *rules[3], *target;
    int rc;
    const char *now;
} run_rows[] = {
    {{"^/a$ /b"}, "/a", REWROTE_PATH, "/b"},
    {{"^/a$ /b"}, "/a/", REWROTE_NOTHING, "/a/"},
    {{"^/a$ /b"}, "/a%0A", REWROTE_NOTHING, "/a%0A"}, /* $ is the end */
    {{"^/(.*)$ /x/$1"}, "/a%0Ab", REWROTE_PATH, "/x/a%0Ab"},
    {{"^/a(.*) /b$1"}, "//a//c", REWROTE_PATH, "/b/c"},
    {{"a /b", "b /c", "c /d"}, "/a", REWROTE_PATH, "/d"},
    {{"a /b last", "b /c"}, "/a", REWROTE_PATH, "/b"},
    {{"a /b break", "b /c"}, "/a", REWROTE_OVER, "/b"},
    {{"x /b last", "a /c break"}, "/a", REWROTE_OVER, "/c"},
    {{"a /b redirect"}, "/a?q", REWROTE_REDIRECT, "302 /b?q"},
    {{"a /b permanent", "b /c"}, "/a", REWROTE_REDIRECT, "301 /b"},
    {{"a /b", "b https://e/$uri"}, "/a?q=1", REWROTE_REDIRECT, "302 https://e//b?q=1"},
    {{"^/(.*) /$1 redirect"}, "/x?\"<>", REWROTE_REDIRECT, "302 /x?%22%3C%3E"},
    /* queries */
    {{"a /b"}, "/a?q=1&r", REWROTE_PATH, "/b?q=1&r"},
    {{"a /b?x=y"}, "/a?q=1", REWROTE_PATH, "/b?x=y&q=1"},
    {{"a /b?x=y?"}, "/a?q=1", REWROTE_PATH, "/b?x=y"},
    {{"a /b?"}, "/a?q=1", REWROTE_PATH, "/b"},
    {{"a /b?x=$args?"}, "/a?q=1", REWROTE_PATH, "/b?x=q=1"},
    {{"^/(.*)$ /b?p=$1"}, "/a%26c%3Dd%3F%2B?", REWROTE_PATH, "/b?p=a%26c%3Dd%3F%2B&"},
    /* groups are data */
    {{"^/(.*)$ /b/$1"}, "/a%3Fb%2523", REWROTE_PATH, "/b/a%3Fb%2523"},
    {{"^/(a)?(b) /$1-$2"}, "/b", REWROTE_PATH, "/-b"},
    {{"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.) /$9$10"}, "/abcdefghij", REWROTE_PATH, "/h/0"},
    {{"^/d(.)(.)$ /x/.$1/y"}, "/d.x", REWROTE_PATH, "/y"},
    {{"^/d(.)(.)$ /.$1/y"}, "/d.x", GW_EREQ_PATH, NULL},
    {{"a /b%00"}, "/a", GW_EREQ_PATH, NULL},
    {{"a /b%2e%2e/../c"}, "/a", REWROTE_PATH, "/c"},
    {{"a\\Kb /x$1(b)"}, "/ab", -1000, NULL}, /* no such group: not a rule */
    {{"^/(?=(a+))\\K\\1b$ /$1"}, "/aab", REWROTE_PATH, "/aa"},
};

static struct rewrite *rules_of(struct arena *a, const char *const *texts)
{
    static struct conf_rewrite rules[3];
    unsigned n = 0;

    for (; n < 3 && texts[n]; n++) {
        if (rewrite_parse(a, slice_str(texts[n]), &rules[n]))
            return NULL;
    }
    struct rewrite *r = rewrite_new(rules, n);
    assert_non_null(r);
    return r;
}

static void begin(struct conn *c, struct stream *s, const char *target)
{
    *c = (struct conn){0};
    *s = (struct stream){.conn = c};
    arena_init(&s->arena);
    s->req.authority = SLICE("e");
    s->req.scheme = SLICE("http");
    stream_set_target(s, slice_str(target));
    assert_int_equal(router_settle_path(&s->arena, s->req.path, &s->uri), 0);
}

static void test_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(run_rows); i++) {
        struct slice location, now;
        struct stream s;
        struct conn c;
        int status;

        begin(&c, &s, run_rows[i].target);
        struct rewrite *r = rules_of(&s.arena, run_rows[i].rules);
        if (run_rows[i].rc == -1000) {
            assert_null(r);
            arena_fini(&s.arena);
            continue;
        }
        assert_non_null(r);
        int rc = rewrite_run(r, &s, &status, &location);
        if (rc != run_rows[i].rc)
            fail_msg("row %zu: %d", i, rc);
        if (rc == REWROTE_REDIRECT)
            now = arena_printf(&s.arena, "%d %.*s", status, SLICE_FMT(location));
        else
            now = arena_printf(&s.arena, "%.*s%s%.*s", SLICE_FMT(path_encode(&s.arena, s.uri)),
                               s.req.has_query ? "?" : "", SLICE_FMT(s.req.query));
        if (run_rows[i].now && strcmp(now.p, run_rows[i].now) != 0)
            fail_msg("row %zu: %s instead of %s", i, now.p, run_rows[i].now);
        /* as it was asked for */
        assert_true(s.req.target.p == run_rows[i].target);
        rewrite_free(r);
        arena_fini(&s.arena);
    }
}

/* Patterns that go back and forth over paths of 8 KiB: an error, soon. */
static void test_hostile(void **state)
{
    static const char *const patterns[] = {"^/(a+)+$ /x",    "^/(a|aa)+$ /x",
                                           "^/(.*)*b$ /x",   "(x+x+)+y /x",
                                           "^/((a*)*)*$ /x", "^/(?:(a)|b)*c$ /x"};
    char target[8193] = "/";

    (void)state;
    for (size_t i = 0; i < ROWS(patterns); i++) {
        const char *const rules[3] = {patterns[i]};
        struct timespec from, to;
        struct slice location;
        struct stream s;
        struct conn c;
        int status;

        memset(target + 1, i == 3 ? 'x' : 'a', sizeof(target) - 3);
        target[sizeof(target) - 2] = '!';
        begin(&c, &s, target);
        struct rewrite *r = rules_of(&s.arena, rules);
        uint64_t before = counter_get(COUNTER_REWRITE_MATCH);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        int rc = rewrite_run(r, &s, &status, &location);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        double ms =
            (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
        print_message("%s: %d, %.1f ms\n", patterns[i], rc, ms);
        assert_true(rc == GW_EREWRITE_MATCH || rc == REWROTE_NOTHING);
        assert_int_equal(counter_get(COUNTER_REWRITE_MATCH) - before, rc < 0);
        assert_true(ms < 2000); /* of unlimited steps: hours */
        rewrite_free(r);
        arena_fini(&s.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
