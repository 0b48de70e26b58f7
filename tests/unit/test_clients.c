/* gateway/clients.c: what a client address may have, with a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "../../gateway/clients.h"
#include "../../gateway/counters.h"
#include "../../gateway/err.h"
#include "../../gateway/log.h"

static pthread_mutex_t lines_mu = PTHREAD_MUTEX_INITIALIZER;
static struct {
    unsigned n;
    char last[512];
} lines; /* under lines_mu while there are threads */

void log_line(int level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    pthread_mutex_lock(&lines_mu);
    va_start(ap, fmt);
    (void)vsnprintf(lines.last, sizeof(lines.last), fmt, ap);
    va_end(ap);
    lines.n++;
    pthread_mutex_unlock(&lines_mu);
}

enum { CONNECTIONS = 3, REQUESTS = 2, RESETS = 10 };

static struct conf_gateway conf;
static struct cidr exempt[2];
static struct clients *cs;
static uint64_t now_ns;

static int setup(void **state)
{
    (void)state;
    conf = (struct conf_gateway){
        .max_connections = 16,
        .client_connections = CONNECTIONS,
        .client_requests = REQUESTS,
        .client_resets = RESETS,
        .client_cost_ms = 1000,
        .client_table = 1024,
        .client_exempt = exempt,
        .n_client_exempt = 2,
    };
    assert_null(cidr_parse(SLICE("192.0.2.0/24"), &exempt[0]));
    assert_null(cidr_parse(SLICE("192.0.2.7"), &exempt[1]));
    lines.n = 0;
    now_ns = 5000 * RATE_SECOND;
    cs = clients_new(&conf);
    return cs ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    clients_free(cs);
    return 0;
}

static struct cidr_address address(const char *text)
{
    struct cidr_address a = {.family = CIDR_UNIX};

    if (strcmp(text, "unix:") != 0)
        assert_true(cidr_address_parse(slice_str(text), &a));
    return a;
}

static int connect_from(const char *text, struct account **ret)
{
    struct cidr_address a = address(text);

    return clients_connect(cs, &a, now_ns, ret);
}

static struct account *connected(const char *text)
{
    struct account *client;

    assert_int_equal(connect_from(text, &client), 0);
    return client;
}

/* ---- whose account it is ---- */

static void test_who(void **state)
{
    static const struct {
        const char *a, *b, *text; /* text: NULL: none has an account */
        bool same;
    } rows[] = {
        {"198.51.100.1", "198.51.100.1", "198.51.100.1", true},
        {"198.51.100.1", "198.51.100.2", "198.51.100.1", false},
        {"198.51.100.1", "::ffff:198.51.100.1", "198.51.100.1", true},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:db8:1:2::/64", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:2::/64", false},
        {"0.0.0.1", "::1", "0.0.0.1", false},
        {"192.0.2.1", "192.0.2.7", NULL, true},
        {"unix:", "unix:", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct account *a = connected(rows[i].a), *b = connected(rows[i].b);
        char text[CLIENT_TEXT];
        assert_int_equal(a == b, rows[i].same);
        assert_int_equal(a != NULL, rows[i].text != NULL);
        if (a) {
            client_text(a, text);
            assert_string_equal(text, rows[i].text);
        }
        clients_disconnect(a);
        clients_disconnect(b);
    }
}

/* ---- at once ---- */

static void test_connections(void **state)
{
    struct account *client[CONNECTIONS], *more;
    uint64_t n = counter_get(COUNTER_CLIENT_CONNECTIONS);

    (void)state;
    for (int i = 0; i < CONNECTIONS; i++)
        client[i] = connected("198.51.100.1");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(connect_from("198.51.100.1", &more), GW_ELIMIT_CONNECTIONS);
    assert_null(more);
    assert_int_equal(counter_get(COUNTER_CLIENT_CONNECTIONS) - n, 1000);
    assert_int_equal(lines.n, 1); /* however many there are */
    assert_string_equal(lines.last,
                        "client=198.51.100.1 ELIMIT_CONNECTIONS: too many connections of the "
                        "client; client_connections = 3: closed");
    now_ns += 11 * RATE_SECOND;
    assert_int_equal(connect_from("198.51.100.1", &more), GW_ELIMIT_CONNECTIONS);
    assert_int_equal(lines.n, 2);
    clients_disconnect(connected("198.51.100.2"));
    clients_disconnect(client[0]);
    client[0] = connected("198.51.100.1");
    for (int i = 0; i < CONNECTIONS; i++)
        clients_disconnect(client[i]);
}

/* Lines of many clients are bounded, too, and say how many they stand for. */
static void test_many_lines(void **state)
{
    char text[32];
    struct account *client;

    (void)state;
    conf.client_connections = 1;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
        struct account *held = connected(text);
        assert_int_equal(connect_from(text, &client), GW_ELIMIT_CONNECTIONS);
        clients_disconnect(held);
    }
    assert_int_equal(lines.n, 30);
    now_ns += RATE_SECOND;
    client = connected("10.1.0.0");
    assert_int_equal(connect_from("10.1.0.0", &(struct account *){0}), GW_ELIMIT_CONNECTIONS);
    assert_int_equal(lines.n, 31);
    assert_non_null(strstr(lines.last, "closed (and 970 more like it)"));
    clients_disconnect(client);
}

static void test_requests(void **state)
{
    struct account *one = connected("198.51.100.1"), *two = connected("198.51.100.1");
    unsigned wait_s = 0;

    (void)state;
    assert_int_equal(clients_begin(cs, one, now_ns, &wait_s), 0);
    assert_int_equal(clients_begin(cs, two, now_ns, &wait_s), 0);
    assert_int_equal(clients_begin(cs, one, now_ns, &wait_s), GW_ELIMIT_REQUESTS);
    assert_int_equal(wait_s, 1);
    struct client_work *work = clients_work(cs, one, now_ns / 1000000);
    clients_end(one); /* given up, and not yet over */
    assert_int_equal(clients_begin(cs, two, now_ns, &wait_s), GW_ELIMIT_REQUESTS);
    clients_worked(work, now_ns / 1000000, 0);
    assert_int_equal(clients_begin(cs, two, now_ns, &wait_s), 0);
    clients_end(two);
    clients_end(two);
    clients_disconnect(one);
    clients_disconnect(two);
}

static void test_off(void **state)
{
    struct account *client;
    unsigned wait_s;

    (void)state;
    teardown(state);
    conf.client_connections = conf.client_requests = conf.client_resets = 0;
    conf.client_cost_ms = 0;
    cs = clients_new(&conf);
    client = connected("198.51.100.1");
    for (int i = 0; i < 5000; i++) {
        assert_ptr_equal(connected("198.51.100.1"), client);
        assert_int_equal(clients_begin(cs, client, now_ns, &wait_s), 0);
        assert_false(clients_reset(cs, client, now_ns));
        clients_worked(clients_work(cs, client, 0), 1000000, 0);
    }
    assert_int_equal(lines.n, 0);
}

/* ---- barring ---- */

static void test_resets(void **state)
{
    struct account *client = connected("2001:db8::1"), *more;
    uint64_t n = counter_get(COUNTER_CLIENT_RESETS),
             barred = counter_get(COUNTER_CLIENT_BARRED);
    unsigned wait_s;

    (void)state;
    for (int i = 0; i < RESETS; i++)
        assert_false(clients_reset(cs, client, now_ns));
    assert_true(clients_reset(cs, client, now_ns));
    assert_true(clients_reset(cs, client, now_ns));
    assert_int_equal(counter_get(COUNTER_CLIENT_RESETS) - n, 1);
    assert_string_equal(lines.last,
                        "client=2001:db8::/64 ELIMIT_BARRED: client gave up too much; 11 "
                        "resets, limit 10 in 30 s (client_resets): barred for 18 s");
    assert_int_equal(lines.n, 1);
    assert_int_equal(connect_from("2001:db8::2", &more), GW_ELIMIT_BARRED);
    assert_int_equal(clients_begin(cs, client, now_ns, &wait_s), GW_ELIMIT_BARRED);
    assert_int_equal(counter_get(COUNTER_CLIENT_BARRED) - barred, 2);
    assert_int_equal(wait_s, 22);
    clients_disconnect(connected("2001:db8:0:1::1"));
    clients_disconnect(client); /* leaving makes nothing forgotten */
    now_ns += 20 * RATE_SECOND;
    assert_int_equal(connect_from("2001:db8::1", &more), GW_ELIMIT_BARRED);
    now_ns += 2 * RATE_SECOND; /* half of it has run off */
    client = connected("2001:db8::1");
    assert_int_equal(clients_begin(cs, client, now_ns, &wait_s), 0);
    for (int i = 0; i < RESETS / 2 + 1; i++)
        assert_int_equal(clients_reset(cs, client, now_ns), i == RESETS / 2);
    assert_int_equal(counter_get(COUNTER_CLIENT_RESETS) - n, 2);
    clients_end(client);
    clients_disconnect(client);
}

/* At the rate that is allowed nobody is ever barred. */
static void test_steady_resets(void **state)
{
    struct account *client = connected("198.51.100.1");

    (void)state;
    for (int i = 0; i < 10000; i++) {
        assert_false(clients_reset(cs, client, now_ns));
        now_ns += 3 * RATE_SECOND;
    }
    clients_disconnect(client);
}

static void test_cost(void **state)
{
    static const struct {
        uint64_t held_ms, cpu_us;
        unsigned n; /* so many are too much */
    } rows[] = {
        {400, 0, 3}, {0, 0, 1001}, {10, 400000, 3}, {1000, 999999, 2}, {UINT64_MAX / 2, 0, 1},
    };
    struct account *client;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t n = counter_get(COUNTER_CLIENT_COST), since = now_ns / 1000000;
        client = connected("198.51.100.1");
        for (unsigned k = 1; k <= rows[i].n; k++) {
            struct client_work *work = clients_work(
                cs, client, since - (rows[i].held_ms < since ? rows[i].held_ms : since));
            clients_worked(work, since, rows[i].cpu_us);
            assert_int_equal(counter_get(COUNTER_CLIENT_COST) - n, k == rows[i].n);
        }
        assert_int_equal(connect_from("198.51.100.1", &(struct account *){0}),
                         GW_ELIMIT_BARRED);
        now_ns += 91 * RATE_SECOND; /* whatever it was, not for longer */
        clients_disconnect(connected("198.51.100.1"));
        clients_disconnect(client);
        now_ns += 60 * RATE_SECOND;
    }
    assert_non_null(strstr(lines.last, "ms of applications' time, limit 1000 in 60 s "
                                       "(client_cost): barred for 90 s"));
}

/* ---- the table ---- */

/* Many more addresses than the table has places, each with a reset to its name: the one that is
 * barred stays so. */
static void test_full_table(void **state)
{
    uint64_t lost = counter_get(COUNTER_CLIENT_TABLE);
    struct account *client = connected("198.51.100.1"), *more;
    char text[32];

    (void)state;
    while (!clients_reset(cs, client, now_ns))
        ;
    clients_disconnect(client);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(text, sizeof(text), "10.%d.%d.1", i / 250, i % 250);
        more = connected(text);
        clients_reset(cs, more, now_ns);
        clients_disconnect(more);
    }
    assert_true(counter_get(COUNTER_CLIENT_TABLE) - lost >= 20000 - 2048);
    assert_int_equal(connect_from("198.51.100.1", &more), GW_ELIMIT_BARRED);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 5000 };

static void *crowd(void *arg)
{
    struct account *client;
    unsigned wait_s;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct cidr_address a = {.family = CIDR_V4, .ip = {198, 51, 100, (uint8_t)(i % 5)}};
        if (clients_connect(cs, &a, now_ns, &client) != 0)
            continue;
        if (clients_begin(cs, client, now_ns, &wait_s) == 0) {
            struct client_work *work = clients_work(cs, client, now_ns / 1000000);
            clients_end(client);
            clients_worked(work, now_ns / 1000000, 0);
        }
        clients_reset(cs, client, now_ns + i * RATE_SECOND);
        clients_disconnect(client);
    }
    return arg;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    struct account *client[CONNECTIONS];

    (void)state;
    conf.n_client_exempt = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    now_ns += 2 * ROUNDS * RATE_SECOND;
    for (int i = 0; i < CONNECTIONS; i++) /* nothing was left behind */
        client[i] = connected("198.51.100.1");
    assert_int_equal(client[0]->at_once[1], 0);
    for (int i = 0; i < CONNECTIONS; i++)
        clients_disconnect(client[i]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_who),        T(test_connections), T(test_many_lines),    T(test_requests),
        T(test_off),        T(test_resets),      T(test_steady_resets), T(test_cost),
        T(test_full_table), T(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
