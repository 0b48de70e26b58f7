#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/mime.h"

static void check(const struct mime *m, const char *file, const char *type)
{
    struct slice got = mime_find(m, slice_str(file));

    if (!slice_eq(got, slice_str(type)))
        fail_msg("%s: %.*s", file, SLICE_FMT(got));
}

static void without_a_system_table(void **state)
{
    struct mime *m = mime_new("/nonexistent/mime.types");

    (void)state;
    assert_non_null(m);
    check(m, "/srv/index.html", "text/html");
    check(m, "/srv/INDEX.HTM", "text/html");
    check(m, "a.css", "text/css; charset=utf-8");
    check(m, "a.min.js", "text/javascript; charset=utf-8");
    check(m, "a.txt", "text/plain; charset=utf-8");
    check(m, "a.xml", "text/xml");
    check(m, "a.json", "application/json");
    check(m, "a.svg", "image/svg+xml");
    check(m, "a.tar.gz", "application/gzip");
    check(m, "a.unknown", "application/octet-stream");
    check(m, "README", "application/octet-stream");
    check(m, "/a.txt/README", "application/octet-stream");
    check(m, ".txt", "application/octet-stream");
    check(m, "/dir/.html", "application/octet-stream");
    check(m, "a.", "application/octet-stream");
    check(m, "", "application/octet-stream");
    check(m, "/", "application/octet-stream");
    check(m, "a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "application/octet-stream");
    mime_free(m);
}

static void from_a_file(void **state)
{
    static const char text[] = "# text/x-comment html\n"
                               "\n"
                               "application/x-thing\tthing  THONG\r\n"
                               "text/x-own txt\n"
                               "application/lonely\n"
                               "  image/indented ind\n"
                               "text/last last";
    char name[] = "/tmp/test_mime.XXXXXX";
    int fd = mkstemp(name);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    struct mime *m = mime_new(name);
    assert_non_null(m);
    check(m, "a.thing", "application/x-thing");
    check(m, "a.thong", "application/x-thing");
    check(m, "a.txt", "text/x-own; charset=utf-8"); /* before ours */
    check(m, "a.ind", "image/indented");
    check(m, "a.last", "text/last; charset=utf-8");
    check(m, "a.html", "text/html"); /* ours */
    mime_free(m);
    unlink(name);
}

/* More extensions than the table takes: those that fit are found, the rest is unknown. */
static void overfull_file(void **state)
{
    char name[] = "/tmp/test_mime.XXXXXX";
    int fd = mkstemp(name);
    FILE *f = fdopen(fd, "w");

    (void)state;
    for (unsigned i = 0; i < 20000; i++)
        fprintf(f, "application/x-%u e%u\n", i, i);
    fclose(f);
    struct mime *m = mime_new(name);
    assert_non_null(m);
    check(m, "a.e0", "application/x-0");
    check(m, "a.e1000", "application/x-1000");
    check(m, "a.e19999", "application/octet-stream");
    mime_free(m);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_system_table),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(overfull_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
