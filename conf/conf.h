/*
 * conf/conf.h - the configuration as plain structs: filled from an INI file by the rows of
 * schema.c, read by everybody else.
 *
 * Shape    struct conf owns arrays of sites, pools and listeners; routes belong to their site.
 *          Indices are stable for the life of a struct conf; pointers into it too.
 * Units    times in milliseconds, sizes in bytes
 * Threads  filled by the master before threads start, constant after
 * Memory   everything hangs off conf->arena; conf_free() ends it all
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdio.h>
#include <sys/types.h>

#include "../gateway/arena.h"

/* NAME=VALUE, in the order of the file. */
struct conf_env {
    struct slice name, value;
};

enum conf_writer { CONF_WRITER_AUTO, CONF_WRITER_ALWAYS };
enum conf_body { CONF_BODY_AUTO, CONF_BODY_SPOOL, CONF_BODY_STREAM };
enum conf_links { CONF_LINKS_INSIDE, CONF_LINKS_FOLLOW };
enum conf_tristate { CONF_UNSET = -1, CONF_OFF = 0, CONF_ON = 1 };
/* The same order as syslog's, so that a smaller number is worse. */
enum conf_level {
    CONF_LOG_ERROR = 3,
    CONF_LOG_WARN = 4,
    CONF_LOG_NOTICE = 5,
    CONF_LOG_INFO = 6,
    CONF_LOG_DEBUG = 7
};

struct conf_gateway {
    const char *user; /* NULL: whoever started us */
    const char
        *resolver;    /* name servers: IP, IP:port, with commas between; NULL: the system's */
    unsigned workers; /* 0: one per core */
    enum conf_writer writer; /* auto | always */
    unsigned writers;        /* writer threads, 64 */
    const char *runtime_dir; /* sockets of pool processes, pid file, control socket */
    const char *spool_dir;
    int64_t spool_memory; /* bytes of one body kept in memory before its file starts, 64K */
    int64_t spool_limit;  /* bytes in spool files, over all requests, 4G */
    unsigned max_connections;
    const char *access_log; /* path, "off" or "stderr" */
    const char *error_log;  /* path or "stderr" */
    enum conf_level error_level;
    const char *pid_file; /* runtime_dir/h2cgi.pid unless set */
    int64_t handshake_timeout_ms;
    int64_t head_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    int64_t drain_timeout_ms;
    int64_t head_limit;           /* bytes of a request head, h2: of the field list; 64K */
    unsigned head_fields;         /* fields of a request head, 100 */
    unsigned h2_streams;          /* SETTINGS_MAX_CONCURRENT_STREAMS, 100 */
    int64_t h2_stream_window;     /* bytes, 64K */
    int64_t h2_connection_window; /* bytes, 16M: more than h2_streams full streams */
    unsigned
        h2_resets; /* resets by the client, and caused by it, per 30 s before it is cut off */
    int64_t filter_cache_size;  /* bytes, all answers of filters together; 16M */
    int64_t filter_cache_entry; /* bytes of one of them; 1M */
    unsigned h2_control_frames; /* PING + SETTINGS + empty frames + unknown ones per 10 s before
                                   it is cut off */
};

struct conf_listen {
    const char *name;
    const char **addresses; /* as written: host:port, *:port, [v6]:port, unix:/path */
    unsigned n_addresses;
    bool tls;
};

struct conf_pool;

struct conf_route {
    struct slice pattern; /* as written, without a leading "= " */
    bool exact;           /* "= /path" */
    struct slice prefix;  /* literal part, ends in a slash; "/" where the pattern starts with a
                             star; for exact: the path */
    struct slice suffix; /* what must follow a path component, ".php" of "*.php"; empty if there
                            is no star */
    const char *root;    /* own root or NULL; for pools and files */
    const char *script;  /* one program for everything below, or NULL */
    struct slice *index; /* own index list or NULL */
    unsigned n_index;
    int pool;                           /* index into conf->pools, -1: files or redirect */
    const struct conf_pool *authorizer; /* asked before, in conf->pools; the site's unless the
                                           route says; NULL: nobody is */
    const struct conf_pool *filter;     /* what files go through; NULL: nothing */
    bool filter_cache;
    struct slice *sendfile_root; /* folders of X-Sendfile; none: not honoured */
    unsigned n_sendfile_root;
    struct slice *accel_redirect; /* paths of X-Accel-Redirect; none: not honoured */
    unsigned n_accel_redirect;
    bool internal;        /* only for X-Accel-Redirect */
    int redirect_status;  /* 301, 302, 303, 307, 308; 0: none */
    const char *redirect; /* target as written, or NULL */
    struct conf_env *env; /* request variables (FastCGI parameters) */
    unsigned n_env;
    bool auth_basic;
    const char *auth_realm; /* "restricted" unless set */
    const char *auth_file;
    const char *auth_match; /* POSIX extended regular expression on path?query, or NULL: all */
    enum conf_tristate script_check; /* CONF_UNSET: on, but off for a pool with a TCP address */
    int64_t body_limit;              /* -1: the site's */
    int request_body;                /* enum conf_body, -1: the site's */
    int response_body;               /* enum conf_body (SPOOL or STREAM), -1: the site's */
    int early_hints;                 /* 0: off, 1: learn, -1: the site's */
    int64_t response_spool_limit;    /* 0: none, -1: the site's */
    int links;                       /* enum conf_links, -1: the site's */
    const char *file;                /* where the section is, for the log */
    unsigned line;
};

struct conf_site {
    const char *name;
    struct slice *hosts; /* lower case: "example.org", "*.example.org", "*" */
    unsigned n_hosts;
    const char *certificate, *certificate_key;
    const char *root;
    struct slice *index; /* index.html unless set */
    unsigned n_index;
    int64_t body_limit; /* 1G unless set; 0: none */
    enum conf_body request_body;
    enum conf_body response_body;
    int64_t response_spool_limit; /* bytes that wait of one response, 16M; 0: no limit */
    int early_hints;              /* 0: off, 1: learn */
    enum conf_links links;
    const struct conf_pool *authorizer; /* NULL: none */
    struct conf_route *routes; /* in the order of the file, then one for the files of root
                                  unless a route for "/" is there */
    unsigned n_routes;
    const char *file;
    unsigned line;
};

struct conf_address {
    const char *text; /* as written: unix:/path, host:port, [v6]:port, srv:NAME */
    unsigned weight;  /* 1 unless set */
    unsigned max;     /* requests in flight; 0: as many as the pool */
    bool backup;      /* only when no other can take a request */
};

enum conf_balance { CONF_BALANCE_LEAST, CONF_BALANCE_ROUND_ROBIN, CONF_BALANCE_HASH };

/* "8" is 8 to 8. */
struct conf_range {
    unsigned min, max;
};

struct conf_pool {
    const char *name;
    struct conf_address *connect; /* servers by address; n_connect = 0 when spawned */
    unsigned n_connect;
    const char **spawn; /* argv, NULL-terminated; NULL unless spawned.  For cgi pools: NULL, the
                           runner is meant */
    bool cgi;
    unsigned
        processes; /* processes h2cgi starts; cgi: max_requests unless set, else 16; spawn: 1;
                           connect: 0 */
    unsigned min_processes;  /* of them kept without a request; processes where the number is
                               fixed */
    struct conf_range range; /* what the file says of both; 0 to 0: nothing */
    unsigned slots;          /* processes and room for successors: sockets, servers */
    unsigned requests_per_process;     /* requests one process takes at once; 1 */
    int64_t idle_timeout_ms;           /* a process above min_processes without a request */
    unsigned max_requests_per_process; /* then a successor takes over; 0: never */
    int64_t max_age_ms;                /* the same; 0: never */
    int64_t max_memory;                /* the same, bytes; 0: never */
    int64_t start_timeout_ms;          /* until a process takes its first connection */
    int stop_signal;
    int64_t stop_timeout_ms;  /* between stop_signal and KILL */
    bool listen_self;         /* spawn: the program binds self_address itself */
    const char *self_address; /* as connect has it, {slot} where the slot's number goes */
    const char *user;         /* NULL: the gateway's user, or whoever started us */
    const char *peer_user; /* whose the servers must be; NULL: anybody's, listen_self: user's */
    struct conf_env *env;  /* environment of the processes */
    unsigned n_env;
    unsigned max_requests; /* in flight, the whole pool; connect: 16; spawned: processes *
                              requests_per_process */
    unsigned keepalive; /* idle connections kept; max_requests unless set; 0: a connection per
                           request */
    bool multiplex;     /* where a server offers it */
    unsigned multiplex_requests; /* on one connection, 32 */
    unsigned queue;              /* requests waiting, 128 */
    int64_t queue_timeout_ms;
    int64_t retry_after_ms;      /* 0: what the queue takes now */
    int64_t health_interval_ms;  /* between checks of a server; 0: none */
    int64_t health_timeout_ms;   /* 5s */
    const char *health_path;     /* path[?query] of a GET; NULL: GET_VALUES, or connect only */
    const char *health_script;   /* its SCRIPT_FILENAME; NULL: the path */
    int64_t resolve_interval_ms; /* of names in connect, 60s */
    enum conf_balance balance;
    const char *balance_key;     /* "address" or "field NAME" */
    struct slice balance_field;  /* NAME of that; empty: the address */
    unsigned retries;            /* of a request that nobody answered, 2 */
    int64_t keepalive_time_ms;   /* how long an idle connection is kept, 60s */
    unsigned keepalive_requests; /* of one connection, 1000 */
    int64_t connect_timeout_ms;
    int64_t send_timeout_ms;
    int64_t first_byte_timeout_ms;
    int64_t read_timeout_ms; /* between bytes */
    int64_t timeout_ms;      /* the whole request; cgi: TERM then KILL */
    int64_t abort_timeout_ms;
    int64_t stderr_limit; /* bytes of one request's log, 1M */
    const char *file;
    unsigned line;
};

struct conf {
    struct arena arena;
    const char *path; /* the main file; "serve" for one made by h2cgi serve */
    struct conf_gateway gateway;
    struct conf_listen *listens;
    unsigned n_listens;
    struct conf_site *sites;
    unsigned n_sites;
    int default_site; /* the site with host = *, else 0 */
    struct conf_pool *pools;
    unsigned n_pools;
};

/*
 * conf/conf.c: read a file with its includes.  All errors at once go to errors_to, one a line,
 * in the order of the files:
 *     FILE:LINE: what is wrong; did you mean "X"?
 * Returns the configuration, or NULL if there was any error.  Checks what can be seen without
 * starting anything: types, ranges, unknown and missing keys, names that do not exist,
 * patterns, addresses, users, files and folders that a key names.  Whether a certificate is
 * readable and PEM is gateway/tls.c's business.
 */
struct conf *conf_load(const char *path, FILE *errors_to);

/* The same from text held in memory (h2cgi serve, tests); name is used for messages.  It cannot
 * include files. */
struct conf *conf_load_text(const char *name, const char *text, size_t len, FILE *errors_to);

/* Both, and what only tests and other machines' files need. */
struct conf_source {
    const char *name;  /* the file to read, unless there is a text */
    struct slice text; /* p is NULL: read the file */
    bool syntax_only;  /* do not ask the machine for users, files and folders */
};
struct conf *conf_read(const struct conf_source *source, FILE *errors_to);

void conf_free(struct conf *conf);

#endif
