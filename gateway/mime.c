#include "mime.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena.h"

/* A system's table has about 75 KiB; an extension longer than this is none. */
enum { MIME_FILE_MAX = 1024 * 1024, MIME_EXT_MAX = 32, MIME_SLOTS = 8192 };

struct mime_slot {
    struct slice ext; /* lower case, without its dot; n = 0: free */
    struct slice type;
};

struct mime {
    struct arena arena;
    struct mime_slot slots[MIME_SLOTS];
    size_t n;
};

/* Also in the form of mime.types: what a web page is made of. */
static const char builtin[] = "text/html html htm\n"
                              "text/css css\n"
                              "text/javascript js mjs\n"
                              "text/plain txt asc log\n"
                              "text/markdown md markdown\n"
                              "text/csv csv\n"
                              "text/xml xml\n"
                              "application/json json map\n"
                              "application/manifest+json webmanifest\n"
                              "application/wasm wasm\n"
                              "application/xhtml+xml xhtml\n"
                              "application/atom+xml atom\n"
                              "application/rss+xml rss\n"
                              "application/pdf pdf\n"
                              "application/zip zip\n"
                              "application/gzip gz tgz\n"
                              "application/zstd zst\n"
                              "image/svg+xml svg svgz\n"
                              "image/png png\n"
                              "image/jpeg jpg jpeg\n"
                              "image/gif gif\n"
                              "image/webp webp\n"
                              "image/avif avif\n"
                              "image/vnd.microsoft.icon ico\n"
                              "font/woff woff\n"
                              "font/woff2 woff2\n"
                              "font/ttf ttf\n"
                              "font/otf otf\n"
                              "audio/mpeg mp3\n"
                              "audio/ogg ogg oga opus\n"
                              "video/mp4 mp4 m4v\n"
                              "video/webm webm\n";

static size_t ext_hash(struct slice ext)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < ext.n; i++)
        h = (h ^ (unsigned char)ext.p[i]) * 16777619u;
    return h % MIME_SLOTS;
}

static size_t slot_of(const struct mime *m, struct slice ext)
{
    size_t i = ext_hash(ext);

    while (m->slots[i].ext.n && !slice_eq(m->slots[i].ext, ext))
        i = (i + 1) % MIME_SLOTS;
    return i;
}

/* ext in lower case into out[MIME_EXT_MAX]; n = 0 if it is none. */
static struct slice ext_lower(char *out, struct slice ext)
{
    if (ext.n > MIME_EXT_MAX)
        return slice_of(out, 0);
    return slice_lower(out, ext);
}

/* False when memory is out.  The first to name an extension has it; what is beyond the table is
 * left out. */
static bool mime_put(struct mime *m, struct slice ext, struct slice type)
{
    char lower[MIME_EXT_MAX];
    struct slice key = ext_lower(lower, ext);

    if (key.n == 0 || m->n >= MIME_SLOTS / 2)
        return true;
    struct mime_slot *slot = &m->slots[slot_of(m, key)];
    if (slot->ext.n)
        return true;
    key = arena_dup(&m->arena, key);
    if (!key.p)
        return false;
    *slot = (struct mime_slot){key, type};
    m->n++;
    return true;
}

/* The next word of *line, blanks around it skipped. */
static struct slice word_next(struct slice *line)
{
    size_t i = 0;

    *line = slice_trim(*line);
    while (i < line->n && line->p[i] != ' ' && line->p[i] != '\t')
        i++;
    struct slice word = slice_of(line->p, i);
    *line = slice_from(*line, i);
    return word;
}

bool mime_says_charset(struct slice type)
{
    return slice_ieq(type, SLICE("text/html")) || slice_ieq(type, SLICE("text/xml"));
}

static struct slice with_charset(struct mime *m, struct slice type)
{
    if (slice_starts(type, SLICE("text/")) && !mime_says_charset(type))
        return arena_printf(&m->arena, "%.*s; charset=utf-8", SLICE_FMT(type));
    return arena_dup(&m->arena, type);
}

/* "type ext ext ...", "#" starts a comment. */
static bool mime_line(struct mime *m, struct slice line)
{
    struct slice type = word_next(&line);
    struct slice ext = word_next(&line);

    if (!ext.n || type.p[0] == '#')
        return true;
    type = with_charset(m, type);
    for (; type.p && ext.n; ext = word_next(&line)) {
        if (!mime_put(m, ext, type))
            return false;
    }
    return type.p != NULL;
}

static bool mime_parse(struct mime *m, struct slice text)
{
    while (text.n) {
        ssize_t nl = slice_find(text, '\n');
        size_t n = nl < 0 ? text.n : (size_t)nl;
        struct slice line = slice_of(text.p, n);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!mime_line(m, line))
            return false;
        text = slice_from(text, nl < 0 ? n : n + 1);
    }
    return true;
}

static bool mime_load(struct mime *m, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    char *text = malloc(MIME_FILE_MAX);
    size_t n = 0;
    ssize_t got = 0;
    while (text && n < MIME_FILE_MAX && (got = read(fd, text + n, MIME_FILE_MAX - n)) > 0)
        n += (size_t)got;
    close(fd);
    bool ok = text && mime_parse(m, slice_of(text, n));
    free(text);
    return ok;
}

struct mime *mime_new(const char *path)
{
    struct mime *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    arena_init(&m->arena);
    if (mime_load(m, path) && mime_parse(m, slice_of(builtin, sizeof(builtin) - 1)))
        return m;
    mime_free(m);
    return NULL;
}

void mime_free(struct mime *m)
{
    if (!m)
        return;
    arena_fini(&m->arena);
    free(m);
}

struct slice mime_extension(struct slice file)
{
    const char *slash = file.n ? memrchr(file.p, '/', file.n) : NULL;
    size_t base = slash ? (size_t)(slash - file.p) + 1 : 0;
    struct slice name = slice_from(file, base);
    const char *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;

    if (!dot || dot == name.p)
        return slice_of("", 0);
    return slice_from(name, (size_t)(dot - name.p) + 1);
}

struct slice mime_find(const struct mime *m, struct slice file)
{
    char lower[MIME_EXT_MAX];
    struct slice ext = ext_lower(lower, mime_extension(file));
    const struct mime_slot *slot = ext.n ? &m->slots[slot_of(m, ext)] : NULL;

    return slot && slot->ext.n ? slot->type : SLICE("application/octet-stream");
}
