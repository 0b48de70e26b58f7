#include "sendfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "file_cache.h"
#include "forward.h"
#include "head_override.h"
#include "request.h"
#include "routes.h"
#include "worker.h"

#define X_SENDFILE SLICE("X-Sendfile")
#define X_ACCEL_REDIRECT SLICE("X-Accel-Redirect")

/* ---- taking the fields ---- */

static void not_allowed(const struct stream *s, struct slice name, const char *key)
{
    conn_log_stream(s, CONF_LOG_WARN, GW_OK,
                    "site=%s pool=%s sent %.*s, which its route does not allow (%s): left out",
                    s->site->name, s->pool_name, SLICE_FMT(name), key);
}

static bool take_field(struct stream *s, struct field *f, struct sendfile *ret)
{
    const struct conf_route *route = s->route;
    struct sendfile found = {.what = f->value};

    if (slice_ieq(f->name, X_SENDFILE)) {
        if (route->n_sendfile_root)
            found.kind = SENDFILE_FILE;
        else
            not_allowed(s, X_SENDFILE, "sendfile_root");
    } else if (slice_ieq(f->name, X_ACCEL_REDIRECT)) {
        if (route->n_accel_redirect)
            found.kind = SENDFILE_PATH;
        else
            not_allowed(s, X_ACCEL_REDIRECT, "accel_redirect");
    } else {
        return false;
    }
    if (ret->kind == SENDFILE_NONE) /* the first one counts */
        *ret = found;
    return true;
}

void sendfile_take(struct stream *s, struct response_head *h, struct sendfile *ret)
{
    size_t n = 0;

    *ret = (struct sendfile){0};
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!take_field(s, &h->fields[i], ret))
            h->fields[n++] = h->fields[i];
    }
    h->n_fields = n;
}

/* ---- what goes on the answer's head ---- */

/* nginx's list.  What stands at the path has its own validators, ranges and so on. */
static bool goes_with_path(struct slice name)
{
    static const struct slice names[] = {
        {"Content-Type", 12}, {"Content-Disposition", 19},
        {"Set-Cookie", 10},   {"Cache-Control", 13},
        {"Expires", 7},
    };

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

/* All but what the file itself says better. */
static bool goes_with_file(struct slice name)
{
    return !slice_ieq(name, SLICE("ETag")) && !slice_ieq(name, SLICE("Last-Modified")) &&
           !slice_ieq(name, SLICE("Accept-Ranges")) && !slice_ieq(name, SLICE("Content-Range"));
}

/* Has a body and no meaning of its own for it (206, 304, 416). */
static bool is_plain_status(int status)
{
    return status != 200 && status != 204 && status != 205 && status != 206 && status != 304 &&
           status != 416;
}

static struct head_override *override_of(struct arena *a, const struct response_head *h,
                                         enum sendfile_kind kind)
{
    struct head_override *o = arena_zalloc(a, sizeof(*o));
    struct field *fields = arena_alloc(a, (h->n_fields + 1) * sizeof(*fields));

    if (!o || !fields)
        return NULL;
    for (size_t i = 0; i < h->n_fields; i++) {
        struct slice name = h->fields[i].name;
        if (kind == SENDFILE_FILE ? goes_with_file(name) : goes_with_path(name))
            fields[o->n_fields++] = h->fields[i];
    }
    o->fields = fields;
    if (is_plain_status(h->status)) {
        o->status = h->status;
        o->reason = h->reason;
    }
    return o;
}

/* ---- paths ---- */

static bool is_escape(struct slice s)
{
    return s.n >= 3 && isxdigit((unsigned char)s.p[1]) && isxdigit((unsigned char)s.p[2]);
}

/* Applications send names encoded or as they are: "100%.txt" is what it looks like.  p is NULL
 * when memory is out. */
static struct slice escape_percent(struct arena *a, struct slice raw)
{
    char *text = arena_alloc(a, 3 * raw.n + 1), *at = text;

    if (!text)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < raw.n; i++) {
        *at++ = raw.p[i];
        if (raw.p[i] == '%' && !is_escape(slice_from(raw, i)))
            at = mempcpy(at, "25", 2);
    }
    return slice_of(text, (size_t)(at - text));
}

/* Decoded, with its dot segments settled.  false: it is no path. */
static bool settle(struct stream *s, struct slice raw, struct slice *ret_path)
{
    struct slice escaped = escape_percent(&s->arena, raw);

    return escaped.p && router_settle_path(&s->arena, escaped, ret_path) == 0;
}

/* Is path what one of the entries names, or below it?  Where in path the longest such entry
 * ends, or 0. */
static size_t below_one_of(struct slice path, const struct slice *entries, unsigned n)
{
    size_t longest = 0;

    for (unsigned i = 0; i < n; i++) {
        struct slice e = entries[i];
        while (e.n && e.p[e.n - 1] == '/')
            e.n--;
        bool below = slice_starts(path, e) && path.n > e.n && path.p[e.n] == '/';
        if ((below || (path.n == e.n && slice_eq(path, e))) && e.n + 1 > longest)
            longest = e.n + 1;
    }
    return longest;
}

static void refuse(struct stream *s, const struct sendfile *sf, int err, const char *why)
{
    conn_log_stream(s, CONF_LOG_WARN, GW_OK, "site=%s pool=%s sent %s \"%.*s\": %s",
                    s->site->name, s->pool_name,
                    sf->kind == SENDFILE_FILE ? "X-Sendfile" : "X-Accel-Redirect",
                    SLICE_FMT(sf->what), why);
    stream_error(s, err);
}

/* ---- files ---- */

static struct open_file *open_below(const struct stream *s, struct slice path, size_t below)
{
    char root[PATH_MAX];

    if (below > sizeof(root)) {
        errno = ENOENT;
        return NULL;
    }
    memcpy(root, path.p, below - 1);
    root[below - 1] = '\0';
    struct open_file *f =
        file_cache_open(worker_of(s)->files, below == 1 ? "/" : root,
                        slice_from(path, below - 1), route_links(s->route, s->site));
    if (!f || S_ISREG(f->st.st_mode))
        return f;
    open_file_unref(f);
    errno = EISDIR;
    return NULL;
}

static void start_file(struct stream *s, struct route_match *m, const struct sendfile *sf)
{
    struct slice path;
    size_t below = 0;

    if (settle(s, sf->what, &path))
        below = below_one_of(path, s->route->sendfile_root, s->route->n_sendfile_root);
    if (!below) {
        refuse(s, sf, GW_ESENDFILE, "outside of sendfile_root");
        return;
    }
    struct open_file *f = open_below(s, path, below);
    if (!f) {
        int err = errno;
        refuse(s, sf, err == ENOENT ? GW_ENOT_FOUND : GW_ESENDFILE,
               err == EPERM ? "a link leads outside of sendfile_root" : strerror(err));
        return;
    }
    m->file = path;
    m->open = f;
    files_start(s, m);
}

/* ---- paths of the site ---- */

static void start_path(struct stream *s, const struct sendfile *sf)
{
    const struct conf_route *route = s->route;
    ssize_t mark = slice_find(sf->what, '?');
    struct slice raw = mark < 0 ? sf->what : slice_of(sf->what.p, (size_t)mark), path;

    /* The router settles it again, from the same bytes. */
    if (router_settle_path(&s->arena, raw, &path) != 0 ||
        !below_one_of(path, route->accel_redirect, route->n_accel_redirect)) {
        refuse(s, sf, GW_ESENDFILE, "not below accel_redirect");
        return;
    }
    if (++s->redirects > FORWARD_REDIRECTS_MAX) {
        stream_error(s, GW_EREDIRECTS);
        return;
    }
    stream_set_target(s, sf->what);
    s->is_internal = true;
    router_handle(worker_of(s)->router, s);
}

void sendfile_start(struct stream *s, struct route_match *m, const struct sendfile *sf,
                    const struct response_head *h)
{
    bool is_get = slice_eq(s->req.method, SLICE("GET"));
    bool is_head = slice_eq(s->req.method, SLICE("HEAD"));

    s->override = override_of(&s->arena, h, sf->kind);
    if (!s->override) {
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    if (s->override->status || !(is_get || is_head))
        request_drop_conditions(&s->req);
    stream_as_get(s);
    if (sf->kind == SENDFILE_FILE)
        start_file(s, m, sf);
    else
        start_path(s, sf);
}
