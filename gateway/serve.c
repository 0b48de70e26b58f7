#include "serve.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fcgi/identity.h"
#include "buf.h"
#include "tls_selfsigned.h"

/* What the command line says. */
struct serve_options {
    const char *dir;
    unsigned http, https;
};

static const struct option_row {
    const char *name;
    size_t offset;
} option_rows[] = {
    {"--http", offsetof(struct serve_options, http)},
    {"--https", offsetof(struct serve_options, https)},
};

static int usage(FILE *errors_to, const char *what, const char *arg)
{
    fprintf(errors_to, "h2cgi: serve: %s %s\nTry: h2cgi --help\n", what, arg);
    return SERVE_USAGE;
}

static const struct option_row *find_option(const char *name)
{
    for (size_t i = 0; i < sizeof option_rows / sizeof option_rows[0]; i++) {
        if (strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    }
    return NULL;
}

static int parse(char **args, struct serve_options *o, FILE *errors_to)
{
    *o = (struct serve_options){.http = 8080, .https = 8443};
    for (; *args; args++) {
        const struct option_row *row = find_option(*args);
        if (row) {
            int64_t port = args[1] ? slice_decimal(slice_str(args[1]), 65535) : -1;
            if (port < 0)
                return usage(errors_to, "a port from 0 to 65535 follows", row->name);
            *(unsigned *)(void *)((char *)o + row->offset) = (unsigned)port;
            args++;
        } else if ((*args)[0] == '-') {
            return usage(errors_to, "unknown option", *args);
        } else if (o->dir) {
            return usage(errors_to, "one folder only, not also", *args);
        } else {
            o->dir = *args;
        }
    }
    return o->dir ? 0 : usage(errors_to, "which", "DIR?");
}

static int fail(FILE *errors_to, const char *what, const char *why)
{
    fprintf(errors_to, "h2cgi: %s: %s\n", what, why);
    return SERVE_FAILED;
}

/* A value of the INI ends at its line and is trimmed; a folder whose name that would change
 * cannot be written there. */
static bool can_be_value(const char *path)
{
    struct slice s = slice_str(path);

    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return false;
    }
    return slice_trim(s).n == s.n;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- root ---- */

/* Whom the gateway runs as: DIR's owner, or the usual one where that is root. */
static int choose_user(const char *dir, struct arena *a, struct identity *ret_id)
{
    struct stat st;

    if (stat(dir, &st) == 0 && st.st_uid != 0) {
        const struct passwd *pw = getpwuid(st.st_uid);
        if (pw)
            return identity_find(a, pw->pw_name, ret_id);
    }
    return identity_usual(a, ret_id);
}

static bool may(const struct stat *st, const struct identity *id, mode_t rwx)
{
    if (st->st_uid == id->uid)
        return ((st->st_mode >> 6) & rwx) == rwx;
    for (size_t i = 0; i < id->n_groups; i++) {
        if (st->st_gid == id->groups[i])
            return ((st->st_mode >> 3) & rwx) == rwx;
    }
    return (st->st_mode & rwx) == rwx;
}

/* Can the user come to dir, and list it?  By the modes on the way; ACLs are for who configures
 * a gateway of his own. */
static bool can_reach(const char *dir, const struct identity *id)
{
    char part[PATH_MAX];
    struct stat st;
    size_t n = strlen(dir);

    if (n >= sizeof part)
        return false;
    memcpy(part, dir, n + 1);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(part, &st) < 0 || !may(&st, id, 1))
            return false;
        *slash = '/';
    }
    return stat(part, &st) == 0 && may(&st, id, 5);
}

/* ---- the configuration ---- */

static int make_text(const struct serve *s, const char *dir, const char *user, struct buf *text)
{
    char scripts[PATH_MAX];
    int n = snprintf(scripts, sizeof scripts, "%s/cgi-bin", dir);
    bool cgi = n > 0 && (size_t)n < sizeof scripts && is_folder(scripts);
    int rc = 0;

    rc |= buf_printf(text,
                     "[gateway]\n%s%s\nruntime_dir = %s/run\nspool_dir = %s/spool\n"
                     "access_log = stderr\nerror_log = stderr\n"
                     "[listen http]\naddress = %s\n"
                     "[listen https]\naddress = %s\ntls = on\n",
                     user ? "user = " : "", user ? user : "", s->place, s->place, s->http,
                     s->https);
    rc |= buf_printf(text,
                     "[site serve]\nhost = *\nroot = %s\nindex = index.html\nlisting = on\n"
                     "unsent = off\n" /* a folder is shown, not a site run */
                     "certificate = %s/certificate.pem\ncertificate_key = %s/key.pem\n",
                     dir, s->place, s->place);
    if (cgi)
        rc |= buf_printf(text,
                         "[route serve /]\n[route serve /cgi-bin/]\npool = scripts\nroot = %s\n"
                         "[pool scripts]\ncgi = on\n",
                         scripts);
    return rc;
}

/* The INI knows no port 0: addresses that collide with nothing stand there instead, and what
 * was asked for is put in their place once it was read. */
static void make_address(char *out, size_t cap, unsigned port, const char *stand_in)
{
    if (port)
        (void)snprintf(out, cap, "127.0.0.1:%u", port);
    else
        (void)snprintf(out, cap, "%s", stand_in);
}

static void free_ports(struct serve *s, const struct serve_options *o)
{
    static const char free_port[] = "127.0.0.1:0";

    if (o->http == 0)
        s->conf->listens[0].addresses[0] = free_port;
    if (o->https == 0)
        s->conf->listens[1].addresses[0] = free_port;
}

/* Its listing leads from one port to the other, where it knows that. */
static void fill_site(struct serve *s, const struct serve_options *o)
{
    struct conf_site *site = &s->conf->sites[0];

    site->is_serve = true;
    if (o->http)
        site->serve_http = arena_printf(&s->conf->arena, "http://%s/", s->http).p;
    if (o->https)
        site->serve_https = arena_printf(&s->conf->arena, "https://%s/", s->https).p;
}

static int load(struct serve *s, const struct serve_options *o, const char *dir,
                const char *user, FILE *errors_to)
{
    struct buf text = {0};

    make_address(s->http, sizeof s->http, o->http, "127.0.0.2:1");
    make_address(s->https, sizeof s->https, o->https, "127.0.0.3:1");
    if (make_text(s, dir, user, &text) == 0)
        s->conf =
            conf_load_text("serve", (const char *)buf_at(&text), buf_len(&text), errors_to);
    buf_fini(&text);
    if (!s->conf)
        return SERVE_FAILED;
    free_ports(s, o);
    fill_site(s, o);
    return 0;
}

/* ---- the folder ---- */

static const char *const made_files[] = {"certificate.pem", "key.pem"};

static void in_place(const struct serve *s, const char *name, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/%s", s->place, name);
}

static int make_place(struct serve *s, FILE *errors_to)
{
    char certificate[PATH_MAX], key[PATH_MAX];

    strcpy(s->place, "/tmp/h2cgi-serve-XXXXXX");
    if (!mkdtemp(s->place)) {
        s->place[0] = '\0';
        return fail(errors_to, "/tmp", strerror(errno));
    }
    /* The gateway's user goes through to the sockets, but sees no names. */
    if (chmod(s->place, geteuid() == 0 ? 0711 : 0700) < 0)
        return fail(errors_to, s->place, strerror(errno));
    in_place(s, made_files[0], certificate, sizeof certificate);
    in_place(s, made_files[1], key, sizeof key);
    if (tls_selfsigned(certificate, key) < 0)
        return fail(errors_to, s->place, "no certificate could be made");
    return 0;
}

void serve_close(struct serve *s)
{
    char path[PATH_MAX];

    conf_free(s->conf);
    s->conf = NULL;
    if (!s->place[0])
        return;
    for (size_t i = 0; i < sizeof made_files / sizeof made_files[0]; i++) {
        in_place(s, made_files[i], path, sizeof path);
        unlink(path);
    }
    rmdir(s->place);
    s->place[0] = '\0';
}

/* ---- all of it ---- */

/* Root's gateway runs as somebody else, who must be able to read DIR. */
static int settle_user(const char *dir, struct arena *a, const char **ret_user, FILE *errors_to)
{
    struct identity id;

    *ret_user = NULL;
    if (geteuid() != 0)
        return 0;
    int err = choose_user(dir, a, &id);
    if (err)
        return fail(errors_to, "no user to run as", strerror(err));
    if (!can_reach(dir, &id)) {
        fprintf(errors_to,
                "h2cgi: %s: cannot be read by %s, whom the gateway runs as; open the folders "
                "on the way, or start as an ordinary user\n",
                dir, id.name);
        return SERVE_FAILED;
    }
    *ret_user = id.name;
    return 0;
}

static int open_dir(struct serve *s, const struct serve_options *o, FILE *errors_to)
{
    char dir[PATH_MAX];
    const char *user;
    struct arena a;

    if (!realpath(o->dir, dir))
        return fail(errors_to, o->dir, strerror(errno));
    if (!is_folder(dir))
        return fail(errors_to, o->dir, "not a folder");
    if (!can_be_value(dir))
        return fail(errors_to, o->dir, "a name with control characters, or a space at its end");
    arena_init(&a);
    int rc = settle_user(dir, &a, &user, errors_to);
    if (rc == 0)
        rc = make_place(s, errors_to);
    if (rc == 0)
        rc = load(s, o, dir, user, errors_to);
    arena_fini(&a);
    return rc;
}

int serve_open(struct serve *s, char **args, FILE *errors_to)
{
    struct serve_options o;

    *s = (struct serve){0};
    int rc = parse(args, &o, errors_to);
    if (rc == 0)
        rc = open_dir(s, &o, errors_to);
    if (rc != 0)
        serve_close(s);
    return rc;
}
