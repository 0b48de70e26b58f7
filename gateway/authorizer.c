#include "authorizer.h"

#include <fastcgi.h>
#include <unistd.h>

#include "authorizer_vars.h"
#include "conn.h"
#include "forward.h"

struct authorizer {
    authorizer_done_fn *done;
    void *arg;
    size_t n_before; /* variables that another authorizer set before this one was asked */
    struct open_file *open; /* m's meanwhile; NULL: none */
    bool allowed;
};

/* ---- variables ---- */

/* What an authorizer before this one said under that name, in whatever spelling, is replaced. */
static void forget_earlier(struct authorizer *a, struct route_match *m, struct slice name)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_vars; i++) {
        if (i >= a->n_before || !authorizer_var_same(m->vars[i].name, name))
            m->vars[kept++] = m->vars[i];
    }
    a->n_before -= m->n_vars - kept;
    m->n_vars = kept;
}

/* name=value; what came twice is joined as fields are (RFC 9110 5.3). */
static int add_var(struct stream *s, struct route_match *m, size_t n_before, struct slice name,
                   struct slice value)
{
    for (size_t i = n_before; i < m->n_vars; i++) {
        if (!slice_eq(m->vars[i].name, name))
            continue;
        value = arena_printf(&s->arena, "%.*s, %.*s", SLICE_FMT(m->vars[i].value),
                             SLICE_FMT(value));
        m->vars[i].value = value;
        return value.p ? 0 : GW_ENO_MEMORY;
    }
    struct field *vars = arena_grow(&s->arena, m->vars, m->n_vars, &m->cap_vars, sizeof(*vars));
    if (!vars)
        return GW_ENO_MEMORY;
    m->vars = vars;
    vars[m->n_vars++] = (struct field){name, value};
    return 0;
}

/* Some variables are the stream's, for the log and what comes after. */
static int set_var(struct stream *s, struct route_match *m, struct authorizer *a,
                   struct slice name, struct slice spelled, struct slice value)
{
    int rc = 0;

    if (!value.p)
        value = slice_of("", 0);
    forget_earlier(a, m, name);
    if (slice_eq(name, SLICE("REMOTE_USER")))
        s->remote_user = value;
    else if (slice_eq(name, SLICE("AUTH_TYPE")))
        s->auth_type = value;
    else
        rc = add_var(s, m, a->n_before, name, value);
    if (rc == 0 && !slice_eq(name, spelled))
        rc = add_var(s, m, a->n_before, spelled, value);
    return rc;
}

static int take_vars(struct forward *f)
{
    const struct response_head *h = &f->parser.head;
    struct authorizer *a = f->role_state;
    struct stream *s = f->s;
    struct slice name, spelled;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < h->n_fields; i++) {
        switch (authorizer_var_name(&s->arena, h->fields[i].name, &name, &spelled)) {
        case AUTHORIZER_VAR:
            rc = set_var(s, f->m, a, name, spelled, h->fields[i].value);
            break;
        case AUTHORIZER_VAR_REFUSED:
            conn_log_stream(
                s, CONF_LOG_WARN, GW_OK,
                "authorizer pool=%s must not set a variable with \"%.*s\": left out",
                s->pool_name, SLICE_FMT(h->fields[i].name));
            break;
        case AUTHORIZER_VAR_NONE:
            break;
        case AUTHORIZER_VAR_NO_MEMORY:
            rc = GW_ENO_MEMORY;
            break;
        }
    }
    return rc;
}

/* ---- the answer ---- */

static void drop_vars(struct arena *a, struct response *r, struct response_head *h)
{
    struct slice name, spelled;
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++) {
        if (authorizer_var_name(a, h->fields[i].name, &name, &spelled) == AUTHORIZER_VAR_NONE)
            h->fields[n++] = h->fields[i];
    }
    r->n_fields = h->n_fields = n;
}

static bool authorizer_head(struct forward *f, struct response *r)
{
    struct response_head *h = &f->parser.head;
    struct authorizer *a = f->role_state;
    struct stream *s = f->s;

    if (h->status == 200) {
        a->allowed = true; /* once it has ended well, too */
        return true;
    }
    conn_log_stream(s, CONF_LOG_INFO, GW_OK,
                    "site=%s authorizer pool=%s refused \"%.*s %.*s\": %d", s->site->name,
                    s->pool_name, SLICE_FMT(s->req.method), SLICE_FMT(s->req.target),
                    h->status);
    drop_vars(&s->arena, r, h);
    h->kind = RESPONSE_DOCUMENT;
    return false;
}

/* What it allowed it has to have meant: one that failed behind its 200 allowed nothing. */
static bool authorizer_end(struct forward *f, uint32_t app_status)
{
    struct authorizer *a = f->role_state;
    struct stream *s = f->s;

    if (!a->allowed)
        return false;
    int rc = app_status ? GW_EAUTHORIZER : take_vars(f);
    if (rc < 0) {
        a->allowed = false;
        forward_fail(f, rc);
        return true;
    }
    f->m->open = a->open;
    a->open = NULL;
    forward_release(f);
    s->handler = NULL;
    s->handler_state = NULL;
    s->pool_name = NULL;
    a->done(s, a->arg);
    return true;
}

static void authorizer_release(struct forward *f)
{
    struct authorizer *a = f->role_state;

    open_file_unref(a->open);
    a->open = NULL;
}

static const struct forward_role authorizer_role = {
    .role = FCGI_AUTHORIZER,
    .bodiless = true,
    .head = authorizer_head,
    .end = authorizer_end,
    .release = authorizer_release,
};

void authorizer_start(struct stream *s, struct pool *pool, struct route_match *m,
                      authorizer_done_fn *done, void *arg)
{
    struct authorizer *a = arena_zalloc(&s->arena, sizeof(*a));

    if (!a) {
        open_file_unref(m->open);
        m->open = NULL;
        stream_error(s, GW_ENO_MEMORY);
        return;
    }
    *a = (struct authorizer){done, arg, m->n_vars, m->open, false};
    m->open = NULL;
    forward_start_role(s, pool, m, &authorizer_role, a);
}
