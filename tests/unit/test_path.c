#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/path.h"
#include "../../gateway/router.h"

struct row {
    struct slice raw;
    const char *path; /* NULL: GW_EREQ_PATH */
};
#define RAW(raw, path)                                                                         \
    {                                                                                          \
        {raw, sizeof(raw) - 1}, path                                                           \
    }

static const struct row rows[] = {
    /* nothing to do */
    RAW("/", "/"),
    RAW("/a", "/a"),
    RAW("/a/b.c/", "/a/b.c/"),
    RAW("/a//b", "/a//b"),
    RAW("//a", "//a"),
    RAW("///", "///"),
    RAW("/a.", "/a."),
    RAW("/a..", "/a.."),
    RAW("/a../b", "/a../b"),
    RAW("/\xc3\xa9", "/\xc3\xa9"),
    RAW("/\\..\\x", "/\\..\\x"),
    RAW("/a;b=c,d@e:f", "/a;b=c,d@e:f"),
    /* dot segments, RFC 3986 5.2.4 */
    RAW("/.", "/"),
    RAW("/./", "/"),
    RAW("/./a", "/a"),
    RAW("/a/.", "/a/"),
    RAW("/a/./", "/a/"),
    RAW("/a/..", "/"),
    RAW("/a/../", "/"),
    RAW("/a/../b", "/b"),
    RAW("/a/b/..", "/a/"),
    RAW("/a/b/../c", "/a/c"),
    RAW("/a/b/c/./../../g", "/a/g"),
    RAW("/mid/content=5/../6", "/mid/6"),
    RAW("/...", "/..."),
    RAW("/.../..", "/"),
    RAW("/..a", "/..a"),
    RAW("/.a/.b", "/.a/.b"),
    RAW("/a//../b", "/a/b"),
    RAW("/a//..//b", "/a//b"),
    RAW("//..", "/"),
    RAW("//../a", "/a"),
    RAW("///../..", "/"),
    /* above the root */
    RAW("/..", NULL),
    RAW("/../", NULL),
    RAW("/../a", NULL),
    RAW("/a/../..", NULL),
    RAW("/a/../../etc/passwd", NULL),
    RAW("/./..", NULL),
    RAW("/../../../../../../etc/passwd", NULL),
    RAW("//../..", NULL),
    /* decoded, once */
    RAW("/%41", "/A"),
    RAW("/a%20b", "/a b"),
    RAW("/%7e", "/~"),
    RAW("/%c3%A9", "/\xc3\xa9"),
    RAW("/%25", "/%"),
    RAW("/%2541", "/%41"),
    RAW("/%252e%252e/", "/%2e%2e/"),
    RAW("/%252f", "/%2f"),
    RAW("/a%3fb", "/a?b"),
    RAW("/a%23b", "/a#b"),
    RAW("/%0d%0a", "/\r\n"),
    RAW("/%ff", "/\xff"),
    RAW("/a+b", "/a+b"),
    /* dots in disguise */
    RAW("/%2e", "/"),
    RAW("/%2E/a", "/a"),
    RAW("/a/%2e%2e", "/"),
    RAW("/a/.%2e/b", "/b"),
    RAW("/a/%2e./b", "/b"),
    RAW("/%2e%2e", NULL),
    RAW("/%2e%2e/", NULL),
    RAW("/.%2E/etc/passwd", NULL),
    RAW("/a/%2e%2e/%2e%2e/etc/passwd", NULL),
    RAW("/%2e%2e%2e", "/..."),
    /* an encoded slash is one before segments are settled */
    RAW("/%2f", "//"),
    RAW("/%2F", "//"),
    RAW("/a%2fb", "/a/b"),
    RAW("/a/..%2f", "/"),
    RAW("/a/..%2fb", "/b"),
    RAW("/a/%2e%2e%2fb", "/b"),
    RAW("/..%2f..%2fetc%2fpasswd", NULL),
    RAW("/%2e%2e%2fetc%2fpasswd", NULL),
    RAW("/%2f..%2f..%2fetc", NULL),
    RAW("/a%2f..%2f..%2fetc", NULL),
    /* other slashes are bytes like any other */
    RAW("/%5c..%5c", "/\\..\\"),
    RAW("/%c0%af", "/\xc0\xaf"),
    RAW("/%c0%ae%c0%ae/", "/\xc0\xae\xc0\xae/"),
    RAW("/%e0%80%af", "/\xe0\x80\xaf"),
    RAW("/%u002e", NULL),
    /* NUL */
    RAW("/%00", NULL),
    RAW("/a%00b", NULL),
    RAW("/x.php%00.png", NULL),
    RAW("/\0", NULL),
    RAW("/a\0b", NULL),
    /* escapes that are none */
    RAW("/%", NULL),
    RAW("/%2", NULL),
    RAW("/a%", NULL),
    RAW("/%g1", NULL),
    RAW("/%1g", NULL),
    RAW("/%%41", NULL),
    RAW("/% 1", NULL),
    RAW("/%-1", NULL),
    /* no path */
    RAW("", NULL),
    RAW("*", NULL),
    RAW("a", NULL),
    RAW("a/b", NULL),
    RAW("..", NULL),
    RAW("%2f", NULL),
    RAW("http://h/", NULL),
};

static void settle_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a;
        struct slice path = SLICE("untouched");
        arena_init(&a);
        /* behind the path there is nothing: what reads too far is seen by the sanitizers */
        char *exact = malloc(rows[i].raw.n ? rows[i].raw.n : 1);
        memcpy(exact, rows[i].raw.p, rows[i].raw.n);
        int rc = router_settle_path(&a, slice_of(exact, rows[i].raw.n), &path);
        if (rows[i].path) {
            if (rc != 0 || !slice_eq(path, slice_str(rows[i].path)))
                fail_msg("%s: %d, %.*s", rows[i].raw.p, rc, SLICE_FMT(path));
        } else {
            if (rc != GW_EREQ_PATH || !slice_eq(path, SLICE("untouched")))
                fail_msg("%s: %d, %.*s", rows[i].raw.p, rc, SLICE_FMT(path));
        }
        free(exact);
        arena_fini(&a);
    }
}

/* A settled path that is encoded and settled again is itself. */
static void settle_is_stable(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a;
        struct slice again;
        if (!rows[i].path)
            continue;
        arena_init(&a);
        struct slice encoded = path_encode(&a, slice_str(rows[i].path));
        assert_int_equal(router_settle_path(&a, encoded, &again), 0);
        assert_true(slice_eq(again, slice_str(rows[i].path)));
        arena_fini(&a);
    }
}

static void long_paths(void **state)
{
    enum { N = 200000 };
    struct arena a;
    struct slice path;
    char *p = malloc(N + 1);

    (void)state;
    arena_init(&a);
    memset(p, '/', N);
    assert_int_equal(router_settle_path(&a, slice_of(p, N), &path), 0);
    assert_int_equal(path.n, N);
    for (size_t i = 0; i < N; i += 2)
        memcpy(p + i, "/.", 2);
    assert_int_equal(router_settle_path(&a, slice_of(p, N), &path), 0);
    assert_true(slice_eq(path, SLICE("/")));
    for (size_t i = 0; i < N / 2; i += 2)
        memcpy(p + i, "/a", 2);
    for (size_t i = N / 2; i + 3 <= N; i += 3)
        memcpy(p + i, "/..", 3);
    assert_int_equal(router_settle_path(&a, slice_of(p, N / 2 + 99), &path), 0);
    assert_int_equal(path.n, N / 2 - 33 * 2 + 1);
    arena_fini(&a);
    free(p);
}

static void encoded_slashes(void **state)
{
    (void)state;
    assert_true(path_has_encoded_slash(SLICE("/a%2Fb")));
    assert_true(path_has_encoded_slash(SLICE("/a%2f")));
    assert_true(path_has_encoded_slash(SLICE("/%%2f")));
    assert_false(path_has_encoded_slash(SLICE("/a%252fb")));
    assert_false(path_has_encoded_slash(SLICE("/a/b%2")));
    assert_false(path_has_encoded_slash(SLICE("")));
}

static void components(void **state)
{
    struct slice path = SLICE("//a//bc/"), c;
    size_t at = 0;

    (void)state;
    assert_true(path_next(path, &at, &c));
    assert_true(slice_eq(c, SLICE("a")));
    assert_int_equal(at, 3);
    assert_true(path_next(path, &at, &c));
    assert_true(slice_eq(c, SLICE("bc")));
    assert_int_equal(at, 7);
    assert_false(path_next(path, &at, &c));
    at = 0;
    assert_false(path_next(SLICE(""), &at, &c));
    assert_false(path_next(SLICE("/"), &at, &c));
}

static void merge_join_encode(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_true(slice_eq(path_merge_slashes(&a, SLICE("")), SLICE("")));
    assert_true(slice_eq(path_merge_slashes(&a, SLICE("/")), SLICE("/")));
    assert_true(slice_eq(path_merge_slashes(&a, SLICE("///a//b/")), SLICE("/a/b/")));

    assert_true(slice_eq(path_join(&a, SLICE("/srv"), SLICE("/a//b")), SLICE("/srv/a/b")));
    assert_true(slice_eq(path_join(&a, SLICE("/srv/"), SLICE("a")), SLICE("/srv/a")));
    assert_true(slice_eq(path_join(&a, SLICE("/"), SLICE("//a")), SLICE("/a")));
    assert_true(slice_eq(path_join(&a, SLICE("/srv"), SLICE("")), SLICE("/srv/")));
    assert_int_equal(strlen(path_join(&a, SLICE("/srv"), SLICE("x")).p), 6);

    assert_true(slice_eq(path_encode(&a, SLICE("/a b%?#\\\"\x7f\xc3\xa9")),
                         SLICE("/a%20b%25%3F%23%5C%22%7F%C3%A9")));
    assert_true(slice_eq(path_encode(&a, SLICE("/aZ09-._~!$&'()*+,;=:@/")),
                         SLICE("/aZ09-._~!$&'()*+,;=:@/")));
    assert_true(
        slice_eq(path_decode_query(&a, SLICE("a%3Db+c%00%zz%2")), SLICE("a=b c%00%zz%2")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settle_table), cmocka_unit_test(settle_is_stable),
        cmocka_unit_test(long_paths),   cmocka_unit_test(encoded_slashes),
        cmocka_unit_test(components),   cmocka_unit_test(merge_join_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
