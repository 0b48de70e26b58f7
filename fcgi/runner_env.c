#include "runner_env.h"

#include <strings.h>

#include "../gateway/err.h"

static const char default_path[] = "PATH=/usr/local/bin:/usr/bin:/bin";

void runner_env_clear(struct runner_env *e)
{
    buf_clear(&e->text);
    e->n = 0;
    e->over = false;
}

void runner_env_fini(struct runner_env *e)
{
    buf_fini(&e->text);
    buf_fini(&e->envp);
    buf_fini(&e->table);
    buf_fini(&e->words);
    buf_fini(&e->argv);
    buf_fini(&e->script);
    *e = (struct runner_env){0};
}

/* ---- parameters ---- */

static bool is_given_on(struct slice name, struct slice value)
{
    if (name.n == 0 || slice_find(name, '=') >= 0 || slice_find(name, '\0') >= 0)
        return false;
    return slice_find(value, '\0') < 0 && !slice_eq(name, SLICE("HTTP_PROXY"));
}

int runner_env_add(struct runner_env *e, struct slice name, struct slice value)
{
    size_t size = name.n + 1 + value.n + 1;

    if (!is_given_on(name, value))
        return 0;
    if (size > RUNNER_ENV_MAX - buf_len(&e->text)) {
        e->over = true;
        return 0;
    }
    uint8_t *at = buf_reserve(&e->text, size);
    if (!at)
        return GW_ENO_MEMORY;
    memcpy(at, name.p, name.n);
    at[name.n] = '=';
    if (value.n)
        memcpy(at + name.n + 1, value.p, value.n);
    at[size - 1] = '\0';
    buf_commit(&e->text, size);
    e->n++;
    return 0;
}

/* Walk over the parameters; NULL at the end.  Start with *at = 0. */
static char *next_param(const struct runner_env *e, size_t *at)
{
    if (*at >= buf_len(&e->text))
        return NULL;
    char *entry = (char *)buf_at(&e->text) + *at;
    *at += strlen(entry) + 1;
    return entry;
}

const char *runner_env_get(const struct runner_env *e, const char *name)
{
    size_t at = 0, len = strlen(name);
    const char *entry, *value = NULL;

    while ((entry = next_param(e, &at))) {
        if (strncmp(entry, name, len) == 0 && entry[len] == '=')
            value = entry + len + 1;
    }
    return value;
}

/* ---- envp ---- */

/* envp while it is built: a hash table finds the place of a name, so that ten thousand
 * parameters cost no more each than ten. */
struct build {
    char **envp;
    uint32_t n;
    uint32_t *table; /* index into envp plus one; 0 is free */
    uint32_t mask;
};

static uint32_t hash_name(const char *entry)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *entry && *entry != '='; entry++)
        h = (h ^ (uint8_t)*entry) * 16777619u;
    return h;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && *a == *b && *a != '=') {
        a++;
        b++;
    }
    return *a == *b;
}

/* Where the name of entry has its place, or shall have it. */
static uint32_t *place_of(const struct build *b, const char *entry)
{
    uint32_t i = hash_name(entry) & b->mask;

    while (b->table[i] && !same_name(b->envp[b->table[i] - 1], entry))
        i = (i + 1) & b->mask;
    return &b->table[i];
}

static void set(struct build *b, char *entry)
{
    uint32_t *place = place_of(b, entry);

    if (*place == 0) {
        b->n++;
        *place = b->n;
    }
    b->envp[*place - 1] = entry;
}

/* Memory for up to n entries, the NULL behind them, and a table at most half full. */
static bool build_init(struct build *b, struct runner_env *e, size_t n)
{
    size_t size = 16;

    while (size < 2 * n)
        size *= 2;
    buf_clear(&e->envp);
    buf_clear(&e->table);
    b->envp = (char **)(void *)buf_reserve(&e->envp, (n + 1) * sizeof(char *));
    b->table = (uint32_t *)(void *)buf_reserve(&e->table, size * sizeof(uint32_t));
    if (!b->envp || !b->table)
        return false;
    memset(b->table, 0, size * sizeof(uint32_t));
    b->n = 0;
    b->mask = (uint32_t)size - 1;
    return true;
}

/* execve takes char *const[] and changes nothing. */
static char *unconst(const char *s)
{
    union {
        const char *in;
        char *out;
    } u = {s};
    return u.out;
}

char **runner_env_envp(struct runner_env *e, char *const inherited[], const char *mark)
{
    struct build b;
    size_t n_inherited = 0, at = 0;
    char *entry;

    while (inherited[n_inherited])
        n_inherited++;
    if (!build_init(&b, e, n_inherited + e->n + 2))
        return NULL;
    for (size_t i = 0; i < n_inherited; i++)
        set(&b, inherited[i]);
    while ((entry = next_param(e, &at)))
        set(&b, entry);
    if (*place_of(&b, default_path) == 0)
        set(&b, unconst(default_path)); /* RFC 3875 7.2 leaves it open; shells need one */
    if (mark)
        set(&b, unconst(mark));
    b.envp[b.n] = NULL;
    return b.envp;
}

/* ---- argv ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode one search word to the end of words, with a NUL.  false if it is none: empty, badly
 * encoded, a NUL inside, or something that a program would take for an option, as php-cgi did
 * (CVE-2012-1823). */
static bool add_word(struct runner_env *e, struct slice word)
{
    uint8_t *at = buf_reserve(&e->words, word.n + 1);
    size_t n = 0;

    if (!at)
        return false;
    for (size_t i = 0; i < word.n; i++) {
        int c = (unsigned char)word.p[i];
        if (c == '%') {
            if (word.n - i < 3)
                return false;
            int high = hex_digit(word.p[i + 1]), low = hex_digit(word.p[i + 2]);
            c = high < 0 || low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (c == 0)
            return false;
        at[n++] = (uint8_t)c;
    }
    if (n == 0 || at[0] == '-')
        return false;
    at[n++] = '\0';
    buf_commit(&e->words, n);
    return true;
}

/* RFC 3875 4.4: the query of a GET or HEAD without an unencoded '=' is words joined by '+'.
 * All of them or none: the number of words, 0 if it is no search string. */
static size_t search_words(struct runner_env *e)
{
    const char *method = runner_env_get(e, "REQUEST_METHOD");
    const char *query = runner_env_get(e, "QUERY_STRING");
    size_t n = 0;

    buf_clear(&e->words);
    if (!method || !query || strchr(query, '='))
        return 0;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return 0;
    for (;;) {
        size_t len = strcspn(query, "+");
        if (!add_word(e, slice_of(query, len)))
            return 0;
        n++;
        if (query[len] == '\0')
            return n;
        query += len + 1;
    }
}

char **runner_env_argv(struct runner_env *e, const char *path)
{
    size_t n = search_words(e);
    char *word = n ? (char *)buf_at(&e->words) : NULL;

    buf_clear(&e->argv);
    char **argv = (char **)(void *)buf_reserve(&e->argv, (n + 2) * sizeof(char *));
    if (!argv)
        return NULL;
    argv[0] = unconst(path);
    for (size_t i = 1; i <= n; i++) {
        argv[i] = word;
        word += strlen(word) + 1;
    }
    argv[n + 1] = NULL;
    return argv;
}

/* ---- the script ---- */

/* Apache's mod_proxy_fcgi sends "proxy:fcgi://host:port/path" and "proxy:balancer://name/path"
 * unless it is told otherwise (ProxyFCGIBackendType GENERIC). */
static const char *skip_proxy(const char *path)
{
    static const char *const prefixes[] = {"proxy:fcgi://", "proxy:balancer://"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncasecmp(path, prefixes[i], len) == 0) {
            const char *slash = strchr(path + len, '/');
            return slash ? slash : path;
        }
    }
    return path;
}

const char *runner_env_script(struct runner_env *e)
{
    const char *path = runner_env_get(e, "SCRIPT_FILENAME");

    if (path) {
        path = skip_proxy(path);
        return path[0] == '/' ? path : NULL;
    }
    /* nginx's stock fastcgi_params have no SCRIPT_FILENAME. */
    const char *root = runner_env_get(e, "DOCUMENT_ROOT");
    const char *name = runner_env_get(e, "SCRIPT_NAME");
    if (!root || !name || root[0] != '/' || name[0] != '/')
        return NULL;
    buf_clear(&e->script);
    if (buf_puts(&e->script, slice_str(root)) || buf_append(&e->script, name, strlen(name) + 1))
        return NULL;
    return (const char *)buf_at(&e->script);
}
