#include "schema.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>

#include "family.h"
#include "fields.h"
#include "rewrite.h"

/* The number setters write fields of these sizes only. */
_Static_assert(sizeof(enum conf_body) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(unsigned) == sizeof(int), "numbers are stored as int");

#define AT(type, field)                                                                        \
    .offset = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
#define LIST(type, field, count)                                                               \
    .offset = offsetof(struct type, field), .size = sizeof(*((struct type *)0)->field),        \
    .n_offset = offsetof(struct type, count)

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    GIB = 1024 * MIB,
    SECOND = 1000,
    HOUR = 3600 * SECOND,
    DAY = 24 * HOUR,
    PATH_BYTES = PATH_MAX - 1,
    RULES = 256,
    WORDS = 1024,     /* of a list, and variables of a section */
    BLOCKS = 1000000, /* of addresses */
};
/* What is text, or as wasteful as text. */
#define UNSENT ".php .phtml .phar .phps .inc .cgi .fcgi .pl .py ~"
#define COMPRESS_TYPES                                                                         \
    "text/* *+json *+xml application/json application/javascript application/xml "             \
    "application/wasm font/ttf font/otf application/vnd.ms-fontobject image/bmp image/x-icon"
#define SIZE_MOST (64 * 1024 * (int64_t)GIB)

static const struct schema_word auto_words[] = {{"auto", 0}, {NULL, 0}};
static const struct schema_word off_words[] = {{"off", 0}, {"stderr", 0}, {NULL, 0}};
static const struct schema_word stderr_words[] = {{"stderr", 0}, {NULL, 0}};
static const struct schema_word writer_words[] = {
    {"auto", CONF_WRITER_AUTO}, {"always", CONF_WRITER_ALWAYS}, {NULL, 0}};
static const struct schema_word level_words[] = {
    {"error", CONF_LOG_ERROR}, {"warn", CONF_LOG_WARN},   {"notice", CONF_LOG_NOTICE},
    {"info", CONF_LOG_INFO},   {"debug", CONF_LOG_DEBUG}, {NULL, 0}};
static const struct schema_word request_words[] = {{"auto", CONF_BODY_AUTO},
                                                   {"spool", CONF_BODY_SPOOL},
                                                   {"stream", CONF_BODY_STREAM},
                                                   {NULL, 0}};
static const struct schema_word response_words[] = {
    {"spool", CONF_BODY_SPOOL}, {"stream", CONF_BODY_STREAM}, {NULL, 0}};
static const struct schema_word none_words[] = {{"none", 0}, {NULL, 0}};
static const struct schema_word links_words[] = {{"inside", CONF_LINKS_INSIDE},
                                                 {"follow", CONF_LINKS_FOLLOW},
                                                 {"owner", CONF_LINKS_OWNER},
                                                 {"never", CONF_LINKS_NEVER},
                                                 {NULL, 0}};
static const struct schema_word underscores_words[] = {
    {"drop", CONF_UNDERSCORES_DROP}, {"pass", CONF_UNDERSCORES_PASS}, {NULL, 0}};
static const struct schema_word multiplex_words[] = {{"off", 0}, {"auto", 1}, {NULL, 0}};
static const struct schema_word hints_words[] = {{"off", 0}, {"learn", 1}, {NULL, 0}};
static const struct schema_word never_words[] = {{"off", 0}, {NULL, 0}};
static const struct schema_word listen_words[] = {{"given", 0}, {"self", 1}, {NULL, 0}};
static const struct schema_word signal_words[] = {
    {"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"KILL", SIGKILL}, {NULL, 0}};
static const struct schema_word balance_words[] = {{"least", CONF_BALANCE_LEAST},
                                                   {"round-robin", CONF_BALANCE_ROUND_ROBIN},
                                                   {"hash", CONF_BALANCE_HASH},
                                                   {NULL, 0}};
static const struct schema_word trusted_words[] = {
    {"off", CONF_TRUST_NONE},
    {"X-Forwarded-For", CONF_TRUST_X_FORWARDED_FOR},
    {"Forwarded", CONF_TRUST_FORWARDED},
    {NULL, 0}};
static const struct schema_word compress_words[] = {{"off", 0}, {"on", 1},   {"zstd", 2},
                                                    {"br", 3},  {"gzip", 4}, {NULL, 0}};
static const struct schema_word auth_words[] = {{"off", 0}, {"basic", 1}, {NULL, 0}};
static const struct schema_word satisfy_words[] = {
    {"all", CONF_SATISFY_ALL}, {"any", CONF_SATISFY_ANY}, {NULL, 0}};

static const struct schema_kind kinds[SCHEMA_SECTIONS] = {
    [SCHEMA_GATEWAY] = {"gateway", sizeof(struct schema_gateway),
                        "The process as a whole; once, or once a file with different keys."},
    [SCHEMA_LISTEN] = {"listen", sizeof(struct conf_listen), "Addresses to listen on."},
    [SCHEMA_SITE] = {"site", sizeof(struct schema_site),
                     "A set of host names and their files."},
    [SCHEMA_ROUTE] = {"route", sizeof(struct schema_route),
                      "What answers a path of a site: files, a pool or a redirect."},
    [SCHEMA_POOL] = {"pool", sizeof(struct conf_pool),
                     "A set of equivalent FastCGI servers, given by address or started."},
};

static const struct schema_key keys[] = {
/* clang-format off: the order is that of enum schema_section */
#include "tbl/gateway.def"
#include "tbl/listen.def"
#include "tbl/site.def"
#include "tbl/route.def"
#include "tbl/pool.def"
    /* clang-format on */
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

const struct schema_kind *schema_kind(enum schema_section section)
{
    return &kinds[section];
}

enum schema_section schema_section_find(struct slice name)
{
    unsigned i = 0;

    while (i < SCHEMA_SECTIONS && !slice_eq(name, slice_str(kinds[i].name)))
        i++;
    return (enum schema_section)i;
}

const struct schema_key *schema_keys(size_t *ret_n)
{
    *ret_n = N_KEYS;
    return keys;
}

struct slice schema_stem(const struct schema_key *key)
{
    struct slice name = slice_str(key->name);

    if (key->family)
        name.n = (size_t)slice_find(name, '.') + 1;
    return name;
}

bool schema_is(const struct schema_key *key, struct slice name)
{
    if (key->family)
        return slice_starts(name, schema_stem(key));
    return slice_eq(name, slice_str(key->name));
}

ssize_t schema_find(enum schema_section section, struct slice name)
{
    for (size_t i = 0; i < N_KEYS && keys[i].section <= section; i++) {
        if (keys[i].section == section && schema_is(&keys[i], name))
            return (ssize_t)i;
    }
    return -1;
}

static const char *const type_names[SCHEMA_TYPES] = {
    [SCHEMA_STRING] = "text",
    [SCHEMA_PATH] = "path",
    [SCHEMA_BOOL] = "on or off",
    [SCHEMA_NUMBER] = "number",
    [SCHEMA_RANGE] = "number or min-max",
    [SCHEMA_SIZE] = "size",
    [SCHEMA_DURATION] = "duration",
    [SCHEMA_ENUM] = "word",
    [SCHEMA_LIST] = "list",
    [SCHEMA_HOSTS] = "list of host names",
    [SCHEMA_RESOLVERS] = "list of IP addresses",
    [SCHEMA_CIDRS] = "list of addresses and blocks",
    [SCHEMA_RATES] = "rate",
    [SCHEMA_LINKS] = "link",
    [SCHEMA_AT_ONCE] = "number",
    [SCHEMA_FAILURES] = "off, number/time",
    [SCHEMA_LISTEN_ADDRESSES] = "list of addresses",
    [SCHEMA_SERVER_ADDRESSES] = "list of addresses",
    [SCHEMA_COMMAND] = "program and arguments",
    [SCHEMA_FAMILY] = "name and value",
    [SCHEMA_REDIRECT] = "[status] target",
    [SCHEMA_EXPIRES] = "off, epoch, max, no-cache, no-store, time and words",
    [SCHEMA_REWRITES] = "pattern target [last, break, redirect, permanent]",
    [SCHEMA_HSTS] = "off, time [includeSubDomains] [preload]",
};

const char *schema_type_name(enum schema_type type)
{
    return type_names[type];
}

bool schema_repeats(const struct schema_key *key)
{
    return key->n_offset != 0;
}

/* Units from the largest down; the last of each is 1. */
static const struct schema_word sizes[] = {{"G", GIB}, {"M", MIB}, {"K", KIB}, {"", 1}};
static const struct schema_word times[] = {
    {"h", HOUR}, {"m", 60 * SECOND}, {"s", SECOND}, {"ms", 1}};
static const struct schema_word ones[] = {{"", 1}};

struct schema_text schema_number(enum schema_type type, int64_t n)
{
    const struct schema_word *unit = type == SCHEMA_SIZE       ? sizes
                                     : type == SCHEMA_DURATION ? times
                                                               : ones;
    struct schema_text text;

    while (unit->value > 1 && (n == 0 || n % unit->value != 0))
        unit++;
    (void)snprintf(text.s, sizeof(text.s), "%" PRId64 "%s", n / unit->value, unit->word);
    return text;
}

void schema_print_range(const struct schema_key *key, FILE *out)
{
    const char *comma = "";

    if (key->type == SCHEMA_LIST && key->words)
        fputs("list of ", out);
    for (const struct schema_word *w = key->words; w && w->word; w++, comma = ", ")
        fprintf(out, "%s%s", comma, w->word);
    if (key->type == SCHEMA_ENUM || (key->type == SCHEMA_LIST && key->words))
        return;
    fprintf(out, "%s%s", comma, key->family ? key->family->takes : schema_type_name(key->type));
    if (key->type == SCHEMA_NUMBER || key->type == SCHEMA_RANGE || key->type == SCHEMA_SIZE ||
        key->type == SCHEMA_DURATION)
        fprintf(out, " %s to %s", schema_number(key->type, key->min).s,
                schema_number(key->type, key->max).s);
    if (key->unit && key->type == SCHEMA_NUMBER)
        fprintf(out, " %s", key->unit);
}

void schema_print(FILE *out)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct schema_key *key = &keys[i];
        const struct schema_kind *kind = schema_kind(key->section);

        if (i == 0 || keys[i - 1].section != key->section)
            fprintf(out, "%s[%s] %s\n", i ? "\n" : "", kind->name, kind->text);
        fprintf(out, "  %-22s ", key->name);
        schema_print_range(key, out);
        if (key->def)
            fprintf(out, "; default %s", key->def);
        fprintf(out, "%s\n      %s\n", key->required ? "; required" : "", key->text);
    }
}
