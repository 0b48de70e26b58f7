#include "h1parse.h"

#include "authority.h"
#include "err.h"

/*
 * A head is read once from left to right.  Each step below reads one kind of token and goes on
 * to the next: > 0 it did, 0 it needs more input, < 0 enum gw_err.  A step changes nothing but
 * h->at while its token is incomplete, and decides by the bytes up to h->at alone, which is why
 * splits do not matter.
 */
enum step {
    STEP_EMPTY_LINE,
    STEP_START,
    STEP_METHOD,
    STEP_TARGET,
    STEP_VERSION,
    STEP_LINE,
    STEP_NAME,
    STEP_SPACE,
    STEP_VALUE,
    STEP_END,
    STEP_DONE,
};

typedef int step_fn(struct h1_head *h, const uint8_t *in, uint32_t len);

/* ---- bytes ---- */

enum {
    T = 1, /* tchar, RFC 9110 5.6.2 */
    V = 2, /* field-vchar, SP and HTAB, RFC 9110 5.5 */
    U = 4, /* may stand in a target */
};

/*
 * U is what HTTP/2 lets through in :path, so that one URL means the same over both: also the
 * visible bytes that RFC 3986 wants escaped and browsers do not escape, and those over 0x7f,
 * but not '#', which never belongs to a target (RFC 9112 3.2).
 */
static const uint8_t kinds[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | V | U,
    ['"'] = V | U,
    ['#'] = T | V,
    ['$' ... '\''] = T | V | U,
    ['(' ... ')'] = V | U,
    ['*' ... '+'] = T | V | U,
    [','] = V | U,
    ['-' ... '.'] = T | V | U,
    ['/'] = V | U,
    ['0' ... '9'] = T | V | U,
    [':' ... '@'] = V | U,
    ['A' ... 'Z'] = T | V | U,
    ['[' ... ']'] = V | U,
    ['^' ... 'z'] = T | V | U,
    ['{'] = V | U,
    ['|'] = T | V | U,
    ['}'] = V | U,
    ['~'] = T | V | U,
    [0x80 ... 0xff] = V | U, /* obs-text */
};

static inline bool is(uint8_t c, unsigned kind)
{
    return (kinds[c] & kind) != 0;
}

/* The first byte from at on that is not of kind, or len. */
static inline uint32_t scan(const uint8_t *in, uint32_t at, uint32_t len, unsigned kind)
{
    while (at < len && is(in[at], kind))
        at++;
    return at;
}

/* The same for V, eight bytes at a time: values are most of a head.  A word with a byte below
 * SP or a DEL is left to the table, which also knows HTAB. */
static uint32_t scan_value(const uint8_t *in, uint32_t at, uint32_t len)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;

    while (len - at >= 8) {
        uint64_t w, del;
        memcpy(&w, in + at, 8);
        del = w ^ ones * 0x7f;
        if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & tops)
            break;
        at += 8;
    }
    return scan(in, at, len, V);
}

bool h1_value_ok(struct slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (!is((uint8_t)value.p[i], V))
            return false;
    }
    return true;
}

static struct slice span_of(const uint8_t *in, struct h1_span s)
{
    return h1_slice((const char *)in, s);
}

static bool all_of(struct slice s, unsigned kind)
{
    return scan((const uint8_t *)s.p, 0, (uint32_t)s.n, kind) == s.n;
}

/* ---- the request line, RFC 9112 3 ---- */

/* RFC 9112 2.2: an empty line before a request is skipped; old clients sent one behind a body.
 * One is what it asks for, and more would be a way to keep a connection busy. */
static int step_empty_line(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    if (h->at == len)
        return 0;
    if (in[h->at] == '\r') {
        if (len - h->at < 2)
            return 0;
        if (in[h->at + 1] != '\n') {
            h->begun = true;
            return GW_EREQ_SYNTAX;
        }
        h->at += 2;
    }
    h->step = STEP_START;
    return 1;
}

static int step_start(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    (void)in;
    if (h->at == len)
        return 0;
    h->begun = true;
    h->mark = h->at;
    h->step = STEP_METHOD;
    return 1;
}

/* Any token: what a method means is for others to say (RFC 9110 9.1). */
static int step_method(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    h->at = scan(in, h->at, len, T);
    if (h->at - h->mark > H1_METHOD_MAX)
        return GW_EREQ_METHOD_LONG; /* RFC 9112 3 */
    if (h->at == len)
        return 0;
    if (in[h->at] != ' ' || h->at == h->mark)
        return GW_EREQ_SYNTAX;
    h->method = (struct h1_span){h->mark, h->at - h->mark};
    h->mark = ++h->at;
    h->step = STEP_TARGET;
    return 1;
}

static int step_target(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    h->at = scan(in, h->at, len, U);
    if (h->at - h->mark > H1_TARGET_MAX)
        return GW_EREQ_URI_LONG;
    if (h->at == len)
        return 0;
    if (in[h->at] != ' ' || h->at == h->mark)
        return GW_EREQ_SYNTAX;
    h->target = (struct h1_span){h->mark, h->at - h->mark};
    h->mark = ++h->at;
    h->step = STEP_VERSION;
    return 1;
}

static int target_absolute(struct h1_head *h, struct slice t, bool options)
{
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
    size_t skip = 0, n = 0;

    for (size_t i = 0; i < 2; i++) {
        if (t.n >= schemes[i].n && slice_ieq(slice_of(t.p, schemes[i].n), schemes[i]))
            skip = schemes[i].n;
    }
    if (skip == 0)
        return GW_EREQ_SYNTAX;
    struct slice rest = slice_from(t, skip);
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    /* No userinfo either: '@' is not in a host (RFC 9110 4.2.4). */
    if (!authority_valid(slice_of(rest.p, n)))
        return GW_EREQ_HOST;
    h->authority = (struct h1_span){h->target.at + (uint32_t)skip, (uint32_t)n};
    h->origin.at = h->authority.at + (uint32_t)n;
    h->origin.n = (uint32_t)(rest.n - n);
    if (rest.n > n && rest.p[n] == '/')
        h->form = H1_ABSOLUTE;
    else
        h->form = options && rest.n == n ? H1_ASTERISK : H1_ABSOLUTE_TOP;
    return 0;
}

/* RFC 9112 3.2: which form it is, and whether this method may have it. */
static int target_check(struct h1_head *h, const uint8_t *in)
{
    struct slice method = span_of(in, h->method), t = span_of(in, h->target);
    bool options = slice_eq(method, SLICE("OPTIONS"));

    if (slice_eq(method, SLICE("CONNECT"))) {
        h->form = H1_AUTHORITY;
        h->authority = h->target;
        return authority_has_port(t) ? 0 : GW_EREQ_SYNTAX;
    }
    if (t.p[0] == '/') {
        h->form = H1_ORIGIN;
        h->origin = h->target;
        return 0;
    }
    if (slice_eq(t, SLICE("*"))) {
        h->form = H1_ASTERISK;
        return options ? 0 : GW_EREQ_SYNTAX;
    }
    return target_absolute(h, t, options);
}

static int step_version(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    static const char shape[] = "HTTP/0.0\r\n"; /* 0: any digit */

    while (h->at < len && h->at - h->mark < sizeof(shape) - 1) {
        uint8_t want = (uint8_t)shape[h->at - h->mark], c = in[h->at];
        if (want == '0' ? c < '0' || c > '9' : c != want)
            return GW_EREQ_SYNTAX;
        h->at++;
    }
    if (h->at - h->mark < sizeof(shape) - 1)
        return 0;
    if (in[h->mark + 5] != '1')
        return GW_EREQ_VERSION; /* RFC 9110 15.6.6 */
    h->version = in[h->mark + 7] == '0' ? 10 : 11;
    h->fields_at = h->at;
    h->step = STEP_LINE;
    int rc = target_check(h, in);
    return rc < 0 ? rc : 1;
}

/* ---- fields that mean something here ---- */

/* RFC 9112 3.2: exactly one; a second is an error even if it says the same. */
static int field_host(struct h1_head *h, struct slice value, struct h1_span span)
{
    if (h->has_host || !authority_valid(value))
        return GW_EREQ_HOST;
    h->has_host = true;
    h->host = span;
    return 0;
}

/* RFC 9110 8.6 allows to merge equal ones, RFC 9112 6.3 to refuse them: refused. */
static int field_content_length(struct h1_head *h, struct slice value, struct h1_span span)
{
    (void)span;
    if (h->content_length >= 0)
        return GW_EREQ_FRAMING;
    h->content_length = slice_decimal(value, INT64_MAX);
    return h->content_length < 0 ? GW_EREQ_FRAMING : 0;
}

/* One element of Transfer-Encoding.  An empty one, legal in a list, has no use but disguise. */
static int transfer_coding(struct h1_head *h, struct slice coding)
{
    ssize_t semi = slice_find(coding, ';');
    struct slice name = semi < 0 ? coding : slice_trim(slice_of(coding.p, (size_t)semi));

    if (h->chunked || name.n == 0 || !all_of(name, T))
        return GW_EREQ_FRAMING; /* chunked is last, and once: RFC 9112 6.1, 7.1 */
    if (slice_ieq(coding, SLICE("chunked")))
        h->chunked = true;
    else
        h->other_coding = true;
    return 0;
}

static int field_transfer_encoding(struct h1_head *h, struct slice value, struct h1_span span)
{
    (void)span;
    h->has_coding = true;
    for (;;) {
        ssize_t comma = slice_find(value, ',');
        size_t n = comma < 0 ? value.n : (size_t)comma;
        int rc = transfer_coding(h, slice_trim(slice_of(value.p, n)));
        if (rc < 0 || comma < 0)
            return rc;
        value = slice_from(value, n + 1);
    }
}

/* RFC 9112 9.3, 9.6 */
static int field_connection(struct h1_head *h, struct slice value, struct h1_span span)
{
    struct slice option;

    (void)span;
    while (slice_list_next(&value, &option)) {
        h->option_close |= slice_ieq(option, SLICE("close"));
        h->option_keep |= slice_ieq(option, SLICE("keep-alive"));
    }
    return 0;
}

/* RFC 9110 10.1.1: a list, and not for HTTP/1.0, which does not know it. */
static int field_expect(struct h1_head *h, struct slice value, struct h1_span span)
{
    struct slice expectation;

    (void)span;
    if (h->version < 11)
        return 0;
    while (slice_list_next(&value, &expectation)) {
        if (slice_ieq(expectation, SLICE("100-continue")))
            h->expect_continue = true;
        else
            h->expect_unknown = true;
    }
    return 0;
}

struct known_field {
    struct slice name;
    int (*fn)(struct h1_head *h, struct slice value, struct h1_span span);
};

static const struct known_field known_fields[] = {
    {{"Host", 4}, field_host},
    {{"Expect", 6}, field_expect},
    {{"Connection", 10}, field_connection},
    {{"Content-Length", 14}, field_content_length},
    {{"Transfer-Encoding", 17}, field_transfer_encoding},
};

/* ---- field lines, RFC 9112 5 ---- */

static int step_line(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    if (h->at == len)
        return 0;
    if (in[h->at] == '\r') {
        h->at++;
        h->step = STEP_END;
        return 1;
    }
    /* White space here would fold the line before (5.2), or hide the first one (2.2). */
    if (!is(in[h->at], T))
        return GW_EREQ_SYNTAX;
    if (h->n_fields == h->max_fields)
        return GW_EREQ_HEAD_LARGE;
    h->mark = h->at;
    h->step = STEP_NAME;
    return 1;
}

static int step_name(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    h->at = scan(in, h->at, len, T);
    if (h->at == len)
        return 0;
    if (in[h->at] != ':') /* 5.1: no white space before the colon */
        return GW_EREQ_SYNTAX;
    h->name = (struct h1_span){h->mark, h->at - h->mark};
    h->at++;
    h->step = STEP_SPACE;
    return 1;
}

static int step_space(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    while (h->at < len && (in[h->at] == ' ' || in[h->at] == '\t'))
        h->at++;
    if (h->at == len)
        return 0;
    h->mark = h->at;
    h->step = STEP_VALUE;
    return 1;
}

static int step_value(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    h->at = scan_value(in, h->at, len);
    if (h->at < len && in[h->at] != '\r')
        return GW_EREQ_SYNTAX;
    if (len - h->at < 2)
        return 0;
    if (in[h->at + 1] != '\n')
        return GW_EREQ_SYNTAX;
    struct slice name = span_of(in, h->name);
    struct slice value = slice_trim(slice_of(in + h->mark, h->at - h->mark));
    struct h1_span span = {h->mark, (uint32_t)value.n};
    h->n_fields++;
    h->at += 2;
    h->step = STEP_LINE;
    for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
        const struct known_field *known = &known_fields[i];
        if (name.n == known->name.n && slice_ieq(name, known->name)) {
            int rc = known->fn(h, value, span);
            return rc < 0 ? rc : 1;
        }
    }
    return 1;
}

/* Where the body ends, RFC 9112 6.1 and 6.3. */
static int framing_check(const struct h1_head *h)
{
    if (!h->has_coding)
        return 0;
    if (h->content_length >= 0)
        return GW_EREQ_FRAMING; /* one of the two is a lie */
    if (h->version < 11)
        return GW_EREQ_FRAMING; /* 6.1: whoever sent this does not know what it sent */
    if (!h->chunked)
        return GW_EREQ_FRAMING; /* 6.3: no end can be found */
    return h->other_coding ? GW_EREQ_CODING : 0;
}

static int step_end(struct h1_head *h, const uint8_t *in, uint32_t len)
{
    if (h->at == len)
        return 0;
    if (in[h->at] != '\n')
        return GW_EREQ_SYNTAX;
    h->at++;
    if (h->version >= 11 && !h->has_host)
        return GW_EREQ_HOST;
    int rc = framing_check(h);
    if (rc < 0)
        return rc;
    if (h->authority.n == 0)
        h->authority = h->host; /* RFC 9112 3.2.2: an absolute target wins */
    h->persistent = !h->option_close && (h->version >= 11 || h->option_keep);
    h->step = STEP_DONE;
    return 1;
}

/* ---- all of it ---- */

static step_fn *const steps[STEP_DONE] = {
    [STEP_EMPTY_LINE] = step_empty_line,
    [STEP_START] = step_start,
    [STEP_METHOD] = step_method,
    [STEP_TARGET] = step_target,
    [STEP_VERSION] = step_version,
    [STEP_LINE] = step_line,
    [STEP_NAME] = step_name,
    [STEP_SPACE] = step_space,
    [STEP_VALUE] = step_value,
    [STEP_END] = step_end,
};

void h1_head_init(struct h1_head *h, uint64_t max_bytes, uint32_t max_fields)
{
    *h = (struct h1_head){
        .max_bytes = max_bytes < UINT32_MAX / 2 ? (uint32_t)max_bytes : UINT32_MAX / 2,
        .max_fields = max_fields,
        .content_length = -1,
    };
}

ssize_t h1_head_parse(struct h1_head *h, const uint8_t *in, size_t len)
{
    bool full = len >= h->max_bytes;
    uint32_t end = full ? h->max_bytes : (uint32_t)len;

    while (h->step != STEP_DONE) {
        int rc = steps[h->step](h, in, end);
        if (rc < 0)
            return rc;
        if (rc == 0 && !full)
            return 0;
        if (rc == 0)
            return h->step <= STEP_VERSION ? GW_EREQ_URI_LONG : GW_EREQ_HEAD_LARGE;
    }
    return (ssize_t)h->at;
}

void h1_head_fields(const struct h1_head *h, const char *head, struct field *fields)
{
    const char *at = head + h->fields_at;

    for (uint32_t i = 0; i < h->n_fields; i++) {
        size_t left = (size_t)(head + h->at - at);
        const char *colon = memchr(at, ':', left);
        const char *cr = memchr(colon, '\r', left - (size_t)(colon - at));
        fields[i].name = slice_of(at, (size_t)(colon - at));
        fields[i].value = slice_trim(slice_of(colon + 1, (size_t)(cr - colon - 1)));
        at = cr + 2;
    }
}
