/*
 * The connection takes them itself out of the page cache where it can (stream_send_file), so that
 * none wait in memory for a slow client; else, and from where the cache has no more, they are handed
 * over in chunks of 64 KiB as file_read.h reads them, until the stream's buffer is full.
 */
#include "files_send.h"

#include <stdlib.h>

#include "file_read.h"
#include "worker.h"

/* The handler's state is the file_read; the handler is through with s. */
static void send_end(struct stream *s)
{
    struct file_read *r = s->handler_state;

    s->handler_state = NULL;
    file_read_free(r);
}

static void send_pump(struct stream *s)
{
    struct file_read *r = s->handler_state;
    ssize_t buffered = 0;
    int err;

    while (file_read_left(r) > 0 && buffered < STREAM_OUT_HIGH) {
        struct chunk *k = file_read_next(r, &err);
        if (!k && err) {
            send_end(s);
            stream_error(s, err);
        }
        if (!k)
            return;
        buffered = stream_send_chunk(s, k);
        if (buffered < 0)
            return; /* the stream was aborted, and closed() was called */
    }
    if (file_read_left(r) == 0) {
        send_end(s);
        stream_finish(s);
    }
}

static void send_more(void *arg)
{
    send_pump(arg);
}

static void send_writable(struct stream *s)
{
    if (s->handler_state)
        send_pump(s);
}

static void send_closed(struct stream *s, int err)
{
    (void)err;
    if (s->handler_state)
        send_end(s);
}

static const struct handler files_handler = {
    .name = "files",
    .start = send_pump,
    .writable = send_writable,
    .closed = send_closed,
};

/* ---- out of the page cache ---- */

/* f's reference is taken over. */
static void send_read(struct stream *s, struct open_file *f, int64_t first, int64_t n)
{
    struct file_read *r =
        file_read_new(s->loop, worker_of(s)->writers, f, first, n, send_more, s);

    if (r)
        stream_handle(s, &files_handler, r);
    else
        stream_error(s, GW_ENO_MEMORY);
}

/* All was sent, or the rest cannot be sent so.  Its state is s->out. */
static void pass_writable(struct stream *s)
{
    struct file_piece rest;
    int err = stream_file_result(s, &rest);

    if (err)
        stream_error(s, err);
    else if (rest.n)
        send_read(s, open_file_ref(rest.file), rest.at, (int64_t)rest.n);
    else
        stream_finish(s);
}

static void pass_start(struct stream *s)
{
    (void)s;
}

static const struct handler pass_handler = {
    .name = "files",
    .start = pass_start,
    .writable = pass_writable,
};

void files_send(struct stream *s, struct open_file *f, struct range part)
{
    if (stream_send_file(s, f, part.first, part.n)) {
        open_file_unref(f);
        stream_handle(s, &pass_handler, NULL);
        return;
    }
    send_read(s, f, part.first, part.n);
}

struct chunk *files_read_small(struct file_cache *files, struct open_file *f, struct range part)
{
    if (part.n == 0 || part.n > CHUNK_MAX)
        return NULL;
    const uint8_t *bytes = file_cache_bytes(f);
    struct chunk *k = chunk_new((size_t)part.n);
    if (k && bytes) {
        memcpy(k->data, bytes + part.first, (size_t)part.n);
        k->len = (uint32_t)part.n;
        return k;
    }
    if (k && open_file_read_warm(f, k->data, k->cap, part.first) == (ssize_t)part.n) {
        k->len = (uint32_t)part.n;
        file_cache_keep(files, f, k->data, k->len);
        return k;
    }
    chunk_free(k);
    return NULL;
}
