#include "family.h"

#include "fields.h"
#include "media_type.h"

static bool is_variable_name(struct slice name)
{
    if (name.n == 0 || (name.p[0] >= '0' && name.p[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

static const char *parse_env(struct arena *arena, struct conf_pair *pair)
{
    (void)arena;
    return is_variable_name(pair->name)
               ? NULL
               : "the name of a variable has letters, digits and _ only";
}

/* "404" or "4xx" */
static bool take_statuses(struct slice name, unsigned *ret_first, unsigned *ret_last)
{
    int64_t status = slice_decimal(name, 599);

    if (name.n == 3 && status >= 400) {
        *ret_first = *ret_last = (unsigned)status;
        return true;
    }
    if (!slice_eq(name, SLICE("4xx")) && !slice_eq(name, SLICE("5xx")))
        return false;
    *ret_first = (unsigned)(name.p[0] - '0') * 100;
    *ret_last = *ret_first + 99;
    return true;
}

/* "= /x", "=200 /x": what is before the target. */
static const char *take_status(struct slice *text, int *ret_status)
{
    if (!slice_starts(*text, SLICE("=")))
        return NULL;
    ssize_t space = slice_find(*text, ' ');
    if (space < 0)
        return "a page follows the status";
    struct slice digits = slice_of(text->p + 1, (size_t)space - 1);
    *ret_status = digits.n ? (int)slice_decimal(digits, 599) : -1;
    *text = slice_trim(slice_from(*text, (size_t)space));
    return !digits.n || (digits.n == 3 && *ret_status >= 200 && *ret_status != 204 &&
                         (*ret_status < 300 || *ret_status >= 400))
               ? NULL
               : "the status behind = is 200 to 299, but not 204, or 400 to 599";
}

static bool is_url(struct slice text)
{
    return slice_starts(text, SLICE("https://")) || slice_starts(text, SLICE("http://"));
}

static const char *parse_error_page(struct arena *arena, struct conf_pair *pair)
{
    struct conf_error_page *page = (struct conf_error_page *)(void *)pair;

    (void)arena;
    page->target = pair->value;
    page->status = 0;
    if (!take_statuses(pair->name, &page->first, &page->last))
        return "what follows error_page. is a status from 400 to 599, 4xx or 5xx";
    if (slice_eq(page->target, SLICE("off"))) {
        page->target.n = 0;
        return NULL;
    }
    const char *why = take_status(&page->target, &page->status);
    if (why)
        return why;
    if (!slice_starts(page->target, SLICE("/")) && !is_url(page->target))
        return "the page is a path that begins with a slash, or a URL";
    if (is_url(page->target) && page->status)
        return "a URL is answered with 302, so it goes without a status";
    /* It becomes the target of a request or a Location: RFC 3986 2 has no other bytes. */
    for (size_t i = 0; i < page->target.n; i++) {
        char c = page->target.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}#", c))
            return "the page has bytes that must be %-encoded";
    }
    return NULL;
}

const struct schema_family family_error_page = {.takes = "[=[STATUS]] PATH, URL or off",
                                                .parse = parse_error_page};
const struct schema_family family_env = {.takes = "text", .empty = true, .parse = parse_env};

const struct schema_family family_header = {
    .takes = "[always] [set, add, default, remove, off] text with variables",
    .any_case = true,
    .keeps_case = true,
    .repeats = true,
    .parse = fields_parse_header,
};

const struct schema_family family_expires = {
    .takes = "as expires",
    .any_case = true,
    .parse = fields_parse_expires_ext,
};

const struct schema_family family_type = {
    .takes = "media type", .any_case = true, .parse = media_type_parse};
