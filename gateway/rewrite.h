/*
 * gateway/rewrite.h - the rules of rewrite of a site or route, run on a request's path.
 *
 * A pattern sees the settled path, decoded, with runs of slashes as one.  What a rule makes is
 * settled like a path from a client, so that no rule and no group leads above the root.  The
 * request's query is put behind the rule's own, but where the target ends in '?'.
 *
 * A match may cost REWRITE_MATCH_STEPS of PCRE2's and no more, so that no path burns CPU on a
 * pattern that goes back and forth: the request fails, is counted, and the log names the pattern.
 *
 * Threads  rewrite_new, _free: init.  rewrite_run: worker; the rules are constant
 * Memory   borrows from conf, which must outlive it
 */
#ifndef GATEWAY_REWRITE_H
#define GATEWAY_REWRITE_H

#include "../conf/rewrite.h"
#include "stream.h"

enum {
    REWRITE_MATCH_STEPS = 100000, /* milliseconds at most */
    REWRITE_MATCH_KIB = 1024,     /* of memory for what PCRE2's compiler could not take */
    REWRITE_ROUNDS_MAX = 10,      /* of one request */
};

struct rewrite;

/* NULL when memory is out. */
struct rewrite *rewrite_new(const struct conf_rewrite *rules, unsigned n);
void rewrite_free(struct rewrite *r);

enum rewrote {
    REWROTE_NOTHING,
    REWROTE_PATH, /* s->uri, and path and query of s->req, are new; s->req.target is the old one */
    REWROTE_OVER,     /* the same, and no rule of a route is looked at any more (break) */
    REWROTE_REDIRECT, /* *ret_status and *ret_location are set */
};

/* An enum rewrote; or GW_EREQ_PATH, GW_EVARS, GW_EREWRITE_MATCH, GW_ENO_MEMORY. */
int rewrite_run(const struct rewrite *r, struct stream *s, int *ret_status,
                struct slice *ret_location);

#endif
