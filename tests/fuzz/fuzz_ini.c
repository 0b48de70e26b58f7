/*
 * Any text is read without a step out of it, and each value, written in one line, is read back as
 * it was.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../conf/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

/* "name = value" in line 2, where a byte order mark is a part of the name, read again. */
static void read_back(struct slice name, struct slice value)
{
    struct ini ini;
    struct ini_event again;
    size_t n = 1 + name.n + 3 + value.n;
    char *line = malloc(n + 1);

    if (!line)
        abort();
    snprintf(line, n + 1, "\n%.*s = %.*s", SLICE_FMT(name), SLICE_FMT(value));
    ini_init(&ini, slice_of(line, n));
    /* A value of several lines may be too long for one. */
    if (n - 1 <= INI_LINE_MAX) {
        enum ini_type type = ini_next(&ini, &again);
        assert(type == INI_KEY && slice_eq(again.name, name) && slice_eq(again.value, value));
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static char value[INI_VALUE_MAX];
    struct ini ini;
    struct ini_event e;
    unsigned line = 0;

    ini_init(&ini, slice_of(in, len));
    while (ini_next(&ini, &e) != INI_END) {
        assert(e.line > line);
        line = e.line;
        if (e.type == INI_KEY)
            read_back(e.name, slice_of(value, ini_unfold(e.value, value)));
    }
    return 0;
}
