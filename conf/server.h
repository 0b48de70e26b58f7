/*
 * conf/server.h - a server of a pool as the INI writes it: an address, and options behind
 * commas.
 *
 *     unix:/run/a.sock  10.0.0.7:9000,weight=2,max=8,backup  [::1]:9000,max=4
 *     app.example.org:9000  srv:_fcgi._tcp.app.example.org
 *
 * Threads  any
 */
#ifndef CONF_SERVER_H
#define CONF_SERVER_H

#include "conf.h"

enum { SERVER_WEIGHT_MAX = 1000, SERVER_MAX_MAX = 65535 };

/* NULL, or what is wrong; conf/value.h says how long that lives.  ret_server's text is in the
 * arena. */
const char *server_parse(struct arena *arena, struct slice word,
                         struct conf_address *ret_server);

#endif
