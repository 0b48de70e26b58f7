/*
 * Who waits, and who is next.
 */
#include "pool_priv.h"

enum { OWN_STREAK = 8 /* slots a worker keeps to itself while others wait */ };

void queue_add_locked(struct pool *p, struct fcgi_request *r)
{
    struct waiters *q = &p->waiters[r->worker];

    r->state = REQ_WAITING;
    r->seq = ++p->seq;
    r->next = NULL;
    r->prev = q->tail;
    if (q->tail)
        q->tail->next = r;
    else
        q->head = r;
    q->tail = r;
    p->n_waiting++;
    p->stats.n_queued++;
}

void queue_remove_locked(struct pool *p, struct fcgi_request *r)
{
    struct waiters *q = &p->waiters[r->worker];

    if (r->prev)
        r->prev->next = r->next;
    else
        q->head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        q->tail = r->prev;
    r->next = r->prev = NULL;
    p->n_waiting--;
}

struct fcgi_request *queue_next_locked(struct pool *p, unsigned worker)
{
    struct waiters *own = &p->waiters[worker];
    struct fcgi_request *oldest = NULL;

    for (unsigned w = 0; w < p->n_workers; w++) {
        struct waiters *q = &p->waiters[w];
        if (!q->head)
            continue;
        if (w != worker &&
            q->n_in_flight == 0) { /* it has nothing that would free a slot for it */
            own->streak = 0;
            return q->head;
        }
        if (!oldest || q->head->seq < oldest->seq)
            oldest = q->head;
    }
    if (own->head && own->streak < OWN_STREAK) {
        own->streak++;
        return own->head;
    }
    own->streak = 0;
    return oldest;
}

struct fcgi_request *queue_refuse_all_locked(struct pool *p, int err)
{
    struct fcgi_request *list = NULL;

    for (unsigned w = 0; w < p->n_workers; w++) {
        for (struct fcgi_request *r; (r = p->waiters[w].head);) {
            queue_remove_locked(p, r);
            r->state = REQ_GRANTED; /* the word is on its way */
            r->asker = NULL;
            r->refused = err;
            r->next = list;
            list = r;
        }
    }
    return list;
}

/* Each is its own loop's again with its message: next is read before. */
void queue_post_refused(struct fcgi_request *list)
{
    while (list) {
        struct fcgi_request *r = list;
        list = r->next;
        r->msg.fn = fcgi_request_granted_msg;
        loop_post(r->loop, &r->msg);
    }
}
