#include "error_redirect.h"

#include "request.h"
#include "router.h"
#include "worker.h"

/* The page of the status itself, else that of its class. */
static const struct conf_error_page *find(const struct stream *s, int status)
{
    const struct conf_error_page *found = NULL, *pages;
    unsigned n, of = (unsigned)status;

    if (!s->site || s->error)
        return NULL;
    pages = s->route ? s->route->error_pages : s->site->error_pages;
    n = s->route ? s->route->n_error_pages : s->site->n_error_pages;
    for (unsigned i = 0; i < n; i++) {
        if (of < pages[i].first || of > pages[i].last)
            continue;
        if (!found || pages[i].first == pages[i].last)
            found = &pages[i];
    }
    return found && found->target.n ? found : NULL;
}

bool error_redirect_has(const struct stream *s, int status)
{
    return find(s, status) != NULL;
}

/* Elsewhere: the client is sent there, and this is all it hears of the error. */
static void send_there(struct stream *s, const struct conf_error_page *page)
{
    const struct field location = {SLICE("Location"), page->target};
    const struct response r = {
        .status = 302, .fields = &location, .n_fields = 1, .content_length = 0};

    stream_discard_body(s);
    stream_answer(s, &r, slice_of("", 0));
}

bool error_redirect(struct stream *s, int status, const struct field *fields, size_t n_fields)
{
    const struct conf_error_page *page = find(s, status);
    struct error_answer *e = page ? arena_zalloc(&s->arena, sizeof(*e)) : NULL;
    struct field *kept = e ? arena_alloc(&s->arena, (n_fields + 1) * sizeof(*kept)) : NULL;

    if (!kept)
        return false;
    if (n_fields)
        memcpy(kept, fields, n_fields * sizeof(*kept));
    if (page->target.p[0] != '/') {
        send_there(s, page);
        return true;
    }
    *e = (struct error_answer){
        .of = status,
        .status = page->status < 0 ? 0
                  : page->status   ? page->status
                                   : status,
        .fields = kept,
        .n_fields = n_fields,
        .method = s->req.method,
        .path = s->req.path,
        .query = s->req.query,
        .user = s->remote_user,
    };
    s->error = e;
    s->handler = NULL;
    s->handler_state = NULL;
    request_drop_conditions(&s->req);
    stream_as_get(s);
    stream_set_target(s, page->target);
    s->is_internal = true;
    router_handle(worker_of(s)->router, s);
    return true;
}

bool error_redirect_keeps(struct slice name)
{
    static const struct slice names[] = {
        {"WWW-Authenticate", 16}, {"Allow", 5},       {"Retry-After", 11},
        {"Content-Range", 13},    {"Set-Cookie", 10},
    };

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

/* What is true of the page as a resource of its own only. */
static bool is_of_page(struct slice name)
{
    static const struct slice names[] = {
        {"ETag", 4}, {"Last-Modified", 13}, {"Accept-Ranges", 13}, {"Content-Range", 13}};

    return slice_ieq_any(name, names, sizeof(names) / sizeof(names[0]));
}

/* Does the answer of this status have the page's field of that name? */
static bool page_keeps(const struct error_answer *e, int status, struct slice name)
{
    if (slice_ieq(name, SLICE("Set-Cookie")))
        return true;
    if (status != 200 && is_of_page(name))
        return false;
    return status != e->of || !fields_find(e->fields, e->n_fields, name);
}

int error_answer_apply(struct arena *a, const struct error_answer *e, struct slice id,
                       struct response *r)
{
    struct field *fields;
    size_t n = 0;

    if (r->status >= 300)
        return 0; /* it has something to say of its own */
    if (e->status) {
        r->status = e->status;
        r->reason = slice_of("", 0);
    }
    fields = arena_alloc(a, (r->n_fields + e->n_fields + 1) * sizeof(*fields));
    if (!fields)
        return GW_ENO_MEMORY;
    for (size_t i = 0; i < r->n_fields; i++) {
        if (page_keeps(e, r->status, r->fields[i].name))
            fields[n++] = r->fields[i];
    }
    for (size_t i = 0; r->status == e->of && i < e->n_fields; i++)
        fields[n++] = e->fields[i];
    if (id.n && !fields_find(fields, n, SLICE("X-Request-Id")))
        fields[n++] = (struct field){SLICE("X-Request-Id"), id};
    r->fields = fields;
    r->n_fields = n;
    return 0;
}
