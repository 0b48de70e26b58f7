#include "head_override.h"

#include "stream.h"

/* Several ranges: the type is that of each part, and the whole has its own. */
static bool has_parts(const struct response *r)
{
    const struct field *type = fields_find(r->fields, r->n_fields, SLICE("Content-Type"));

    return r->status == 206 && type && slice_starts(type->value, SLICE("multipart/"));
}

/* Does o's field go on this answer? */
static bool goes_on(struct slice name, const struct response *r)
{
    static const struct slice of_304[] = {/* RFC 9110 15.4.5 */
                                          {"Cache-Control", 13},
                                          {"Content-Location", 16},
                                          {"Expires", 7},
                                          {"Vary", 4}};

    if (slice_ieq(name, SLICE("Content-Type")) && has_parts(r))
        return false;
    if (slice_ieq(name, SLICE("Set-Cookie")) || r->status == 200 || r->status == 206)
        return true;
    return r->status == 304 && slice_ieq_any(name, of_304, sizeof(of_304) / sizeof(of_304[0]));
}

static bool is_replaced(const struct head_override *o, struct slice name,
                        const struct response *r)
{
    static const struct slice of_200[] = {
        {"ETag", 4}, {"Last-Modified", 13}, {"Accept-Ranges", 13}};

    if (o->status && r->status == 200 &&
        slice_ieq_any(name, of_200, sizeof(of_200) / sizeof(of_200[0])))
        return true;
    return goes_on(name, r) && !slice_ieq(name, SLICE("Set-Cookie")) &&
           fields_find(o->fields, o->n_fields, name);
}

int head_override_apply(struct arena *a, const struct head_override *o, struct response *r)
{
    struct field *fields = arena_alloc(a, (r->n_fields + o->n_fields + 1) * sizeof(*fields));
    size_t n = 0;

    if (!fields)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!is_replaced(o, r->fields[i].name, r))
            fields[n++] = r->fields[i];
    }
    for (size_t i = 0; i < o->n_fields; i++) {
        if (goes_on(o->fields[i].name, r))
            fields[n++] = o->fields[i];
    }
    r->fields = fields;
    r->n_fields = n;
    if (o->status && r->status == 200) {
        r->status = o->status;
        r->reason = o->reason;
    }
    return 0;
}
