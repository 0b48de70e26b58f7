/* The loop is played by this test: its turns and its clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/file_cache.h"

static uint64_t now_ms, turn_no;

uint64_t loop_now_ms(const struct loop *l)
{
    (void)l;
    return now_ms;
}

uint64_t loop_turn_no(const struct loop *l)
{
    (void)l;
    return turn_no;
}

void loop_assert_owner(const struct loop *l)
{
    (void)l;
}

enum { N_FILES = 4, VALID_MS = 1000 };

static char root[] = "/tmp/h2cgi-cache-XXXXXX", command[128];
static struct file_cache *fc;

static void run(const char *what)
{
    (void)snprintf(command, sizeof(command), "cd %s && %s", root, what);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    const struct file_cache_limits limits = {
        .n_files = N_FILES, .valid_ms = VALID_MS, .memory = 64 * 1024};

    (void)state;
    memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(root));
    fc = file_cache_new(NULL, &limits);
    assert_non_null(fc);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_cache_free(fc);
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

static void next_turn(uint64_t ms)
{
    turn_no++;
    now_ms += ms;
}

static struct open_file *ask(const char *path)
{
    return file_cache_open(fc, root, slice_str(path), CONF_LINKS_INSIDE);
}

/* What path is there, as a number that is the same as long as nothing was opened anew. */
static const void *what(const char *path)
{
    struct open_file *f = ask(path);

    open_file_unref(f);
    return f;
}

static unsigned n_open(void)
{
    unsigned n = 0;

    for (int fd = 3; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_kept(void **state)
{
    (void)state;
    run("echo one > a");
    unsigned before = n_open();
    struct open_file *f = ask("a");
    assert_non_null(f);
    assert_int_equal(n_open(), before + 1);
    for (int i = 0; i < 10; i++) {
        next_turn(300); /* over VALID_MS, too: the path is walked, and leads to the same */
        assert_ptr_equal(what("a"), f);
    }
    assert_int_equal(n_open(), before + 1);
    open_file_unref(f);
}

static void test_file_that_changes(void **state)
{
    static const char *const changes[] = {
        "echo more >> a",
        "echo two > a",
        "echo two > b && mv b a",
        "chmod 600 a",
        "ln a c && rm a && echo two > a", /* nothing is written to it, and it is not gone */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        run("rm -f a b c && echo one > a");
        next_turn(0);
        struct open_file *f = ask("a");
        assert_non_null(f);
        run(changes[i]);
        assert_ptr_equal(what("a"), f); /* within the turn it is what it was */
        next_turn(0);
        struct open_file *g = ask("a");
        assert_non_null(g);
        assert_ptr_not_equal(f, g);
        open_file_unref(f);
        open_file_unref(g);
    }
    run("rm a");
    next_turn(0);
    assert_null(ask("a"));
    assert_int_equal(errno, ENOENT);
}

static void test_path_that_changes(void **state)
{
    (void)state;
    run("mkdir one two && echo 1 > one/a && echo 22 > two/a && ln -s one now");
    struct open_file *f = ask("now/a");
    assert_int_equal(f->st.st_size, 2);
    run("ln -sfn two now");
    next_turn(VALID_MS - 1);
    assert_ptr_equal(what("now/a"), f);
    next_turn(1);
    struct open_file *g = ask("now/a");
    assert_int_equal(g->st.st_size, 3);
    open_file_unref(f);
    open_file_unref(g);
}

static void test_link_that_leads_out(void **state)
{
    (void)state;
    run("mkdir in && echo 1 > in/passwd");
    open_file_unref(ask("in/passwd"));
    run("rm -r in && ln -s /etc in");
    next_turn(VALID_MS);
    assert_null(ask("in/passwd"));
    assert_int_equal(errno, EPERM);
    /* nor does one policy's answer serve the other */
    struct open_file *f = file_cache_open(fc, root, SLICE("in/passwd"), CONF_LINKS_FOLLOW);
    assert_non_null(f);
    open_file_unref(f);
    assert_null(ask("in/passwd"));
}

static void test_nothing_there(void **state)
{
    (void)state;
    assert_null(ask("new"));
    assert_int_equal(errno, ENOENT);
    run("echo 1 > new");
    assert_null(ask("new"));
    assert_int_equal(errno, ENOENT);
    next_turn(0);
    assert_non_null(what("new"));
}

static void test_bounds(void **state)
{
    char name[16];

    (void)state;
    run("for i in 0 1 2 3 4 5 6 7; do echo $i > f$i; done");
    unsigned before = n_open();
    const void *first = what("f0");
    for (int i = 1; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        assert_non_null(what(name));
        assert_ptr_equal(what("f0"), first); /* used all the time */
    }
    assert_int_equal(n_open(), before + N_FILES);
    for (int i = 0; i < 1000; i++) { /* names that clients make up drive nothing out */
        (void)snprintf(name, sizeof(name), "no%d", i);
        assert_null(what(name));
    }
    assert_int_equal(n_open(), before + N_FILES);
    assert_ptr_equal(what("f0"), first);
    file_cache_free(fc);
    fc = NULL;
    assert_int_equal(n_open(), before);
}

static void test_bytes(void **state)
{
    uint8_t bytes[FILE_CACHE_BYTES_MAX];

    (void)state;
    run("echo one > a");
    struct open_file *f = ask("a");
    file_cache_keep(fc, f, (const uint8_t *)"one\n", 4);
    assert_null(file_cache_bytes(f)); /* it may be written again in the same tick */
    open_file_unref(f);

    f = file_cache_open(fc, "/", SLICE("/etc/hostname"), CONF_LINKS_FOLLOW);
    assert_non_null(f);
    ssize_t n = pread(f->fd, bytes, sizeof(bytes), 0);
    assert_int_equal(n, f->st.st_size);
    file_cache_keep(fc, f, bytes, (size_t)n - 1);
    assert_null(file_cache_bytes(f)); /* not all of it */
    file_cache_keep(fc, f, bytes, (size_t)n);
    assert_memory_equal(file_cache_bytes(f), bytes, (size_t)n);
    file_cache_free(fc);
    fc = NULL;
    assert_memory_equal(file_cache_bytes(f), bytes, (size_t)n); /* an answer still has it */
    open_file_unref(f);
}

static void test_off(void **state)
{
    struct file_cache_limits none = {.valid_ms = VALID_MS};

    (void)state;
    assert_null(file_cache_new(NULL, &none));
    run("echo one > a");
    unsigned before = n_open();
    struct open_file *f = file_cache_open(NULL, root, SLICE("a"), CONF_LINKS_INSIDE);
    file_cache_keep(NULL, f, (const uint8_t *)"one\n", 4);
    assert_null(file_cache_bytes(f));
    open_file_unref(f);
    assert_int_equal(n_open(), before);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_kept),
        T(test_file_that_changes),
        T(test_path_that_changes),
        T(test_bytes),
        T(test_link_that_leads_out),
        T(test_nothing_there),
        T(test_bounds),
        T(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
