/* gateway/fdpass.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../gateway/fdpass.h"

static int pair[2];

static int setup(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int next_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void verb_alone(void **state)
{
    int fds[FDPASS_MAX];
    size_t n = 99;
    char verb = 0;

    (void)state;
    assert_int_equal(fdpass_send(pair[0], 'Q', NULL, 0), 0);
    assert_int_equal(fdpass_recv(pair[1], &verb, fds, FDPASS_MAX, &n), 1);
    assert_int_equal(verb, 'Q');
    assert_int_equal(n, 0);
}

static void descriptors_arrive(void **state)
{
    int fds[FDPASS_MAX], p[2];
    size_t n = 0;
    char verb, byte;

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(fdpass_send(pair[0], 'L', p, 2), 0);
    assert_int_equal(fdpass_recv(pair[1], &verb, fds, FDPASS_MAX, &n), 1);
    assert_int_equal(n, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(p[0], &byte, 1), 1);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(p[i]);
    }
}

static void too_many_are_closed(void **state)
{
    int three[] = {0, 1, 2}, one[1];
    size_t n = 0;
    char verb;

    (void)state;
    int before = next_free_fd();
    assert_int_equal(fdpass_send(pair[0], 'L', three, 3), 0);
    assert_int_equal(fdpass_recv(pair[1], &verb, one, 1, &n), 1);
    assert_int_equal(n, 1);
    close(one[0]);
    assert_int_equal(next_free_fd(), before);
    int many[FDPASS_MAX + 1] = {0};
    assert_int_equal(fdpass_send(pair[0], 'L', many, FDPASS_MAX + 1), -1);
}

static void nobody_blocks(void **state)
{
    int fds[FDPASS_MAX], rc;
    size_t n;
    char verb;

    (void)state;
    assert_int_equal(fdpass_recv(pair[1], &verb, fds, FDPASS_MAX, &n), -1);
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; (rc = fdpass_send(pair[0], 'x', NULL, 0)) == 0; i++)
        assert_true(i < 1000000);
    assert_int_equal(errno, EAGAIN);
}

static void the_other_side_gone(void **state)
{
    int fds[FDPASS_MAX];
    size_t n;
    char verb;

    (void)state;
    close(pair[1]);
    assert_int_equal(fdpass_send(pair[0], 'x', NULL, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(fdpass_recv(pair[0], &verb, fds, FDPASS_MAX, &n), 0);
    pair[1] = dup(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(verb_alone),    T(descriptors_arrive),  T(too_many_are_closed),
        T(nobody_blocks), T(the_other_side_gone),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
