#include "hints.h"

#include "answer_cache.h"
#include "cache_control.h"

static const struct field *field_of(const struct stream *s, struct slice name)
{
    return fields_find(s->req.fields, s->req.n_fields, name);
}

static struct slice key_of(struct stream *s)
{
    return arena_printf(&s->arena, "%p %.*s://%.*s%.*s", (const void *)s->site,
                        SLICE_FMT(s->req.scheme), SLICE_FMT(s->req.authority),
                        SLICE_FMT(s->req.path));
}

static bool is_get(const struct stream *s)
{
    return slice_eq(s->req.method, SLICE("GET"));
}

/* ---- sending ---- */

static bool wants_hints(const struct stream *s)
{
    const struct field *mode = field_of(s, SLICE("Sec-Fetch-Mode"));

    return s->req.version == HTTP_2 && is_get(s) && !field_of(s, SLICE("Range")) &&
           (!mode || slice_eq(mode->value, SLICE("navigate")));
}

static bool has_link(const struct field *fields, size_t n, struct slice link)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_eq(fields[i].value, link))
            return true;
    }
    return false;
}

/* Those of the route, and what was learned besides. */
static void send_links(struct stream *s, const struct kept_answer *k)
{
    size_t n = 0, n_known = k ? k->n_fields : 0;
    const struct conf_route *route = s->route;
    struct field *fields =
        arena_alloc(&s->arena, (route->n_early_hint + n_known + 1) * sizeof(*fields));

    for (size_t i = 0; fields && i < route->n_early_hint; i++)
        fields[n++] = (struct field){SLICE("Link"), route->early_hint[i]};
    for (size_t i = 0; fields && i < n_known; i++) {
        if (!has_link(fields, n, k->fields[i].value))
            fields[n++] = k->fields[i];
    }
    if (n)
        stream_send_interim(s, 103, fields, n);
}

void hints_send(struct stream *s, struct answer_cache *known)
{
    const struct kept_answer *k = NULL;

    if (s->hinted || !wants_hints(s))
        return;
    s->hinted = true; /* not again for another try, or where a local redirect leads */
    struct slice key = known ? key_of(s) : slice_of(NULL, 0);
    if (key.p)
        k = answer_cache_get(known, key, NULL, loop_now_ms(s->loop));
    send_links(s, k);
    answer_cache_drop(known, k);
}

/* ---- learning ---- */

static bool teaches(const struct stream *s, const struct response *r)
{
    struct cache_control c;

    if (!is_get(s) || r->status != 200 || s->remote_user.n ||
        field_of(s, SLICE("Authorization")))
        return false;
    c = cache_control_of(r->fields, r->n_fields);
    return !c.is_private && !c.no_store;
}

static size_t links_of(const struct response *r, struct field links[HINTS_LINKS])
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_fields; i++) {
        struct slice list = r->fields[i].value, link;
        if (!slice_ieq(r->fields[i].name, SLICE("Link")))
            continue;
        while (n < HINTS_LINKS && hints_link_next(&list, &link)) {
            if (link.n <= HINTS_LINK_MAX && hints_link_is_early(link))
                links[n++] = (struct field){SLICE("Link"), link};
        }
    }
    return n;
}

static bool is_known(const struct kept_answer *k, const struct field *links, size_t n)
{
    if (!k || k->n_fields != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!slice_eq(k->fields[i].value, links[i].value))
            return false;
    }
    return true;
}

void hints_learn(struct stream *s, struct answer_cache *known, const struct response *r)
{
    struct field links[HINTS_LINKS];
    uint64_t now_ms = loop_now_ms(s->loop);

    if (!teaches(s, r))
        return;
    struct slice key = key_of(s);
    if (!key.p)
        return;
    size_t n = s->self_hinted ? 0 : links_of(r, links);
    if (n == 0) {
        answer_cache_forget(known, key);
        return;
    }
    const struct kept_answer *k = answer_cache_get(known, key, NULL, now_ms);
    if (!is_known(k, links, n)) {
        struct kept_answer *new = answer_cache_make(known, key, NULL, links, n, 0, now_ms, 0);
        if (new)
            answer_cache_put(known, new);
    }
    answer_cache_drop(known, k);
}
