#include "mime_route.h"

/* The type that the route has for file; n = 0: none. */
static struct slice own_type(const struct conf_route *route, struct slice file)
{
    struct slice ext = mime_extension(file);

    for (unsigned i = 0; ext.n && i < route->n_types; i++) {
        if (slice_ieq(ext, route->types[i].name))
            return route->types[i].value;
    }
    return slice_of("", 0);
}

static struct slice without_parameters(struct slice type)
{
    ssize_t semicolon = slice_find(type, ';');

    return semicolon < 0 ? type : slice_of(type.p, (size_t)semicolon);
}

static struct slice with_charset(struct arena *a, struct slice type, const char *charset)
{
    bool is_text = type.n > 5 && slice_ieq(slice_of(type.p, 5), SLICE("text/"));

    if (!is_text || slice_find(type, ';') >= 0)
        return type;
    if (!charset && mime_says_charset(type))
        return type;
    struct slice full =
        arena_printf(a, "%.*s; charset=%s", SLICE_FMT(type), charset ? charset : "utf-8");
    return full.p ? full : type;
}

struct slice mime_route(const struct mime *m, struct arena *a, const struct conf_route *route,
                        struct slice file)
{
    if (!route || (!route->n_types && !route->charset))
        return mime_find(m, file);
    struct slice type = own_type(route, file);
    if (!type.n) {
        type = mime_find(m, file);
        if (!route->charset)
            return type;
        type = without_parameters(type); /* of ours: a charset */
    }
    return route->charset && !*route->charset ? type : with_charset(a, type, route->charset);
}
