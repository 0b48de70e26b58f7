/*
 * gateway/auth_guess.h - wrong passwords, by client address and file: what each costs, and when
 * there are no more.
 *
 * Whose    an address (IPv6: a /64), for each auth_file apart.  Not a user's: who guesses at one
 *          from many addresses could lock him out, and would not be stopped by less
 * Costs    the first is answered at once, for whoever mistyped; each further one of auth_failures
 *          later than the one before, up to four seconds; over it 429 with Retry-After, and the
 *          password is not looked at.  An attempt counts until it was right, so that many at once
 *          do not get in before the first is known to be wrong
 * Right    the first right password in a day ends the count; later ones of the same do not, or
 *          who has one account could buy guesses at others by it.  Nor are they ever refused here:
 *          nobody behind the same address locks out who was in today
 * Exempt   client_exempt, trusted proxies, unix sockets: no account, no limit
 * Log      one line for each wrong password: WARN, "client=ADDRESS:PORT ... EUNAUTHORIZED", user,
 *          site, realm, how many; never the password
 * Threads  worker
 */
#ifndef GATEWAY_AUTH_GUESS_H
#define GATEWAY_AUTH_GUESS_H

#include "stream.h"

struct account;
struct guesses;

struct guesses *guesses_new(const struct conf_gateway *conf); /* NULL: out of memory */
void guesses_free(struct guesses *g);

/* One attempt; zeroed: none. */
struct guess {
    struct account *account; /* held; NULL: there is none */
    bool counts;             /* in it; false: it is another request's, with the same password */
};

/* s's client tries a password for the file called of (its address is its name).  0, and one of
 * the other three ends *ret; or GW_EAUTH_GUESSES and *ret_wait_s.  The second: beside another
 * attempt with the same. */
int guesses_begin(struct guesses *g, struct stream *s, const void *of, struct guess *ret,
                  unsigned *ret_wait_s);
void guesses_join(struct guesses *g, const struct stream *s, const void *of, struct guess *ret);

/* It was right; or not looked at after all. */
void guesses_right(struct guess *guess);
void guesses_undo(const struct guesses *g, struct guess *guess);

/* It was wrong, which is logged if it counts.  How long to wait before saying so, ms. */
uint64_t guesses_wrong(struct guesses *g, const struct stream *s, struct guess *guess,
                       struct slice user, const char *realm);

/* n: the how manieth it is. */
uint64_t guesses_delay_ms(uint64_t n);

#endif
