/*
 * gateway/error_redirect.h - error_page: an error is answered by something of the site's own.
 *
 * The request becomes a GET (a HEAD stays one) of the page, which the router gives to whoever
 * answers there: files or a pool.  What comes back with a status of 2xx gets that of the error
 * and the fields that belong to it.  Bounded: an error on the way to a page is answered with the
 * built-in page of the first error.
 *
 * Threads  worker
 * Memory   in the stream's arena
 */
#ifndef GATEWAY_ERROR_REDIRECT_H
#define GATEWAY_ERROR_REDIRECT_H

#include "stream.h"

/* What is being answered with a page: s->error. */
struct error_answer {
    int of;                     /* the error's status */
    int status;                 /* in place of the page's 2xx; 0: the page's own */
    const struct field *fields; /* of the error */
    size_t n_fields;
    struct slice method, path, query, user; /* what was asked for, by whom: REDIRECT_* */
};

/* Does the site or the route have a page for status?  Without one, or where s is already on the
 * way to one, false. */
bool error_redirect_has(const struct stream *s, int status);

/*
 * Answer status with its page; fields are the error's own (WWW-Authenticate, Retry-After ...),
 * whose names and values live as long as s.  s has no handler; it may have another one when
 * this returns, or be answered.  false: there is no page, and nothing was done.
 */
bool error_redirect(struct stream *s, int status, const struct field *fields, size_t n_fields);

/* Of an application's answer that is intercepted: does the field belong to its status, and not to
 * its body? */
bool error_redirect_keeps(struct slice name);

/* Put the error's status and fields on the head of its page.  0 or GW_ENO_MEMORY. */
int error_answer_apply(struct arena *a, const struct error_answer *e, struct slice id,
                       struct response *r);

#endif
