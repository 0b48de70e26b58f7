#include "value_priv.h"

#include <limits.h>

#include "../gateway/err.h"
#include "complaints.h"
#include "fields.h"
#include "vars.h"

typedef const char *setter(const struct value *v);

const char value_no_memory[] = "out of memory";

const char *value_wrong(const struct value *v, const char *why, const char *more)
{
    const char *text =
        arena_printf(v->arena, "%.*s = %.*s: %s%s", ECHO(v->name), ECHO(v->text), why, more).p;
    return text ? text : value_no_memory;
}

const char *value_verdict(const struct value *v, const char *why)
{
    return !why || why == value_no_memory ? why : value_wrong(v, why, "");
}

void *value_field(const struct value *v)
{
    return (char *)v->item + v->key->offset;
}

/* ---- numbers ---------------------------------------------------------------------------- */

static const struct schema_word size_units[] = {
    {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct schema_word duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0}};
static const struct schema_word no_units[] = {{"", 1}, {NULL, 0}};

static const struct number_type {
    const struct schema_word *units;
    const char *error;
} number_types[SCHEMA_TYPES] = {
    [SCHEMA_NUMBER] = {no_units, "not a number"},
    [SCHEMA_SIZE] = {size_units, "not a size (512, 64K, 8M, 1G)"},
    [SCHEMA_DURATION] = {duration_units, "not a duration (500ms, 30s, 5m, 1h)"},
};

const struct schema_word *value_find_word(const struct schema_word *words, struct slice name)
{
    for (; words && words->word; words++) {
        if (slice_eq(name, slice_str(words->word)))
            return words;
    }
    return NULL;
}

const char *value_must_be(const struct value *v, const struct schema_word *words,
                          struct slice word)
{
    struct nearest near = nearest_init(word);
    struct slice list = SLICE("");

    for (const struct schema_word *w = words; w->word; w++) {
        const char *comma = w == words ? "" : w[1].word ? ", " : " or ";
        list = arena_printf(v->arena, "%.*s%s%s", SLICE_FMT(list), comma, w->word);
        if (!list.p)
            return value_no_memory;
        nearest_try(&near, slice_str(w->word));
    }
    list = arena_printf(v->arena, "must be %.*s%s", SLICE_FMT(list),
                        nearest_text(&near, v->arena));
    return list.p ? list.p : value_no_memory;
}

static void store(const struct value *v, int64_t n)
{
    switch (v->key->size) {
    case sizeof(bool):
        *(bool *)value_field(v) = n != 0;
        break;
    case sizeof(int):
        *(int *)value_field(v) = (int)n;
        break;
    default:
        *(int64_t *)value_field(v) = n;
        break;
    }
}

static const char *wrong_range(const struct value *v)
{
    const struct schema_key *key = v->key;
    struct slice why =
        arena_printf(v->arena, "must be %s to %s", schema_number(key->type, key->min).s,
                     schema_number(key->type, key->max).s);
    return why.p ? value_wrong(v, why.p, "") : value_no_memory;
}

static const char *set_number(const struct value *v)
{
    const struct number_type *type = &number_types[v->key->type];
    const struct schema_word *word = value_find_word(v->key->words, v->text);
    size_t n = 0;

    if (word) {
        store(v, word->value);
        return NULL;
    }
    while (n < v->text.n && v->text.p[n] >= '0' && v->text.p[n] <= '9')
        n++;
    const struct schema_word *unit = value_find_word(type->units, slice_from(v->text, n));
    if (n == 0 || !unit)
        return value_wrong(v, type->error, "");
    int64_t number = slice_decimal(slice_of(v->text.p, n), INT64_MAX / unit->value);
    if (number < 0 || number * unit->value < v->key->min || number * unit->value > v->key->max)
        return wrong_range(v);
    store(v, number * unit->value);
    return NULL;
}

/* "8", "2-8", "0-8"; not "0", which would serve nothing. */
static const char *set_range(const struct value *v)
{
    ssize_t dash = slice_find(v->text, '-');
    struct slice low = dash < 0 ? v->text : slice_of(v->text.p, (size_t)dash);
    struct slice high = dash < 0 ? v->text : slice_from(v->text, (size_t)dash + 1);
    int64_t min = slice_decimal(low, INT64_MAX), max = slice_decimal(high, INT64_MAX);

    if (min < 0 || max < 0)
        return value_wrong(v, "not a number, nor two with a - between", "");
    if (max < 1 || max > v->key->max || min < v->key->min)
        return value_wrong(v, "the most must be 1 to ",
                           schema_number(SCHEMA_NUMBER, v->key->max).s);
    if (min > max)
        return value_wrong(v, "the least is over the most", "");
    *(struct conf_range *)value_field(v) = (struct conf_range){(unsigned)min, (unsigned)max};
    return NULL;
}

static const char *set_enum(const struct value *v)
{
    const struct schema_word *word = value_find_word(v->key->words, v->text);

    if (!word)
        return value_verdict(v, value_must_be(v, v->key->words, v->text));
    store(v, word->value);
    return NULL;
}

static const char *set_bool(const struct value *v)
{
    static const struct schema_word words[] = {{"on", 1}, {"off", 0}, {NULL, 0}};
    const struct schema_word *word = value_find_word(words, v->text);

    if (!word)
        return value_verdict(v, value_must_be(v, words, v->text));
    store(v, word->value);
    return NULL;
}

/* ---- texts ------------------------------------------------------------------------------ */

static const char *set_string(const struct value *v)
{
    if (v->text.n > (size_t)v->key->max)
        return value_wrong(v, "too long", "");
    *(const char **)value_field(v) = v->text.p;
    return NULL;
}

/* What is wrong with a path, or NULL; *ret_path is it without slashes at its end. */
static const char *path_check(struct slice text, struct slice *ret_path)
{
    if (text.n == 0 || text.p[0] != '/')
        return "must be an absolute path";
    if (text.n >= PATH_MAX)
        return "longer than a path may be";
    while (text.n > 1 && text.p[text.n - 1] == '/')
        text.n--;
    *ret_path = text;
    return NULL;
}

static const char *set_path(const struct value *v)
{
    struct slice path;

    if (value_find_word(v->key->words, v->text))
        return set_string(v);
    const char *why = path_check(v->text, &path);
    if (why)
        return value_wrong(v, why, "");
    path = arena_dup(v->arena, path);
    if (!path.p)
        return value_no_memory;
    *(const char **)value_field(v) = path.p;
    return NULL;
}

static const char *set_redirect(const struct value *v)
{
    static const struct schema_word statuses[] = {{"301", 301}, {"302", 302}, {"303", 303},
                                                  {"307", 307}, {"308", 308}, {NULL, 0}};
    struct conf_route *route = &((struct schema_route *)v->item)->conf;
    struct slice target = v->text;
    ssize_t space = slice_find(target, ' ');
    int64_t status = 302;

    if (space >= 0) {
        const struct schema_word *word =
            value_find_word(statuses, slice_of(target.p, (size_t)space));
        if (!word)
            return value_wrong(v, "the status is 301, 302, 303, 307 or 308", "");
        status = word->value;
        target = slice_trim(slice_from(target, (size_t)space));
    }
    if (target.n > (size_t)v->key->max)
        return value_wrong(v, "too long", "");
    if (target.n == 0)
        return value_wrong(v, "the target is an absolute path or a URL", "");
    const char *why = vars_compile_url(v->arena, target, 0, &route->redirect_to);
    if (why)
        return value_verdict(v, why);
    route->redirect = target.p;
    route->redirect_status = (int)status;
    return NULL;
}

static const char *set_expires(const struct value *v)
{
    const char *why = fields_parse_expires(v->arena, v->text, value_field(v));

    return value_verdict(v, why);
}

static const char *set_hsts(const struct value *v)
{
    const char *why = fields_parse_hsts(v->arena, v->text, value_field(v));

    return value_verdict(v, why);
}

static const char *set_failures(const struct value *v)
{
    struct conf_limit limit;
    const char *why = limit_parse_failures(v->text, &limit);

    if (why)
        return value_wrong(v, why, "");
    *(struct conf_limit *)value_field(v) = limit;
    return NULL;
}

/* ---- all -------------------------------------------------------------------------------- */

static setter *const setters[SCHEMA_TYPES] = {
    [SCHEMA_STRING] = set_string,
    [SCHEMA_PATH] = set_path,
    [SCHEMA_BOOL] = set_bool,
    [SCHEMA_NUMBER] = set_number,
    [SCHEMA_RANGE] = set_range,
    [SCHEMA_SIZE] = set_number,
    [SCHEMA_DURATION] = set_number,
    [SCHEMA_ENUM] = set_enum,
    [SCHEMA_LIST] = value_set_list,
    [SCHEMA_HOSTS] = value_set_list,
    [SCHEMA_RESOLVERS] = value_set_list,
    [SCHEMA_CIDRS] = value_set_list,
    [SCHEMA_RATES] = value_set_list,
    [SCHEMA_AT_ONCE] = value_set_list,
    [SCHEMA_LINKS] = value_set_list,
    [SCHEMA_FAILURES] = set_failures,
    [SCHEMA_LISTEN_ADDRESSES] = value_set_list,
    [SCHEMA_SERVER_ADDRESSES] = value_set_list,
    [SCHEMA_COMMAND] = value_set_command,
    [SCHEMA_FAMILY] = value_set_family,
    [SCHEMA_REDIRECT] = set_redirect,
    [SCHEMA_EXPIRES] = set_expires,
    [SCHEMA_HSTS] = set_hsts,
    [SCHEMA_REWRITES] = value_set_list,
};

const char *value_set(const struct value *v)
{
    if (v->text.n == 0 && !(v->key->family && v->key->family->empty))
        return value_wrong(v, "needs a value", "");
    return setters[v->key->type](v);
}

void value_clear(const struct value *v)
{
    if (v->key->n_offset)
        *(unsigned *)(void *)((char *)v->item + v->key->n_offset) = 0;
}

static bool is_number(enum schema_type type)
{
    return type == SCHEMA_BOOL || type == SCHEMA_ENUM || number_types[type].units;
}

int value_defaults(struct arena *arena, enum schema_section section, void *item)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);

    for (size_t i = 0; i < n; i++) {
        const struct schema_key *key = &keys[i];
        struct value v = {arena, key, slice_str(key->name), slice_str(key->def), item};
        if (key->section != section)
            continue;
        if (key->derived && is_number(key->type))
            store(&v, key->unset);
        /* A default that its own row refuses is a mistake of ours; test_schema looks for it. */
        else if (!key->derived && key->def && value_set(&v))
            return GW_ENO_MEMORY;
    }
    return 0;
}
