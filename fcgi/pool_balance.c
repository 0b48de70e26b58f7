/*
 * Which server a request goes to.
 */
#include "pool_priv.h"

/* The server with the fewest in flight that has room for one more; ties in turn. */
struct fcgi_server *balance_choose_locked(struct pool *p, const struct fcgi_request *r)
{
    struct fcgi_server *best = NULL;

    (void)r;
    for (unsigned i = 0; i < p->n_servers; i++) {
        struct fcgi_server *sv = p->servers[(p->cursor + i) % p->n_servers];
        if (!server_has_room_locked(sv) || !server_usable_locked(sv))
            continue;
        if (!best || sv->n_in_flight < best->n_in_flight)
            best = sv;
        if (best->n_in_flight == 0)
            break;
    }
    if (best)
        p->cursor = best->index + 1;
    return best;
}
