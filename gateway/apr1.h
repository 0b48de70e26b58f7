/*
 * gateway/apr1.h - Apache's own password hash: MD5, a thousand times.  Pure.
 *
 * Shape    $apr1$SALT$HASH: up to 8 characters of salt, 22 of hash
 * Why      htpasswd wrote it for twenty years unless told otherwise, so files are full of it.  It
 *          is weak against who has the file; new files are better made with htpasswd -B
 * Threads  any; it takes about a millisecond
 * Source   Apache's apr_md5.c, apr_md5_encode; Poul-Henning Kamp's md5crypt with another name.
 *          libcrypt has the latter only, and the name goes into the hash
 */
#ifndef GATEWAY_APR1_H
#define GATEWAY_APR1_H

#include "slice.h"

enum { APR1_SALT_MAX = 8, APR1_HASH = 22, APR1_TEXT = 6 + APR1_SALT_MAX + 1 + APR1_HASH + 1 };

/* Does text look like one? */
bool apr1_is(struct slice text);

/* The hash of password with the salt of setting, which begins as one: written to out as text
 * with a NUL.  false: it is none, or the library has no MD5 (a FIPS provider). */
bool apr1_crypt(struct slice setting, const char *password, char out[APR1_TEXT]);

#endif
