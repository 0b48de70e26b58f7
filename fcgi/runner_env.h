/*
 * fcgi/runner_env.h - what a script is given: environment, arguments, and which one it is.
 *
 * Shape    FastCGI parameters are added as they come, then read as strings or built into envp
 *          and argv.  Parameters lie over the runner's own environment; of several with one
 *          name the last counts.  Left out are names that are empty or hold '=' or NUL, values
 *          that hold NUL, and HTTP_PROXY: it would come from a request header, but programs
 *          take it for the address of a proxy ("httpoxy", CVE-2016-5385)
 * Result   0 or GW_ENO_MEMORY; NULL where there is nothing
 * Threads  one
 * Memory   pointers it returns are good until the next _add, _clear or _fini
 * Source   RFC 3875 4.1, 4.4, 7.2
 */
#ifndef FCGI_RUNNER_ENV_H
#define FCGI_RUNNER_ENV_H

#include "../gateway/buf.h"

/* All of the parameters together, in bytes.  The kernel's own limit on arguments and
 * environment is a quarter of the stack limit, as a rule 2 MiB. */
enum { RUNNER_ENV_MAX = 1024 * 1024 };

struct runner_env {
    struct buf text;   /* NAME=VALUE NUL, one after the other */
    size_t n;          /* how many */
    bool over;         /* more than RUNNER_ENV_MAX came; the rest was left out */
    struct buf envp;   /* char *[] */
    struct buf table;  /* uint32_t[], names to places in envp */
    struct buf words;  /* decoded arguments */
    struct buf argv;   /* char *[] */
    struct buf script; /* path put together of two variables */
};

void runner_env_clear(struct runner_env *e);
void runner_env_fini(struct runner_env *e);

int runner_env_add(struct runner_env *e, struct slice name, struct slice value);

/* The value of a parameter. */
const char *runner_env_get(const struct runner_env *e, const char *name);

/* NULL-terminated: inherited[] with the parameters over it, a PATH if neither has one, and mark
 * ("NAME=VALUE") unless it is NULL.  NULL if memory is out. */
char **runner_env_envp(struct runner_env *e, char *const inherited[], const char *mark);

/* NULL-terminated: path, then the words of the query if it is a search string.  NULL if memory
 * is out. */
char **runner_env_argv(struct runner_env *e, const char *path);

/* Absolute path of the script: SCRIPT_FILENAME, else DOCUMENT_ROOT with SCRIPT_NAME.  NULL if
 * there is none or memory is out. */
const char *runner_env_script(struct runner_env *e);

#endif
