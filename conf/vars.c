#include "vars.h"

#include "complaints.h"
#include "value.h"

static const struct row {
    struct slice name;
    bool named; /* name is a prefix */
    enum var_kind kind;
    const char *text;
} rows[N_VARS] = {
    [VAR_LITERAL] = {{NULL, 0}, false, VAR_KIND_TEXT, NULL},
    [VAR_GROUP] = {{NULL, 0}, false, VAR_KIND_PATH, NULL},
#define GW_VAR(name, kind, text)                                                               \
    [VAR_##name] = {{#name, sizeof(#name) - 1}, false, VAR_KIND_##kind, text},
#define GW_VAR_NAMED(prefix, kind, text)                                                       \
    [VAR_##prefix] = {{#prefix, sizeof(#prefix) - 1}, true, VAR_KIND_##kind, text},
#include "../gateway/tbl/vars.def"
#undef GW_VAR
#undef GW_VAR_NAMED
};

enum { VAR_FIRST = VAR_GROUP + 1 };

enum var_kind vars_kind(enum var var)
{
    return rows[var].kind;
}

struct slice vars_name(enum var var, bool *ret_named)
{
    *ret_named = rows[var].named;
    return rows[var].name;
}

void vars_print(FILE *out)
{
    for (unsigned i = VAR_FIRST; i < N_VARS; i++) {
        int n =
            fprintf(out, ";   $%.*s%s", SLICE_FMT(rows[i].name), rows[i].named ? "NAME" : "");
        fprintf(out, "%*s%s\n", n < 22 ? 22 - n : 1, "", rows[i].text);
    }
}

/* ---- names ------------------------------------------------------------------------------ */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

/* VAR_LITERAL: none is called so. */
static enum var find(struct slice name, struct slice *ret_rest)
{
    for (unsigned i = VAR_FIRST; i < N_VARS; i++) {
        const struct row *r = &rows[i];
        if (r->named ? name.n > r->name.n && slice_starts(name, r->name)
                     : slice_eq(name, r->name)) {
            *ret_rest = slice_from(name, r->name.n);
            return (enum var)i;
        }
    }
    return VAR_LITERAL;
}

static struct slice behind_underscore(struct slice name)
{
    ssize_t at = slice_find(name, '_');

    return at < 0 ? SLICE("NAME") : slice_from(name, (size_t)at + 1);
}

static const char *unknown(struct arena *arena, struct slice name)
{
    struct nearest near = nearest_init(name);

    for (unsigned i = VAR_FIRST; i < N_VARS; i++) {
        struct slice meant = rows[i].name;
        if (rows[i].named)
            meant = arena_printf(arena, "%.*s%.*s", SLICE_FMT(meant),
                                 SLICE_FMT(behind_underscore(name)));
        if (!slice_eq(meant, name))
            nearest_try(&near, meant);
    }
    struct slice why = arena_printf(arena, "there is no variable $%.*s%s", ECHO(name),
                                    nearest_text(&near, arena));
    return why.p ? why.p : value_no_memory;
}

static const char *group_part(struct arena *arena, unsigned group, unsigned n_groups,
                              struct vars_part *ret)
{
    if (group == 0 || group > n_groups) {
        struct slice why =
            n_groups ? arena_printf(arena, "$%u, but the pattern has %u group%s", group,
                                    n_groups, n_groups == 1 ? "" : "s")
                     : arena_printf(arena, "$%u: there is no pattern with groups", group);
        return why.p ? why.p : value_no_memory;
    }
    *ret = (struct vars_part){.var = VAR_GROUP, .group = group};
    return NULL;
}

/* ---- cutting ---------------------------------------------------------------------------- */

/* The variable at the front of *rest, which begins with a dollar. */
static const char *cut_variable(struct arena *arena, struct slice *rest, unsigned n_groups,
                                struct vars_part *ret)
{
    struct slice at = slice_from(*rest, 1), name, tail;
    bool braced = slice_starts(at, SLICE("{"));
    size_t n = 0;

    if (braced)
        at = slice_from(at, 1);
    while (n < at.n && is_name_byte(at.p[n]))
        n++;
    if (n && at.p[0] >= '0' && at.p[0] <= '9')
        n = 1;
    name = slice_of(at.p, n);
    *rest = slice_from(at, n);
    if (n == 0)
        return "a $ without the name of a variable behind it; $$ is a dollar";
    if (braced && !slice_starts(*rest, SLICE("}")))
        return "a ${ that is not closed";
    if (braced)
        *rest = slice_from(*rest, 1);
    if (name.p[0] >= '0' && name.p[0] <= '9')
        return group_part(arena, (unsigned)(name.p[0] - '0'), n_groups, ret);
    enum var var = find(name, &tail);
    if (var == VAR_LITERAL)
        return unknown(arena, name);
    *ret = (struct vars_part){.var = var, .text = tail};
    return NULL;
}

/* The next part of *rest, which is not empty. */
static const char *cut(struct arena *arena, struct slice *rest, unsigned n_groups,
                       struct vars_part *ret)
{
    ssize_t dollar = slice_find(*rest, '$');
    size_t n = dollar < 0 ? rest->n : (size_t)dollar;

    if (n == 0 && slice_starts(*rest, SLICE("$$"))) {
        *ret = (struct vars_part){.var = VAR_LITERAL, .text = slice_of(rest->p, 1)};
        *rest = slice_from(*rest, 2);
        return NULL;
    }
    if (n == 0)
        return cut_variable(arena, rest, n_groups, ret);
    *ret = (struct vars_part){.var = VAR_LITERAL, .text = slice_of(rest->p, n)};
    *rest = slice_from(*rest, n);
    return NULL;
}

/* All literals as one, for what has no variable. */
static bool join(struct arena *arena, struct vars *v)
{
    char *out = arena_alloc(arena, v->text.n + 1);
    size_t n = 0;

    if (!out)
        return false;
    for (unsigned i = 0; i < v->n; i++) {
        memcpy(out + n, v->parts[i].text.p, v->parts[i].text.n);
        n += v->parts[i].text.n;
    }
    out[n] = '\0';
    v->literal = slice_of(out, n);
    return true;
}

static const char *compile(struct arena *arena, struct slice text, unsigned n_groups,
                           struct vars **ret_vars)
{
    struct vars *v = arena_zalloc(arena, sizeof(*v));
    struct slice rest = text;
    size_t cap = 0;

    if (!v)
        return value_no_memory;
    v->text = text;
    v->constant = true;
    while (rest.n) {
        struct vars_part *parts = arena_grow(arena, v->parts, v->n, &cap, sizeof(*v->parts));
        if (!parts)
            return value_no_memory;
        v->parts = parts;
        const char *why = cut(arena, &rest, n_groups, &parts[v->n]);
        if (why)
            return why;
        v->constant &= parts[v->n++].var == VAR_LITERAL;
    }
    if (v->constant && !join(arena, v))
        return value_no_memory;
    *ret_vars = v;
    return NULL;
}

const char *vars_compile(struct arena *arena, struct slice text, unsigned n_groups,
                         const struct vars **ret_vars)
{
    struct vars *v = NULL;
    const char *why = compile(arena, text, n_groups, &v);

    if (!why)
        *ret_vars = v;
    return why;
}

/* ---- URLs ------------------------------------------------------------------------------- */

/* Its bytes, a variable as one that is in no literal: what the shape of a URL is seen by. */
enum { HOLE = '\1' };

/* RFC 3986 2: what may be in a URL. */
static bool is_url_byte(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"<>\\^`{|}", c);
}

/* p is NULL when memory is out, n is 0 when there is a byte that may not be in a URL. */
static struct slice url_shape(struct arena *arena, const struct vars *v)
{
    char *shape = arena_alloc(arena, v->text.n + 1);
    size_t n = 0;

    for (unsigned i = 0; shape && i < v->n; i++) {
        const struct vars_part *part = &v->parts[i];
        if (part->var != VAR_LITERAL)
            shape[n++] = HOLE;
        for (size_t k = 0; part->var == VAR_LITERAL && k < part->text.n; k++) {
            if (!is_url_byte(part->text.p[k]))
                return slice_of(shape, 0);
            shape[n++] = part->text.p[k];
        }
    }
    return slice_of(shape, n);
}

/* Where the host begins; 0: it has none. */
static size_t authority_at(struct slice shape)
{
    const char *mark = memmem(shape.p, shape.n, "://", 3);

    if (slice_starts(shape, SLICE("//")))
        return 2;
    if (shape.p[0] == '/' || !mark)
        return 0;
    for (const char *p = shape.p; p < mark; p++) {
        if (*p == '/' || *p == '?' || *p == '#')
            return 0;
    }
    return (size_t)(mark - shape.p) + 3;
}

/* Whoever is asked for by Host, with its port, is one that is served here. */
static bool is_host(const struct vars_part *part)
{
    bool http_host = part->var == VAR_http_ && slice_eq(part->text, SLICE("host"));

    return http_host || rows[part->var].kind == VAR_KIND_HOST;
}

/* Its value begins with a slash. */
static bool is_whole_path(const struct vars_part *part)
{
    return part->var == VAR_uri || part->var == VAR_document_uri ||
           part->var == VAR_request_uri;
}

static bool has_path_byte(struct slice s)
{
    return slice_find(s, '/') >= 0 || slice_find(s, '?') >= 0 || slice_find(s, '#') >= 0;
}

/* Whose scheme and host are whose, and mark what is in the host, which begins at from. */
static const char *mark_authority(struct vars *v, size_t from)
{
    size_t at = 0;

    v->has_authority = true;
    for (unsigned i = 0; i < v->n; i++) {
        struct vars_part *part = &v->parts[i];
        size_t next = at + (part->var == VAR_LITERAL ? part->text.n : 1);
        if (part->var == VAR_LITERAL) {
            if (next > from && has_path_byte(slice_from(part->text, at < from ? from - at : 0)))
                break;
        } else if (at < from) {
            if (rows[part->var].kind != VAR_KIND_SCHEME)
                return "of the variables only $scheme may be a URL's scheme";
        } else if (at > from && is_whole_path(part)) {
            break;
        } else if (part->var == VAR_GROUP) {
            part->in_authority = true;
            part->ends_authority = at > from;
        } else if (!is_host(part)) {
            return "the host of a URL is not for the client to choose: $host, $server_name";
        }
        at = next;
    }
    return NULL;
}

/* What has no host of its own must begin as a path does. */
static bool begins_as_path(const struct vars *v, struct slice shape)
{
    const struct vars_part *first = &v->parts[0];

    if (shape.p[0] == '/')
        return true;
    if (first->var == VAR_LITERAL)
        return v->constant && slice_find(shape, ':') > 0; /* of another scheme: mailto: */
    return first->var == VAR_GROUP || is_whole_path(first);
}

const char *vars_compile_url(struct arena *arena, struct slice text, unsigned n_groups,
                             const struct vars **ret_vars)
{
    struct vars *v = NULL;
    const char *why = compile(arena, text, n_groups, &v);

    if (why)
        return why;
    struct slice shape = url_shape(arena, v);
    if (!shape.p)
        return value_no_memory;
    if (shape.n == 0)
        return "the target has bytes that must be %-encoded";
    size_t authority = authority_at(shape);
    if (authority)
        why = mark_authority(v, authority);
    else if (!begins_as_path(v, shape))
        why = "the target is an absolute path or a URL";
    if (!why)
        *ret_vars = v;
    return why;
}
