/* fcgi/endpoints.h: names, shares by SRV records, and what changes between two sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "../../fcgi/endpoints.h"

static struct sockaddr_storage address(const char *ip, uint16_t port, socklen_t *ret_len)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool six = strchr(ip, ':');

    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, ip,
                               six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr),
                     1);
    if (six)
        memcpy(&a, &in6, sizeof(in6));
    else
        memcpy(&a, &in, sizeof(in));
    *ret_len = six ? sizeof(in6) : sizeof(in);
    return a;
}

static void put(struct endpoints *e, const char *host, const char *ip, uint16_t port,
                struct endpoint like)
{
    socklen_t len;
    struct sockaddr_storage a = address(ip, port, &len);

    assert_int_equal(endpoints_add(e, host, &a, len, &like), 0);
}

static void test_names(void **state)
{
    struct endpoints e = {0};
    struct endpoint like = {.weight = 3, .backup = true};

    (void)state;
    put(&e, "a.test", "192.0.2.1", 9000, like);
    put(&e, "a.test", "2001:db8::1", 9000, like);
    put(&e, "a.test", "192.0.2.1", 9000, like); /* the same */
    put(&e, "a.test", "192.0.2.1", 9001, like);
    put(&e, "b.test", "192.0.2.1", 9000, like);
    assert_int_equal(e.n, 4);
    assert_string_equal(e.list[0].name, "a.test/192.0.2.1:9000");
    assert_string_equal(e.list[1].name, "a.test/[2001:db8::1]:9000");
    assert_string_equal(e.list[2].name, "a.test/192.0.2.1:9001");
    assert_string_equal(e.list[3].name, "b.test/192.0.2.1:9000");
    for (unsigned i = 0; i < e.n; i++)
        assert_true(e.list[i].weight == 3 && e.list[i].backup);
    endpoints_fini(&e);
    assert_int_equal(e.n, 0);
}

static void test_most(void **state)
{
    struct endpoints e = {0};
    char ip[16];

    (void)state;
    for (unsigned i = 0; i < ENDPOINTS_MAX + 10; i++) {
        (void)snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 256, i % 256);
        put(&e, "a", ip, 1, (struct endpoint){0});
    }
    assert_int_equal(e.n, ENDPOINTS_MAX);
    endpoints_fini(&e);
}

static void test_longest_name(void **state)
{
    char host[300];
    struct endpoints e = {0};

    (void)state;
    memset(host, 'a', sizeof(host));
    host[255] = '\0';
    put(&e, host, "1111:2222:3333:4444:5555:6666:7777:8888", 65535, (struct endpoint){0});
    assert_int_equal(strlen(e.list[0].name), 255 + 1 + 41 + 6);
    endpoints_fini(&e);
}

/* ---- RFC 2782 ---- */

static void test_rank(void **state)
{
    static const struct {
        unsigned target;
        uint16_t priority, srv_weight;
        bool backup; /* of the option */
        unsigned want_weight;
        bool want_backup;
    } rows[] = {
        {0, 5, 60, false, 6000, false},
        {1, 5, 20, false, 1000, false}, /* two addresses share */
        {1, 5, 20, false, 1000, false},
        {2, 5, 0, false, 1, false}, /* "a very small chance" */
        {3, 6, 7, false, 700, true},
        {4, 65535, 65535, false, 6553500, true},
        {5, 5, 1, true, 100, true},
    };
    enum { N = sizeof(rows) / sizeof(rows[0]) };
    struct endpoints e = {0};

    (void)state;
    endpoints_rank(&e); /* nothing there */
    for (unsigned i = 0; i < N; i++) {
        struct endpoint like = {.target = rows[i].target,
                                .priority = rows[i].priority,
                                .srv_weight = rows[i].srv_weight,
                                .backup = rows[i].backup};
        put(&e, "a", "10.0.0.1", (uint16_t)(i + 1), like);
    }
    endpoints_rank(&e);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(e.list[i].weight, rows[i].want_weight);
        assert_int_equal(e.list[i].backup, rows[i].want_backup);
    }
    endpoints_fini(&e);
}

/* A target that did not resolve keeps its addresses, with what its record says now. */
static void test_keep(void **state)
{
    struct endpoints old = {0}, e = {0};
    struct endpoint like = {.target = 1, .priority = 9, .srv_weight = 4};

    (void)state;
    put(&old, "a.test", "10.0.0.1", 1, (struct endpoint){.priority = 1});
    put(&old, "a.test", "10.0.0.2", 1, (struct endpoint){.priority = 1});
    put(&old, "a.test", "10.0.0.1", 2, (struct endpoint){.priority = 1});
    put(&old, "a.test.b", "10.0.0.3", 1, (struct endpoint){.priority = 1});
    old.list[0].server = (struct fcgi_server *)(void *)&old;
    assert_int_equal(endpoints_keep(&e, &old, "a.test", 1, &like), 0);
    assert_int_equal(e.n, 2);
    assert_string_equal(e.list[0].name, "a.test/10.0.0.1:1");
    assert_string_equal(e.list[1].name, "a.test/10.0.0.2:1");
    assert_int_equal(e.list[0].priority, 9);
    assert_null(e.list[0].server);
    endpoints_fini(&old);
    endpoints_fini(&e);
}

/* ---- what changes ---- */

static struct fcgi_server *server(uintptr_t n)
{
    return (struct fcgi_server *)n; /* never looked into */
}

static void test_match(void **state)
{
    struct endpoints old = {0}, e = {0};

    (void)state;
    put(&old, "a", "10.0.0.1", 1, (struct endpoint){.weight = 1}); /* stays */
    put(&old, "a", "10.0.0.2", 1, (struct endpoint){.weight = 1}); /* goes */
    put(&old, "a", "10.0.0.3", 1, (struct endpoint){.weight = 1}); /* another weight */
    put(&old, "a", "10.0.0.4", 1, (struct endpoint){.weight = 1}); /* becomes a backup */
    for (unsigned i = 0; i < 4; i++)
        old.list[i].server = server(i + 1);
    put(&e, "a", "10.0.0.5", 1, (struct endpoint){.weight = 1}); /* comes */
    put(&e, "a", "10.0.0.4", 1, (struct endpoint){.weight = 1, .backup = true});
    put(&e, "a", "10.0.0.3", 1, (struct endpoint){.weight = 2});
    put(&e, "a", "10.0.0.1", 1, (struct endpoint){.weight = 1});
    endpoints_match(&e, &old);
    for (unsigned i = 0; i < 3; i++)
        assert_null(e.list[i].server);
    assert_ptr_equal(e.list[3].server, server(1));
    assert_null(old.list[0].server);
    for (unsigned i = 1; i < 4; i++)
        assert_ptr_equal(old.list[i].server, server(i + 1));
    endpoints_fini(&old);
    endpoints_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_most),
        cmocka_unit_test(test_longest_name), cmocka_unit_test(test_rank),
        cmocka_unit_test(test_keep),         cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
