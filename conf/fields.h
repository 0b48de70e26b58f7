/*
 * conf/fields.h - what a site or route says of the fields of its responses: header.NAME, expires,
 * expires.EXT, hsts.
 *
 * Result   NULL, or what is wrong as one line, in the arena or a constant (value_no_memory where
 *          memory is out)
 * Threads  one at a time
 * Memory   in the arena
 */
#ifndef CONF_FIELDS_H
#define CONF_FIELDS_H

#include "conf.h"
#include "vars.h"

enum conf_header_action {
    CONF_HEADER_OFF,     /* nothing: the site's rule is not the route's */
    CONF_HEADER_SET,     /* in place of those of the name */
    CONF_HEADER_ADD,     /* beside them */
    CONF_HEADER_DEFAULT, /* if there is none */
    CONF_HEADER_REMOVE,
};

struct conf_header {
    struct conf_pair pair; /* name as written */
    enum conf_header_action action;
    bool always; /* with statuses from 400 on too */
    const struct vars *value;
};

struct conf_expires_ext {
    struct conf_pair pair; /* name: extension in lower case, without its dot */
    struct conf_expires expires;
};

/* header.NAME = [always] [set | add | default | remove | off] VALUE: fills a struct conf_header. */
const char *fields_parse_header(struct arena *arena, struct conf_pair *pair);

/* expires.EXT = as expires: fills a struct conf_expires_ext. */
const char *fields_parse_expires_ext(struct arena *arena, struct conf_pair *pair);

/* off | epoch | max | no-cache | no-store | AGE [public] [private] [immutable] [must-revalidate] */
const char *fields_parse_expires(struct arena *arena, struct slice text,
                                 struct conf_expires *ret);

/* off | AGE [includeSubDomains] [preload]; the field's value, empty for off. */
const char *fields_parse_hsts(struct arena *arena, struct slice text, struct slice *ret_value);

#endif
