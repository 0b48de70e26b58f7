#include "http1_request.h"

_Static_assert((int)H1_METHOD_MAX == (int)REQUEST_METHOD_MAX &&
                   (int)H1_TARGET_MAX == (int)REQUEST_TARGET_MAX,
               "the same over HTTP/2");

int http1_request_line(struct stream *s, const struct h1_head *head, const uint8_t *bytes,
                       struct slice *ret_bytes)
{
    struct slice copy = arena_dup(&s->arena, slice_of(bytes, head->at));

    if (!copy.p)
        return GW_ENO_MEMORY;
    s->req.method = h1_slice(copy.p, head->method);
    s->req.scheme = s->conn->is_https ? SLICE("https") : SLICE("http");
    s->req.version = head->version == 10 ? HTTP_1_0 : HTTP_1_1;
    s->req.authority = slice_of("", 0);
    stream_set_target(s, h1_slice(copy.p, head->target));
    *ret_bytes = copy;
    return 0;
}

/* REQUEST_URI and all that is made from it: the path, never the absolute form. */
static int fill_target(struct stream *s, const struct h1_head *head, struct slice bytes)
{
    struct slice target = h1_slice(bytes.p, head->origin);

    switch ((enum h1_form)head->form) {
    case H1_ORIGIN:
    case H1_ABSOLUTE:
        break;
    case H1_ABSOLUTE_TOP:
        target = arena_printf(&s->arena, "/%.*s", SLICE_FMT(target));
        break;
    case H1_ASTERISK:
        target = SLICE("*");
        break;
    case H1_AUTHORITY:
        target = h1_slice(bytes.p, head->target);
        break;
    }
    if (!target.p)
        return GW_ENO_MEMORY;
    stream_set_target(s, target);
    return 0;
}

static int fill_fields(struct stream *s, const struct h1_head *head, struct slice bytes)
{
    struct request *req = &s->req;

    req->authority = h1_slice(bytes.p, head->authority);
    req->fields = arena_alloc(&s->arena, (head->n_fields + 1) * sizeof(*req->fields));
    if (!req->fields)
        return GW_ENO_MEMORY;
    req->n_fields = req->cap_fields = head->n_fields;
    h1_head_fields(head, bytes.p, req->fields);
    for (size_t i = 0; i < req->n_fields; i++) {
        /* RFC 9112 3.2.2: what Host says is replaced by what an absolute target says. */
        if (slice_ieq(req->fields[i].name, SLICE("Host")))
            req->fields[i].value = req->authority;
    }
    return 0;
}

int http1_request_fill(struct stream *s, const struct h1_head *head, struct slice bytes)
{
    struct request *req = &s->req;
    bool empty = !head->chunked && head->content_length <= 0;

    if (fill_target(s, head, bytes) < 0 || fill_fields(s, head, bytes) < 0)
        return GW_ENO_MEMORY;
    req->content_length = head->content_length;
    req->has_body = head->chunked || head->content_length >= 0;
    req->expect_continue = head->expect_continue && !empty;
    s->in_eof = empty;
    return 0;
}

int http1_request_refusal(const struct stream *s, const struct h1_head *head)
{
    /* RFC 9110 9.3.6, 9.3.8: we are no proxy, and echo nobody's credentials. */
    if (head->form == H1_AUTHORITY || slice_eq(s->req.method, SLICE("TRACE")))
        return GW_EREQ_METHOD;
    return head->expect_unknown ? GW_EREQ_EXPECT : 0;
}
