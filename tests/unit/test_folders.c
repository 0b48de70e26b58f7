/* gateway/folders.c: made, refused, removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../gateway/folders.h"

static char dir[48], run[64], spool[64], errors[512];
static struct identity self;

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_folders.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(run, sizeof run, "%s/a/b/run", dir);
    snprintf(spool, sizeof spool, "%s/a/spool", dir);
    self = (struct identity){.uid = geteuid(), .gid = getegid(), .name = "me"};
    return 0;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static int make(struct folders *f)
{
    FILE *out = fmemopen(errors, sizeof errors, "w");

    assert_non_null(out);
    int rc = folders_make(run, spool, &self, f, out);
    fclose(out);
    return rc;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void made_with_their_modes_and_removed(void **state)
{
    mode_t old = umask(077);
    struct folders f;

    (void)state;
    assert_int_equal(make(&f), 0);
    umask(old);
    assert_true(f.made_runtime && f.made_spool);
    assert_int_equal(mode_of(run), geteuid() == 0 ? 0711 : 0700);
    assert_int_equal(mode_of(spool), 0700);
    folders_remove(run, spool, &f);
    assert_int_equal(access(run, F_OK), -1);
    assert_int_equal(access(spool, F_OK), -1);
}

static void existing_ones_stay(void **state)
{
    struct folders f, again;

    (void)state;
    assert_int_equal(make(&f), 0);
    assert_int_equal(make(&again), 0);
    assert_false(again.made_runtime || again.made_spool);
    folders_remove(run, spool, &again);
    assert_int_equal(access(run, F_OK), 0);
}

static void full_folder_is_not_removed(void **state)
{
    struct folders f;
    char file[80];

    (void)state;
    assert_int_equal(make(&f), 0);
    snprintf(file, sizeof file, "%s/somebody's", run);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    folders_remove(run, spool, &f);
    assert_int_equal(access(file, F_OK), 0);
}

static void runtime_dir_others_may_write(void **state)
{
    static const mode_t bad[] = {0777, 0770, 01777};
    struct folders f;

    (void)state;
    assert_int_equal(make(&f), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chmod(run, bad[i]), 0);
        assert_int_equal(make(&f), -1);
        assert_non_null(strstr(errors, "others may write there"));
    }
}

static void runtime_dir_is_a_link_or_file(void **state)
{
    struct folders f;

    (void)state;
    snprintf(run, sizeof run, "%s/link", dir);
    assert_int_equal(symlink("/tmp", run), 0);
    assert_int_equal(make(&f), -1);
    assert_non_null(strstr(errors, "runtime_dir"));
    assert_non_null(strstr(errors, "not a folder"));
    unlink(run);
    close(open(run, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(make(&f), -1);
}

/* The gateway's user is another one than the owner of the folder. */
static void spool_dir_not_writable_for_the_user(void **state)
{
    struct folders f;

    (void)state;
    self.uid = 12345;
    self.gid = 12345;
    snprintf(spool, sizeof spool, "%s/given", dir);
    assert_int_equal(mkdir(spool, 0755), 0);
    assert_int_equal(make(&f), -1);
    assert_non_null(strstr(errors, "spool_dir"));
    assert_non_null(strstr(errors, "may not write"));
    assert_int_equal(access(run, F_OK), -1); /* taken back */
    assert_int_equal(chmod(spool, 01777), 0);
    assert_int_equal(make(&f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(made_with_their_modes_and_removed), T(existing_ones_stay),
        T(full_folder_is_not_removed),        T(runtime_dir_others_may_write),
        T(runtime_dir_is_a_link_or_file),     T(spool_dir_not_writable_for_the_user),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
