#include "accept.h"

enum specificity { ANY, ANY_SUBTYPE, EXACT, EXACT_CHARSET, NO_MATCH };

/* What the ranges seen so far say of one type: the most specific one counts. */
struct verdict {
    bool any; /* there was a range, whatever it named */
    int at;   /* enum specificity of the range that q is from; -1: none named the type */
    int q;
};

/* "0.5" -> 500; -1: it is no weight. */
static int parse_q(struct slice s)
{
    int q, unit = 100;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    q = (s.p[0] - '0') * ACCEPT_Q_MOST;
    for (size_t i = 2; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        q += (s.p[i] - '0') * unit;
    }
    return q <= ACCEPT_Q_MOST ? q : -1;
}

/* Cut what is before the next mark off *rest; a mark in a quoted string is none.  false at the
 * end. */
static bool next_part(struct slice *rest, char mark, struct slice *ret_part)
{
    bool quoted = false;
    size_t i = 0;

    if (rest->n == 0)
        return false;
    for (; i < rest->n && (quoted || rest->p[i] != mark); i++) {
        if (rest->p[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
    }
    *ret_part = slice_trim(slice_of(rest->p, i));
    *rest = slice_from(*rest, i < rest->n ? i + 1 : i);
    return true;
}

static bool is_token(struct slice s)
{
    static const char others[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 5.6.2 */

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return s.n > 0;
}

/* How type, "text/html", is named by range.  -1: it is no range. */
static int compare(struct slice range, struct slice type)
{
    ssize_t slash = slice_find(range, '/'), type_slash = slice_find(type, '/');
    struct slice star = SLICE("*");

    if (slash < 0)
        return -1;
    struct slice main = slice_of(range.p, (size_t)slash),
                 sub = slice_from(range, (size_t)slash + 1);
    if (!is_token(main) || !is_token(sub) || (slice_eq(main, star) && !slice_eq(sub, star)))
        return -1;
    if (slice_eq(main, star))
        return ANY;
    if (!slice_ieq(main, slice_of(type.p, (size_t)type_slash)))
        return NO_MATCH;
    if (slice_eq(sub, star))
        return ANY_SUBTYPE;
    return slice_ieq(sub, slice_from(type, (size_t)type_slash + 1)) ? EXACT : NO_MATCH;
}

static bool is_utf8(struct slice value)
{
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = slice_of(value.p + 1, value.n - 2);
    return slice_ieq(value, SLICE("utf-8"));
}

/* The parameters of a range.  What follows the weight was once an extension of Accept's own,
 * and is nobody's now (RFC 9110 12.5.1).  false: the weight is none. */
static bool take_parameters(struct slice rest, int *at, int *ret_q)
{
    struct slice part;

    *ret_q = ACCEPT_Q_MOST;
    while (next_part(&rest, ';', &part)) {
        ssize_t equals = slice_find(part, '=');
        struct slice name = equals < 0 ? part : slice_of(part.p, (size_t)equals);
        struct slice value =
            equals < 0 ? slice_of("", 0) : slice_from(part, (size_t)equals + 1);
        if (part.n == 0)
            continue; /* 5.6.6: "a;;q=1" */
        if (slice_ieq(name, SLICE("q"))) {
            *ret_q = parse_q(value);
            return *ret_q >= 0;
        }
        if (!slice_ieq(name, SLICE("charset")) || !is_utf8(value))
            *at = NO_MATCH; /* of another version of the type than ours */
        else if (*at == EXACT)
            *at = EXACT_CHARSET;
    }
    return true;
}

static void consider(struct verdict *v, struct slice element, struct slice type)
{
    struct slice range;
    int q;

    if (!next_part(&element, ';', &range))
        return;
    int at = compare(range, type);
    if (at < 0 || !take_parameters(element, &at, &q))
        return;
    v->any = true;
    if (at == NO_MATCH || at < v->at)
        return;
    if (at > v->at || q > v->q)
        v->q = q;
    v->at = at;
}

static void consider_all(struct verdict *v, struct slice list, struct slice type)
{
    struct slice element;

    while (next_part(&list, ',', &element))
        consider(v, element, type);
}

int accept_weight(struct slice accept, struct slice type)
{
    struct verdict v = {.at = -1};

    consider_all(&v, accept, type);
    return v.any ? v.q : -1;
}

int accept_pick(const struct field *fields, size_t n_fields, const struct slice *offers,
                size_t n_offers)
{
    int best = -1;
    struct verdict b = {.q = 0, .at = -1};

    for (size_t i = 0; i < n_offers; i++) {
        struct verdict v = {.at = -1};
        for (size_t k = 0; k < n_fields; k++) {
            if (slice_ieq(fields[k].name, SLICE("Accept")))
                consider_all(&v, fields[k].value, offers[i]);
        }
        if (!v.any)
            return 0; /* the ranges are the same for each offer */
        if (v.q > b.q || (v.q == b.q && v.q && v.at > b.at)) {
            b = v;
            best = (int)i;
        }
    }
    return best;
}
