/*
 * gateway/mime.h - media types by file name extension.
 *
 * The system's table (/etc/mime.types) read once, over a small one of ours for machines without
 * it.  Types that cannot say their own encoding (text/plain, text/css, text/javascript,
 * text/markdown ...) get "; charset=utf-8"; text/html and text/xml do not, since a field would
 * override what the document says of itself and break old pages in other encodings.
 *
 * Threads  mime_new, _free: init.  mime_find: any; the table is constant
 */
#ifndef GATEWAY_MIME_H
#define GATEWAY_MIME_H

#include "slice.h"

struct mime;

#define MIME_SYSTEM_FILE "/etc/mime.types"

/* path may name a file that is not there: then only our table counts.  NULL: out of memory. */
struct mime *mime_new(const char *path);
void mime_free(struct mime *m);

/* The type of a file by its name; application/octet-stream for an unknown one, so that no
 * client guesses that an upload is HTML.  Lives as long as m. */
struct slice mime_find(const struct mime *m, struct slice file);

/* What follows the last dot of a file's name; n = 0: ".profile" and the like have none. */
struct slice mime_extension(struct slice file);

/* Does a document of that type say its own encoding? */
bool mime_says_charset(struct slice type);

#endif
