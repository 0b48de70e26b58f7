/*
 * gateway/loop.h - the event loop of one worker (or acceptor): descriptors, timers, messages,
 * end-of-turn work.
 *
 * One turn: epoll_wait, ready descriptors, messages, timers due, then the deferred list (end of
 * turn).
 *
 * Threads  a loop belongs to the thread that runs it; only loop_post() and loop_stop() may be
 *          called by others
 * Units    milliseconds, monotonic
 */
#ifndef GATEWAY_LOOP_H
#define GATEWAY_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "lock.h"
#include "timer.h"

struct loop;

/* A watched descriptor, embedded by its owner.  fn runs on the loop's thread with EPOLLxxx
 * bits.  Readiness may be stale: handlers treat EAGAIN as "nothing" and learn of a hang-up from
 * read. */
struct loop_source {
    int fd;
    void (*fn)(struct loop *l, struct loop_source *src, uint32_t events);
};

/* A message from another thread, embedded by its sender, who must not touch it again until fn
 * ran. */
struct loop_msg {
    struct loop_msg *next;
    void (*fn)(struct loop *l, struct loop_msg *msg);
};

/* Run once at the end of the turn; on the list at most once. */
struct loop_task {
    struct loop_task *next;
    bool queued;
    void (*fn)(struct loop *l, struct loop_task *task);
};

struct loop *loop_new(const char *name); /* NULL: out of memory or descriptors */
void loop_free(struct loop *l);

void loop_run(struct loop *l);  /* until loop_stop(); the calling thread becomes the owner */
void loop_stop(struct loop *l); /* any thread */
void loop_assert_owner(const struct loop *l);

uint64_t loop_now_ms(const struct loop *l);  /* read once per turn */
uint64_t loop_turn_no(const struct loop *l); /* of this turn; never the same again */
unsigned loop_ready(const struct loop *l);   /* descriptors that were ready in this turn */
uint64_t clock_now_ms(void);                 /* any thread, a system call's worth */
uint64_t clock_now_us(void);

int loop_add(struct loop *l, struct loop_source *src,
             uint32_t events); /* 0, or -1 with errno */
void loop_mod(struct loop *l, struct loop_source *src, uint32_t events);
void loop_del(struct loop *l, struct loop_source *src);

/* For idle backend connections, which a worker may take out of another's loop (THREADS.md, rule
 * 6). */
void loop_del_foreign(struct loop *l, struct loop_source *src);

void loop_post(struct loop *l, struct loop_msg *msg); /* any thread */
void loop_defer(struct loop *l, struct loop_task *task);
void loop_undefer(struct loop *l, struct loop_task *task); /* its owner goes away */

/* t->fn runs in the turn after ms have passed, up to 16 ms late (timer.h). */
void timer_set(struct loop *l, struct timer *t, uint64_t ms);

/* LOOP_SCRATCH bytes for what a handler reads and uses up before it returns. */
enum { LOOP_SCRATCH = 64 * 1024, LOOP_SCRATCH_SMALL = 16 * 1024 };
uint8_t *loop_scratch(struct loop *l);

/* How much of it to fill with what somebody has to keep: all, or LOOP_SCRATCH_SMALL while small
 * was set. */
size_t loop_scratch_len(const struct loop *l);
void loop_scratch_small(struct loop *l, bool small);

void *loop_user(const struct loop *l); /* the struct worker that runs it */
void loop_set_user(struct loop *l, void *user);

#endif
