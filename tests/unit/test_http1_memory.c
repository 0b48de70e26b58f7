/*
 * Conversations over HTTP/1.1 in which the first, second, ... nth allocation fails: whatever it
 * was, the connection ends or the answer is whole, and nothing is lost.
 */
#include "http1_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
/* glibc's own, so that ours can stand in front of them. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);

void *malloc(size_t n)
{
    return alloc_fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return alloc_fails() ? NULL : __libc_calloc(n, size);
}
#endif

static const char *const talks[] = {
    GET("/hello") GET("/stream") "GET /hel",
    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET http://b?q HTTP/1.1\r\n" HOST "\r\n",
    "GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n",
    "POST /duplex HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab" GET("/slow"),
};

/* The talk with its nth allocation failing.  false: it has fewer. */
static bool talk_fails(const char *talk, unsigned nth, size_t step)
{
    begin();
    t.fail_at = nth;
    for (const char *at = talk; *at; at += strnlen(at, step))
        input(at, strnlen(at, step));
    bool failed = t.fail_at == 0;
    if (!failed)
        assert_true(t.n_out > 0 && t.broken == 0);
    t.fail_at = 0;
    end();
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    unsigned n_failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
        for (size_t step = 1; step < 100; step += 7) {
            for (unsigned nth = 1; talk_fails(talks[i], nth, step); nth++)
                n_failed++;
        }
    }
#ifndef SANITIZED
    assert_true(n_failed > 100);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
