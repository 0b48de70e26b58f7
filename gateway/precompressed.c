#include "precompressed.h"

#include "accept_encoding.h"
#include "file_cache.h"
#include "routes.h"
#include "worker.h"

_Static_assert(CONF_CODING_BR == CODING_BIT(CODING_BR), "one set of bits");
_Static_assert(CONF_CODING_ZSTD == CODING_BIT(CODING_ZSTD), "one set of bits");
_Static_assert(CONF_CODING_GZIP == CODING_BIT(CODING_GZIP), "one set of bits");

static struct slice suffix_of(enum coding c)
{
    return c == CODING_BR ? SLICE(".br") : c == CODING_ZSTD ? SLICE(".zst") : SLICE(".gz");
}

/* By the second: several tools give the form the file's time without its fraction. */
static bool is_good(const struct open_file *form, const struct open_file *file)
{
    return S_ISREG(form->st.st_mode) && form->st.st_mtim.tv_sec >= file->st.st_mtim.tv_sec;
}

/* The form beside m's file, opened beneath the same root by the same rules; or NULL. */
static struct open_file *open_form(struct stream *s, const struct route_match *m, enum coding c)
{
    struct slice root = m->document_root, suffix = suffix_of(c);
    struct slice name =
        arena_printf(&s->arena, "%.*s%.*s", SLICE_FMT(m->file), SLICE_FMT(suffix));

    if (!name.p)
        return NULL;
    struct open_file *form = file_cache_open(
        worker_of(s)->files, root.p, slice_from(name, root.n), route_links(s->route, s->site));
    if (form && !is_good(form, m->open)) {
        open_file_unref(form);
        return NULL;
    }
    return form;
}

/* There is a form of another coding than those in seen: then there is a choice too. */
static bool has_other(struct stream *s, const struct route_match *m, unsigned codings,
                      unsigned seen)
{
    for (unsigned c = 0; c < CODING_IDENTITY; c++) {
        struct open_file *form = NULL;
        if (codings & ~seen & CODING_BIT(c))
            form = open_form(s, m, (enum coding)c);
        open_file_unref(form);
        if (form)
            return true;
    }
    return false;
}

/* A file of the route's root: what an application has sent may lie anywhere, and is what the
 * application says. */
static bool is_ours(const struct stream *s, const struct route_match *m)
{
    struct slice root = m->document_root;

    return (s->route->pool < 0 || !s->override) && root.n && slice_starts(m->file, root) &&
           (root.n == 1 || (m->file.n > root.n && m->file.p[root.n] == '/'));
}

bool precompressed_pick(struct stream *s, struct route_match *m, struct slice *ret_coding)
{
    unsigned codings = s->route ? (unsigned)s->route->precompressed : 0, seen = 0;
    struct accept_encoding a;
    enum coding c;

    *ret_coding = slice_of("", 0);
    if (!codings || !is_ours(s, m))
        return false;
    accept_encoding_read(s->req.fields, s->req.n_fields, &a);
    while ((c = accept_encoding_pick(&a, codings & ~seen)) != CODING_IDENTITY) {
        struct open_file *form = open_form(s, m, c);
        seen |= CODING_BIT(c);
        if (form) {
            open_file_unref(m->open);
            m->open = form;
            *ret_coding = coding_name(c);
            return true;
        }
    }
    return has_other(s, m, codings, seen);
}
