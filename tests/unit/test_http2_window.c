/* Tests of gateway/http2_window.c: when a client may send more ahead. */
#include "http2_peer.h"

#include "../../gateway/http2_session.h"
#include "../../gateway/window.h"
#include "../../gateway/worker.h"

enum { KIB = 1024, MIB = 1024 * 1024, BASE = 64 * KIB, RTT = 100 };

static struct window_budget budget;
static struct worker worker;
static size_t behind; /* what the application has not taken */

static size_t body_behind(struct stream *s)
{
    (void)s;
    return behind;
}

static const struct handler handler = {.name = "test", .body_behind = body_behind};

static void say_nothing(struct stream *s)
{
    s->handler = &handler;
}

static int begin(void **state)
{
    setup(state);
    mock_limits.h2_stream_window_max = 8 * MIB;
    mock_limits.h2_connection_window = 64 * MIB;
    budget = (struct window_budget){.limit = 64 * MIB};
    worker = (struct worker){.windows = &budget};
    behind = 0;
    return 0;
}

static void give_much(void)
{
    mock_limits.h2_stream_window_max = 512 * MIB;
    mock_limits.h2_connection_window = 1024 * MIB;
    budget.limit = 1024 * MIB;
}

static struct peer *peer_begin(void)
{
    struct peer *p = peer_new();

    p->c.worker = &worker;
    mock_on_head = mock_on_body = say_nothing;
    mock_on_close = NULL;
    return p;
}

static struct stream *upload(struct peer *p, uint32_t id, const char *length)
{
    send_head(p, id, false, length ? PAIRS(POST, "content-length", length) : PAIRS(POST));
    pump(p);
    return stream_of(p, (int32_t)id);
}

/* n bytes come and are taken at once. */
static void come(struct peer *p, struct stream *s, size_t n)
{
    for (size_t left = n; left; left -= left < 16384 ? left : 16384)
        send_data(p, (uint32_t)s->id, false, left < 16384 ? left : 16384);
    feed(p, SIZE_MAX);
    assert_int_equal(p->rc, 0);
    mock_consume(s, n);
    produce(p, 64 * 1024);
}

static void pong(struct peer *p)
{
    send_frame(p, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "h2cgi rt", 8);
    pump(p);
}

static unsigned count(const struct peer *p, uint8_t type)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->n_frames; i++)
        n += p->frames[i].type == type;
    return n;
}

/* What stream 1 was given since the last come(). */
static uint32_t credit(const struct peer *p)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < p->n_frames; i++)
        if (p->frames[i].type == NGHTTP2_WINDOW_UPDATE && p->frames[i].id == 1)
            sum += (uint32_t)p->frames[i].payload[1] << 16 |
                   (uint32_t)p->frames[i].payload[2] << 8 | p->frames[i].payload[3];
    return sum;
}

/* With its round trip known: half a window came, was taken, and the PING came back. */
static struct stream *upload_known(struct peer *p, uint32_t id)
{
    struct stream *s = upload(p, id, NULL);

    come(p, s, BASE / 2);
    mock_now_ms += RTT;
    pong(p);
    return s;
}

static uint64_t window_of(const struct stream *s)
{
    return ((const struct h2_stream *)s->proto)->window;
}

static void test_grows(void **state)
{
    (void)state;
    give_much();
    mock_limits.h2_stream_window_max = 24 * MIB;
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);
    come(p, s, BASE / 2 - 1);
    assert_int_equal(p->n_frames, 0); /* a small body costs no PING */
    come(p, s, 1);
    assert_int_equal(count(p, NGHTTP2_PING), 1);
    mock_now_ms += RTT;
    pong(p);
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 16 * MIB);
    assert_int_equal(count(p, NGHTTP2_PING), 0); /* once is enough */
    assert_int_equal(credit(p), 16 * MIB - BASE / 2);
    mock_now_ms += 2 * RTT; /* it came within one: the window was known a round trip later */
    come(p, s, 8 * MIB);
    assert_int_equal(window_of(s), 24 * MIB); /* and no more */
    mock_now_ms += RTT;
    come(p, s, 12 * MIB);
    assert_int_equal(window_of(s), 24 * MIB);
    assert_int_equal(s->window_extra, 24 * MIB - BASE);
    assert_int_equal(budget.used, 24 * MIB - BASE);
    peer_free(p);
}

/* Half a window at a time, a large one in sixteenths; nothing of a window is lost on the way. */
static void test_credit(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);

    (void)state;
    come(p, s, BASE / 2 - 1);
    assert_int_equal(credit(p), 0);
    come(p, s, 1);
    assert_int_equal(credit(p), BASE / 2);
    http2_proto.widen(s, UINT64_MAX);
    produce(p, 64 * 1024);
    come(p, s, MIB / 2 - 1);
    assert_int_equal(credit(p), 0);
    come(p, s, 1);
    assert_int_equal(credit(p), MIB / 2);
    peer_free(p);
}

/* The path is longer than a look takes: the first step waits for no PONG. */
static void test_long_path(void **state)
{
    (void)state;
    give_much();
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);
    behind = BASE / 2; /* nothing was read yet, */
    come(p, s, BASE / 2);
    behind = 0; /* now it was */
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(window_of(s), 10 * MIB); /* what 10 ms can carry */
    peer_free(p);
}

/* The TLS handshake told already how long. */
static void test_handshake_tells(void **state)
{
    (void)state;
    give_much();
    struct peer *p = peer_begin();
    p->c.handshake_rtt_ms = RTT;
    struct stream *s = upload(p, 1, NULL);
    come(p, s, BASE / 2);
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(window_of(s), 16 * MIB);
    peer_free(p);
}

/* Nor is a round trip lost where it is known, because the application read a moment later. */
static void test_read_a_moment_later(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s;

    (void)state;
    upload_known(p, 1);
    s = upload(p, 3, NULL);
    behind = BASE / 2;
    come(p, s, BASE / 2);
    mock_now_ms += 10;
    mock_tick(); /* still nothing: no second look */
    assert_int_equal(window_of(s), BASE);
    behind = 0;
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(window_of(s), BASE);
    behind = BASE;
    come(p, s, BASE / 2);
    behind = 0;
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(window_of(s), 8 * MIB);
    peer_free(p);
}

/* The PONG came before the look: the path is short, and the stream's next half window tells. */
static void test_short_path(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);

    (void)state;
    come(p, s, BASE / 2);
    mock_now_ms += 1;
    pong(p);
    mock_now_ms += 9;
    mock_tick();
    assert_int_equal(window_of(s), BASE);
    peer_free(p);
}

/* Whom a look was meant for may be gone. */
static void test_look_at_nobody(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);

    (void)state;
    come(p, s, BASE / 2);
    send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    pump(p);
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(budget.used, 0);
    s = upload(p, 3, NULL);
    come(p, s, BASE / 2);
    p->c.dead = true; /* its streams are freed, but a writer thread has the lease */
    mock_now_ms += 10;
    mock_tick();
    assert_int_equal(budget.used, 0);
    p->c.dead = false;
    s = upload(p, 5, NULL);
    come(p, s, BASE / 2);
    peer_free(p); /* while one is meant */
}

/* From 16 MiB on for an application that is not far behind; and no more than can be used. */
static void test_very_large(void **state)
{
    (void)state;
    give_much();
    struct peer *p = peer_begin();
    upload_known(p, 1);
    struct stream *s = upload(p, 3, NULL);
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 16 * MIB);
    behind = 8 * MIB + 1;
    come(p, s, 8 * MIB);
    assert_int_equal(window_of(s), 16 * MIB);
    behind = 8 * MIB;
    come(p, s, 8 * MIB);
    assert_int_equal(window_of(s), 64 * MIB);
    behind = 0;
    come(p, s, 32 * MIB);
    assert_int_equal(window_of(s), (RTT + 1) * MIB);
    peer_free(p);
}

/* Where the round trip is short, a large one is no use. */
static void test_near(void **state)
{
    (void)state;
    give_much();
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);
    come(p, s, BASE / 2);
    mock_now_ms += 1;
    pong(p);
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 2 * MIB);
    come(p, s, MIB);
    assert_int_equal(window_of(s), 2 * MIB);
    peer_free(p);
}

/* Neither a client nor an application that is slow has use for it. */
static void test_slow_ones(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload_known(p, 1);

    (void)state;
    mock_now_ms += 2 * RTT; /* the client */
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    behind = BASE + 1; /* the application: a window's worth and more lies before it */
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    behind = SIZE_MAX;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    s->handler = NULL; /* nobody */
    mock_on_body = NULL;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    s->handler = &handler;
    behind = BASE;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 8 * MIB);
    peer_free(p);
}

/* The first half of a window says nothing of an application that may have read none of it. */
static void test_nothing_read(void **state)
{
    struct peer *p = peer_begin();

    (void)state;
    upload_known(p, 1);
    struct stream *s = upload(p, 3, NULL);
    behind = BASE / 2;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    behind = BASE;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    behind = BASE;
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 8 * MIB);
    peer_free(p);
}

/* Without a PONG, or with one that nobody asked for, it stays. */
static void test_no_pong(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s;

    (void)state;
    pong(p);
    s = upload(p, 1, NULL);
    for (int i = 0; i < 10; i++)
        come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    peer_free(p);
}

static void test_known_length(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s;

    (void)state;
    upload_known(p, 1);
    s = upload(p, 3, "65536");
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), BASE);
    s = upload(p, 5, "100000");
    come(p, s, BASE / 2);
    assert_int_equal(window_of(s), 100000);
    peer_free(p);
}

/* A body that is collected has it at once. */
static void test_widened(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL);

    (void)state;
    http2_proto.widen(s, UINT64_MAX);
    assert_int_equal(window_of(s), 8 * MIB);
    produce(p, 64 * 1024);
    assert_frames(p, "WINDOW_UPDATE 1 8323072");
    http2_proto.widen(s, UINT64_MAX);
    assert_int_equal(budget.used, 8 * MIB - BASE);
    peer_free(p);
}

/* n bytes come that nobody takes yet. */
static void wait_here(struct peer *p, const struct stream *s, size_t n)
{
    for (size_t left = n; left; left -= left < 16384 ? left : 16384)
        send_data(p, (uint32_t)s->id, false, left < 16384 ? left : 16384);
    feed(p, SIZE_MAX);
    assert_int_equal(p->rc, 0);
}

/* What is collected waits for a disk: beyond 4 MiB the socket is not read, until it is 1 MiB. */
static void test_the_socket_waits_for_the_disk(void **state)
{
    struct peer *p = peer_begin();
    struct stream *s = upload(p, 1, NULL), *other = upload(p, 3, NULL);

    (void)state;
    wait_here(p, other, BASE); /* an application does not read: nobody waits for it */
    http2_proto.widen(s, UINT64_MAX);
    wait_here(p, s, 4 * MIB);
    assert_false(p->c.read_paused);
    wait_here(p, s, 1);
    assert_true(p->c.read_paused);
    mock_consume(s, 3 * MIB);
    assert_true(p->c.read_paused);
    mock_consume(s, 1);
    assert_false(p->c.read_paused);
    wait_here(p, s, 3 * MIB + 1);
    assert_true(p->c.read_paused);
    s->over = true; /* answered without it: the rest is dropped as it comes */
    http2_proto.events(&p->c);
    assert_false(p->c.read_paused);
    s->over = false;
    http2_proto.events(&p->c);
    assert_true(p->c.read_paused);
    send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    feed(p, SIZE_MAX);
    assert_false(p->c.read_paused);
    peer_free(p);
}

/* Half of what is left, of the budget and of the connection; what is over is given back. */
static void test_budgets(void **state)
{
    struct peer *p = peer_begin();
    uint64_t sum = 0;

    (void)state;
    mock_limits.h2_connection_window = 16 * MIB;
    budget.limit = 6 * MIB;
    for (uint32_t id = 1; id < 41; id += 2) {
        struct stream *s = upload(p, id, NULL);
        http2_proto.widen(s, UINT64_MAX);
        if (id == 1)
            assert_int_equal(window_of(s), BASE + 3 * MIB);
        sum += s->window_extra;
        assert_true(budget.used == sum && sum <= 6 * MIB);
    }
    budget.used = 0;
    budget.limit = 64 * MIB;
    struct stream *s = upload(p, 41, NULL);
    http2_proto.widen(s, UINT64_MAX);
    assert_in_range(window_of(s), BASE + MIB, BASE + MIB + MIB / 2); /* (8 - 6) / 2 */
    send_u32(p, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    pump(p);
    s = upload(p, 43, NULL);
    http2_proto.widen(s, UINT64_MAX);
    assert_true(window_of(s) > BASE + MIB + MIB / 2); /* the first one's share is free again */
    peer_free(p);
}

static void test_window_budget(void **state)
{
    struct window_budget b = {.limit = 100};

    (void)state;
    assert_int_equal(window_take(&b, 10), 10);
    assert_int_equal(window_take(&b, 80), 45);
    assert_int_equal(window_take(&b, 80), 22);
    window_give(&b, 77);
    assert_int_equal(b.used, 0);
    b.limit = 0;
    assert_int_equal(window_take(&b, 80), 0);
    b = (struct window_budget){.limit = 10, .used = 20}; /* a reload may lower it */
    assert_int_equal(window_take(&b, 80), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_grows, begin),
        cmocka_unit_test_setup(test_credit, begin),
        cmocka_unit_test_setup(test_very_large, begin),
        cmocka_unit_test_setup(test_near, begin),
        cmocka_unit_test_setup(test_long_path, begin),
        cmocka_unit_test_setup(test_handshake_tells, begin),
        cmocka_unit_test_setup(test_read_a_moment_later, begin),
        cmocka_unit_test_setup(test_short_path, begin),
        cmocka_unit_test_setup(test_look_at_nobody, begin),
        cmocka_unit_test_setup(test_slow_ones, begin),
        cmocka_unit_test_setup(test_nothing_read, begin),
        cmocka_unit_test_setup(test_no_pong, begin),
        cmocka_unit_test_setup(test_known_length, begin),
        cmocka_unit_test_setup(test_widened, begin),
        cmocka_unit_test_setup(test_the_socket_waits_for_the_disk, begin),
        cmocka_unit_test_setup(test_budgets, begin),
        cmocka_unit_test_setup(test_window_budget, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
