#include "try.h"

#include "expand.h"
#include "worker.h"

/* One request on its way through the words. */
struct trying {
    struct stream *s;
    const struct route_hit *hit;
    struct route_match *m;
    bool may_be_file;
    struct try_else *to;
    bool looked;  /* what m->path is, is known: */
    int as_asked; /* as resolve() says */
    struct slice index;
};

enum { NEXT = TRY_NOTHING }; /* the word is not it */

/* Is it a reason to go on to the next word? */
static bool is_absent(int rc)
{
    return rc == GW_ENOT_FOUND || rc == RESOLVE_NEXT || (rc < 0 && gw_err_status(rc) == 403);
}

static int look_as_asked(struct trying *t)
{
    if (!t->looked) {
        t->as_asked = t->may_be_file ? resolve(&t->s->arena, worker_of(t->s)->files, t->hit,
                                               t->m, &t->index)
                                     : GW_ENOT_FOUND;
        t->looked = true;
    }
    return t->as_asked;
}

static int try_as_asked(struct trying *t, bool folder)
{
    int rc = look_as_asked(t);

    if (rc < 0)
        return is_absent(rc) ? NEXT : rc;
    if (rc == RESOLVED)
        return folder ? NEXT : RESOLVED;
    if (!folder)
        return NEXT;
    if (rc == RESOLVE_SLASH)
        return resolve_is_shown(&t->s->arena, worker_of(t->s)->files, t->hit, t->m)
                   ? RESOLVE_SLASH
                   : NEXT;
    t->to->path = t->index;
    return rc == RESOLVE_LISTING ? rc : TRY_ELSE;
}

/* The word with its values: a settled path, and its query if it has one. */
static int expand_path(struct trying *t, const struct conf_try *word)
{
    struct slice text;
    int rc = expand(t->s, word->path, NULL, EXPAND_URL, &text);

    if (rc < 0)
        return rc;
    ssize_t mark = slice_find(text, '?');
    t->to->has_query = mark >= 0;
    if (mark >= 0) {
        t->to->query = slice_from(text, (size_t)mark + 1);
        text.n = (size_t)mark;
    }
    return router_settle_path(&t->s->arena, text, &t->to->path);
}

/* Another path of the route's files: only what begins as the request's path does, as far as the
 * pattern goes, lies in its root. */
static int try_other(struct trying *t, const struct conf_try *word)
{
    struct route_match other = *t->m;
    struct slice index;
    int rc = expand_path(t, word);

    if (rc < 0)
        return rc;
    other.path = t->to->path;
    if (!slice_starts(other.path, slice_of(t->m->path.p, t->hit->below)))
        return NEXT;
    rc = resolve(&t->s->arena, worker_of(t->s)->files, t->hit, &other, &index);
    if (rc == RESOLVED)
        open_file_unref(other.open); /* the route that has the path opens it again */
    /* A program may have a route of its own, to its pool. */
    if ((rc == RESOLVED || rc == GW_ESOURCE) && word->kind == CONF_TRY_FILE)
        return TRY_ELSE;
    if (rc == RESOLVE_INDEX && word->kind == CONF_TRY_FOLDER) {
        t->to->path = index;
        return TRY_ELSE;
    }
    if (rc == RESOLVE_LISTING && word->kind == CONF_TRY_FOLDER)
        return TRY_ELSE;
    return rc >= 0 || is_absent(rc) ? NEXT : rc;
}

static int status_error(int status)
{
    return status == 403 ? GW_EFORBIDDEN : status == 410 ? GW_EGONE : GW_ENOT_FOUND;
}

static int try_word(struct trying *t, const struct conf_try *word)
{
    int rc;

    switch (word->kind) {
    case CONF_TRY_FILE:
    case CONF_TRY_FOLDER:
        if (word->as_asked)
            return try_as_asked(t, word->kind == CONF_TRY_FOLDER);
        return try_other(t, word);
    case CONF_TRY_STATUS:
        return status_error(word->status);
    case CONF_TRY_GO:
        break;
    }
    rc = expand_path(t, word);
    t->to->internal = true;
    return rc < 0 ? rc : TRY_ELSE;
}

int try_resolve(struct stream *s, const struct route_hit *hit, struct route_match *m,
                bool may_be_file, struct try_else *ret_else)
{
    const struct conf_tries *tries = &hit->entry->route->tries;
    struct trying t = {.s = s, .hit = hit, .m = m, .may_be_file = may_be_file, .to = ret_else};
    int rc = NEXT;

    *ret_else = (struct try_else){.path = m->path};
    for (unsigned i = 0; rc == NEXT && i < tries->n; i++)
        rc = try_word(&t, &tries->at[i]);
    if (rc != RESOLVED) { /* a file that was no word's */
        open_file_unref(m->open);
        m->open = NULL;
    }
    return rc;
}
