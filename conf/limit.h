/*
 * conf/limit.h - what rate, requests_at_once and auth_failures say.
 *
 *     rate = 10/s burst 20             rate = 1000/h by user
 *     rate = 5/10s by field X-Api-Key  requests_at_once = 20 by address
 *     auth_failures = 10/m
 *
 * Threads  any
 */
#ifndef CONF_LIMIT_H
#define CONF_LIMIT_H

#include "../gateway/arena.h"

/* What requests are counted together; address unless said. */
enum conf_by { CONF_BY_ADDRESS, CONF_BY_USER, CONF_BY_FIELD, CONF_BY_ALL };

struct conf_limit {
    struct slice text; /* as written */
    enum conf_by by;
    struct slice field; /* CONF_BY_FIELD: its name */
    unsigned n;         /* requests; 0: off, which stands alone */
    int64_t per_ms;     /* rate: n in so much time, and */
    unsigned burst;     /* so many more at once; n - 1 unless said: n at once */
};

enum { LIMIT_MOST = 1000000 }; /* of all numbers */

/* text as the INI has it.  NULL, or what is wrong: a constant. */
const char *limit_parse_rate(struct slice text, struct conf_limit *ret);
const char *limit_parse_at_once(struct slice text, struct conf_limit *ret);
/* NUMBER/TIME or off: of failures, which have no burst beside and are always by address. */
const char *limit_parse_failures(struct slice text, struct conf_limit *ret);

#endif
