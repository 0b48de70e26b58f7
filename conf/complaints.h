/*
 * conf/complaints.h - everything that is wrong with a configuration, said at once and in the
 * order of the files, with the nearest known word.
 *
 * Shape    FILE:LINE: text; did you mean "X"?
 * Threads  one at a time
 * Memory   texts live in the arena; at most COMPLAINTS_MAX are kept, the rest are counted
 */
#ifndef CONF_COMPLAINTS_H
#define CONF_COMPLAINTS_H

#include <stdio.h>

#include "../gateway/arena.h"

enum { COMPLAINTS_MAX = 1000, COMPLAINT_TEXT_MAX = 1024, COMPLAINT_ECHO_MAX = 80 };

/* Where something is written.  line is 0 where there is nothing written. */
struct place {
    unsigned file; /* index of the file, in the order of reading */
    unsigned line;
};

struct complaint {
    struct place place;
    size_t seq; /* order of arrival, among those of one line */
    const char *text;
};

struct complaints {
    struct arena *arena;
    struct complaint *list;
    size_t n, cap;
    size_t n_more;  /* not kept */
    bool no_memory; /* something could not even be said */
};

void complain(struct complaints *c, struct place place, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Note that memory ran out; printed once. */
void complain_no_memory(struct complaints *c);

/* Print all of them, sorted; files[place.file] is the name of a file, name that of the whole.
 */
void complaints_print(struct complaints *c, const char *name, const char *const *files,
                      FILE *out);

/* Is one more not even worth a search for the nearest word? */
static inline bool complaints_full(const struct complaints *c)
{
    return c->n == COMPLAINTS_MAX;
}

static inline bool complaints_any(const struct complaints *c)
{
    return c->n || c->no_memory;
}

/* Of a text from a file as much as belongs into a message, for "%.*s". */
#define ECHO(s) (int)((s).n < COMPLAINT_ECHO_MAX ? (s).n : COMPLAINT_ECHO_MAX), (s).p

/*
 * The nearest of many words: try each, then take the text.  Nearest by the number of letters to
 * insert, remove, change or swap with their neighbour; near is up to a third of the length.
 */
struct nearest {
    struct slice given;
    struct slice best; /* p is NULL while there is none */
    unsigned distance;
};

struct nearest nearest_init(struct slice given);
void nearest_try(struct nearest *n, struct slice word);

/* "; did you mean \"X\"?" in the arena, or "". */
const char *nearest_text(const struct nearest *n, struct arena *arena);

#endif
