#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../gateway/beneath.h"

static char dir[64], root[128];

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static unsigned at;

    at = (at + 1) % 4;
    snprintf(path[at], sizeof(path[0]), "%s/%s", dir, name);
    return path[at];
}

static void put_file(const char *name, const char *text)
{
    int fd = open(in_dir(name), O_CREAT | O_WRONLY, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_beneath.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(root, sizeof(root), "%s/root", dir);
    mkdir(root, 0755);
    mkdir(in_dir("root/sub"), 0755);
    mkdir(in_dir("outside"), 0755);
    put_file("root/file", "inside");
    put_file("root/sub/file", "inside");
    put_file("outside/file", "outside");
    const char *const links[][2] = {
        {"file", "root/link"},
        {"sub", "root/linkdir"},
        {"../outside", "root/out"},
        {"../outside/file", "root/outfile"},
        {"/etc/passwd", "root/abs"},
        {"sub/../../outside/file", "root/around"},
        {"sub/../file", "root/within"},
        {"self", "root/self"},
        {"/proc/self/root", "root/magic"},
    };
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        assert_int_equal(symlink(links[i][0], in_dir(links[i][1])), 0);
    return 0;
}

static int teardown(void **state)
{
    char cmd[128];

    (void)state;
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd);
}

/* 0, or the errno of opening rel. */
static int try_open(const char *at, struct slice rel, int flags, enum conf_links links)
{
    int fd = beneath_open(at, rel, flags, links);

    if (fd < 0)
        return errno;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    return 0;
}

static void table(void **state)
{
    static const struct {
        struct slice rel;
        int inside, follow;
    } rows[] = {
#define ROW(rel, inside, follow) {{rel, sizeof(rel) - 1}, inside, follow}
        ROW("", 0, 0),
        ROW("/", 0, 0),
        ROW("file", 0, 0),
        ROW("/file", 0, 0),
        ROW("//file", 0, 0),
        ROW("sub//file", 0, 0),
        ROW("sub/", 0, 0),
        ROW("link", 0, 0),
        ROW("linkdir/file", 0, 0),
        ROW("within", 0, 0),
        ROW("none", ENOENT, ENOENT),
        ROW("file/", ENOENT, ENOENT),
        ROW("file/x", ENOENT, ENOENT),
        ROW("none/x", ENOENT, ENOENT),
        ROW("out/file", EPERM, 0),
        ROW("out", EPERM, 0),
        ROW("outfile", EPERM, 0),
        ROW("abs", EPERM, 0),
        ROW("around", EPERM, 0),
        ROW("self", EPERM, EPERM),
        ROW("self/x", EPERM, EPERM),
        ROW("file\0", ENOENT, ENOENT),
        ROW("file\0x", ENOENT, ENOENT),
        /* a settled path has none of these; the kernel refuses them anyhow */
        ROW("../outside/file", EPERM, 0),
        ROW("sub/../../outside/file", EPERM, 0),
        ROW("..", EPERM, 0),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int inside = try_open(root, rows[i].rel, O_RDONLY, CONF_LINKS_INSIDE);
        int path = try_open(root, rows[i].rel, O_PATH, CONF_LINKS_INSIDE);
        int follow = try_open(root, rows[i].rel, O_RDONLY, CONF_LINKS_FOLLOW);
        if (inside != rows[i].inside || path != rows[i].inside || follow != rows[i].follow)
            fail_msg("%s: %d %d %d", rows[i].rel.p, inside, path, follow);
    }
}

static void roots(void **state)
{
    char cwd[PATH_MAX];

    (void)state;
    assert_int_equal(try_open("/", SLICE("/etc/passwd"), O_RDONLY, CONF_LINKS_INSIDE), 0);
    assert_int_equal(try_open("/nonexistent", SLICE("x"), O_RDONLY, CONF_LINKS_INSIDE), ENOENT);
    assert_int_equal(try_open(in_dir("root/file"), SLICE("x"), O_RDONLY, CONF_LINKS_INSIDE),
                     ENOENT);
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(try_open("root", SLICE("file"), O_RDONLY, CONF_LINKS_INSIDE), 0);
    assert_int_equal(try_open("./root/", SLICE("file"), O_RDONLY, CONF_LINKS_INSIDE), 0);
    /* what is a link itself is where the administrator wants it to lead */
    assert_int_equal(try_open("root/out", SLICE("file"), O_RDONLY, CONF_LINKS_INSIDE), 0);
    assert_int_equal(chdir(cwd), 0);
}

static void long_names(void **state)
{
    char name[PATH_MAX + 1];

    (void)state;
    memset(name, 'x', sizeof(name));
    assert_int_equal(try_open(root, slice_of(name, 255), O_RDONLY, CONF_LINKS_INSIDE), ENOENT);
    assert_int_equal(try_open(root, slice_of(name, 256), O_RDONLY, CONF_LINKS_INSIDE), ENOENT);
    for (size_t i = 1; i < sizeof(name); i += 2)
        name[i] = '/';
    for (size_t n = PATH_MAX - 2; n <= PATH_MAX + 1; n++)
        assert_int_equal(try_open(root, slice_of(name, n), O_RDONLY, CONF_LINKS_INSIDE),
                         ENOENT);
}

static void fifo_does_not_block(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_dir("root/fifo"), 0644), 0);
    assert_int_equal(try_open(root, SLICE("fifo"), O_RDONLY, CONF_LINKS_INSIDE), 0);
}

/* ---- a folder that is now a folder, now a link that leads outside ---- */

static atomic_bool stop;

static void *swap(void *arg)
{
    char real[256], link[256], at[256];

    (void)arg;
    snprintf(real, sizeof(real), "%s/real", root);
    snprintf(link, sizeof(link), "%s/trap", root);
    snprintf(at, sizeof(at), "%s/door", root);
    while (!atomic_load(&stop)) {
        rename(real, at);
        rename(at, real);
        rename(link, at);
        rename(at, link);
    }
    return NULL;
}

static void race(void **state)
{
    enum { TRIES = 20000 };
    pthread_t thread;
    unsigned n_inside = 0;
    char text[16];

    (void)state;
    mkdir(in_dir("root/real"), 0755);
    put_file("root/real/file", "inside");
    assert_int_equal(symlink("../outside", in_dir("root/trap")), 0);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
    for (unsigned i = 0; i < TRIES; i++) {
        int fd = beneath_open(root, SLICE("door/file"), O_RDONLY, CONF_LINKS_INSIDE);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, text, sizeof(text));
        close(fd);
        if (n != 6 || memcmp(text, "inside", 6) != 0) {
            atomic_store(&stop, true);
            pthread_join(thread, NULL);
            fail_msg("got out at try %u", i);
        }
        n_inside++;
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    print_message("%u of %u opens found the folder\n", n_inside, TRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),      cmocka_unit_test(roots),
        cmocka_unit_test(long_names), cmocka_unit_test(fifo_does_not_block),
        cmocka_unit_test(race),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
