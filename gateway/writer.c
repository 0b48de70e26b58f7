/*
 * Leases and the threads they are given to.
 *
 * Wake-ups: a thread parks only after it saw, under the connection's lock, nothing to send; it
 * then gives the lease back to the worker.  So whoever adds output afterwards is the worker, at
 * the end of whose turn writer_submit() finds lease WORKER and sends or gives it out again.  A
 * lease is given to one thread by handing it over in that thread's own slot, so a wake-up is
 * for exactly one connection and cannot be lost.
 *
 * Threads are made when needed, up to max, the one that parked last is woken first, and one
 * that was not needed for two seconds ends: an idle gateway has none.
 */
#include "writer.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "conn_send.h"
#include "spare.h"
#include "tls.h"
#include "worker.h"

enum {
    FEW = 16,      /* descriptors ready in a turn: a batch of each is a millisecond or two */
    STALL_MS = 20, /* a socket not writable for so long gives its thread back */
    PARK_S = 2,    /* a thread not needed for so long ends */
    WRITER_STACK = 256 * 1024,
};

/* Field keys:  o the thread's own   m under writers->mu */
struct writer_thread {
    struct writer_thread *next;  /* m  idle list, last parked first */
    struct writers *writers;     /* o */
    struct conn *conn;           /* m  lease handed over */
    struct job *job;             /* m */
    bool idle;                   /* m  on the idle list */
    pthread_cond_t wake;         /* m  conn or job was set */
    struct send_scratch scratch; /* o */
};

struct writers {
    struct lock mu;
    unsigned max;               /* I */
    unsigned n_threads;         /* m */
    struct writer_thread *idle; /* m */
    struct job *jobs;           /* m  waiting for a thread, in order */
    struct job **jobs_end;      /* m */
    bool stop;                  /* m */
    pthread_cond_t gone;        /* m  n_threads fell */
};

struct writers *writers_new(unsigned max)
{
    struct writers *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    lock_init(&w->mu);
    PTOK(pthread_cond_init(&w->gone, NULL));
    w->max = max;
    w->jobs_end = &w->jobs;
    return w;
}

void writers_free(struct writers *w)
{
    if (!w)
        return;
    lock_take(&w->mu);
    w->stop = true;
    for (struct writer_thread *t = w->idle; t; t = t->next)
        PTOK(pthread_cond_signal(&t->wake));
    while (w->n_threads)
        lock_wait(&w->mu, &w->gone);
    lock_drop(&w->mu);
    PTOK(pthread_cond_destroy(&w->gone));
    lock_fini(&w->mu);
    free(w);
}

/* More waits, and only EPOLLOUT will say when it goes on: the client's time runs from now, also
 * where the last batch was taken whole. */
static void begin_wait(struct conn *c)
{
    uint64_t none = 0;

    atomic_compare_exchange_strong_explicit(&c->progress_ms, &none, clock_now_ms(),
                                            memory_order_relaxed, memory_order_relaxed);
}

/* ---- a thread's life ---- */

/* Under c->mu: post c's message after unlocking? */
static bool note_due_locked(struct conn *c)
{
    bool returned = c->lease != LEASE_WRITER;
    bool due = !c->msg_pending &&
               (c->events || (returned && (c->note || c->broken)) || c->lease == LEASE_STALLED);

    if (due)
        c->msg_pending = true;
    return due;
}

/* Wait for the socket.  What was sent so far made room or ended streams: the worker hears of
 * it before, so that the next bytes are there when the socket takes them. */
static bool writer_wait(struct conn *c)
{
    struct pollfd p = {.fd = c->src.fd, .events = POLLOUT};

    lock_take(&c->mu);
    bool post = note_due_locked(c);
    lock_drop(&c->mu);
    if (post)
        loop_post(c->loop, &c->msg);
    return poll(&p, 1, STALL_MS) > 0;
}

static bool jobs_wait(struct writers *w)
{
    lock_take(&w->mu);
    bool wait = w->jobs != NULL;
    lock_drop(&w->mu);
    return wait;
}

/* Send until drained, stalled or broken, then give the lease up.  A connection that takes
 * whatever it is given stops after a batch if jobs wait: with a thread for each such download
 * nobody would ever do them. */
static void writer_serve(struct writer_thread *t, struct conn *c)
{
    for (;;) {
        enum sent sent = conn_send(c, &t->scratch);

        if (sent == SENT_BLOCKED && writer_wait(c))
            continue;
        bool yields = sent == SENT_BATCH && jobs_wait(t->writers);
        lock_take(&c->mu);
        /* Between conn_send and here the worker may have added output. */
        bool more = sent == SENT_BATCH || (sent == SENT_ALL && conn_pending_locked(c));
        if (c->dead || sent == SENT_BROKEN || (sent == SENT_ALL && !more))
            c->lease = LEASE_WORKER;
        else if (sent == SENT_BLOCKED || yields)
            c->lease = LEASE_STALLED;
        if (c->lease == LEASE_STALLED)
            begin_wait(c);
        bool returned = c->lease != LEASE_WRITER;
        bool post = note_due_locked(c);
        if (returned)
            c->note = false;
        struct loop *loop = c->loop;
        lock_drop(&c->mu);
        if (post)
            loop_post(loop, &c->msg); /* msg_pending keeps c alive until it is read */
        if (returned)
            return;
    }
}

static void job_msg_fn(struct loop *l, struct loop_msg *msg)
{
    struct job *job = (struct job *)(void *)((char *)msg - offsetof(struct job, msg));

    job->done(l, job);
    worker_job_ended(loop_user(l));
}

static void job_serve(struct job *job)
{
    job->run(job);
    job->msg.fn = job_msg_fn;
    loop_post(job->loop, &job->msg);
}

static void jobs_push_locked(struct writers *w, struct job *job) REQUIRES(w->mu)
{
    job->next = NULL;
    *w->jobs_end = job;
    w->jobs_end = &job->next;
}

static struct job *jobs_pop_locked(struct writers *w) REQUIRES(w->mu)
{
    struct job *job = w->jobs;

    if (job)
        w->jobs = job->next;
    if (!w->jobs)
        w->jobs_end = &w->jobs;
    return job;
}

static void idle_remove_locked(struct writers *w, struct writer_thread *t)
{
    struct writer_thread **at = &w->idle;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->idle = false;
}

/* Park until there is work.  false: this thread is not needed any more. */
static bool writer_park(struct writers *w, struct writer_thread *t) REQUIRES(w->mu)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PARK_S;
    t->next = w->idle;
    w->idle = t;
    t->idle = true;
    while (!t->conn && !t->job && !w->stop) {
        int rc = lock_wait_until(&w->mu, &t->wake, &until);
        if (rc == ETIMEDOUT && !t->conn && !t->job)
            break;
    }
    if (t->idle)
        idle_remove_locked(w, t);
    return t->conn || t->job;
}

static void *writer_main(void *arg)
{
    struct writer_thread *t = arg;
    struct writers *w = t->writers;

    pthread_setname_np(pthread_self(), "writer");
    lock_take(&w->mu);
    for (;;) {
        if (!t->conn && !t->job)
            t->job = jobs_pop_locked(w);
        if (!t->conn && !t->job && !writer_park(w, t))
            break;
        struct conn *c = t->conn;
        struct job *job = t->job;
        t->conn = NULL;
        t->job = NULL;
        lock_drop(&w->mu);
        if (c)
            writer_serve(t, c);
        if (job)
            job_serve(job);
        lock_take(&w->mu);
    }
    /* All that it holds goes before it stops counting: whoever waits for that may exit next. */
    tls_thread_fini();
    spare_thread_fini();
    w->n_threads--;
    PTOK(pthread_cond_destroy(&t->wake));
    send_scratch_fini(&t->scratch);
    free(t);
    PTOK(pthread_cond_signal(&w->gone));
    lock_drop(&w->mu);
    return NULL;
}

static bool writer_start(struct writers *w, struct conn *c, struct job *job)
{
    struct writer_thread *t = calloc(1, sizeof(*t));
    pthread_condattr_t clock;
    pthread_attr_t attr;
    pthread_t id;

    if (!t)
        return false;
    /* Its scratch comes with its first lease: jobs, such as writing spools, need none. */
    t->writers = w;
    t->scratch.may_wait = true;
    t->conn = c;
    t->job = job;
    PTOK(pthread_condattr_init(&clock));
    PTOK(pthread_condattr_setclock(&clock, CLOCK_MONOTONIC));
    PTOK(pthread_cond_init(&t->wake, &clock));
    PTOK(pthread_condattr_destroy(&clock));
    PTOK(pthread_attr_init(&attr));
    PTOK(pthread_attr_setstacksize(&attr, WRITER_STACK));
    PTOK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
    int rc = pthread_create(&id, &attr, writer_main, t);
    PTOK(pthread_attr_destroy(&attr));
    if (rc != 0) {
        PTOK(pthread_cond_destroy(&t->wake));
        free(t);
    }
    return rc == 0;
}

/* Hand c or job to a parked thread, or job to those that work, who look for it under this
 * lock before they park. */
static bool give_locked(struct writers *w, struct conn *c, struct job *job) REQUIRES(w->mu)
{
    struct writer_thread *t = w->idle;

    if (t) {
        w->idle = t->next;
        t->idle = false;
        t->conn = c;
        t->job = job;
        PTOK(pthread_cond_signal(&t->wake));
        return true;
    }
    if (!job || w->n_threads == 0)
        return false;
    jobs_push_locked(w, job);
    return true;
}

/* A thread could not be started.  If there is none at all, what others queued for it
 * meanwhile is done here. */
static bool writer_start_failed(struct writers *w, struct conn *c, struct job *job)
{
    struct job *left;

    lock_take(&w->mu);
    w->n_threads--;
    PTOK(pthread_cond_signal(&w->gone));
    bool given = give_locked(w, c, job);
    while (w->n_threads == 0 && (left = jobs_pop_locked(w))) {
        lock_drop(&w->mu);
        job_serve(left);
        lock_take(&w->mu);
    }
    lock_drop(&w->mu);
    return given;
}

/* Hand c or job to a thread.  false: all are busy and there may be no more; a job then has
 * no thread at all. */
static bool writers_give(struct writers *w, struct conn *c, struct job *job)
{
    lock_take(&w->mu);
    bool starts = !w->idle && w->n_threads < w->max;
    if (starts)
        w->n_threads++;
    bool given = !starts && give_locked(w, c, job);
    lock_drop(&w->mu);
    if (!starts || writer_start(w, c, job))
        return given || starts;
    return writer_start_failed(w, c, job);
}

void writers_job(struct writers *w, struct job *job)
{
    worker_job_began(loop_user(job->loop));
    if (!writers_give(w, NULL, job))
        job_serve(job); /* block rather than lose it */
}

/* ---- the worker's side ---- */

static void lease_set(struct conn *c, enum conn_lease lease)
{
    lock_take(&c->mu);
    c->lease = lease;
    lock_drop(&c->mu);
}

/* More waits than the worker sends itself: give the lease to a thread, or watch for
 * EPOLLOUT. */
static void lease_out(struct conn *c)
{
    lease_set(c, LEASE_WRITER);
    if (writers_give(c->worker->writers, c, NULL))
        return;
    lease_set(c, LEASE_STALLED);
    begin_wait(c);
    conn_watch_out(c, true);
}

/* EPOLLOUT goes on with it. */
static void stall(struct conn *c)
{
    lease_set(c, LEASE_STALLED);
    begin_wait(c);
    conn_watch_out(c, true);
}

/* Does a thread send the next batches?  What waits for its socket needs none, and a worker with
 * little else to do goes on in its next turn: that saves the thread's wake-ups, its waits for the
 * lock that both take, and the way of each byte from one core's cache to another's, a third of the
 * CPU of a large file over TLS.  A busy worker would let the others wait.  Bytes that the kernel
 * takes from a file's pages are never worth a thread: nothing is copied or encrypted. */
static bool wants_thread(const struct conn *c, enum sent sent)
{
    if (c->worker->writers_always)
        return true;
    return sent == SENT_BATCH && !c->out_is_file && loop_ready(c->loop) > FEW;
}

/* ---- bytes of a file that are not in the page cache ---- */

static void warm_run(struct job *job)
{
    struct conn *c = (struct conn *)(void *)((char *)job - offsetof(struct conn, warm));

    file_piece_warm(&c->cold);
}

/* The connection may have died meanwhile; then its message frees it. */
static void warm_done(struct loop *l, struct job *job)
{
    struct conn *c = (struct conn *)(void *)((char *)job - offsetof(struct conn, warm));

    (void)l;
    open_file_unref(c->cold.file);
    c->cold.file = NULL;
    c->warmed = true;
    lock_take(&c->mu);
    c->lease = LEASE_WORKER;
    bool post = !c->msg_pending;
    c->msg_pending = true;
    lock_drop(&c->mu);
    if (post)
        loop_post(c->loop, &c->msg);
}

/* A job reads them, and has the lease meanwhile; it is not a thread's, since all may be taken. */
static void wait_for_disk(struct conn *c)
{
    lease_set(c, LEASE_WRITER);
    c->warm = (struct job){.run = warm_run, .loop = c->loop, .done = warm_done};
    writers_job(c->worker->writers, &c->warm);
}

/* What the socket takes at once costs less here than a thread's wake-up or a turn, as long as it is
 * not so much that other connections wait for it. */
static enum sent send_some(struct conn *c)
{
    enum sent sent = conn_send(c, &c->worker->send);

    return sent == SENT_BATCH ? conn_send(c, &c->worker->send) : sent;
}

void writer_submit(struct conn *c)
{
    struct worker *w = c->worker;

    loop_assert_owner(c->loop);
    lock_take(&c->mu);
    bool mine = c->lease == LEASE_WORKER && !c->dead && !c->broken;
    bool pending = mine && !conn_drained_locked(c);
    lock_drop(&c->mu);
    if (!pending)
        return;
    if (w->writers_always) {
        lease_out(c);
        return;
    }
    enum sent sent = send_some(c);
    if (sent == SENT_COLD)
        wait_for_disk(c);
    else if (sent != SENT_BATCH && sent != SENT_BLOCKED)
        return;
    else if (wants_thread(c, sent))
        lease_out(c);
    else
        stall(c);
}

void writer_unstall(struct conn *c)
{
    loop_assert_owner(c->loop);
    lock_take(&c->mu);
    bool mine = c->lease == LEASE_STALLED && !c->dead;
    lock_drop(&c->mu);
    if (!mine) {
        conn_watch_out(c, false);
        return;
    }
    switch (send_some(c)) {
    case SENT_BLOCKED:
        return;
    case SENT_ALL:
    case SENT_BROKEN:
        conn_watch_out(c, false);
        lease_set(c, LEASE_WORKER);
        return;
    case SENT_BATCH:
        if (!wants_thread(c, SENT_BATCH))
            return; /* others first */
        conn_watch_out(c, false);
        lease_out(c);
        return;
    case SENT_COLD:
        conn_watch_out(c, false);
        wait_for_disk(c);
        return;
    }
}
