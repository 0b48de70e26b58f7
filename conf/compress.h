/*
 * conf/compress.h - compression of responses as configured: compress and its companions.
 *
 * Threads  filled while the configuration is read, constant after
 */
#ifndef CONF_COMPRESS_H
#define CONF_COMPRESS_H

#include <stdbool.h>

#include "../gateway/slice.h"

/* The content codings we know (RFC 9110 8.4.1), those that make the least of a file first. */
enum coding { CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_IDENTITY, CODINGS };

struct conf_compress {
    enum coding order[CODINGS]; /* as preferred where the client does not care */
    unsigned n;                 /* 0: off */
    int level[CODINGS];         /* the library's own numbers */
    int64_t min;                /* bytes: smaller responses go out as they are */
    const struct slice *types;  /* media types, with * for any run of characters */
    unsigned n_types;
};

#endif
