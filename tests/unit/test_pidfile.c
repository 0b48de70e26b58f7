/* gateway/pidfile.c: one holder, stale files, who holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../gateway/pidfile.h"

static char dir[32], path[48];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_pidfile.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/pid", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* A child that holds the file until it is killed. */
static pid_t other_holder(void)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t holder;
        int fd = pidfile_take(path, &holder);
        _exit(fd < 0 || write(ready[1], "x", 1) != 1 ? 1 : (pause(), 0));
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void text_is_the_pid(void **state)
{
    char text[32] = "", wanted[32];
    pid_t holder = 0;

    (void)state;
    int fd = pidfile_take(path, &holder);
    assert_true(fd >= 0);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    snprintf(wanted, sizeof wanted, "%ld\n", (long)getpid());
    assert_string_equal(text, wanted);
    pidfile_drop(path, fd);
    assert_int_equal(access(path, F_OK), -1);
}

static void second_one_is_told_who(void **state)
{
    pid_t holder = 0, other = other_holder();

    (void)state;
    assert_int_equal(pidfile_take(path, &holder), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    assert_int_equal(holder, other);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

static void stale_file_is_taken_over(void **state)
{
    pid_t holder = 0, other = other_holder();
    int pidfd = -1;

    (void)state;
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(pidfile_holder(path, &pidfd), 0);
    int fd = pidfile_take(path, &holder);
    assert_true(fd >= 0);
    pidfile_drop(path, fd);
}

static void holder_is_found_and_signalled(void **state)
{
    pid_t other = other_holder();
    int pidfd = -1;

    (void)state;
    assert_int_equal(pidfile_holder(path, &pidfd), other);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    kill(other, SIGTERM);
    assert_int_equal(poll(&p, 1, 10000), 1);
    close(pidfd);
    waitpid(other, NULL, 0);
}

static void no_file_no_holder(void **state)
{
    int pidfd = -1;

    (void)state;
    assert_int_equal(pidfile_holder(path, &pidfd), 0);
    assert_int_equal(pidfd, -1);
}

static void link_is_not_followed(void **state)
{
    pid_t holder = 0;

    (void)state;
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(pidfile_take(path, &holder), -1);
    assert_int_equal(errno, ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(text_is_the_pid),   T(second_one_is_told_who), T(stale_file_is_taken_over),
        T(no_file_no_holder), T(link_is_not_followed),   T(holder_is_found_and_signalled),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
