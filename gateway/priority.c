#include "priority.h"

/* What a member's value was, of the types that matter; all others are skipped. */
struct item {
    enum { ITEM_INTEGER, ITEM_BOOLEAN, ITEM_OTHER } type;
    int64_t value;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* The byte at the front, '\0' at the end; a NUL byte is none that anything begins with. */
static char front(struct slice s)
{
    return s.n ? s.p[0] : '\0';
}

static bool eat(struct slice *s, char c)
{
    if (front(*s) != c || s->n == 0)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

static void skip_spaces(struct slice *s)
{
    while (eat(s, ' '))
        ;
}

static void skip_ows(struct slice *s)
{
    while (eat(s, ' ') || eat(s, '\t'))
        ;
}

/* ---- bare items (RFC 9651 4.2.3.1) ---- */

/* Digits from the front; how many. */
static size_t digits(struct slice *s, int64_t *value)
{
    size_t n = 0;

    while (n < s->n && is_digit(s->p[n])) {
        if (n < 15)
            *value = *value * 10 + (s->p[n] - '0');
        n++;
    }
    *s = slice_from(*s, n);
    return n;
}

/* Up to 15 digits, or up to 12, a point and up to 3 (4.2.4). */
static bool number(struct slice *s, struct item *ret)
{
    bool negative = eat(s, '-');
    int64_t value = 0, part = 0;
    size_t n = digits(s, &value);

    *ret = (struct item){ITEM_INTEGER, negative ? -value : value};
    if (n == 0 || n > 15)
        return false;
    if (!eat(s, '.'))
        return true;
    ret->type = ITEM_OTHER;
    size_t k = digits(s, &part);
    return n <= 12 && k >= 1 && k <= 3;
}

static bool string(struct slice *s)
{
    while (s->n) {
        char c = s->p[0];
        *s = slice_from(*s, 1);
        if (c == '"')
            return true;
        if (!is_printable(c))
            return false;
        if (c == '\\' && !eat(s, '"') && !eat(s, '\\'))
            return false;
    }
    return false;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* A string with escapes of lower-case hex (4.2.10); whether they are UTF-8 does not matter here. */
static bool display_string(struct slice *s)
{
    if (!eat(s, '"'))
        return false;
    while (s->n) {
        char c = s->p[0];
        *s = slice_from(*s, 1);
        if (c == '"')
            return true;
        if (!is_printable(c))
            return false;
        if (c != '%')
            continue;
        if (s->n < 2 || !is_hex(s->p[0]) || !is_hex(s->p[1]))
            return false;
        *s = slice_from(*s, 2);
    }
    return false;
}

static bool byte_sequence(struct slice *s)
{
    while (is_letter(front(*s)) || is_digit(front(*s)) || is_one_of(front(*s), "+/="))
        *s = slice_from(*s, 1);
    return eat(s, ':');
}

static void token(struct slice *s)
{
    while (is_letter(front(*s)) || is_digit(front(*s)) ||
           is_one_of(front(*s), "!#$%&'*+-.^_`|~:/"))
        *s = slice_from(*s, 1);
}

static bool boolean(struct slice *s, struct item *ret)
{
    char c = front(*s);

    *ret = (struct item){ITEM_BOOLEAN, c == '1'};
    return eat(s, '0') || eat(s, '1');
}

static bool date(struct slice *s)
{
    struct item seconds;

    return number(s, &seconds) && seconds.type == ITEM_INTEGER;
}

static bool bare_item(struct slice *s, struct item *ret)
{
    char c = front(*s);

    *ret = (struct item){ITEM_OTHER, 0};
    if (c == '-' || is_digit(c))
        return number(s, ret);
    if (eat(s, '?'))
        return boolean(s, ret);
    if (eat(s, '"'))
        return string(s);
    if (eat(s, ':'))
        return byte_sequence(s);
    if (eat(s, '%'))
        return display_string(s);
    if (eat(s, '@'))
        return date(s);
    token(s);
    return c == '*' || is_letter(c);
}

/* ---- what surrounds them ---- */

static bool key(struct slice *s, struct slice *ret)
{
    size_t n = 0;

    if (!is_lower(front(*s)) && front(*s) != '*')
        return false;
    while (n < s->n && (is_lower(s->p[n]) || is_digit(s->p[n]) || is_one_of(s->p[n], "_-.*")))
        n++;
    *ret = slice_of(s->p, n);
    *s = slice_from(*s, n);
    return true;
}

static bool parameters(struct slice *s)
{
    struct slice name;
    struct item value;

    while (eat(s, ';')) {
        skip_spaces(s);
        if (!key(s, &name) || (eat(s, '=') && !bare_item(s, &value)))
            return false;
    }
    return true;
}

/* Behind its opening bracket. */
static bool inner_list(struct slice *s)
{
    struct item item;

    for (;;) {
        skip_spaces(s);
        if (eat(s, ')'))
            return true;
        if (!bare_item(s, &item) || !parameters(s))
            return false;
        if (front(*s) != ' ' && front(*s) != ')')
            return false;
    }
}

static bool member_value(struct slice *s, struct item *ret)
{
    *ret = (struct item){ITEM_BOOLEAN, 1}; /* a key alone is true */
    if (!eat(s, '='))
        return true;
    if (!eat(s, '('))
        return bare_item(s, ret);
    ret->type = ITEM_OTHER;
    return inner_list(s);
}

/* The last member of a name counts (4.2.2), so these are applied when all were read. */
struct members {
    struct item urgency, incremental;
};

static void note(struct members *m, struct slice name, struct item value)
{
    if (slice_eq(name, SLICE("u")))
        m->urgency = value;
    else if (slice_eq(name, SLICE("i")))
        m->incremental = value;
}

static void apply(const struct members *m, struct priority_said *said)
{
    if (m->urgency.type == ITEM_INTEGER && m->urgency.value >= 0 &&
        m->urgency.value < URGENCY_LEVELS) {
        said->p.urgency = (uint8_t)m->urgency.value;
        said->urgency = true;
    }
    if (m->incremental.type == ITEM_BOOLEAN) {
        said->p.incremental = m->incremental.value != 0;
        said->incremental = true;
    }
}

int priority_parse(struct slice s, struct priority_said *said)
{
    struct members m = {{ITEM_OTHER, 0}, {ITEM_OTHER, 0}};
    struct slice name;
    struct item value;

    skip_spaces(&s);
    while (s.n) {
        if (!key(&s, &name) || !member_value(&s, &value) || !parameters(&s))
            return -1;
        note(&m, name, value);
        skip_ows(&s);
        if (s.n == 0)
            break;
        if (!eat(&s, ','))
            return -1;
        skip_ows(&s);
        if (s.n == 0)
            return -1; /* a comma at the end */
    }
    apply(&m, said);
    return 0;
}

struct priority priority_over(struct priority p, struct priority_said said)
{
    if (said.urgency)
        p.urgency = said.p.urgency;
    if (said.incremental)
        p.incremental = said.p.incremental;
    return p;
}
