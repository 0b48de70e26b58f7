#include "rewrite.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "counters.h"
#include "expand.h"
#include "path.h"
#include "router.h"

enum { GROUPS = 10 }; /* $0 is the whole match, which no text has */

struct rule {
    const struct conf_rewrite *conf;
    pcre2_code *code;
};

struct rewrite {
    pcre2_match_context *limits; /* only read while matching */
    unsigned n;
    struct rule rules[];
};

struct rewrite *rewrite_new(const struct conf_rewrite *rules, unsigned n)
{
    struct rewrite *r = calloc(1, sizeof(*r) + n * sizeof(r->rules[0]));
    PCRE2_SIZE at;
    int err;

    if (!r)
        return NULL;
    r->limits = pcre2_match_context_create(NULL);
    bool ok = r->limits != NULL;
    if (ok) {
        pcre2_set_match_limit(r->limits, REWRITE_MATCH_STEPS);
        pcre2_set_depth_limit(r->limits, REWRITE_MATCH_STEPS);
        pcre2_set_heap_limit(r->limits, REWRITE_MATCH_KIB);
    }
    for (; ok && r->n < n; r->n++) {
        const struct conf_rewrite *conf = &rules[r->n];
        struct rule *rule = &r->rules[r->n];
        rule->conf = conf;
        rule->code = pcre2_compile((PCRE2_SPTR)conf->pattern.p, conf->pattern.n,
                                   REWRITE_PCRE2_OPTIONS, &err, &at, NULL);
        ok = rule->code != NULL;
        if (ok) /* where there is no JIT it is interpreted */
            (void)pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE);
    }
    if (!ok) {
        rewrite_free(r);
        return NULL;
    }
    return r;
}

void rewrite_free(struct rewrite *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n; i++)
        pcre2_code_free(r->rules[i].code);
    pcre2_match_context_free(r->limits);
    free(r);
}

/* ---- matching --------------------------------------------------------------------------- */

static int no_match(struct stream *s, const struct rule *rule, int rc)
{
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return GW_ENO_MEMORY;
    counter_add(COUNTER_REWRITE_MATCH);
    s->err_why = arena_printf(&s->arena, "rewrite=\"%.*s\"", SLICE_FMT(rule->conf->pattern));
    return GW_EREWRITE_MATCH;
}

/* 1 with the groups set, 0 if path does not match, or an error. */
static int match(const struct rewrite *r, const struct rule *rule, struct stream *s,
                 struct slice path, struct expand_groups *ret)
{
    pcre2_match_data *data = pcre2_match_data_create(GROUPS, NULL);

    if (!data)
        return GW_ENO_MEMORY;
    int rc = pcre2_match(rule->code, (PCRE2_SPTR)path.p, path.n, 0, 0, data, r->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* 32 KiB of the thread's: the heap has more */
        rc = pcre2_match(rule->code, (PCRE2_SPTR)path.p, path.n, 0, PCRE2_NO_JIT, data,
                         r->limits);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
    /* 0: there are more groups than room, and those that have a name here are set. */
    int n = rc == 0 ? GROUPS : rc;
    *ret = (struct expand_groups){0};
    for (int i = 0; i < n; i++) {
        PCRE2_SIZE from = ends[(size_t)i * 2], to = ends[(size_t)i * 2 + 1];
        if (from != PCRE2_UNSET && to >= from) /* \K may turn them round */
            ret->group[i] = slice_of(path.p + from, to - from);
    }
    pcre2_match_data_free(data);
    return rc >= 0 ? 1 : no_match(s, rule, rc);
}

/* ---- what a rule makes ------------------------------------------------------------------ */

/* The request's query behind the rule's own, text's.  p is NULL when memory is out. */
static struct slice with_query(struct stream *s, const struct rule *rule, struct slice text)
{
    bool has_own = slice_find(text, '?') >= 0;
    struct slice query = s->req.query;

    if (rule->conf->drops_query || !s->req.has_query)
        return text;
    if (rule->conf->redirect_status)
        query = expand_uri(&s->arena, query);
    if (!query.p)
        return query;
    return arena_printf(&s->arena, "%.*s%s%.*s", SLICE_FMT(text), has_own ? "&" : "?",
                        SLICE_FMT(query));
}

/* Path and query of s are those of target from now on. */
static int take(struct stream *s, struct slice target)
{
    ssize_t mark = slice_find(target, '?');
    struct slice raw = mark < 0 ? target : slice_of(target.p, (size_t)mark), path;
    int rc = router_settle_path(&s->arena, raw, &path);

    if (rc < 0)
        return rc;
    s->uri = path;
    s->req.path = raw; /* but s->req.target is what was asked for */
    s->req.has_query = mark >= 0;
    s->req.query = mark < 0 ? slice_of("", 0) : slice_from(target, (size_t)mark + 1);
    return 0;
}

/* > 0: the rule matched, and *ret_text is what it made. */
static int rule_run(const struct rewrite *r, const struct rule *rule, struct stream *s,
                    struct slice *ret_text)
{
    struct slice path = path_merge_slashes(&s->arena, s->uri), text;
    struct expand_groups groups;

    if (!path.p)
        return GW_ENO_MEMORY;
    int rc = match(r, rule, s, path, &groups);
    if (rc <= 0)
        return rc;
    rc = expand(s, rule->conf->to, &groups, EXPAND_URL, &text);
    if (rc < 0)
        return rc;
    *ret_text = with_query(s, rule, text);
    return ret_text->p ? 1 : GW_ENO_MEMORY;
}

int rewrite_run(const struct rewrite *r, struct stream *s, int *ret_status,
                struct slice *ret_location)
{
    int done = REWROTE_NOTHING;

    for (unsigned i = 0; i < r->n; i++) {
        const struct rule *rule = &r->rules[i];
        struct slice text;
        int rc = rule_run(r, rule, s, &text);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        if (rule->conf->redirect_status) {
            *ret_status = rule->conf->redirect_status;
            *ret_location = text;
            return REWROTE_REDIRECT;
        }
        rc = take(s, text);
        if (rc < 0)
            return rc;
        done = REWROTE_PATH;
        if (rule->conf->then != CONF_REWRITE_NEXT)
            return rule->conf->then == CONF_REWRITE_BREAK ? REWROTE_OVER : REWROTE_PATH;
    }
    return done;
}
