#include "path.h"

#include "router.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that %XX at p[0..n) stands for, or -1. */
static int escape_value(const char *p, size_t n)
{
    if (n < 3 || p[0] != '%')
        return -1;
    int hi = hex_value(p[1]), lo = hex_value(p[2]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

/*
 * Percent-decoding, exactly once (RFC 3986 2.4).  A NUL would end the name early in every C
 * interface behind us, so it is refused, whether or not something could be found under that
 * name.
 */
static bool path_decode(struct slice raw, char *out, size_t *ret_n)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int v = escape_value(raw.p + i, raw.n - i);
            if (v <= 0)
                return false;
            c = (char)v;
            i += 2;
        } else if (c == '\0') {
            return false;
        }
        out[n++] = c;
    }
    *ret_n = n;
    return true;
}

/*
 * RFC 3986 5.2.4 in place, on a path that starts with a slash.  Reading stays ahead of writing.
 * Empty segments count as segments there, so they do here.  Where 5.2.4 lets ".." at the root
 * pass ("/.." is "/"), the path is refused: no client that means well sends it.
 */
static bool path_remove_dots(char *p, size_t *n)
{
    size_t r = 0, w = 0, end = *n;

    while (r < end) {
        size_t seg = r + 1; /* p[r] is the slash before it */
        size_t next = seg;
        while (next < end && p[next] != '/')
            next++;
        size_t len = next - seg;
        bool one = len == 1 && p[seg] == '.';
        bool two = len == 2 && p[seg] == '.' && p[seg + 1] == '.';

        if (two) {
            if (w == 0)
                return false;
            while (p[--w] != '/')
                ;
        }
        if (one || two) {
            if (next == end) /* the last segment was a folder: keep its slash */
                p[w++] = '/';
        } else {
            memmove(p + w, p + r, next - r);
            w += next - r;
        }
        r = next;
    }
    *n = w;
    return true;
}

/* Is there anything to decode, remove or refuse?  Most paths are settled as they come, and then
 * cost one look and no copy. */
static bool path_is_plain(struct slice raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%' || c == '\0' || (c == '.' && raw.p[i - 1] == '/'))
            return false;
    }
    return true;
}

int router_settle_path(struct arena *a, struct slice raw, struct slice *ret_path)
{
    size_t n;

    if (raw.n == 0 || raw.p[0] != '/')
        return GW_EREQ_PATH;
    if (path_is_plain(raw)) {
        *ret_path = raw;
        return 0;
    }
    char *out = arena_alloc(a, raw.n + 1);
    if (!out)
        return GW_ENO_MEMORY;
    if (!path_decode(raw, out, &n) || !path_remove_dots(out, &n))
        return GW_EREQ_PATH;
    *ret_path = slice_of(out, n);
    return 0;
}

bool path_has_encoded_slash(struct slice raw)
{
    for (size_t i = 0; i + 3 <= raw.n; i++) {
        if (escape_value(raw.p + i, raw.n - i) == '/')
            return true;
    }
    return false;
}

bool path_next(struct slice path, size_t *at, struct slice *ret_component)
{
    size_t i = *at;

    while (i < path.n && path.p[i] == '/')
        i++;
    size_t start = i;
    while (i < path.n && path.p[i] != '/')
        i++;
    *at = i;
    *ret_component = slice_of(path.p + start, i - start);
    return i > start;
}

/* Copy path to out with runs of slashes as one; how many bytes. */
static size_t copy_merged(char *out, struct slice path)
{
    size_t n = 0;

    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] != '/' || i == 0 || path.p[i - 1] != '/')
            out[n++] = path.p[i];
    }
    return n;
}

struct slice path_merge_slashes(struct arena *a, struct slice path)
{
    if (!path.n || !memmem(path.p, path.n, "//", 2))
        return path;
    char *out = arena_alloc(a, path.n);
    return slice_of(out, out ? copy_merged(out, path) : 0);
}

struct slice path_join(struct arena *a, struct slice root, struct slice rel)
{
    while (root.n && root.p[root.n - 1] == '/')
        root.n--;
    while (rel.n && rel.p[0] == '/')
        rel = slice_from(rel, 1);
    char *out = arena_alloc(a, root.n + 1 + rel.n + 1);
    if (!out)
        return slice_of(NULL, 0);
    if (root.n)
        memcpy(out, root.p, root.n);
    size_t n = root.n;
    out[n++] = '/';
    n += copy_merged(out + n, rel);
    out[n] = '\0';
    return slice_of(out, n);
}

bool path_stands(char ch)
{
    unsigned char c = (unsigned char)ch;

    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL;
}

struct slice path_encode(struct arena *a, struct slice path)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = path.n < SIZE_MAX / 4 ? arena_alloc(a, path.n * 3 + 1) : NULL;
    size_t n = 0;

    if (!out)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (path_stands(path.p[i])) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return slice_of(out, n);
}

struct slice path_decode_query(struct arena *a, struct slice query)
{
    char *out = arena_alloc(a, query.n + 1);
    size_t n = 0;

    if (!out)
        return slice_of(NULL, 0);
    for (size_t i = 0; i < query.n; i++) {
        int v = escape_value(query.p + i, query.n - i);
        if (v > 0) /* a NUL would end the text early */
            i += 2;
        else
            v = query.p[i] == '+' ? ' ' : query.p[i];
        out[n++] = (char)v;
    }
    return slice_of(out, n);
}
