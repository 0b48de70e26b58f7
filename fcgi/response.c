#include "response.h"

#include <assert.h>

#include "../gateway/err.h"

/* RFC 9110 5.6.2: what a field name may hold. */
static bool is_tchar(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_tchar((unsigned char)s.p[i]))
            return false;
    }
    return s.n > 0;
}

/* RFC 9110 5.5: visible characters, spaces, tabs and obs-text.  A control character would make
 * the field a malformed one on HTTP/2 (RFC 9113 8.2.1) or split it on HTTP/1.1. */
static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* "NNN" or "NNN reason" (RFC 3875 6.3.3; applications leave the reason out).  Given twice, the
 * last one counts, as with Apache and lighttpd. */
static int set_status(struct response_parser *p, struct slice value)
{
    struct slice number = slice_of(value.p, value.n < 3 ? value.n : 3);
    int64_t status = slice_decimal(number, 599);

    if (number.n < 3 || status < 100 || (value.n > 3 && value.p[3] != ' '))
        return GW_ECGI_HEADER;
    p->head.status = (int)status;
    p->head.reason = slice_trim(slice_from(value, 3));
    p->has_status = true;
    return 0;
}

static int set_content_length(struct response_parser *p, struct slice value)
{
    int64_t n = slice_decimal(value, INT64_MAX);

    if (n < 0 || (p->head.content_length >= 0 && p->head.content_length != n))
        return GW_ECGI_HEADER;
    p->head.content_length = n;
    return 0;
}

/* The first Location counts.  The field itself is passed on too. */
static int set_location(struct response_parser *p, struct slice value)
{
    if (p->head.location.n == 0)
        p->head.location = value;
    return 0;
}

/* Fields that mean something here (RFC 3875 6.3). */
struct field_rule {
    struct slice name;
    int (*set)(struct response_parser *p, struct slice value); /* NULL: just passed on */
    bool consumed; /* does not appear among the fields */
    bool redirect; /* may stand beside a local redirect (6.2.2) */
};

static const struct field_rule field_rules[] = {
    {{"Status", 6}, set_status, true, false},                /* 6.3.3 */
    {{"Location", 8}, set_location, false, true},            /* 6.3.2 */
    {{"Content-Type", 12}, NULL, false, true},               /* 6.3.1; CGI.pm adds it always */
    {{"Content-Length", 14}, set_content_length, true, true} /* RFC 9110 8.6 */
};

static const struct field_rule *rule_for(struct slice name)
{
    for (size_t i = 0; i < sizeof(field_rules) / sizeof(field_rules[0]); i++) {
        if (slice_ieq(field_rules[i].name, name))
            return &field_rules[i];
    }
    return NULL;
}

/* RFC 3875 6.3.5: extension fields, the server's own business. */
static bool is_extension(struct slice name)
{
    return name.n >= 6 && slice_ieq(slice_of(name.p, 6), SLICE("X-CGI-"));
}

static int add_field(struct response_parser *p, struct slice name, struct slice value)
{
    struct response_head *h = &p->head;
    struct field *fields =
        arena_grow(p->arena, h->fields, h->n_fields, &h->cap_fields, sizeof(*fields));

    if (!fields)
        return GW_ENO_MEMORY;
    h->fields = fields;
    h->fields[h->n_fields++] = (struct field){name, value};
    return 0;
}

static int field_line(struct response_parser *p, struct slice line)
{
    ssize_t colon = slice_find(line, ':');

    if (colon < 0)
        return GW_ECGI_HEADER;
    struct slice name = slice_of(line.p, (size_t)colon);
    struct slice value = slice_trim(slice_from(line, (size_t)colon + 1));
    /* Python's cgitb begins its page so, to end whatever was begun; then come fields and a page. */
    if (slice_eq(name, SLICE("<!--")))
        return 0;
    /* A space before the colon and a continuation line fail here: RFC 3875 6.3 has neither. */
    if (!is_token(name) || !is_value(value))
        return GW_ECGI_HEADER;

    const struct field_rule *rule = rule_for(name);
    if (!(rule ? rule->redirect : is_extension(name)))
        p->plain_redirect = false;
    if (rule && rule->set) {
        int err = rule->set(p, value);
        if (err || rule->consumed)
            return err;
    }
    return add_field(p, name, value);
}

/* "HTTP/1.0 200 OK" */
static int status_line(struct response_parser *p, struct slice line)
{
    ssize_t space = slice_find(line, ' ');

    if (space < 0 || !is_value(line))
        return GW_ECGI_HEADER;
    p->head.nph = true;
    return set_status(p, slice_trim(slice_from(line, (size_t)space)));
}

/* The empty line came. */
static int end_head(struct response_parser *p)
{
    struct response_head *h = &p->head;

    if (p->n_lines == 1)
        return GW_ECGI_HEADER; /* RFC 3875 6.2: at least one field */
    p->done = true;
    if (p->has_status)
        return 0;
    h->status = h->location.n ? 302 : 200;
    if (h->location.n == 0)
        return 0;
    /* "//host/path" is an absolute path to RFC 3875 but a network-path reference to RFC 3986
     * 4.2: it leaves this server, so the client follows it. */
    bool local = h->location.p[0] == '/' && !slice_starts(h->location, SLICE("//"));
    h->kind = local && p->plain_redirect ? RESPONSE_LOCAL_REDIRECT : RESPONSE_CLIENT_REDIRECT;
    return 0;
}

/* One line without its LF, borrowed. */
static int take_line(struct response_parser *p, struct slice line)
{
    if (line.p && line.n && line.p[line.n - 1] == '\r')
        line.n--;
    p->n_lines++;
    if (line.n == 0)
        return end_head(p);
    /* One copy for name and value; both are cut out of it. */
    struct slice kept = arena_dup(p->arena, line);
    if (!kept.p)
        return GW_ENO_MEMORY;
    if (p->n_lines == 1 && slice_starts(kept, SLICE("HTTP/")))
        return status_line(p, kept);
    return field_line(p, kept);
}

void response_parser_init(struct response_parser *p, struct arena *arena, size_t max)
{
    *p = (struct response_parser){
        .arena = arena,
        .max = max,
        .head = {.content_length = -1},
        .plain_redirect = true,
    };
}

void response_parser_fini(struct response_parser *p)
{
    buf_fini(&p->line);
}

/* A run that ends in LF: complete the line begun before, if any, and take it. */
static int feed_line(struct response_parser *p, struct slice run)
{
    struct slice line = slice_of(run.p, run.n - 1);

    if (buf_len(&p->line) == 0)
        return take_line(p, line);
    int err = buf_puts(&p->line, line);
    if (!err)
        err = take_line(p, buf_slice(&p->line));
    buf_clear(&p->line);
    return err;
}

ssize_t response_parser_feed(struct response_parser *p, const uint8_t *in, size_t len)
{
    size_t at = 0;

    assert(!p->done);
    while (at < len) {
        const uint8_t *lf = memchr(in + at, '\n', len - at);
        struct slice run = slice_of(in + at, lf ? (size_t)(lf + 1 - (in + at)) : len - at);

        if (run.n > p->max - p->n_read)
            return GW_ECGI_HEAD_LARGE;
        p->n_read += run.n;
        at += run.n;
        int err = lf ? feed_line(p, run) : buf_puts(&p->line, run);
        if (err)
            return err;
        if (p->done)
            return (ssize_t)at;
    }
    return 0;
}
