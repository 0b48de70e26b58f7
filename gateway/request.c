#include "request.h"

static bool is_condition(struct slice name)
{
    static const struct slice names[] = {
        {"Range", 5},          {"If-Range", 8},           {"If-Match", 8},
        {"If-None-Match", 13}, {"If-Modified-Since", 17}, {"If-Unmodified-Since", 19},
    };

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

bool request_has_conditions(const struct request *req)
{
    for (size_t i = 0; i < req->n_fields; i++) {
        if (is_condition(req->fields[i].name))
            return true;
    }
    return false;
}

void request_drop_conditions(struct request *req)
{
    size_t n = 0;

    for (size_t i = 0; i < req->n_fields; i++) {
        if (!is_condition(req->fields[i].name))
            req->fields[n++] = req->fields[i];
    }
    req->n_fields = n;
}
