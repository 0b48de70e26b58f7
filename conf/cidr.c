#include "cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = 96 };

/* ::ffff:0:0/96 */
static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static unsigned family_bits(enum cidr_family f)
{
    return f == CIDR_V4 ? V4_BITS : f == CIDR_V6 ? V6_BITS : 0;
}

static struct cidr_address address_v4(const void *ip)
{
    struct cidr_address a = {.family = CIDR_V4};

    memcpy(a.ip, ip, 4);
    return a;
}

static struct cidr_address address_v6(const void *ip)
{
    struct cidr_address a = {.family = CIDR_V6};

    if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0)
        return address_v4((const uint8_t *)ip + sizeof(mapped_prefix));
    memcpy(a.ip, ip, sizeof(a.ip));
    return a;
}

struct cidr_address cidr_address_of(const struct sockaddr *sa)
{
    switch (sa->sa_family) {
    case AF_INET:
        return address_v4(&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
    case AF_INET6:
        return address_v6(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
    default:
        return (struct cidr_address){.family = sa->sa_family == AF_UNIX ? CIDR_UNIX : CIDR_ANY};
    }
}

/* ---- from text ---- */

/* As it was written: *ret_dressed says that IPv4 came as IPv6, whose lengths count 96 more. */
static bool parse_ip(struct slice text, struct cidr_address *ret, bool *ret_dressed)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip[16];

    if (text.n == 0 || text.n >= sizeof(copy) || slice_find(text, '\0') >= 0)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *ret_dressed = false;
    if (inet_pton(AF_INET, copy, ip) == 1) {
        *ret = address_v4(ip);
    } else if (inet_pton(AF_INET6, copy, ip) == 1) {
        *ret = address_v6(ip);
        *ret_dressed = ret->family == CIDR_V4;
    } else {
        return false;
    }
    return true;
}

bool cidr_address_parse(struct slice text, struct cidr_address *ret_address)
{
    bool dressed;

    return parse_ip(text, ret_address, &dressed);
}

/* Zero what is behind the prefix; false if there was anything. */
static bool clear_host_bits(struct cidr *c)
{
    bool clean = true;

    for (unsigned i = c->bits / 8; i < sizeof(c->address.ip); i++) {
        uint8_t keep = (uint8_t)(i == c->bits / 8 ? 0xff00U >> c->bits % 8 : 0);
        if (c->address.ip[i] & (0xff ^ keep))
            clean = false;
        c->address.ip[i] &= keep;
    }
    return clean;
}

const char *cidr_parse(struct slice text, struct cidr *ret_block)
{
    ssize_t slash = slice_find(text, '/');
    struct slice ip = slash < 0 ? text : slice_of(text.p, (size_t)slash);
    struct cidr c = {0};
    bool dressed;

    if (slice_eq(text, SLICE("all")) || slice_eq(text, SLICE("unix:"))) {
        c.address.family = slice_eq(text, SLICE("all")) ? CIDR_ANY : CIDR_UNIX;
        *ret_block = c;
        return NULL;
    }
    if (!parse_ip(ip, &c.address, &dressed))
        return "not an address or block (192.0.2.1, 192.0.2.0/24, 2001:db8::/32, unix:, all)";
    c.bits = family_bits(c.address.family);
    if (slash >= 0) {
        unsigned least = dressed ? MAPPED_BITS : 0;
        int64_t bits = slice_decimal(slice_from(text, (size_t)slash + 1), c.bits + least);
        if (bits < least)
            return c.address.family == CIDR_V6 ? "the length of a prefix is 0 to 128"
                   : dressed                   ? "the length of this prefix is 96 to 128"
                                               : "the length of a prefix is 0 to 32";
        c.bits = (unsigned)bits - least;
    }
    /* More likely a slip of the pen than meant: 10.1.0.0/8 is sixteen million addresses. */
    if (!clear_host_bits(&c))
        return "there are bits behind the prefix: should they be zero, or the prefix longer?";
    *ret_block = c;
    return NULL;
}

/* ---- to text ---- */

void cidr_address_text(const struct cidr_address *a, char out[CIDR_TEXT])
{
    if (a->family == CIDR_V4 || a->family == CIDR_V6)
        inet_ntop(a->family == CIDR_V4 ? AF_INET : AF_INET6, a->ip, out, CIDR_TEXT);
    else
        (void)snprintf(out, CIDR_TEXT, "%s", a->family == CIDR_UNIX ? "unix:" : "all");
}

void cidr_text(const struct cidr *c, char out[CIDR_TEXT])
{
    char ip[CIDR_TEXT];

    cidr_address_text(&c->address, ip);
    if (c->bits == family_bits(c->address.family))
        (void)snprintf(out, CIDR_TEXT, "%s", ip);
    else
        (void)snprintf(out, CIDR_TEXT, "%.44s/%u", ip, c->bits);
}

/* ---- comparing ---- */

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

bool cidr_has(const struct cidr *c, const struct cidr_address *a)
{
    if (c->address.family == CIDR_ANY)
        return true;
    return c->address.family == a->family && same_prefix(c->address.ip, a->ip, c->bits);
}

bool cidr_covers(const struct cidr *outer, const struct cidr *inner)
{
    return outer->bits <= inner->bits && cidr_has(outer, &inner->address);
}

static int compare_address(const struct cidr_address *a, const struct cidr_address *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->ip, b->ip, sizeof(a->ip));
}

static int compare_block(const struct cidr *a, const struct cidr *b)
{
    int c = compare_address(&a->address, &b->address);

    return c ? c : (a->bits > b->bits) - (a->bits < b->bits);
}

static int compare_rule(const void *a, const void *b)
{
    const struct cidr_rule *x = a, *y = b;
    int c = compare_block(&x->block, &y->block);

    return c ? c : (x->says > y->says) - (x->says < y->says);
}

/* ---- sets ---- */

const struct cidr_rule *cidr_set_build(struct cidr_set *set)
{
    struct cidr_rule *r = set->rules;
    unsigned n = 0;

    if (set->n)
        qsort(r, set->n, sizeof(*r), compare_rule);
    for (unsigned i = 0; i < set->n; i++) {
        if (n && compare_block(&r[n - 1].block, &r[i].block) == 0) {
            if (r[n - 1].says != r[i].says)
                return &r[i];
            continue;
        }
        r[n] = r[i];
        /* Blocks nest or are apart, and an outer one sorts first: it is the one before, or
         * around that. */
        int outer = (int)n - 1;
        while (outer >= 0 && !cidr_covers(&r[outer].block, &r[n].block))
            outer = r[outer].outer;
        r[n++].outer = outer;
    }
    set->n = n;
    return NULL;
}

const struct cidr_rule *cidr_set_find(const struct cidr_set *set, const struct cidr_address *a)
{
    unsigned low = 0, high = set->n; /* the last rule at or before a is below high */

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (compare_address(&set->rules[middle].block.address, a) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    int at = (int)low - 1;
    while (at >= 0 && !cidr_has(&set->rules[at].block, a))
        at = set->rules[at].outer;
    return at < 0 ? NULL : &set->rules[at];
}
