/*
 * Includes gateway/http2*.c and what they allocate with, to make the 1st, 2nd, ... nth
 * allocation fail, the library's included: whatever fails, a stream is reset or the connection
 * is ended, and nothing is lost or freed twice.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static int fail_at; /* 0: never */
static bool has_failed;

static bool fails(void)
{
    if (fail_at <= 0 || --fail_at > 0)
        return false;
    has_failed = true;
    return true;
}

static void *failing_malloc(size_t n)
{
    return fails() ? NULL : malloc(n);
}

static void *failing_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *p, size_t n)
{
    return fails() ? NULL : realloc(p, n);
}

#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc

#include "../../gateway/arena.c"
#include "../../gateway/buf.c"
#include "../../gateway/http2.c"
#include "../../gateway/http2_callbacks.c"
#include "../../gateway/http2_head.c"
#include "../../gateway/http2_linger.c"
#include "../../gateway/http2_mem.c"
#include "../../gateway/http2_response.c"
#include "../../gateway/spare.c"

#undef malloc
#undef calloc
#undef realloc

#include "http2_mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* The connection's own rule is to leave a session behind whose library ran out of memory. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static const struct field reply[] = {{{"Content-Type", 12}, {"text/plain", 10}},
                                     {{"X-Long", 6}, {"abcdefghijklmnopqrstuvwxyz", 26}}};

static unsigned n_closed;

static void reply_to(struct stream *s)
{
    if (http2_proto.send_interim(s, 103, reply, 2) < 0 ||
        mock_send_head(s, 200, reply, 2, -1) < 0) {
        http2_proto.reset(s, GW_ENO_MEMORY);
        return;
    }
    mock_send_body(s, "hello", 5);
    if (s->id != 3)
        mock_finish(s);
}

static void take_body(struct stream *s)
{
    mock_consume(s, s->in.n);
    if (s->in_eof)
        mock_finish(s);
}

static void count_close(struct stream *s, int err)
{
    (void)s;
    (void)err;
    n_closed++;
}

/* Preface; GET / with two cookies on 1, POST with a body on 3, which is made to wait, a request
 * that is malformed on 5, one that is reset on 7. */
static const char script[] = H2_PREFACE "\0\0\0\4\0\0\0\0\0"
                                        "\0\0\0\4\1\0\0\0\0"
                                        "\0\0\x11\1\5\0\0\0\1\x82\x86\x84\x41\1a"
                                        "\x60\3a=b\x60\3c=d\x90"
                                        "\0\0\6\1\4\0\0\0\3\x83\x86\x84\x41\1a"
                                        "\0\0\5\0\0\0\0\0\3abcde"
                                        "\0\0\3\1\5\0\0\0\5\x82\x86\x84"
                                        "\0\0\6\1\5\0\0\0\7\x82\x86\x84\x41\1a"
                                        "\0\0\4\3\0\0\0\0\7\0\0\0\x8"
                                        "\0\0\x8\6\0\0\0\0\0pingpong"
                                        "\0\0\5\0\1\0\0\0\3fghij";

/* All of it, in pieces; how it ended. */
static int run(size_t piece, struct buf *out)
{
    struct conn c;
    int rc = 0;

    n_closed = 0;
    mock_on_head = reply_to;
    mock_on_body = take_body;
    mock_on_close = count_close;
    if (mock_open(&c) < 0) {
        lock_fini(&c.mu);
        return GW_ENO_MEMORY;
    }
    for (size_t at = 0; at < sizeof(script) - 1 && rc >= 0 && !c.ends; at += piece) {
        size_t k = sizeof(script) - 1 - at < piece ? sizeof(script) - 1 - at : piece;
        rc = http2_proto.input(&c, (const uint8_t *)script + at, k);
        http2_proto.events(&c);
        if (rc >= 0)
            rc = mock_produce(&c, 32 * 1024, out);
    }
    mock_close(&c);
    return rc;
}

static void test_each_allocation_fails(void **state)
{
    static const size_t pieces[] = {sizeof(script), 40, 9};

    (void)state;
    for (size_t p = 0; p < 3; p++) {
        struct buf out = {0};
        int n = 0;
        do {
            mock_defaults();
            assert_non_null(buf_reserve(&out, 64 * 1024));
            buf_clear(&out);
            spare_thread_fini(); /* malloc is asked for all of it */
            has_failed = false;
            fail_at = ++n;
            if (__lsan_disable)
                __lsan_disable();
            int rc = run(pieces[p], &out);
            if (__lsan_enable)
                __lsan_enable();
            fail_at = 0;
            assert_true(rc >= GW_ENO_MEMORY); /* never blamed on the client */
            if (!has_failed)
                assert_true(rc >= 0 && n_closed == 4);
        } while (has_failed && n < 10000);
        assert_in_range(n, 30, 1000); /* what a thread has spare is not asked for */
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),
    };

    return cmocka_run_group_tests_name("http2_memory", tests, NULL, NULL);
}
