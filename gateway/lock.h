/*
 * gateway/lock.h - a mutex that knows its owner, with Clang's -Wthread-safety attributes.
 *
 * Threads  any; lock order is in THREADS.md
 * Errors   none: a failing pthread call here is our own mistake and aborts (PTOK)
 */
#ifndef GATEWAY_LOCK_H
#define GATEWAY_LOCK_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__clang__)
#define GW_TSA(x) __attribute__((x))
#else
#define GW_TSA(x)
#endif
#define CAPABILITY GW_TSA(capability("mutex"))
#define REQUIRES(...) GW_TSA(requires_capability(__VA_ARGS__))
#define ACQUIRES(...) GW_TSA(acquire_capability(__VA_ARGS__))
#define RELEASES(...) GW_TSA(release_capability(__VA_ARGS__))
#define NO_TSA GW_TSA(no_thread_safety_analysis)

/* For pthread calls that fail only by our own mistake. */
#define PTOK(call)                                                                             \
    do {                                                                                       \
        int ptok_rc_ = (call);                                                                 \
        if (ptok_rc_ != 0) {                                                                   \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(ptok_rc_)); \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

struct CAPABILITY lock {
    pthread_mutex_t mu;
    atomic_uintptr_t owner; /* pthread_self() of the holder, 0 when free; for assertions */
};

static inline void lock_init(struct lock *l) NO_TSA
{
    PTOK(pthread_mutex_init(&l->mu, NULL));
    atomic_init(&l->owner, 0);
}

static inline void lock_fini(struct lock *l) NO_TSA
{
    PTOK(pthread_mutex_destroy(&l->mu));
}

static inline void lock_take(struct lock *l) ACQUIRES(*l) NO_TSA
{
    PTOK(pthread_mutex_lock(&l->mu));
    atomic_store_explicit(&l->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
}

static inline void lock_drop(struct lock *l) RELEASES(*l) NO_TSA
{
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    PTOK(pthread_mutex_unlock(&l->mu));
}

/* Wait on c; the lock is given back while asleep and held again after. */
static inline void lock_wait(struct lock *l, pthread_cond_t *c) REQUIRES(*l) NO_TSA
{
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    PTOK(pthread_cond_wait(c, &l->mu));
    atomic_store_explicit(&l->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
}

/* The same until a time of the condition's clock: 0 or ETIMEDOUT. */
static inline int lock_wait_until(struct lock *l, pthread_cond_t *c,
                                  const struct timespec *until) REQUIRES(*l) NO_TSA
{
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    int rc = pthread_cond_timedwait(c, &l->mu, until);
    if (rc != 0 && rc != ETIMEDOUT)
        PTOK(rc);
    atomic_store_explicit(&l->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
    return rc;
}

#define lock_assert_held(l)                                                                    \
    assert(atomic_load_explicit(&(l)->owner, memory_order_relaxed) == (uintptr_t)pthread_self())

#endif
