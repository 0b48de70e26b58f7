#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOP_BATCH = 256 };

/* Field keys:  I set at init   o owner thread   m under mu   a atomic */
struct loop {
    int epoll_fd;            /* I */
    struct loop_source wake; /* I  eventfd */
    pthread_t owner;         /* I  set by loop_run */
    uint64_t now_ms;
    uint64_t turn_no;                     /* o */
    struct wheel wheel;                   /* o */
    struct loop_task *tasks;              /* o  end-of-turn list, in order */
    struct loop_task **tasks_end;         /* o */
    struct loop_task *running;            /* o  those of this turn that have not run yet */
    struct epoll_event batch[LOOP_BATCH]; /* o */
    int n_batch;                          /* o  0 once they were handled */
    unsigned n_ready;                     /* o  of this turn */
    void *user;                           /* I */
    atomic_bool stop;      /* a  release by loop_stop, acquire by the owner after a wake-up */
    struct lock mu;        /*    leaf */
    struct loop_msg *msgs; /* m  in order; the reader is woken only when it was empty */
    struct loop_msg **msgs_end;    /* m */
    bool scratch_small;            /* o */
    uint8_t scratch[LOOP_SCRATCH]; /* o */
};

uint64_t clock_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

unsigned loop_ready(const struct loop *l)
{
    return l->n_ready;
}

static void loop_wake_fn(struct loop *l, struct loop_source *src, uint32_t events)
{
    uint64_t n;

    (void)l;
    (void)events;
    if (read(src->fd, &n, sizeof(n)) < 0)
        return; /* EAGAIN: somebody's wake-up was already read */
}

struct loop *loop_new(const char *name)
{
    struct loop *l = calloc(1, sizeof(*l));

    (void)name;
    if (!l)
        return NULL;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->wake.fn = loop_wake_fn;
    l->tasks_end = &l->tasks;
    l->msgs_end = &l->msgs;
    lock_init(&l->mu);
    l->now_ms = clock_now_ms();
    wheel_init(&l->wheel, l->now_ms);
    if (l->epoll_fd < 0 || l->wake.fd < 0 || loop_add(l, &l->wake, EPOLLIN) < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->wake.fd >= 0)
        close(l->wake.fd);
    lock_fini(&l->mu);
    free(l);
}

void loop_assert_owner(const struct loop *l)
{
    assert(pthread_equal(l->owner, pthread_self()));
    (void)l;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

uint64_t loop_turn_no(const struct loop *l)
{
    return l->turn_no;
}

size_t loop_scratch_len(const struct loop *l)
{
    return l->scratch_small ? LOOP_SCRATCH_SMALL : LOOP_SCRATCH;
}

void loop_scratch_small(struct loop *l, bool small)
{
    l->scratch_small = small;
}

uint8_t *loop_scratch(struct loop *l)
{
    return l->scratch;
}

void *loop_user(const struct loop *l)
{
    return l->user;
}

void loop_set_user(struct loop *l, void *user)
{
    l->user = user;
}

int loop_add(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = src};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev);
}

void loop_mod(struct loop *l, struct loop_source *src, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = src};
    int rc = epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, src->fd, &ev);
    assert(rc == 0);
    (void)rc;
}

void loop_del(struct loop *l, struct loop_source *src)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
    /* Its owner may be freed before the rest of this turn's batch is looked at. */
    for (int i = 0; i < l->n_batch; i++) {
        if (l->batch[i].data.ptr == src)
            l->batch[i].data.ptr = NULL;
    }
}

void loop_del_foreign(struct loop *l, struct loop_source *src)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
}

static void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    while (write(l->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void loop_post(struct loop *l, struct loop_msg *msg)
{
    msg->next = NULL;
    lock_take(&l->mu);
    bool was_empty = l->msgs == NULL;
    *l->msgs_end = msg;
    l->msgs_end = &msg->next;
    lock_drop(&l->mu);
    if (was_empty)
        loop_wake(l);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    loop_wake(l);
}

void loop_defer(struct loop *l, struct loop_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    task->next = NULL;
    *l->tasks_end = task;
    l->tasks_end = &task->next;
}

void loop_undefer(struct loop *l, struct loop_task *task)
{
    if (!task->queued)
        return;
    task->queued = false;
    for (struct loop_task **at = &l->running; *at; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            return;
        }
    }
    struct loop_task **at = &l->tasks;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    if (!*at)
        l->tasks_end = at;
}

void timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    wheel_set(&l->wheel, t, l->now_ms + ms);
}

static void loop_run_messages(struct loop *l)
{
    lock_take(&l->mu);
    struct loop_msg *m = l->msgs;
    l->msgs = NULL;
    l->msgs_end = &l->msgs;
    lock_drop(&l->mu);

    while (m) {
        struct loop_msg *next = m->next; /* fn may free m */
        m->fn(l, m);
        m = next;
    }
}

static void loop_run_tasks(struct loop *l)
{
    /* Tasks deferred by these tasks wait for the next turn, so that no connection gets two
     * goes in one. */
    l->running = l->tasks;
    l->tasks = NULL;
    l->tasks_end = &l->tasks;
    while (l->running) {
        struct loop_task *task = l->running;
        l->running = task->next;
        task->queued = false;
        task->fn(l, task); /* may free the task */
    }
}

static void loop_turn(struct loop *l)
{
    int wait_ms = l->tasks ? 0 : wheel_wait_ms(&l->wheel, l->now_ms);
    int n = epoll_wait(l->epoll_fd, l->batch, LOOP_BATCH, wait_ms);

    l->now_ms = clock_now_ms();
    l->turn_no++;
    l->n_batch = n > 0 ? n : 0;
    l->n_ready = (unsigned)l->n_batch;
    for (int i = 0; i < l->n_batch; i++) {
        struct loop_source *src = l->batch[i].data.ptr;
        if (src)
            src->fn(l, src, l->batch[i].events);
    }
    l->n_batch = 0;
    loop_run_messages(l);
    wheel_run(&l->wheel, l, l->now_ms);
    loop_run_tasks(l);
}

void loop_run(struct loop *l)
{
    l->owner = pthread_self();
    while (!atomic_load_explicit(&l->stop, memory_order_acquire))
        loop_turn(l);
}
