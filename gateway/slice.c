#include "slice.h"

/* Without a branch: heads are full of it. */
static inline unsigned char byte_lower(unsigned char c)
{
    return (unsigned char)(c | ((unsigned)((unsigned char)(c - 'A') < 26) << 5));
}

bool bytes_ieq(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (byte_lower((unsigned char)a[i]) != byte_lower((unsigned char)b[i]))
            return false;
    }
    return true;
}

struct slice slice_lower(char *dst, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        dst[i] = (char)byte_lower((unsigned char)s.p[i]);
    return slice_of(dst, s.n);
}

bool slice_ieq_any(struct slice s, const struct slice *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_ieq(s, list[i]))
            return true;
    }
    return false;
}

ssize_t slice_find(struct slice s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

struct slice slice_trim(struct slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = slice_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

int64_t slice_decimal(struct slice s, int64_t max)
{
    int64_t v = 0;

    if (s.n == 0)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        int digit = s.p[i] - '0';
        if (v > max / 10 || (v == max / 10 && digit > max % 10))
            return -1;
        v = v * 10 + digit;
    }
    return v;
}

bool slice_list_next(struct slice *list, struct slice *ret_item)
{
    while (list->n) {
        ssize_t comma = slice_find(*list, ',');
        size_t len = comma < 0 ? list->n : (size_t)comma;
        struct slice item = slice_trim(slice_of(list->p, len));

        *list = slice_from(*list, comma < 0 ? list->n : len + 1);
        if (item.n) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

const struct field *fields_find(const struct field *fields, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++) {
        if (slice_ieq(fields[i].name, name))
            return &fields[i];
    }
    return NULL;
}
