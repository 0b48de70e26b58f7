/*
 * Any text is a configuration or gives at least one error, each with its place.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    char *errors = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&errors, &n);
    struct conf_source source = {"x", slice_of(len ? (const char *)in : "", len), true};

    if (!out)
        abort();
    struct conf *conf = conf_read(&source, out);
    fclose(out);
    assert(conf ? n == 0 : n > 2 && errors[0] == 'x' && errors[1] == ':');
    conf_free(conf);
    free(errors);
    return 0;
}
