/* conf/value.h: each type of value, at its borders and beyond. */
#include <signal.h>

#include "conf_item.h"

/* ---- numbers ---------------------------------------------------------------------------- */

static const struct number_row {
    enum schema_section section;
    const char *key, *text;
    int64_t value;
    const char *error;
} number_rows[] = {
    {SCHEMA_GATEWAY, "writers", "1", 1, NULL},
    {SCHEMA_GATEWAY, "writers", "1024", 1024, NULL},
    {SCHEMA_GATEWAY, "writers", "0064", 64, NULL},
    {SCHEMA_GATEWAY, "writers", "0", 0, "writers = 0: must be 1 to 1024"},
    {SCHEMA_GATEWAY, "writers", "1025", 0, "writers = 1025: must be 1 to 1024"},
    {SCHEMA_GATEWAY, "writers", "9223372036854775808", 0,
     "writers = 9223372036854775808: must be 1 to 1024"},
    {SCHEMA_GATEWAY, "writers", "-1", 0, "writers = -1: not a number"},
    {SCHEMA_GATEWAY, "writers", "1 2", 0, "writers = 1 2: not a number"},
    {SCHEMA_GATEWAY, "writers", "64K", 0, "writers = 64K: not a number"},
    {SCHEMA_GATEWAY, "writers", "", 0, "writers = : needs a value"},
    {SCHEMA_GATEWAY, "workers", "auto", 0, NULL},
    {SCHEMA_GATEWAY, "workers", "4", 4, NULL},
    {SCHEMA_GATEWAY, "workers", "0", 0, "workers = 0: must be 1 to 256"},
    {SCHEMA_GATEWAY, "spool_memory", "0", 0, NULL},
    {SCHEMA_GATEWAY, "spool_memory", "512", 512, NULL},
    {SCHEMA_GATEWAY, "spool_memory", "64K", 65536, NULL},
    {SCHEMA_GATEWAY, "spool_memory", "8M", 8 << 20, NULL},
    {SCHEMA_GATEWAY, "spool_memory", "1G", 1 << 30, NULL},
    {SCHEMA_GATEWAY, "spool_memory", "1073741825", 0,
     "spool_memory = 1073741825: must be 0 to 1G"},
    {SCHEMA_GATEWAY, "spool_memory", "9223372036854775807G", 0,
     "spool_memory = 9223372036854775807G: must be 0 to 1G"},
    {SCHEMA_GATEWAY, "spool_memory", "64k", 0,
     "spool_memory = 64k: not a size (512, 64K, 8M, 1G)"},
    {SCHEMA_GATEWAY, "spool_memory", "K", 0, "spool_memory = K: not a size (512, 64K, 8M, 1G)"},
    {SCHEMA_GATEWAY, "spool_memory", "64 K", 0,
     "spool_memory = 64 K: not a size (512, 64K, 8M, 1G)"},
    {SCHEMA_GATEWAY, "spool_memory", "1.5M", 0,
     "spool_memory = 1.5M: not a size (512, 64K, 8M, 1G)"},
    {SCHEMA_GATEWAY, "spool_limit", "65536G", 65536LL << 30, NULL},
    {SCHEMA_GATEWAY, "idle_timeout", "500ms", 500, NULL},
    {SCHEMA_GATEWAY, "idle_timeout", "30s", 30000, NULL},
    {SCHEMA_GATEWAY, "idle_timeout", "5m", 300000, NULL},
    {SCHEMA_GATEWAY, "idle_timeout", "24h", 86400000, NULL},
    {SCHEMA_GATEWAY, "idle_timeout", "25h", 0, "idle_timeout = 25h: must be 1ms to 24h"},
    {SCHEMA_GATEWAY, "idle_timeout", "0s", 0, "idle_timeout = 0s: must be 1ms to 24h"},
    {SCHEMA_GATEWAY, "idle_timeout", "30", 0,
     "idle_timeout = 30: not a duration (500ms, 30s, 5m, 1h)"},
    {SCHEMA_GATEWAY, "idle_timeout", "1m30s", 0,
     "idle_timeout = 1m30s: not a duration (500ms, 30s, 5m, 1h)"},
    {SCHEMA_GATEWAY, "writer", "always", CONF_WRITER_ALWAYS, NULL},
    {SCHEMA_GATEWAY, "writer", "alway", 0,
     "writer = alway: must be auto or always; did you mean \"always\"?"},
    {SCHEMA_GATEWAY, "error_level", "debug", CONF_LOG_DEBUG, NULL},
    {SCHEMA_GATEWAY, "error_level", "fatal", 0,
     "error_level = fatal: must be error, warn, notice, info or debug"},
    {SCHEMA_LISTEN, "tls", "on", 1, NULL},
    {SCHEMA_LISTEN, "tls", "off", 0, NULL},
    {SCHEMA_LISTEN, "tls", "yes", 0, "tls = yes: must be on or off"},
    {SCHEMA_LISTEN, "tls", "On", 0, "tls = On: must be on or off; did you mean \"on\"?"},
    {SCHEMA_SITE, "body_limit", "0", 0, NULL},
    {SCHEMA_ROUTE, "auth", "basic", 1, NULL},
    {SCHEMA_ROUTE, "auth", "digest", 0, "auth = digest: must be off or basic"},
    {SCHEMA_ROUTE, "script_check", "off", CONF_OFF, NULL},
    {SCHEMA_ROUTE, "links", "follow", CONF_LINKS_FOLLOW, NULL},
    {SCHEMA_ROUTE, "response_body", "auto", 0, "response_body = auto: must be spool or stream"},
    {SCHEMA_ROUTE, "request_body", "stream", CONF_BODY_STREAM, NULL},
    {SCHEMA_POOL, "max_age", "off", 0, NULL},
    {SCHEMA_POOL, "max_memory", "512K", 0, "max_memory = 512K: must be 1M to 65536G"},
    {SCHEMA_POOL, "stop_signal", "USR1", SIGUSR1, NULL},
    {SCHEMA_POOL, "stop_signal", "SIGTERM", 0,
     "stop_signal = SIGTERM: must be TERM, INT, QUIT, HUP, USR1, USR2 or KILL"},
    {SCHEMA_POOL, "keepalive", "0", 0, NULL},
};

static const struct range_row {
    const char *text;
    unsigned min, max;
    const char *error;
} range_rows[] = {
    {"1", 1, 1, NULL},
    {"4096", 4096, 4096, NULL},
    {"0-8", 0, 8, NULL},
    {"3-3", 3, 3, NULL},
    {"0", 0, 0, "processes = 0: the most must be 1 to 4096"},
    {"0-0", 0, 0, "processes = 0-0: the most must be 1 to 4096"},
    {"1-4097", 0, 0, "processes = 1-4097: the most must be 1 to 4096"},
    {"3-2", 0, 0, "processes = 3-2: the least is over the most"},
    {"-2", 0, 0, "processes = -2: not a number, nor two with a - between"},
    {"2-", 0, 0, "processes = 2-: not a number, nor two with a - between"},
    {"1-2-3", 0, 0, "processes = 1-2-3: not a number, nor two with a - between"},
    {"1 - 2", 0, 0, "processes = 1 - 2: not a number, nor two with a - between"},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(range_rows); i++) {
        const struct range_row *r = &range_rows[i];
        struct item it;

        item_init(&it, SCHEMA_POOL);
        const char *error = item_set(&it, SCHEMA_POOL, "processes", r->text);
        const struct conf_pool *pool = (const void *)it.data;
        if (r->error)
            assert_string_equal(error, r->error);
        else
            assert_null(error);
        assert_int_equal(pool->range.min, r->min);
        assert_int_equal(pool->range.max, r->max);
        arena_fini(&it.arena);
    }
}

static void test_numbers(void **state)
{
    size_t n;

    (void)state;
    for (size_t i = 0; i < ROWS(number_rows); i++) {
        const struct number_row *r = &number_rows[i];
        const struct schema_key *key =
            &schema_keys(&n)[schema_find(r->section, slice_str(r->key))];
        struct item it;

        item_init(&it, r->section);
        int64_t before = item_number(&it, key);
        const char *error = item_set(&it, r->section, r->key, r->text);
        if (r->error) {
            assert_non_null(error);
            assert_string_equal(error, r->error);
        } else {
            assert_null(error);
        }
        assert_true(item_number(&it, key) == (r->error ? before : r->value));
        arena_fini(&it.arena);
    }
}

/* ---- texts ------------------------------------------------------------------------------ */

static const struct text_row {
    enum schema_section section;
    const char *key, *text;
    const char *value; /* lists: the words with '|' between */
    const char *error;
} text_rows[] = {
    {SCHEMA_GATEWAY, "access_log", "off", "off", NULL},
    {SCHEMA_GATEWAY, "access_log", "stderr", "stderr", NULL},
    {SCHEMA_GATEWAY, "access_log", "/var/log/a b", "/var/log/a b", NULL},
    {SCHEMA_GATEWAY, "access_log", "log", NULL, "access_log = log: must be an absolute path"},
    {SCHEMA_GATEWAY, "error_log", "off", NULL, "error_log = off: must be an absolute path"},
    {SCHEMA_SITE, "root", "/", "/", NULL},
    {SCHEMA_SITE, "root", "/srv/x//", "/srv/x", NULL},
    {SCHEMA_SITE, "index", "a.html  b.html\tc", "a.html|b.html|c", NULL},
    {SCHEMA_SITE, "index", "\"a b\" \"c\\\"\\\\\\d\" e\\f", "a b|c\"\\\\d|e\\f", NULL},
    {SCHEMA_SITE, "index", "\"a b", NULL, "index = \"a b: a double quote that is not closed"},
    {SCHEMA_SITE, "index", "\"a\"b", NULL, "index = \"a\"b: a double quote that is not closed"},
    {SCHEMA_SITE, "index", "a \"\"", NULL, "index = a \"\": an empty word"},
    {SCHEMA_SITE, "host", "Example.ORG *.Example.org * 10.0.0.1 [2001:DB8::1] x_y",
     "example.org|*.example.org|*|10.0.0.1|[2001:db8::1]|x_y", NULL},
    {SCHEMA_SITE, "host", "a b.*.c", NULL,
     "host = b.*.c: a star stands alone or for the first labels, as in *.example.org"},
    {SCHEMA_SITE, "host", "a:80", NULL, "host = a:80: a host name here has no port"},
    {SCHEMA_SITE, "host", "a..b", NULL, "host = a..b: not a host name or IP address"},
    {SCHEMA_SITE, "host", "a.", NULL, "host = a.: not a host name or IP address"},
    {SCHEMA_SITE, "host", "1.2.3.256", NULL, "host = 1.2.3.256: not a host name or IP address"},
    {SCHEMA_SITE, "host", "a/b", NULL, "host = a/b: not a host name or IP address"},
    {SCHEMA_LISTEN, "address", "*:80 [::]:443 127.0.0.1:1 localhost:65535 unix:/run/x",
     "*:80|[::]:443|127.0.0.1:1|localhost:65535|unix:/run/x", NULL},
    {SCHEMA_LISTEN, "address", "80", NULL,
     "address = 80: not an address (host:port, [v6]:port, unix:/path)"},
    {SCHEMA_LISTEN, "address", "*:0", NULL,
     "address = *:0: the port is a number from 1 to 65535"},
    {SCHEMA_LISTEN, "address", "*:65536", NULL,
     "address = *:65536: the port is a number from 1 to 65535"},
    {SCHEMA_LISTEN, "address", "*:http", NULL,
     "address = *:http: the port is a number from 1 to 65535"},
    {SCHEMA_LISTEN, "address", "::1:80", NULL,
     "address = ::1:80: an IPv6 address needs brackets: [v6]:port"},
    {SCHEMA_LISTEN, "address", "[::1::]:80", NULL,
     "address = [::1::]:80: no IPv6 address between the brackets"},
    {SCHEMA_LISTEN, "address", "[fe80::1%eth0]:80", "[fe80::1%eth0]:80", NULL},
    {SCHEMA_LISTEN, "address", ":80", NULL, "address = :80: not a host name or IP address"},
    {SCHEMA_LISTEN, "address", "unix:run/x", NULL,
     "address = unix:run/x: unix: is followed by an absolute path"},
    {SCHEMA_POOL, "connect", "unix:/run/php.sock 10.0.0.7:9000",
     "unix:/run/php.sock|10.0.0.7:9000", NULL},
    {SCHEMA_POOL, "connect", "*:9000", NULL,
     "connect = *:9000: a star is an address to listen on only"},
    {SCHEMA_POOL, "connect", "unix:/a,weight=2 h:1,max=8,backup,weight=1000", "unix:/a|h:1",
     NULL},
    {SCHEMA_POOL, "connect", "srv:_fcgi._tcp.a.example.org,max=3,backup app.example.org:9000",
     "srv:_fcgi._tcp.a.example.org|app.example.org:9000", NULL},
    {SCHEMA_POOL, "connect", "srv:a.example.org:9000", NULL,
     "connect = srv:a.example.org:9000: srv: is followed by a name, as in "
     "srv:_fcgi._tcp.app.example.org"},
    {SCHEMA_POOL, "connect", "srv:a,weight=2", NULL,
     "connect = srv:a,weight=2: the records of a srv: name have weights of their own"},
    {SCHEMA_LISTEN, "address", "srv:a", NULL,
     "address = srv:a: the port is a number from 1 to 65535"},
    {SCHEMA_GATEWAY, "resolver", "127.0.0.1 10.0.0.1:5353 [2001:db8::1] [::1]:53",
     "127.0.0.1|10.0.0.1:5353|[2001:db8::1]|[::1]:53", NULL},
    {SCHEMA_GATEWAY, "resolver", "ns.example.org", NULL,
     "resolver = ns.example.org: not an IP address (192.0.2.1, 192.0.2.1:53, [2001:db8::1])"},
    {SCHEMA_GATEWAY, "resolver", "::1", NULL,
     "resolver = ::1: not an IP address (192.0.2.1, 192.0.2.1:53, [2001:db8::1])"},
    {SCHEMA_GATEWAY, "resolver", "10.0.0.1:0", NULL,
     "resolver = 10.0.0.1:0: the port is a number from 1 to 65535"},
    {SCHEMA_POOL, "connect", "h:1,weight=0", NULL,
     "connect = h:1,weight=0: weight= is a number from 1 to 1000"},
    {SCHEMA_POOL, "connect", "h:1,weight=1001", NULL,
     "connect = h:1,weight=1001: weight= is a number from 1 to 1000"},
    {SCHEMA_POOL, "connect", "h:1,max=x", NULL,
     "connect = h:1,max=x: max= is a number from 1 to 65535"},
    {SCHEMA_POOL, "connect", "h:1,backup=1", NULL,
     "connect = h:1,backup=1: unknown option \"backup=1\" behind the address; did you mean "
     "\"backup\"?"},
    {SCHEMA_POOL, "connect", "h:1,wieght=2", NULL,
     "connect = h:1,wieght=2: unknown option \"wieght=2\" behind the address; did you mean "
     "\"weight\"?"},
    {SCHEMA_POOL, "connect", "h:1,", NULL,
     "connect = h:1,: unknown option \"\" behind the address"},
    {SCHEMA_POOL, "connect", "h,max=2", NULL,
     "connect = h,max=2: not an address (host:port, [v6]:port, unix:/path)"},
    {SCHEMA_POOL, "spawn", "app.fcgi", NULL,
     "spawn = app.fcgi: the program must be an absolute path"},
    {SCHEMA_ROUTE, "auth_realm", "two words", "two words", NULL},
    {SCHEMA_ROUTE, "redirect", "/x", "/x", NULL},
    {SCHEMA_ROUTE, "redirect", "301 https://a.b/?c=d", "https://a.b/?c=d", NULL},
    {SCHEMA_ROUTE, "redirect", "300 /x", NULL,
     "redirect = 300 /x: the status is 301, 302, 303, 307 or 308"},
    {SCHEMA_ROUTE, "redirect", "301 /x y", NULL,
     "redirect = 301 /x y: the target has bytes that must be %-encoded"},
    {SCHEMA_ROUTE, "redirect", "/\xC3\xA4", NULL,
     "redirect = /\xC3\xA4: the target has bytes that must be %-encoded"},
    {SCHEMA_ROUTE, "redirect", "301", NULL,
     "redirect = 301: the target is an absolute path or a URL"},
    {SCHEMA_POOL, "env.A-B", "x", NULL,
     "env.A-B = x: the name of a variable has letters, digits and _ only"},
    {SCHEMA_POOL, "env.", "x", NULL,
     "env. = x: the name of a variable has letters, digits and _ only"},
    {SCHEMA_POOL, "env.1A", "x", NULL,
     "env.1A = x: the name of a variable has letters, digits and _ only"},
};

/* The value of a text or list key as one string. */
static void item_text(const struct item *it, const struct schema_key *key, char *out,
                      size_t cap)
{
    const char *at = it->data + key->offset;
    const char *list, *text;
    size_t n = 0;

    memcpy(&list, at, sizeof(list));
    if (!schema_repeats(key)) {
        snprintf(out, cap, "%s", list);
        return;
    }
    unsigned count = *(const unsigned *)(const void *)(it->data + key->n_offset);
    for (unsigned i = 0; i < count; i++) {
        /* A slice begins with its pointer, and all our texts end in a NUL. */
        memcpy(&text, list + i * key->size, sizeof(text));
        n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? "|" : "", text);
        assert_true(n < cap);
    }
}

static void test_texts(void **state)
{
    size_t n;
    char got[1024];

    (void)state;
    for (size_t i = 0; i < ROWS(text_rows); i++) {
        const struct text_row *r = &text_rows[i];
        const struct schema_key *key =
            &schema_keys(&n)[schema_find(r->section, slice_str(r->key))];
        struct item it;

        item_init(&it, r->section);
        const char *error = item_set(&it, r->section, r->key, r->text);
        if (r->error) {
            assert_non_null(error);
            assert_string_equal(error, r->error);
        } else {
            assert_null(error);
            item_text(&it, key, got, sizeof(got));
            assert_string_equal(got, r->value);
        }
        arena_fini(&it.arena);
    }
}

static void test_command_and_env(void **state)
{
    struct item it;

    (void)state;
    item_init(&it, SCHEMA_POOL);
    const struct conf_pool *pool = (const struct conf_pool *)(const void *)it.data;
    assert_null(item_set(&it, SCHEMA_POOL, "spawn", "/bin/sh -c \"exec a  b\" --x=\"y"));
    assert_string_equal(pool->spawn[0], "/bin/sh");
    assert_string_equal(pool->spawn[1], "-c");
    assert_string_equal(pool->spawn[2], "exec a  b");
    assert_string_equal(pool->spawn[3], "--x=\"y");
    assert_null(pool->spawn[4]);
    assert_null(item_set(&it, SCHEMA_POOL, "env.A", "b = \"c\""));
    assert_true(slice_eq(pool->env[0].name, SLICE("A")));
    assert_true(slice_eq(pool->env[0].value, SLICE("b = \"c\"")));
    assert_null(item_set(&it, SCHEMA_POOL, "env.EMPTY", ""));
    assert_int_equal(pool->env[0].value.n, 0);
    arena_fini(&it.arena);
}

static void test_redirect_status(void **state)
{
    struct item it;

    (void)state;
    item_init(&it, SCHEMA_ROUTE);
    const struct conf_route *route = (const struct conf_route *)(const void *)it.data;
    assert_int_equal(route->redirect_status, 0);
    assert_null(item_set(&it, SCHEMA_ROUTE, "redirect", "/x"));
    assert_int_equal(route->redirect_status, 302);
    assert_null(item_set(&it, SCHEMA_ROUTE, "redirect", "308  /x"));
    assert_int_equal(route->redirect_status, 308);
    assert_string_equal(route->redirect, "/x");
    arena_fini(&it.arena);
}

/* Lists grow by powers of two; 1024 words are the most. */
static void test_long_lists(void **state)
{
    struct item it;
    char text[2 * 1025 + 1];

    (void)state;
    for (size_t i = 0; i < 1025; i++)
        memcpy(text + 2 * i, "a ", 2);
    text[2 * 1025] = '\0';
    item_init(&it, SCHEMA_SITE);
    const struct conf_site *site = (const struct conf_site *)(const void *)it.data;
    assert_string_equal(item_set(&it, SCHEMA_SITE, "index", text) + 80 + sizeof("index = ") - 1,
                        ": too many words");
    for (size_t n = 1; n <= 1024; n = n < 20 || n >= 1023 ? n + 1 : n < 512 ? n * 2 : 1023) {
        text[2 * n] = '\0';
        assert_null(item_set(&it, SCHEMA_SITE, "index", text));
        assert_int_equal(site->n_index, n);
        assert_true(slice_eq(site->index[n - 1], SLICE("a")));
        text[2 * n] = 'a';
    }
    arena_fini(&it.arena);
}

static void test_long_texts(void **state)
{
    struct item it;
    char text[5001];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[0] = '/';
    item_init(&it, SCHEMA_ROUTE);
    text[4096] = '\0';
    assert_non_null(strstr(item_set(&it, SCHEMA_ROUTE, "root", text), "longer than a path"));
    assert_null(item_set(&it, SCHEMA_ROUTE, "auth_match", text));
    text[4096] = 'x';
    text[4095] = '\0';
    assert_null(item_set(&it, SCHEMA_ROUTE, "root", text));
    text[4095] = 'x';
    text[4097] = '\0';
    assert_non_null(strstr(item_set(&it, SCHEMA_ROUTE, "auth_match", text), "too long"));
    arena_fini(&it.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_command_and_env),
        cmocka_unit_test(test_long_lists), cmocka_unit_test(test_redirect_status),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
