#include "authority.h"

#include <arpa/inet.h>

/* What a name may consist of besides its escapes: unreserved and sub-delims. */
static const bool in_name[256] = {
    ['!'] = true,         ['$'] = true, ['&' ... '.'] = true, ['0' ... '9'] = true,
    [';'] = true,         ['='] = true, ['A' ... 'Z'] = true, ['_'] = true,
    ['a' ... 'z'] = true, ['~'] = true,
};

static bool name_valid(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (in_name[(unsigned char)s.p[i]])
            continue;
        if (s.p[i] != '%' || s.n - i < 3 || !is_hex_digit(s.p[i + 1]) ||
            !is_hex_digit(s.p[i + 2]))
            return false;
        i += 2;
    }
    return s.n > 0;
}

/* What stands between the brackets.  Zones (RFC 6874) mean something to the client only. */
static bool ipv6_valid(struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, &addr) == 1;
}

/* *ret_rest is what follows the host: empty, or ":" and perhaps a port. */
static bool host_valid(struct slice s, struct slice *ret_rest)
{
    bool literal = s.n > 0 && s.p[0] == '[';
    ssize_t end = slice_find(s, literal ? ']' : ':');
    size_t n = end < 0 ? s.n : (size_t)end;

    if (literal && end < 0)
        return false;
    *ret_rest = slice_from(s, literal ? n + 1 : n);
    return literal ? ipv6_valid(slice_of(s.p + 1, n - 1)) : name_valid(slice_of(s.p, n));
}

bool authority_has_port(struct slice s)
{
    struct slice rest;

    return host_valid(s, &rest) && rest.n > 1 && rest.p[0] == ':' &&
           slice_decimal(slice_from(rest, 1), 65535) >= 0;
}

bool authority_valid(struct slice s)
{
    struct slice rest;

    if (!host_valid(s, &rest))
        return false;
    if (rest.n == 0 || slice_eq(rest, SLICE(":")))
        return true;
    return rest.p[0] == ':' && slice_decimal(slice_from(rest, 1), 65535) >= 0;
}
