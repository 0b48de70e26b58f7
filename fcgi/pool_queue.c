/*
 * Who waits, and who is refused.
 */
#include <stddef.h>

#include "pool_priv.h"

static struct fcgi_request *request_of(struct turn *t)
{
    return t ? (struct fcgi_request *)(void *)((char *)t - offsetof(struct fcgi_request, turn))
             : NULL;
}

/* r, which waits no longer, is refused: its own loop is told, whose it is again from then on. */
static void refuse_locked(struct pool *p, struct fcgi_request *r, int err) REQUIRES(p->mu)
{
    queue_leave_locked(p, r);
    r->state = REQ_GRANTED; /* the word is on its way */
    r->asker = NULL;
    r->refused = err;
    r->msg.fn = fcgi_request_granted_msg;
    loop_post(r->loop, &r->msg);
}

/* The queue is full.  Does somebody give way to r? */
static bool make_room_locked(struct pool *p, const struct fcgi_request *r) REQUIRES(p->mu)
{
    struct fcgi_request *victim = request_of(turns_victim(&p->turns, r->tenant, r->client));

    p->stats.n_full++; /* one of the two */
    if (victim)
        refuse_locked(p, victim, GW_EPOOL_FULL);
    return victim;
}

int queue_add_locked(struct pool *p, struct fcgi_request *r)
{
    if (p->n_waiting >= p->conf->queue && !make_room_locked(p, r))
        return GW_EPOOL_FULL;
    r->turn.worker = r->worker;
    if (turns_add(&p->turns, &r->turn, r->tenant, r->client) < 0)
        return GW_ENO_MEMORY;
    if (p->n_waiting++ == 0)
        p->turn_ms = loop_now_ms(r->loop);
    r->state = REQ_WAITING;
    r->waited = true;
    p->stats.n_queued++;
    return 0;
}

void queue_leave_locked(struct pool *p, struct fcgi_request *r)
{
    turns_leave(&p->turns, &r->turn);
    p->n_waiting--;
}

struct fcgi_request *queue_next_locked(struct pool *p, unsigned worker)
{
    uint64_t now = clock_now_ms();
    struct fcgi_request *r;

    while ((r = request_of(turns_next(&p->turns, worker))) &&
           now > r->asked_ms + r->patience_ms) {
        p->stats.n_timed_out++; /* its timer was not looked at yet */
        refuse_locked(p, r, GW_EPOOL_TIME);
    }
    return r;
}

/* The last turn was so long ago, in us. */
static uint64_t since_turn_us(const struct pool *p)
{
    uint64_t now = clock_now_ms();

    return now > p->turn_ms ? (now - p->turn_ms) * 1000 : 0;
}

void queue_take_locked(struct pool *p, struct fcgi_request *r)
{
    uint64_t us = since_turn_us(p);

    p->turn_ms += us / 1000;
    p->pace_us = p->pace_us ? (p->pace_us * 7 + us) / 8 : us; /* a jump moves it by an eighth */
    turns_take(&p->turns, &r->turn);
    p->n_waiting--;
}

void queue_refuse_all_locked(struct pool *p)
{
    p->stats.n_down += p->n_waiting;
    for (struct fcgi_request *r; (r = request_of(turns_any(&p->turns)));)
        refuse_locked(p, r, GW_EPOOL_DOWN);
}

uint64_t queue_wait_ms_locked(const struct pool *p)
{
    uint64_t us = p->pace_us, since = p->n_waiting ? since_turn_us(p) : 0;

    if (since > us)
        us = since; /* it is slower by now */
    return (p->n_waiting + 1) * us / 1000;
}
