/*
 * Each line is a field of a conditional request: "m" If-Match, "n" If-None-Match, "s"
 * If-Modified-Since, "u" If-Unmodified-Since, "r" Range, "i" If-Range, then its value.  Our
 * own tag in a line more is found whatever is above it.
 */
#include <stdlib.h>

#include "../../gateway/files_cond.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 16 };

static const struct validators file = {{"\"abc\"", 5}, 784111777, 1795392000};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool name_of(char c, struct slice *ret)
{
    static const struct slice names[] = {{"If-Match", 8},
                                         {"If-None-Match", 13},
                                         {"If-Modified-Since", 17},
                                         {"If-Unmodified-Since", 19},
                                         {"Range", 5},
                                         {"If-Range", 8}};
    const char *at = c ? strchr("mnsuri", c) : NULL;

    if (at)
        *ret = names[at - "mnsuri"];
    return at != NULL;
}

static size_t read_fields(struct slice text, struct field fields[FIELDS])
{
    size_t n = 0;

    while (text.n && n < FIELDS - 1) {
        ssize_t nl = slice_find(text, '\n');
        struct slice line = slice_of(text.p, nl < 0 ? text.n : (size_t)nl);
        text = slice_from(text, nl < 0 ? text.n : (size_t)nl + 1);
        if (line.n && name_of(line.p[0], &fields[n].name))
            fields[n++].value = slice_trim(slice_from(line, 1));
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t sizes[] = {0, 1, 10, 1000, INT64_MAX};
    struct field fields[FIELDS];
    struct ranges ranges;
    size_t n = read_fields(slice_of(data, size), fields);
    enum cond before = cond_check(fields, n, &file);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (range_check(fields, n, &file, sizes[i], &ranges) == RANGE_PART)
            check(ranges.n >= 1 && ranges.n <= RANGES_MAX);
    }
    fields[n] = (struct field){SLICE("If-None-Match"), file.etag};
    enum cond after = cond_check(fields, n + 1, &file);
    check(after == (before == COND_FAILED ? COND_FAILED : COND_NOT_MODIFIED));
    fields[n].name = SLICE("If-Match");
    check(cond_check(fields, n + 1, &file) != COND_FAILED);
    return 0;
}
