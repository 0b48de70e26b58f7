/*
 * conf/schema.h - the one table of all keys.  Parser, listing, reference file and manual read
 * it.
 *
 * Threads  any; the tables are constant
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdio.h>

#include "conf.h"

enum schema_section {
    SCHEMA_GATEWAY,
    SCHEMA_LISTEN,
    SCHEMA_SITE,
    SCHEMA_ROUTE,
    SCHEMA_POOL,
    SCHEMA_SECTIONS
};

enum schema_type {
    SCHEMA_STRING,    /* the value as it is */
    SCHEMA_PATH,      /* absolute; without a slash at its end */
    SCHEMA_BOOL,      /* on, off */
    SCHEMA_NUMBER,    /* decimal digits */
    SCHEMA_RANGE,     /* a number, or two with a '-' between: struct conf_range */
    SCHEMA_SIZE,      /* bytes: 512, 64K, 8M, 1G */
    SCHEMA_DURATION,  /* 500ms, 30s, 5m, 1h */
    SCHEMA_ENUM,      /* one of words */
    SCHEMA_LIST,      /* words, of the row's where it has some; the key may be given again to
                         add some */
    SCHEMA_HOSTS,     /* a list of host names, made lower case */
    SCHEMA_RESOLVERS, /* a list of name servers: IP, IP:port */
    SCHEMA_CIDRS,     /* a list of addresses and blocks (cidr.h) */
    SCHEMA_RATES,     /* a rate (limit.h); the key may be given again to add one */
    SCHEMA_AT_ONCE,   /* the same of requests at once */
    SCHEMA_LINKS, /* a link-value (RFC 8288 3), or off; the key may be given again to add one */
    SCHEMA_FAILURES, /* NUMBER/TIME, or off: struct conf_limit */
    SCHEMA_LISTEN_ADDRESSES,
    SCHEMA_SERVER_ADDRESSES,
    SCHEMA_COMMAND,  /* program and arguments */
    SCHEMA_FAMILY,   /* one key for each NAME: env.NAME, header.NAME; struct schema_family */
    SCHEMA_REDIRECT, /* [STATUS] TARGET */
    SCHEMA_EXPIRES,  /* struct conf_expires */
    SCHEMA_HSTS,     /* struct slice */
    SCHEMA_REWRITES, /* a rule (rewrite.h); the key may be given again to add one */
    SCHEMA_TYPES
};

/* A word that stands for a number: of an enum, or beside the numbers (workers = auto). */
struct schema_word {
    const char *word; /* NULL ends a table */
    int64_t value;
};

/*
 * Keys with a name of their own behind a dot.  They fill a list whose elements are, or begin
 * with, a struct conf_pair; its name and value are set before parse is called.
 */
struct schema_family {
    const char *takes; /* what a value is, as in schema_type_name() */
    bool any_case;     /* names are compared without case, and kept in lower case, */
    bool keeps_case;   /* or as written */
    bool repeats;      /* the same name may be given again: it is one more element */
    bool empty;        /* a value may be empty */
    /* What is wrong with the pair, as one line, in the arena or a constant (value_no_memory
     * where memory is out); or NULL, and what follows the pair in the element is filled. */
    const char *(*parse)(struct arena *arena, struct conf_pair *pair);
};

/* Where a key has a meaning: the modes of routes and pools.  0 is everywhere. */
enum {
    SCHEMA_FILES = 1, /* routes */
    SCHEMA_TO_POOL = 2,
    SCHEMA_TO_TARGET = 4, /* redirect */
    SCHEMA_CONNECT = 8,   /* pools */
    SCHEMA_SPAWN = 16,
    SCHEMA_CGI = 32,
};

struct schema_key {
    enum schema_section section;
    const char *name;
    enum schema_type type;
    int64_t min, max;    /* numbers: their range; lists: words; the rest: bytes */
    const char *def;     /* as it would be written, NULL: none */
    const char *unit;    /* of a number, a size, a duration */
    const char *text;    /* one sentence */
    size_t offset, size; /* of the field; lists: offset of the pointer, size of an element */
    size_t n_offset;     /* of a list's count, which is unsigned */
    const struct schema_word *words;
    const struct schema_family *family;
    unsigned modes;
    int64_t unset; /* derived numbers: what the field holds until derive.c has looked */
    bool derived;  /* def follows from other keys: derive.c sets it, the parser does not */
    bool required;
};

/* The struct a section's keys are put in: that of conf.h, or one that begins with it and keeps
 * what is only needed while reading. */
struct schema_gateway {
    struct conf_gateway conf;
    struct slice *resolver;
    unsigned n_resolver;
    struct slice *include;
    unsigned n_include;
    struct cidr *trusted_proxies;
    unsigned n_trusted_proxies;
    struct slice *trusted_parts;
    unsigned n_trusted_parts;
};

/* compress and its companions; in a route -1 and empty lists are the site's. */
struct schema_compress {
    struct slice *codings, *types;
    unsigned n_codings, n_types;
    int64_t min;
    int gzip_level, br_level, zstd_level;
};

struct schema_site {
    struct conf_site conf;
    const char *authorizer; /* its pool's name */
    struct slice *tries, *precompressed;
    unsigned n_tries, n_precompressed;
    struct schema_compress compress;
};

struct schema_route {
    struct conf_route conf;
    const char *pool, *authorizer, *filter; /* names of pools */
    struct slice *tries, *precompressed;
    unsigned n_tries, n_precompressed;
    struct schema_compress compress;
};

struct schema_kind {
    const char *name;
    size_t size; /* of the struct */
    const char *text;
};

const struct schema_kind *schema_kind(enum schema_section section);

/* The section called name, or SCHEMA_SECTIONS. */
enum schema_section schema_section_find(struct slice name);

/* All rows, those of a section together, in the order of the sections. */
const struct schema_key *schema_keys(size_t *ret_n);

/* Row number of a key of a section as written ("env.HOME" finds "env.NAME"), or -1. */
ssize_t schema_find(enum schema_section section, struct slice name);

/* Does a key as written belong to the row, whatever the section? */
bool schema_is(const struct schema_key *key, struct slice name);

/* Of a family what all its keys begin with, "env."; of others the name. */
struct slice schema_stem(const struct schema_key *key);

/* May the key be given more than once? */
bool schema_repeats(const struct schema_key *key);

/* "number", "path", "list", ... */
const char *schema_type_name(enum schema_type type);

/* A number as it would be written: "64K", "30s", "12". */
struct schema_text {
    char s[32];
};
struct schema_text schema_number(enum schema_type type, int64_t n);

/* What a key takes: "auto, number 1 to 256 threads". */
void schema_print_range(const struct schema_key *key, FILE *out);

/* Print every key with its type, range, default and sentence. */
void schema_print(FILE *out);

#endif
