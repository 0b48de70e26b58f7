/* The log is played by this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/auth_file.h"
#include "../../gateway/log.h"

static char logged[8192];
static unsigned n_logged;

void log_line(int level, const char *fmt, ...)
{
    size_t n = strlen(logged);
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(logged + n, sizeof(logged) - n, fmt, ap);
    va_end(ap);
    n = strlen(logged);
    snprintf(logged + n, sizeof(logged) - n, "\n");
    n_logged++;
}

#define H "$apr1$abcd1234$KISB.4aBzP4pecxr2tTpg1"

static const struct siphash_key key = {{3, 4}};
static char path[64], other[80];
static struct auth_file *f;
static uint64_t now_ms;

static void write_to(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* As if it had been written an hour ago; only the change of that is new. */
static void age(int seconds)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* As a request a second later and its job would. */
static bool look(void)
{
    now_ms += AUTH_FILE_LOOK_MS;
    logged[0] = '\0';
    n_logged = 0;
    bool fresh = auth_file_is_fresh(f, now_ms);
    auth_file_refresh(f);
    return fresh;
}

static bool has(const char *user)
{
    struct auth_table *t = auth_file_hold(f, NULL);
    bool found = t && auth_table_hash(t, slice_str(user)).n;

    auth_table_unref(t);
    return found;
}

static uint64_t generation(void)
{
    uint64_t g;

    auth_table_unref(auth_file_hold(f, &g));
    return g;
}

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_auth_file.XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    snprintf(other, sizeof(other), "%s.new", path);
    now_ms = 5000;
    f = auth_file_new(path, AUTH_TABLE_USERS, &key);
    return f ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    auth_file_free(f);
    unlink(path);
    unlink(other);
    return 0;
}

static void changes(void **state)
{
    (void)state;
    write_to(path, "a:" H "\n");
    assert_false(look()); /* not read yet */
    assert_true(has("a"));
    assert_non_null(strstr(logged, "read, 1 users"));
    uint64_t first = generation();

    /* in place, in the same second, of the same size */
    write_to(path, "b:" H "\n");
    assert_true(auth_file_is_fresh(f, now_ms + AUTH_FILE_LOOK_MS - 1)); /* a second */
    assert_false(look());
    assert_false(has("a"));
    assert_true(has("b"));
    assert_int_not_equal(generation(), first);

    /* replaced, as editors and htpasswd do */
    write_to(other, "c:" H "\n");
    assert_int_equal(rename(other, path), 0);
    assert_false(look());
    assert_true(has("c"));
}

/* Read again while its times do not tell, but nobody is logged out by that. */
static void the_same_again(void **state)
{
    (void)state;
    write_to(path, "a:" H "\n");
    look();
    uint64_t first = generation();
    struct auth_table *t = auth_file_hold(f, NULL);
    assert_false(look());
    age(3600);
    assert_false(look());
    struct auth_table *again = auth_file_hold(f, NULL);
    assert_ptr_equal(t, again);
    assert_int_equal(generation(), first);
    assert_int_equal(n_logged, 0);
    auth_table_unref(t);
    auth_table_unref(again);
}

static void gone_and_back(void **state)
{
    (void)state;
    write_to(path, "a:" H "\n");
    look();
    uint64_t first = generation();
    unlink(path);
    assert_false(look());
    assert_false(has("a"));
    assert_int_equal(n_logged, 1);
    assert_non_null(strstr(logged, path));
    assert_non_null(strstr(logged, "No such file or directory"));
    assert_true(look()); /* known, and told of once */
    assert_int_equal(n_logged, 0);

    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(look());
    assert_non_null(strstr(logged, "Is a directory"));
    assert_false(look());
    assert_int_equal(n_logged, 0); /* nor twice */
    rmdir(path);

    write_to(path, "a:" H "\n");
    assert_false(look());
    assert_true(has("a"));
    assert_non_null(strstr(logged, "read, 1 users"));
    assert_int_not_equal(generation(), first);
}

static void too_large(void **state)
{
    (void)state;
    int fd = open(path, O_WRONLY);
    assert_int_equal(ftruncate(fd, AUTH_FILE_MAX), 0);
    assert_false(look());
    assert_null(strstr(logged, "File too large"));
    assert_int_equal(ftruncate(fd, AUTH_FILE_MAX + 1), 0);
    assert_false(look());
    assert_non_null(strstr(logged, "File too large"));
    close(fd);
}

static void lines_that_say_nothing(void **state)
{
    char text[1024] = "a:" H "\n", want[128];

    (void)state;
    for (int i = 0; i < 15; i++)
        strcat(text, "old:rqXexS6ZhobKA\n");
    write_to(path, text);
    look();
    assert_true(has("a"));
    assert_false(has("old"));
    snprintf(want, sizeof(want), "%s:2: old: DES crypt", path);
    assert_non_null(strstr(logged, want));
    assert_null(strstr(logged, "rqXexS6ZhobKA")); /* a password, perhaps */
    snprintf(want, sizeof(want), "%s: and 5 more lines like that", path);
    assert_non_null(strstr(logged, want));
    assert_int_equal(n_logged, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(gone_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_say_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
