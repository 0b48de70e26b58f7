/*
 * The value of a Range field.  Its ranges lie inside the file and do not touch; each byte of them
 * was asked for, and no other; written again they are the same, also as the last bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../gateway/ranges.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_apart(const struct ranges *r, int64_t size)
{
    int64_t total = 0;

    check(r->n >= 1 && r->n <= RANGES_MAX);
    for (unsigned i = 0; i < r->n; i++) {
        struct range a = r->at[i];
        check(a.first >= 0 && a.n >= 1 && a.n <= size && a.first <= size - a.n);
        total += a.n;
        for (unsigned k = 0; k < i; k++) {
            struct range b = r->at[k];
            check(a.first + a.n < b.first || b.first + b.n < a.first);
        }
    }
    check(total <= size);
}

static bool has(const struct ranges *r, int64_t at)
{
    for (unsigned i = 0; i < r->n; i++) {
        if (at >= r->at[i].first && at - r->at[i].first < r->at[i].n)
            return true;
    }
    return false;
}

/* Each of the list alone: what it asks for is there, and all of them together are all there is. */
static void check_asked(struct slice value, const struct ranges *r, int64_t size)
{
    ssize_t eq = slice_find(value, '=');
    struct slice list = slice_from(value, (size_t)eq + 1), spec;
    char text[512];
    int64_t most = 0, total = 0;

    while (slice_list_next(&list, &spec)) {
        struct ranges one;
        int n = snprintf(text, sizeof(text), "bytes=%.*s", SLICE_FMT(spec));
        if (n < 0 || (size_t)n >= sizeof(text))
            return; /* leading zeros */
        if (ranges_parse(slice_of(text, (size_t)n), size, &one) != RANGE_PART)
            continue;
        check(one.n == 1 && has(r, one.at[0].first));
        check(has(r, one.at[0].first + one.at[0].n - 1));
        if (__builtin_add_overflow(most, one.at[0].n, &most))
            most = INT64_MAX;
    }
    for (unsigned i = 0; i < r->n; i++)
        total += r->at[i].n;
    check(total <= most);
}

static void check_again(struct range r, int64_t size)
{
    struct ranges again;
    char text[64];
    int n = snprintf(text, sizeof(text), "Bytes= %" PRId64 "-%" PRId64 " ", r.first,
                     r.first + r.n - 1);

    check(ranges_parse(slice_of(text, (size_t)n), size, &again) == RANGE_PART);
    check(again.n == 1 && again.at[0].first == r.first && again.at[0].n == r.n);
    n = snprintf(text, sizeof(text), "bytes=-%" PRId64, size - r.first);
    check(ranges_parse(slice_of(text, (size_t)n), size, &again) == RANGE_PART);
    check(again.n == 1 && again.at[0].first == r.first && again.at[0].n == size - r.first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t sizes[] = {0, 1, 10, 1000, 1LL << 33, INT64_MAX};
    struct slice value = slice_of(data, size);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct ranges r;
        if (ranges_parse(value, sizes[i], &r) != RANGE_PART)
            continue;
        check_apart(&r, sizes[i]);
        check_asked(value, &r, sizes[i]);
        for (unsigned k = 0; k < r.n; k++)
            check_again(r.at[k], sizes[i]);
    }
    return 0;
}
