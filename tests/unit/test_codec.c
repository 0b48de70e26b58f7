/* gateway/codec.h: what is encoded is decoded again by the libraries' own decoders. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <brotli/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "../../gateway/codec.h"

enum { MOST = 1 << 20 };

static const struct {
    enum coding coding;
    int first, last;
} levels[] = {{CODING_GZIP, 1, 9}, {CODING_BR, 0, 7}, {CODING_ZSTD, 1, 9}};
enum { N_CODINGS = sizeof(levels) / sizeof(levels[0]) };

static char *text, *noise;

/* What a decoder makes of in[0..n), though its end may be missing. */
static size_t decode(enum coding coding, const uint8_t *in, size_t n, uint8_t *out,
                     bool *ret_end)
{
    size_t left = MOST, got = 0;

    if (coding == CODING_GZIP) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
                      .avail_in = (uInt)n,
                      .next_out = out,
                      .avail_out = MOST};
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        int rc = inflate(&z, Z_SYNC_FLUSH);
        assert_true(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
        *ret_end = rc == Z_STREAM_END && z.avail_in == 0;
        got = MOST - z.avail_out;
        inflateEnd(&z);
    } else if (coding == CODING_BR) {
        BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        BrotliDecoderResult rc = BrotliDecoderDecompressStream(d, &n, &in, &left, &out, NULL);
        assert_int_not_equal(rc, BROTLI_DECODER_RESULT_ERROR);
        *ret_end = rc == BROTLI_DECODER_RESULT_SUCCESS && n == 0;
        got = MOST - left;
        BrotliDecoderDestroyInstance(d);
    } else {
        ZSTD_DCtx *d = ZSTD_createDCtx();
        ZSTD_inBuffer from = {in, n, 0};
        ZSTD_outBuffer to = {out, MOST, 0};
        size_t rc = 1;
        while (from.pos < from.size && rc != 0) {
            rc = ZSTD_decompressStream(d, &to, &from);
            assert_false(ZSTD_isError(rc));
        }
        *ret_end = rc == 0 && from.pos == from.size;
        got = to.pos;
        ZSTD_freeDCtx(d);
    }
    return got;
}

/* Do op with in, in outputs of room bytes, behind what out has of *n. */
static void step(struct codec *c, enum codec_op op, struct slice in, size_t room, uint8_t *out,
                 size_t *n)
{
    int rc = 0;

    while (rc == 0) {
        size_t made = SIZE_MAX;
        assert_true(*n + room <= 2 * MOST);
        rc = codec_step(c, op, &in, out + *n, room, &made);
        assert_true(rc >= 0);
        assert_true(made <= room);
        *n += made;
    }
    assert_int_equal(in.n, 0);
}

static uint8_t *encoded, *decoded;

static void check_whole(enum coding coding, size_t n, const char *what)
{
    bool end;

    assert_int_equal(decode(coding, encoded, n, decoded, &end), strlen(what));
    assert_memory_equal(decoded, what, strlen(what));
    assert_true(end);
}

/* Cut at each place, with each of some rooms. */
static void test_splits(void **state)
{
    const char *what = "a line, a line, a line, another line, and a line once more";
    static const size_t rooms[] = {1, 2, 7, 100};

    (void)state;
    for (size_t k = 0; k < N_CODINGS; k++) {
        for (size_t cut = 0; cut <= strlen(what); cut++) {
            struct codec *c = codec_new(levels[k].coding, levels[k].first, -1);
            size_t n = 0, room = rooms[cut % 4];
            assert_non_null(c);
            step(c, CODEC_RUN, slice_of(what, cut), room, encoded, &n);
            step(c, CODEC_END, slice_from(slice_str(what), cut), room, encoded, &n);
            check_whole(levels[k].coding, n, what);
            codec_free(c);
        }
    }
}

/* After a flush a decoder has every byte so far, though the stream goes on. */
static void test_flushes(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_CODINGS; k++) {
        struct codec *c = codec_new(levels[k].coding, levels[k].last, -1);
        size_t n = 0, sent = 0;
        bool end;
        assert_non_null(c);
        for (size_t size = 1; sent + size < 100000; size = size * 3 + 1) {
            size_t room = size < 100 ? 7 : 16384;
            step(c, CODEC_RUN, slice_of(text + sent, size), room, encoded, &n);
            step(c, CODEC_FLUSH, slice_of("", 0), room, encoded, &n);
            sent += size;
            assert_int_equal(decode(levels[k].coding, encoded, n, decoded, &end), sent);
            assert_memory_equal(decoded, text, sent);
            assert_false(end);
            size_t before = n;
            step(c, CODEC_FLUSH, slice_of("", 0), 100, encoded, &n); /* nothing new */
            assert_true(n - before < 16);
        }
        step(c, CODEC_END, slice_of("", 0), 100, encoded, &n);
        assert_int_equal(decode(levels[k].coding, encoded, n, decoded, &end), sent);
        assert_true(end);
        codec_free(c);
    }
}

/* What each level holds at most is what codec_cost() says, over any kind of body, known or not,
 * and it is not half of it. */
static void test_cost(void **state)
{
    char *const bodies[] = {text, noise};

    (void)state;
    for (size_t k = 0; k < N_CODINGS; k++) {
        for (int level = levels[k].first; level <= levels[k].last; level++) {
            size_t most = 0, cost = codec_cost(levels[k].coding, level);
            for (int i = 0; i < 4; i++) {
                struct codec *c =
                    codec_new(levels[k].coding, level, i % 2 ? (int64_t)MOST : (int64_t)-1);
                size_t n = 0;
                assert_non_null(c);
                for (size_t at = 0; at < MOST; at += 65536) {
                    step(c, CODEC_RUN, slice_of(bodies[i / 2] + at, 65536), 16384, encoded, &n);
                    if (codec_held(c) > most)
                        most = codec_held(c);
                }
                step(c, CODEC_END, slice_of("", 0), 16384, encoded, &n);
                codec_free(c);
            }
            if (most > cost || most < cost / 2)
                fail_msg("coding %d level %d holds %zu KiB, said %zu", (int)levels[k].coding,
                         level, most / 1024, cost / 1024);
        }
    }
}

/* A second response has nothing of the first, with another level. */
static void test_restart(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_CODINGS; k++) {
        struct codec *c = codec_new(levels[k].coding, levels[k].first, 100);
        size_t n = 0;
        assert_non_null(c);
        assert_int_equal(codec_coding(c), levels[k].coding);
        step(c, CODEC_RUN, SLICE("some of it that is given up"), 3, encoded, &n);
        if (levels[k].coding != CODING_BR) {
            assert_true(codec_restart(c, levels[k].last, -1));
            n = 0;
            step(c, CODEC_END, SLICE("the second"), 100, encoded, &n);
            check_whole(levels[k].coding, n, "the second");
            assert_true(codec_restart(c, levels[k].first, 5));
            n = 0;
            step(c, CODEC_END, SLICE("third"), 100, encoded, &n);
            check_whole(levels[k].coding, n, "third");
        } else {
            assert_false(codec_restart(c, 1, -1));
        }
        codec_free(c);
    }
}

/* Less than was pledged is no stream of zstd's: the caller hears of it. */
static void test_pledge(void **state)
{
    struct codec *c = codec_new(CODING_ZSTD, 3, 100);
    struct slice in = SLICE("too short"), none = SLICE("");
    uint8_t out[200];
    size_t n = 0;

    (void)state;
    assert_non_null(c);
    step(c, CODEC_RUN, in, sizeof(out), out, &n);
    assert_true(codec_step(c, CODEC_END, &none, out, sizeof(out), &n) < 0);
    codec_free(c);
    codec_free(NULL);
}

static int make_bodies(void **state)
{
    uint32_t r = 1;
    size_t at = 0;

    (void)state;
    text = malloc(MOST + 64);
    noise = malloc(MOST);
    encoded = malloc(2 * MOST + 100);
    decoded = malloc(MOST);
    if (!text || !noise || !encoded || !decoded)
        return -1;
    for (size_t i = 0; i < MOST; i++) {
        r = r * 1664525 + 1013904223;
        noise[i] = (char)(r >> 24);
    }
    while (at < MOST) {
        r = r * 1664525 + 1013904223;
        at += (size_t)snprintf(text + at, 64, "{\"id\": %u, \"name\": \"user %u\"},\n", r >> 8,
                               r >> 20);
    }
    return 0;
}

static int free_bodies(void **state)
{
    (void)state;
    free(text);
    free(noise);
    free(encoded);
    free(decoded);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits), cmocka_unit_test(test_flushes),
        cmocka_unit_test(test_cost),   cmocka_unit_test(test_restart),
        cmocka_unit_test(test_pledge),
    };
    return cmocka_run_group_tests(tests, make_bodies, free_bodies);
}
