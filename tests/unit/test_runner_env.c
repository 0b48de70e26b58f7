/*
 * fcgi/runner_env.c and fcgi/runner_nph.c: what a script is given, and its first line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../fcgi/runner_env.h"
#include "../../fcgi/runner_nph.h"

static char home[] = "HOME=/home/u", both[] = "BOTH=process", path[] = "PATH=/ours";
static char *inherited[] = {home, both, NULL};
static char *inherited_path[] = {home, path, NULL};

static void add(struct runner_env *e, const char *name, const char *value)
{
    assert_int_equal(runner_env_add(e, slice_str(name), slice_str(value)), 0);
}

/* The strings of a vector, each followed by '|'. */
static const char *joined(char *const v[])
{
    static char out[8192];
    size_t n = 0;

    out[0] = '\0';
    for (; *v; v++)
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s|", *v);
    return out;
}

static void parameters_lie_over_the_process(void **state)
{
    (void)state;
    struct runner_env e = {0};

    add(&e, "A", "1");
    add(&e, "BOTH", "parameter");
    add(&e, "EMPTY", "");
    assert_string_equal(joined(runner_env_envp(&e, inherited, "MARK=m")),
                        "HOME=/home/u|BOTH=parameter|A=1|EMPTY=|"
                        "PATH=/usr/local/bin:/usr/bin:/bin|MARK=m|");
    assert_string_equal(joined(runner_env_envp(&e, inherited_path, NULL)),
                        "HOME=/home/u|PATH=/ours|A=1|BOTH=parameter|EMPTY=|");
    runner_env_fini(&e);
}

static void last_of_one_name_counts(void **state)
{
    (void)state;
    struct runner_env e = {0};

    add(&e, "A", "1");
    add(&e, "AB", "2");
    add(&e, "A", "3=x");
    add(&e, "PATH", "/p");
    assert_string_equal(joined(runner_env_envp(&e, inherited + 2, NULL)),
                        "A=3=x|AB=2|PATH=/p|");
    assert_string_equal(runner_env_get(&e, "A"), "3=x");
    assert_null(runner_env_get(&e, "B"));
    assert_null(runner_env_get(&e, ""));
    runner_env_fini(&e);
}

static void what_is_no_variable_is_left_out(void **state)
{
    (void)state;
    struct runner_env e = {0};

    add(&e, "", "x");
    add(&e, "A=B", "x");
    add(&e, "HTTP_PROXY", "http://evil");
    assert_int_equal(runner_env_add(&e, SLICE("N\0L"), SLICE("x")), 0);
    assert_int_equal(runner_env_add(&e, SLICE("V"), SLICE("x\0y")), 0);
    add(&e, "HTTP_PROXY_", "kept");
    assert_string_equal(joined(runner_env_envp(&e, inherited_path + 2, NULL)),
                        "HTTP_PROXY_=kept|PATH=/usr/local/bin:/usr/bin:/bin|");
    runner_env_fini(&e);
}

static void clear_makes_it_new(void **state)
{
    (void)state;
    struct runner_env e = {0};

    add(&e, "A", "1");
    (void)runner_env_envp(&e, inherited, NULL);
    runner_env_clear(&e);
    assert_null(runner_env_get(&e, "A"));
    add(&e, "B", "2");
    assert_string_equal(joined(runner_env_envp(&e, inherited_path, NULL)),
                        "HOME=/home/u|PATH=/ours|B=2|");
    runner_env_fini(&e);
}

static void thousands_of_names(void **state)
{
    (void)state;
    struct runner_env e = {0};
    char name[64], value[64];
    size_t n = 0;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            snprintf(name, sizeof(name), "N%d", i);
            snprintf(value, sizeof(value), "%d.%d", round, i);
            add(&e, name, value);
        }
    }
    char **envp = runner_env_envp(&e, inherited_path + 1, NULL);
    for (; envp[n]; n++) {
        if (n == 0)
            continue; /* PATH */
        snprintf(name, sizeof(name), "N%zu=1.%zu", n - 1, n - 1);
        assert_string_equal(envp[n], name);
    }
    assert_int_equal(n, 5001);
    runner_env_fini(&e);
}

static void all_together_are_bounded(void **state)
{
    (void)state;
    struct runner_env e = {0};
    char *value = malloc(RUNNER_ENV_MAX);

    assert_non_null(value);
    memset(value, 'x', RUNNER_ENV_MAX);
    /* "A=" and the NUL make it exactly full. */
    assert_int_equal(runner_env_add(&e, SLICE("A"), slice_of(value, RUNNER_ENV_MAX - 3)), 0);
    assert_false(e.over);
    add(&e, "B", "");
    assert_true(e.over);
    assert_null(runner_env_get(&e, "B"));
    runner_env_clear(&e);
    assert_int_equal(runner_env_add(&e, SLICE("A"), slice_of(value, RUNNER_ENV_MAX - 2)), 0);
    assert_true(e.over);
    free(value);
    runner_env_fini(&e);
}

/* RFC 3875 4.4; "" where no arguments are given. */
static const struct {
    const char *method, *query, *want;
} argument_rows[] = {
    {"GET", "a", "a|"},
    {"HEAD", "a+b", "a|b|"},
    {"POST", "a", ""},
    {"get", "a", ""},
    {NULL, "a", ""},
    {"GET", NULL, ""},
    {"GET", "", ""},
    {"GET", "a=b", ""},
    {"GET", "a+b=", ""},
    {"GET", "a%3Db", "a=b|"},
    {"GET", "%41%2b%20%7e", "A+ ~|"},
    {"GET", "a+", ""},
    {"GET", "+a", ""},
    {"GET", "a++b", ""},
    {"GET", "-a", ""},
    {"GET", "a+-b", ""},
    {"GET", "%2Da", ""},
    {"GET", "a-b", "a-b|"},
    {"GET", "%", ""},
    {"GET", "a%4", ""},
    {"GET", "%g0", ""},
    {"GET", "%0g", ""},
    {"GET", "%00", ""},
    {"GET", "a%00b", ""},
    {"GET", "%ff", "\xff|"},
    {"GET", "`x`&$(y)", "`x`&$(y)|"},
};

static void arguments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(argument_rows) / sizeof(argument_rows[0]); i++) {
        struct runner_env e = {0};
        if (argument_rows[i].method)
            add(&e, "REQUEST_METHOD", argument_rows[i].method);
        if (argument_rows[i].query)
            add(&e, "QUERY_STRING", argument_rows[i].query);
        char **argv = runner_env_argv(&e, "/x/prog");
        assert_string_equal(argv[0], "/x/prog");
        assert_string_equal(joined(argv + 1), argument_rows[i].want);
        runner_env_fini(&e);
    }
}

static const struct {
    const char *filename, *root, *name, *want;
} script_rows[] = {
    {"/srv/x", "/other", "/y", "/srv/x"},
    {"x", "/other", "/y", NULL},
    {"", NULL, NULL, NULL},
    {NULL, "/srv", "/cgi/x", "/srv/cgi/x"},
    {NULL, "/srv", NULL, NULL},
    {NULL, NULL, "/x", NULL},
    {NULL, "srv", "/x", NULL},
    {NULL, "/srv", "x", NULL},
    {NULL, NULL, NULL, NULL},
    {"proxy:fcgi://localhost:9000/srv/x", NULL, NULL, "/srv/x"},
    {"proxy:balancer://pool/srv/x", NULL, NULL, "/srv/x"},
    {"proxy:fcgi://localhost", NULL, NULL, NULL},
};

static void script_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(script_rows) / sizeof(script_rows[0]); i++) {
        struct runner_env e = {0};
        if (script_rows[i].filename)
            add(&e, "SCRIPT_FILENAME", script_rows[i].filename);
        if (script_rows[i].root)
            add(&e, "DOCUMENT_ROOT", script_rows[i].root);
        if (script_rows[i].name)
            add(&e, "SCRIPT_NAME", script_rows[i].name);
        const char *got = runner_env_script(&e);
        if (script_rows[i].want)
            assert_string_equal(got, script_rows[i].want);
        else
            assert_null(got);
        runner_env_fini(&e);
    }
}

#define UNHELD "X-Accel-Buffering: no\r\n"

static const struct {
    const char *in, *want;
} status_rows[] = {
    {"HTTP/1.1 200 OK\r\n", UNHELD "Status: 200 OK\r\n"},
    {"HTTP/1.0 404\n", UNHELD "Status: 404\n"},
    {"HTTP/2 204\n", UNHELD "Status: 204\n"},
    {"HTTP/1.1\t200\n", "HTTP/1.1\t200\n"},
    {"HTTP/11 200\n", "HTTP/11 200\n"},
    {"HTTP/x.1 200\n", "HTTP/x.1 200\n"},
    {"http/1.1 200\n", "http/1.1 200\n"},
    {"Status: 200\n", "Status: 200\n"},
    {"HTTPS: x\n", "HTTPS: x\n"},
    {"HTTP/1.", "HTTP/1."},
    {"H", "H"},
    {"\n", "\n"},
};

/* Fed in two parts, then byte by byte. */
static void check_status_row(const char *in, const char *want, size_t first, size_t step)
{
    struct runner_nph f = {0};
    char got[128] = {0};
    size_t len = strlen(in), n_got = 0, at = 0;

    while (at < len) {
        uint8_t part[RUNNER_NPH_MAX + 64 + RUNNER_NPH_GROWS];
        size_t n = at == 0 ? first : step;
        n = n < len - at ? n : len - at;
        size_t held = runner_nph_take(&f, part);
        memcpy(part + held, in + at, n);
        at += n;
        n = runner_nph_filter(&f, part, held + n);
        memcpy(got + n_got, part, n);
        n_got += n;
    }
    n_got += runner_nph_take(&f, (uint8_t *)got + n_got);
    assert_string_equal(got, want);
}

static void status_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(status_rows) / sizeof(status_rows[0]); i++) {
        const char *in = status_rows[i].in, *want = status_rows[i].want;
        for (size_t cut = 1; cut <= strlen(in); cut++)
            check_status_row(in, want, cut, 64);
        check_status_row(in, want, 1, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_lie_over_the_process),
        cmocka_unit_test(last_of_one_name_counts),
        cmocka_unit_test(what_is_no_variable_is_left_out),
        cmocka_unit_test(clear_makes_it_new),
        cmocka_unit_test(thousands_of_names),
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(arguments),
        cmocka_unit_test(script_path),
        cmocka_unit_test(status_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
