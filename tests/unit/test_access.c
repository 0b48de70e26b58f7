/* conf/access.h: what deny and allow say together, and what a route has of its site's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../conf/conf.h"

static bool admits(const struct access *access, const char *text)
{
    struct cidr_address a = {.family = CIDR_UNIX};
    const struct cidr *rule;

    if (strcmp(text, "unix:") != 0)
        assert_true(cidr_address_parse(slice_str(text), &a));
    return access_ask(access, &a, &rule);
}

static struct conf *conf_of(const char *site, const char *route)
{
    char text[2048];

    snprintf(text, sizeof(text),
             "[listen x]\naddress = 127.0.0.1:1\ndeny = 192.0.2.66\n"
             "[site x]\nroot = /tmp\n%s[route x /r/]\nredirect = /\n%s[site y]\nhost = y\n"
             "root = /tmp\n",
             site, route);
    return conf_load_text("test", text, strlen(text), stderr);
}

static void test_rules(void **state)
{
    static const struct {
        const char *lists, *address;
        bool in;
    } rows[] = {
        {"", "192.0.2.1", true},
        {"deny = 192.0.2.1\n", "192.0.2.1", false},
        {"deny = 192.0.2.1\n", "192.0.2.2", true},
        {"deny = 192.0.2.1\n", "unix:", true},
        {"allow = 192.0.2.1\n", "192.0.2.1", true},
        {"allow = 192.0.2.1\n", "192.0.2.2", false},
        {"allow = 192.0.2.1\n", "unix:", false},
        {"allow = 192.0.2.1 unix:\n", "unix:", true},
        {"deny = all\nallow = 192.0.2.0/24\n", "192.0.2.9", true},
        {"deny = all\nallow = 192.0.2.0/24\n", "198.51.100.1", false},
        {"deny = all\nallow = 192.0.2.0/24\n", "::1", false},
        {"allow = 192.0.2.0/24\ndeny = all\n", "192.0.2.9", true}, /* in any order */
        {"deny = 192.0.2.7\nallow = 192.0.2.0/24\n", "192.0.2.7", false},
        {"allow = 192.0.2.0/24\ndeny = 192.0.2.7\n", "192.0.2.7", false},
        {"allow = 192.0.2.0/24\ndeny = 192.0.2.7\n", "192.0.2.8", true},
        {"allow = 192.0.2.0/24\ndeny = 192.0.2.7\n", "198.51.100.1", false},
        {"allow = all 192.0.2.7\ndeny = 192.0.2.0/24\n", "198.51.100.1", true},
        {"allow = all 192.0.2.7\ndeny = 192.0.2.0/24\n", "192.0.2.7", true},
        {"allow = all 192.0.2.7\ndeny = 192.0.2.0/24\n", "192.0.2.8", false},
        {"deny = 192.0.2.0/24\ndeny = 2001:db8::/32\n", "2001:db8:1::1", false}, /* added */
        {"deny = 192.0.2.0/24\n", "::ffff:192.0.2.1", false},
        {"deny = ::/0\n", "::ffff:192.0.2.1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf *conf = conf_of(rows[i].lists, "");
        assert_non_null(conf);
        if (admits(conf->sites[0].access, rows[i].address) != rows[i].in)
            fail_msg("%s: %s: not %d", rows[i].lists, rows[i].address, rows[i].in);
        /* what the site says is the route's, also that of the files that no route takes */
        assert_ptr_equal(conf->sites[0].routes[0].access, conf->sites[0].access);
        assert_ptr_equal(conf->sites[0].routes[1].access, conf->sites[0].access);
        assert_null(conf->sites[1].routes[0].access);
        assert_false(admits(conf->listens[0].access, "192.0.2.66"));
        assert_true(admits(conf->listens[0].access, "192.0.2.67"));
        conf_free(conf);
    }
}

static void test_route(void **state)
{
    struct conf *conf = conf_of("deny = 192.0.2.0/24\n", "deny = 198.51.100.0/24\n");
    const struct conf_site *site = &conf->sites[0];

    (void)state;
    /* Its own lists take the place of the site's. */
    assert_false(admits(site->access, "192.0.2.1"));
    assert_true(admits(site->routes[0].access, "192.0.2.1"));
    assert_false(admits(site->routes[0].access, "198.51.100.1"));
    assert_ptr_equal(site->routes[1].access, site->access);
    conf_free(conf);
    conf = conf_of("deny = all\n", "allow = all\n");
    assert_false(admits(conf->sites[0].access, "192.0.2.1"));
    assert_true(admits(conf->sites[0].routes[0].access, "192.0.2.1"));
    conf_free(conf);
}

static void test_errors(void **state)
{
    static const struct {
        const char *site, *error;
    } rows[] = {
        {"deny = 10.0.0.0/8\nallow = 192.0.2.1 ::ffff:10.0.0.0/104\n",
         "test:7: 10.0.0.0/8 is in both deny and allow\n"},
        {"deny = all\nallow = all\n", "test:7: all is in both deny and allow\n"},
        {"deny = 10.0.0.1/8\n",
         "test:6: deny = 10.0.0.1/8: there are bits behind the prefix: should they be zero, or "
         "the prefix longer?\n"},
        {"deny = localhost\n",
         "test:6: deny = localhost: not an address or block (192.0.2.1, 192.0.2.0/24, "
         "2001:db8::/32, unix:, all)\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[1024], *errors = NULL;
        size_t n = 0;
        FILE *to = open_memstream(&errors, &n);
        snprintf(text, sizeof(text),
                 "[listen x]\naddress = 127.0.0.1:1\n[site x]\nroot = /tmp\nindex = a\n%s",
                 rows[i].site);
        assert_null(conf_load_text("test", text, strlen(text), to));
        fclose(to);
        assert_string_equal(errors, rows[i].error);
        free(errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_route),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
