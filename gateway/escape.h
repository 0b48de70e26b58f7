/*
 * gateway/escape.h - bytes that strangers chose, as text of a page: names of files, paths.  Pure.
 *
 * What is not UTF-8 (RFC 3629: overlong, surrogates, beyond U+10FFFF) and, in HTML and plain text,
 * control characters are U+FFFD each, so that a page is always well-formed and no name can write
 * a line or turn the direction of the text around it.
 *
 * Result   0 or GW_ENO_MEMORY
 * Threads  any
 */
#ifndef GATEWAY_ESCAPE_H
#define GATEWAY_ESCAPE_H

#include "buf.h"

int escape_html(struct buf *out, struct slice text); /* in text and in quoted attributes */
int escape_json(struct buf *out, struct slice text); /* in a string, RFC 8259 7 */
int escape_text(struct buf *out, struct slice text); /* plain text: a line stays one */

/* One segment of a path as a URL has it: all but unreserved characters (RFC 3986 2.3) is
 * %-encoded, byte by byte, so that any name comes back as it is. */
int escape_segment(struct buf *out, struct slice name);

#endif
