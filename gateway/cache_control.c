#include "cache_control.h"

/* "max-age=60", "max-age=\"60\"" (RFC 9111 5.2: either form). */
static int64_t seconds(struct slice value)
{
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = slice_of(value.p + 1, value.n - 2);
    return slice_decimal(value, INT32_MAX);
}

static void directive(struct cache_control *c, struct slice item)
{
    ssize_t eq = slice_find(item, '=');
    struct slice name = slice_trim(eq < 0 ? item : slice_of(item.p, (size_t)eq));
    struct slice value =
        eq < 0 ? slice_of("", 0) : slice_trim(slice_from(item, (size_t)eq + 1));
    bool s_maxage = slice_ieq(name, SLICE("s-maxage"));

    c->no_store |= slice_ieq(name, SLICE("no-store"));
    c->no_cache |= slice_ieq(name, SLICE("no-cache"));
    c->is_private |= slice_ieq(name, SLICE("private"));
    c->no_transform |= slice_ieq(name, SLICE("no-transform"));
    if (!s_maxage && !slice_ieq(name, SLICE("max-age")))
        return;
    int64_t age = seconds(value);
    c->stale |= age < 0;
    *(s_maxage ? &c->s_maxage : &c->max_age) = age;
}

/* A quoted list of field names is cut at its commas too, which at worst forbids. */
struct cache_control cache_control_of(const struct field *fields, size_t n)
{
    struct cache_control c = {.max_age = -1, .s_maxage = -1};

    for (size_t i = 0; i < n; i++) {
        struct slice list = fields[i].value, item;
        if (!slice_ieq(fields[i].name, SLICE("Cache-Control")))
            continue;
        while (slice_list_next(&list, &item))
            directive(&c, item);
    }
    return c;
}
