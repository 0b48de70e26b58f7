#include "filter_keep.h"

#include "httpdate.h"

/* ---- the request ---- */

/*
 * Authorization: the answer is for who sent it (RFC 9111 3.5).  The others ask for a part, or
 * for nothing unless the answer is what they know, which the filter decides.
 */
static const struct slice asks_more[] = {
    {"Authorization", 13},       {"Range", 5},    {"If-Match", 8},
    {"If-Unmodified-Since", 19}, {"If-Range", 8},
};

bool filter_keep_request(const struct request *req)
{
    if (!slice_eq(req->method, SLICE("GET")) && !slice_eq(req->method, SLICE("HEAD")))
        return false;
    if (req->has_query || req->has_body)
        return false;
    for (size_t i = 0; i < sizeof(asks_more) / sizeof(asks_more[0]); i++) {
        if (fields_find(req->fields, req->n_fields, asks_more[i]))
            return false;
    }
    return true;
}

/* ---- the answer ---- */

/* What its Cache-Control fields say together; -1: it does not say. */
struct control {
    bool forbids;
    int64_t max_age, s_maxage;
};

/* "max-age=60", "max-age=\"60\"" (RFC 9111 5.2: either form). */
static int64_t seconds(struct slice value)
{
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = slice_of(value.p + 1, value.n - 2);
    return slice_decimal(value, INT32_MAX);
}

static void directive(struct control *c, struct slice item)
{
    static const struct slice forbidding[] = {{"no-store", 8}, {"no-cache", 8}, {"private", 7}};
    ssize_t eq = slice_find(item, '=');
    struct slice name = slice_trim(eq < 0 ? item : slice_of(item.p, (size_t)eq));
    struct slice value =
        eq < 0 ? slice_of("", 0) : slice_trim(slice_from(item, (size_t)eq + 1));
    bool s_maxage = slice_ieq(name, SLICE("s-maxage"));

    for (size_t i = 0; i < sizeof(forbidding) / sizeof(forbidding[0]); i++)
        c->forbids |= slice_ieq(name, forbidding[i]);
    if (!s_maxage && !slice_ieq(name, SLICE("max-age")))
        return;
    int64_t age = seconds(value);
    c->forbids |= age < 0; /* 4.2.1: an invalid one is stale at once */
    *(s_maxage ? &c->s_maxage : &c->max_age) = age;
}

/* A quoted list of field names is cut at its commas too, which at worst forbids. */
static struct control control_of(const struct response *r)
{
    struct control c = {.max_age = -1, .s_maxage = -1};

    for (size_t i = 0; i < r->n_fields; i++) {
        struct slice list = r->fields[i].value, item;
        if (!slice_ieq(r->fields[i].name, SLICE("Cache-Control")))
            continue;
        while (slice_list_next(&list, &item))
            directive(&c, item);
    }
    return c;
}

static int64_t for_seconds(int64_t n)
{
    return n > 0 ? n : FILTER_KEEP_NEVER;
}

int64_t filter_keep_response(const struct response *r, int64_t now)
{
    struct control c = control_of(r);
    const struct field *expires = fields_find(r->fields, r->n_fields, SLICE("Expires"));

    if (r->status != 200 || c.forbids || fields_find(r->fields, r->n_fields, SLICE("Vary")) ||
        fields_find(r->fields, r->n_fields, SLICE("Set-Cookie")))
        return FILTER_KEEP_NEVER;
    /* 4.2.1, in this order */
    if (c.s_maxage >= 0)
        return for_seconds(c.s_maxage);
    if (c.max_age >= 0)
        return for_seconds(c.max_age);
    if (expires) /* 5.3: what is no date has passed */
        return for_seconds(httpdate_parse(expires->value, now) - now);
    return FILTER_KEEP_ALWAYS;
}
