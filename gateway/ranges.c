#include "ranges.h"

/* ---- one range ---- */

/* Digits only, at least one.  What is too large for any file is INT64_MAX, not a mistake. */
static bool position(struct slice s, int64_t *ret)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    int64_t v = slice_decimal(s, INT64_MAX);
    *ret = v < 0 ? INT64_MAX : v;
    return true;
}

/* "-500": the last 500 bytes (14.1.2).  RANGE_PART with n = 0: all of nothing, which is
 * satisfiable, but Content-Range has no word for it. */
static enum range_kind parse_suffix(struct slice length, int64_t size, struct range *ret)
{
    int64_t n;

    if (!position(length, &n))
        return RANGE_WHOLE;
    if (n == 0)
        return RANGE_UNSATISFIABLE;
    if (n > size)
        n = size;
    *ret = (struct range){size - n, n};
    return RANGE_PART;
}

/* "0-499", "500-", "-500".  RANGE_WHOLE: it is none. */
static enum range_kind parse_spec(struct slice spec, int64_t size, struct range *ret)
{
    ssize_t dash = slice_find(spec, '-');
    int64_t first, last = INT64_MAX;

    if (dash < 0)
        return RANGE_WHOLE;
    struct slice behind = slice_from(spec, (size_t)dash + 1);
    if (dash == 0)
        return parse_suffix(behind, size, ret);
    if (!position(slice_of(spec.p, (size_t)dash), &first) ||
        (behind.n && !position(behind, &last)) || last < first)
        return RANGE_WHOLE;
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    if (last >= size)
        last = size - 1;
    *ret = (struct range){first, last - first + 1};
    return RANGE_PART;
}

/* ---- several ---- */

/* Overlapping, or one right behind the other; neither end is beyond INT64_MAX. */
static bool touch(struct range a, struct range b)
{
    return a.first <= b.first + b.n && b.first <= a.first + a.n;
}

static struct range span(struct range a, struct range b)
{
    int64_t first = a.first < b.first ? a.first : b.first;
    int64_t end_a = a.first + a.n, end_b = b.first + b.n;

    return (struct range){first, (end_a > end_b ? end_a : end_b) - first};
}

/* 15.3.7.2: ranges that touch become one.  One that grew may touch others by that, so it is
 * compared with all again; each time there is one less. */
static void add_range(struct ranges *r, struct range add)
{
    unsigned place = r->n, i = 0; /* of add, or what it became */

    r->at[r->n++] = add;
    while (i < r->n) {
        if (i == place || !touch(r->at[i], r->at[place])) {
            i++;
            continue;
        }
        unsigned keep = i < place ? i : place, drop = i < place ? place : i;
        r->at[keep] = span(r->at[i], r->at[place]);
        r->n--;
        memmove(&r->at[drop], &r->at[drop + 1], (r->n - drop) * sizeof(r->at[0]));
        place = keep;
        i = 0;
    }
}

enum range_kind ranges_parse(struct slice value, int64_t size, struct ranges *ret_ranges)
{
    struct slice spec;
    ssize_t eq = slice_find(value, '=');
    unsigned n_specs = 0, n_empty = 0;

    /* Other units are ignored (14.2). */
    if (eq < 0 || !slice_ieq(slice_of(value.p, (size_t)eq), SLICE("bytes")))
        return RANGE_WHOLE;
    struct slice list = slice_from(value, (size_t)eq + 1);
    ret_ranges->n = 0;
    while (slice_list_next(&list, &spec)) {
        struct range r;
        enum range_kind kind = parse_spec(spec, size, &r);
        if (kind == RANGE_WHOLE || ++n_specs > RANGES_MAX)
            return RANGE_WHOLE; /* one that is invalid makes the set invalid */
        if (kind == RANGE_PART && r.n)
            add_range(ret_ranges, r);
        else if (kind == RANGE_PART)
            n_empty++;
    }
    if (ret_ranges->n)
        return RANGE_PART;
    return n_specs == 0 || n_empty ? RANGE_WHOLE : RANGE_UNSATISFIABLE;
}
