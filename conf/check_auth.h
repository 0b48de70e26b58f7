/*
 * conf/check_auth.h - what the keys around auth and satisfy of a section say together.
 *
 * Threads  who reads the configuration, once everything is derived
 */
#ifndef CONF_CHECK_AUTH_H
#define CONF_CHECK_AUTH_H

#include "load.h"

void check_site_auth(struct load *l, const struct section *s, const struct conf_site *site);
void check_route_auth(struct load *l, const struct section *s, const struct conf_route *route);

#endif
