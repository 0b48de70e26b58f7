#include "head_override.h"

#include "stream.h"

static bool is_one_of(struct slice name, const struct slice *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_ieq(name, names[i]))
            return true;
    }
    return false;
}

/* Does o's field go on an answer of this status? */
static bool goes_on(struct slice name, int status)
{
    static const struct slice of_304[] = {/* RFC 9110 15.4.5 */
                                          {"Cache-Control", 13},
                                          {"Content-Location", 16},
                                          {"Expires", 7},
                                          {"Vary", 4}};

    if (slice_ieq(name, SLICE("Set-Cookie")) || status == 200 || status == 206)
        return true;
    return status == 304 && is_one_of(name, of_304, sizeof(of_304) / sizeof(of_304[0]));
}

static bool is_replaced(const struct head_override *o, struct slice name, int status)
{
    static const struct slice of_200[] = {
        {"ETag", 4}, {"Last-Modified", 13}, {"Accept-Ranges", 13}};

    if (o->status && status == 200 &&
        is_one_of(name, of_200, sizeof(of_200) / sizeof(of_200[0])))
        return true;
    return goes_on(name, status) && !slice_ieq(name, SLICE("Set-Cookie")) &&
           fields_find(o->fields, o->n_fields, name);
}

int head_override_apply(struct arena *a, const struct head_override *o, struct response *r)
{
    struct field *fields = arena_alloc(a, (r->n_fields + o->n_fields + 1) * sizeof(*fields));
    size_t n = 0;

    if (!fields)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!is_replaced(o, r->fields[i].name, r->status))
            fields[n++] = r->fields[i];
    }
    for (size_t i = 0; i < o->n_fields; i++) {
        if (goes_on(o->fields[i].name, r->status))
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
