/*
 * What a web server sends to the runner: split input gives the same events, body and answers as
 * whole input.  The first byte says where to cut.
 */
#include <assert.h>
#include <string.h>

#include "../../fcgi/runner_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static bool same(const struct buf *a, const struct buf *b)
{
    return buf_len(a) == buf_len(b) &&
           (buf_len(a) == 0 || memcmp(buf_at(a), buf_at(b), buf_len(a)) == 0);
}

/* Note what in[0..len) makes; false once the connection is broken.  Every other request is
 * ended as soon as its head is there, so that the rest of its body is skipped. */
static bool feed(struct runner_conn *c, const uint8_t *in, size_t len, struct buf *seen)
{
    memcpy(c->in->data, in, len);
    c->in->off = 0;
    c->in->len = len;
    for (;;) {
        enum runner_event event = runner_conn_next(c);
        if (event == RUNNER_MORE || event == RUNNER_BROKEN)
            return event == RUNNER_MORE;
        if (event == RUNNER_BODY) {
            assert(buf_puts(seen, c->body) == 0);
            continue;
        }
        assert(buf_printf(seen, "[%d %zu]", event, c->env.n) == 0);
        if (event == RUNNER_ABORT || (event == RUNNER_HEAD && c->id % 2))
            assert(runner_conn_end(c, 0) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static struct runner_input input;
    struct runner_conn one, two;
    struct buf whole = {0}, split = {0};

    if (len < 1 || len > sizeof(input.data))
        return 0;
    size_t cut = in[0] % len;
    in++;
    len--;
    runner_conn_init(&one, -1, &input);
    runner_conn_init(&two, -1, &input);
    bool a = feed(&one, in, len, &whole);
    bool b = feed(&two, in, cut, &split) && feed(&two, in + cut, len - cut, &split);
    assert(a == b && same(&whole, &split) && same(&one.out, &two.out));
    runner_conn_fini(&one);
    runner_conn_fini(&two);
    buf_fini(&whole);
    buf_fini(&split);
    return 0;
}
