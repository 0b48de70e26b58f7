#include "runner_body.h"

#include <errno.h>
#include <unistd.h>

enum { STEPS_MAX = 16 };

void runner_body_init(struct runner_body *b, struct runner_conn *c, int fd)
{
    *b = (struct runner_body){.c = c, .fd = fd, .pipe_ready = true};
}

void runner_body_close(struct runner_body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
}

/* The run of body at hand into the pipe; false if the pipe is full. */
static bool write_body(struct runner_body *b)
{
    struct slice *body = &b->c->body;

    if (b->fd < 0) {
        *body = slice_of(NULL, 0);
        return true;
    }
    if (!b->pipe_ready)
        return false;
    ssize_t n = write(b->fd, body->p, body->n);
    if (n > 0)
        *body = slice_from(*body, (size_t)n);
    else if (n < 0 && errno == EAGAIN)
        b->pipe_ready = false;
    else if (n < 0 && errno != EINTR)
        runner_body_close(b); /* EPIPE */
    return b->pipe_ready;
}

static bool is_direct(const struct runner_body *b)
{
    return b->fd >= 0 && b->c->body.n == 0 && runner_conn_can_splice(b->c);
}

/* The three ways of a step. */
enum step { STEP_DONE, STEP_WAIT, STEP_BROKEN };

/* More bytes from the socket, into the input or straight into the pipe. */
static enum step fill(struct runner_body *b)
{
    bool direct = is_direct(b);

    if (!b->conn_ready || (direct && !b->pipe_ready))
        return STEP_WAIT;
    ssize_t n = direct ? runner_conn_splice(b->c, b->fd) : runner_conn_fill(b->c);
    if (n > 0) {
        b->conn_ready = direct; /* after a read poll tells whether there is more */
        return STEP_DONE;
    }
    if (n == -EAGAIN) { /* of a splice: one of the two is not ready, poll tells which */
        b->conn_ready = false;
        b->pipe_ready = !direct;
        return STEP_WAIT;
    }
    if (n == -EPIPE && direct) {
        runner_body_close(b);
        return STEP_DONE;
    }
    return STEP_BROKEN;
}

enum runner_event runner_body_pump(struct runner_body *b)
{
    b->more = false;
    for (int i = 0; i < STEPS_MAX; i++) {
        if (b->c->body.n) {
            if (!write_body(b))
                return RUNNER_MORE;
            continue;
        }
        enum runner_event event = runner_conn_next(b->c);
        if (event == RUNNER_BODY_END) {
            runner_body_close(b);
        } else if (event == RUNNER_MORE) {
            enum step step = fill(b);
            if (step != STEP_DONE)
                return step == STEP_WAIT ? RUNNER_MORE : RUNNER_BROKEN;
        } else if (event != RUNNER_BODY) {
            /* A second head cannot come while a request is under way. */
            return event == RUNNER_ABORT ? RUNNER_ABORT : RUNNER_BROKEN;
        }
    }
    b->more = true;
    return RUNNER_MORE;
}

bool runner_body_wants_conn(const struct runner_body *b)
{
    return b->c->body.n == 0 && !b->conn_ready;
}

bool runner_body_wants_pipe(const struct runner_body *b)
{
    return b->fd >= 0 && !b->pipe_ready && (b->c->body.n > 0 || is_direct(b));
}
