/*
 * conf/derive_files.h - how files are found, named and sent: try, charset, precompressed, from
 * the words of a section to what is looked at for a request.
 *
 * Result   complaints in l->bad
 * Threads  one
 */
#ifndef CONF_DERIVE_FILES_H
#define CONF_DERIVE_FILES_H

#include "load.h"

/* site: the section's, copied already. */
void derive_files_site(struct load *l, const struct section *s, const struct schema_site *read,
                       struct conf_site *site);

/* What the route does not say is the site's.  s and read are NULL for a route that nobody wrote.
 */
void derive_files_route(struct load *l, const struct section *s,
                        const struct schema_route *read, struct conf_route *route,
                        const struct conf_site *site);

#endif
