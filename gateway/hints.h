/*
 * gateway/hints.h - early hints: Link fields in a 103 while the application works.
 *
 * early_hint = LINK: those of the route, as they are written.  early_hints = learn: what earlier
 * answers of a path asked the client to load (Link: </style.css>; rel=preload).
 *
 * Learned    from answers with 200 to GET: links with rel preload, modulepreload or preconnect,
 *            the first HINTS_LINKS of them.  An answer without one makes the path forgotten.
 *            Answers to somebody in particular (Authorization, REMOTE_USER; Cache-Control
 *            private or no-store) teach nothing, nor does an application that sends 103 itself
 * Key        site, scheme, host and path, without the query
 * Limits     HINTS_BYTES for all paths together, of which the one longest unused goes first
 * Sent       once a request, to GET over HTTP/2.  Not over HTTP/1.1, where some clients take an
 *            unasked interim answer for the answer; nor where Sec-Fetch-Mode says that it is no
 *            page that is loaded: browsers heed them for pages only
 *
 * Threads  worker
 * Source   RFC 8297; RFC 8288 3 for Link
 */
#ifndef GATEWAY_HINTS_H
#define GATEWAY_HINTS_H

#include "stream.h"

struct answer_cache;

enum { HINTS_BYTES = 4 * 1024 * 1024, HINTS_LINKS = 16, HINTS_LINK_MAX = 1024 };

/* The request goes to an application: send what its route names, and what is known of its path;
 * known NULL: that is not asked. */
void hints_send(struct stream *s, struct answer_cache *known);

/* Its answer. */
void hints_learn(struct stream *s, struct answer_cache *known, const struct response *r);

/* Cut the next link-value off a Link field's value: "</a>; rel=preload; as=style".  false at
 * the end, or at what is none. */
bool hints_link_next(struct slice *list, struct slice *ret_link);

/* Is it for loading early? */
bool hints_link_is_early(struct slice link);

/* Is it for loading early, and may it be pushed (rel=preload without nopush)? */
bool hints_link_is_push(struct slice link);

/* What stands between < and >. */
struct slice hints_link_target(struct slice link);

#endif
