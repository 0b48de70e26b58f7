/* fcgi/address.h: addresses as the INI writes them. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "../../fcgi/address.h"

static void test_unix(void **state)
{
    struct sockaddr_storage a;
    struct sockaddr_un un;
    socklen_t len = 0;
    char longest[5 + 108 + 1] = "unix:";

    (void)state;
    assert_int_equal(address_parse("unix:/run/a.sock", &a, &len), 0);
    assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 12);
    memcpy(&un, &a, sizeof(un));
    assert_int_equal(un.sun_family, AF_UNIX);
    assert_string_equal(un.sun_path, "/run/a.sock");

    memset(longest + 5, 'x', 107);
    longest[5 + 107] = '\0';
    assert_int_equal(address_parse(longest, &a, &len), 0);
    memcpy(&un, &a, sizeof(un));
    assert_int_equal(strlen(un.sun_path), 107);
    longest[5 + 107] = 'x';
    longest[5 + 108] = '\0';
    assert_int_equal(address_parse(longest, &a, &len), -1);
    assert_int_equal(address_parse("unix:", &a, &len), -1);
}

static void test_inet(void **state)
{
    static const struct {
        const char *text, *address;
        int family;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:9000", "127.0.0.1", AF_INET, 9000},
        {"127.0.0.1:1", "127.0.0.1", AF_INET, 1},
        {"127.0.0.1:65535", "127.0.0.1", AF_INET, 65535},
        {"[::1]:9000", "::1", AF_INET6, 9000},
        {"[2001:db8::5]:80", "2001:db8::5", AF_INET6, 80},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_storage a;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        socklen_t len = 0;
        char text[INET6_ADDRSTRLEN];
        assert_int_equal(address_parse(rows[i].text, &a, &len), 0);
        assert_int_equal(a.ss_family, rows[i].family);
        memcpy(&in, &a, sizeof(in));
        memcpy(&in6, &a, sizeof(in6));
        bool six = rows[i].family == AF_INET6;
        assert_int_equal(len, six ? sizeof(in6) : sizeof(in));
        assert_int_equal(ntohs(six ? in6.sin6_port : in.sin_port), rows[i].port);
        assert_non_null(inet_ntop(rows[i].family,
                                  six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr, text,
                                  sizeof(text)));
        assert_string_equal(text, rows[i].address);
    }
}

static void test_not_addresses(void **state)
{
    /* Ports were looked at before: conf/syntax.c. */
    static const char *const rows[] = {
        "", "host", ":80", "[]:80", "[::1]", "[::1", "127.0.0.1", "127.0.0.1:x y",
    };
    char name[400];
    struct sockaddr_storage a;
    socklen_t len = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (address_parse(rows[i], &a, &len) != -1)
            fail_msg("\"%s\" was taken", rows[i]);
    }
    memset(name, 'a', sizeof(name));
    memcpy(name + 300, ":80", 4); /* longer than any name */
    assert_int_equal(address_parse(name, &a, &len), -1);
    assert_int_equal(len, 77); /* untouched on failure */
}

static void test_names(void **state)
{
    static const struct {
        const char *text, *host; /* NULL: not to be split */
        uint16_t port;
        bool is_name;
    } rows[] = {
        {"app.example.org:9000", "app.example.org", 9000, true},
        {"localhost:1", "localhost", 1, true},
        {"10.0.0.7:9000", "10.0.0.7", 9000, false},
        {"[::1]:65535", "::1", 65535, false},
        {"srv:_fcgi._tcp.x", NULL, 0, true},
        {"unix:/run/a:1", NULL, 0, false},
        {"x:65536", NULL, 0, true},
        {":1", NULL, 0, true},
    };
    char host[ADDRESS_HOST];
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(address_is_name(rows[i].text), rows[i].is_name);
        if (strncmp(rows[i].text, "unix:", 5) == 0)
            continue;
        assert_int_equal(address_split(rows[i].text, host, &port), rows[i].host ? 0 : -1);
        if (!rows[i].host)
            continue;
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_inet),
        cmocka_unit_test(test_not_addresses),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
