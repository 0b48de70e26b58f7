#include "limit.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static const char wrong_more[] =
    "only burst NUMBER and by WHOM, each once, may follow the rate";
static const char wrong_at_once[] =
    "not a number of requests from 1 to 1000000, nor off; only by WHOM may follow";
static const char wrong_failures[] = "only a number in a time (10/m), or off";
static const char wrong_rate[] =
    "not a number of requests from 1 to 1000000 in a time (10/s 100/m 1000/h 5/10s), nor off";

/* The next word, in place; n = 0 at the end. */
static struct slice next_word(struct slice *rest)
{
    size_t n = 0;

    *rest = slice_trim(*rest);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    struct slice word = slice_of(rest->p, n);
    *rest = slice_from(*rest, n);
    return word;
}

/* RFC 9110 5.6.2 */
static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.n > 0;
}

static const char *take_by(struct slice *rest, struct conf_limit *l)
{
    static const struct {
        struct slice word;
        enum conf_by by;
    } words[] = {{{"address", 7}, CONF_BY_ADDRESS},
                 {{"user", 4}, CONF_BY_USER},
                 {{"field", 5}, CONF_BY_FIELD},
                 {{"all", 3}, CONF_BY_ALL}};
    struct slice word = next_word(rest);
    size_t i = 0;

    while (i < sizeof(words) / sizeof(words[0]) && !slice_eq(word, words[i].word))
        i++;
    if (i == sizeof(words) / sizeof(words[0]))
        return "by what: address, user, field NAME or all";
    l->by = words[i].by;
    if (l->by != CONF_BY_FIELD)
        return NULL;
    l->field = next_word(rest);
    return is_token(l->field) ? NULL : "by field takes the name of a request field";
}

/* "s", "10s", "500ms" */
static int64_t time_ms(struct slice text)
{
    static const struct {
        struct slice unit;
        int64_t ms;
    } units[] = {{{"ms", 2}, 1}, {{"s", 1}, 1000}, {{"m", 1}, 60000}, {{"h", 1}, 3600000}};
    size_t digits = 0;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    int64_t n = digits ? slice_decimal(slice_of(text.p, digits), DAY_MS) : 1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_eq(slice_from(text, digits), units[i].unit))
            return n * units[i].ms;
    }
    return -1;
}

static const char *take_rate(struct slice word, struct conf_limit *l)
{
    ssize_t slash = slice_find(word, '/');

    if (slash <= 0)
        return wrong_rate;
    int64_t n = slice_decimal(slice_of(word.p, (size_t)slash), LIMIT_MOST);
    int64_t ms = time_ms(slice_from(word, (size_t)slash + 1));
    if (n < 1 || ms < 1)
        return wrong_rate;
    if (ms > DAY_MS)
        return "the time of a rate is 24h at most";
    l->n = (unsigned)n;
    l->per_ms = ms;
    l->burst = (unsigned)n - 1;
    return NULL;
}

static const char *take_burst(struct slice *rest, struct conf_limit *l)
{
    int64_t n = slice_decimal(next_word(rest), LIMIT_MOST);

    if (n < 0)
        return "burst takes a number from 0 to 1000000";
    l->burst = (unsigned)n;
    return NULL;
}

/* What follows the first word. */
static const char *take_more(struct slice rest, bool burst_may, const char *wrong,
                             struct conf_limit *l)
{
    struct slice word;
    bool by_may = true;

    while ((word = next_word(&rest)).n) {
        const char *why = wrong;
        if (by_may && slice_eq(word, SLICE("by"))) {
            by_may = false;
            why = take_by(&rest, l);
        } else if (burst_may && slice_eq(word, SLICE("burst"))) {
            burst_may = false;
            why = take_burst(&rest, l);
        }
        if (why)
            return why;
    }
    return NULL;
}

static bool is_off(struct slice text)
{
    return slice_eq(text, SLICE("off"));
}

const char *limit_parse_rate(struct slice text, struct conf_limit *ret)
{
    struct slice rest = text;

    *ret = (struct conf_limit){.text = text};
    if (is_off(text))
        return NULL;
    const char *why = take_rate(next_word(&rest), ret);
    return why ? why : take_more(rest, true, wrong_more, ret);
}

const char *limit_parse_at_once(struct slice text, struct conf_limit *ret)
{
    struct slice rest = text;

    *ret = (struct conf_limit){.text = text};
    if (is_off(text))
        return NULL;
    int64_t n = slice_decimal(next_word(&rest), LIMIT_MOST);
    if (n < 1)
        return wrong_at_once;
    ret->n = (unsigned)n;
    return take_more(rest, false, wrong_at_once, ret);
}

const char *limit_parse_failures(struct slice text, struct conf_limit *ret)
{
    struct slice rest = text;

    *ret = (struct conf_limit){.text = text};
    if (is_off(text))
        return NULL;
    const char *why = take_rate(next_word(&rest), ret);
    return why ? why : slice_trim(rest).n ? wrong_failures : NULL;
}
