#include "turns.h"

#include <stddef.h>
#include <stdlib.h>

#include "../gateway/err.h"

enum {
    LOOK = 8,   /* so many are looked at for one of the worker that asks */
    STREAK = 4, /* so often in a row the first in line may be passed over */
    TABLE_MIN = 16,
};

/* The root has tenants, a tenant has clients, a client has requests. */
struct turns_party {
    struct turns_link link; /* in a round of its parent's */
    struct turns_party *parent;
    struct turns_party *chain; /* the next of its place in the table */
    uint64_t key;
    unsigned n;      /* requests that wait below it */
    unsigned passed; /* times in a row that its first in line was passed over */
    unsigned place;  /* in its parent's heap */

    struct turns_link now, later; /* rounds of its children; a client's requests are in now */
    struct turns_party **heap;    /* its children, who has most waiting first */
    unsigned n_heap, cap_heap;
};

/* ---- lists ---- */

static void list_init(struct turns_link *head)
{
    head->next = head->prev = head;
}

static bool list_empty(const struct turns_link *head)
{
    return head->next == head;
}

static void list_append(struct turns_link *head, struct turns_link *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static void list_remove(struct turns_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
}

/* All of from, which is not empty, to the empty list to. */
static void list_move(struct turns_link *to, struct turns_link *from)
{
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

static struct turns_party *party_of(struct turns_link *l)
{
    return (struct turns_party *)(void *)l; /* its first member */
}

static struct turn *turn_of(struct turns_link *l)
{
    return (struct turn *)(void *)l; /* its first member */
}

/* ---- heaps: who of a party's children has most waiting ---- */

static void heap_put(struct turns_party *parent, unsigned at, struct turns_party *c)
{
    parent->heap[at] = c;
    c->place = at;
}

static void heap_up(struct turns_party *parent, struct turns_party *c)
{
    unsigned at = c->place;

    while (at && parent->heap[(at - 1) / 2]->n < c->n) {
        heap_put(parent, at, parent->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(parent, at, c);
}

static void heap_down(struct turns_party *parent, struct turns_party *c)
{
    unsigned at = c->place, child;

    while ((child = 2 * at + 1) < parent->n_heap) {
        if (child + 1 < parent->n_heap && parent->heap[child + 1]->n > parent->heap[child]->n)
            child++;
        if (parent->heap[child]->n <= c->n)
            break;
        heap_put(parent, at, parent->heap[child]);
        at = child;
    }
    heap_put(parent, at, c);
}

static bool heap_room(struct turns_party *parent)
{
    unsigned cap = parent->cap_heap ? parent->cap_heap * 2 : 4;

    if (parent->n_heap < parent->cap_heap)
        return true;
    struct turns_party **more =
        realloc((void *)parent->heap, cap * sizeof(struct turns_party *));
    if (!more)
        return false;
    parent->heap = more;
    parent->cap_heap = cap;
    return true;
}

static void heap_add(struct turns_party *parent, struct turns_party *c)
{
    c->place = parent->n_heap++;
    heap_up(parent, c);
}

static void heap_remove(struct turns_party *parent, const struct turns_party *c)
{
    struct turns_party *last = parent->heap[--parent->n_heap];

    if (last == c)
        return;
    last->place = c->place;
    heap_up(parent, last);
    heap_down(parent, last);
}

/* One more or one fewer waits below c: it and all above it count. */
static void count(struct turns_party *c, bool more)
{
    for (; c->parent; c = c->parent) {
        c->n += more ? 1 : -1u;
        if (more)
            heap_up(c->parent, c);
        else
            heap_down(c->parent, c);
    }
    c->n += more ? 1 : -1u;
}

/* ---- the table ---- */

static unsigned place_of(const struct turns *ts, const struct turns_party *parent, uint64_t key)
{
    uint64_t both[2] = {(uint64_t)(uintptr_t)parent, key};

    return (unsigned)siphash(ts->key, both, sizeof(both)).v[0] & (ts->cap - 1);
}

static struct turns_party *party_find(const struct turns *ts, const struct turns_party *parent,
                                      uint64_t key)
{
    if (!parent || !ts->cap)
        return NULL;
    struct turns_party *c = ts->table[place_of(ts, parent, key)];
    while (c && (c->parent != parent || c->key != key))
        c = c->chain;
    return c;
}

static void table_put(struct turns *ts, struct turns_party *c)
{
    struct turns_party **place = &ts->table[place_of(ts, c->parent, c->key)];

    c->chain = *place;
    *place = c;
}

static bool table_room(struct turns *ts)
{
    struct turns_party **old = ts->table, *c;
    unsigned old_cap = ts->cap, cap = old_cap ? old_cap * 2 : TABLE_MIN;

    if (ts->n_parties < ts->cap)
        return true;
    struct turns_party **table = calloc(cap, sizeof(struct turns_party *));
    if (!table)
        return false;
    ts->table = table;
    ts->cap = cap;
    for (unsigned i = 0; i < old_cap; i++) {
        while ((c = old[i])) {
            old[i] = c->chain;
            table_put(ts, c);
        }
    }
    free((void *)old);
    return true;
}

static void table_remove(struct turns *ts, struct turns_party *c)
{
    struct turns_party **at = &ts->table[place_of(ts, c->parent, c->key)];

    while (*at != c)
        at = &(*at)->chain;
    *at = c->chain;
}

/* ---- parties ---- */

static struct turns_party *party_new(struct turns_party *parent, uint64_t key)
{
    struct turns_party *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->parent = parent;
    c->key = key;
    list_init(&c->now);
    list_init(&c->later);
    return c;
}

static void party_free(struct turns_party *c)
{
    if (c)
        free((void *)c->heap);
    free(c);
}

/* The child of parent with that key, made if there is none: then it waits for the next round. */
static struct turns_party *party_get(struct turns *ts, struct turns_party *parent, uint64_t key)
{
    struct turns_party *c = party_find(ts, parent, key);

    if (c)
        return c;
    if (!table_room(ts) || !heap_room(parent) || !(c = party_new(parent, key)))
        return NULL;
    ts->n_parties++;
    table_put(ts, c);
    heap_add(parent, c);
    list_append(&parent->later, &c->link);
    return c;
}

/* Nothing waits below c any more. */
static void party_forget(struct turns *ts, struct turns_party *c)
{
    list_remove(&c->link);
    heap_remove(c->parent, c);
    table_remove(ts, c);
    ts->n_parties--;
    party_free(c);
}

/* c has its turn: it is in the next round, if it has more. */
static void party_took(struct turns *ts, struct turns_party *c)
{
    struct turns_party *parent = c->parent;

    parent->passed = parent->now.next == &c->link ? 0 : parent->passed + 1;
    if (c->n == 0) {
        party_forget(ts, c);
        return;
    }
    list_remove(&c->link);
    list_append(&parent->later, &c->link);
}

/* ---- waiting ---- */

static bool nobody(const struct turns *ts)
{
    return !ts->root || ts->root->n == 0;
}

void turns_init(struct turns *ts, struct siphash_key key)
{
    *ts = (struct turns){.key = key};
}

void turns_fini(struct turns *ts)
{
    party_free(ts->root);
    free((void *)ts->table);
    *ts = (struct turns){0};
}

int turns_add(struct turns *ts, struct turn *t, uint64_t tenant, uint64_t client)
{
    struct turns_party *p, *c = NULL;

    if (!ts->root && !(ts->root = party_new(NULL, 0)))
        return GW_ENO_MEMORY;
    p = party_get(ts, ts->root, tenant);
    if (p)
        c = party_get(ts, p, client);
    if (!c) {
        if (p && p->n == 0)
            party_forget(ts, p);
        return GW_ENO_MEMORY;
    }
    t->client = c;
    list_append(&c->now, &t->link);
    count(c, true);
    return 0;
}

static void turn_remove(struct turn *t)
{
    list_remove(&t->link);
    count(t->client, false);
    t->client = NULL;
}

void turns_leave(struct turns *ts, struct turn *t)
{
    struct turns_party *c = t->client, *tenant = c->parent;

    turn_remove(t);
    if (c->n == 0)
        party_forget(ts, c);
    if (tenant->n == 0)
        party_forget(ts, tenant);
}

/* ---- turns ---- */

/* The first in line of a round, or of the next one if this is over. */
static struct turns_party *first_of(struct turns_party *parent)
{
    if (list_empty(&parent->now))
        list_move(&parent->now, &parent->later);
    return party_of(parent->now.next);
}

/* A request of c that is worker's, if one may go first. */
static struct turn *own_of(const struct turns_party *c, unsigned worker)
{
    unsigned look = c->passed < STREAK ? LOOK : 1;

    for (struct turns_link *l = c->now.next; look && l != &c->now; l = l->next, look--) {
        if (turn_of(l)->worker == worker)
            return turn_of(l);
    }
    return NULL;
}

struct turn *turns_next(struct turns *ts, unsigned worker)
{
    if (nobody(ts))
        return NULL;
    struct turns_party *tenant = first_of(ts->root), *first = first_of(tenant);
    unsigned look = tenant->passed < STREAK ? LOOK : 1;

    for (struct turns_link *l = &first->link; look && l != &tenant->now; l = l->next, look--) {
        struct turn *own = own_of(party_of(l), worker);
        if (own)
            return own;
    }
    return turn_of(first->now.next);
}

void turns_take(struct turns *ts, struct turn *t)
{
    struct turns_party *c = t->client, *tenant = c->parent;

    c->passed = c->now.next == &t->link ? 0 : c->passed + 1;
    turn_remove(t);
    party_took(ts, c);
    party_took(ts, tenant);
}

/* ---- a full queue ---- */

/* Who of parent's children has so many that one with n and one more has fewer. */
static const struct turns_party *richest(const struct turns_party *parent, unsigned n)
{
    return parent->n_heap && parent->heap[0]->n > n + 1 ? parent->heap[0] : NULL;
}

struct turn *turns_victim(const struct turns *ts, uint64_t tenant, uint64_t client)
{
    if (nobody(ts))
        return NULL;
    const struct turns_party *p = party_find(ts, ts->root, tenant), *c;
    const struct turns_party *rich = richest(ts->root, p ? p->n : 0);

    if (rich) {
        c = rich->heap[0];
    } else if (p) {
        const struct turns_party *own = party_find(ts, p, client);
        c = richest(p, own ? own->n : 0);
    } else {
        c = NULL;
    }
    return c ? turn_of(c->now.prev) : NULL;
}

struct turn *turns_any(const struct turns *ts)
{
    return nobody(ts) ? NULL : turn_of(ts->root->heap[0]->heap[0]->now.prev);
}
