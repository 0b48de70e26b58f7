#include "expand.h"

#include "conn.h"
#include "counters.h"
#include "hosts.h"
#include "path.h"
#include "remote.h"

/* ---- values ----------------------------------------------------------------------------- */

enum { SCRATCH = HOST_MAX + 1 };

/* Borrowed until the next one; empty where there is none. */
typedef struct slice value_fn(struct stream *s, struct slice rest, char scratch[SCRATCH]);

static const struct slice none = {"", 0};

static struct slice number(char scratch[SCRATCH], unsigned n)
{
    return slice_of(scratch, (size_t)snprintf(scratch, SCRATCH, "%u", n));
}

/* UNUSED rest and scratch, for the many that need neither. */
#define VALUE(name)                                                                            \
    static struct slice value_##name(struct stream *s,                                         \
                                     struct slice rest __attribute__((unused)),                \
                                     char scratch[SCRATCH] __attribute__((unused)))

VALUE(args)
{
    return s->req.query;
}

VALUE(query_string)
{
    return s->req.query;
}

VALUE(is_args)
{
    return s->req.query.n ? SLICE("?") : none;
}

VALUE(document_root)
{
    const char *root = s->route && s->route->root ? s->route->root
                       : s->site                  ? s->site->root
                                                  : NULL;
    return slice_str(root);
}

VALUE(uri)
{
    return s->uri;
}

VALUE(document_uri)
{
    return s->uri;
}

VALUE(request_id)
{
    return stream_request_id(s);
}

VALUE(request_uri)
{
    return s->asked_target.n ? s->asked_target : s->req.target;
}

VALUE(server_name)
{
    struct slice name = s->site ? hosts_first(s->site) : none;

    if (!name.n)
        name = host_of_authority(s->req.authority);
    return name.n ? name : SLICE("localhost");
}

VALUE(host)
{
    struct slice host = host_of_authority(s->req.authority);

    if (!host.n)
        return value_server_name(s, rest, scratch);
    if (host.n > SCRATCH) /* no name that DNS knows */
        return host;
    return slice_lower(scratch, host);
}

VALUE(https)
{
    return slice_eq(s->req.scheme, SLICE("https")) ? SLICE("on") : none;
}

VALUE(remote_addr)
{
    return slice_str(remote_text(s));
}

VALUE(remote_port)
{
    uint16_t port = remote_port(s);

    return port ? number(scratch, port) : none;
}

VALUE(remote_user)
{
    return s->remote_user;
}

VALUE(request_method)
{
    return s->asked_method.n ? s->asked_method : s->req.method;
}

VALUE(scheme)
{
    return s->req.scheme;
}

VALUE(server_addr)
{
    return slice_str(s->conn->local_text);
}

VALUE(server_port)
{
    unsigned port = s->conn->local_port;
    bool https = slice_eq(s->req.scheme, SLICE("https"));

    return number(scratch, port ? port : https ? 443 : 80);
}

VALUE(server_protocol)
{
    return s->req.version == HTTP_2     ? SLICE("HTTP/2.0")
           : s->req.version == HTTP_1_0 ? SLICE("HTTP/1.0")
                                        : SLICE("HTTP/1.1");
}

/* The first argument called so; its value as it was sent. */
VALUE(arg_)
{
    struct slice query = s->req.query;

    while (query.n) {
        ssize_t end = slice_find(query, '&');
        struct slice arg = end < 0 ? query : slice_of(query.p, (size_t)end);
        query = end < 0 ? none : slice_from(query, (size_t)end + 1);
        if (slice_starts(arg, rest) && (arg.n == rest.n || arg.p[rest.n] == '='))
            return arg.n == rest.n ? none : slice_from(arg, rest.n + 1);
    }
    return none;
}

static struct slice cookie_in(struct slice field, struct slice name)
{
    while (field.n) {
        ssize_t end = slice_find(field, ';');
        struct slice pair = slice_trim(end < 0 ? field : slice_of(field.p, (size_t)end));
        field = end < 0 ? none : slice_from(field, (size_t)end + 1);
        if (slice_starts(pair, name) && pair.n > name.n && pair.p[name.n] == '=')
            return slice_from(pair, name.n + 1);
    }
    return slice_of(NULL, 0);
}

/* RFC 6265 4.2.1; HTTP/2 may have several fields (RFC 9113 8.2.3). */
VALUE(cookie_)
{
    for (size_t i = 0; i < s->req.n_fields; i++) {
        if (!slice_ieq(s->req.fields[i].name, SLICE("Cookie")))
            continue;
        struct slice value = cookie_in(s->req.fields[i].value, rest);
        if (value.p)
            return value;
    }
    return none;
}

/* A name with _ where the field has -.  A field with _ is none of these: a client could speak
 * for a proxy in front with it. */
static bool is_field(struct slice name, struct slice field)
{
    if (name.n != field.n)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char want = name.p[i] == '_' ? '-' : name.p[i];
        char c = field.p[i];
        if ((c | 0x20) != (want | 0x20) || (want == '-') != (c == '-'))
            return false;
    }
    return true;
}

VALUE(http_)
{
    if (slice_eq(rest, SLICE("host")))
        return s->req.authority;
    for (size_t i = 0; i < s->req.n_fields; i++) {
        if (is_field(rest, s->req.fields[i].name))
            return s->req.fields[i].value;
    }
    return none;
}

static value_fn *const values[N_VARS] = {
#define GW_VAR(name, kind, text) [VAR_##name] = value_##name,
#define GW_VAR_NAMED(prefix, kind, text) [VAR_##prefix] = value_##prefix,
#include "tbl/vars.def"
#undef GW_VAR
#undef GW_VAR_NAMED
};

static struct slice value_of(struct stream *s, const struct vars_part *part,
                             const struct expand_groups *groups, char scratch[SCRATCH])
{
    if (part->var == VAR_LITERAL)
        return part->text;
    if (part->var == VAR_GROUP)
        return groups ? groups->group[part->group] : none;
    return values[part->var](s, part->text, scratch);
}

/* ---- encoding --------------------------------------------------------------------------- */

/* Counts only while out is NULL: a text is gone through twice. */
struct expansion {
    char *out;
    size_t n;
    bool in_query;  /* of a URL */
    bool host_over; /* a group brought the slash that ends the host */
};

static void put(struct expansion *e, char c)
{
    if (e->out)
        e->out[e->n] = c;
    e->n++;
}

static void put_encoded(struct expansion *e, char c)
{
    static const char hex[] = "0123456789ABCDEF";

    put(e, '%');
    put(e, hex[(unsigned char)c >> 4]);
    put(e, hex[(unsigned char)c & 15]);
}

/* RFC 3986 2.3 */
static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

/* May c stand as it is?  how is one of the four below. */
typedef bool stands_fn(char c);

static bool in_field(char c)
{
    return (unsigned char)c >= ' ' && c != 0x7f;
}

static bool in_path(char c)
{
    return path_stands(c);
}

static bool in_query_path(char c)
{
    return is_unreserved(c) || c == '/';
}

/* What is encoded already; a # would begin a fragment. */
static bool in_uri(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"#<>\\^`{|}", c);
}

static stands_fn *stands_as(struct expansion *e, const struct vars_part *part,
                            struct slice value)
{
    if (part->in_authority && !e->host_over) {
        if (!part->ends_authority || !slice_starts(value, SLICE("/")))
            return is_unreserved;
        e->host_over = true;
    }
    switch (vars_kind(part->var)) {
    case VAR_KIND_PATH:
        return e->in_query ? in_query_path : in_path;
    case VAR_KIND_HOST:
    case VAR_KIND_SCHEME:
    case VAR_KIND_URI:
        return in_uri;
    case VAR_KIND_TEXT:
        break;
    }
    /* Host is found valid before. */
    return slice_eq(part->text, SLICE("host")) ? in_uri : is_unreserved;
}

static void put_all(struct expansion *e, struct slice value, stands_fn *stands)
{
    for (size_t i = 0; i < value.n; i++) {
        if (!stands || stands(value.p[i]))
            put(e, value.p[i]);
        else
            put_encoded(e, value.p[i]);
    }
}

static void put_part(struct expansion *e, const struct vars_part *part, struct slice value,
                     enum expand_as as)
{
    if (as == EXPAND_FIELD)
        put_all(e, value, in_field);
    else if (as == EXPAND_TEXT || part->var == VAR_LITERAL)
        put_all(e, value, NULL);
    else
        put_all(e, value, stands_as(e, part, value));
    e->in_query |= slice_find(value, '?') >= 0 &&
                   (part->var == VAR_LITERAL || vars_kind(part->var) == VAR_KIND_URI);
}

static void put_parts(struct expansion *e, struct stream *s, const struct vars *v,
                      const struct expand_groups *groups, enum expand_as as)
{
    char scratch[SCRATCH];

    for (unsigned i = 0; i < v->n && e->n <= EXPAND_MAX; i++)
        put_part(e, &v->parts[i], value_of(s, &v->parts[i], groups, scratch), as);
}

/* "//evil.example" would be another host's (RFC 3986 4.2), "x" of the folder that the client is
 * in.  There is room for one more byte before text. */
static struct slice as_path(struct slice text, char *before)
{
    while (slice_starts(text, SLICE("//")))
        text = slice_from(text, 1);
    if (slice_starts(text, SLICE("/")))
        return text;
    *before = '/';
    return slice_of(before, text.n + 1);
}

int expand(struct stream *s, const struct vars *v, const struct expand_groups *groups,
           enum expand_as as, struct slice *ret_text)
{
    struct expansion count = {0}, e = {0};

    if (v->constant) {
        *ret_text = v->literal;
        return 0;
    }
    put_parts(&count, s, v, groups, as);
    if (count.n > EXPAND_MAX) {
        counter_add(COUNTER_VARS);
        return GW_EVARS;
    }
    char *room = arena_alloc(&s->arena, count.n + 2);
    if (!room)
        return GW_ENO_MEMORY;
    e.out = room + 1;
    put_parts(&e, s, v, groups, as);
    e.out[e.n] = '\0';
    *ret_text = slice_of(e.out, e.n);
    if (as == EXPAND_URL && !v->has_authority)
        *ret_text = as_path(*ret_text, room);
    return 0;
}

struct slice expand_uri(struct arena *a, struct slice uri)
{
    struct expansion count = {0}, e = {0};

    put_all(&count, uri, in_uri);
    if (count.n == uri.n)
        return uri;
    e.out = arena_alloc(a, count.n + 1);
    if (!e.out)
        return slice_of(NULL, 0);
    put_all(&e, uri, in_uri);
    return slice_of(e.out, e.n);
}
