/*
 * gateway/listing.h - answers with what is in a folder (listing = on).
 *
 * Bounds   at most LISTING_MOST entries are read and shown, with a word that there are more; the
 *          page is written a piece at a time, as the client takes it
 * Threads  worker; folder and entries are read by a job of the writer threads, so that a large or
 *          cold one holds nobody up
 */
#ifndef GATEWAY_LISTING_H
#define GATEWAY_LISTING_H

#include "router.h"

enum { LISTING_MOST = 10000 };

struct listing_ask {
    struct slice root;     /* absolute, NUL-terminated; outlives the stream, as the routes do */
    struct slice rel;      /* the folder below it */
    struct slice path;     /* as the client sees it: settled, with its last slash */
    enum conf_links links; /* what is behind a link that these forbid is not shown */
    bool hidden;           /* names that begin with a dot are shown */
    bool welcome;          /* h2cgi serve's first page */
};

/* Answer GET and HEAD with the folder, other methods with 405.  Slices are of the stream's arena
 * or of the routes. */
void listing_start(struct stream *s, const struct listing_ask *ask);

#endif
