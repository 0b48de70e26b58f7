/*
 * gateway/accounts.h - a bounded table of who is owed for: what is at work for each, and what
 * each has taken lately.
 *
 * Shape    sets of 16 places.  A keyed hash of the name tells the set and the place's tag, so
 *          nobody can choose names that meet in one set
 * Bound    the table never grows.  An account that nobody holds and whose levels have run off
 *          says nothing that a new one would not: its place is free.  Where a set has no free
 *          place, the account with the lowest level that nobody holds gives way; so who wants his
 *          own record lost has to bring 16 names into its set, each further over its limits than
 *          he is: as many as the table has places, to hit that set.  Where all 16 are held there
 *          is no account, and its bearer is not limited (the caller counts that)
 * Cost     a look-up: a hash, a lock shared with 1/64 of the sets, 16 tags in two cache lines.
 *          What is done with a held account is done with its atomics, without a lock; an account
 *          is one cache line
 * Memory   64 bytes an account, 72 with its tag; pages are used as accounts are
 * Threads  any
 */
#ifndef GATEWAY_ACCOUNTS_H
#define GATEWAY_ACCOUNTS_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>

#include "rate.h"

enum { ACCOUNT_WAYS = 16 };

/* Field key: a atomic, relaxed unless said otherwise. */
struct account {
    alignas(64)
        atomic_uint n_holders; /* a  0: its place may be taken; released and acquired, so
                                             that the next owner sees the last one's end */
    atomic_uint at_once[2];    /* a  0 when nobody holds it */
    rate_cell level[2];
    _Atomic uint64_t until_ns; /* a  the holders' business; 0: nothing */
    _Atomic uint64_t said_ns;  /* a  likewise; worth nothing once the rest has run off */
    uint64_t user;             /*    the first holder's, constant */
};

struct accounts;

/* Room for n at least.  NULL with errno. */
struct accounts *accounts_new(size_t n);
void accounts_free(struct accounts *as);

/* The account called name[0..n), held once more; made, with user, if there is none.
 * *ret_lost (may be NULL) is set to true when another one that still said something gave way.
 * NULL: there is no place. */
struct account *accounts_hold(struct accounts *as, const void *name, size_t n, uint64_t user,
                              uint64_t now_ns, bool *ret_lost);

/* By a holder: once more, without a look-up. */
void account_hold(struct account *a);
void account_drop(struct account *a);

/* One more at work, if there are fewer than limit.  A false one is none. */
bool account_enter(atomic_uint *at_once, unsigned limit);
void account_leave(atomic_uint *at_once);

/* Of all there is room for: places taken.  For tests. */
size_t accounts_size(const struct accounts *as);
size_t accounts_used(struct accounts *as, uint64_t now_ns);

#endif
