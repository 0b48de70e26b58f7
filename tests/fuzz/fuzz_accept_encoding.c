/*
 * Each line is a field Accept-Encoding.  What is picked is at hand, and nothing at hand is liked
 * better; the lines as one list say the same.
 */
#include <stdlib.h>

#include "../../gateway/accept_encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 8, TEXT = 4096 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static size_t read_fields(struct slice text, struct field fields[FIELDS])
{
    size_t n = 0;

    while (text.n && n < FIELDS) {
        ssize_t nl = slice_find(text, '\n');
        size_t line = nl < 0 ? text.n : (size_t)nl;
        fields[n++] = (struct field){SLICE("Accept-Encoding"), slice_of(text.p, line)};
        text = slice_from(text, nl < 0 ? line : line + 1);
    }
    return n;
}

static void check_pick(const struct accept_encoding *a, unsigned offered)
{
    enum coding got = accept_encoding_pick(a, offered);

    check(got == CODING_IDENTITY || (offered & CODING_BIT(got)));
    for (unsigned c = 0; c < CODINGS; c++) {
        if (c == CODING_IDENTITY || (offered & CODING_BIT(c)))
            check(a->q[c] <= a->q[got]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct field fields[FIELDS];
    struct accept_encoding a, joined;
    char text[TEXT];
    size_t at = 0;

    if (size > TEXT - FIELDS)
        return 0;
    size_t n = read_fields(slice_of(data, size), fields);
    accept_encoding_read(fields, n, &a);
    for (unsigned offered = 0; offered < CODING_BIT(CODINGS); offered++)
        check_pick(&a, offered);
    for (unsigned c = 0; c < CODINGS; c++)
        check(a.q[c] <= 1000);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].value.n)
            memcpy(text + at, fields[i].value.p, fields[i].value.n);
        at += fields[i].value.n;
        text[at++] = ',';
    }
    fields[0] = (struct field){SLICE("accept-encoding"), slice_of(text, at)};
    accept_encoding_read(fields, n ? 1 : 0, &joined);
    check(memcmp(&a, &joined, sizeof(a)) == 0);
    return 0;
}
