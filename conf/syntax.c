#include "syntax.h"

#include <arpa/inet.h>

enum { HOST_MAX = 253, LABEL_MAX = 63 }; /* RFC 1035 2.3.4 */

static const char bad_host[] = "not a host name or IP address";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* inet_pton wants a NUL behind the text. */
static bool is_ip(int family, struct slice s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (s.n >= sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(family, text, &addr) == 1;
}

/* Letters, digits, '-' and '_' in labels.  The underscore is not in RFC 952, but in use. */
static bool is_dns_name(struct slice s)
{
    size_t label = 0;

    if (s.n == 0 || s.n > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' ? label == 0 : !is_letter(c) && !is_digit(c) && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

/* A name whose last label is a number is an IPv4 address or a mistake (WHATWG URL 3.5). */
static bool is_name_or_ip4(struct slice s)
{
    size_t i = s.n;

    if (!is_dns_name(s))
        return false;
    while (i > 0 && is_digit(s.p[i - 1]))
        i--;
    bool number = i < s.n && (i == 0 || s.p[i - 1] == '.');
    return !number || is_ip(AF_INET, s);
}

/* [v6] or [v6%zone] with the brackets. */
static bool is_ip6_literal(struct slice s, bool zone_allowed)
{
    if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    s = slice_of(s.p + 1, s.n - 2);
    ssize_t zone = slice_find(s, '%');
    if (zone >= 0) {
        if (!zone_allowed || !is_dns_name(slice_from(s, (size_t)zone + 1)))
            return false;
        s.n = (size_t)zone;
    }
    return is_ip(AF_INET6, s);
}

const char *syntax_host(struct slice host)
{
    if (slice_eq(host, SLICE("*")) || is_ip6_literal(host, false))
        return NULL;
    if (slice_starts(host, SLICE("*.")))
        host = slice_from(host, 2);
    if (slice_find(host, '*') >= 0)
        return "a star stands alone or for the first labels, as in *.example.org";
    if (slice_find(host, ':') >= 0)
        return "a host name here has no port";
    return is_name_or_ip4(host) ? NULL : bad_host;
}

static const char *unix_check(struct slice path)
{
    if (path.n == 0 || path.p[0] != '/')
        return "unix: is followed by an absolute path";
    return path.n > SYNTAX_UNIX_MAX ? "a socket's path has at most 107 bytes" : NULL;
}

static ssize_t last_colon(struct slice s)
{
    ssize_t i = (ssize_t)s.n - 1;

    while (i >= 0 && s.p[i] != ':')
        i--;
    return i;
}

const char *syntax_address(struct slice text, enum syntax_use use)
{
    if (syntax_is_unix(text))
        return unix_check(slice_from(text, 5));
    if (syntax_is_srv(text) && use == SYNTAX_CONNECT)
        return is_dns_name(slice_from(text, 4))
                   ? NULL
                   : "srv: is followed by a name, as in srv:_fcgi._tcp.app.example.org";

    ssize_t colon = last_colon(text);
    if (colon < 0)
        return "not an address (host:port, [v6]:port, unix:/path)";
    if (slice_decimal(slice_from(text, (size_t)colon + 1), 65535) < 1)
        return "the port is a number from 1 to 65535";

    struct slice host = slice_of(text.p, (size_t)colon);
    if (slice_eq(host, SLICE("*")))
        return use == SYNTAX_LISTEN ? NULL : "a star is an address to listen on only";
    if (host.n && host.p[0] == '[')
        return is_ip6_literal(host, true) ? NULL : "no IPv6 address between the brackets";
    if (slice_find(host, ':') >= 0)
        return "an IPv6 address needs brackets: [v6]:port";
    return is_name_or_ip4(host) ? NULL : bad_host;
}

bool syntax_is_name(struct slice address)
{
    ssize_t colon = last_colon(address);

    if (syntax_is_unix(address) || syntax_is_srv(address) || colon < 0)
        return syntax_is_srv(address);
    return address.p[0] != '[' && !is_ip(AF_INET, slice_of(address.p, (size_t)colon));
}

const char *syntax_resolver(struct slice text)
{
    ssize_t colon = last_colon(text);
    bool six = text.n && text.p[0] == '[';
    bool port = colon > 0 && (!six || text.p[colon - 1] == ']');
    struct slice ip = port ? slice_of(text.p, (size_t)colon) : text;

    if (port && slice_decimal(slice_from(text, (size_t)colon + 1), 65535) < 1)
        return "the port is a number from 1 to 65535";
    if (six ? is_ip6_literal(ip, false) : is_ip(AF_INET, ip))
        return NULL;
    return "not an IP address (192.0.2.1, 192.0.2.1:53, [2001:db8::1])";
}

/* Would the settled path of a request never hold this?  Dot segments are gone by then. */
static bool has_dot_segment(struct slice path)
{
    size_t start = 0;

    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/')
            continue;
        struct slice segment = slice_of(path.p + start, i - start);
        if (slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
            return true;
        start = i + 1;
    }
    return false;
}

static const char *pattern_exact(struct slice path, struct conf_route *ret_route)
{
    if (path.n == 0 || path.p[0] != '/')
        return "an exact pattern is \"= /path\"";
    ret_route->exact = true;
    ret_route->pattern = ret_route->prefix = path;
    return NULL;
}

static const char *pattern_star(struct slice text, size_t star, struct conf_route *ret_route)
{
    struct slice suffix = slice_from(text, star + 1);

    if (star > 0 && text.p[star - 1] != '/')
        return "a star follows a slash, as in /shop/*.php";
    if (suffix.n == 0)
        return "a star is followed by an ending, as in *.php; a prefix needs none";
    if (slice_find(suffix, '/') >= 0 || slice_find(suffix, '*') >= 0)
        return "nothing but the ending of a file name follows a star, as in *.php";
    ret_route->prefix = star ? slice_of(text.p, star) : SLICE("/");
    ret_route->suffix = suffix;
    return NULL;
}

const char *syntax_pattern(struct arena *arena, struct slice text, struct conf_route *ret_route)
{
    if (has_dot_segment(text))
        return "no request has a . or .. in its path";
    if (text.n && text.p[0] == '=')
        return pattern_exact(slice_trim(slice_from(text, 1)), ret_route);
    if (text.n == 0 || (text.p[0] != '/' && text.p[0] != '*'))
        return "a pattern begins with a slash, with *. or with = and a space";

    ret_route->pattern = text;
    ssize_t star = slice_find(text, '*');
    if (star >= 0)
        return pattern_star(text, (size_t)star, ret_route);
    ret_route->prefix = text;
    if (text.p[text.n - 1] != '/')
        ret_route->prefix = arena_printf(arena, "%.*s/", SLICE_FMT(text));
    return ret_route->prefix.p ? NULL : "out of memory";
}
