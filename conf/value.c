#include "value.h"

#include <limits.h>

#include "../gateway/err.h"
#include "server.h"
#include "syntax.h"
#include "complaints.h"

typedef const char *setter(const struct value *v);

const char value_no_memory[] = "out of memory";

/* "KEY = VALUE: why" */
static const char *wrong(const struct value *v, const char *why, const char *more)
{
    const char *text =
        arena_printf(v->arena, "%.*s = %.*s: %s%s", ECHO(v->name), ECHO(v->text), why, more).p;
    return text ? text : value_no_memory;
}

static void *field(const struct value *v)
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

static const struct schema_word *word_find(const struct schema_word *words, struct slice name)
{
    for (; words && words->word; words++) {
        if (slice_eq(name, slice_str(words->word)))
            return words;
    }
    return NULL;
}

/* "must be a, b or c; did you mean ...?" */
static const char *wrong_word(const struct value *v, const struct schema_word *words)
{
    struct nearest near = nearest_init(v->text);
    struct slice list = SLICE("");

    for (const struct schema_word *w = words; w->word; w++) {
        const char *comma = w == words ? "" : w[1].word ? ", " : " or ";
        list = arena_printf(v->arena, "%.*s%s%s", SLICE_FMT(list), comma, w->word);
        if (!list.p)
            return value_no_memory;
        nearest_try(&near, slice_str(w->word));
    }
    struct slice why = arena_printf(v->arena, "must be %.*s", SLICE_FMT(list));
    return why.p ? wrong(v, why.p, nearest_text(&near, v->arena)) : value_no_memory;
}

static void store(const struct value *v, int64_t n)
{
    switch (v->key->size) {
    case sizeof(bool):
        *(bool *)field(v) = n != 0;
        break;
    case sizeof(int):
        *(int *)field(v) = (int)n;
        break;
    default:
        *(int64_t *)field(v) = n;
        break;
    }
}

static const char *wrong_range(const struct value *v)
{
    const struct schema_key *key = v->key;
    struct slice why =
        arena_printf(v->arena, "must be %s to %s", schema_number(key->type, key->min).s,
                     schema_number(key->type, key->max).s);
    return why.p ? wrong(v, why.p, "") : value_no_memory;
}

static const char *set_number(const struct value *v)
{
    const struct number_type *type = &number_types[v->key->type];
    const struct schema_word *word = word_find(v->key->words, v->text);
    size_t n = 0;

    if (word) {
        store(v, word->value);
        return NULL;
    }
    while (n < v->text.n && v->text.p[n] >= '0' && v->text.p[n] <= '9')
        n++;
    const struct schema_word *unit = word_find(type->units, slice_from(v->text, n));
    if (n == 0 || !unit)
        return wrong(v, type->error, "");
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
        return wrong(v, "not a number, nor two with a - between", "");
    if (max < 1 || max > v->key->max || min < v->key->min)
        return wrong(v, "the most must be 1 to ", schema_number(SCHEMA_NUMBER, v->key->max).s);
    if (min > max)
        return wrong(v, "the least is over the most", "");
    *(struct conf_range *)field(v) = (struct conf_range){(unsigned)min, (unsigned)max};
    return NULL;
}

static const char *set_enum(const struct value *v)
{
    const struct schema_word *word = word_find(v->key->words, v->text);

    if (!word)
        return wrong_word(v, v->key->words);
    store(v, word->value);
    return NULL;
}

static const char *set_bool(const struct value *v)
{
    static const struct schema_word words[] = {{"on", 1}, {"off", 0}, {NULL, 0}};
    const struct schema_word *word = word_find(words, v->text);

    if (!word)
        return wrong_word(v, words);
    store(v, word->value);
    return NULL;
}

/* ---- texts ------------------------------------------------------------------------------ */

static const char *set_string(const struct value *v)
{
    if (v->text.n > (size_t)v->key->max)
        return wrong(v, "too long", "");
    *(const char **)field(v) = v->text.p;
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

    if (word_find(v->key->words, v->text))
        return set_string(v);
    const char *why = path_check(v->text, &path);
    if (why)
        return wrong(v, why, "");
    path = arena_dup(v->arena, path);
    if (!path.p)
        return value_no_memory;
    *(const char **)field(v) = path.p;
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
        const struct schema_word *word = word_find(statuses, slice_of(target.p, (size_t)space));
        if (!word)
            return wrong(v, "the status is 301, 302, 303, 307 or 308", "");
        status = word->value;
        target = slice_trim(slice_from(target, (size_t)space));
    }
    if (target.n > (size_t)v->key->max)
        return wrong(v, "too long", "");
    /* It becomes a Location field as it is: RFC 3986 2 has no other bytes. */
    for (size_t i = 0; i < target.n; i++) {
        if (target.p[i] <= ' ' || target.p[i] >= 0x7f || strchr("\"<>\\^`{|}", target.p[i]))
            return wrong(v, "the target has bytes that must be %-encoded", "");
    }
    if (target.p[0] != '/' && slice_find(target, ':') <= 0)
        return wrong(v, "the target is an absolute path or a URL", "");
    route->redirect = target.p;
    route->redirect_status = (int)status;
    return NULL;
}

/* ---- lists ------------------------------------------------------------------------------ */

static int quoted_word(struct slice *rest, char *out, size_t *ret_n)
{
    size_t n = 0, i = 1;

    while (i < rest->n && rest->p[i] != '"') {
        if (rest->p[i] == '\\' && i + 1 < rest->n &&
            (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\'))
            i++;
        out[n++] = rest->p[i++];
    }
    if (i == rest->n || (i + 1 < rest->n && rest->p[i + 1] != ' ' && rest->p[i + 1] != '\t'))
        return GW_EINTERNAL;
    *rest = slice_from(*rest, i + 1);
    *ret_n = n;
    return 1;
}

int value_word(struct arena *arena, struct slice *rest, struct slice *ret_word)
{
    size_t n = 0;

    *rest = slice_trim(*rest);
    if (rest->n == 0)
        return 0;
    if (rest->p[0] == '"') {
        char *out = arena_alloc(arena, rest->n);
        if (!out)
            return GW_ENO_MEMORY;
        int err = quoted_word(rest, out, &n);
        if (err < 0)
            return err;
        out[n] = '\0';
        *ret_word = slice_of(out, n);
        return 1;
    }
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    *ret_word = arena_dup(arena, slice_of(rest->p, n));
    *rest = slice_from(*rest, n);
    return ret_word->p ? 1 : GW_ENO_MEMORY;
}

/* Room for one more element at the end of the list, zeroed; the count is raised.  The room of
 * an array is the power of two, from 4, that holds it.  NULL when memory is out. */
static void *list_push(const struct value *v)
{
    unsigned *n = (unsigned *)(void *)((char *)v->item + v->key->n_offset);
    size_t size = v->key->size;
    char *array; /* the field is a pointer to some type: memcpy, or aliasing rules break */

    memcpy(&array, field(v), sizeof(array));
    if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) {
        char *more = arena_zalloc(v->arena, (*n ? *n * (size_t)2 : 4) * size);
        if (!more)
            return NULL;
        if (*n)
            memcpy(more, array, *n * size);
        memcpy(field(v), &more, sizeof(more));
        array = more;
    }
    return array + (*n)++ * size;
}

static unsigned list_length(const struct value *v)
{
    return *(const unsigned *)(const void *)((const char *)v->item + v->key->n_offset);
}

static const char *push_slice(const struct value *v, struct slice word)
{
    struct slice *at = list_push(v);

    if (!at)
        return value_no_memory;
    *at = word;
    return NULL;
}

/* Host names are compared in lower case (RFC 9110 4.2.3). */
static const char *push_host(const struct value *v, struct slice word)
{
    const char *why = syntax_host(word);
    if (why)
        return why;
    char *lower = arena_alloc(v->arena, word.n + 1);
    if (!lower)
        return value_no_memory;
    for (size_t i = 0; i <= word.n; i++) {
        char c = word.p[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return push_slice(v, slice_of(lower, word.n));
}

static const char *push_resolver(const struct value *v, struct slice word)
{
    const char *why = syntax_resolver(word);
    return why ? why : push_slice(v, word);
}

static const char *push_server(const struct value *v, struct slice word)
{
    struct conf_address server;
    const char *why = server_parse(v->arena, word, &server);
    if (why)
        return why;
    struct conf_address *at = list_push(v);
    if (!at)
        return value_no_memory;
    *at = server;
    return NULL;
}

static const char *push_address(const struct value *v, struct slice word)
{
    const char *why = syntax_address(word, SYNTAX_LISTEN);
    if (why)
        return why;
    const char **at = list_push(v);
    if (!at)
        return value_no_memory;
    *at = word.p;
    return NULL;
}

static const char *set_words(const struct value *v,
                             const char *(*push)(const struct value *v, struct slice word))
{
    struct slice rest = v->text, word;
    int got;

    while ((got = value_word(v->arena, &rest, &word)) > 0) {
        if (word.n == 0)
            return wrong(v, "an empty word", "");
        if (list_length(v) >= (unsigned)v->key->max)
            return wrong(v, "too many words", "");
        const char *why = push(v, word);
        if (!why)
            continue;
        if (why == value_no_memory)
            return why;
        struct value one = *v;
        one.text = word;
        return wrong(&one, why, "");
    }
    if (got < 0)
        return got == GW_ENO_MEMORY ? value_no_memory
                                    : wrong(v, "a double quote that is not closed", "");
    return NULL;
}

static const char *set_list(const struct value *v)
{
    return set_words(v, push_slice);
}

static const char *set_hosts(const struct value *v)
{
    return set_words(v, push_host);
}

static const char *set_resolvers(const struct value *v)
{
    return set_words(v, push_resolver);
}

static const char *set_addresses(const struct value *v)
{
    return set_words(v, push_address);
}

static const char *set_servers(const struct value *v)
{
    return set_words(v, push_server);
}

/* argv: the words as pointers with a NULL behind them. */
static const char *set_command(const struct value *v)
{
    struct {
        struct slice *words;
        unsigned n;
    } list = {0};
    struct schema_key key = *v->key;
    struct value into = *v;

    key.offset = 0;
    key.size = sizeof(*list.words);
    key.n_offset = offsetof(__typeof__(list), n);
    into.key = &key;
    into.item = &list;
    const char *why = set_words(&into, push_slice);
    if (why)
        return why;
    if (list.n == 0 || list.words[0].p[0] != '/')
        return wrong(v, "the program must be an absolute path", "");
    const char **argv = arena_zalloc(v->arena, (list.n + (size_t)1) * sizeof(*argv));
    if (!argv)
        return value_no_memory;
    for (unsigned i = 0; i < list.n; i++)
        argv[i] = list.words[i].p;
    *(const char ***)field(v) = argv;
    return NULL;
}

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

static const char *set_env(const struct value *v)
{
    struct slice name = slice_from(v->name, sizeof("env.") - 1);
    struct conf_env *list = *(struct conf_env **)field(v);
    unsigned n = list_length(v);

    if (!is_variable_name(name))
        return wrong(v, "the name of a variable has letters, digits and _ only", "");
    if (n >= (unsigned)v->key->max)
        return wrong(v, "too many variables", "");
    for (unsigned i = 0; i < n; i++) {
        if (slice_eq(list[i].name, name))
            return wrong(v, "given twice", "");
    }
    struct slice copy = arena_dup(v->arena, name);
    struct conf_env *at = copy.p ? list_push(v) : NULL;
    if (!at)
        return value_no_memory;
    *at = (struct conf_env){copy, v->text};
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
    [SCHEMA_LIST] = set_list,
    [SCHEMA_HOSTS] = set_hosts,
    [SCHEMA_RESOLVERS] = set_resolvers,
    [SCHEMA_LISTEN_ADDRESSES] = set_addresses,
    [SCHEMA_SERVER_ADDRESSES] = set_servers,
    [SCHEMA_COMMAND] = set_command,
    [SCHEMA_ENV] = set_env,
    [SCHEMA_REDIRECT] = set_redirect,
};

const char *value_set(const struct value *v)
{
    if (v->text.n == 0 && v->key->type != SCHEMA_ENV)
        return wrong(v, "needs a value", "");
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
