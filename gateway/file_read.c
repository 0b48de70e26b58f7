#include "file_read.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "counters.h"

/* All fields are the loop's but those a job has while reading is set. */
struct file_read {
    struct job job;
    struct loop *loop;
    struct writers *writers;
    file_read_fn *fn;
    void *arg;
    struct open_file *file;
    int64_t first, end, offset;
    bool reading;        /* a job is under way */
    bool stale;          /* nobody wants what it reads: restarted meanwhile */
    bool freed;          /* the job frees this */
    struct chunk *chunk; /* the job's: to be filled; then what it read, until taken */
    int64_t at;          /* where the job reads: a restart moves offset meanwhile */
    ssize_t got;         /* the job's answer */
};

struct file_read *file_read_new(struct loop *loop, struct writers *writers, struct open_file *f,
                                int64_t first, int64_t n, file_read_fn *fn, void *arg)
{
    struct file_read *r = calloc(1, sizeof(*r));

    if (!r) {
        open_file_unref(f);
        return NULL;
    }
    *r = (struct file_read){.loop = loop,
                            .writers = writers,
                            .fn = fn,
                            .arg = arg,
                            .file = f,
                            .first = first,
                            .end = first + n,
                            .offset = first};
    return r;
}

static void read_free(struct file_read *r)
{
    open_file_unref(r->file);
    chunk_free(r->chunk);
    free(r);
}

void file_read_free(struct file_read *r)
{
    if (!r)
        return;
    r->freed = true;
    if (!r->reading)
        read_free(r);
}

int64_t file_read_left(const struct file_read *r)
{
    return r->end - r->offset;
}

const struct open_file *file_read_of(const struct file_read *r)
{
    return r->file;
}

/* EAGAIN: it would have to wait.  The others: the file system, or the kernel, cannot tell. */
static bool would_wait(int err)
{
    return err == EAGAIN || err == EOPNOTSUPP || err == ENOSYS || err == EINVAL;
}

/* ---- jobs ---- */

/* Writer thread. */
static void read_run(struct job *job)
{
    struct file_read *r = (struct file_read *)job;

    do {
        r->got = pread(r->file->fd, r->chunk->data, r->chunk->cap, (off_t)r->at);
    } while (r->got < 0 && errno == EINTR);
}

/* The loop, as a message. */
static void read_done(struct loop *l, struct job *job)
{
    struct file_read *r = (struct file_read *)job;

    (void)l;
    r->reading = false;
    if (r->freed) {
        read_free(r);
        return;
    }
    if (r->stale) {
        chunk_free(r->chunk);
        r->chunk = NULL;
        r->stale = false;
    }
    r->fn(r->arg);
}

static void read_cold(struct file_read *r, struct chunk *k)
{
    counter_add(COUNTER_COLD_READS);
    r->chunk = k;
    r->at = r->offset;
    r->reading = true;
    r->job = (struct job){.run = read_run, .loop = r->loop, .done = read_done};
    writers_job(r->writers, &r->job);
}

/* ---- chunks ---- */

static struct chunk *took(struct file_read *r, struct chunk *k, ssize_t n, int *ret_err)
{
    if (n <= 0) {
        chunk_free(k);
        *ret_err = n < 0 ? GW_EFILE : GW_EFILE_SHORT;
        return NULL;
    }
    k->len = (uint32_t)n;
    r->offset += n;
    return k;
}

struct chunk *file_read_next(struct file_read *r, int *ret_err)
{
    struct chunk *k = r->chunk;
    int64_t left = file_read_left(r);

    *ret_err = 0;
    if (r->reading)
        return NULL;
    if (k) {
        r->chunk = NULL;
        return took(r, k, r->got, ret_err);
    }
    k = chunk_new(left < CHUNK_MAX ? (size_t)left : CHUNK_MAX);
    if (!k) {
        *ret_err = GW_ENO_MEMORY;
        return NULL;
    }
    ssize_t n = open_file_read_warm(r->file, k->data, k->cap, r->offset);
    if (n < 0 && would_wait(errno)) {
        read_cold(r, k);
        return NULL;
    }
    return took(r, k, n, ret_err);
}

void file_read_restart(struct file_read *r)
{
    r->stale = r->reading;
    if (!r->reading) {
        chunk_free(r->chunk);
        r->chunk = NULL;
    }
    r->offset = r->first;
}
