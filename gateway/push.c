#include "push.h"

#include "conn.h"
#include "hints.h"
#include "request.h"

enum { COPIED_MAX = 16 };

static bool may_push(const struct stream *s)
{
    return s->conn->proto->push && !s->pushed && !s->conn->is_trusted &&
           slice_eq(s->req.method, SLICE("GET")) && !conn_draining(s->conn) &&
           !request_has_conditions(&s->req); /* who has some of it is not pushed the rest */
}

/* Take prefix off the front of s, without case. */
static bool skip(struct slice *s, struct slice prefix)
{
    if (s->n < prefix.n || !slice_ieq(slice_of(s->p, prefix.n), prefix))
        return false;
    *s = slice_from(*s, prefix.n);
    return true;
}

/* Without "." and "..", RFC 3986 5.2.4; path begins with a slash.  out has room for as much, and one
 * byte more.  How much it is. */
static size_t remove_dots(struct slice path, char *out)
{
    size_t n = 0, at = 0;

    while (at < path.n) {
        struct slice segment = slice_from(path, at + 1);
        ssize_t end = slice_find(segment, '/');
        bool is_last = end < 0;
        if (!is_last)
            segment.n = (size_t)end;
        at += 1 + segment.n;
        bool up = slice_eq(segment, SLICE(".."));
        while (up && n > 0 && out[--n] != '/')
            ;
        if (up || slice_eq(segment, SLICE(".")))
            segment.n = 0;
        if (segment.n || is_last) {
            out[n++] = '/';
            memcpy(out + n, segment.p, segment.n);
            n += segment.n;
        }
    }
    return n;
}

/* ref as seen from a page at base, RFC 3986 5.2.2: it has neither scheme nor authority, nor begins
 * with a slash.  n = 0: there is no memory. */
static struct slice merge(struct arena *a, struct slice base, struct slice ref)
{
    ssize_t mark = slice_find(ref, '?');
    struct slice path = mark < 0 ? ref : slice_of(ref.p, (size_t)mark);
    struct slice query = slice_from(ref, path.n);
    size_t n = base.n;

    while (path.n && n > 0 && base.p[n - 1] != '/')
        n--;
    char *joined = arena_alloc(a, n + path.n), *out = arena_alloc(a, n + ref.n + 1);
    if (!joined || !out)
        return slice_of("", 0);
    memcpy(joined, base.p, n);
    memcpy(joined + n, path.p, path.n);
    n = remove_dots(slice_of(joined, n + path.n), out);
    memcpy(out + n, query.p, query.n);
    return slice_of(out, n + query.n);
}

/* A reference that is seen from the page it stands in. */
static bool is_relative(struct slice target)
{
    size_t n = 0;

    while (n < target.n && target.p[n] != '/' && target.p[n] != '?' && target.p[n] != ':')
        n++;
    return n > 0 ? n == target.n || target.p[n] != ':' : slice_starts(target, SLICE("?"));
}

/* The path and query of a target of our own; n = 0: it is none. */
static struct slice own_path(struct arena *a, const struct request *req, struct slice target)
{
    ssize_t hash = slice_find(target, '#');

    if (hash >= 0)
        target.n = (size_t)hash;
    if (is_relative(target) && target.n <= REQUEST_TARGET_MAX &&
        slice_starts(req->path, SLICE("/")))
        target = merge(a, req->path, target);
    bool is_url = skip(&target, req->scheme);
    if (is_url && !skip(&target, SLICE(":")))
        return slice_of("", 0);
    bool has_authority = skip(&target, SLICE("//"));
    if (is_url && !has_authority)
        return slice_of("", 0);
    if (has_authority && !skip(&target, req->authority))
        return slice_of("", 0);
    bool fits = slice_starts(target, SLICE("/")) && target.n <= REQUEST_TARGET_MAX;
    return fits ? target : slice_of("", 0);
}

/* What of the page's request says nothing of who asks. */
static size_t copy_fields(const struct request *req, struct field copied[COPIED_MAX])
{
    static const struct slice names[] = {
        {"accept-encoding", 15}, {"accept-language", 15}, {"user-agent", 10}};
    size_t n = 0;

    for (size_t i = 0; i < req->n_fields && n < COPIED_MAX; i++) {
        if (slice_ieq_any(req->fields[i].name, names, sizeof(names) / sizeof(names[0])))
            copied[n++] = req->fields[i];
    }
    return n;
}

void push_links(struct stream *s, const struct field *fields, size_t n_fields)
{
    struct field copied[COPIED_MAX];
    size_t n_copied = 0, n = 0;

    if (!may_push(s))
        return;
    s->conn->proto->push(s, slice_of("", 0), NULL, 0); /* that one it has */
    for (size_t i = 0; i < n_fields; i++) {
        struct slice list = fields[i].value, link;
        if (!slice_ieq(fields[i].name, SLICE("Link")))
            continue;
        while (n < PUSH_LINKS && hints_link_next(&list, &link)) {
            if (!hints_link_is_push(link))
                continue;
            struct slice path = own_path(&s->arena, &s->req, hints_link_target(link));
            if (!path.n)
                continue;
            if (n++ == 0)
                n_copied = copy_fields(&s->req, copied);
            s->conn->proto->push(s, path, copied, n_copied);
        }
    }
}
