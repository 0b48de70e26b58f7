/* gateway/acceptor.h: what is read of a connection before a worker gets it, which worker that is,
 * and limits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../../gateway/acceptor.h"
#include "../../gateway/clients.h"
#include "../../gateway/counters.h"
#include "../../gateway/proxyproto.h"
#include "loop_world.h"

enum { N_WORKERS = 3 };

static struct conf conf;
static struct conf_listen section;
static struct worker workers[N_WORKERS];
static struct loop *l;
static struct acceptor *a;
static struct clients *accounts;
static uint16_t port;
static int clients[8];
static unsigned n_clients;

/* What a worker was given last. */
static struct {
    unsigned n, worker;
    struct conn_accepted accepted;
    uint8_t first[PROXY_MAX];
    size_t n_first;
    bool refuses;
} given;

int worker_give(struct worker *w, const struct conn_accepted *accepted, const uint8_t *first,
                size_t n)
{
    if (given.refuses)
        return GW_ENO_MEMORY;
    given.n++;
    given.worker = (unsigned)(w - workers);
    given.accepted = *accepted;
    assert_true(n <= sizeof(given.first));
    if (n)
        memcpy(given.first, first, n);
    given.n_first = n;
    close(accepted->fd);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&given, 0, sizeof(given));
    memset(workers, 0, sizeof(workers));
    n_clients = 0;
    section = (struct conf_listen){.name = "x"};
    conf = (struct conf){
        .gateway = {.head_timeout_ms = 60000, .max_connections = 100, .client_table = 1024}};
    accounts = workers[0].clients = clients_new(&conf.gateway);
    assert_non_null(accounts);
    l = world_loop();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    acceptor_free(a);
    clients_free(accounts);
    while (n_clients)
        close(clients[--n_clients]);
    loop_free(l);
    return 0;
}

static void open_acceptor(bool tls)
{
    union sockaddr_any at = {.in = {.sin_family = AF_INET}};
    socklen_t len = sizeof(at.in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    at.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, &at.sa, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, &at.sa, &len), 0);
    port = at.in.sin_port;
    const struct gateway_listener listener = {.fd = fd, .tls = tls, .conf = &section};
    static struct gateway_listener kept;
    kept = listener;
    const struct gateway_setup s = {.conf = &conf, .listeners = &kept, .n_listeners = 1};
    a = acceptor_new(l, &s, workers, N_WORKERS);
    assert_non_null(a);
}

static int connect_one(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)), 0);
    assert_true(n_clients < 8);
    clients[n_clients++] = fd;
    return fd;
}

static void say(int fd, const char *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static bool is_given(void *arg)
{
    return given.n == *(unsigned *)arg;
}

static void expect_given(unsigned n)
{
    assert_true(world_until(l, is_given, &n));
}

static bool is_closed(void *arg)
{
    char byte;
    ssize_t n = recv(*(int *)arg, &byte, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* TLS is the worker's business from the first byte. */
static void test_tls(void **state)
{
    (void)state;
    open_acceptor(true);
    connect_one();
    expect_given(1);
    assert_true(given.accepted.tls);
    assert_int_equal(given.n_first, 0);
    assert_int_equal(given.accepted.peer.sa.sa_family, AF_INET);
    assert_int_equal(given.accepted.local.in.sin_port, port);
}

/* The preface and what differs from it somewhere, in two pieces, cut everywhere. */
static void test_preface(void **state)
{
    static const struct {
        const char *text;
        size_t decided; /* bytes that tell */
    } rows[] = {
        {H2_PREFACE, 24},
        {"GET / HTTP/1.1\r\n", 1},
        {"POST / HTTP/1.1\r\n", 2},
        {"PRI * HTTP/1.1\r\n\r\n", 12},
        {"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", 20},
        {"\r\nGET /", 1},
    };
    unsigned n = 0;

    (void)state;
    open_acceptor(false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text) < 24 ? strlen(rows[i].text) : 24;
        for (size_t cut = 0; cut <= len; cut++) {
            int fd = connect_one();
            if (cut) {
                say(fd, rows[i].text, cut);
                world_turns(l, 2);
            }
            if (cut < rows[i].decided) {
                world_poll(l);
                assert_int_equal(given.n, n);
                say(fd, rows[i].text + cut, len - cut);
            }
            expect_given(++n);
            assert_false(given.accepted.tls);
            assert_true(given.n_first >= rows[i].decided && given.n_first <= len);
            assert_memory_equal(given.first, rows[i].text, given.n_first);
            close(clients[--n_clients]);
        }
    }
}

static void test_gone_before_it_spoke(void **state)
{
    (void)state;
    open_acceptor(false);
    int fd = connect_one();
    say(fd, "PR", 2);
    world_turns(l, 2);
    close(clients[--n_clients]);
    world_turns(l, 3);
    assert_int_equal(given.n, 0);
    fd = connect_one(); /* and others are served */
    say(fd, "GET", 3);
    expect_given(1);
}

static void test_silent(void **state)
{
    (void)state;
    conf.gateway.head_timeout_ms = 60;
    open_acceptor(false);
    int fd = connect_one();
    world_turns(l, 1);
    assert_false(is_closed(&fd));
    assert_true(world_until(l, is_closed, &fd));
    assert_int_equal(given.n, 0);
}

/* ---- PROXY headers ---- */

static struct cidr_rule trusted = {.outer = -1};

static void open_proxied(bool tls, const char *who)
{
    assert_null(cidr_parse(slice_str(who), &trusted.block));
    conf.gateway.trusted_proxies = (struct cidr_set){&trusted, 1};
    section.proxy_protocol = true;
    open_acceptor(tls);
}

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.9 5 6\r\n"

static void expect_ends(void)
{
    assert_int_equal(ntohl(given.accepted.peer.in.sin_addr.s_addr), 0xc0000201);
    assert_int_equal(ntohs(given.accepted.peer.in.sin_port), 5);
    assert_int_equal(ntohl(given.accepted.local.in.sin_addr.s_addr), 0xc6336409);
    assert_int_equal(ntohs(given.accepted.local.in.sin_port), 6);
}

/* In two pieces, cut everywhere, with and without bytes behind it. */
static void proxied(bool tls, const char *first, size_t enough)
{
    char text[128];
    size_t head = strlen(LINE), len = (size_t)snprintf(text, sizeof(text), LINE "%s", first);
    unsigned n = 0;

    open_proxied(tls, "127.0.0.0/8");
    for (size_t cut = 0; cut <= len; cut++) {
        int fd = connect_one();
        if (cut) {
            say(fd, text, cut);
            world_turns(l, 2);
        }
        if (cut < head + enough) {
            world_poll(l);
            assert_int_equal(given.n, n);
            say(fd, text + cut, len - cut);
        }
        expect_given(++n);
        expect_ends();
        assert_int_equal(given.accepted.https, tls);
        assert_true(given.n_first >= enough && given.n_first <= len - head);
        assert_memory_equal(given.first, first, given.n_first);
        close(clients[--n_clients]);
    }
}

static void test_proxied_plain(void **state)
{
    (void)state;
    proxied(false, "GET / HTTP/1.1\r\n", 1);
}

static void test_proxied_preface(void **state)
{
    (void)state;
    proxied(false, H2_PREFACE, 24);
}

static void test_proxied_tls(void **state)
{
    (void)state;
    proxied(true, "\x16\x03\x01", 0);
}

/* More behind the header than anybody decides by. */
static void test_proxied_long(void **state)
{
    char text[3000] = LINE H2_PREFACE;
    size_t head = strlen(LINE);

    (void)state;
    memset(text + strlen(text), 'x', sizeof(text) - strlen(text));
    open_proxied(false, "127.0.0.0/8");
    say(connect_one(), text, sizeof(text));
    expect_given(1);
    assert_int_equal(given.n_first, sizeof(text) - head);
    assert_memory_equal(given.first, text + head, sizeof(text) - head);
}

/* A check of the proxy's own, and a client that it does not name: the ends are the socket's. */
static void test_proxied_unnamed(void **state)
{
    static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET /",
                      tls[] = "\r\n\r\n\0\r\nQUIT\n\x21\0\0\x08\x20\0\5\1\0\0\0\0GET /";

    (void)state;
    open_proxied(false, "127.0.0.0/8");
    say(connect_one(), local, sizeof(local) - 1);
    expect_given(1);
    assert_true(given.accepted.unnamed && !given.accepted.https);
    assert_int_equal(given.accepted.peer.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(given.accepted.local.in.sin_port, port);
    say(connect_one(), tls, sizeof(tls) - 1);
    expect_given(2);
    assert_true(given.accepted.unnamed && given.accepted.https);
}

static void expect_refused(const char *text, enum counter counter)
{
    uint64_t before = counter_get(counter);
    int fd = connect_one();

    if (text)
        say(fd, text, strlen(text));
    assert_true(world_until(l, is_closed, &fd));
    assert_int_equal(given.n, 0);
    assert_int_equal(counter_get(counter), before + 1);
}

static void test_proxied_refused(void **state)
{
    (void)state;
    open_proxied(true, "127.0.0.0/8");
    expect_refused("GET / HTTP/1.1\r\n", COUNTER_PROXY_HEADER);
    expect_refused("\x16\x03\x01", COUNTER_PROXY_HEADER);
    expect_refused("PROXY TCP4 1.1.1.1 2.2.2.2 1 1\n", COUNTER_PROXY_HEADER);
    static struct cidr_rule guest = {.says = 0, .outer = -1};
    static const struct access access = {{&guest, 1}, true};
    assert_null(cidr_parse(SLICE("192.0.2.1"), &guest.block));
    section.access = &access; /* of the client, not of the proxy */
    expect_refused(LINE, COUNTER_LISTEN_DENY);
}

static void test_proxied_untrusted(void **state)
{
    (void)state;
    open_proxied(false, "192.0.2.0/24");
    expect_refused(NULL, COUNTER_PROXY_UNTRUSTED);
}

static void test_proxied_silent(void **state)
{
    (void)state;
    conf.gateway.head_timeout_ms = 60;
    open_proxied(true, "127.0.0.0/8");
    expect_refused("PROX", COUNTER_PROXY_HEADER);
    uint64_t before = counter_get(COUNTER_PROXY_HEADER);
    connect_one(); /* a check that only connects is no trouble */
    close(clients[--n_clients]);
    world_turns(l, 3);
    assert_int_equal(counter_get(COUNTER_PROXY_HEADER), before);
}

static void test_least_loaded(void **state)
{
    static const struct {
        unsigned streams[N_WORKERS], conns[N_WORKERS], want;
    } rows[] = {
        {{1, 0, 1}, {0, 9, 0}, 1}, /* streams first */
        {{2, 2, 2}, {5, 4, 3}, 2}, /* then connections */
        {{3, 1, 1}, {0, 7, 6}, 2},
    };
    unsigned seen = 0, n = 0;

    (void)state;
    open_acceptor(true);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned k = 0; k < N_WORKERS; k++) {
            atomic_store(&workers[k].n_streams, rows[i].streams[k]);
            atomic_store(&workers[k].n_conns, rows[i].conns[k]);
        }
        connect_one();
        expect_given(++n);
        assert_int_equal(given.worker, rows[i].want);
    }
    memset(workers, 0, sizeof(workers));
    for (unsigned k = 0; k < N_WORKERS; k++) { /* then in turn */
        connect_one();
        expect_given(++n);
        seen |= 1u << given.worker;
    }
    assert_int_equal(seen, 7);
}

static void test_max_connections(void **state)
{
    (void)state;
    conf.gateway.max_connections = 5;
    open_acceptor(true);
    atomic_store(&workers[1].n_conns, 5);
    connect_one();
    world_for(l, 150);
    assert_int_equal(given.n, 0);
    atomic_store(&workers[1].n_conns, 4);
    expect_given(1);
}

/* Those that have not spoken count, too. */
static void test_max_silent_connections(void **state)
{
    (void)state;
    conf.gateway.max_connections = 2;
    open_acceptor(false);
    int first = connect_one();
    connect_one();
    int third = connect_one();
    say(third, "GET", 3);
    world_for(l, 150);
    assert_int_equal(given.n, 0);
    say(first, "GET", 3);
    expect_given(2);
}

static void test_no_memory_for_it(void **state)
{
    (void)state;
    open_acceptor(false);
    given.refuses = true;
    int fd = connect_one();
    say(fd, "GET", 3);
    assert_true(world_until(l, is_closed, &fd));
}

/* Over client_connections the next is closed at once; each that ends makes room. */
static void test_client_connections(void **state)
{
    (void)state;
    conf.gateway.client_connections = 2;
    open_acceptor(false);
    int first = connect_one();
    connect_one();
    int third = connect_one();
    assert_true(world_until(l, is_closed, &third));
    say(first, "GET", 3);
    expect_given(1);
    third = connect_one(); /* the account went along */
    assert_true(world_until(l, is_closed, &third));
    clients_disconnect(given.accepted.client);
    third = connect_one();
    say(third, "GET", 3);
    expect_given(2);
    clients_disconnect(given.accepted.client);
    given.refuses = true; /* what comes to nothing gives it back */
    for (int i = 0; i < 2; i++) {
        third = connect_one();
        say(third, "GET", 3);
        assert_true(world_until(l, is_closed, &third));
        close(clients[--n_clients]);
    }
    given.refuses = false;
    third = connect_one();
    say(third, "GET", 3);
    expect_given(3);
}

static void test_stop(void **state)
{
    (void)state;
    open_acceptor(false);
    int fd = connect_one();
    world_turns(l, 2);
    acceptor_stop(a);
    acceptor_stop(a);
    assert_true(world_until(l, is_closed, &fd));
    assert_int_equal(given.n, 0);
    world_turns(l, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_tls),
        T(test_preface),
        T(test_gone_before_it_spoke),
        T(test_silent),
        T(test_least_loaded),
        T(test_max_connections),
        T(test_max_silent_connections),
        T(test_no_memory_for_it),
        T(test_client_connections),
        T(test_stop),
        T(test_proxied_plain),
        T(test_proxied_preface),
        T(test_proxied_tls),
        T(test_proxied_long),
        T(test_proxied_unnamed),
        T(test_proxied_refused),
        T(test_proxied_untrusted),
        T(test_proxied_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
