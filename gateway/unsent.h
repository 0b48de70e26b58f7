/*
 * gateway/unsent.h - names of programs, whose text is not sent as a file's.
 *
 * A script that lies where no route hands it to its pool would be shown with all that is in it:
 * passwords of databases, as a rule.  What ends as one of a list does (unsent), or as the scripts
 * of one of the site's pools do, is no file of a route to files.
 *
 *   of everything          with unsent = off
 *   of a type that is set  with type.EXT: whoever says what it is means to send it
 *   of *.EXT               that is to files: it was asked for by name
 *   of a filter            which answers in the file's place
 *   of internal routes     what an application hands out is its own business, unless the route
 *                          itself has unsent
 *
 * Threads  unsent_list: init.  unsent_is: any
 */
#ifndef GATEWAY_UNSENT_H
#define GATEWAY_UNSENT_H

#include "../conf/conf.h"
#include "slice.h"

/* What does not apply to route, a route of site to files, left out.  In a; -1 where memory is
 * out. */
int unsent_list(struct arena *a, const struct conf_site *site, const struct conf_route *route,
                const struct slice **ret_list, unsigned *ret_n);

/* Does file end as one of them?  Without case: a name may come from a file system without. */
bool unsent_is(const struct slice *list, unsigned n, struct slice file);

#endif
