/*
 * gateway/slice.h - a borrowed run of bytes, and a header field made of two.
 *
 * Shape    p[0..n), not NUL-terminated; a NUL inside is data until somebody checks
 * Threads  any
 * Memory   borrowed: whoever keeps a slice says whose memory it is
 */
#ifndef GATEWAY_SLICE_H
#define GATEWAY_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct slice {
    const char *p;
    size_t n;
};

/* One header field (RFC 9110 5.1).  Names keep the case they came with; compare with slice_ieq.
 */
struct field {
    struct slice name;
    struct slice value;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){(const char *)p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool slice_ends(struct slice s, struct slice suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* A hexadecimal digit of either case. */
static inline bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* s without its first k bytes; k must not exceed s.n. */
static inline struct slice slice_from(struct slice s, size_t k)
{
    return (struct slice){s.p + k, s.n - k};
}

/* ASCII case ignored, whatever the locale: of n bytes each, and of two slices.  Most that are compared differ in length
 * or in the first byte already, which costs no call. */
bool bytes_ieq(const char *a, const char *b, size_t n);
static inline bool slice_ieq(struct slice a, struct slice b)
{
    return a.n == b.n &&
           (a.n == 0 || (((a.p[0] ^ b.p[0]) & ~0x20) == 0 && bytes_ieq(a.p, b.p, a.n)));
}
/* s in lower case, written to dst, which has room for it. */
struct slice slice_lower(char *dst, struct slice s);

/* Is it one of list[0..n)? */
bool slice_ieq_any(struct slice s, const struct slice *list, size_t n);

/* Index of the first c in s, or -1. */
ssize_t slice_find(struct slice s, char c);

/* s without spaces and tabs at either end (OWS, RFC 9110 5.6.3). */
struct slice slice_trim(struct slice s);

/* Decimal digits only, at least one, at most max.  -1 otherwise (sign, space, overflow). */
int64_t slice_decimal(struct slice s, int64_t max);

/* Cut the next element of a comma-separated list off *list, trimmed (RFC 9110 5.6.1).  Empty
 * elements are skipped.  false at the end. */
bool slice_list_next(struct slice *list, struct slice *ret_item);

/* Value of the first field called name, or NULL. */
const struct field *fields_find(const struct field *fields, size_t n, struct slice name);

#endif
