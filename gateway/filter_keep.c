#include "filter_keep.h"

#include "cache_control.h"
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

static int64_t for_seconds(int64_t n)
{
    return n > 0 ? n : FILTER_KEEP_NEVER;
}

int64_t filter_keep_response(const struct response *r, int64_t now)
{
    struct cache_control c = cache_control_of(r->fields, r->n_fields);
    const struct field *expires = fields_find(r->fields, r->n_fields, SLICE("Expires"));

    if (r->status != 200 || c.no_store || c.no_cache || c.is_private || c.stale ||
        fields_find(r->fields, r->n_fields, SLICE("Vary")) ||
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
