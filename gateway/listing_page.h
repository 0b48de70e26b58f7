/*
 * gateway/listing_page.h - what a folder looks like to a client: HTML, JSON or plain text, a
 * piece at a time.  Pure.
 *
 * Result   0 or GW_ENO_MEMORY
 * Threads  any
 */
#ifndef GATEWAY_LISTING_PAGE_H
#define GATEWAY_LISTING_PAGE_H

#include "buf.h"

enum listing_form { LISTING_HTML, LISTING_JSON, LISTING_TEXT };
enum listing_sort { LISTING_NAME, LISTING_SIZE, LISTING_DATE };

struct listing_entry {
    char *name;    /* any bytes but '/' */
    int64_t size;  /* bytes; of files */
    int64_t mtime; /* seconds since 1970 */
    bool is_folder;
};

/* What h2cgi serve tells a first visitor, above the listing. */
struct listing_welcome {
    struct slice protocol; /* "HTTP/2 over TLS" */
    struct slice other;    /* the other port's address, a URL; empty: none */
    char **scripts;        /* names of what is in cgi-bin and can be run */
    size_t n_scripts;
};

struct listing_page {
    struct slice path; /* of the folder: settled, decoded, with its last slash */
    enum listing_sort sort;
    bool descending;
    bool complete; /* false: there are more than entries has */
    const struct listing_entry *entries;
    size_t n_entries;
    const struct listing_welcome *welcome; /* NULL: none */
};

/* From the query: sort=name|size|date, order=asc|desc; what else there is means nothing. */
void listing_page_order(struct slice query, enum listing_sort *ret_sort, bool *ret_descending);

/* qsort's comparison for a page's order: folders first. */
int listing_page_compare(const struct listing_page *p, const struct listing_entry *a,
                         const struct listing_entry *b);

/* Content-Type; static. */
struct slice listing_page_type(enum listing_form form);

/* Append to out what stands before the entries, entry i of p, and what stands behind them.  Names
 * and paths are escaped (escape.h). */
int listing_page_begin(struct buf *out, const struct listing_page *p, enum listing_form form);
int listing_page_entry(struct buf *out, const struct listing_page *p, enum listing_form form,
                       size_t i);
int listing_page_end(struct buf *out, const struct listing_page *p, enum listing_form form);

#endif
