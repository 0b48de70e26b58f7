#include "derive_files.h"

#include "vars.h"

/* ---- try -------------------------------------------------------------------------------- */

static bool is_uri(const struct vars *v)
{
    return v->n >= 1 && (v->parts[0].var == VAR_uri || v->parts[0].var == VAR_document_uri);
}

static bool is_as_asked(const struct vars *v, bool folder)
{
    return is_uri(v) && v->n == 1 + (unsigned)folder && (v->n == 1 || v->parts[1].text.n == 1);
}

/* What one of the words asks for; NULL, or what is wrong with it.  Behind the last word of a route
 * to a pool there is the pool, so that it may be a file as the others are. */
static const char *try_word(struct load *l, struct slice word, bool last, bool to_pool,
                            struct conf_try *ret)
{
    if (slice_starts(word, SLICE("="))) {
        int64_t status = slice_decimal(slice_from(word, 1), 999);
        ret->kind = CONF_TRY_STATUS;
        ret->status = (int)status;
        if (!last)
            return "a status is the last of the list";
        if (to_pool)
            return "the pool would never be asked; leave it out, or leave out the pool";
        return status == 403 || status == 404 || status == 410
                   ? NULL
                   : "the status is one of =403, =404 and =410";
    }
    const char *why = vars_compile_url(&l->conf->arena, word, 0, &ret->path);
    if (why)
        return why;
    if (ret->path->has_authority)
        return "it is a path of the site; redirect has URLs";
    bool folder = slice_ends(word, SLICE("/"));
    bool ends = last && !(to_pool && is_uri(ret->path));
    ret->kind = ends ? CONF_TRY_GO : folder ? CONF_TRY_FOLDER : CONF_TRY_FILE;
    ret->as_asked = is_as_asked(ret->path, folder);
    if (ends && ret->as_asked)
        return "the last of the list is where all others end: a path such as /index.php, or "
               "=404";
    if (!ends && slice_find(word, '?') >= 0)
        return "what is looked for is a file, which has no query";
    return NULL;
}

/* outer: what is true where the section says nothing. */
static struct conf_tries tries_of(struct load *l, const struct section *s,
                                  const struct slice *words, unsigned n, bool to_pool,
                                  struct conf_tries outer)
{
    struct conf_tries tries = {.n = 0};

    if (n == 0)
        return outer;
    if (n == 1 && slice_eq(words[0], SLICE("off")))
        return tries;
    tries.at = arena_zalloc(&l->conf->arena, n * sizeof(*tries.at));
    if (!tries.at) {
        complain_no_memory(&l->bad);
        return tries;
    }
    for (unsigned i = 0; i < n; i++) {
        const char *why = try_word(l, words[i], i + 1 == n, to_pool, &tries.at[i]);
        if (why)
            complain(&l->bad, section_place(s, "try"), "try = %.*s: %s", ECHO(words[i]), why);
    }
    tries.n = n;
    return tries;
}

/* ---- charset ---------------------------------------------------------------------------- */

/* NULL: auto; "": off.  The name of a charset is a token (RFC 9110 8.3.2). */
static const char *charset_of(struct load *l, const struct section *s, const char *word)
{
    static const char more[] = "-_.:+";

    if (!word || strcmp(word, "auto") == 0)
        return NULL;
    if (strcmp(word, "off") == 0)
        return "";
    for (const char *p = word; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr(more, *p);
        if (!plain) {
            complain(&l->bad, section_place(s, "charset"),
                     "charset = %s: must be auto, off or the name of a charset", word);
            break;
        }
    }
    return word;
}

/* ---- precompressed ---------------------------------------------------------------------- */

static const struct {
    struct slice word;
    int codings;
} coding_words[] = {
    {{"off", 3}, 0},
    {{"on", 2}, CONF_CODING_BR | CONF_CODING_ZSTD | CONF_CODING_GZIP},
    {{"br", 2}, CONF_CODING_BR},
    {{"zstd", 4}, CONF_CODING_ZSTD},
    {{"gzip", 4}, CONF_CODING_GZIP},
};

enum { CODING_WORDS = sizeof(coding_words) / sizeof(coding_words[0]), ALONE = 2 };

static int codings_of(struct load *l, const struct section *s, const struct slice *words,
                      unsigned n, int outer)
{
    int codings = n ? 0 : outer;

    for (unsigned i = 0; i < n; i++) {
        unsigned at = 0;
        while (at < CODING_WORDS && !slice_eq(words[i], coding_words[at].word))
            at++;
        if (at == CODING_WORDS || (at < ALONE && n > 1))
            complain(&l->bad, section_place(s, "precompressed"),
                     "precompressed = %.*s: must be on, off, or some of br, zstd and gzip",
                     ECHO(words[i]));
        else
            codings |= coding_words[at].codings;
    }
    return codings;
}

/* ---- unsent ----------------------------------------------------------------------------- */

static void check_unsent(struct load *l, const struct section *s, struct slice *words,
                         unsigned *n)
{
    if (*n == 1 && slice_eq(words[0], SLICE("off"))) {
        *n = 0;
        return;
    }
    for (unsigned i = 0; i < *n; i++) {
        if (slice_eq(words[i], SLICE("off")) || slice_find(words[i], '/') >= 0 ||
            slice_find(words[i], '*') >= 0)
            complain(&l->bad, section_place(s, "unsent"),
                     "unsent = %.*s: must be off, or ends of names such as .php",
                     ECHO(words[i]));
    }
}

/* ---- sections --------------------------------------------------------------------------- */

void derive_files_site(struct load *l, const struct section *s, const struct schema_site *read,
                       struct conf_site *site)
{
    site->tries =
        tries_of(l, s, read->tries, read->n_tries, false, (struct conf_tries){.n = 0});
    site->precompressed = codings_of(l, s, read->precompressed, read->n_precompressed, 0);
    site->charset = charset_of(l, s, site->charset);
    check_unsent(l, s, site->unsent, &site->n_unsent);
}

void derive_files_route(struct load *l, const struct section *s,
                        const struct schema_route *read, struct conf_route *route,
                        const struct conf_site *site)
{
    route->charset = s && route->charset ? charset_of(l, s, route->charset) : site->charset;
    bool to_pool = read && read->pool;
    route->own_unsent = route->n_unsent > 0;
    if (route->own_unsent) {
        check_unsent(l, s, route->unsent, &route->n_unsent);
    } else {
        route->unsent = site->unsent;
        route->n_unsent = site->n_unsent;
    }
    route->tries = to_pool ? (struct conf_tries){.n = 0} : site->tries;
    route->precompressed = site->precompressed;
    if (route->listing < 0)
        route->listing = to_pool ? 0 : site->listing;
    if (s && read) {
        route->tries = tries_of(l, s, read->tries, read->n_tries, to_pool, route->tries);
        route->precompressed =
            codings_of(l, s, read->precompressed, read->n_precompressed, site->precompressed);
    }
}
