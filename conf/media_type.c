#include "media_type.h"

/* RFC 9110 5.6.2 */
static size_t token_length(struct slice s)
{
    static const char more[] = "!#$%&'*+-.^_`|~";
    size_t n = 0;

    while (n < s.n &&
           ((s.p[n] >= '0' && s.p[n] <= '9') || (s.p[n] >= 'A' && s.p[n] <= 'Z') ||
            (s.p[n] >= 'a' && s.p[n] <= 'z') || memchr(more, s.p[n], sizeof(more) - 1)))
        n++;
    return n;
}

static bool cut_token(struct slice *s)
{
    size_t n = token_length(*s);

    *s = slice_from(*s, n);
    return n > 0;
}

static bool cut_byte(struct slice *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

/* type/subtype *( OWS ";" OWS name=value ), RFC 9110 8.3.1; values in quotes are not needed. */
static bool is_media_type(struct slice s)
{
    if (!cut_token(&s) || !cut_byte(&s, '/') || !cut_token(&s))
        return false;
    while (s.n) {
        s = slice_trim(s);
        if (!cut_byte(&s, ';'))
            return false;
        s = slice_trim(s);
        if (!cut_token(&s) || !cut_byte(&s, '=') || !cut_token(&s))
            return false;
    }
    return true;
}

const char *media_type_parse(struct arena *arena, struct conf_pair *pair)
{
    (void)arena;
    if (slice_find(pair->name, '/') >= 0 || slice_find(pair->name, '.') >= 0)
        return "the extension is what follows the last dot of a name";
    return is_media_type(pair->value) ? NULL : "a media type is TYPE/SUBTYPE, as text/plain";
}
