/*
 * gateway/clients.h - what each client address has of the gateway: connections, requests at work,
 * resets, and what its given-up requests cost.  One account an address (IPv6: a /64), whatever
 * the number of its connections, so that spreading over many helps nobody.
 *
 * Limits   client_connections  over it a connection is closed when it is accepted: before TLS,
 *                              which is what a flood of connections would cost us
 *          client_requests     over it a request is answered by 429.  At work is what has a
 *                              complete head and no complete answer, and what was given up while
 *                              its application has not ended: who resets gets no further turn
 *                              before that
 *          client_resets       streams reset by the client or for a fault of its own, and
 *                              connections it closed with a request under way
 *          client_cost         application time of requests that the client gave up: all of it
 *                              if it waited for no answer, else from there to the end; the
 *                              script's CPU time if that is more
 * Barred   over client_resets or client_cost a client is barred until half the limit has run off
 *          again: its connections are closed when they are accepted, its requests answered by
 *          429, and an HTTP/2 connection on which it resets once more ends with
 *          ENHANCE_YOUR_CALM
 * Exempt   unix sockets and client_exempt.  A connection of a trusted proxy has no account; its
 *          requests are those of the client it speaks for
 * Errors   none but the limits: where the table has no place (accounts.h) there is no limit, and
 *          COUNTER_CLIENT_TABLE says so
 * Reload   the new gateway begins with an empty table; connections of the old one count there
 * Threads  any; an account's numbers are atomics
 * Cost     one look-up a connection; a request costs two relaxed additions on a line of its
 *          client's
 */
#ifndef GATEWAY_CLIENTS_H
#define GATEWAY_CLIENTS_H

#include "../conf/cidr.h"
#include "../conf/conf.h"
#include "accounts.h"

struct clients;
struct stream;

struct clients *clients_new(const struct conf_gateway *conf); /* NULL: out of memory */
void clients_free(struct clients *cs);

/* A connection of address comes.  0, and *ret is its account, or NULL if it has none; or
 * GW_ELIMIT_CONNECTIONS or GW_ELIMIT_BARRED, when it is to be closed. */
int clients_connect(struct clients *cs, const struct cidr_address *address, uint64_t now_ns,
                    struct account **ret);
void clients_disconnect(struct account *client); /* may be NULL */

/* Is address one of those without limits? */
bool clients_is_exempt(const struct clients *cs, const struct cidr_address *address);

/* The account of address for a request of it that came over somebody else's connection; NULL:
 * none.  The caller drops it. */
struct account *clients_find(struct clients *cs, const struct cidr_address *address,
                             uint64_t now_ns);

/* A request begins to be at work.  0; or GW_ELIMIT_REQUESTS or GW_ELIMIT_BARRED and
 * *ret_wait_s, for Retry-After: it does not.  client may not be NULL. */
int clients_begin(struct clients *cs, struct account *client, uint64_t now_ns,
                  unsigned *ret_wait_s);
void clients_end(struct account *client);

/* Did err come from the client's giving up, or from a fault of its own?  The second: or from
 * its taking, or sending, nothing any more? */
bool clients_is_reset(int err);
bool clients_is_given_up(int err);

/* A stream ended that way.  true: it is one too many, now or since a while. */
bool clients_reset(struct clients *cs, struct account *client, uint64_t now_ns);

/* A request that was given up is still at work: counted until clients_worked(). */
struct client_work;
struct client_work *clients_work(struct clients *cs, struct account *client, uint64_t since_ms);
/* Its application has ended: cpu_us is what its script used, 0 if that is not known or was
 * for an answer.  Frees work. */
void clients_worked(struct client_work *work, uint64_t now_ms, uint64_t cpu_us);

/* "192.0.2.1", "2001:db8:1:2::/64". */
enum { CLIENT_TEXT = CIDR_TEXT };
void client_text(const struct account *client, char out[CLIENT_TEXT]);

/* ---- for stream.c ---- */

/* s begins: its account is s->client.  As clients_begin. */
int clients_stream_begin(struct stream *s, unsigned *ret_wait_s);
/* s ended with err.  true: its connection is to be ended. */
bool clients_stream_end(struct stream *s, int err);

#endif
