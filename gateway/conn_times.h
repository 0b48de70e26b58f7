/*
 * gateway/conn_times.h - how long a connection and its streams may take.
 *
 * One timer a connection, looked at every worker->tick_ms or at the nearest deadline: handshake,
 * head, request body, response body, idle, lingering.  No deadline is set or cleared when bytes
 * move; the times they moved at are noted and compared.
 *
 * Units    milliseconds
 * Threads  worker
 */
#ifndef GATEWAY_CONN_TIMES_H
#define GATEWAY_CONN_TIMES_H

#include "conn.h"

enum { LINGER_SILENCE_MS = 5000 }; /* RFC 9112 9.6; nginx's lingering_timeout */

void conn_timer_fn(struct loop *l, struct timer *t);

#endif
