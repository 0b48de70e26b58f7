#include "compress.h"

#include "load.h"

static const struct slice names[CODINGS] = {
    [CODING_BR] = {"br", 2}, [CODING_ZSTD] = {"zstd", 4}, [CODING_GZIP] = {"gzip", 4}};

/* zstd decodes fastest and costs least where it is made; every client knows gzip. */
static const enum coding all[] = {CODING_ZSTD, CODING_BR, CODING_GZIP};

/* The words were checked one by one; here, what they say of each other. */
static void take_order(struct load *l, const struct section *s, const struct slice *words,
                       unsigned n, struct conf_compress *c)
{
    struct place place = section_place(s, "compress");

    if (n == 1 && slice_eq(words[0], SLICE("off"))) {
        c->n = 0;
        return;
    }
    if (n == 1 && slice_eq(words[0], SLICE("on"))) {
        c->n = sizeof(all) / sizeof(all[0]);
        memcpy(c->order, all, sizeof(all));
        return;
    }
    c->n = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned coding = 0;
        while (coding < CODINGS && !slice_eq(words[i], names[coding]))
            coding++;
        for (unsigned k = 0; k < c->n; k++) {
            if (c->order[k] == coding) {
                complain(&l->bad, place, "compress: %.*s is given twice", ECHO(words[i]));
                return;
            }
        }
        if (coding == CODINGS) {
            complain(&l->bad, place, "compress: \"%.*s\" stands alone", ECHO(words[i]));
            return;
        }
        c->order[c->n++] = (enum coding)coding;
    }
}

/* "text/html", "text" and a slash and a star, "*+json", "*". */
static bool is_type(struct slice type)
{
    size_t slashes = 0;

    for (size_t i = 0; i < type.n; i++) {
        slashes += type.p[i] == '/';
        if (type.p[i] <= ' ' || type.p[i] >= 0x7f || strchr("\"(),:;<=>?@[\\]{}", type.p[i]))
            return false;
    }
    return slashes == 1 || (slashes == 0 && slice_find(type, '*') >= 0);
}

static void take_types(struct load *l, const struct section *s, const struct slice *types,
                       unsigned n, struct conf_compress *c)
{
    for (unsigned i = 0; i < n; i++) {
        if (!is_type(types[i]))
            complain(&l->bad, section_place(s, "compress_types"),
                     "compress_types = %.*s: not a media type (text/html, text/*, *+json)",
                     ECHO(types[i]));
    }
    c->types = types;
    c->n_types = n;
}

const struct conf_compress *compress_derive(struct load *l, const struct section *s,
                                            const struct schema_compress *read,
                                            const struct conf_compress *outer)
{
    static const struct conf_compress none;
    struct conf_compress *c = arena_alloc(&l->conf->arena, sizeof(*c));

    if (!c) {
        complain_no_memory(&l->bad);
        return outer ? outer : &none;
    }
    *c = outer ? *outer : none;
    if (read->n_codings)
        take_order(l, s, read->codings, read->n_codings, c);
    if (read->n_types)
        take_types(l, s, read->types, read->n_types, c);
    if (read->min >= 0)
        c->min = read->min;
    if (read->gzip_level >= 0)
        c->level[CODING_GZIP] = read->gzip_level;
    if (read->br_level >= 0)
        c->level[CODING_BR] = read->br_level;
    if (read->zstd_level >= 0)
        c->level[CODING_ZSTD] = read->zstd_level;
    return c;
}
