/* A text with variables, and a rule of rewrite, on a request: RULE \n TEXT \n PATH [?QUERY] \n HOST.
 * What goes into a field or a Location is one line, what stays inside is a settled path. */
#include <stdlib.h>

#include "../../conf/fields.h"
#include "../../gateway/conn.h"
#include "../../gateway/expand.h"
#include "../../gateway/rewrite.h"
#include "../../gateway/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static struct slice line_next(struct slice *rest)
{
    ssize_t end = slice_find(*rest, '\n');
    struct slice line = end < 0 ? *rest : slice_of(rest->p, (size_t)end);

    *rest = end < 0 ? slice_of(rest->p + rest->n, 0) : slice_from(*rest, (size_t)end + 1);
    return line;
}

static bool is_line(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    }
    return true;
}

static bool is_settled(struct slice path)
{
    return path.n && path.p[0] == '/' && !memchr(path.p, '\0', path.n) &&
           !memmem(path.p, path.n, "/../", 4) && !slice_ends(path, SLICE("/.."));
}

/* No client brings a host: a URL has the scheme or the slash that its text begins with. */
static void check_location(struct slice text, struct slice location)
{
    check(location.n > 0 && is_line(location) && !memchr(location.p, ' ', location.n));
    if (text.p[0] == '/' && (text.n == 1 || text.p[1] != '/'))
        check(location.p[0] == '/' && (location.n == 1 || location.p[1] != '/'));
}

static void one_text(struct stream *s, struct slice text)
{
    struct conf_header header = {.pair = {SLICE("X-A"), text}};
    const struct vars *v;
    struct slice got;

    if (!fields_parse_header(&s->arena, &header.pair) && header.value &&
        expand(s, header.value, NULL, EXPAND_FIELD, &got) == 0)
        check(got.n <= EXPAND_MAX && (is_line(got) || memchr(text.p, '\t', text.n)));
    if (text.n && !vars_compile_url(&s->arena, text, 0, &v) &&
        expand(s, v, NULL, EXPAND_URL, &got) == 0)
        check_location(text, got);
}

static void one_rule(struct stream *s, struct slice text)
{
    struct conf_rewrite conf;
    struct slice location;
    int status = 0;

    if (rewrite_parse(&s->arena, text, &conf))
        return;
    struct rewrite *r = rewrite_new(&conf, 1);
    check(r != NULL);
    int rc = rewrite_run(r, s, &status, &location);
    if (rc == REWROTE_REDIRECT) {
        check(status == 301 || status == 302);
        check(is_line(location));
    } else if (rc >= 0) {
        check(is_settled(s->uri));
    }
    rewrite_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct conn c = {.peer_text = "192.0.2.1"};
    struct stream s = {.conn = &c};

    arena_init(&s.arena);
    struct slice rule = arena_dup(&s.arena, line_next(&rest));
    struct slice text = arena_dup(&s.arena, line_next(&rest));
    stream_set_target(&s, line_next(&rest));
    s.req.authority = SLICE("example.org");
    s.req.scheme = SLICE("https");
    if (s.req.target.n && router_settle_path(&s.arena, s.req.path, &s.uri) == 0) {
        struct field field = {SLICE("X-Field"), line_next(&rest)};
        s.req.fields = &field;
        s.req.n_fields = 1;
        one_text(&s, text);
        one_rule(&s, rule);
    }
    arena_fini(&s.arena);
    return 0;
}
