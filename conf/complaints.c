#include "complaints.h"

#include <stdarg.h>
#include <stdlib.h>

enum { NEAREST_WORD_MAX = 64 };

void complain_no_memory(struct complaints *c)
{
    c->no_memory = true;
}

void complain(struct complaints *c, struct place place, const char *fmt, ...)
{
    char text[COMPLAINT_TEXT_MAX];
    va_list ap;

    if (complaints_full(c)) {
        c->n_more++;
        return;
    }
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct complaint *list = arena_grow(c->arena, c->list, c->n, &c->cap, sizeof(*list));
    if (list)
        c->list = list;
    struct slice copy = arena_dup(c->arena, slice_str(n < 0 ? fmt : text));
    if (!list || !copy.p) {
        complain_no_memory(c);
        return;
    }
    c->list[c->n] = (struct complaint){place, c->n, copy.p};
    c->n++;
}

static int order(const void *left, const void *right)
{
    const struct complaint *a = left, *b = right;

    if (a->place.file != b->place.file)
        return a->place.file < b->place.file ? -1 : 1;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    return a->seq < b->seq ? -1 : 1;
}

void complaints_print(struct complaints *c, const char *name, const char *const *files,
                      FILE *out)
{
    if (c->n)
        qsort(c->list, c->n, sizeof(*c->list), order);
    for (size_t i = 0; i < c->n; i++) {
        const struct complaint *it = &c->list[i];
        fprintf(out, "%s:%u: %s\n", files[it->place.file], it->place.line, it->text);
    }
    if (c->n_more)
        fprintf(out, "%s: and %zu more\n", name, c->n_more);
    if (c->no_memory)
        fprintf(out, "%s: out of memory\n", name);
}

struct nearest nearest_init(struct slice given)
{
    unsigned limit = given.n < 3 ? 1 : (unsigned)(given.n / 3);

    /* Words longer than any of ours resemble nothing. */
    if (given.n == 0 || given.n > NEAREST_WORD_MAX)
        limit = 0;
    return (struct nearest){.given = given, .distance = limit + 1};
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: three rows of the matrix are all it needs.  a and b hold at most
 * NEAREST_WORD_MAX bytes. */
static unsigned distance(struct slice a, struct slice b)
{
    unsigned rows[3][NEAREST_WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (unsigned j = 0; j <= b.n; j++)
        last[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned change = a.p[i - 1] != b.p[j - 1];
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        unsigned *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b.n];
}

void nearest_try(struct nearest *n, struct slice word)
{
    size_t apart = word.n > n->given.n ? word.n - n->given.n : n->given.n - word.n;

    if (apart > n->distance || word.n > NEAREST_WORD_MAX || n->given.n > NEAREST_WORD_MAX)
        return;
    unsigned d = distance(n->given, word);
    /* Of two equally near words the one that was begun: "of" is "off" and not "on". */
    if (d < n->distance || (d == n->distance && n->best.p && slice_starts(word, n->given))) {
        n->distance = d;
        n->best = word;
    }
}

const char *nearest_text(const struct nearest *n, struct arena *arena)
{
    if (!n->best.p)
        return "";
    const char *text = arena_printf(arena, "; did you mean \"%.*s\"?", SLICE_FMT(n->best)).p;
    return text ? text : "";
}
