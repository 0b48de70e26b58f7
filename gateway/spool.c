#include "spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 * 1024,
    SOFT_READ = 32 * 1024,       /* for a slow client */
    WRITE_AT = 64 * 1024,        /* bytes of tail that are worth a job */
    CONGESTED_AT = 192 * 1024,   /* bytes of tail that the file has not taken */
    LARGE_FILE = 1024 * 1024,    /* a file system takes its time to free more than this */
    HELD_MANY = 4 * 1024 * 1024, /* in memory, over all soft spools: then each gets less */
    PRESSED_AT = 16 * 1024,      /* as WRITE_AT and SOFT_READ; twice that is congested */
};

enum spool_work { WORK_NONE, WORK_WRITE, WORK_READ, WORK_DROP };

/* Field keys:  o the owner loop   j the job while one runs, else o */
struct spool {
    struct job job;
    struct spool_budget *budget;
    struct writers *writers;
    spool_fn *fn; /* o  NULL once freed by its owner */
    void *arg;
    struct chain front;   /* o */
    struct chain tail;    /* o */
    struct chain moving;  /* j  being written, or just read */
    uint64_t file_read;   /* o  number of the next byte to be read; file_at() is its offset */
    uint64_t file_end;    /* o  of the next byte to be written */
    uint64_t reserved;    /* o  bytes taken from the budget: what the file holds on the disk */
    uint64_t most;        /* I  the file is a ring of so many bytes; 0: no ring */
    int file_fd;          /* j */
    enum spool_work work; /* o  what runs */
    int err;              /* o */
    int job_err;          /* j */
    bool wanted;          /* o  somebody waits for bytes from the file */
    bool soft;            /* o  at the limit: wait, do not fail */
    size_t held;          /* o  of it in budget->held */
    bool full; /* o  soft, and the limit or a full disk was met: no more goes into the file */
};

struct spool *spool_new(struct spool_budget *b, struct writers *writers, struct loop *loop,
                        const struct spool_soft *soft, spool_fn *fn, void *arg)
{
    struct spool *sp = calloc(1, sizeof(*sp));

    if (!sp)
        return NULL;
    assert(!soft || !soft->most || soft->most >= SPOOL_MOST_MIN);
    sp->budget = b;
    sp->writers = writers;
    sp->soft = soft != NULL;
    sp->most = soft ? soft->most : 0;
    sp->fn = fn;
    sp->arg = arg;
    sp->file_fd = -1;
    sp->job.loop = loop;
    return sp;
}

static void spool_unreserve(struct spool *sp, uint64_t n)
{
    atomic_fetch_sub_explicit(&sp->budget->used, n, memory_order_relaxed);
    sp->reserved -= n;
}

static void spool_destroy(struct spool *sp)
{
    spool_unreserve(sp, sp->reserved);
    atomic_fetch_sub_explicit(&sp->budget->held, sp->held, memory_order_relaxed);
    if (sp->file_fd >= 0)
        close(sp->file_fd);
    chain_fini(&sp->front);
    chain_fini(&sp->tail);
    chain_fini(&sp->moving);
    free(sp);
}

uint64_t spool_len(const struct spool *sp)
{
    uint64_t moving = sp->work == WORK_WRITE ? sp->moving.n : 0;
    return sp->front.n + (sp->file_end - sp->file_read) + moving + sp->tail.n;
}

/* What is in memory has changed. */
static void spool_note(struct spool *sp)
{
    size_t moving = sp->work == WORK_WRITE ? sp->moving.n : 0;
    size_t now = sp->soft ? sp->front.n + moving + sp->tail.n : 0;

    if (now != sp->held)
        atomic_fetch_add_explicit(&sp->budget->held, now - sp->held, memory_order_relaxed);
    sp->held = now;
}

static bool spool_pressed(const struct spool *sp)
{
    return sp->soft &&
           atomic_load_explicit(&sp->budget->held, memory_order_relaxed) > HELD_MANY;
}

static size_t spool_write_at(const struct spool *sp)
{
    return spool_pressed(sp) ? PRESSED_AT : WRITE_AT;
}

/* One more read of a backend would go over it. */
static bool spool_at_most(const struct spool *sp)
{
    return sp->most && spool_len(sp) + READ_SIZE > sp->most;
}

bool spool_congested(const struct spool *sp)
{
    size_t at = spool_pressed(sp) ? 2 * PRESSED_AT : sp->full ? WRITE_AT : CONGESTED_AT;

    return sp->tail.n >= at || spool_at_most(sp);
}

int spool_err(const struct spool *sp)
{
    return sp->err;
}

/* ---- the file ---- */

static uint64_t file_at(const struct spool *sp, uint64_t byte)
{
    return sp->most ? byte % sp->most : byte;
}

/* Of n bytes from byte on, those that come before the file's end. */
static size_t file_run(const struct spool *sp, uint64_t byte, size_t n)
{
    uint64_t left = sp->most ? sp->most - byte % sp->most : n;
    return left < n ? (size_t)left : n;
}

/* What it takes on the disk, once end bytes were written. */
static uint64_t file_size(const struct spool *sp, uint64_t end)
{
    return sp->most && end > sp->most ? sp->most : end;
}

static uint64_t file_room(const struct spool *sp)
{
    return sp->most ? sp->most - (sp->file_end - sp->file_read) : UINT64_MAX;
}

/* ---- jobs ---- */

static int file_open(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        char path[4096];
        int n = snprintf(path, sizeof(path), "%s/spool.XXXXXX", dir);
        if (n < 0 || (size_t)n >= sizeof(path))
            return -1;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            unlink(path);
    }
    return fd;
}

static void write_run(struct job *job)
{
    struct spool *sp = (struct spool *)(void *)job;
    uint64_t at = sp->file_end;

    sp->job_err = 0;
    if (sp->file_fd < 0)
        sp->file_fd = file_open(sp->budget->dir);
    if (sp->file_fd < 0) {
        sp->job_err = GW_ESPOOL_DISK;
        return;
    }
    for (const struct chunk *k = sp->moving.head; k; k = k->next) {
        size_t done = k->off;
        while (done < k->len) {
            ssize_t n = pwrite(sp->file_fd, k->data + done, file_run(sp, at, k->len - done),
                               (off_t)file_at(sp, at));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                sp->job_err = GW_ESPOOL_DISK;
                return;
            }
            done += (size_t)n;
            at += (uint64_t)n;
        }
    }
}

static void read_run(struct job *job)
{
    struct spool *sp = (struct spool *)(void *)job;
    struct chunk *k = sp->moving.head;
    ssize_t n;

    sp->job_err = 0;
    do {
        n = pread(sp->file_fd, k->data, k->cap, (off_t)file_at(sp, sp->file_read));
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        sp->job_err = GW_ESPOOL_DISK;
    else
        k->len = (uint32_t)n;
}

/* It has no name: this frees it. */
static void drop_run(struct job *job)
{
    struct spool *sp = (struct spool *)(void *)job;

    sp->job_err = 0;
    close(sp->file_fd);
    sp->file_fd = -1;
}

static void spool_go_on(struct spool *sp);
static void spool_end(struct spool *sp);

static void spool_file_is_empty(struct spool *sp)
{
    sp->file_read = sp->file_end = 0;
    spool_unreserve(sp, sp->reserved);
    sp->full = false;
}

/* What was on its way into the file is again in front of what came since. */
static void spool_move_back(struct spool *sp)
{
    chain_move(&sp->moving, &sp->tail);
    chain_move(&sp->tail, &sp->moving);
}

static void spool_job_done(struct loop *l, struct job *job)
{
    struct spool *sp = (struct spool *)(void *)job;
    enum spool_work work = sp->work;

    (void)l;
    sp->work = WORK_NONE;
    if (sp->job_err && work == WORK_WRITE)
        spool_unreserve(sp, sp->reserved - file_size(sp, sp->file_end));
    if (sp->job_err && work == WORK_WRITE && sp->soft) {
        spool_move_back(sp); /* nothing is lost */
        sp->full = true;
    } else if (sp->job_err) {
        sp->err = sp->job_err;
    } else if (work == WORK_WRITE) {
        sp->file_end += sp->moving.n;
    } else if (work == WORK_DROP) {
        spool_file_is_empty(sp);
    } else {
        sp->moving.n = sp->moving.head->len;
        sp->file_read += sp->moving.n;
        chain_move(&sp->front, &sp->moving);
    }
    chain_fini(&sp->moving);
    if (!sp->fn) {
        spool_end(sp);
        return;
    }
    spool_go_on(sp);
    spool_note(sp);
    sp->fn(sp->arg);
}

static void spool_start(struct spool *sp, enum spool_work work)
{
    static void (*const runs[])(struct job *) = {
        [WORK_WRITE] = write_run, [WORK_READ] = read_run, [WORK_DROP] = drop_run};

    sp->work = work;
    sp->job.run = runs[work];
    sp->job.done = spool_job_done;
    writers_job(sp->writers, &sp->job);
}

/* Its owner is gone and no job runs. */
static void spool_end(struct spool *sp)
{
    if (sp->file_end > LARGE_FILE)
        spool_start(sp, WORK_DROP);
    else
        spool_destroy(sp);
}

void spool_free(struct spool *sp)
{
    if (!sp)
        return;
    sp->fn = NULL;
    if (sp->work == WORK_NONE)
        spool_end(sp); /* else when its job ended */
}

/* What is in the page cache is read in place. */
static bool spool_read_warm(struct spool *sp, struct chunk *k)
{
    struct iovec iov = {k->data, k->cap};
    ssize_t n = preadv2(sp->file_fd, &iov, 1, (off_t)file_at(sp, sp->file_read), RWF_NOWAIT);

    if (n <= 0)
        return false;
    k->len = (uint32_t)n;
    sp->file_read += (uint64_t)n;
    chain_append_chunk(&sp->front, k);
    return true;
}

static void spool_read(struct spool *sp)
{
    uint64_t have = sp->file_end - sp->file_read;
    size_t most = spool_pressed(sp) ? PRESSED_AT : sp->soft ? SOFT_READ : READ_SIZE;
    size_t n = have < most ? (size_t)have : most;
    struct chunk *k = chunk_new(file_run(sp, sp->file_read, n));

    if (!k) {
        sp->err = GW_ENO_MEMORY;
        return;
    }
    if (spool_read_warm(sp, k))
        return;
    sp->moving = (struct chain){.head = k, .tail = k}; /* empty yet: no chain would keep it */
    spool_start(sp, WORK_READ);
}

/* Whole chunks from the front of src, up to n bytes. */
static void move_chunks(struct chain *dst, struct chain *src, uint64_t n)
{
    struct chunk *k;

    while ((k = src->head) && k->len - k->off <= n) {
        n -= k->len - k->off;
        src->n -= k->len - k->off;
        src->head = k->next;
        if (!src->head)
            src->tail = NULL;
        k->next = NULL;
        chain_append_chunk(dst, k);
    }
}

/* What the next write takes along.  A soft spool's front goes into the file, too, if nobody
 * waits for it: that is what many slow clients cost in memory. */
static void spool_move(struct spool *sp)
{
    uint64_t room = file_room(sp);

    if (sp->soft && !sp->wanted && sp->file_end == sp->file_read && sp->front.n <= room) {
        room -= sp->front.n;
        chain_move(&sp->moving, &sp->front);
    }
    move_chunks(&sp->moving, &sp->tail, room);
}

static void spool_write(struct spool *sp)
{
    struct spool_budget *b = sp->budget;

    spool_move(sp);
    if (sp->moving.n == 0)
        return; /* no room before something is read */
    uint64_t n = file_size(sp, sp->file_end + sp->moving.n) - sp->reserved;
    uint64_t used = atomic_fetch_add_explicit(&b->used, n, memory_order_relaxed) + n;
    if (n && b->limit && used > b->limit) {
        atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
        spool_move_back(sp);
        sp->full = sp->soft;
        if (!sp->soft)
            sp->err = GW_ESPOOL_LIMIT;
        return;
    }
    sp->reserved += n;
    spool_start(sp, WORK_WRITE);
}

/* All of the file was read: give its bytes back. */
static void spool_empty_file(struct spool *sp)
{
    if (sp->file_end > LARGE_FILE)
        spool_start(sp, WORK_DROP);
    else if (sp->file_end && ftruncate(sp->file_fd, 0) == 0)
        spool_file_is_empty(sp);
}

/* Start the job that is due, if none runs. */
static void spool_go_on(struct spool *sp)
{
    if (sp->work != WORK_NONE || sp->err)
        return;
    if (sp->file_end > sp->file_read) {
        if (sp->wanted && sp->front.n == 0) {
            spool_read(sp);
            if (sp->work != WORK_NONE)
                return;
        }
    } else {
        spool_empty_file(sp);
        if (sp->work != WORK_NONE)
            return;
        if (sp->front.n == 0 && (sp->wanted || sp->full || sp->tail.n <= sp->budget->memory))
            chain_move(&sp->front, &sp->tail); /* what waited for the file is next */
    }
    /* At the limit nothing comes that would make a batch of it. */
    if (!sp->full && (sp->tail.n >= spool_write_at(sp) || (sp->tail.n && spool_at_most(sp))))
        spool_write(sp);
}

/* ---- in and out ---- */

static bool spool_to_front(const struct spool *sp, size_t n)
{
    return sp->work != WORK_WRITE && sp->file_end == sp->file_read && sp->tail.n == 0 &&
           sp->front.n + n <= (spool_pressed(sp) ? PRESSED_AT : sp->budget->memory);
}

int spool_append(struct spool *sp, const void *p, size_t n)
{
    if (sp->err)
        return sp->err;
    if (chain_append(spool_to_front(sp, n) ? &sp->front : &sp->tail, p, n) < 0)
        sp->err = GW_ENO_MEMORY;
    spool_go_on(sp);
    spool_note(sp);
    return sp->err;
}

int spool_append_chain(struct spool *sp, struct chain *from)
{
    if (sp->err)
        return sp->err;
    chain_move(spool_to_front(sp, from->n) ? &sp->front : &sp->tail, from);
    spool_go_on(sp);
    spool_note(sp);
    return sp->err;
}

size_t spool_take(struct spool *sp, struct chain *to, size_t max)
{
    size_t done = 0;

    sp->wanted = true;
    while (done < max && !sp->err) {
        if (sp->front.n == 0)
            spool_go_on(sp);
        struct slice s = chain_front(&sp->front);
        if (s.n == 0)
            break;
        if (s.n > max - done)
            s.n = max - done;
        if (chain_append(to, s.p, s.n) < 0) {
            sp->err = GW_ENO_MEMORY;
            break;
        }
        chain_drop(&sp->front, s.n);
        done += s.n;
    }
    sp->wanted = done < max;
    spool_note(sp);
    return done;
}
