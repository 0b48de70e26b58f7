/*
 * conf/ini.h - the lines of an INI file as events.  Pure: no I/O, no allocation, no clock.
 *
 * Shape    key = value       the value is what follows the first '=', spaces at its ends cut
 *          [kind rest]       '[' is the first byte of the line, ']' the last
 *          ; text, # text    a comment: the first byte of the line says so, nothing else does
 *          (space) text      continues the value of the line above it
 *          An empty line or a comment ends a value.  Lines end in LF or CR LF, the last one may
 *          lack it; a UTF-8 byte order mark at the front is skipped.
 * Result   one event a call; after an INI_ERROR the next call goes on behind the bad line
 * Threads  any
 * Memory   all slices point into the text
 */
#ifndef CONF_INI_H
#define CONF_INI_H

#include "../gateway/slice.h"

enum {
    INI_LINE_MAX = 16 * 1024,  /* bytes of one line without its end */
    INI_VALUE_MAX = 64 * 1024, /* bytes of a value over all its lines, as written */
};

enum ini_type { INI_END, INI_SECTION, INI_KEY, INI_ERROR };

struct ini_event {
    enum ini_type type;
    unsigned line;      /* from 1; of a value over several lines: the first */
    struct slice name;  /* INI_SECTION: its kind.  INI_KEY: what is before the '=' */
    struct slice value; /* INI_SECTION: the rest.  INI_KEY: as written, see ini_unfold */
    const char *error;  /* INI_ERROR: what is wrong, a constant */
    bool header;        /* INI_ERROR: the line began with '[', so a section did end here */
};

struct ini {
    struct slice rest; /* not read yet */
    unsigned line;     /* lines read */
    bool after_error;  /* an indented line belongs to a line that was refused: drop it */
};

void ini_init(struct ini *ini, struct slice text);

/* The type of the event, which is in *ret_event (not for INI_END). */
enum ini_type ini_next(struct ini *ini, struct ini_event *ret_event);

/* The value of an INI_KEY with each line break and the spaces around it made one space.  out
 * has room for value.n bytes, which is always enough; returns the number written. */
size_t ini_unfold(struct slice value, char *out);

#endif
