#include "lines.h"

void lines_init(struct lines *l, void (*line)(void *user, struct slice text), void *user)
{
    l->len = 0;
    l->last[0] = '\0';
    l->line = line;
    l->user = user;
}

static void note_last(struct lines *l, struct slice text)
{
    size_t n = text.n < sizeof l->last ? text.n : sizeof l->last - 1;

    memcpy(l->last, text.p, n);
    l->last[n] = '\0';
}

static void emit(struct lines *l, struct slice text)
{
    if (text.n && text.p[text.n - 1] == '\r')
        text.n--;
    if (slice_trim(text).n == 0)
        return;
    note_last(l, text);
    l->line(l->user, text);
}

void lines_flush(struct lines *l)
{
    size_t n = l->len;

    l->len = 0;
    emit(l, slice_of(l->text, n));
}

/* Append up to what fits; how much that was. */
static size_t gather(struct lines *l, struct slice part)
{
    size_t room = LINES_MAX - l->len;
    size_t n = part.n < room ? part.n : room;

    if (n)
        memcpy(l->text + l->len, part.p, n);
    l->len += n;
    return n;
}

void lines_feed(struct lines *l, struct slice in)
{
    while (in.n) {
        ssize_t newline = slice_find(in, '\n');
        size_t part = newline < 0 ? in.n : (size_t)newline;
        size_t taken = gather(l, slice_of(in.p, part));

        in = slice_from(in, taken);
        if (taken == part && newline >= 0) {
            lines_flush(l);
            in = slice_from(in, 1);
        } else if (l->len == LINES_MAX && in.n) {
            lines_flush(l);
        }
    }
}
