#include "ids.h"

#include <assert.h>
#include <stdlib.h>

#include "../gateway/err.h"

enum { ID_MAX = 65535 };

static unsigned ids_n(const struct fcgi_ids *ids)
{
    return ids->n ? ids->n : 1;
}

static struct fcgi_id_place *ids_place(struct fcgi_ids *ids, unsigned i)
{
    return ids->n ? &ids->many[i] : &ids->one;
}

static const struct fcgi_id_place *ids_look(const struct fcgi_ids *ids, unsigned i)
{
    return ids->n ? &ids->many[i] : &ids->one;
}

/* The id that place i gives its next request, or its present one has. */
static uint32_t ids_id(const struct fcgi_ids *ids, unsigned i)
{
    return i + 1 + ids_look(ids, i)->round * ids_n(ids);
}

static void ids_check(struct fcgi_ids *ids, unsigned i)
{
    struct fcgi_id_place *place = ids_place(ids, i);

    if (ids_id(ids, i) <= ID_MAX)
        return;
    place->round = 0;
    place->again = true;
}

void fcgi_ids_fini(struct fcgi_ids *ids)
{
    free(ids->many);
    *ids = (struct fcgi_ids){0};
}

void fcgi_ids_reset(struct fcgi_ids *ids)
{
    ids->one = (struct fcgi_id_place){0};
    ids->n = ids->n_used = 0;
}

int fcgi_ids_grow(struct fcgi_ids *ids, unsigned n)
{
    assert(!ids->n && n <= ID_MAX);
    if (n < 2)
        return 0;
    if (ids->cap < n) {
        struct fcgi_id_place *many = realloc(ids->many, n * sizeof(*many));
        if (!many)
            return GW_ENO_MEMORY;
        ids->many = many;
        ids->cap = n;
    }
    /* Its place keeps its id, which is round + 1; the ids below that were used. */
    unsigned round = ids->one.round, at = round % n;
    ids->n = n;
    for (unsigned i = 0; i < n; i++) {
        ids->many[i] = (struct fcgi_id_place){
            .round = (uint16_t)(round / n + (i < at)),
            .again = ids->one.again,
        };
        ids_check(ids, i);
    }
    ids->many[at].request = ids->one.request;
    return 0;
}

uint16_t fcgi_ids_take(struct fcgi_ids *ids, struct fcgi_request *r)
{
    if (ids->n_used == ids_n(ids))
        return 0;
    for (unsigned i = 0; i < ids_n(ids); i++) {
        struct fcgi_id_place *place = ids_place(ids, i);
        if (place->request)
            continue;
        place->request = r;
        ids->n_used++;
        return (uint16_t)ids_id(ids, i);
    }
    return 0;
}

void fcgi_ids_give(struct fcgi_ids *ids, uint16_t id)
{
    unsigned i = (id - 1u) % ids_n(ids);
    struct fcgi_id_place *place = ids_place(ids, i);

    assert(place->request && ids_id(ids, i) == id);
    place->request = NULL;
    ids->n_used--;
    place->round++;
    ids_check(ids, i);
}

struct fcgi_request *fcgi_ids_find(const struct fcgi_ids *ids, uint16_t id, bool *ret_late)
{
    *ret_late = false;
    if (id == 0)
        return NULL;
    unsigned i = (id - 1u) % ids_n(ids);
    uint32_t now = ids_id(ids, i);

    if (id == now && ids_look(ids, i)->request)
        return ids_look(ids, i)->request;
    *ret_late = id < now || ids_look(ids, i)->again;
    return NULL;
}

struct fcgi_request *fcgi_ids_next(const struct fcgi_ids *ids, unsigned *at)
{
    while (*at < ids_n(ids)) {
        struct fcgi_request *r = ids_look(ids, (*at)++)->request;
        if (r)
            return r;
    }
    return NULL;
}
