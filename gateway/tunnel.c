#include "tunnel.h"

#include "conn.h"
#include "counters.h"

int tunnel_open(struct stream *s, const struct response *r, int64_t timeout_ms)
{
    struct tunnel *t = arena_zalloc(&s->arena, sizeof(*t));

    loop_assert_owner(s->loop);
    if (!t)
        return GW_ENO_MEMORY;
    t->timeout_ms = (uint64_t)timeout_ms;
    t->moved_ms = loop_now_ms(s->loop);
    s->tunnel = t;
    s->body_limit = 0; /* it was for a request */
    stream_wait_body(s, false);
    int rc = stream_send_head(s, r);
    if (rc == 0)
        timer_set(s->loop, &s->conn->timer, 1); /* it may be due sooner than that knows */
    return rc;
}

/* The application hears that the client has ended, and ends of its own. */
static void end_input(struct stream *s)
{
    s->tunnel->ended = true;
    if (s->in_eof)
        return;
    stream_discard_body(s);
    s->in_eof = true;
    if (s->handler && s->handler->body)
        s->handler->body(s);
}

static void time_out(struct stream *s)
{
    struct slice why = arena_printf(&s->arena, "websocket_timeout=%llums",
                                    (unsigned long long)s->tunnel->timeout_ms);

    counter_add(COUNTER_WEBSOCKET_TIMEOUT);
    if (why.p)
        s->err_why = why;
    stream_give_up(s, GW_EWEBSOCKET_IDLE);
}

/* false, with *next lowered to it, as long as at has not come. */
static bool due(uint64_t now, uint64_t at, uint64_t *next)
{
    if (at > now && at < *next)
        *next = at;
    return at <= now;
}

void tunnel_look(struct stream *s, uint64_t out, uint64_t now_ms, uint64_t *next)
{
    struct tunnel *t = s->tunnel;
    uint64_t moved = s->in_total + out;

    if (moved != t->moved) {
        t->moved = moved;
        t->moved_ms = now_ms;
    }
    if (due(now_ms, t->moved_ms + t->timeout_ms, next)) {
        time_out(s);
        return;
    }
    if (!conn_draining(s->conn) || t->ended)
        return;
    if (!t->drains_ms)
        t->drains_ms = now_ms;
    if (due(now_ms, t->drains_ms + (uint64_t)conn_limits(s->conn)->drain_timeout_ms / 2, next))
        end_input(s);
}
