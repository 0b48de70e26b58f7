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
#include "access.h"
#include "compress.h"
#include "limit.h"

/* A key of a family, env.NAME = VALUE, in the order of the file; what else a family keeps of its
 * keys follows in structs that begin with it. */
struct conf_pair {
    struct slice name, value;
};

/* error_page.404 = TARGET, error_page.5xx = =200 TARGET */
struct conf_error_page {
    struct conf_pair pair;
    unsigned first, last; /* statuses it is for */
    struct slice target;  /* path?query of the site, or a URL; empty: the gateway's own page */
    int status;           /* to answer with; 0: the error's, -1: the target's */
};

enum conf_writer { CONF_WRITER_AUTO, CONF_WRITER_ALWAYS };
enum conf_body { CONF_BODY_AUTO, CONF_BODY_SPOOL, CONF_BODY_STREAM };
enum conf_links { CONF_LINKS_INSIDE, CONF_LINKS_FOLLOW, CONF_LINKS_OWNER, CONF_LINKS_NEVER };
/* What a file may lie beside itself as; the bits of gateway/accept_encoding.h. */
enum { CONF_CODING_BR = 1, CONF_CODING_ZSTD = 2, CONF_CODING_GZIP = 4 };

/* One of the words of try, in their order. */
enum conf_try_kind {
    CONF_TRY_FILE,   /* found where path is a file */
    CONF_TRY_FOLDER, /* where it is a folder with an index, or to be listed */
    CONF_TRY_GO, /* the last: path, and perhaps query, are routed in place of the request's */
    CONF_TRY_STATUS, /* the last */
};

struct vars;

struct conf_try {
    enum conf_try_kind kind;
    bool as_asked; /* $uri, $uri/: the request's own path */
    int status;
    const struct vars *path;
};

struct conf_tries {
    struct conf_try *at;
    unsigned n; /* 0: none */
};

enum conf_underscores { CONF_UNDERSCORES_DROP, CONF_UNDERSCORES_PASS };
enum conf_tristate { CONF_UNSET = -1, CONF_OFF = 0, CONF_ON = 1 };
/* The field that a trusted proxy names its client in. */
enum conf_trusted_field { CONF_TRUST_NONE, CONF_TRUST_X_FORWARDED_FOR, CONF_TRUST_FORWARDED };
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
    unsigned open_files;         /* kept open between requests, over all workers; 0: none */
    int64_t open_files_valid_ms; /* 1s: then the path to one is walked again */
    int64_t open_files_memory;   /* bytes of small ones, over all workers, 16M */
    const char *access_log;      /* path, "off" or "stderr" */
    const char *error_log;       /* path or "stderr" */
    enum conf_level error_level;
    const char *pid_file; /* runtime_dir/h2cgi.pid unless set */
    int64_t handshake_timeout_ms;
    int64_t head_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    unsigned connection_requests;             /* then it is closed gracefully; 0: never */
    int64_t connection_age_ms;                /* the same */
    unsigned tls_key_updates;                 /* of one connection */
    int64_t body_min_rate, response_min_rate; /* bytes a second; 0: none */
    int64_t drain_timeout_ms;
    bool websocket;               /* some route has websocket = on */
    int64_t head_limit;           /* bytes of a request head, h2: of the field list; 64K */
    unsigned head_fields;         /* fields of a request head, 100 */
    unsigned h2_streams;          /* SETTINGS_MAX_CONCURRENT_STREAMS, 100 */
    int64_t h2_stream_window;     /* bytes, 64K */
    int64_t h2_stream_window_max; /* bytes, 32M: to which it grows */
    int64_t h2_window_memory;     /* bytes, 256M: by which all may grow */
    int64_t h2_connection_window; /* bytes, 128M: more than h2_streams full streams, and as much
                                     again for those that grew */
    unsigned
        h2_resets; /* resets by the client, and caused by it, per 30 s before it is cut off */
    struct cidr_set trusted_proxies; /* whose word on their clients is taken */
    enum conf_trusted_field trusted_field;
    bool trusted_address, trusted_proto, trusted_host; /* what is taken of it: trusted_parts */
    int64_t compress_memory;     /* bytes, of all encoders together; 64M */
    int64_t filter_cache_size;   /* bytes, all answers of filters together; 16M */
    int64_t filter_cache_entry;  /* bytes of one of them; 1M */
    unsigned client_connections; /* of one client address at once; 0: any number */
    unsigned client_requests;    /* at work at once; 0: any number */
    unsigned client_resets;      /* per 30 s; 0: any number */
    int64_t client_cost_ms;      /* of given-up requests, per minute; 0: any time */
    unsigned client_table;       /* client addresses with an account */
    struct cidr *client_exempt;  /* who has none */
    unsigned n_client_exempt;
    unsigned limit_table;            /* accounts of rate, requests_at_once and auth_failures */
    struct conf_limit auth_failures; /* of one client address, of one file; n = 0: any number */
    unsigned h2_control_frames; /* PING + SETTINGS + empty frames + unknown ones per 10 s before
                                   it is cut off */
};

/* Who is asked for a name and password, and what else may let him in. */
enum conf_satisfy { CONF_SATISFY_ALL, CONF_SATISFY_ANY };

struct conf_auth {
    int basic;              /* 0, 1; -1: the site's */
    const char *realm;      /* "restricted" unless set */
    const char *file;       /* htpasswd */
    const char *group_file; /* "group: user user" */
    struct slice *users;    /* who of the file may come in; with neither: all of it */
    struct slice *groups;
    unsigned n_users, n_groups;
    int satisfy; /* enum conf_satisfy: deny and allow, auth, authorizer; -1: the site's */
};

struct conf_listen {
    const char *name;
    const char **addresses; /* as written: host:port, *:port, [v6]:port, unix:/path */
    unsigned n_addresses;
    bool tls;
    bool proxy_protocol;            /* each connection begins with a PROXY header */
    const char *congestion_control; /* auto, system or a name: gateway/congestion.h */
    struct access_lists lists;      /* deny, allow */
    const struct access *access;    /* who is not is cut off at once; NULL: everybody may */
};

enum conf_expires_kind {
    CONF_EXPIRES_UNSET,
    CONF_EXPIRES_OFF,
    CONF_EXPIRES_PAST,
    CONF_EXPIRES_AGE
};

/* How long caches may keep an answer. */
struct conf_expires {
    enum conf_expires_kind kind; /* UNSET: the site's */
    int64_t age_s;               /* of CONF_EXPIRES_AGE */
    struct slice cache_control;  /* value of the field */
};

struct conf_pool;
struct vars;
struct conf_rewrite;     /* rewrite.h */
struct conf_header;      /* fields.h */
struct conf_expires_ext; /* fields.h */

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
    bool internal;                  /* only for X-Accel-Redirect */
    int redirect_status;            /* 301, 302, 303, 307, 308; 0: none */
    const char *redirect;           /* target as written, or NULL */
    const struct vars *redirect_to; /* the same */
    struct conf_pair *env; /* request variables (FastCGI parameters), the site's among them */
    unsigned n_env;
    struct conf_rewrite *rewrite; /* beside the site's, which come before any route */
    unsigned n_rewrite;
    struct conf_header *header; /* the site's among them */
    unsigned n_header;
    struct conf_expires_ext *expires_ext; /* the site's among them */
    unsigned n_expires_ext;
    struct conf_expires expires;         /* the site's unless set */
    bool has_field_rules;                /* any of these, or hsts */
    struct conf_error_page *error_pages; /* the site's among them */
    unsigned n_error_pages;
    int error_page_intercept;    /* 0: off, 1: on, -1: the site's */
    struct access_lists lists;   /* deny, allow */
    const struct access *access; /* the site's unless it has lists; NULL: everybody */
    struct conf_limit *rate;     /* the site's unless it has some */
    unsigned n_rate;
    struct conf_limit *at_once; /* likewise */
    unsigned n_at_once;
    int limits_dry_run;     /* -1: the site's */
    struct conf_auth auth;  /* the site's, key by key, unless the route says */
    const char *auth_match; /* POSIX extended regular expression on path?query, or NULL: all */
    enum conf_tristate script_check; /* CONF_UNSET: on, but off for a pool with a TCP address */
    int64_t body_limit;              /* -1: the site's */
    int request_body;                /* enum conf_body, -1: the site's */
    int response_body;               /* enum conf_body (SPOOL or STREAM), -1: the site's */
    int early_hints;                 /* 0: off, 1: learn, -1: the site's */
    struct slice *early_hint;        /* link-values; the site's unless it has some */
    unsigned n_early_hint;
    int push;                     /* -1: the site's */
    bool websocket;               /* its pool may be spoken to over WebSocket */
    int64_t websocket_timeout_ms; /* -1: the site's */
    int underscores;              /* enum conf_underscores, -1: the site's */
    int64_t response_spool_limit; /* 0: none, -1: the site's */
    int links;                    /* enum conf_links, -1: the site's */
    struct conf_tries tries;      /* the site's unless it has some; to a pool: its own only, and
                                  what they do not find the pool has */
    struct conf_pair *types;      /* media types by extension, the site's among them */
    unsigned n_types;
    const char *charset;  /* of text types; "": none, NULL: as mime.h has it */
    int precompressed;    /* CONF_CODING_*: forms of a file that may lie beside it */
    struct slice *unsent; /* ends of names of programs; the site's unless it has some */
    unsigned n_unsent;
    bool own_unsent; /* it has */
    int hidden;      /* names that begin with a dot are found; -1: the site's */
    int listing;     /* 0: off, 1: on, -1: the site's */
    const struct conf_compress *compress; /* NULL: off */
    const char *file;                     /* where the section is, for the log */
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
    struct slice *early_hint;     /* link-values */
    unsigned n_early_hint;
    bool push;
    int64_t websocket_timeout_ms; /* 5m unless set */
    enum conf_underscores underscores;
    enum conf_links links;
    int hidden; /* names that begin with a dot are found */
    struct slice *unsent;
    unsigned n_unsent;
    struct conf_tries tries;
    struct conf_pair *types;
    unsigned n_types;
    const char *charset;
    int precompressed;
    int listing;   /* 0: off, 1: on */
    bool is_serve; /* of h2cgi serve: its listing greets, and names the other port: */
    const char *serve_http, *serve_https; /* URLs; NULL: not known */
    const struct conf_compress *compress;
    struct conf_pair *env; /* request variables of its routes */
    unsigned n_env;
    struct conf_rewrite *rewrite;
    unsigned n_rewrite;
    struct conf_header *header;
    unsigned n_header;
    struct conf_expires_ext *expires_ext;
    unsigned n_expires_ext;
    struct conf_expires expires;
    struct slice hsts;    /* value of Strict-Transport-Security; empty: not sent */
    bool has_field_rules; /* any of these */
    struct conf_error_page *error_pages; /* of its routes, and where none was found */
    unsigned n_error_pages;
    int error_page_intercept;           /* 0: off, 1: on */
    const struct conf_pool *authorizer; /* NULL: none */
    struct access_lists lists;          /* deny, allow */
    const struct access *access;        /* NULL: everybody */
    struct conf_auth auth;
    struct conf_limit *rate;
    unsigned n_rate;
    struct conf_limit *at_once;
    unsigned n_at_once;
    int limits_dry_run;
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
    const char *directory; /* of spawned processes; NULL: that of the program */
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
    struct conf_pair *env; /* environment of the processes */
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
