/*
 * conf/family.h - the families of keys that there are: what names and values each takes.
 *
 * Threads  any; constant
 */
#ifndef CONF_FAMILY_H
#define CONF_FAMILY_H

#include "schema.h"

extern const struct schema_family family_env; /* env.NAME: a variable's name, any value */
/* header.NAME: a field's name, what becomes of it (fields.h) */
extern const struct schema_family family_header;
/* expires.EXT: an extension, how long (fields.h) */
extern const struct schema_family family_expires;
/* error_page.404, error_page.5xx: elements are struct conf_error_page. */
extern const struct schema_family family_error_page;
/* type.EXT: an extension, a media type (media_type.h) */
extern const struct schema_family family_type;

#endif
