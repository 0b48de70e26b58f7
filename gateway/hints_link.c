/*
 * The links of a Link field (RFC 8288 3).  Pure.
 */
#include "hints.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice skip_spaces(struct slice s)
{
    while (s.n && is_space(s.p[0]))
        s = slice_from(s, 1);
    return s;
}

/* Behind the quoted string at the front of s; behind all of it if that has no end. */
static struct slice skip_quoted(struct slice s)
{
    s = slice_from(s, 1);
    while (s.n && s.p[0] != '"')
        s = slice_from(s, s.p[0] == '\\' && s.n > 1 ? 2 : 1);
    return s.n ? slice_from(s, 1) : s;
}

static bool is_one_of(char c, const char *bytes)
{
    while (*bytes && *bytes != c)
        bytes++;
    return *bytes != '\0';
}

/* Up to the next of these bytes that is outside of quotes. */
static struct slice cut_at(struct slice *s, const char *ends)
{
    const char *begin = s->p;

    while (s->n && !is_one_of(s->p[0], ends))
        *s = s->p[0] == '"' ? skip_quoted(*s) : slice_from(*s, 1);
    return slice_of(begin, (size_t)(s->p - begin));
}

bool hints_link_next(struct slice *list, struct slice *ret_link)
{
    struct slice s = *list;

    while (s.n && (is_space(s.p[0]) || s.p[0] == ','))
        s = slice_from(s, 1);
    const char *begin = s.p;
    ssize_t end = s.n && s.p[0] == '<' ? slice_find(s, '>') : -1;
    if (end < 0)
        return false;
    s = slice_from(s, (size_t)end + 1);
    cut_at(&s, ",");
    *ret_link = slice_trim(slice_of(begin, (size_t)(s.p - begin)));
    *list = s;
    return true;
}

struct slice hints_link_target(struct slice link)
{
    return slice_of(link.p + 1, (size_t)slice_find(link, '>') - 1);
}

/* Cut the next parameter off what follows the target.  Without a value that is empty. */
static bool param_next(struct slice *s, struct slice *ret_name, struct slice *ret_value)
{
    *s = skip_spaces(*s);
    if (!s->n || s->p[0] != ';')
        return false;
    *s = skip_spaces(slice_from(*s, 1));
    *ret_name = slice_trim(cut_at(s, "=;"));
    *ret_value = slice_of("", 0);
    if (!s->n || s->p[0] != '=')
        return true;
    *s = slice_from(*s, 1);
    struct slice value = slice_trim(cut_at(s, ";"));
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = slice_of(value.p + 1, value.n - 2);
    *ret_value = value;
    return true;
}

/* rel's value is a list of relation types with spaces between; has it one of types? */
static bool rel_has(struct slice rel, const struct slice *types, size_t n)
{
    while (rel.n) {
        struct slice type = cut_at(&rel, " \t");
        if (slice_ieq_any(type, types, n))
            return true;
        rel = skip_spaces(rel);
    }
    return false;
}

/* *ret_nopush: it has that parameter. */
static bool link_has(struct slice link, const struct slice *types, size_t n, bool *ret_nopush)
{
    struct slice s = slice_from(link, (size_t)slice_find(link, '>') + 1), name, value;
    struct slice rel = slice_of(NULL, 0);

    while (param_next(&s, &name, &value)) {
        if (slice_ieq(name, SLICE("rel")) && !rel.p) /* 3.3: the first one counts */
            rel = value;
        *ret_nopush |= slice_ieq(name, SLICE("nopush"));
    }
    return rel_has(rel, types, n);
}

bool hints_link_is_early(struct slice link)
{
    static const struct slice early[] = {
        {"preload", 7}, {"modulepreload", 13}, {"preconnect", 10}};
    bool nopush = false;

    return link_has(link, early, sizeof(early) / sizeof(early[0]), &nopush);
}

bool hints_link_is_push(struct slice link)
{
    static const struct slice preload = {"preload", 7};
    bool nopush = false;

    return link_has(link, &preload, 1, &nopush) && !nopush;
}
