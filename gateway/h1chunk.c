#include "h1chunk.h"

#include "err.h"

/*
 * Everything between runs of data is read byte by byte through one table: next[state][class].
 * A pair that is not in the table is an error (0).
 */
enum state {
    SIZE_FIRST = 0, /* the first digit of a size */
    SIZE,
    SIZE_SPACE, /* only an extension may follow: 7.1.1 has its white space before ';' */
    EXT_START,  /* behind ';' */
    EXT_NAME,
    EXT_NAME_SPACE,
    EXT_VALUE_START, /* behind '=' */
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPE, /* behind a backslash */
    EXT_END,    /* behind a quoted value */
    EXT_SPACE,  /* behind a value */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
    N_STATES
};

enum class {
    BAD, /* control bytes */
    HEX,
    TOKEN, /* the other tchar, RFC 9110 5.6.2 */
    SEMI,
    EQUALS,
    COLON,
    SPACE,
    QUOTE,
    BACKSLASH,
    TEXT, /* other visible bytes and obs-text */
    CR,
    LF,
    N_CLASSES
};

static const uint8_t classes[256] = {
    ['\t'] = SPACE,         ['\n'] = LF,           ['\r'] = CR,
    [' '] = SPACE,          ['!'] = TOKEN,         ['"'] = QUOTE,
    ['#' ... '\''] = TOKEN, ['(' ... ')'] = TEXT,  ['*' ... '+'] = TOKEN,
    [','] = TEXT,           ['-' ... '.'] = TOKEN, ['/'] = TEXT,
    ['0' ... '9'] = HEX,    [':'] = COLON,         [';'] = SEMI,
    ['<'] = TEXT,           ['='] = EQUALS,        ['>' ... '@'] = TEXT,
    ['A' ... 'F'] = HEX,    ['G' ... 'Z'] = TOKEN, ['['] = TEXT,
    ['\\'] = BACKSLASH,     [']'] = TEXT,          ['^' ... '`'] = TOKEN,
    ['a' ... 'f'] = HEX,    ['g' ... 'z'] = TOKEN, ['{'] = TEXT,
    ['|'] = TOKEN,          ['}'] = TEXT,          ['~'] = TOKEN,
    [0x80 ... 0xff] = TEXT,
};

/* + 1, so that what is not named is 0. */
#define TO(state) ((state) + 1)
/* What may stand in a field value besides white space, RFC 9110 5.5. */
#define VISIBLE_TO(state)                                                                      \
    [HEX] = TO(state), [TOKEN] = TO(state), [SEMI] = TO(state), [EQUALS] = TO(state),          \
    [COLON] = TO(state), [TEXT] = TO(state)

static const uint8_t next[N_STATES][N_CLASSES] = {
    [SIZE_FIRST] = {[HEX] = TO(SIZE)},
    [SIZE] = {[HEX] = TO(SIZE),
              [SEMI] = TO(EXT_START),
              [SPACE] = TO(SIZE_SPACE),
              [CR] = TO(SIZE_LF)},
    [SIZE_SPACE] = {[SPACE] = TO(SIZE_SPACE), [SEMI] = TO(EXT_START)},
    [EXT_START] = {[SPACE] = TO(EXT_START), [HEX] = TO(EXT_NAME), [TOKEN] = TO(EXT_NAME)},
    [EXT_NAME] = {[HEX] = TO(EXT_NAME),
                  [TOKEN] = TO(EXT_NAME),
                  [SPACE] = TO(EXT_NAME_SPACE),
                  [EQUALS] = TO(EXT_VALUE_START),
                  [SEMI] = TO(EXT_START),
                  [CR] = TO(SIZE_LF)},
    [EXT_NAME_SPACE] =
        {[SPACE] = TO(EXT_NAME_SPACE), [EQUALS] = TO(EXT_VALUE_START), [SEMI] = TO(EXT_START)},
    [EXT_VALUE_START] = {[SPACE] = TO(EXT_VALUE_START),
                         [HEX] = TO(EXT_VALUE),
                         [TOKEN] = TO(EXT_VALUE),
                         [QUOTE] = TO(EXT_QUOTED)},
    [EXT_VALUE] = {[HEX] = TO(EXT_VALUE),
                   [TOKEN] = TO(EXT_VALUE),
                   [SPACE] = TO(EXT_SPACE),
                   [SEMI] = TO(EXT_START),
                   [CR] = TO(SIZE_LF)},
    [EXT_QUOTED] = {VISIBLE_TO(EXT_QUOTED), [SPACE] = TO(EXT_QUOTED),
                    [BACKSLASH] = TO(EXT_ESCAPE), [QUOTE] = TO(EXT_END)},
    [EXT_ESCAPE] = {VISIBLE_TO(EXT_QUOTED), [SPACE] = TO(EXT_QUOTED),
                    [BACKSLASH] = TO(EXT_QUOTED), [QUOTE] = TO(EXT_QUOTED)},
    [EXT_END] = {[SPACE] = TO(EXT_SPACE), [SEMI] = TO(EXT_START), [CR] = TO(SIZE_LF)},
    [EXT_SPACE] = {[SPACE] = TO(EXT_SPACE), [SEMI] = TO(EXT_START)},
    [SIZE_LF] = {[LF] = TO(DATA)}, /* or TRAILER_START, when the size is 0 */
    [DATA_CR] = {[CR] = TO(DATA_LF)},
    [DATA_LF] = {[LF] = TO(SIZE_FIRST)},
    [TRAILER_START] =
        {[HEX] = TO(TRAILER_NAME), [TOKEN] = TO(TRAILER_NAME), [CR] = TO(LAST_LF)},
    [TRAILER_NAME] =
        {[HEX] = TO(TRAILER_NAME), [TOKEN] = TO(TRAILER_NAME), [COLON] = TO(TRAILER_VALUE)},
    [TRAILER_VALUE] =
        {VISIBLE_TO(TRAILER_VALUE), [SPACE] = TO(TRAILER_VALUE),
         [BACKSLASH] = TO(TRAILER_VALUE), [QUOTE] = TO(TRAILER_VALUE), [CR] = TO(TRAILER_LF)},
    [TRAILER_LF] = {[LF] = TO(TRAILER_START)},
    [LAST_LF] = {[LF] = TO(DONE)},
};

static unsigned hex_value(uint8_t c)
{
    return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10;
}

/* 7.1: a recipient must anticipate large sizes and not overflow. */
static int add_digit(struct h1_chunked *k, uint8_t c)
{
    if (k->state == SIZE_FIRST)
        k->left = k->n_digits = 0;
    if (++k->n_digits > H1_CHUNK_DIGITS)
        return GW_EBODY_SYNTAX;
    k->left = k->left << 4 | hex_value(c);
    return SIZE;
}

/* The line of a size is complete. */
static int size_known(struct h1_chunked *k)
{
    if (k->left == 0)
        return TRAILER_START;
    if (k->left > INT64_MAX - k->total)
        return GW_EBODY_SYNTAX;
    k->total += k->left;
    k->extensions -= k->left < k->extensions ? (uint32_t)k->left : k->extensions;
    return DATA;
}

/* The state after c, or an error. */
static int step(struct h1_chunked *k, uint8_t c)
{
    int to = next[k->state][classes[c]] - 1;

    if (to < 0)
        return GW_EBODY_SYNTAX;
    if (to == SIZE)
        return add_digit(k, c);
    if (to == DATA)
        return size_known(k);
    /* An extension is worth no more than the data it comes with: a body may go on for ever
     * (signed chunks do), a client that sends nothing but extensions may not. */
    if (to >= SIZE_SPACE && to <= EXT_SPACE && ++k->extensions > H1_CHUNK_EXTENSIONS)
        return GW_EBODY_SYNTAX;
    if (to >= TRAILER_NAME && to <= TRAILER_LF && ++k->trailers > H1_CHUNK_TRAILERS)
        return GW_EREQ_HEAD_LARGE;
    if (to == TRAILER_NAME && k->state == TRAILER_START &&
        ++k->n_trailers > H1_CHUNK_TRAILER_FIELDS)
        return GW_EREQ_HEAD_LARGE;
    return to;
}

ssize_t h1_chunked_next(struct h1_chunked *k, const uint8_t *in, size_t len,
                        struct slice *ret_data)
{
    size_t at = 0, n = 0;

    for (; at < len && k->state != DATA && k->state != DONE; at++) {
        int to = step(k, in[at]);
        if (to < 0)
            return to;
        k->state = (uint8_t)to;
    }
    if (k->state == DATA) {
        n = k->left < len - at ? (size_t)k->left : len - at;
        k->left -= n;
        if (k->left == 0)
            k->state = DATA_CR;
    }
    *ret_data = slice_of(in + at, n);
    return (ssize_t)(at + n);
}

bool h1_chunked_done(const struct h1_chunked *k)
{
    return k->state == DONE;
}
