/* gateway/remote.h: who a request comes from, and whose requests are one client's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "../../gateway/conn.h"
#include "../../gateway/remote.h"

static uint64_t key_of(const char *text)
{
    union sockaddr_any a = {0};

    if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1)
        a.sa.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1)
        a.sa.sa_family = AF_INET6;
    else
        a.sa.sa_family = AF_UNIX;
    struct cidr_address address = cidr_address_of(&a.sa);

    return remote_key(&address);
}

static void test_one_client_or_two(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "192.0.3.1", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true}, /* on a socket for both */
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true}, /* one /64 */
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"2001:db8:1:2::1", "3001:db8:1:2::1", false},
        {"0.0.0.0", "unix", false},
        {"unix", "unix", true},
        {"::", "192.0.2.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(key_of(rows[i].a) == key_of(rows[i].b), rows[i].same);
}

static void test_of_a_stream(void **state)
{
    static struct conn c = {.peer_text = "192.0.2.1", .peer_port = 7};
    struct stream s = {.conn = &c};
    struct remote other = {.text = "2001:db8::1", .port = 9};
    struct cidr_address a;

    (void)state;
    c.peer.in.sin_family = AF_INET;
    c.peer.in.sin_addr.s_addr = htonl(0xc0000201);
    assert_string_equal(remote_text(&s), "192.0.2.1");
    assert_int_equal(remote_port(&s), 7);
    a = remote_address(&s);
    assert_int_equal(a.family, CIDR_V4);
    assert_true(cidr_address_parse(SLICE("2001:db8::1"), &other.address));
    s.remote = &other;
    assert_string_equal(remote_text(&s), "2001:db8::1");
    assert_int_equal(remote_port(&s), 9);
    a = remote_address(&s);
    assert_memory_equal(&a, &other.address, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_client_or_two),
        cmocka_unit_test(test_of_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
