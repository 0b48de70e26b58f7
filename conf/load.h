/*
 * conf/load.h - a configuration while it is read: what load.c collects, derive.c completes,
 * check.c and machine.c examine.  conf.h is what everybody else sees.
 *
 *     load_file, load_text   files -> sections with their keys, each in a struct of its own
 *     conf_derive            sections -> the arrays of struct conf; defaults that follow from
 *                            other keys; names -> indices
 *     conf_check             what sections say of each other
 *     conf_check_machine     what the machine must have: users, programs, folders
 *
 * Result   complaints in load->bad; each step may run after one that complained
 * Threads  one
 * Memory   what the configuration keeps is in conf->arena, the rest in load->scratch
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "complaints.h"
#include "names.h"
#include "schema.h"

enum {
    LOAD_FILE_MAX = 16 * 1024 * 1024, /* bytes of one file */
    LOAD_FILES_MAX = 10000,
    LOAD_GATEWAY = 0, /* index of the one [gateway] among the sections */
};

struct section {
    enum schema_section kind;
    const char *name;    /* of a route: of its site; "" for [gateway] */
    struct place place;  /* of the header */
    struct place *given; /* by row of the schema: where the key is; line 0: it is not */
    void *item;          /* the schema's struct; after derive that in the arrays of conf */
    unsigned index;      /* after derive: in its array of conf; of a route: that of its site */
    bool broken; /* its header was refused: its keys are looked at, but it is not kept */
};

struct load {
    struct conf *conf;
    struct arena scratch;
    struct complaints bad;
    struct section *sections; /* in the order of reading */
    size_t n_sections, cap_sections;
    struct names names[SCHEMA_SECTIONS]; /* section names to indices into sections */
    struct names paths;                  /* real paths of the files, to indices into files */
    const char **files;
    size_t n_files, cap_files;
    bool unread;    /* a file could not be read: what is missing may be in it */
    bool in_memory; /* from load_text: there is no folder that an include is relative to */
};

/* load_fini frees all but conf. */
void load_init(struct load *l, struct conf *conf);
void load_fini(struct load *l);

/* One of the two, once.  Only when memory is out is there no [gateway] after it. */
void load_file(struct load *l, const char *path);
void load_text(struct load *l, const char *name, struct slice text);

bool conf_derive(struct load *l); /* false when memory is out: nothing may follow */
void conf_check(struct load *l);
void conf_check_machine(struct load *l);

/* conf/compress.c: what a section says of compression; outer is its site's, NULL in a site. */
const struct conf_compress *compress_derive(struct load *l, const struct section *s,
                                            const struct schema_compress *read,
                                            const struct conf_compress *outer);

/* Where section s has the key, or the section's header. */
struct place section_place(const struct section *s, const char *key);
bool section_has(const struct section *s, const char *key);

#endif
