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

/* A path beneath root, and what opening it gives: 0 or an errno. */
struct row {
    const char *rel;
    int want;
};

static void expect_rows(const struct row *rows, size_t n, enum conf_links links)
{
    for (size_t i = 0; i < n; i++) {
        int got = try_open(root, slice_str(rows[i].rel), O_RDONLY, links);
        int path = try_open(root, slice_str(rows[i].rel), O_PATH, links);
        if (got != rows[i].want || path != rows[i].want)
            fail_msg("%s: %d %d", rows[i].rel, got, path);
    }
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

/* ---- links = never, owner ---- */

static void never(void **state)
{
    static const struct row rows[] = {
        {"", 0},
        {"file", 0},
        {"sub/file", 0},
        {"link", EPERM},
        {"within", EPERM},
        {"linkdir/file", EPERM},
        {"linkdir", EPERM},
        {"out/file", EPERM},
        {"self", EPERM},
        {"sub/none", ENOENT},
        {"file/x", ENOENT},
        {"../outside/file", EPERM},
        {"linkdir/", EPERM},
    };
    (void)state;
    expect_rows(rows, sizeof(rows) / sizeof(rows[0]), CONF_LINKS_NEVER);
}

/* Where all is one user's, owner follows as follow does. */
static void owner_follows(void **state)
{
    static const struct row rows[] = {
        {"", 0},
        {"file", 0},
        {"link", 0},
        {"linkdir/file", 0},
        {"linkdir", 0},
        {"linkdir/", 0},
        {"within", 0},
        {"out/file", 0},
        {"out//file", 0},
        {"outfile", 0},
        {"around", 0},
        {"chain/file", 0},
        {"self", EPERM},
        {"self/x", EPERM},
        {"out/none", ENOENT},
        {"dangling", ENOENT},
        {"link/", ENOENT},
        {"link/x", ENOENT},
        {"../outside/file", EPERM},
        {"out/../file", EPERM},
        {"twice/link", 0},
    };
    (void)state;
    assert_int_equal(symlink("out/", in_dir("root/chain")), 0);
    assert_int_equal(symlink("none", in_dir("root/dangling")), 0);
    assert_int_equal(symlink("sub/../linkdir/..", in_dir("root/twice")), 0);
    expect_rows(rows, sizeof(rows) / sizeof(rows[0]), CONF_LINKS_OWNER);
}

/* A link of one user to another's file, and whatever leads over it.  Only root can make one. */
static void owner_differs(void **state)
{
    static const struct row rows[] = {
        {"theirs", EPERM},        {"theirdir/file", EPERM},
        {"theirdir", EPERM},      {"over-theirs", EPERM},
        {"over-dir/file", EPERM}, {"given", 0},
        {"given-dir/file", 0},    {"file", 0},
        {"linkdir/file", 0},
    };
    (void)state;
    if (geteuid() != 0)
        skip();
    put_file("root/his", "his");
    mkdir(in_dir("root/hisdir"), 0755);
    put_file("root/hisdir/file", "his");
    assert_int_equal(symlink("file", in_dir("root/theirs")), 0);
    assert_int_equal(symlink("sub", in_dir("root/theirdir")), 0);
    assert_int_equal(symlink("theirs", in_dir("root/over-theirs")), 0);
    assert_int_equal(symlink("theirdir/../sub", in_dir("root/over-dir")), 0);
    assert_int_equal(symlink("his", in_dir("root/given")), 0);
    assert_int_equal(symlink("hisdir", in_dir("root/given-dir")), 0);
    const char *const of_1[] = {"theirs", "theirdir", "his", "hisdir", "given", "given-dir"};
    char name[64];
    for (size_t i = 0; i < sizeof(of_1) / sizeof(of_1[0]); i++) {
        snprintf(name, sizeof(name), "root/%s", of_1[i]);
        assert_int_equal(lchown(in_dir(name), 1, 1), 0);
    }
    expect_rows(rows, sizeof(rows) / sizeof(rows[0]), CONF_LINKS_OWNER);
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

/* How often the folder was found; fails when it was something else. */
static unsigned open_often(enum conf_links links, unsigned tries)
{
    unsigned n_inside = 0, n_outside = 0;
    char text[16];

    for (unsigned i = 0; i < tries; i++) {
        int fd = beneath_open(root, SLICE("door/file"), O_RDONLY, links);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, text, sizeof(text));
        close(fd);
        if (n == 6 && memcmp(text, "inside", 6) == 0)
            n_inside++;
        else
            n_outside++;
    }
    print_message("links %d: %u of %u opens found the folder\n", (int)links, n_inside, tries);
    return n_outside;
}

static void race(void **state)
{
    pthread_t thread;
    unsigned n_outside = 0;

    (void)state;
    mkdir(in_dir("root/real"), 0755);
    put_file("root/real/file", "inside");
    assert_int_equal(symlink("../outside", in_dir("root/trap")), 0);
    if (geteuid() == 0)
        assert_int_equal(lchown(in_dir("root/trap"), 1, 1), 0);
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
    n_outside += open_often(CONF_LINKS_INSIDE, 20000);
    n_outside += open_often(CONF_LINKS_NEVER, 10000);
    if (geteuid() == 0)
        n_outside += open_often(CONF_LINKS_OWNER, 10000);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(n_outside, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(never),
        cmocka_unit_test(owner_follows),
        cmocka_unit_test(owner_differs),
        cmocka_unit_test(roots),
        cmocka_unit_test(long_names),
        cmocka_unit_test(fifo_does_not_block),
        cmocka_unit_test(race),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
