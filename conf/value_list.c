#include "value_priv.h"

#include "../gateway/err.h"
#include "rewrite.h"
#include "server.h"
#include "syntax.h"

/* ---- words ------------------------------------------------------------------------------ */

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

/* ---- a list ----------------------------------------------------------------------------- */

/* Room for one more element at the end of the list, zeroed; the count is raised.  The room of
 * an array is the power of two, from 4, that holds it.  NULL when memory is out. */
static void *list_push(const struct value *v)
{
    unsigned *n = (unsigned *)(void *)((char *)v->item + v->key->n_offset);
    size_t size = v->key->size;
    char *array; /* the field is a pointer to some type: memcpy, or aliasing rules break */

    memcpy(&array, value_field(v), sizeof(array));
    if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) {
        char *more = arena_zalloc(v->arena, (*n ? *n * (size_t)2 : 4) * size);
        if (!more)
            return NULL;
        if (*n)
            memcpy(more, array, *n * size);
        memcpy(value_field(v), &more, sizeof(more));
        array = more;
    }
    return array + (*n)++ * size;
}

static void list_pop(const struct value *v)
{
    --*(unsigned *)(void *)((char *)v->item + v->key->n_offset);
}

static unsigned list_length(const struct value *v)
{
    return *(const unsigned *)(const void *)((const char *)v->item + v->key->n_offset);
}

/* ---- what becomes an element ------------------------------------------------------------ */

/* One more element, from its text.  NULL, or what is wrong. */
typedef const char *push_fn(const struct value *v, struct slice text);

/* A copy with A to Z in lower case; p is NULL when memory is out. */
static struct slice lower(struct arena *arena, struct slice text)
{
    char *p = arena_alloc(arena, text.n + 1);

    for (size_t i = 0; p && i < text.n; i++) {
        char c = text.p[i];
        p[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    if (p)
        p[text.n] = '\0';
    return slice_of(p, text.n);
}

static const char *push_slice(const struct value *v, struct slice word)
{
    if (v->key->words && !value_find_word(v->key->words, word))
        return value_must_be(v, v->key->words, word);
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
    word = lower(v->arena, word);
    return word.p ? push_slice(v, word) : value_no_memory;
}

static const char *push_resolver(const struct value *v, struct slice word)
{
    const char *why = syntax_resolver(word);
    return why ? why : push_slice(v, word);
}

static const char *push_cidr(const struct value *v, struct slice word)
{
    struct cidr block;
    const char *why = cidr_parse(word, &block);
    if (why)
        return why;
    struct cidr *at = list_push(v);
    if (!at)
        return value_no_memory;
    *at = block;
    return NULL;
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

static const char *off_alone(const struct value *v, bool is_off, bool first_is_off)
{
    return list_length(v) && (is_off || first_is_off) ? "off stands alone" : NULL;
}

static const char *push_limit(const struct value *v, struct slice text,
                              const char *(*parse)(struct slice text, struct conf_limit *ret))
{
    const struct conf_limit *list = *(struct conf_limit **)value_field(v);
    struct conf_limit limit;
    const char *why = parse(text, &limit);

    if (!why)
        why = off_alone(v, !limit.n, list && !list[0].n);
    if (why)
        return why;
    struct conf_limit *at = list_push(v);
    if (!at)
        return value_no_memory;
    *at = limit;
    return NULL;
}

static const char *push_rate(const struct value *v, struct slice text)
{
    return push_limit(v, text, limit_parse_rate);
}

static const char *push_at_once(const struct value *v, struct slice text)
{
    return push_limit(v, text, limit_parse_at_once);
}

/* What is wrong with a link-value, roughly: who is to load it looks at its parameters. */
static const char *link_is_wrong(struct slice text)
{
    ssize_t end = text.p[0] == '<' ? slice_find(text, '>') : -1;
    struct slice rest = end < 0 ? text : slice_trim(slice_from(text, (size_t)end + 1));

    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return "a control character";
    }
    return end < 2 || !rest.n || rest.p[0] != ';'
               ? "no link: </style.css>; rel=preload; as=style"
               : NULL;
}

/* off is an empty one. */
static const char *push_link(const struct value *v, struct slice text)
{
    const struct slice *list = *(struct slice **)value_field(v);
    bool off = slice_eq(text, SLICE("off"));
    const char *why = off ? NULL : link_is_wrong(text);

    if (!why)
        why = off_alone(v, off, list && !list[0].n);
    if (why)
        return why;
    struct slice kept = off ? slice_of("", 0) : arena_dup(v->arena, text);
    struct slice *at = kept.p ? list_push(v) : NULL;
    if (!at)
        return value_no_memory;
    *at = kept;
    return NULL;
}

static const char *push_rewrite(const struct value *v, struct slice text)
{
    struct conf_rewrite rule;
    const char *why = rewrite_parse(v->arena, text, &rule);
    if (why)
        return why;
    struct conf_rewrite *at = list_push(v);
    if (!at)
        return value_no_memory;
    *at = rule;
    return NULL;
}

/* ---- setters ---------------------------------------------------------------------------- */

static const struct list_type {
    push_fn *push;
    bool line; /* the value is one element, and the key is given again for the next */
} list_types[SCHEMA_TYPES] = {
    [SCHEMA_LIST] = {push_slice, false},
    [SCHEMA_HOSTS] = {push_host, false},
    [SCHEMA_RESOLVERS] = {push_resolver, false},
    [SCHEMA_CIDRS] = {push_cidr, false},
    [SCHEMA_LISTEN_ADDRESSES] = {push_address, false},
    [SCHEMA_SERVER_ADDRESSES] = {push_server, false},
    [SCHEMA_RATES] = {push_rate, true},
    [SCHEMA_AT_ONCE] = {push_at_once, true},
    [SCHEMA_LINKS] = {push_link, true},
    [SCHEMA_REWRITES] = {push_rewrite, true},
};

static const char *set_words(const struct value *v, push_fn *push)
{
    struct slice rest = v->text, word;
    int got;

    while ((got = value_word(v->arena, &rest, &word)) > 0) {
        if (word.n == 0)
            return value_wrong(v, "an empty word", "");
        if (list_length(v) >= (unsigned)v->key->max)
            return value_wrong(v, "too many words", "");
        struct value one = *v;
        one.text = word;
        const char *why = value_verdict(&one, push(v, word));
        if (why)
            return why;
    }
    if (got < 0)
        return got == GW_ENO_MEMORY ? value_no_memory
                                    : value_wrong(v, "a double quote that is not closed", "");
    return NULL;
}

static const char *set_line(const struct value *v, push_fn *push)
{
    const char *why =
        list_length(v) < (unsigned)v->key->max ? push(v, v->text) : "too many of them";

    return value_verdict(v, why);
}

const char *value_set_list(const struct value *v)
{
    const struct list_type *type = &list_types[v->key->type];

    return type->line ? set_line(v, type->push) : set_words(v, type->push);
}

/* argv: the words as pointers with a NULL behind them. */
const char *value_set_command(const struct value *v)
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
        return value_wrong(v, "the program must be an absolute path", "");
    const char **argv = arena_zalloc(v->arena, (list.n + (size_t)1) * sizeof(*argv));
    if (!argv)
        return value_no_memory;
    for (unsigned i = 0; i < list.n; i++)
        argv[i] = list.words[i].p;
    *(const char ***)value_field(v) = argv;
    return NULL;
}

/* The name behind the stem, as the family compares names.  p is NULL when memory is out. */
static struct slice family_name(const struct value *v)
{
    struct slice name = slice_from(v->name, schema_stem(v->key).n);

    return v->key->family->any_case && !v->key->family->keeps_case ? lower(v->arena, name)
                                                                   : arena_dup(v->arena, name);
}

const char *value_set_family(const struct value *v)
{
    const struct schema_family *family = v->key->family;
    struct conf_pair pair = {family_name(v), v->text}, *last;
    const char *list;
    unsigned n = list_length(v);

    if (!pair.name.p)
        return value_no_memory;
    if (n >= (unsigned)v->key->max)
        return value_wrong(v, "too many of them", "");
    memcpy(&list, value_field(v), sizeof(list));
    for (unsigned i = 0; i < n && !family->repeats; i++) {
        const struct conf_pair *other = (const void *)(list + i * v->key->size);
        if (family->any_case ? slice_ieq(other->name, pair.name)
                             : slice_eq(other->name, pair.name))
            return value_wrong(v, "given twice", "");
    }
    last = list_push(v);
    if (!last)
        return value_no_memory;
    *last = pair;
    const char *why = family->parse(v->arena, last);
    if (why)
        list_pop(v);
    return value_verdict(v, why);
}
