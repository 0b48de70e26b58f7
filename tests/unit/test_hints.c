/* gateway/hints.h: which links are for loading early, what is learned, and who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../gateway/answer_cache.h"
#include "../../gateway/hints.h"
#include "stream_world.h"

static struct answer_cache *known;

/* ---- links ---- */

static void expect_links(const char *value, const char *want)
{
    struct slice list = slice_str(value), link;
    char got[512] = "";
    size_t at = 0;

    while (hints_link_next(&list, &link))
        at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%s%.*s|",
                               hints_link_is_push(link) ? "^" : "",
                               hints_link_is_early(link) ? "+" : "", SLICE_FMT(link));
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s", value, got);
}

static void test_links(void **state)
{
    (void)state;
    expect_links("</a>; rel=preload", "^+</a>; rel=preload|");
    expect_links("</a>;rel=preload;as=style, </b> ; REL = \"PreConnect\" ,</c>;rel=next",
                 "^+</a>;rel=preload;as=style|+</b> ; REL = \"PreConnect\"|</c>;rel=next|");
    expect_links("</a>; rel=\"prev preload\"", "^+</a>; rel=\"prev preload\"|");
    expect_links("</a>; rel=\"preloads\"", "</a>; rel=\"preloads\"|");
    expect_links("</a>; as=script; rel=modulepreload", "+</a>; as=script; rel=modulepreload|");
    expect_links("</a,b;c>; title=\"x, y; rel=preload\"; rel=next",
                 "</a,b;c>; title=\"x, y; rel=preload\"; rel=next|");
    expect_links("</a>; title=\"\\\", \"; rel=preload, </b>",
                 "^+</a>; title=\"\\\", \"; rel=preload|</b>|");
    expect_links("</a>; rel=next; rel=preload", "</a>; rel=next; rel=preload|");
    expect_links("</a>; nopush; rel=preload", "+</a>; nopush; rel=preload|");
    expect_links(", ,</a>;rel=preload,,", "^+</a>;rel=preload|");
    expect_links("", "");
    expect_links("a; rel=preload", "");
    expect_links("</a; rel=preload", "");
    expect_links("</a>; rel=", "</a>; rel=|");
    expect_links("</a>; rel=\"preload", "</a>; rel=\"preload|");
    expect_links("</a>; \"rel=preload", "</a>; \"rel=preload|");
    expect_links("</a> rel=preload", "</a> rel=preload|");
    expect_links("</a>;", "</a>;|");
    expect_links("</a>; rel=\"\\", "</a>; rel=\"\\|");
}

/* ---- learning and telling ---- */

static int setup(void **state)
{
    (void)state;
    world_begin();
    known = answer_cache_new(HINTS_BYTES, 0);
    return known ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    world_end();
    answer_cache_free(known);
    return 0;
}

static struct stream *request(const char *target)
{
    static const struct conf_route route = {.pool = 0};
    struct stream *s = world_stream("GET");

    s->route = &route;
    s->req.version = HTTP_2;
    s->req.scheme = SLICE("https");
    s->req.authority = SLICE("example.org");
    stream_set_target(s, slice_str(target));
    w.seen.n_interims = 0;
    w.seen.fields[0] = '\0';
    return s;
}

static void learn(struct stream *s, int status, const char *link, const char *control)
{
    struct field fields[] = {{SLICE("Link"), slice_str(link)},
                             {SLICE("Cache-Control"), slice_str(control)},
                             {SLICE("link"), SLICE("</second>; rel=preload")}};
    struct response r = {
        .status = status, .fields = fields, .n_fields = strchr(link, '+') ? 3 : 2};

    hints_learn(s, known, &r);
}

static void learn_early(const char *target)
{
    learn(request(target), 200, "</a>; rel=preload", "max-age=1");
}

static void expect_hint(struct stream *s, const char *want)
{
    hints_send(s, known);
    assert_string_equal(w.seen.fields, want);
    assert_int_equal(w.seen.n_interims, want[0] ? 1 : 0);
    if (want[0])
        assert_int_equal(w.seen.interim, 103);
    hints_send(s, known); /* never twice */
    assert_int_equal(w.seen.n_interims, want[0] ? 1 : 0);
}

#define EARLY "Link: </a>; rel=preload|"

static void test_learned(void **state)
{
    (void)state;
    expect_hint(request("/x"), "");
    learn_early("/x?1");
    expect_hint(request("/x?2"), EARLY);
    expect_hint(request("/y"), "");
    struct stream *s = request("/x");
    s->req.authority = SLICE("other.example");
    expect_hint(s, "");
    learn(request("/x"), 200, "</b>; rel=preload, </+>; rel=next, </c>; rel=preconnect", "");
    expect_hint(request("/x"), "Link: </b>; rel=preload|Link: </c>; rel=preconnect|Link: "
                               "</second>; rel=preload|");
    learn(request("/x"), 200, "</b>; rel=next", "");
    expect_hint(request("/x"), "");
    assert_int_equal(answer_cache_used(known), 0);
}

static void test_who_teaches(void **state)
{
    static const char *const controls[] = {"private", "no-store"};

    (void)state;
    learn_early("/x");
    for (size_t i = 0; i < 2; i++)
        learn(request("/x"), 200, "</b>; rel=preload", controls[i]);
    learn(request("/x"), 404, "</b>; rel=preload", "");
    struct stream *s = request("/x");
    s->req.method = SLICE("POST");
    learn(s, 200, "</b>; rel=preload", "");
    s = request("/x");
    s->remote_user = SLICE("alice");
    learn(s, 200, "</b>; rel=preload", "");
    s = request("/x");
    stream_add_field(s, SLICE("authorization"), SLICE("x"));
    learn(s, 200, "</b>; rel=preload", "");
    expect_hint(request("/x"), EARLY);
    s = request("/x");
    s->self_hinted = true;
    learn(s, 200, "</b>; rel=preload", "");
    expect_hint(request("/x"), "");
}

static void test_who_is_told(void **state)
{
    struct stream *s = request("/x");

    (void)state;
    learn_early("/x");
    for (int version = HTTP_1_0; version <= HTTP_1_1; version++) {
        s = request("/x");
        s->req.version = (enum http_version)version;
        expect_hint(s, "");
    }
    s = request("/x");
    s->req.method = SLICE("HEAD");
    expect_hint(s, "");
    s = request("/x");
    stream_add_field(s, SLICE("Range"), SLICE("bytes=0-"));
    expect_hint(s, "");
    s = request("/x");
    stream_add_field(s, SLICE("sec-fetch-mode"), SLICE("cors"));
    expect_hint(s, "");
    s = request("/x");
    stream_add_field(s, SLICE("sec-fetch-mode"), SLICE("navigate"));
    expect_hint(s, EARLY);
    s = request("/x"); /* too late */
    s->answered = true;
    expect_hint(s, "");
}

static void test_limits(void **state)
{
    char value[HINTS_LINKS * 32 + HINTS_LINK_MAX + 64] = "";
    size_t at = 0;

    (void)state;
    at += (size_t)snprintf(value, sizeof(value), "</%0*d>;rel=preload,", HINTS_LINK_MAX, 0);
    for (int i = 0; i < HINTS_LINKS + 5; i++)
        at += (size_t)snprintf(value + at, sizeof(value) - at, "</%d>;rel=preload,", i);
    learn(request("/x"), 200, value, "");
    const struct stream *s = request("/x");
    hints_send((struct stream *)(uintptr_t)s, known);
    size_t n = 0;
    for (const char *p = w.seen.fields; (p = strstr(p, "Link: ")); p++)
        n++;
    assert_int_equal(n, HINTS_LINKS);
    assert_null(strstr(w.seen.fields, "0000"));
    for (int i = 0; i < 20000; i++) { /* other paths push it out */
        char target[32];
        snprintf(target, sizeof(target), "/%d", i);
        struct stream *one = request(target);
        learn(one, 200, "</a>; rel=preload", "");
        stream_on_close(one, GW_ECLIENT_GONE);
    }
    assert_true(answer_cache_used(known) <= HINTS_BYTES);
    expect_hint(request("/x"), "");
    expect_hint(request("/19999"), EARLY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links), T(test_learned), T(test_who_teaches),
        T(test_who_is_told),          T(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
