/*
 * gateway/auth_verify.h - passwords being verified: on writer threads, as many at once as half
 * the cores, each once however many requests wait for it.
 *
 * Why half    hashes are made to be slow, and who is not logged in decides how many there are:
 *             whatever the flood, workers have as much of the machine as they have
 * Turns       each file has a queue of its own and they take turns, so that a flood of guesses at
 *             one tenant's passwords is not in front of another's users
 * Bound       of a queue: VERIFY_WAITING_MAX, and what ten seconds are enough for by the time
 *             that its last ones took
 * Threads     as said at each function
 * Memory      a password lives in its run, and is wiped with it
 */
#ifndef GATEWAY_AUTH_VERIFY_H
#define GATEWAY_AUTH_VERIFY_H

#include "auth_file.h"
#include "writer.h"

enum { VERIFY_WAITING_MAX = 512, VERIFY_WAIT_S = 10, VERIFY_RUNNING_MAX = 8 };

struct verifier;
struct verify_run;

/* The queue of one auth_file; zeroed but for file.  The rest is the verifier's. */
struct verify_lane {
    struct auth_file *file;
    struct verify_run *head, *tail; /* waiting, oldest first */
    unsigned n;
    uint64_t run_us;               /* a verification takes; 0: none has been */
    struct verify_lane *next_turn; /* of those with waiting ones */
};

struct verify_what {
    struct verify_lane *lane;
    struct auth_file *group_file; /* refreshed, too; may be NULL */
    struct slice user, password;
};

/* One that waits for a run's result; embedded by its owner, whom done tells on loop's thread,
 * exactly once unless it left before. */
struct verify_wait {
    struct loop *loop;                                      /* I */
    void (*done)(struct loop *l, struct verify_wait *wait); /* I */
    int err;                         /* 0, GW_EUNAUTHORIZED, GW_EAUTH_FILE; for done */
    uint64_t generation;             /* of the file, that it was by; for done */
    struct verify_run *run;          /* m  NULL: its result is there */
    struct verify_wait *prev, *next; /* m */
    struct loop_msg msg;
};

/* NULL: out of memory.  init; free: no run is under way */
struct verifier *verifier_new(const struct siphash_key *key);
void verifier_free(struct verifier *v);

/* Wait for a run of the same user and password that is there; false: there is none.  worker */
bool verifier_join(struct verifier *v, const struct verify_what *what,
                   struct verify_wait *wait);

/* Verify what.  0; GW_EAUTH_BUSY and *ret_wait_s; or GW_ENO_MEMORY.  worker */
int verifier_start(struct verifier *v, struct writers *writers, const struct verify_what *what,
                   struct verify_wait *wait, unsigned *ret_wait_s);

/* wait's owner has had enough.  false: its result is on its way, and done will be called; true:
 * it will not, and wait may be freed.  loop's worker */
bool verifier_leave(struct verifier *v, struct verify_wait *wait);

#endif
