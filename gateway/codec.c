#include "codec.h"

#include <brotli/encode.h>
#include <malloc.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "err.h"

enum {
    GZIP_WINDOW = 15 + 16, /* 32 KiB; 16 asks zlib for gzip's header and trailer */
    GZIP_MEMORY = 8,
    BR_WINDOW = 18, /* 256 KiB */
    BR_HINT_MOST = (1 << 20) - 1,
    ZSTD_WINDOW = 18,
};

struct codec {
    enum coding coding;
    size_t held; /* of gzip and br, whose memory comes from here */
    z_stream gzip;
    BrotliEncoderState *br;
    ZSTD_CCtx *zstd;
};

/* ---- memory ---- */

static void *take(void *opaque, size_t n)
{
    struct codec *c = opaque;
    void *p = malloc(n);

    if (p)
        c->held += malloc_usable_size(p);
    return p;
}

static void give(void *opaque, void *p)
{
    struct codec *c = opaque;

    if (p)
        c->held -= malloc_usable_size(p);
    free(p);
}

/* Measured over text and noise, with a tenth on top for other versions of the libraries; a test
 * does that again. */
static const uint16_t cost_kib[CODINGS][10] = {
    [CODING_GZIP] = {0, 288, 288, 288, 288, 288, 288, 288, 288, 288},
    [CODING_BR] = {300, 440, 2240, 2240, 3520, 4096, 5248, 12032},
    [CODING_ZSTD] = {0, 1184, 1408, 1984, 3392, 4544, 4544, 8000, 8000, 14700},
};

size_t codec_cost(enum coding coding, int level)
{
    return (size_t)cost_kib[coding][level] * 1024;
}

/* A KiB of what gzip finds hardest, two letters by chance, takes level 9 some 2 ms, where prose takes
 * 0.1, level 8 a quarter of that, level 6 a thirtieth: the most of a level takes some ms.  br and zstd
 * encode a block at a time (64 KiB, 128 KiB), however it comes in, but the two lowest levels of br
 * end one with each piece. */
size_t codec_piece(enum coding coding, int level)
{
    static const size_t pieces[CODINGS] = {
        [CODING_GZIP] = 16 * 1024, [CODING_BR] = 64 * 1024, [CODING_ZSTD] = 128 * 1024};

    if (coding == CODING_GZIP && level > 6)
        return level == 9 ? 1024 : 4 * 1024;
    return pieces[coding];
}

size_t codec_held(const struct codec *c)
{
    return sizeof(*c) + (c->coding == CODING_ZSTD ? ZSTD_sizeof_CCtx(c->zstd) : c->held);
}

enum coding codec_coding(const struct codec *c)
{
    return c->coding;
}

/* ---- gzip ---- */

static void *gzip_take(void *opaque, unsigned items, unsigned size)
{
    return take(opaque, (size_t)items * size);
}

static bool gzip_open(struct codec *c, int level, int64_t size)
{
    (void)size;
    c->gzip.zalloc = gzip_take;
    c->gzip.zfree = give;
    c->gzip.opaque = c;
    return deflateInit2(&c->gzip, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool gzip_restart(struct codec *c, int level, int64_t size)
{
    (void)size;
    return deflateReset(&c->gzip) == Z_OK &&
           deflateParams(&c->gzip, level, Z_DEFAULT_STRATEGY) == Z_OK;
}

static int gzip_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out,
                     size_t room, size_t *ret_n)
{
    static const int flush[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *z = &c->gzip;
    uInt most = in->n < UINT32_MAX ? (uInt)in->n : UINT32_MAX;

    z->next_in = (z_const Bytef *)(uintptr_t)in->p; /* zlib only reads it */
    z->avail_in = most;
    z->next_out = out;
    z->avail_out = room < UINT32_MAX ? (uInt)room : UINT32_MAX;
    int rc = deflate(z, flush[op]);
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return GW_ECODEC;
    *in = slice_from(*in, most - z->avail_in);
    *ret_n = (size_t)(z->next_out - out);
    if (op == CODEC_END)
        return rc == Z_STREAM_END;
    /* All is out when zlib left some of the room. */
    return in->n == 0 && z->avail_out > 0;
}

static void gzip_close(struct codec *c)
{
    (void)deflateEnd(&c->gzip); /* Z_DATA_ERROR: some was not let out, as with any abort */
}

/* ---- br ---- */

static bool br_open(struct codec *c, int level, int64_t size)
{
    c->br = BrotliEncoderCreateInstance(take, give, c);
    if (!c->br)
        return false;
    /* From a MiB on it would take tables for windows that are larger. */
    uint32_t hint = size < 0 ? 0 : size < BR_HINT_MOST ? (uint32_t)size : BR_HINT_MOST;
    return BrotliEncoderSetParameter(c->br, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
           BrotliEncoderSetParameter(c->br, BROTLI_PARAM_LGWIN, BR_WINDOW) &&
           BrotliEncoderSetParameter(c->br, BROTLI_PARAM_SIZE_HINT, hint);
}

static int br_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out,
                   size_t room, size_t *ret_n)
{
    static const BrotliEncoderOperation ops[] = {
        BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
    size_t n = in->n, left = room;
    const uint8_t *p = (const uint8_t *)in->p;

    if (!BrotliEncoderCompressStream(c->br, ops[op], &n, &p, &left, &out, NULL))
        return GW_ECODEC;
    *in = slice_from(*in, in->n - n);
    *ret_n = room - left;
    if (op == CODEC_END)
        return BrotliEncoderIsFinished(c->br);
    return n == 0 && !BrotliEncoderHasMoreOutput(c->br);
}

static void br_close(struct codec *c)
{
    if (c->br)
        BrotliEncoderDestroyInstance(c->br);
}

/* ---- zstd ---- */

static bool zstd_is(size_t rc)
{
    return !ZSTD_isError(rc);
}

static bool zstd_restart(struct codec *c, int level, int64_t size)
{
    unsigned long long pledge = size < 0 ? ZSTD_CONTENTSIZE_UNKNOWN : (unsigned long long)size;

    return zstd_is(ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only)) &&
           zstd_is(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level)) &&
           zstd_is(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, ZSTD_WINDOW)) &&
           zstd_is(ZSTD_CCtx_setPledgedSrcSize(c->zstd, pledge));
}

static bool zstd_open(struct codec *c, int level, int64_t size)
{
    c->zstd = ZSTD_createCCtx();
    return c->zstd && zstd_restart(c, level, size);
}

static int zstd_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out,
                     size_t room, size_t *ret_n)
{
    static const ZSTD_EndDirective ends[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer from = {.src = in->p, .size = in->n};
    ZSTD_outBuffer to = {.dst = out, .size = room};
    size_t more = ZSTD_compressStream2(c->zstd, &to, &from, ends[op]);

    if (ZSTD_isError(more))
        return GW_ECODEC;
    *in = slice_from(*in, from.pos);
    *ret_n = to.pos;
    /* What is left inside is of no matter before somebody asks for it. */
    return op == CODEC_RUN ? in->n == 0 : more == 0;
}

static void zstd_close(struct codec *c)
{
    ZSTD_freeCCtx(c->zstd);
}

/* ---- all of them ---- */

static const struct codec_kind {
    bool (*open)(struct codec *c, int level, int64_t size);
    bool (*restart)(struct codec *c, int level, int64_t size); /* NULL: it cannot */
    int (*step)(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out, size_t room,
                size_t *ret_n);
    void (*close)(struct codec *c); /* of a half-opened one, too */
} kinds[CODINGS] = {
    [CODING_GZIP] = {gzip_open, gzip_restart, gzip_step, gzip_close},
    [CODING_BR] = {br_open, NULL, br_step, br_close},
    [CODING_ZSTD] = {zstd_open, zstd_restart, zstd_step, zstd_close},
};

struct codec *codec_new(enum coding coding, int level, int64_t size)
{
    struct codec *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->coding = coding;
    if (kinds[coding].open(c, level, size))
        return c;
    codec_free(c);
    return NULL;
}

void codec_free(struct codec *c)
{
    if (c)
        kinds[c->coding].close(c);
    free(c);
}

bool codec_restart(struct codec *c, int level, int64_t size)
{
    const struct codec_kind *kind = &kinds[c->coding];

    return kind->restart && kind->restart(c, level, size);
}

int codec_step(struct codec *c, enum codec_op op, struct slice *in, uint8_t *out, size_t room,
               size_t *ret_n)
{
    return kinds[c->coding].step(c, op, in, out, room, ret_n);
}
