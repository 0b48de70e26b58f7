#include "response_fields.h"

#include <string.h>

#include "stream.h"

/* Fields that belong to one connection (RFC 9110 7.6.1), to the gateway (RFC 3875 6.3.3), or
 * to the protocol's own framing. */
static bool field_is_hop_by_hop(struct slice name)
{
    static const struct slice names[] = {
        {"Connection", 10}, {"Keep-Alive", 10}, {"Transfer-Encoding", 17},
        {"Status", 6},      {"Upgrade", 7},     {"Content-Length", 14},
        {"Trailer", 7},     {"TE", 2},          {"Proxy-Connection", 16},
    };

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

/* A response field that could forge another, or that HTTP/2 would refuse (RFC 9110 5.5,
 * 5.6.2). */
static bool field_is_sound(const struct field *f)
{
    if (f->name.n == 0)
        return false;
    for (size_t i = 0; i < f->name.n; i++) {
        unsigned char ch = (unsigned char)f->name.p[i];
        if (ch <= ' ' || ch >= 0x7f || ch == ':')
            return false;
    }
    return !memchr(f->value.p ? f->value.p : "", '\n', f->value.n) &&
           !memchr(f->value.p ? f->value.p : "", '\r', f->value.n) &&
           !memchr(f->value.p ? f->value.p : "", '\0', f->value.n);
}

int response_fields_clean(struct arena *a, struct response *r)
{
    size_t n = 0;
    struct field *clean = arena_alloc(a, (r->n_fields + 1) * sizeof(*clean));

    if (!clean)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (!field_is_hop_by_hop(r->fields[i].name) && field_is_sound(&r->fields[i]))
            clean[n++] = r->fields[i];
    }
    r->fields = clean;
    r->n_fields = n;
    return 0;
}
