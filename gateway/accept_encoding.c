#include "accept_encoding.h"

enum { Q_MAX = 1000, Q_LEAST = 1, NOT_NAMED = Q_MAX + 1 };

/* What the fields say, the first mention of each. */
struct mentions {
    uint16_t q[CODINGS];
    uint16_t any; /* of "*" */
};

struct slice coding_name(enum coding c)
{
    switch (c) {
    case CODING_BR:
        return SLICE("br");
    case CODING_ZSTD:
        return SLICE("zstd");
    case CODING_GZIP:
        return SLICE("gzip");
    case CODING_IDENTITY:
    case CODINGS:
        break;
    }
    return SLICE("identity");
}

enum coding coding_of(struct slice name)
{
    for (unsigned c = 0; c < CODINGS; c++) {
        if (slice_ieq(name, coding_name((enum coding)c)))
            return (enum coding)c;
    }
    return slice_ieq(name, SLICE("x-gzip")) ? CODING_GZIP : CODINGS;
}

/* qvalue: "0", "0.25", "1", "1.000"; at most three digits behind the point.  -1: none. */
static int q_parse(struct slice s)
{
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return -1;
    int q = s.p[0] == '1' ? Q_MAX : 0;
    int unit = 100;
    for (size_t i = 2; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        q += (s.p[i] - '0') * unit;
    }
    return q > Q_MAX ? -1 : q;
}

/* coding [ OWS ";" OWS "q=" qvalue ]; -1: it is something else. */
static int element_parse(struct slice element, struct slice *ret_name)
{
    ssize_t semicolon = slice_find(element, ';');

    if (semicolon < 0) {
        *ret_name = element;
        return Q_MAX;
    }
    struct slice weight = slice_trim(slice_from(element, (size_t)semicolon + 1));
    if (weight.n < 2 || !slice_ieq(slice_of(weight.p, 2), SLICE("q=")))
        return -1;
    *ret_name = slice_trim(slice_of(element.p, (size_t)semicolon));
    return q_parse(slice_from(weight, 2));
}

static void mention(struct mentions *m, struct slice element)
{
    struct slice name;
    int q = element_parse(element, &name);

    if (q < 0)
        return;
    enum coding c = coding_of(name);
    uint16_t *at = slice_eq(name, SLICE("*")) ? &m->any : c < CODINGS ? &m->q[c] : NULL;
    if (at && *at == NOT_NAMED)
        *at = (uint16_t)q;
}

void accept_encoding_read(const struct field *fields, size_t n, struct accept_encoding *ret)
{
    struct mentions m = {.any = NOT_NAMED};
    struct slice element;

    for (unsigned c = 0; c < CODINGS; c++)
        m.q[c] = NOT_NAMED;
    for (size_t i = 0; i < n; i++) {
        if (!slice_ieq(fields[i].name, SLICE("Accept-Encoding")))
            continue;
        struct slice list = fields[i].value;
        while (slice_list_next(&list, &element))
            mention(&m, element);
    }
    for (unsigned c = 0; c < CODINGS; c++) {
        uint16_t q = m.q[c] != NOT_NAMED ? m.q[c] : m.any;
        if (q == NOT_NAMED)
            q = c == CODING_IDENTITY ? Q_LEAST : 0;
        ret->q[c] = q;
    }
}

enum coding accept_encoding_pick(const struct accept_encoding *a, unsigned offered)
{
    enum coding best = CODING_IDENTITY;
    uint16_t most = 0;

    for (unsigned c = 0; c < CODINGS; c++) {
        bool at_hand = c == CODING_IDENTITY || (offered & CODING_BIT(c));
        if (at_hand && a->q[c] > most) {
            best = (enum coding)c;
            most = a->q[c];
        }
    }
    return best;
}
