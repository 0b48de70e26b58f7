#include "files_cond.h"

#include "httpdate.h"

/* The value of the only field called name; several, or none: false.  Fields that take one value
 * and come twice are invalid (RFC 9110 5.3), and preconditions that are invalid are ignored. */
static bool only(const struct field *fields, size_t n, struct slice name, struct slice *ret)
{
    const struct field *f = fields_find(fields, n, name);

    if (!f)
        return false;
    size_t behind = (size_t)(f - fields) + 1;
    if (fields_find(fields + behind, n - behind, name))
        return false;
    *ret = f->value;
    return true;
}

/* ---- entity tags ---- */

/* The next entity-tag of a list (8.8.3): *ret_tag with its quotes.  Tags may contain commas.
 * false at the end or at what is no tag. */
static bool tag_next(struct slice *list, struct slice *ret_tag, bool *ret_weak)
{
    struct slice s = *list;

    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == ','))
        s = slice_from(s, 1);
    *ret_weak = slice_starts(s, SLICE("W/"));
    if (*ret_weak)
        s = slice_from(s, 2);
    if (!s.n || s.p[0] != '"')
        return false;
    ssize_t end = slice_find(slice_from(s, 1), '"');
    if (end < 0)
        return false;
    *ret_tag = slice_of(s.p, (size_t)end + 2);
    *list = slice_from(s, (size_t)end + 2);
    return true;
}

/* Does the list name etag?  Strong comparison takes no weak tag (8.8.3.2). */
static bool tags_have(struct slice list, struct slice etag, bool strong)
{
    struct slice tag;
    bool weak;

    if (slice_eq(list, SLICE("*")))
        return true;
    while (tag_next(&list, &tag, &weak)) {
        if (slice_eq(tag, etag) && !(strong && weak))
            return true;
    }
    return false;
}

/* -1: there is no such field; else whether one of them has etag. */
static int fields_have_tag(const struct field *fields, size_t n, struct slice name,
                           struct slice etag, bool strong)
{
    int has = -1;

    for (size_t i = 0; i < n; i++) {
        if (slice_ieq(fields[i].name, name)) {
            bool here = tags_have(fields[i].value, etag, strong);
            has = has == 1 || here;
        }
    }
    return has;
}

/* ---- preconditions ---- */

/* The date in the only field called name, or -1: none, or to be ignored. */
static int64_t date_of(const struct field *fields, size_t n, struct slice name, int64_t now)
{
    struct slice value;

    return only(fields, n, name, &value) ? httpdate_parse(value, now) : -1;
}

enum cond cond_check(const struct field *fields, size_t n, const struct validators *v)
{
    int64_t date;

    int has = fields_have_tag(fields, n, SLICE("If-Match"), v->etag, true); /* 13.1.1 */
    if (has == 0)
        return COND_FAILED;
    if (has < 0) {
        date = date_of(fields, n, SLICE("If-Unmodified-Since"), v->now); /* 13.1.4 */
        if (date >= 0 && v->mtime > date)
            return COND_FAILED;
    }
    has = fields_have_tag(fields, n, SLICE("If-None-Match"), v->etag, false); /* 13.1.2 */
    if (has == 1)
        return COND_NOT_MODIFIED;
    if (has < 0) {
        date = date_of(fields, n, SLICE("If-Modified-Since"), v->now); /* 13.1.3 */
        if (date >= 0 && v->mtime <= date)
            return COND_NOT_MODIFIED;
    }
    return COND_SEND;
}

/* ---- ranges ---- */

/* 13.1.5: only if what the client has a part of is what we have. */
static bool if_range_holds(const struct field *fields, size_t n, const struct validators *v)
{
    struct slice value;

    if (!fields_find(fields, n, SLICE("If-Range")))
        return true;
    if (!only(fields, n, SLICE("If-Range"), &value))
        return false;
    if (slice_starts(value, SLICE("\"")) || slice_starts(value, SLICE("W/")))
        return slice_eq(value, v->etag); /* ours is strong, so a weak one differs */
    /* A date is a strong validator only once its second has passed (8.8.2.2). */
    return httpdate_parse(value, v->now) == v->mtime && v->mtime < v->now;
}

enum range_kind range_check(const struct field *fields, size_t n, const struct validators *v,
                            int64_t size, struct ranges *ret_ranges)
{
    struct slice value;

    if (!only(fields, n, SLICE("Range"), &value) || !if_range_holds(fields, n, v))
        return RANGE_WHOLE;
    return ranges_parse(value, size, ret_ranges);
}
