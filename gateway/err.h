/*
 * gateway/err.h - the one table of failures (tbl/errors.def) as an enum and its readers.
 *
 * Result   functions that can fail return 0 or a negative enum gw_err
 * Threads  any
 */
#ifndef GATEWAY_ERR_H
#define GATEWAY_ERR_H

enum gw_err {
    GW_OK = 0,
#define GW_ERR(sym, val, status, text) GW_##sym = -(val),
#include "tbl/errors.def"
#undef GW_ERR
};

/* HTTP status to answer err with; 0 where nobody is left to answer, 500 for an unknown value.
 */
int gw_err_status(int err);

/* The symbol without its prefix ("EPOOL_FULL"), and the text for the log. */
const char *gw_err_name(int err);
const char *gw_err_text(int err);

#endif
