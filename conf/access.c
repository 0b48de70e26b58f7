#include "access.h"

enum { DENY, ALLOW };

static void add(struct cidr_set *set, const struct cidr *blocks, unsigned n, int says)
{
    for (unsigned i = 0; i < n; i++)
        set->rules[set->n++] = (struct cidr_rule){.block = blocks[i], .says = says};
}

static const struct cidr *find_in(const struct cidr *blocks, unsigned n, const struct cidr *c)
{
    for (unsigned i = 0; i < n; i++) {
        if (cidr_covers(&blocks[i], c) && cidr_covers(c, &blocks[i]))
            return &blocks[i];
    }
    return NULL;
}

struct access *access_new(struct arena *arena, const struct access_lists *lists,
                          const struct cidr **ret_twice)
{
    struct access *access = arena_zalloc(arena, sizeof(*access));
    size_t n = (size_t)lists->n_deny + lists->n_allow;

    *ret_twice = NULL;
    if (!access)
        return NULL;
    access->others = lists->n_allow == 0;
    access->set.rules = arena_alloc(arena, (n + 1) * sizeof(*access->set.rules));
    if (!access->set.rules)
        return NULL;
    add(&access->set, lists->deny, lists->n_deny, DENY);
    add(&access->set, lists->allow, lists->n_allow, ALLOW);
    const struct cidr_rule *clash = cidr_set_build(&access->set);
    if (!clash)
        return access;
    *ret_twice = find_in(lists->allow, lists->n_allow, &clash->block);
    return NULL;
}

bool access_may_allow(const struct access *access)
{
    return access && !access->others;
}

bool access_ask(const struct access *access, const struct cidr_address *a,
                const struct cidr **ret_rule)
{
    const struct cidr_rule *rule = access ? cidr_set_find(&access->set, a) : NULL;

    *ret_rule = rule ? &rule->block : NULL;
    if (rule)
        return rule->says == ALLOW;
    return !access || access->others;
}
