#include "server.h"

#include "complaints.h"
#include "syntax.h"
#include "value.h"

static const char bad_weight[] = "weight= is a number from 1 to 1000";
static const char srv_weight[] = "the records of a srv: name have weights of their own";
static const char bad_max[] = "max= is a number from 1 to 65535";

static const char *set_unsigned(struct slice text, int64_t most, const char *error,
                                unsigned *ret_n)
{
    int64_t n = slice_decimal(text, most);

    if (n < 1)
        return error;
    *ret_n = (unsigned)n;
    return NULL;
}

static const char *set_weight(struct slice text, struct conf_address *server)
{
    return set_unsigned(text, SERVER_WEIGHT_MAX, bad_weight, &server->weight);
}

static const char *set_max(struct slice text, struct conf_address *server)
{
    return set_unsigned(text, SERVER_MAX_MAX, bad_max, &server->max);
}

static const char *set_backup(struct slice text, struct conf_address *server)
{
    (void)text;
    server->backup = true;
    return NULL;
}

static const struct option {
    struct slice name; /* with its "=" if it has a value */
    const char *(*set)(struct slice text, struct conf_address *server);
} options[] = {
    {SLICE("weight="), set_weight},
    {SLICE("max="), set_max},
    {SLICE("backup"), set_backup},
};

static const char *option_parse(struct arena *arena, struct slice word,
                                struct conf_address *server)
{
    ssize_t equals = slice_find(word, '=');
    struct nearest near = nearest_init(equals < 0 ? word : slice_of(word.p, (size_t)equals));

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct option *o = &options[i];
        bool has_value = o->name.p[o->name.n - 1] == '=';
        if (has_value ? slice_starts(word, o->name) : slice_eq(word, o->name))
            return o->set(slice_from(word, o->name.n), server);
        nearest_try(&near, slice_of(o->name.p, o->name.n - has_value));
    }
    struct slice why = arena_printf(arena, "unknown option \"%.*s\" behind the address%s",
                                    ECHO(word), nearest_text(&near, arena));
    return why.p ? why.p : value_no_memory;
}

const char *server_parse(struct arena *arena, struct slice word,
                         struct conf_address *ret_server)
{
    struct conf_address server = {.weight = 1};
    ssize_t comma = slice_find(word, ',');
    struct slice rest = SLICE("");

    if (comma >= 0) {
        rest = slice_from(word, (size_t)comma);
        word.n = (size_t)comma;
    }
    const char *why = syntax_address(word, SYNTAX_CONNECT);
    while (!why && rest.n) {
        rest = slice_from(rest, 1); /* the comma */
        comma = slice_find(rest, ',');
        size_t n = comma < 0 ? rest.n : (size_t)comma;
        why = option_parse(arena, slice_of(rest.p, n), &server);
        rest = slice_from(rest, n);
    }
    if (!why && syntax_is_srv(word) && server.weight != 1)
        why = srv_weight;
    if (why)
        return why;
    server.text = arena_dup(arena, word).p;
    if (!server.text)
        return value_no_memory;
    *ret_server = server;
    return NULL;
}
