/* gateway/forward_asker.c: whose request it is, for the turns of a pool's queue. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "../../gateway/conn.h"
#include "../../gateway/forward.h"

static uint64_t key_of(const char *text)
{
    union sockaddr_any a = {0};

    if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1)
        a.sa.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1)
        a.sa.sa_family = AF_INET6;
    else
        a.sa.sa_family = AF_UNIX;
    return client_key(&a);
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

/* Another port is no other client. */
static void test_ports(void **state)
{
    union sockaddr_any a = {.in = {.sin_family = AF_INET, .sin_port = 1}}, b = a;

    (void)state;
    b.in.sin_port = 2;
    assert_int_equal(client_key(&a), client_key(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_client_or_two),
        cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
