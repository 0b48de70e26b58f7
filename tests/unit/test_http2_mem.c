#include "../../gateway/http2_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 4096, PAGES = 7 };

static ssize_t body(nghttp2_session *session, int32_t id, uint8_t *dst, size_t cap,
                    uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)id;
    (void)source;
    (void)user;
    assert_true(cap >= 2);
    memcpy(dst, "hi", 2);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 2;
}

struct peer {
    struct h2_mem mem;
    nghttp2_session *server, *client;
    unsigned n_answers; /* streams the client saw closed without an error */
};

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct peer *p = user;

    (void)session;
    (void)id;
    assert_int_equal(code, NGHTTP2_NO_ERROR);
    p->n_answers++;
    return 0;
}

static void move(nghttp2_session *from, nghttp2_session *to)
{
    const uint8_t *p;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(from, &p)) > 0)
        assert_int_equal(nghttp2_session_mem_recv(to, p, (size_t)n), n);
    assert_int_equal(n, 0);
}

static void exchange(struct peer *p)
{
    for (int i = 0; i < 3; i++) {
        move(p->client, p->server);
        move(p->server, p->client);
    }
}

#define NV(name, value)                                                                        \
    {                                                                                          \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name),             \
            strlen(value), NGHTTP2_NV_FLAG_NONE                                                \
    }

static void peer_open(struct peer *p)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    nghttp2_session_callbacks *cb;

    *p = (struct peer){0};
    assert_int_equal(h2_mem_open(&p->mem), 0);
    nghttp2_mem mem = h2_mem_functions(&p->mem);
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    assert_int_equal(nghttp2_session_server_new3(&p->server, cb, p, NULL, &mem), 0);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    assert_int_equal(nghttp2_session_client_new(&p->client, cb, p), 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(p->server, 0, settings, 1);
    nghttp2_submit_settings(p->client, 0, NULL, 0);
    exchange(p);
}

static void peer_close(struct peer *p)
{
    nghttp2_session_del(p->client);
    nghttp2_session_del(p->server);
    h2_mem_close(&p->mem);
}

static void ask(struct peer *p)
{
    static char value[800]; /* does not fit the frame's first bytes */
    memset(value, 'x', sizeof(value) - 1);
    const nghttp2_nv request[] = {NV(":method", "GET"), NV(":scheme", "https"),
                                  NV(":authority", "localhost"), NV(":path", "/")};
    const nghttp2_nv response[] = {NV(":status", "200"), NV("x-long", value)};
    nghttp2_data_provider provider = {.read_callback = body};

    int32_t id = nghttp2_submit_request(p->client, NULL, request, 4, NULL, NULL);
    assert_true(id > 0);
    move(p->client, p->server);
    assert_int_equal(nghttp2_submit_response(p->server, id, response, 2, &provider), 0);
    exchange(p);
}

/* A page of zeroes is the kernel's own: nobody wrote to it since it was mapped or given back.
 * (mincore counts those that were only read.) */
static unsigned n_written(const struct h2_mem *m)
{
    static const uint8_t zeroes[PAGE];
    unsigned n = 0;

    for (int i = 0; i < PAGES; i++)
        n += memcmp(m->base + i * PAGE, zeroes, PAGE) != 0;
    return n;
}

/* What the layout is for; another version of the library need not keep to it. */
static bool is_1_52(void)
{
    return nghttp2_version(0)->version_num == 0x013400;
}

static void test_idle_is_one_page(void **state)
{
    struct peer p;

    (void)state;
    if (!is_1_52())
        skip();
    peer_open(&p);
    assert_int_equal(n_written(&p.mem), 1);
    ask(&p);
    assert_true(n_written(&p.mem) > 1);
    h2_mem_cool(&p.mem);
    assert_int_equal(n_written(&p.mem), 1);
    peer_close(&p);
}

static void test_works_after_cooling(void **state)
{
    struct peer p;

    (void)state;
    peer_open(&p);
    for (unsigned i = 1; i <= 300; i++) { /* the rings go round */
        ask(&p);
        assert_int_equal(p.n_answers, i);
        h2_mem_cool(&p.mem);
        if (i % 3 == 0)
            h2_mem_cool(&p.mem);
    }
    peer_close(&p);
}

/* A stream whose response is not there yet is in the table when the pages are given back. */
static void test_open_stream_stays(void **state)
{
    const nghttp2_nv request[] = {NV(":method", "GET"), NV(":scheme", "https"),
                                  NV(":authority", "localhost"), NV(":path", "/")};
    const nghttp2_nv response[] = {NV(":status", "204")};
    struct peer p;

    (void)state;
    peer_open(&p);
    int32_t id = nghttp2_submit_request(p.client, NULL, request, 4, NULL, NULL);
    exchange(&p);
    h2_mem_cool(&p.mem);
    assert_non_null(nghttp2_session_find_stream(p.server, id));
    assert_int_equal(nghttp2_submit_response(p.server, id, response, 1, NULL), 0);
    exchange(&p);
    assert_int_equal(p.n_answers, 1);
    peer_close(&p);
}

/* Slots are found by size: each once, then it is malloc's turn; all of it may be written. */
static void test_slots(void **state)
{
    static const size_t sizes[] = {1024, 1024, 1024, 2928, 2928, 4096, 4096, 16394, 16394, 7};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    uint8_t *at[N];
    struct h2_mem m;

    (void)state;
    assert_int_equal(h2_mem_open(&m), 0);
    nghttp2_mem f = h2_mem_functions(&m);
    for (unsigned i = 0; i < N; i++) {
        at[i] = f.calloc(1, sizes[i], f.mem_user_data);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(at[i][k], 0);
        memset(at[i], (int)i + 1, sizes[i]);
    }
    for (unsigned i = 0; i < N; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(at[i][k], i + 1);
    at[0] = f.realloc(at[0], 2048, f.mem_user_data); /* leaves its slot */
    assert_non_null(at[0]);
    assert_int_equal(at[0][0], 1);
    assert_int_equal(at[0][1023], 1);
    assert_null(f.calloc(SIZE_MAX / 2, 3, f.mem_user_data));
    for (unsigned i = 0; i < N; i++)
        f.free(at[i], f.mem_user_data);
    f.free(NULL, f.mem_user_data);
    h2_mem_close(&m);
    h2_mem_close(&m);
}

/* A library of other sizes: nothing of what it has is given back. */
static void test_cool_unknown(void **state)
{
    struct h2_mem m;

    (void)state;
    assert_int_equal(h2_mem_open(&m), 0);
    nghttp2_mem f = h2_mem_functions(&m);
    uint8_t *p = f.malloc(16394, f.mem_user_data);
    assert_non_null(p);
    memset(p, 1, 16394);
    h2_mem_cool(&m);
    assert_int_equal(p[16393], 1);
    f.free(p, f.mem_user_data);
    h2_mem_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_cool_unknown),
        cmocka_unit_test(test_idle_is_one_page),
        cmocka_unit_test(test_works_after_cooling),
        cmocka_unit_test(test_open_stream_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
