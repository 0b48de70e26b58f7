/* conf/cidr.h: blocks of addresses and the longest prefix that holds one. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "../../conf/cidr.h"

static struct cidr block(const char *text)
{
    struct cidr c;
    const char *why = cidr_parse(slice_str(text), &c);

    if (why)
        fail_msg("%s: %s", text, why);
    return c;
}

static struct cidr_address address(const char *text)
{
    struct cidr_address a;

    if (!strcmp(text, "unix:"))
        return (struct cidr_address){.family = CIDR_UNIX};
    if (!cidr_address_parse(slice_str(text), &a))
        fail_msg("%s is no address", text);
    return a;
}

static void test_parse(void **state)
{
    static const struct {
        const char *text, *as; /* as: NULL for an error */
    } rows[] = {
        {"all", "all"},
        {"unix:", "unix:"},
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"192.0.2.128/25", "192.0.2.128/25"},
        {"128.0.0.0/1", "128.0.0.0/1"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:DB8::1", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"::/0", "::/0"},
        {"::1/128", "::1"},
        {"fe80::/10", "fe80::/10"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::fffe:0:0/95", "::fffe:0:0/95"},
        {"::192.0.2.1", "::192.0.2.1"},
        {"", NULL},
        {"ALL", NULL},
        {"unix", NULL},
        {"unix:/run/x", NULL},
        {"localhost", NULL},
        {"10", NULL},
        {"10.1", NULL},
        {"10.0.0.0/255.0.0.0", NULL},
        {"010.0.0.1", NULL},
        {"256.0.0.1", NULL},
        {"192.0.2.1/33", NULL},
        {"192.0.2.1/-1", NULL},
        {"192.0.2.1/", NULL},
        {"192.0.2.1/ 32", NULL},
        {"192.0.2.1/32/", NULL},
        {"/24", NULL},
        {"192.0.2.1/24", NULL}, /* bits behind the prefix */
        {"2001:db8::1/64", NULL},
        {"::ffff:192.0.2.0/24", NULL},
        {"::ffff:192.0.2.0/95", NULL},
        {"2001:db8::/129", NULL},
        {"[2001:db8::1]", NULL},
        {"fe80::1%lo", NULL},
        {"192.0.2.1:80", NULL},
        {"1111:2222:3333:4444:5555:6666:123.123.123.1234", NULL},
        {"99999999999999999999999999999999999999999999999999999999999", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cidr c, again;
        char text[CIDR_TEXT];
        const char *why = cidr_parse(slice_str(rows[i].text), &c);
        if (!rows[i].as) {
            if (!why)
                fail_msg("%s was taken", rows[i].text);
            continue;
        }
        if (why)
            fail_msg("%s: %s", rows[i].text, why);
        cidr_text(&c, text);
        assert_string_equal(text, rows[i].as);
        assert_null(cidr_parse(slice_str(text), &again));
        assert_memory_equal(&c, &again, sizeof(c));
    }
    struct cidr c;
    assert_non_null(cidr_parse(slice_of("10.0.0.1\0", 9), &c));
}

static void test_sockets(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct cidr_address a, b = address("192.0.2.7");
    struct cidr all = block("all"), v4 = block("0.0.0.0/0");

    (void)state;
    inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
    a = cidr_address_of((struct sockaddr *)&in);
    assert_memory_equal(&a, &b, sizeof(a));
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
    a = cidr_address_of((struct sockaddr *)&in6);
    assert_memory_equal(&a, &b, sizeof(a));
    inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
    a = cidr_address_of((struct sockaddr *)&in6);
    b = address("2001:db8::7");
    assert_memory_equal(&a, &b, sizeof(a));
    a = cidr_address_of((struct sockaddr *)&un);
    assert_int_equal(a.family, CIDR_UNIX);
    assert_true(cidr_has(&all, &a));
    assert_false(cidr_has(&v4, &a));
    a = cidr_address_of(&none);
    assert_true(cidr_has(&all, &a));
    assert_false(cidr_has(&v4, &a));
}

static void test_has(void **state)
{
    static const struct {
        const char *block, *address;
        bool has;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "192.0.1.255", false},
        {"192.0.2.0/23", "192.0.3.255", true},
        {"192.0.2.0/23", "192.0.4.0", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "192.0.2.1", false},
        {"::/0", "::ffff:192.0.2.1", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"::ffff:0:0/96", "192.0.2.1", true},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"all", "192.0.2.1", true},
        {"all", "::1", true},
        {"all", "unix:", true},
        {"unix:", "unix:", true},
        {"unix:", "127.0.0.1", false},
        {"127.0.0.0/8", "unix:", false},
        {"c000:200::/24", "192.0.2.1", false}, /* the same bytes in another family */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cidr c = block(rows[i].block);
        struct cidr_address a = address(rows[i].address);
        if (cidr_has(&c, &a) != rows[i].has)
            fail_msg("%s in %s: not %d", rows[i].address, rows[i].block, rows[i].has);
    }
}

/* ---- sets ---- */

static void add(struct cidr_set *set, const char *text, int says)
{
    set->rules[set->n++] = (struct cidr_rule){.block = block(text), .says = says};
}

static int says(const struct cidr_set *set, const char *text)
{
    struct cidr_address a = address(text);
    const struct cidr_rule *r = cidr_set_find(set, &a);

    return r ? r->says : -1;
}

static void test_set(void **state)
{
    struct cidr_rule rules[16];
    struct cidr_set set = {rules, 0};

    (void)state;
    assert_null(cidr_set_build(&set));
    assert_int_equal(says(&set, "10.0.0.1"), -1);

    add(&set, "10.1.2.3", 1);
    add(&set, "10.0.0.0/8", 2);
    add(&set, "10.1.0.0/16", 3);
    add(&set, "10.0.0.0/16", 4);
    add(&set, "10.1.2.4/31", 5);
    add(&set, "10.0.0.0/8", 2); /* twice */
    add(&set, "2001:db8::/32", 6);
    add(&set, "2001:db8::", 7);
    add(&set, "unix:", 8);
    assert_null(cidr_set_build(&set));
    assert_int_equal(set.n, 8);
    assert_int_equal(says(&set, "10.1.2.3"), 1);
    assert_int_equal(says(&set, "10.1.2.2"), 3);
    assert_int_equal(says(&set, "10.1.2.5"), 5);
    assert_int_equal(says(&set, "10.1.2.6"), 3);
    assert_int_equal(says(&set, "10.2.0.0"), 2);
    assert_int_equal(says(&set, "10.0.255.255"), 4);
    assert_int_equal(says(&set, "10.255.255.255"), 2);
    assert_int_equal(says(&set, "9.255.255.255"), -1);
    assert_int_equal(says(&set, "11.0.0.0"), -1);
    assert_int_equal(says(&set, "::"), -1);
    assert_int_equal(says(&set, "2001:db8::"), 7);
    assert_int_equal(says(&set, "2001:db8::1"), 6);
    assert_int_equal(says(&set, "2001:db9::"), -1);
    assert_int_equal(says(&set, "unix:"), 8);

    add(&set, "all", 9);
    assert_null(cidr_set_build(&set));
    assert_int_equal(says(&set, "11.0.0.0"), 9);
    assert_int_equal(says(&set, "::"), 9);
    assert_int_equal(says(&set, "10.1.2.3"), 1);
    assert_int_equal(says(&set, "unix:"), 8);

    add(&set, "::ffff:10.1.0.0/112", 10); /* 10.1.0.0/16 */
    const struct cidr_rule *clash = cidr_set_build(&set);
    assert_non_null(clash);
    assert_int_equal(clash->says, 10);
}

/* Against the definition: of all blocks that hold the address, the one with most bits. */
static void test_set_random(void **state)
{
    enum { RULES = 4000, LOOKUPS = 500 };
    struct cidr_set set = {calloc(RULES, sizeof(struct cidr_rule)), 0};
    struct cidr_rule *plain = calloc(RULES, sizeof(*plain));
    unsigned seed = 7;

    (void)state;
    for (int i = 0; i < RULES; i++) {
        struct cidr c = {.address.family = i % 3 ? CIDR_V4 : CIDR_V6};
        c.bits = (unsigned)rand_r(&seed) % (c.address.family == CIDR_V4 ? 33 : 129);
        for (unsigned b = 0; b < c.bits; b++) /* few values, so that blocks nest */
            c.address.ip[b / 8] |= (uint8_t)((rand_r(&seed) % 7 == 0) << (7 - b % 8));
        set.rules[set.n++] = (struct cidr_rule){
            .block = c, .says = (int)c.bits * 2 + (c.address.family == CIDR_V4)};
    }
    memcpy(plain, set.rules, RULES * sizeof(*plain));
    assert_null(cidr_set_build(&set));
    for (int i = 0; i < LOOKUPS; i++) {
        struct cidr_address a = {.family = i % 2 ? CIDR_V4 : CIDR_V6};
        int best = -1;
        for (unsigned b = 0; b < (a.family == CIDR_V4 ? 32 : 128); b++)
            a.ip[b / 8] |= (uint8_t)((rand_r(&seed) % 7 == 0) << (7 - b % 8));
        for (int k = 0; k < RULES; k++) {
            if (cidr_has(&plain[k].block, &a) && plain[k].says > best)
                best = plain[k].says;
        }
        const struct cidr_rule *r = cidr_set_find(&set, &a);
        assert_int_equal(r ? r->says : -1, best);
    }
    free(set.rules);
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_has),        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
