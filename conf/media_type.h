/*
 * conf/media_type.h - what type.EXT takes.
 *
 * Threads  any
 * Source   RFC 9110 8.3.1
 */
#ifndef CONF_MEDIA_TYPE_H
#define CONF_MEDIA_TYPE_H

#include "conf.h"

/* Of an extension and a media type: NULL, or what is wrong (schema.h, struct schema_family). */
const char *media_type_parse(struct arena *arena, struct conf_pair *pair);

#endif
