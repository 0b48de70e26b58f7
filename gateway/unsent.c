#include "unsent.h"

static bool ends_as(struct slice name, struct slice end)
{
    return name.n >= end.n && slice_ieq(slice_from(name, name.n - end.n), end);
}

bool unsent_is(const struct slice *list, unsigned n, struct slice file)
{
    for (unsigned i = 0; i < n; i++) {
        if (ends_as(file, list[i]))
            return true;
    }
    return false;
}

/* Does the route say what files that end so are, or that it is for them? */
static bool is_meant(const struct conf_route *route, struct slice end)
{
    if (route->suffix.n && ends_as(route->suffix, end))
        return true;
    for (unsigned i = 0; i < route->n_types; i++) {
        if (slice_starts(end, SLICE(".")) &&
            slice_ieq(slice_from(end, 1), route->types[i].name))
            return true;
    }
    return false;
}

static bool is_off(const struct conf_route *route)
{
    return !route->n_unsent || route->filter || (route->internal && !route->own_unsent);
}

int unsent_list(struct arena *a, const struct conf_site *site, const struct conf_route *route,
                const struct slice **ret_list, unsigned *ret_n)
{
    unsigned n = 0;

    *ret_n = 0;
    *ret_list = NULL;
    if (is_off(route))
        return 0;
    struct slice *list =
        arena_alloc(a, (route->n_unsent + (size_t)site->n_routes) * sizeof(*list));
    if (!list)
        return -1;
    for (unsigned i = 0; i < route->n_unsent; i++) {
        if (!is_meant(route, route->unsent[i]))
            list[n++] = route->unsent[i];
    }
    for (unsigned i = 0; i < site->n_routes; i++) {
        const struct conf_route *other = &site->routes[i];
        if (other->pool >= 0 && other->suffix.n && !is_meant(route, other->suffix) &&
            !unsent_is(list, n, other->suffix))
            list[n++] = other->suffix;
    }
    *ret_list = list;
    *ret_n = n;
    return 0;
}
