#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../gateway/hosts.h"

static struct slice hosts_a[] = {{"example.org", 11}, {"*.example.org", 13}};
static struct slice hosts_b[] = {{"*.deep.example.org", 18}, {"x.deep.example.org", 18}};
static struct slice hosts_c[] = {{"*", 1}, {"[::1]", 5}, {"192.0.2.1", 9}};
static struct slice hosts_d[] = {{"example.org", 11}, {"*.org", 5}, {"dotted.net.", 11}};
static struct conf_site sites[] = {
    {.name = "a", .hosts = hosts_a, .n_hosts = 2},
    {.name = "b", .hosts = hosts_b, .n_hosts = 2},
    {.name = "c", .hosts = hosts_c, .n_hosts = 3},
    {.name = "d", .hosts = hosts_d, .n_hosts = 3},
};
static struct conf conf = {.sites = sites, .n_sites = 4, .default_site = 2};

static void find_table(void **state)
{
    static const struct {
        const char *authority, *site;
    } rows[] = {
        {"example.org", "a"},
        {"EXAMPLE.org", "a"},
        {"example.org:8443", "a"},
        {"example.org:", "a"},
        {"example.org.", "a"},
        {"example.org.:80", "a"},
        {"www.example.org", "a"},
        {"a.b.c.example.org", "a"},
        {"deep.example.org", "a"},
        {"x.deep.example.org", "b"},
        {"y.deep.example.org:1", "b"},
        {"a.y.deep.example.org", "b"},
        {"notexample.org", "d"},
        {"other.org", "d"},
        {"org", "c"},
        {"dotted.net", "d"},
        {"dotted.net.", "d"},
        {"[::1]", "c"},
        {"[::1]:80", "c"},
        {"192.0.2.1:80", "c"},
        {"192.0.2.2", "c"},
        {"", "c"},
        {":80", "c"},
        {".", "c"},
        {"..", "c"},
        {".example.org", "c"},
        {"*.example.org", "a"}, /* a name below it like any other */
        {"*", "c"},
        {"[", "c"},
        {"[::1", "c"},
        {"nobody.net", "c"},
    };

    (void)state;
    struct hosts h;
    assert_int_equal(hosts_init(&h, &conf), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct conf_site *site = hosts_find(&h, slice_str(rows[i].authority));
        if (strcmp(site->name, rows[i].site) != 0)
            fail_msg("%s: %s", rows[i].authority, site->name);
    }
    hosts_fini(&h);
}

static void lengths(void **state)
{
    char name[HOST_MAX + 2];
    struct hosts h;

    (void)state;
    assert_int_equal(hosts_init(&h, &conf), 0);
    memset(name, 'x', sizeof(name));
    memcpy(name + HOST_MAX - 12, ".example.org", 12);
    assert_string_equal(hosts_find(&h, slice_of(name, HOST_MAX))->name, "a");
    memset(name, 'x', sizeof(name));
    memcpy(name + HOST_MAX + 1 - 12, ".example.org", 12);
    assert_string_equal(hosts_find(&h, slice_of(name, HOST_MAX + 1))->name, "c");
    memset(name, '.', sizeof(name));
    assert_string_equal(hosts_find(&h, slice_of(name, HOST_MAX))->name, "c");
    hosts_fini(&h);
}

static void two_thousand_sites(void **state)
{
    enum { N = 2000 };
    struct conf_site *many = calloc(N, sizeof(*many));
    struct slice *names = calloc(N, sizeof(*names));
    struct conf big = {.sites = many, .n_sites = N, .default_site = 7};
    struct arena a;
    struct hosts h;

    (void)state;
    arena_init(&a);
    for (unsigned i = 0; i < N; i++) {
        names[i] = arena_printf(&a, "%ssite%u.example", i % 2 ? "*." : "", i);
        many[i] = (struct conf_site){.name = "x", .hosts = &names[i], .n_hosts = 1};
    }
    assert_int_equal(hosts_init(&h, &big), 0);
    for (unsigned i = 0; i < N; i++) {
        struct slice name = arena_printf(&a, "%ssite%u.example:443", i % 2 ? "w." : "", i);
        assert_ptr_equal(hosts_find(&h, name), &many[i]);
    }
    assert_ptr_equal(hosts_find(&h, SLICE("site2000.example")), &many[7]);
    hosts_fini(&h);
    arena_fini(&a);
    free(many);
    free(names);
}

static void no_sites(void **state)
{
    struct conf none = {.default_site = 0};
    struct hosts h;

    (void)state;
    assert_int_equal(hosts_init(&h, &none), 0);
    assert_null(hosts_find(&h, SLICE("example.org")));
    hosts_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_table),
        cmocka_unit_test(lengths),
        cmocka_unit_test(two_thousand_sites),
        cmocka_unit_test(no_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
