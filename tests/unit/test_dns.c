/* fcgi/dns.h: TTLs of messages, and questions that need no name server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "../../fcgi/dns.h"
#include "loop_world.h"

/* An answer with two SRV records, of 300 and of 30 s; their names point to the question's. */
static const uint8_t answer[] = {
    0,    7,   0x81, 0x80, 0,   1,   0,   2, 0, 0,  0, 0, /* 1 question, 2 answers */
    1,    's', 4,    't',  'e', 's', 't', 0, 0, 33, 0, 1, /* s.test SRV IN */
    0xc0, 12,  0,    33,   0,   1,   0,   0, 1, 44, 0, 9, 0,  1, 0, 2, 0, 80, /* 300 s */
    1,    'a', 0,    0xc0, 12,  0,   33,  0, 1, 0,  0, 0, 30, 0, 9, 0, 1, 0,  /* 30 s */
    2,    0,   80,   1,    'b', 0};

static void test_ttl(void **state)
{
    uint8_t copy[sizeof(answer)];

    (void)state;
    assert_int_equal(dns_message_ttl(answer, sizeof(answer)), 30);
    for (size_t n = 0; n < sizeof(answer); n++) { /* cut short, and nothing read behind it */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, answer, n);
        assert_int_equal(dns_message_ttl(cut, n), 0);
        free(cut);
    }
    memcpy(copy, answer, sizeof(copy));
    copy[7] = 1; /* only the first counts */
    assert_int_equal(dns_message_ttl(copy, sizeof(copy)), 300);
    copy[30] = 0x80; /* over 31 bits: RFC 2181 8 */
    assert_int_equal(dns_message_ttl(copy, sizeof(copy)), 0);
    copy[7] = 0;
    assert_int_equal(dns_message_ttl(copy, sizeof(copy)), 0);
}

/* ---- questions ---- */

struct answer {
    bool came;
    const char *error;
    unsigned n, ttl_s;
    struct dns_address first;
};

static void addresses_came(void *arg, const char *error, const struct dns_address *found,
                           unsigned n, unsigned ttl_s)
{
    struct answer *a = arg;

    assert_false(a->came);
    *a = (struct answer){.came = true, .error = error, .n = n, .ttl_s = ttl_s};
    if (n)
        a->first = found[0];
}

static void services_came(void *arg, const char *error, const struct dns_service *found,
                          unsigned n, unsigned ttl_s)
{
    struct answer *a = arg;

    (void)found;
    assert_false(a->came);
    *a = (struct answer){.came = true, .error = error, .n = n, .ttl_s = ttl_s};
}

static bool has_come(void *arg)
{
    return ((struct answer *)arg)->came;
}

/* /etc/hosts, and RFC 6761 6.3. */
static void test_localhost_needs_no_server(void **state)
{
    struct loop *loop = world_loop();
    struct dns *d = dns_new(loop, "127.0.0.1:1");
    struct answer a = {0};
    struct sockaddr_in in;

    (void)state;
    dns_find_addresses(d, "localhost", 9000, addresses_came, &a);
    assert_true(a.came);
    assert_null(a.error);
    assert_true(a.n >= 1);
    assert_int_equal(a.ttl_s, 0);
    memcpy(&in, &a.first.addr, sizeof(in)); /* the port of IPv6 is at the same place */
    assert_int_equal(in.sin_port, htons(9000));
    dns_free(d);
    loop_free(loop);
}

/* Nobody answers at the port: an error comes, in the loop or at once. */
static void test_nobody_there(void **state)
{
    struct loop *loop = world_loop();
    struct dns *d = dns_new(loop, "127.0.0.1:1");
    struct answer a = {0}, b = {0};

    (void)state;
    dns_find_addresses(d, "none.test", 1, addresses_came, &a);
    dns_find_services(d, "_a._tcp.test", services_came, &b);
    assert_true(world_until(loop, has_come, &a) && world_until(loop, has_come, &b));
    assert_string_equal(a.error, "no name server can be reached");
    assert_string_equal(b.error, "no name server can be reached");
    dns_free(d);
    loop_free(loop);
}

/* A name server that says nothing, and a user who does not wait: nobody is told. */
static void test_freed_while_it_asks(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct loop *loop = world_loop();
    struct answer a = {0}, b = {0};
    char servers[32];

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(in.sin_port));
    struct dns *d = dns_new(loop, servers);
    dns_find_addresses(d, "none.test", 1, addresses_came, &a);
    dns_find_services(d, "_a._tcp.test", services_came, &b);
    world_poll(loop);
    dns_free(d);
    assert_false(a.came || b.came);
    close(fd);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_localhost_needs_no_server),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_freed_while_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
