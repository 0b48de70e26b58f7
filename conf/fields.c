#include "fields.h"

#include "complaints.h"
#include "value.h"

enum {
    DAY_S = 24 * 3600,
    YEAR_S = 365 * DAY_S,
    AGE_MAX_S = 10 * YEAR_S, /* nginx's max; more than RFC 9111 1.2.2 makes sense of */
};

/* Cut the next word off *rest; empty at its end. */
static struct slice word_next(struct slice *rest)
{
    size_t n = 0;

    *rest = slice_trim(*rest);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    struct slice word = slice_of(rest->p, n);
    *rest = slice_trim(slice_from(*rest, n));
    return word;
}

static bool is_word(struct slice word, const char *const *words)
{
    for (; *words; words++) {
        if (slice_eq(word, slice_str(*words)))
            return true;
    }
    return false;
}

/* "; did you mean ..." of words, after why. */
static const char *wrong_word(struct arena *arena, const char *why, struct slice word,
                              const char *const *words)
{
    struct nearest near = nearest_init(word);

    for (; *words; words++)
        nearest_try(&near, slice_str(*words));
    struct slice text =
        arena_printf(arena, "%s \"%.*s\"%s", why, ECHO(word), nearest_text(&near, arena));
    return text.p ? text.p : value_no_memory;
}

/* Seconds of "30d", "1y"; a number alone is seconds.  -1: none, or over AGE_MAX_S. */
static int64_t age_parse(struct slice text)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'s', 1},         {'m', 60},         {'h', 3600},  {'d', DAY_S},
                 {'w', 7 * DAY_S}, {'M', 30 * DAY_S}, {'y', YEAR_S}};
    char last = text.n ? text.p[text.n - 1] : '\0';

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (last != units[i].unit)
            continue;
        int64_t n = slice_decimal(slice_of(text.p, text.n - 1), AGE_MAX_S / units[i].s);
        return n < 0 ? -1 : n * units[i].s;
    }
    return slice_decimal(text, AGE_MAX_S);
}

/* ---- header.NAME ------------------------------------------------------------------------ */

/* RFC 9110 5.6.2 */
static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.n > 0;
}

/* Of the connection (RFC 9110 7.6.1), the framing (6.6, 8.6), or a duty (6.6.1). */
static bool is_ours(struct slice name)
{
    static const char *const names[] = {
        "Connection",
        "Content-Length",
        "Content-Range",
        "Date",
        "Keep-Alive",
        "Status",
        "TE",
        "Transfer-Encoding",
        "Trailer",
        "Proxy-Connection",
        "Upgrade",
        NULL,
    };
    for (const char *const *n = names; *n; n++) {
        if (slice_ieq(name, slice_str(*n)))
            return true;
    }
    return false;
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static struct slice cut_action(struct conf_header *h, struct slice text)
{
    static const char *const words[] = {"off", "set", "add", "default", "remove"};
    struct slice rest = text, word = word_next(&rest);

    h->action = CONF_HEADER_SET;
    if (slice_eq(word, SLICE("always"))) {
        h->always = true;
        text = rest;
        word = word_next(&rest);
    }
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_eq(word, slice_str(words[i]))) {
            h->action = (enum conf_header_action)i;
            return rest;
        }
    }
    return text;
}

const char *fields_parse_header(struct arena *arena, struct conf_pair *pair)
{
    struct conf_header *h = (struct conf_header *)pair;

    if (!is_token(pair->name))
        return "not the name of a field";
    if (is_ours(pair->name))
        return "h2cgi sets this field itself, as the connection needs it";
    if (has_control(pair->value))
        return "the value has bytes that no field can have";
    struct slice value = cut_action(h, pair->value);
    bool bare = h->action == CONF_HEADER_REMOVE || h->action == CONF_HEADER_OFF;
    if (bare && value.n)
        return "nothing follows remove and off; a value that begins so needs set before it";
    if (bare)
        return h->always ? "always does not go with remove and off" : NULL;
    if (!value.n)
        return "needs a value";
    return vars_compile(arena, value, 0, &h->value);
}

/* ---- expires ---------------------------------------------------------------------------- */

/* NULL, or the words behind an age, with ", " before each. */
static const char *cut_directives(struct arena *arena, struct slice rest, struct slice *ret)
{
    static const char *const words[] = {"public", "private", "immutable", "must-revalidate",
                                        NULL};
    struct slice text = SLICE("");

    while (rest.n) {
        struct slice word = word_next(&rest);
        if (!is_word(word, words))
            return wrong_word(arena, "unknown word", word, words);
        text = arena_printf(arena, "%.*s, %.*s", SLICE_FMT(text), SLICE_FMT(word));
        if (!text.p)
            return value_no_memory;
    }
    *ret = text;
    return NULL;
}

const char *fields_parse_expires(struct arena *arena, struct slice text,
                                 struct conf_expires *ret)
{
    static const struct {
        const char *word;
        enum conf_expires_kind kind;
        int64_t age_s;
        const char *cache_control;
    } words[] = {
        {"off", CONF_EXPIRES_OFF, 0, ""},
        {"epoch", CONF_EXPIRES_PAST, 0, "no-cache"},
        {"no-cache", CONF_EXPIRES_PAST, 0, "no-cache"},
        {"no-store", CONF_EXPIRES_PAST, 0, "no-store"},
        {"max", CONF_EXPIRES_AGE, AGE_MAX_S, "max-age=315360000"},
    };
    struct slice rest = text, word = word_next(&rest), more = SLICE("");

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!slice_eq(text, slice_str(words[i].word)))
            continue;
        *ret = (struct conf_expires){words[i].kind, words[i].age_s,
                                     slice_str(words[i].cache_control)};
        return NULL;
    }
    int64_t age_s = age_parse(word);
    if (age_s < 0)
        return "must be off, epoch, max, no-cache, no-store or a time up to 10y (30s, 5m, 12h, "
               "30d, 4w, 1y)";
    const char *why = cut_directives(arena, rest, &more);
    if (why)
        return why;
    struct slice value =
        arena_printf(arena, "max-age=%lld%.*s", (long long)age_s, SLICE_FMT(more));
    if (!value.p)
        return value_no_memory;
    *ret = (struct conf_expires){CONF_EXPIRES_AGE, age_s, value};
    return NULL;
}

const char *fields_parse_expires_ext(struct arena *arena, struct conf_pair *pair)
{
    struct conf_expires_ext *e = (struct conf_expires_ext *)pair;

    if (pair->name.n == 0 || slice_find(pair->name, '/') >= 0 ||
        slice_find(pair->name, '.') >= 0)
        return "expires. is followed by an extension, as in expires.css";
    return fields_parse_expires(arena, pair->value, &e->expires);
}

/* ---- hsts ------------------------------------------------------------------------------- */

const char *fields_parse_hsts(struct arena *arena, struct slice text, struct slice *ret_value)
{
    static const char *const words[] = {"includeSubDomains", "preload", NULL};
    bool subdomains = false, preload = false;
    struct slice rest = text;
    int64_t age_s = age_parse(word_next(&rest));

    if (slice_eq(text, SLICE("off"))) {
        *ret_value = slice_of(NULL, 0);
        return NULL;
    }
    if (age_s < 0)
        return "must be off or a time up to 10y (365d, 1y, 31536000)";
    while (rest.n) {
        struct slice word = word_next(&rest);
        if (!is_word(word, words))
            return wrong_word(arena, "unknown word", word, words);
        subdomains |= slice_eq(word, SLICE("includeSubDomains"));
        preload |= slice_eq(word, SLICE("preload"));
    }
    /* What hstspreload.org takes; other lists of browsers follow it. */
    if (preload && (!subdomains || age_s < YEAR_S))
        return "preload needs includeSubDomains and a time of a year or more";
    *ret_value =
        arena_printf(arena, "max-age=%lld%s%s", (long long)age_s,
                     subdomains ? "; includeSubDomains" : "", preload ? "; preload" : "");
    return ret_value->p ? NULL : value_no_memory;
}
