#include "accounts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "lock.h"
#include "siphash.h"

enum { N_LOCKS = 64, WAYS = ACCOUNT_WAYS };

/* Under its lock: tags, and n_holders going up from 0. */
struct set {
    uint64_t tags[WAYS]; /* 0: never used */
    struct account ways[WAYS];
};

struct accounts {
    struct siphash_key key;
    size_t n_sets; /* a power of two */
    struct set *sets;
    struct {
        alignas(64) struct lock mu;
    } locks[N_LOCKS];
};

static size_t power_of_two(size_t n)
{
    size_t p = 1;

    while (p < n)
        p *= 2;
    return p;
}

struct accounts *accounts_new(size_t n)
{
    struct accounts *as = aligned_alloc(64, sizeof(*as));

    if (!as)
        return NULL;
    memset(as, 0, sizeof(*as));
    as->n_sets = power_of_two((n + WAYS - 1) / WAYS);
    /* Zeroed pages that are there when they are used; and aligned. */
    as->sets = mmap(NULL, as->n_sets * sizeof(struct set), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (as->sets == MAP_FAILED || getrandom(&as->key, sizeof(as->key), 0) < 0) {
        if (as->sets != MAP_FAILED)
            munmap(as->sets, as->n_sets * sizeof(struct set));
        free(as);
        return NULL;
    }
    for (unsigned i = 0; i < N_LOCKS; i++)
        lock_init(&as->locks[i].mu);
    return as;
}

void accounts_free(struct accounts *as)
{
    if (!as)
        return;
    for (unsigned i = 0; i < N_LOCKS; i++)
        lock_fini(&as->locks[i].mu);
    munmap(as->sets, as->n_sets * sizeof(struct set));
    free(as);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Until when a says anything that a new account would not. */
static uint64_t speaks_until(const struct account *a)
{
    uint64_t until = atomic_load_explicit(&a->until_ns, memory_order_relaxed);

    for (unsigned i = 0; i < sizeof(a->level) / sizeof(a->level[0]); i++)
        until = larger(until, atomic_load_explicit(&a->level[i], memory_order_relaxed));
    return until;
}

/* The place that costs least to lose, or NULL: all are held. */
static struct account *place(struct set *set, uint64_t *ret_until)
{
    struct account *best = NULL;

    for (unsigned i = 0; i < WAYS; i++) {
        struct account *a = &set->ways[i];
        if (atomic_load_explicit(&a->n_holders, memory_order_acquire))
            continue;
        uint64_t until = speaks_until(a);
        if (best && until >= *ret_until)
            continue;
        best = a;
        *ret_until = until;
    }
    return best;
}

static void begin(struct account *a, uint64_t user)
{
    for (unsigned i = 0; i < sizeof(a->level) / sizeof(a->level[0]); i++) {
        atomic_store_explicit(&a->level[i], 0, memory_order_relaxed);
        atomic_store_explicit(&a->at_once[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&a->until_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&a->said_ns, 0, memory_order_relaxed);
    a->user = user;
}

struct account *accounts_hold(struct accounts *as, const void *name, size_t n, uint64_t user,
                              uint64_t now_ns, bool *ret_lost)
{
    struct siphash_tag hash = siphash(as->key, name, n);
    uint64_t tag = hash.v[0] ? hash.v[0] : 1, until = 0;
    size_t at = hash.v[1] & (as->n_sets - 1);
    struct set *set = &as->sets[at];
    struct lock *mu = &as->locks[at % N_LOCKS].mu;
    struct account *a = NULL;

    lock_take(mu);
    for (unsigned i = 0; i < WAYS && !a; i++) {
        if (set->tags[i] == tag)
            a = &set->ways[i];
    }
    if (!a && (a = place(set, &until))) {
        set->tags[a - set->ways] = tag;
        begin(a, user);
        if (ret_lost && until > now_ns)
            *ret_lost = true;
    }
    if (a)
        atomic_fetch_add_explicit(&a->n_holders, 1, memory_order_relaxed);
    lock_drop(mu);
    return a;
}

void account_hold(struct account *a)
{
    atomic_fetch_add_explicit(&a->n_holders, 1, memory_order_relaxed);
}

void account_drop(struct account *a)
{
    atomic_fetch_sub_explicit(&a->n_holders, 1, memory_order_release);
}

bool account_enter(atomic_uint *at_once, unsigned limit)
{
    if (atomic_fetch_add_explicit(at_once, 1, memory_order_relaxed) < limit)
        return true;
    account_leave(at_once);
    return false;
}

void account_leave(atomic_uint *at_once)
{
    atomic_fetch_sub_explicit(at_once, 1, memory_order_relaxed);
}

size_t accounts_size(const struct accounts *as)
{
    return as->n_sets * WAYS;
}

size_t accounts_used(struct accounts *as, uint64_t now_ns)
{
    size_t n = 0;

    for (size_t i = 0; i < as->n_sets; i++) {
        struct lock *mu = &as->locks[i % N_LOCKS].mu;
        lock_take(mu);
        for (unsigned k = 0; k < WAYS; k++) {
            const struct account *a = &as->sets[i].ways[k];
            n += atomic_load_explicit(&a->n_holders, memory_order_relaxed) ||
                 speaks_until(a) > now_ns;
        }
        lock_drop(mu);
    }
    return n;
}
