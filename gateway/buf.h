/*
 * gateway/buf.h - bytes on their way: a growing buffer and a chain of chunks.
 *
 * struct buf     one contiguous run; for what must be contiguous (heads, parameters, a socket's
 * output)
 *
 *     data ........ data+off ........ data+len ........ data+cap
 *                   [unread, buf_len]  [room, buf_reserve]
 *
 * struct chain   chunks taken at the front, added at the back; for bodies
 *
 * Result   0, or GW_ENO_MEMORY with nothing changed
 * Threads  one at a time
 * Memory   both own their bytes; _fini frees them.  A zeroed struct is an empty one.
 */
#ifndef GATEWAY_BUF_H
#define GATEWAY_BUF_H

#include "slice.h"

struct buf {
    uint8_t *data;
    size_t off, len, cap;
};

static inline size_t buf_len(const struct buf *b)
{
    return b->len - b->off;
}

static inline uint8_t *buf_at(const struct buf *b)
{
    return b->data ? b->data + b->off : NULL; /* NULL + 0 is undefined too */
}

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(buf_at(b), b->len - b->off);
}

void buf_fini(struct buf *b);

/* Make room for n more bytes behind the unread ones and point at it, or NULL.  buf_commit adds
 * what was written there.  buf_drop takes n bytes from the front. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
void buf_drop(struct buf *b, size_t n);
void buf_clear(struct buf *b); /* keeps the memory */

int buf_append(struct buf *b, const void *p, size_t n);
int buf_puts(struct buf *b, struct slice s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct chunk {
    struct chunk *next;
    uint32_t off, len, cap; /* unread is data[off..len) */
    uint8_t data[];
};

struct chain {
    struct chunk *head, *tail;
    size_t n; /* unread bytes in all chunks */
};

enum { CHUNK_MAX = 64 * 1024 };

/* An empty chunk with room for cap bytes, or NULL. */
struct chunk *chunk_new(size_t cap);
void chunk_free(struct chunk *k); /* also NULL */

void chain_fini(struct chain *c); /* also: make it empty */

/* Copy p[0..n) to the end, filling the last chunk's room first. */
int chain_append(struct chain *c, const void *p, size_t n);

/* Hand over a chunk that may be partly filled. */
void chain_append_chunk(struct chain *c, struct chunk *k);

/* The unread bytes of the first chunk; n = 0 when the chain is empty. */
struct slice chain_front(const struct chain *c);
void chain_drop(struct chain *c, size_t n);

/* Copy up to n bytes from the front into dst and drop them; the number copied. */
size_t chain_take(struct chain *c, void *dst, size_t n);

/* Move everything of src to the end of dst; src is empty after. */
void chain_move(struct chain *dst, struct chain *src);

#endif
