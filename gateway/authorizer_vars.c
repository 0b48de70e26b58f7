#include "authorizer_vars.h"

#include "metavars.h"

#define PREFIX SLICE("Variable-")

static bool is_variable(struct slice field)
{
    return field.n >= PREFIX.n && slice_ieq(slice_of(field.p, PREFIX.n), PREFIX);
}

/* 0 for what must not be in a name. */
static char name_byte(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c & ~0x20);
    if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return c;
    return c == '-' || c == '_' ? '_' : 0;
}

/* Names, or with a star what they begin with. */
static const struct slice refused[] = {
#define NAME(literal)                                                                          \
    {                                                                                          \
        literal, sizeof(literal) - 1                                                           \
    }
    /* the gateway's, in some request or other */
    NAME("FCGI_*"),
    NAME("HTTP_PROXY"),
    NAME("REDIRECT_*"),
    NAME("SSL_*"),
    /* of the process: a CGI program finds request variables in its environment */
    NAME("ALL_PROXY"),
    NAME("BASH_*"),
    NAME("CDPATH"),
    NAME("ENV"),
    NAME("FTP_PROXY"),
    NAME("GCONV_PATH"),
    NAME("GLIBC_*"),
    NAME("HTTPS_PROXY"),
    NAME("IFS"),
    NAME("LD_*"),
    NAME("LOCPATH"),
    NAME("MALLOC_*"),
    NAME("NODE_*"),
    NAME("NO_PROXY"),
    NAME("PATH"),
    NAME("PERL*"),
    NAME("PHPRC"),
    NAME("PHP_ADMIN_VALUE"),
    NAME("PHP_INI_SCAN_DIR"),
    NAME("PHP_VALUE"),
    NAME("PYTHON*"),
    NAME("RUBY*"),
    NAME("SHELLOPTS"),
#undef NAME
};

static bool is_refused(struct slice name)
{
    if (slice_eq(name, SLICE("REMOTE_USER")) || slice_eq(name, SLICE("AUTH_TYPE")))
        return false;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct slice r = refused[i];
        bool begins = r.p[r.n - 1] == '*';
        if (begins ? slice_starts(name, slice_of(r.p, r.n - 1)) : slice_eq(name, r))
            return true;
    }
    return metavars_is_own(name);
}

bool authorizer_var_same(struct slice a, struct slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (name_byte(a.p[i]) != name_byte(b.p[i]))
            return false;
    }
    return true;
}

enum authorizer_var authorizer_var_name(struct arena *a, struct slice field,
                                        struct slice *ret_name, struct slice *ret_spelled)
{
    if (!is_variable(field))
        return AUTHORIZER_VAR_NONE;
    field = slice_from(field, PREFIX.n);
    if (!field.n || field.n > AUTHORIZER_VAR_MAX || (field.p[0] >= '0' && field.p[0] <= '9'))
        return AUTHORIZER_VAR_REFUSED;
    char *name = arena_alloc(a, field.n);
    if (!name)
        return AUTHORIZER_VAR_NO_MEMORY;
    for (size_t i = 0; i < field.n; i++) {
        name[i] = name_byte(field.p[i]);
        if (!name[i])
            return AUTHORIZER_VAR_REFUSED;
    }
    if (is_refused(slice_of(name, field.n)))
        return AUTHORIZER_VAR_REFUSED;
    *ret_name = slice_of(name, field.n);
    *ret_spelled = field;
    return AUTHORIZER_VAR;
}
