#include "conf.h"

#include <stdlib.h>

#include "load.h"

struct conf *conf_read(const struct conf_source *source, FILE *errors_to)
{
    struct conf *conf = calloc(1, sizeof(*conf));
    struct load l;

    if (!conf) {
        fprintf(errors_to, "%s: out of memory\n", source->name);
        return NULL;
    }
    arena_init(&conf->arena);
    load_init(&l, conf);
    if (source->text.p)
        load_text(&l, source->name, source->text);
    else
        load_file(&l, source->name);
    if (conf_derive(&l)) {
        conf_check(&l);
        if (!source->syntax_only)
            conf_check_machine(&l);
    } else {
        complain_no_memory(&l.bad);
    }
    bool bad = complaints_any(&l.bad);
    complaints_print(&l.bad, source->name, l.files, errors_to);
    load_fini(&l);
    if (!bad)
        return conf;
    conf_free(conf);
    return NULL;
}

struct conf *conf_load(const char *path, FILE *errors_to)
{
    return conf_read(&(struct conf_source){.name = path}, errors_to);
}

struct conf *conf_load_text(const char *name, const char *text, size_t len, FILE *errors_to)
{
    struct slice s = slice_of(text ? text : "", len);

    return conf_read(&(struct conf_source){.name = name, .text = s}, errors_to);
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    arena_fini(&conf->arena);
    free(conf);
}
