/*
 * gateway/stream_error.c - a stream that fails: its line in the log, its page, its end.
 */
#include "stream_error.h"

#include "conn.h"
#include "counters.h"
#include "error_page.h"
#include "error_redirect.h"
#include "request_id.h"
#include "stream_out.h"

enum { LOG_TARGET_MAX = 512 };

struct slice stream_request_id(struct stream *s)
{
    if (!s->request_id.n) {
        char id[REQUEST_ID_LEN];
        request_id_make(id);
        s->request_id = arena_dup(&s->arena, slice_of(id, sizeof(id)));
        if (!s->request_id.p)
            s->request_id.n = 0;
    }
    return s->request_id;
}

void stream_log_error(struct stream *s, int err)
{
    struct slice id = stream_request_id(s);
    struct slice target = s->req.target;
    int status = gw_err_status(err);
    bool ours = status >= 500 && err != GW_EREQ_CODING && err != GW_EREQ_PROTOCOL &&
                err != GW_EREQ_VERSION && err != GW_EREQ_METHOD_LONG;
    int level = ours ? CONF_LOG_ERROR : CONF_LOG_INFO;

    /* The access log has all of it; here what follows must have its place in the line. */
    if (target.n > LOG_TARGET_MAX)
        target.n = LOG_TARGET_MAX;
    conn_log_stream(s, level, err, "id=%.*s site=%s pool=%s request=\"%.*s %.*s\"%s%.*s",
                    SLICE_FMT(id), s->site ? s->site->name : "-",
                    s->pool_name ? s->pool_name : "-", SLICE_FMT(s->req.method),
                    SLICE_FMT(target), s->err_why.n ? " " : "", SLICE_FMT(s->err_why));
}

/* The limits of one request: each is counted, and the log has its figure. */
static void note_limit(struct stream *s, int err)
{
    struct slice why = slice_of(NULL, 0);

    if (err == GW_EREQ_URI_LONG) {
        counter_add(COUNTER_TARGET_LONG);
        why = arena_printf(&s->arena, "limit=%d", REQUEST_TARGET_MAX);
    } else if (err == GW_EREQ_HEAD_LARGE) {
        counter_add(COUNTER_HEAD_LARGE);
    } else if (err == GW_EBODY_LARGE) {
        counter_add(COUNTER_BODY_LIMIT);
        why = arena_printf(&s->arena, "body_limit=%llu", (unsigned long long)s->body_limit);
    }
    if (why.p && !s->err_why.n)
        s->err_why = why;
}

void stream_head_large(struct stream *s, const char *limit, uint64_t figure)
{
    struct slice why = arena_printf(&s->arena, "%s=%llu", limit, (unsigned long long)figure);

    if (why.p)
        s->err_why = why;
}

/* The page for status, with fields before its own. */
static void answer_page(struct stream *s, int status, const struct field *fields,
                        size_t n_fields)
{
    enum error_form form = error_page_form(s->req.fields, s->req.n_fields);
    struct slice id = stream_request_id(s);
    struct error_page page = error_page(&s->arena, status, form, id);
    struct field *all = arena_alloc(&s->arena, (n_fields + 3) * sizeof(*all));
    size_t n = 0;

    if (!all) {
        stream_abort(s, GW_ENO_MEMORY);
        return;
    }
    while (n < n_fields) {
        all[n] = fields[n];
        n++;
    }
    all[n++] = (struct field){SLICE("Content-Type"), page.type};
    all[n++] = (struct field){SLICE("Vary"), SLICE("Accept")};
    if (id.n)
        all[n++] = (struct field){SLICE("X-Request-Id"), id};
    struct response r = {
        .status = status, .fields = all, .n_fields = n, .content_length = (int64_t)page.body.n};
    stream_answer(s, &r, page.body);
}

void stream_error_fields(struct stream *s, int err, const struct field *fields, size_t n_fields)
{
    int status = gw_err_status(err);

    s->handler = NULL;
    s->override = NULL; /* it was for what is not there */
    if (s->over || s->finished)
        return;
    if (!s->err)
        s->err = err;
    note_limit(s, err);
    stream_log_error(s, err);
    if (s->answered)
        stream_take_back(s);
    if (s->answered || status == 0) {
        stream_abort(s, err);
        return;
    }
    if (error_redirect(s, status, fields, n_fields))
        return;
    if (s->error) { /* its page failed too */
        status = s->error->of;
        fields = s->error->fields;
        n_fields = s->error->n_fields;
        s->error = NULL;
    }
    answer_page(s, status, fields, n_fields);
}

void stream_error(struct stream *s, int err)
{
    stream_error_fields(s, err, NULL, 0);
}

void stream_answer_allow(struct stream *s, struct slice allow)
{
    const struct field field = {SLICE("Allow"), allow};
    const struct response r = {
        .status = 204, .fields = &field, .n_fields = 1, .content_length = -1};

    if (slice_eq(s->req.method, SLICE("OPTIONS")))
        stream_answer(s, &r, slice_of("", 0));
    else
        stream_error_fields(s, GW_EREQ_METHOD, &field, 1);
}

void stream_give_up(struct stream *s, int err)
{
    const struct handler *h = s->handler;

    s->handler = NULL;
    if (h && h->closed)
        h->closed(s, err);
    if (!s->finished) {
        stream_error(s, err);
        return;
    }
    stream_log_error(s, err);
    stream_abort(s, err); /* what was handed in will never be taken */
}
