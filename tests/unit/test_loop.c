/* gateway/loop.h: messages between threads, wake-ups, tasks of the end of a turn, descriptors
 * that go away in the middle of one.  Reaches the statics of loop.c through loop_world.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>

#include "loop_world.h"

static struct loop *l;

static int setup(void **state)
{
    (void)state;
    l = world_loop();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(l);
    return 0;
}

/* ---- messages ---- */

enum { N_SENDERS = 4, N_EACH = 5000 };

struct letter {
    struct loop_msg msg;
    unsigned from, number;
};

static struct sender {
    pthread_t thread;
    unsigned index;
    struct letter letters[N_EACH];
} senders[N_SENDERS];
static unsigned n_read[N_SENDERS]; /* the loop's thread only */
static bool all_read;

static void letter_fn(struct loop *loop, struct loop_msg *msg)
{
    struct letter *letter = (struct letter *)(void *)msg;

    loop_assert_owner(loop);
    assert_int_equal(letter->number, n_read[letter->from]);
    n_read[letter->from]++;
    for (unsigned i = 0; i < N_SENDERS; i++) {
        if (n_read[i] < N_EACH)
            return;
    }
    all_read = true;
    loop_stop(loop);
}

static void *send_letters(void *arg)
{
    struct sender *s = arg;

    for (unsigned i = 0; i < N_EACH; i++) {
        s->letters[i] = (struct letter){.msg.fn = letter_fn, .from = s->index, .number = i};
        loop_post(l, &s->letters[i].msg);
    }
    return NULL;
}

static void test_messages_of_four_threads(void **state)
{
    (void)state;
    all_read = false;
    for (unsigned i = 0; i < N_SENDERS; i++) {
        senders[i].index = i;
        n_read[i] = 0;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]),
                         0);
    }
    loop_run(l); /* a lost wake-up would hang here */
    for (unsigned i = 0; i < N_SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_true(all_read);
}

static uint64_t wakes_pending(void)
{
    uint64_t n = 0;

    return read(l->wake.fd, &n, sizeof(n)) < 0 ? 0 : n;
}

static void ignore_fn(struct loop *loop, struct loop_msg *msg)
{
    (void)loop;
    msg->fn = NULL; /* it was read */
}

static void test_wakes_only_when_empty(void **state)
{
    struct loop_msg m[3] = {{.fn = ignore_fn}, {.fn = ignore_fn}, {.fn = ignore_fn}};

    (void)state;
    for (int i = 0; i < 3; i++)
        loop_post(l, &m[i]);
    assert_int_equal(wakes_pending(), 1);
    world_turn(l);
    for (int i = 0; i < 3; i++) {
        assert_null(m[i].fn);
        m[i].fn = ignore_fn;
    }
    loop_post(l, &m[0]);
    assert_int_equal(wakes_pending(), 1);
    world_turn(l);
}

static struct letter reply;

static void post_again_fn(struct loop *loop, struct loop_msg *msg)
{
    (void)msg;
    reply.msg.fn = ignore_fn;
    loop_post(loop, &reply.msg);
}

/* A message posted by a message waits for the next turn, and wakes it. */
static void test_message_from_message(void **state)
{
    struct loop_msg m = {.fn = post_again_fn};

    (void)state;
    loop_post(l, &m);
    world_turn(l);
    assert_non_null(reply.msg.fn);
    world_turn(l);
    assert_null(reply.msg.fn);
}

static void free_fn(struct loop *loop, struct loop_msg *msg)
{
    (void)loop;
    free(msg);
}

static void test_messages_may_be_freed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct loop_msg *m = malloc(sizeof(*m));
        assert_non_null(m);
        m->fn = free_fn;
        loop_post(l, m);
    }
    world_turn(l);
}

/* ---- tasks ---- */

struct job {
    struct loop_task task;
    unsigned n_run, turn;
    struct job *undefer; /* when it runs: takes this one off */
    bool again;
};
static unsigned turn;

static void job_fn(struct loop *loop, struct loop_task *task)
{
    struct job *j = (struct job *)(void *)task;

    assert_false(task->queued);
    j->n_run++;
    j->turn = turn;
    if (j->undefer)
        loop_undefer(loop, &j->undefer->task);
    if (j->again) {
        j->again = false;
        loop_defer(loop, &j->task);
    }
}

static void turn_once(void)
{
    turn++;
    world_turn(l);
}

static void test_tasks(void **state)
{
    struct job a = {.task.fn = job_fn}, b = {.task.fn = job_fn, .again = true};

    (void)state;
    loop_defer(l, &a.task);
    loop_defer(l, &a.task); /* on the list once */
    loop_defer(l, &b.task);
    turn_once();
    assert_int_equal(a.n_run, 1);
    assert_int_equal(b.n_run, 1);
    assert_true(b.task.queued);
    turn_once(); /* what a task defers has its go in the next turn */
    assert_int_equal(b.n_run, 2);
    turn_once();
    assert_int_equal(a.n_run, 1);
    assert_int_equal(b.n_run, 2);
}

static void test_undefer(void **state)
{
    struct job j[4];

    (void)state;
    for (int victim = 0; victim < 4; victim++) {
        for (int i = 0; i < 4; i++) {
            j[i] = (struct job){.task.fn = job_fn};
            loop_defer(l, &j[i].task);
        }
        loop_undefer(l, &j[victim].task);
        loop_undefer(l, &j[victim].task);
        loop_defer(l, &j[victim].task); /* to the end */
        loop_undefer(l, &j[victim].task);
        turn_once();
        for (int i = 0; i < 4; i++)
            assert_int_equal(j[i].n_run, i != victim);
    }
}

static void test_undefer_inside(void **state)
{
    struct job a = {.task.fn = job_fn}, b = a, c = a, d = a;

    (void)state;
    a.undefer = &b; /* before it ran: not in this turn */
    c.undefer = &a; /* has run: nothing to take off */
    loop_defer(l, &a.task);
    loop_defer(l, &b.task);
    loop_defer(l, &c.task);
    turn_once();
    assert_int_equal(a.n_run, 1);
    assert_int_equal(b.n_run, 0);
    assert_int_equal(c.n_run, 1);

    a.undefer = NULL;
    a.again = true; /* deferred again during the turn, then taken off by the last one */
    d.undefer = &a;
    loop_defer(l, &a.task);
    loop_defer(l, &d.task);
    turn_once();
    turn_once();
    assert_int_equal(a.n_run, 2);
    assert_int_equal(d.n_run, 1);
    loop_defer(l, &b.task); /* the list's end is where it should be */
    turn_once();
    assert_int_equal(b.n_run, 1);
}

/* ---- descriptors ---- */

struct end {
    struct loop_source src;
    unsigned n_events;
    uint32_t events;
    struct end **others; /* taken out and freed by whoever is first */
};

static void end_fn(struct loop *loop, struct loop_source *src, uint32_t events)
{
    struct end *e = (struct end *)(void *)src;

    e->n_events++;
    e->events = events;
    for (int i = 0; e->others && i < 3; i++) {
        struct end *o = e->others[i];
        if (o == e)
            continue;
        loop_del(loop, &o->src);
        free(o);
        e->others[i] = NULL;
    }
}

static void test_del_inside_a_batch(void **state)
{
    struct end *ends[3];
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 3; i++) {
        ends[i] = calloc(1, sizeof(struct end));
        assert_non_null(ends[i]);
        ends[i]->src = (struct loop_source){.fd = dup(fds[0]), .fn = end_fn};
        ends[i]->others = ends;
        assert_int_equal(loop_add(l, &ends[i]->src, EPOLLIN), 0);
    }
    assert_int_equal(write(fds[1], "x", 1), 1); /* all three are ready in one batch */
    int fd[3] = {ends[0]->src.fd, ends[1]->src.fd, ends[2]->src.fd};
    world_turn(l);
    int left = 0;
    for (int i = 0; i < 3; i++) {
        close(fd[i]);
        if (!ends[i])
            continue;
        left++;
        assert_int_equal(ends[i]->n_events, 1);
        free(ends[i]);
    }
    assert_int_equal(left, 1);
    close(fds[0]);
    close(fds[1]);
}

static void test_mod(void **state)
{
    struct end e = {.src.fn = end_fn};
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    e.src.fd = fds[0];
    assert_int_equal(loop_add(l, &e.src, 0), 0);
    assert_int_equal(loop_add(l, &e.src, EPOLLIN), -1);
    assert_int_equal(write(fds[1], "x", 1), 1);
    world_turn(l);
    assert_int_equal(e.n_events, 0);
    loop_mod(l, &e.src, EPOLLIN | EPOLLOUT);
    world_turn(l);
    assert_int_equal(e.n_events, 1);
    assert_int_equal(e.events, EPOLLIN | EPOLLOUT);
    loop_del_foreign(l, &e.src);
    world_turn(l);
    assert_int_equal(e.n_events, 1);
    close(fds[0]);
    close(fds[1]);
}

/* ---- times ---- */

struct alarm_clock {
    struct timer t;
    uint64_t at;
};

static void alarm_fn(struct loop *loop, struct timer *t)
{
    ((struct alarm_clock *)(void *)t)->at = loop_now_ms(loop);
}

static bool rang(void *arg)
{
    return ((struct alarm_clock *)arg)->at != 0;
}

static void test_timer(void **state)
{
    struct alarm_clock a = {.t.fn = alarm_fn};
    uint64_t before = loop_now_ms(l);

    (void)state;
    timer_set(l, &a.t, 60);
    assert_true(world_until(l, rang, &a));
    assert_true(a.at >= before + 60);
}

static void *stop_later(void *arg)
{
    (void)arg;
    const struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
    loop_stop(l);
    return NULL;
}

/* A loop with nothing to wait for sleeps until it is told. */
static void test_stop(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, NULL), 0);
    loop_run(l);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(loop_user(l) == NULL, 1);
    loop_set_user(l, &thread);
    assert_ptr_equal(loop_user(l), &thread);
    assert_non_null(loop_scratch(l));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_messages_of_four_threads),
        T(test_wakes_only_when_empty),
        T(test_message_from_message),
        T(test_messages_may_be_freed),
        T(test_tasks),
        T(test_undefer),
        T(test_undefer_inside),
        T(test_del_inside_a_batch),
        T(test_mod),
        T(test_timer),
        T(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
