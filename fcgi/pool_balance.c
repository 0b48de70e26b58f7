/*
 * Which server a request goes to.  See pool.h for the rules.
 */
#include <math.h>

#include "pool_priv.h"

static bool was_tried(const struct fcgi_request *r, const struct fcgi_server *sv)
{
    for (unsigned i = 0; r->asker && i < r->asker->n_tried; i++) {
        if (r->asker->tried[i] == sv->serial)
            return true;
    }
    return false;
}

/* Who could take r now: so many, at the front of p->candidates. */
static unsigned candidates_locked(struct pool *p, const struct fcgi_request *r, bool backup,
                                  bool tried_too) REQUIRES(p->mu)
{
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_servers; i++) {
        struct fcgi_server *sv = p->servers[i];
        if (sv->backup == backup && server_has_room_locked(sv) && server_usable_locked(sv) &&
            (tried_too || !was_tried(r, sv)))
            p->candidates[n++] = sv;
    }
    return n;
}

/* ---- least, round-robin ---- */

/* Has a less to do than b, for its weight? */
static int least_compare(const struct fcgi_server *a, const struct fcgi_server *b)
{
    uint64_t x = (uint64_t)a->n_in_flight * b->weight;
    uint64_t y = (uint64_t)b->n_in_flight * a->weight;

    return x < y ? -1 : x > y;
}

/* Leave those that have least to do. */
static unsigned least_locked(struct pool *p, unsigned n) REQUIRES(p->mu)
{
    struct fcgi_server **c = p->candidates;
    unsigned n_least = 1;

    for (unsigned i = 1; i < n; i++) {
        int order = least_compare(c[i], c[0]);
        if (order > 0)
            continue;
        if (order < 0)
            n_least = 0;
        c[n_least++] = c[i];
    }
    return n_least;
}

/* Each in its turn, as often as its weight, and spread: with weights 3 and 1 the turns are
 * a a b a (the smooth weighted round-robin that nginx made known). */
static struct fcgi_server *turn_locked(struct pool *p, unsigned n) REQUIRES(p->mu)
{
    struct fcgi_server *best = NULL;
    int64_t total = 0;

    for (unsigned i = 0; i < n; i++) {
        struct fcgi_server *sv = p->candidates[i];
        sv->turn += sv->weight;
        total += sv->weight;
        if (!best || sv->turn > best->turn)
            best = sv;
    }
    if (best)
        best->turn -= total;
    return best;
}

/* A process is as good as another: one with a warm connection, else the first, so that few
 * processes do what little there is, and the others can be ended. */
static struct fcgi_server *warm_locked(struct pool *p, unsigned n, unsigned worker)
    REQUIRES(p->mu)
{
    for (unsigned i = 0; i < n; i++) {
        if (p->candidates[i]->idle[worker])
            return p->candidates[i];
    }
    return n ? p->candidates[0] : NULL;
}

/* ---- hash ---- */

/* Uniform in (0, 1]. */
static double draw(uint64_t key, uint64_t server)
{
    uint64_t x = key * 0x9e3779b97f4a7c15ULL ^ server; /* splitmix64 (Steele et al. 2014) */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    return (double)((x >> 11) + 1) * 0x1p-53;
}

/* Rendezvous hashing (Thaler and Ravishankar 1998), weighted by -w/ln: each server draws a
 * number for the key and the best one has it.  No table; who is missing moves only the keys it
 * had, and to a second choice that is the same each time. */
static struct fcgi_server *hash_locked(struct pool *p, unsigned n, uint64_t key) REQUIRES(p->mu)
{
    struct fcgi_server *best = NULL;
    double least = 0;

    for (unsigned i = 0; i < n; i++) {
        struct fcgi_server *sv = p->candidates[i];
        double score = -log(draw(key, sv->hash)) / sv->weight;
        if (!best || score < least) {
            best = sv;
            least = score;
        }
    }
    return best;
}

/* ---- all ---- */

static struct fcgi_server *choose_among_locked(struct pool *p, const struct fcgi_request *r,
                                               unsigned n) REQUIRES(p->mu)
{
    if (n <= 1)
        return n ? p->candidates[0] : NULL;
    switch (p->conf->balance) {
    case CONF_BALANCE_LEAST:
        n = least_locked(p, n);
        if (p->candidates[0]->slot != SERVER_NO_SLOT)
            return warm_locked(p, n, r->worker);
        return turn_locked(p, n);
    case CONF_BALANCE_ROUND_ROBIN:
        return turn_locked(p, n);
    case CONF_BALANCE_HASH:
        return hash_locked(p, n, r->balance_key);
    }
    return NULL;
}

struct fcgi_server *balance_choose_locked(struct pool *p, const struct fcgi_request *r)
{
    bool has_tried = r->asker && r->asker->n_tried;
    struct fcgi_server *sv = NULL;

    for (int tried_too = !has_tried; tried_too <= 1 && !sv; tried_too++) {
        sv = choose_among_locked(p, r, candidates_locked(p, r, false, tried_too));
        if (!sv && p->n_backup)
            sv = choose_among_locked(p, r, candidates_locked(p, r, true, tried_too));
    }
    return sv;
}
