/* gateway/conn_file.h: pieces of files on their way to a socket, also where sendfile() fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/conn_file.h"
#include "../../gateway/err.h"

enum { SIZE = 300 * 1000, PAST = 1 << 20 };

/* The kernel's, or what a file system says that has none; each second call is interrupted. */
static int refuses;
static bool interrupts;
static unsigned n_calls;

ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t n)
{
    bool even = n_calls++ % 2 == 0;

    if (refuses || (interrupts && even)) {
        errno = refuses ? refuses : EINTR;
        return -1;
    }
    return syscall(SYS_sendfile, out_fd, in_fd, offset, n);
}

static struct open_file file = {.fd = -1};
static char content[SIZE], got[SIZE];
static int pair[2];

static int temporary(void)
{
    char name[] = "/tmp/test_conn_file.XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

static int make(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (char)(i * 7 + i / 251);
    file.fd = temporary();
    return write(file.fd, content, SIZE) == SIZE ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    return close(file.fd);
}

static void pair_open(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void pair_close(void)
{
    close(pair[0]);
    close(pair[1]);
}

/* What came at the other end, behind what is in got already. */
static size_t receive(size_t have)
{
    ssize_t n;

    while ((n = recv(pair[1], got + have, SIZE - have, 0)) > 0)
        have += (size_t)n;
    return have;
}

static void send_all(int64_t at, size_t n)
{
    struct file_piece p = {&file, at, n};
    size_t have = 0;

    pair_open();
    while (p.n) {
        size_t taken;
        int err = 0;
        enum piece_sent sent = file_piece_send(pair[0], &p, &taken, &err);
        assert_true(sent == PIECE_SENT || sent == PIECE_BLOCKED);
        assert_true(taken <= p.n && (sent == PIECE_SENT) == (taken == p.n));
        p.at += (int64_t)taken;
        p.n -= taken;
        size_t before = have;
        have = receive(have);
        assert_true(sent == PIECE_SENT || have > before);
    }
    assert_int_equal(receive(have), n);
    assert_memory_equal(got, content + at, n);
    pair_close();
}

static const int refusals[] = {0, EINVAL, ENOSYS};

static void test_all_is_sent(void **state)
{
    static const struct {
        int64_t at;
        size_t n;
    } rows[] = {{0, 1}, {0, SIZE}, {1, SIZE - 1}, {4095, 4098}, {SIZE - 1, 1}};

    (void)state;
    for (size_t i = 0; i < 3 * sizeof(rows) / sizeof(rows[0]); i++) {
        refuses = refusals[i % 3];
        interrupts = i % 2;
        send_all(rows[i / 3].at, rows[i / 3].n);
    }
    interrupts = false;
}

static void check(const struct file_piece *p, enum piece_sent want, int want_err, size_t want_n)
{
    size_t n = PAST;
    int err = 0;

    assert_int_equal(file_piece_send(pair[0], p, &n, &err), want);
    assert_int_equal(err, want_err);
    assert_int_equal(n, want_n);
}

static void test_what_fails(void **state)
{
    struct open_file closed = {.fd = open("/", O_RDONLY | O_CLOEXEC)}; /* no bytes to be read */
    const struct file_piece past = {&file, SIZE - 10, 20}, gone = {&file, PAST, 1},
                            folder = {&closed, 0, 10}, whole = {&file, 0, 10};

    (void)state;
    assert_true(closed.fd >= 0);
    for (size_t i = 0; i < 3; i++) {
        refuses = refusals[i];
        pair_open();
        check(&past, PIECE_FILE, GW_EFILE_SHORT, 10);
        check(&gone, PIECE_FILE, GW_EFILE_SHORT, 0);
        check(&folder, PIECE_FILE, GW_EFILE, 0);
        close(pair[1]);
        pair[1] = -1;
        check(&whole, PIECE_BROKEN, 0, 0);
        close(pair[0]);
    }
    refuses = EIO;
    pair_open();
    check(&whole, PIECE_FILE, GW_EFILE, 0);
    pair_close();
    refuses = 0;
    close(closed.fd);
}

static void test_warm(void **state)
{
    struct file_piece p = {&file, 4000, SIZE - 4000};

    (void)state;
    file_piece_warm(&p);
    assert_true(file_piece_is_warm(&p, 5000));
    p.n += 4096 * 3; /* beyond the end there is nothing */
    assert_false(file_piece_is_warm(&p, 5000));
}

/* What is behind the end is not in the cache, either: so a piece goes. */
static void test_warm_is_remembered_for_a_moment(void **state)
{
    enum { LARGE = 3 * FILE_PIECE + 5000, LAST = 64 };
    struct open_file f = {.fd = temporary(), .st.st_size = LARGE};
    const struct file_piece second = {&f, FILE_PIECE, FILE_PIECE},
                            part = {&f, FILE_PIECE + 10, FILE_PIECE - 10},
                            third = {&f, 2 * FILE_PIECE, FILE_PIECE},
                            part_of_third = {&f, 2 * FILE_PIECE, FILE_PIECE - 1},
                            rest = {&f, 3 * FILE_PIECE, 5000},
                            far = {&f, (int64_t)LAST * FILE_PIECE, FILE_PIECE};

    (void)state;
    assert_int_equal(ftruncate(f.fd, LARGE), 0);
    for (int64_t at = 0; at < LARGE; at += 4096) /* pages, not holes */
        assert_int_equal(pwrite(f.fd, "x", 1, at), 1);
    assert_true(file_piece_is_warm(&second, 7000));
    assert_true(file_piece_is_warm(&part_of_third, 7000));
    assert_true(file_piece_is_warm(&rest, 7040));
    assert_int_equal(ftruncate(f.fd, 0), 0);
    assert_true(file_piece_is_warm(&second, 7099));
    assert_true(file_piece_is_warm(&part, 7099));
    assert_true(file_piece_is_warm(&rest, 7099));
    assert_false(file_piece_is_warm(&third, 7099)); /* a part of it was there */
    assert_false(file_piece_is_warm(&second, 7100));
    assert_false(file_piece_is_warm(&rest, 7100));

    f.st.st_size = (int64_t)(LAST + 1) * FILE_PIECE;
    assert_int_equal(ftruncate(f.fd, f.st.st_size), 0);
    for (int64_t at = far.at; at < f.st.st_size; at += 4096)
        assert_int_equal(pwrite(f.fd, "x", 1, at), 1);
    assert_true(file_piece_is_warm(&far, 9000));
    assert_int_equal(ftruncate(f.fd, 0), 0);
    assert_false(file_piece_is_warm(&far, 9000)); /* none so far behind is remembered */
    close(f.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_sent),
        cmocka_unit_test(test_what_fails),
        cmocka_unit_test(test_warm),
        cmocka_unit_test(test_warm_is_remembered_for_a_moment),
    };

    signal(SIGPIPE, SIG_IGN); /* as the gateway does */
    return cmocka_run_group_tests(tests, make, drop);
}
