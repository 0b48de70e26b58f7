/* gateway/listen.c, congestion.c and unixsock.c: what is bound, what is refused, what is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../gateway/congestion.h"
#include "../../gateway/listen.h"
#include "../../gateway/unixsock.h"

static char dir[32], sock[64], unix_address[80];
static char errors[512];
static const char *wanted; /* congestion_control */

static int setup(void **state)
{
    (void)state;
    wanted = "auto";
    strcpy(dir, "/tmp/test_listen.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(sock, sizeof sock, "%s/sock", dir);
    snprintf(unix_address, sizeof unix_address, "unix:%s", sock);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(sock);
    return rmdir(dir);
}

static int open_addresses(const char **addresses, unsigned n, struct listeners *l)
{
    struct conf_listen section = {
        .name = "here", .addresses = addresses, .n_addresses = n, .congestion_control = wanted};
    struct conf conf = {.listens = &section, .n_listens = 1};
    FILE *f = fmemopen(errors, sizeof errors, "w");

    assert_non_null(f);
    int rc = listeners_open(&conf, l, f);
    fclose(f);
    return rc;
}

static void free_port_is_named(void **state)
{
    const char *addresses[] = {"127.0.0.1:0", "[::1]:0"};
    struct listeners l;
    char url[128];

    (void)state;
    assert_int_equal(open_addresses(addresses, 1, &l), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(strncmp(l.all[0].address, "127.0.0.1:", 10), 0);
    assert_string_not_equal(l.all[0].address, "127.0.0.1:0");
    assert_true(fcntl(l.all[0].fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(l.all[0].fd, F_GETFD) & FD_CLOEXEC);
    listener_url(&l.all[0], url, sizeof url);
    assert_int_equal(strncmp(url, "http://127.0.0.1:", 17), 0);
    listeners_close(&l, true);
    if (open_addresses(addresses, 2, &l) == 0) { /* a machine without IPv6 refuses */
        assert_int_equal(strncmp(l.all[1].address, "[::1]:", 6), 0);
        listeners_close(&l, true);
    }
}

/* Both families, and not one socket for both. */
static void star_means_both_families(void **state)
{
    const char *addresses[] = {"*:0"};
    struct listeners l;
    int v6only = 0;
    socklen_t len = sizeof v6only;

    (void)state;
    assert_int_equal(open_addresses(addresses, 1, &l), 0);
    assert_int_equal(strncmp(l.all[0].address, "0.0.0.0:", 8), 0);
    if (l.n == 2) {
        assert_int_equal(strncmp(l.all[1].address, "[::]:", 5), 0);
        assert_int_equal(getsockopt(l.all[1].fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len), 0);
        assert_int_equal(v6only, 1);
    }
    listeners_close(&l, true);
}

static void taken_port_names_section_and_address(void **state)
{
    const char *first[] = {"127.0.0.1:0"};
    struct listeners a, b;

    (void)state;
    assert_int_equal(open_addresses(first, 1, &a), 0);
    const char *second[] = {unix_address, a.all[0].address};
    assert_int_equal(open_addresses(second, 2, &b), -1);
    assert_non_null(strstr(errors, "[listen here] address 127.0.0.1:"));
    assert_non_null(strstr(errors, "in use"));
    assert_int_equal(access(sock, F_OK), -1); /* the one before it was taken back */
    listeners_close(&a, true);
}

static void address_of_another_machine(void **state)
{
    const char *addresses[] = {"192.0.2.1:0"};
    struct listeners l;

    (void)state;
    assert_int_equal(open_addresses(addresses, 1, &l), -1);
    assert_non_null(strstr(errors, "192.0.2.1:0: Cannot assign requested address"));
}

static void unix_socket_is_open_to_all(void **state)
{
    const char *addresses[] = {unix_address};
    struct listeners l;
    struct stat st;
    char url[128];

    (void)state;
    assert_int_equal(open_addresses(addresses, 1, &l), 0);
    assert_int_equal(stat(sock, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_true(fcntl(l.all[0].fd, F_GETFL) & O_NONBLOCK);
    listener_url(&l.all[0], url, sizeof url);
    assert_non_null(strstr(url, "/sock (http)"));
    listeners_close(&l, false);
    assert_int_equal(access(sock, F_OK), 0);
    assert_int_equal(open_addresses(addresses, 1, &l), 0); /* stale by now */
    listeners_close(&l, true);
    assert_int_equal(access(sock, F_OK), -1);
}

static void living_socket_stays(void **state)
{
    (void)state;
    int fd = unixsock_listen(sock, 0600, (uid_t)-1, (gid_t)-1, 1);
    assert_true(fd >= 0);
    assert_int_equal(unixsock_listen(sock, 0600, (uid_t)-1, (gid_t)-1, 1), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
}

static void file_in_the_way_stays(void **state)
{
    (void)state;
    close(open(sock, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(unixsock_listen(sock, 0600, (uid_t)-1, (gid_t)-1, 1), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(sock, F_OK), 0);
}

static void mode_is_exact_and_umask_untouched(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666};
    mode_t old = umask(027);
    struct stat st;

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int fd = unixsock_listen(sock, modes[i], getuid(), getgid(), 1);
        assert_true(fd >= 0);
        assert_int_equal(stat(sock, &st), 0);
        assert_int_equal(st.st_mode & 0777, modes[i]);
        close(fd);
        unlink(sock);
    }
    assert_int_equal(umask(old), 027);
}

static void path_too_long(void **state)
{
    char path[200];

    (void)state;
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    assert_int_equal(unixsock_listen(path, 0600, (uid_t)-1, (gid_t)-1, 1), -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

static const char *congestion_of(int fd)
{
    static char name[16];
    socklen_t len = sizeof name;

    memset(name, 0, sizeof name);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
    return name;
}

static void congestion_by_name(void **state)
{
    const char *addresses[] = {"127.0.0.1:0", unix_address};
    struct listeners l;

    (void)state;
    wanted = "reno";
    assert_int_equal(open_addresses(addresses, 2, &l), 0);
    assert_string_equal(congestion_of(l.all[0].fd), "reno");
    listeners_close(&l, true);
    wanted = "no-such";
    assert_int_equal(open_addresses(addresses, 1, &l), -1);
    assert_non_null(strstr(errors, "h2cgi: [listen here] congestion_control = no-such: "));
    assert_non_null(strstr(errors, "reno")); /* what there is */
}

/* The system's, whatever that is; but on the loopback no bbr. */
static void congestion_by_address(void **state)
{
    static const struct {
        const char *value, *address;
        bool inside;
    } rows[] = {
        {"auto", "*:0", false},
        {"auto", "127.0.0.1:0", true},
        {"auto", "127.1.2.3:0", true},
        {"system", "127.0.0.1:0", false},
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char has[16];

    (void)state;
    snprintf(has, sizeof has, "%s", congestion_of(fd));
    close(fd);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *address = rows[i].address;
        bool changes = rows[i].inside && strncmp(has, "bbr", 3) == 0;
        struct listeners l;
        wanted = rows[i].value;
        assert_int_equal(open_addresses(&address, 1, &l), 0);
        assert_string_equal(congestion_of(l.all[0].fd), changes ? "reno" : has);
        listeners_close(&l, true);
    }
}

/* Whatever the system has: a socket with bbr, one with another. */
static void congestion_is_spared(void **state)
{
    static const struct {
        const char *has, *address, *gets;
    } rows[] = {
        {"bbr", "127.0.0.1", "reno"},
        {"bbr", "127.255.0.9", "reno"},
        {"bbr", "::1", "reno"},
        {"bbr", "192.0.2.1", "bbr"},
        {"bbr", "2001:db8::1", "bbr"},
        {"bbr", "0.0.0.0", "bbr"},
        {"bbr", "::", "bbr"},
        {"reno", "127.0.0.1", "reno"},
        {"cubic", "127.0.0.1", "cubic"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        bool v4 = inet_pton(AF_INET, rows[i].address, &in.sin_addr) == 1;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(v4 || inet_pton(AF_INET6, rows[i].address, &in6.sin6_addr) == 1);
        /* there are kernels without some */
        if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, rows[i].has,
                       (socklen_t)strlen(rows[i].has)) == 0) {
            congestion_spare(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6);
            assert_string_equal(congestion_of(fd), rows[i].gets);
        }
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(free_port_is_named),
        T(star_means_both_families),
        T(taken_port_names_section_and_address),
        T(address_of_another_machine),
        T(unix_socket_is_open_to_all),
        T(living_socket_stays),
        T(file_in_the_way_stays),
        T(mode_is_exact_and_umask_untouched),
        T(path_too_long),
        T(congestion_by_name),
        T(congestion_by_address),
        T(congestion_is_spared),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
