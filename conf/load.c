#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "../gateway/buf.h"
#include "../gateway/err.h"
#include "syntax.h"
#include "ini.h"
#include "value.h"

enum { SECTION_NAME_MAX = 64 };

void load_init(struct load *l, struct conf *conf)
{
    *l = (struct load){.conf = conf};
    arena_init(&l->scratch);
    l->bad.arena = &l->scratch;
}

void load_fini(struct load *l)
{
    arena_fini(&l->scratch);
}

/* ---- sections --------------------------------------------------------------------------- */

static ssize_t key_row(const struct section *s, const char *key)
{
    return schema_find(s->kind, slice_str(key));
}

bool section_has(const struct section *s, const char *key)
{
    return s->given[key_row(s, key)].line != 0;
}

struct place section_place(const struct section *s, const char *key)
{
    return section_has(s, key) ? s->given[key_row(s, key)] : s->place;
}

/* A new section with its defaults, at the end of the array; NULL when memory is out. */
static struct section *section_new(struct load *l, enum schema_section kind, struct place place)
{
    size_t n_keys;
    struct section *sections = arena_grow(&l->scratch, l->sections, l->n_sections,
                                          &l->cap_sections, sizeof(*sections));
    struct section s = {.kind = kind, .name = "", .place = place};

    if (sections)
        l->sections = sections;
    schema_keys(&n_keys);
    s.given = arena_zalloc(&l->scratch, n_keys * sizeof(*s.given));
    s.item = arena_zalloc(&l->scratch, schema_kind(kind)->size);
    if (!sections || !s.given || !s.item || value_defaults(&l->conf->arena, kind, s.item) < 0) {
        complain_no_memory(&l->bad);
        return NULL;
    }
    l->sections[l->n_sections] = s;
    return &l->sections[l->n_sections++];
}

/* Names become names of sockets and words of other keys. */
static const char *name_error(struct slice name)
{
    if (name.n == 0)
        return "needs a name";
    if (name.n > SECTION_NAME_MAX)
        return "has a name of more than 64 bytes";
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' &&
            (i == 0 || (c != '-' && c != '.')))
            return "has a name with other bytes than letters, digits, _ - and .";
    }
    return NULL;
}

static void section_name(struct load *l, struct section *s, struct slice name)
{
    const char *kind = schema_kind(s->kind)->name;
    const char *error = name_error(name);
    size_t old;

    if (error) {
        complain(&l->bad, s->place, "[%s %.*s] %s", kind, ECHO(name), error);
        s->broken = true;
        return;
    }
    name = arena_dup(&l->conf->arena, name);
    int known = name.p ? names_add(&l->names[s->kind], &l->scratch, name, l->n_sections - 1)
                       : GW_ENO_MEMORY;
    if (known < 0) {
        complain_no_memory(&l->bad);
        s->broken = true;
        return;
    }
    s->name = name.p;
    if (known && names_find(&l->names[s->kind], name, &old)) {
        const struct section *first = &l->sections[old];
        complain(&l->bad, s->place, "[%s %s] is given twice, first at %s:%u", kind, name.p,
                 l->files[first->place.file], first->place.line);
        s->broken = true;
    }
}

/* "SITE PATTERN" */
static void section_route(struct load *l, struct section *s, struct slice rest)
{
    struct conf_route *route = &((struct schema_route *)s->item)->conf;
    size_t n = 0;

    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\t')
        n++;
    struct slice site = arena_dup(&l->scratch, slice_of(rest.p, n));
    struct slice text = arena_dup(&l->conf->arena, slice_trim(slice_from(rest, n)));
    if (!site.p || !text.p) {
        complain_no_memory(&l->bad);
        s->broken = true;
        return;
    }
    s->name = site.p;
    const char *error = text.n == 0 ? "a route is [route SITE PATTERN]"
                                    : syntax_pattern(&l->conf->arena, text, route);
    if (error) {
        complain(&l->bad, s->place, "[route %.*s]: %s", ECHO(rest), error);
        s->broken = true;
    }
}

/* [gateway]: each file may have one, and all of them are one section.  It is there before any
 * file is read, for those that have none. */
static struct section *section_gateway(struct load *l, struct place place, struct slice rest)
{
    struct section *s = &l->sections[LOAD_GATEWAY];

    if (rest.n)
        complain(&l->bad, place, "[gateway] has no name");
    if (s->place.line && s->place.file == place.file)
        complain(&l->bad, place, "[gateway] is given twice, first at %s:%u",
                 l->files[place.file], s->place.line);
    s->place = place;
    return s;
}

static struct section *section_begin(struct load *l, struct place place,
                                     const struct ini_event *e)
{
    enum schema_section kind = schema_section_find(e->name);

    if (kind == SCHEMA_SECTIONS) {
        struct nearest near = nearest_init(e->name);
        for (unsigned i = 0; i < SCHEMA_SECTIONS; i++)
            nearest_try(&near, slice_str(schema_kind((enum schema_section)i)->name));
        complain(&l->bad, place, "unknown section [%.*s]%s", ECHO(e->name),
                 nearest_text(&near, &l->scratch));
        return NULL;
    }
    if (kind == SCHEMA_GATEWAY)
        return section_gateway(l, place, e->value);
    struct section *s = section_new(l, kind, place);
    if (s && kind == SCHEMA_ROUTE)
        section_route(l, s, e->value);
    else if (s)
        section_name(l, s, e->value);
    return s;
}

/* ---- includes --------------------------------------------------------------------------- */

/* Put a file on the list of those to read. */
static void file_add(struct load *l, const char *path, struct place from)
{
    char real[PATH_MAX];

    /* One that is not there is complained of when it is opened. */
    struct slice key = arena_dup(&l->scratch, slice_str(realpath(path, real) ? real : path));
    struct slice name = arena_dup(&l->conf->arena, slice_str(path));
    const char **files =
        arena_grow(&l->scratch, l->files, l->n_files, &l->cap_files, sizeof(*files));
    if (files)
        l->files = files;
    int known = key.p && name.p && files ? names_add(&l->paths, &l->scratch, key, l->n_files)
                                         : GW_ENO_MEMORY;
    if (known < 0) {
        complain_no_memory(&l->bad);
        return;
    }
    if (known) {
        complain(&l->bad, from, "%s is read already: includes may not loop or overlap", path);
        return;
    }
    if (l->n_files == LOAD_FILES_MAX) {
        complain(&l->bad, from, "more than %d files", LOAD_FILES_MAX);
        return;
    }
    l->files[l->n_files++] = name.p;
}

static void include_glob(struct load *l, const char *pattern, struct place from)
{
    glob_t found = {0};

    switch (glob(pattern, GLOB_ERR, NULL, &found)) {
    case 0:
        for (size_t i = 0; i < found.gl_pathc; i++)
            file_add(l, found.gl_pathv[i], from);
        break;
    case GLOB_NOMATCH:
        /* An empty conf.d is fine, a file by its name must be there. */
        if (!strpbrk(pattern, "*?["))
            complain(&l->bad, from, "include = %s: no such file", pattern);
        break;
    case GLOB_ABORTED:
        complain(&l->bad, from, "include = %s: %s", pattern, strerror(errno));
        break;
    default:
        complain_no_memory(&l->bad);
        break;
    }
    globfree(&found);
}

/* One word of include, relative to the folder of the file that has it. */
static void include_word(struct load *l, struct slice word, struct place from)
{
    const char *file = l->files[from.file];
    const char *slash = strrchr(file, '/');
    struct slice folder = slice_of(file, slash ? (size_t)(slash + 1 - file) : 0);

    if (l->in_memory) {
        complain(&l->bad, from, "include = %.*s: only a file can include others", ECHO(word));
        return;
    }
    if (word.p[0] == '/')
        folder.n = 0;
    struct slice path =
        arena_printf(&l->scratch, "%.*s%.*s", SLICE_FMT(folder), SLICE_FMT(word));
    if (path.p)
        include_glob(l, path.p, from);
    else
        complain_no_memory(&l->bad);
}

/* ---- keys ------------------------------------------------------------------------------- */

/* A key as whoever wrote name may have meant it: of a family the one with the name's own tail. */
static struct slice key_as_meant(struct load *l, const struct schema_key *key,
                                 struct slice name)
{
    ssize_t dot = slice_find(name, '.');
    struct slice meant = {NULL, 0};

    if (key->family && dot >= 0)
        meant = arena_printf(&l->scratch, "%.*s%.*s", SLICE_FMT(schema_stem(key)),
                             SLICE_FMT(slice_from(name, (size_t)dot + 1)));
    return meant.p ? meant : slice_str(key->name);
}

static void unknown_key(struct load *l, struct place place, const struct section *s,
                        struct slice name)
{
    size_t n;
    const struct schema_key *keys = schema_keys(&n);
    struct nearest near = nearest_init(name);
    const char *kind = schema_kind(s->kind)->name;

    for (size_t i = 0; i < n; i++) {
        if (schema_is(&keys[i], name)) {
            complain(&l->bad, place, "unknown key \"%.*s\" in [%s]; it belongs in [%s]",
                     ECHO(name), kind, schema_kind(keys[i].section)->name);
            return;
        }
        if (keys[i].section == s->kind)
            nearest_try(&near, key_as_meant(l, &keys[i], name));
    }
    complain(&l->bad, place, "unknown key \"%.*s\" in [%s]%s", ECHO(name), kind,
             nearest_text(&near, &l->scratch));
}

/* The value in one line with a NUL behind it, in the memory of the configuration. */
static struct slice value_text(struct load *l, struct slice raw)
{
    char *text = arena_alloc(&l->conf->arena, raw.n + 1);

    if (!text)
        return slice_of(NULL, 0);
    size_t n = ini_unfold(raw, text);
    text[n] = '\0';
    return slice_of(text, n);
}

static void key_set(struct load *l, struct section *s, struct place place,
                    const struct ini_event *e)
{
    size_t n;
    ssize_t row = schema_find(s->kind, e->name);

    if (row < 0) {
        unknown_key(l, place, s, e->name);
        return;
    }
    const struct schema_key *key = &schema_keys(&n)[row];
    struct place first = s->given[row];
    if (first.line && !schema_repeats(key)) {
        complain(&l->bad, place, "\"%s\" is given twice, first at %s:%u", key->name,
                 l->files[first.file], first.line);
        return;
    }
    s->given[row] = place;
    struct value v = {&l->conf->arena, key, e->name, value_text(l, e->value), s->item};
    if (first.line == 0)
        value_clear(&v);
    const char *error = v.text.p ? value_set(&v) : value_no_memory;
    if (error == value_no_memory)
        complain_no_memory(&l->bad);
    else if (error)
        complain(&l->bad, place, "%s", error);
}

/* The keys of a [gateway] may have brought words of include. */
static void includes_since(struct load *l, const struct section *s, unsigned before,
                           struct place place)
{
    const struct schema_gateway *g = s->item;

    for (unsigned i = before; i < g->n_include; i++)
        include_word(l, g->include[i], place);
}

static void key_event(struct load *l, struct section *s, struct place place,
                      const struct ini_event *e)
{
    unsigned before = 0;

    if (s->kind == SCHEMA_GATEWAY)
        before = ((const struct schema_gateway *)s->item)->n_include;
    key_set(l, s, place, e);
    if (s->kind == SCHEMA_GATEWAY)
        includes_since(l, s, before, place);
}

/* ---- files ------------------------------------------------------------------------------ */

static void read_text(struct load *l, unsigned file, struct slice text)
{
    struct section *s = NULL; /* NULL: keys are dropped, a complaint is made */
    bool any_section = false;
    struct ini ini;
    struct ini_event e;

    ini_init(&ini, text);
    while (ini_next(&ini, &e) != INI_END) {
        struct place place = {file, e.line};
        if (e.type == INI_SECTION) {
            s = section_begin(l, place, &e);
            any_section = true;
        } else if (e.type == INI_ERROR) {
            complain(&l->bad, place, "%s", e.error);
            if (e.header)
                s = NULL;
            any_section |= e.header;
        } else if (s) {
            key_event(l, s, place, &e);
        } else if (!any_section) {
            complain(&l->bad, place, "\"%.*s\" is above the first [section]", ECHO(e.name));
        }
    }
}

/* 0; -1 with errno set, EFBIG when it is over LOAD_FILE_MAX. */
static int read_all(const char *path, struct buf *ret_text)
{
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    do {
        uint8_t *at = buf_reserve(ret_text, 64 * 1024);
        if (!at) {
            errno = ENOMEM;
            got = -1;
            break;
        }
        got = read(fd, at, 64 * 1024);
        if (got > 0)
            buf_commit(ret_text, (size_t)got);
        if (buf_len(ret_text) > LOAD_FILE_MAX) {
            errno = EFBIG;
            got = -1;
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    int saved = errno;
    close(fd);
    errno = saved;
    return got < 0 ? -1 : 0;
}

/* The first file, and the [gateway] that is always there.  false when memory is out. */
static bool load_begin(struct load *l, const char *name)
{
    file_add(l, name, (struct place){0, 0});
    return l->n_files && section_new(l, SCHEMA_GATEWAY, (struct place){0, 0});
}

void load_file(struct load *l, const char *path)
{
    if (!load_begin(l, path))
        return;
    /* Files that an include names are put at the end of the list, and read in turn. */
    for (size_t i = 0; i < l->n_files; i++) {
        struct buf text = {0};
        if (read_all(l->files[i], &text) == 0) {
            read_text(l, (unsigned)i, buf_slice(&text));
        } else {
            complain(&l->bad, (struct place){(unsigned)i, 1}, "cannot be read: %s",
                     strerror(errno));
            l->unread = true;
        }
        buf_fini(&text);
    }
}

void load_text(struct load *l, const char *name, struct slice text)
{
    l->in_memory = true;
    if (load_begin(l, name))
        read_text(l, 0, text);
}
