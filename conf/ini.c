#include "ini.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

void ini_init(struct ini *ini, struct slice text)
{
    if (slice_starts(text, SLICE("\xEF\xBB\xBF")))
        text = slice_from(text, 3);
    *ini = (struct ini){.rest = text};
}

/* The line at the front of rest, without its end.  Returns the bytes it takes with its end. */
static size_t line_peek(struct slice rest, struct slice *ret_line)
{
    ssize_t lf = slice_find(rest, '\n');
    struct slice line = slice_of(rest.p, lf < 0 ? rest.n : (size_t)lf);
    size_t taken = lf < 0 ? rest.n : (size_t)lf + 1;

    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    *ret_line = line;
    return taken;
}

/* What forbids any use of the line, or NULL.  Bytes over 0x7f pass: paths may hold them. */
static const char *line_error(struct slice line)
{
    if (line.n > INI_LINE_MAX)
        return "line longer than 16384 bytes";
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if (c == '\0')
            return "NUL byte in the line";
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "control byte in the line";
    }
    return NULL;
}

static enum ini_type event_error(struct ini *ini, struct ini_event *e, const char *text)
{
    e->type = INI_ERROR;
    e->error = text;
    ini->after_error = true;
    return INI_ERROR;
}

static enum ini_type read_section(struct ini *ini, struct slice line, struct ini_event *e)
{
    e->header = true;
    line = slice_trim(line);
    if (line.n < 2 || line.p[line.n - 1] != ']')
        return event_error(ini, e, "section without ']' at the end of the line");

    struct slice inner = slice_trim(slice_of(line.p + 1, line.n - 2));
    size_t n = 0;
    while (n < inner.n && !is_blank(inner.p[n]))
        n++;
    if (n == 0)
        return event_error(ini, e, "section without a name");
    e->type = INI_SECTION;
    e->name = slice_of(inner.p, n);
    e->value = slice_trim(slice_from(inner, n));
    return INI_SECTION;
}

/* Take the indented lines that follow, and return value up to the end of the last of them.  A
 * line that line_error refuses is left to be reported by itself. */
static struct slice take_folds(struct ini *ini, struct slice value)
{
    struct slice line;

    while (ini->rest.n) {
        size_t taken = line_peek(ini->rest, &line);
        struct slice text = slice_trim(line);
        if (text.n == 0 || !is_blank(line.p[0]) || line_error(line))
            break;
        value.n = (size_t)(text.p + text.n - value.p);
        ini->rest = slice_from(ini->rest, taken);
        ini->line++;
    }
    return value;
}

static enum ini_type read_key(struct ini *ini, struct slice line, struct ini_event *e)
{
    ssize_t eq = slice_find(line, '=');
    if (eq < 0)
        return event_error(ini, e, "neither \"key = value\", nor a [section], nor a comment");
    struct slice name = slice_trim(slice_of(line.p, (size_t)eq));
    if (name.n == 0)
        return event_error(ini, e, "no key before the '='");

    struct slice value = take_folds(ini, slice_trim(slice_from(line, (size_t)eq + 1)));
    if (value.n > INI_VALUE_MAX)
        return event_error(ini, e, "value longer than 65536 bytes");
    e->type = INI_KEY;
    e->name = name;
    e->value = value;
    return INI_KEY;
}

enum ini_type ini_next(struct ini *ini, struct ini_event *ret_event)
{
    struct slice line;

    while (ini->rest.n) {
        ini->rest = slice_from(ini->rest, line_peek(ini->rest, &line));
        *ret_event = (struct ini_event){.line = ++ini->line};

        const char *error = line_error(line);
        if (error) {
            ret_event->header = line.n && line.p[0] == '[';
            return event_error(ini, ret_event, error);
        }
        if (line.n && is_blank(line.p[0]) && slice_trim(line).n) {
            if (ini->after_error)
                continue;
            return event_error(ini, ret_event,
                               "indented line with no value above it to continue");
        }
        ini->after_error = false;
        if (slice_trim(line).n == 0 || line.p[0] == ';' || line.p[0] == '#')
            continue;
        return line.p[0] == '[' ? read_section(ini, line, ret_event)
                                : read_key(ini, line, ret_event);
    }
    return INI_END;
}

size_t ini_unfold(struct slice value, char *out)
{
    struct slice line;
    size_t n = 0;

    while (value.n) {
        value = slice_from(value, line_peek(value, &line));
        line = slice_trim(line);
        if (line.n == 0)
            continue;
        if (n)
            out[n++] = ' ';
        memcpy(out + n, line.p, line.n);
        n += line.n;
    }
    return n;
}
