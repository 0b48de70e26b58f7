#include "buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "spare.h"

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->data && b->cap - b->len >= n)
        return b->data + b->len;
    size_t used = buf_len(b);
    /* Moving pays only where at least as much was dropped as is moved: a full buffer that loses
     * and gains a few bytes at a time would be copied whole for each of them. */
    if (b->off >= used && b->data && b->cap - used >= n) {
        memmove(b->data, b->data + b->off, used);
    } else {
        size_t cap = b->cap ? b->cap * 2 : 256;
        if (n > SIZE_MAX / 4 || used > SIZE_MAX / 4)
            return NULL;
        if (!b->data && n > cap)
            cap = n; /* what begins large is often all there is */
        while (cap - used < n)
            cap *= 2;
        uint8_t *p = malloc(cap);
        if (!p)
            return NULL;
        if (b->data)
            memcpy(p, b->data + b->off, used);
        free(b->data);
        b->data = p;
        b->cap = cap;
    }
    b->off = 0;
    b->len = used;
    return b->data + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(b->cap - b->len >= n);
    b->len += n;
}

void buf_drop(struct buf *b, size_t n)
{
    assert(buf_len(b) >= n);
    b->off += n;
    if (b->off == b->len)
        b->off = b->len = 0;
}

void buf_clear(struct buf *b)
{
    b->off = b->len = 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
    uint8_t *at = buf_reserve(b, n);
    if (!at)
        return GW_ENO_MEMORY;
    if (n)
        memcpy(at, p, n);
    b->len += n;
    return 0;
}

int buf_puts(struct buf *b, struct slice s)
{
    return buf_append(b, s.p, s.n);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    uint8_t *at = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (at)
        b->len += (size_t)vsnprintf((char *)at, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return at ? 0 : GW_ENO_MEMORY;
}

struct chunk *chunk_new(size_t cap)
{
    if (cap > UINT32_MAX)
        return NULL;
    struct chunk *k = spare_alloc(sizeof(*k) + cap);
    if (!k)
        return NULL;
    k->next = NULL;
    k->off = k->len = 0;
    k->cap = (uint32_t)cap;
    return k;
}

void chunk_free(struct chunk *k)
{
    spare_free(k);
}

void chain_fini(struct chain *c)
{
    while (c->head) {
        struct chunk *k = c->head;
        c->head = k->next;
        chunk_free(k);
    }
    *c = (struct chain){0};
}

int chain_append(struct chain *c, const void *p, size_t n)
{
    const uint8_t *src = p;
    size_t room = c->tail ? c->tail->cap - c->tail->len : 0;
    size_t first = n < room ? n : room;
    struct chunk *k = NULL;

    if (n == 0)
        return 0;
    if (n > first) {
        /* Small bodies get a chunk of their size; what goes on growing gets whole ones. */
        size_t cap = n - first;
        if (c->head && cap < CHUNK_MAX / 4)
            cap = CHUNK_MAX / 4;
        k = chunk_new(cap);
        if (!k)
            return GW_ENO_MEMORY;
        memcpy(k->data, src + first, n - first);
        k->len = (uint32_t)(n - first);
    }
    if (first) {
        memcpy(c->tail->data + c->tail->len, src, first);
        c->tail->len += (uint32_t)first;
        c->n += first;
    }
    if (k)
        chain_append_chunk(c, k);
    return 0;
}

void chain_append_chunk(struct chain *c, struct chunk *k)
{
    if (k->off == k->len) {
        chunk_free(k); /* chain_front relies on every chunk having something to read */
        return;
    }
    k->next = NULL;
    if (c->tail)
        c->tail->next = k;
    else
        c->head = k;
    c->tail = k;
    c->n += k->len - k->off;
}

struct slice chain_front(const struct chain *c)
{
    if (!c->head)
        return slice_of(NULL, 0);
    return slice_of(c->head->data + c->head->off, c->head->len - c->head->off);
}

void chain_drop(struct chain *c, size_t n)
{
    assert(n <= c->n);
    c->n -= n;
    while (c->head) {
        struct chunk *k = c->head;
        size_t have = k->len - k->off;
        if (n < have) {
            k->off += (uint32_t)n;
            return;
        }
        n -= have;
        c->head = k->next;
        if (!c->head)
            c->tail = NULL;
        chunk_free(k);
    }
}

size_t chain_take(struct chain *c, void *dst, size_t n)
{
    uint8_t *out = dst;
    size_t done = 0;

    while (done < n && c->head) {
        struct slice s = chain_front(c);
        size_t k = s.n < n - done ? s.n : n - done;
        memcpy(out + done, s.p, k);
        chain_drop(c, k);
        done += k;
    }
    return done;
}

void chain_move(struct chain *dst, struct chain *src)
{
    if (!src->head)
        return;
    if (dst->tail)
        dst->tail->next = src->head;
    else
        dst->head = src->head;
    dst->tail = src->tail;
    dst->n += src->n;
    *src = (struct chain){0};
}
