#include "pace.h"

/* The time that n bytes pay for. */
static uint64_t worth_ms(uint64_t n, uint64_t rate)
{
    if (rate == 0)
        return n ? UINT64_MAX : 0;
    return n > UINT64_MAX / 1000 ? UINT64_MAX : n * 1000 / rate;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

bool pace_look(struct pace *p, const struct pace_limit *limit, uint64_t moved, uint64_t turn_ms,
               uint64_t now_ms, uint64_t *ret_left)
{
    if (p->seen_ms == 0) {
        p->seen_ms = now_ms;
        p->seen = moved;
        p->turn_seen = turn_ms;
    }
    uint64_t passed = less(now_ms, p->seen_ms), turn = less(turn_ms, p->turn_seen);
    uint64_t n = less(moved, p->seen);

    p->seen_ms = now_ms;
    p->seen = moved;
    p->turn_seen = turn_ms;
    p->since_ms += turn;
    p->bytes += n;
    p->silent_ms = n ? 0 : p->silent_ms + turn;
    p->owed_ms = less(p->owed_ms + turn, worth_ms(n, limit->rate));
    p->owed_ms = less(p->owed_ms, less(passed, turn));
    if (p->owed_ms == 0)
        p->since_ms = p->bytes = 0;
    *ret_left = less(limit->debt_ms, p->owed_ms);
    return p->owed_ms >= limit->debt_ms;
}

bool pace_sample(struct pace *p, const struct pace_limit *limit, uint64_t moved, bool turn,
                 uint64_t now_ms, uint64_t *ret_left)
{
    if (turn && p->waits)
        p->sampled_ms += less(now_ms, p->seen_ms);
    p->waits = turn;
    return pace_look(p, limit, moved, p->sampled_ms, now_ms, ret_left);
}
