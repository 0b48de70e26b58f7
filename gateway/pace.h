/*
 * gateway/pace.h - does the other side move fast enough while it is its turn?  Pure.
 *
 * Time in which a client could have moved bytes and we waited for it is a debt; each byte that
 * it moves pays for the time that it takes at the least rate.  Over the limit of the debt it is
 * too slow.  So silence is cut off after the limit and one byte a second little later; who keeps
 * the rate on the average never owes more, in whatever bursts the bytes come.  Time in which it
 * is our turn, or the application's, pays like bytes at that rate.
 *
 * Units    milliseconds, monotonic; bytes; bytes a second
 * Threads  one at a time
 */
#ifndef GATEWAY_PACE_H
#define GATEWAY_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t seen_ms;   /* last look; 0: none yet */
    uint64_t seen;      /* bytes moved until then */
    uint64_t turn_seen; /* time of its turn until then */
    uint64_t owed_ms;
    uint64_t since_ms;   /* how long it has owed something, its own turns alone, */
    uint64_t bytes;      /* and what it moved in that time: for the log */
    uint64_t silent_ms;  /* its turns since a look that found it moving */
    uint64_t sampled_ms; /* pace_sample's count of its turn */
    bool waits;          /* it was its turn at the last sample */
};

struct pace_limit {
    uint64_t debt_ms;
    uint64_t rate; /* 0: any byte pays all */
};

/* Look: bytes moved and time of its turn so far, in all.  true: too slow.  Else *ret_left is how
 * long that takes at the soonest.  The first look only begins. */
bool pace_look(struct pace *p, const struct pace_limit *limit, uint64_t moved, uint64_t turn_ms,
               uint64_t now_ms, uint64_t *ret_left);

/* The same where only samples tell whose turn it is: it is the other side's from one look to
 * the next if it is at both. */
bool pace_sample(struct pace *p, const struct pace_limit *limit, uint64_t moved, bool turn,
                 uint64_t now_ms, uint64_t *ret_left);

/* Of one who is too slow: did it move nothing for at least half of the time? */
static inline bool pace_is_silence(const struct pace *p, const struct pace_limit *limit)
{
    return p->silent_ms >= limit->debt_ms / 2;
}

#endif
