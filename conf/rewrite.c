#include "rewrite.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "../gateway/err.h"
#include "complaints.h"
#include "value.h"

/* How many groups the pattern has; or what is wrong with it. */
static const char *check_pattern(struct arena *arena, struct slice pattern,
                                 unsigned *ret_groups)
{
    uint32_t groups = 0;
    PCRE2_SIZE at = 0;
    PCRE2_UCHAR text[128] = "";
    int err = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, REWRITE_PCRE2_OPTIONS, &err, &at, NULL);

    if (!code) {
        pcre2_get_error_message(err, text, sizeof(text));
        struct slice why =
            arena_printf(arena, "at byte %zu of the pattern: %s", at + 1, (const char *)text);
        return why.p ? why.p : value_no_memory;
    }
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_code_free(code);
    *ret_groups = groups < 9 ? groups : 9;
    return NULL;
}

static const char *take_flag(struct arena *arena, struct slice flag, struct conf_rewrite *ret)
{
    static const struct {
        struct slice name;
        enum conf_rewrite_then then;
        int status;
    } flags[] = {
        {{"last", 4}, CONF_REWRITE_LAST, 0},
        {{"break", 5}, CONF_REWRITE_BREAK, 0},
        {{"redirect", 8}, CONF_REWRITE_NEXT, 302},
        {{"permanent", 9}, CONF_REWRITE_NEXT, 301},
    };
    struct nearest near = nearest_init(flag);

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (slice_eq(flag, flags[i].name)) {
            ret->then = flags[i].then;
            ret->redirect_status = flags[i].status;
            return NULL;
        }
        nearest_try(&near, flags[i].name);
    }
    struct slice why =
        arena_printf(arena, "the last word is last, break, redirect or permanent, not %.*s%s",
                     ECHO(flag), nearest_text(&near, arena));
    return why.p ? why.p : value_no_memory;
}

static const char *take_target(struct arena *arena, struct slice target,
                               struct conf_rewrite *ret)
{
    unsigned n_groups = 0;
    const char *why = check_pattern(arena, ret->pattern, &n_groups);

    if (why)
        return why;
    if (target.p[target.n - 1] == '?') {
        ret->drops_query = true;
        target.n--;
    }
    if (!target.n)
        return "the target is an absolute path or a URL";
    why = vars_compile_url(arena, target, n_groups, &ret->to);
    if (why || !ret->to->has_authority)
        return why;
    if (ret->then != CONF_REWRITE_NEXT)
        return "last and break go with a path, and this is a URL";
    if (!ret->redirect_status) /* as nginx */
        ret->redirect_status = 302;
    return NULL;
}

const char *rewrite_parse(struct arena *arena, struct slice text, struct conf_rewrite *ret)
{
    struct slice words[4] = {{NULL, 0}}, rest = text;
    struct conf_rewrite rule = {0};
    const char *why = NULL;
    unsigned n = 0;
    int got = 0;

    while (n < 4 && (got = value_word(arena, &rest, &words[n])) > 0)
        n++;
    if (got == GW_ENO_MEMORY)
        return value_no_memory;
    if (got < 0)
        return "a double quote that is not closed";
    if (n < 2 || n > 3 || !words[0].n || !words[1].n)
        return "a rule is PATTERN TARGET [last, break, redirect or permanent]";
    rule.pattern = words[0];
    if (n == 3)
        why = take_flag(arena, words[2], &rule);
    if (!why)
        why = take_target(arena, words[1], &rule);
    if (!why)
        *ret = rule;
    return why;
}
