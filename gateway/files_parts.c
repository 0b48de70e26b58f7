/*
 * The parts are read one after the other, each as file_read.h reads it, with the text before each
 * between them.
 */
#include "files_parts.h"

#include <stdlib.h>
#include <sys/random.h>

#include "file_read.h"
#include "worker.h"

struct files_parts {
    struct multipart around;
    struct ranges ranges;
    unsigned next;          /* the part that comes when read is through */
    struct open_file *file; /* a reference of ours */
    struct file_read *read; /* of the part under way; NULL: its text is next */
};

struct files_parts *files_parts_new(struct stream *s, const struct ranges *ranges,
                                    struct slice type, int64_t size, int *ret_err)
{
    struct files_parts *p = arena_zalloc(&s->arena, sizeof(*p));
    unsigned char boundary[MULTIPART_BOUNDARY];

    *ret_err = GW_ENO_MEMORY;
    if (!p)
        return NULL;
    if (getrandom(boundary, sizeof(boundary), 0) != (ssize_t)sizeof(boundary)) {
        *ret_err = GW_EINTERNAL;
        return NULL;
    }
    p->ranges.n = ranges->n;
    memcpy(p->ranges.at, ranges->at, ranges->n * sizeof(ranges->at[0]));
    *ret_err = multipart_init(&p->around, &s->arena, &p->ranges, type, size, boundary);
    return *ret_err < 0 ? NULL : p;
}

struct slice files_parts_type(const struct files_parts *p)
{
    return p->around.type;
}

int64_t files_parts_length(const struct files_parts *p)
{
    return p->around.length;
}

/* The handler is through with s. */
static void parts_end(struct stream *s)
{
    struct files_parts *p = s->handler_state;

    s->handler_state = NULL;
    if (p->read)
        file_read_free(p->read);
    open_file_unref(p->file);
    p->read = NULL;
    p->file = NULL;
}

static void parts_more(void *arg);

static void parts_fail(struct stream *s, int err)
{
    parts_end(s);
    stream_error(s, err);
}

/* What is buffered, or < 0: s is over for us. */
static ssize_t send_text(struct stream *s, struct files_parts *p)
{
    struct slice text = p->around.text[p->next];

    return stream_send_body(s, text.p, text.n);
}

/* The text before the next part, which is then under way. */
static ssize_t begin_part(struct stream *s, struct files_parts *p)
{
    ssize_t buffered = send_text(s, p);

    if (buffered < 0)
        return buffered;
    struct range r = p->ranges.at[p->next++];
    p->read = file_read_new(s->loop, worker_of(s)->writers, open_file_ref(p->file), r.first,
                            r.n, parts_more, s);
    if (p->read)
        return buffered;
    parts_fail(s, GW_ENO_MEMORY);
    return -1;
}

/* Bytes of the part under way.  < 0: none for now, or s is over for us. */
static ssize_t send_part(struct stream *s, struct files_parts *p)
{
    int err;
    struct chunk *k = file_read_next(p->read, &err);

    if (!k) {
        if (err)
            parts_fail(s, err);
        return -1;
    }
    ssize_t buffered = stream_send_chunk(s, k);
    if (buffered >= 0 && file_read_left(p->read) == 0) {
        file_read_free(p->read);
        p->read = NULL;
    }
    return buffered;
}

static void parts_pump(struct stream *s)
{
    struct files_parts *p = s->handler_state;
    ssize_t buffered = 0;

    while (buffered < STREAM_OUT_HIGH && (p->read || p->next < p->ranges.n)) {
        buffered = p->read ? send_part(s, p) : begin_part(s, p);
        if (buffered < 0)
            return;
    }
    if (p->read || p->next < p->ranges.n)
        return; /* until writable */
    if (send_text(s, p) < 0)
        return;
    parts_end(s);
    stream_finish(s);
}

static void parts_more(void *arg)
{
    parts_pump(arg);
}

static void parts_writable(struct stream *s)
{
    if (s->handler_state)
        parts_pump(s);
}

static void parts_closed(struct stream *s, int err)
{
    (void)err;
    if (s->handler_state)
        parts_end(s);
}

static const struct handler parts_handler = {
    .name = "files",
    .start = parts_pump,
    .writable = parts_writable,
    .closed = parts_closed,
};

void files_parts_send(struct stream *s, struct open_file *f, struct files_parts *p)
{
    p->file = f;
    stream_handle(s, &parts_handler, p);
}
