#include "schema.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>

/* The number setters write fields of these sizes only. */
_Static_assert(sizeof(enum conf_body) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(unsigned) == sizeof(int), "numbers are stored as int");

#define AT(type, field)                                                                        \
    .offset = offsetof(struct type, field), .size = sizeof(((struct type *)0)->field)
#define LIST(type, field, count)                                                               \
    .offset = offsetof(struct type, field), .size = sizeof(*((struct type *)0)->field),        \
    .n_offset = offsetof(struct type, count)

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    GIB = 1024 * MIB,
    SECOND = 1000,
    HOUR = 3600 * SECOND,
    DAY = 24 * HOUR,
    PATH_BYTES = PATH_MAX - 1,
    WORDS = 1024, /* of a list, and variables of a section */
};
#define SIZE_MOST (64 * 1024 * (int64_t)GIB)

static const struct schema_word auto_words[] = {{"auto", 0}, {NULL, 0}};
static const struct schema_word off_words[] = {{"off", 0}, {"stderr", 0}, {NULL, 0}};
static const struct schema_word stderr_words[] = {{"stderr", 0}, {NULL, 0}};
static const struct schema_word writer_words[] = {
    {"auto", CONF_WRITER_AUTO}, {"always", CONF_WRITER_ALWAYS}, {NULL, 0}};
static const struct schema_word level_words[] = {
    {"error", CONF_LOG_ERROR}, {"warn", CONF_LOG_WARN},   {"notice", CONF_LOG_NOTICE},
    {"info", CONF_LOG_INFO},   {"debug", CONF_LOG_DEBUG}, {NULL, 0}};
static const struct schema_word request_words[] = {{"auto", CONF_BODY_AUTO},
                                                   {"spool", CONF_BODY_SPOOL},
                                                   {"stream", CONF_BODY_STREAM},
                                                   {NULL, 0}};
static const struct schema_word response_words[] = {
    {"spool", CONF_BODY_SPOOL}, {"stream", CONF_BODY_STREAM}, {NULL, 0}};
static const struct schema_word none_words[] = {{"none", 0}, {NULL, 0}};
static const struct schema_word links_words[] = {
    {"inside", CONF_LINKS_INSIDE}, {"follow", CONF_LINKS_FOLLOW}, {NULL, 0}};
static const struct schema_word multiplex_words[] = {{"off", 0}, {"auto", 1}, {NULL, 0}};
static const struct schema_word hints_words[] = {{"off", 0}, {"learn", 1}, {NULL, 0}};
static const struct schema_word never_words[] = {{"off", 0}, {NULL, 0}};
static const struct schema_word listen_words[] = {{"given", 0}, {"self", 1}, {NULL, 0}};
static const struct schema_word signal_words[] = {
    {"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"KILL", SIGKILL}, {NULL, 0}};
static const struct schema_word balance_words[] = {{"least", CONF_BALANCE_LEAST},
                                                   {"round-robin", CONF_BALANCE_ROUND_ROBIN},
                                                   {"hash", CONF_BALANCE_HASH},
                                                   {NULL, 0}};
static const struct schema_word auth_words[] = {{"off", 0}, {"basic", 1}, {NULL, 0}};

static const struct schema_kind kinds[SCHEMA_SECTIONS] = {
    [SCHEMA_GATEWAY] = {"gateway", sizeof(struct schema_gateway),
                        "The process as a whole; once, or once a file with different keys."},
    [SCHEMA_LISTEN] = {"listen", sizeof(struct conf_listen), "Addresses to listen on."},
    [SCHEMA_SITE] = {"site", sizeof(struct schema_site),
                     "A set of host names and their files."},
    [SCHEMA_ROUTE] = {"route", sizeof(struct schema_route),
                      "What answers a path of a site: files, a pool or a redirect."},
    [SCHEMA_POOL] = {"pool", sizeof(struct conf_pool),
                     "A set of equivalent FastCGI servers, given by address or started."},
};

static const struct schema_key keys[] = {
#define G(field) AT(schema_gateway, conf.field)
    {SCHEMA_GATEWAY, "user", SCHEMA_STRING, 1, 32, NULL, NULL,
     "User that the gateway changes to when started as root; www-data or nobody unless set.",
     G(user)},
    {SCHEMA_GATEWAY, "workers", SCHEMA_NUMBER, 1, 256, "auto", "threads",
     "Threads that parse, route and forward; auto is one per core.", G(workers),
     .words = auto_words},
    {SCHEMA_GATEWAY, "writer", SCHEMA_ENUM, 0, 0, "auto", NULL,
     "auto: writer threads send what the socket does not take at once; always: they send all.",
     G(writer), .words = writer_words},
    {SCHEMA_GATEWAY, "writers", SCHEMA_NUMBER, 1, 1024, "64", "threads",
     "Writer threads, shared by all connections.", G(writers)},
    {SCHEMA_GATEWAY, "runtime_dir", SCHEMA_PATH, 1, PATH_BYTES, "/run/h2cgi", NULL,
     "Folder of sockets; not as root: $XDG_RUNTIME_DIR/h2cgi, else /tmp/h2cgi-UID.",
     G(runtime_dir), .derived = true},
    {SCHEMA_GATEWAY, "spool_dir", SCHEMA_PATH, 1, PATH_BYTES, "/var/spool/h2cgi", NULL,
     "Folder of the unlinked files that hold bodies; not as root: spool below runtime_dir.",
     G(spool_dir), .derived = true},
    {SCHEMA_GATEWAY, "spool_memory", SCHEMA_SIZE, 0, GIB, "64K", "bytes",
     "What is kept of one body in memory before its file starts.", G(spool_memory)},
    {SCHEMA_GATEWAY, "spool_limit", SCHEMA_SIZE, 0, SIZE_MOST, "4G", "bytes",
     "Most that all spool files hold together.", G(spool_limit)},
    {SCHEMA_GATEWAY, "max_connections", SCHEMA_NUMBER, 1, 1000000, "10000", "connections",
     "Client connections at once; over it none is accepted until one ends.",
     G(max_connections)},
    {SCHEMA_GATEWAY, "access_log", SCHEMA_PATH, 1, PATH_BYTES, "off", NULL,
     "File for one line per request; or off, or stderr.", G(access_log), .words = off_words},
    {SCHEMA_GATEWAY, "error_log", SCHEMA_PATH, 1, PATH_BYTES, "stderr", NULL,
     "File for errors and what applications write to stderr; or stderr.", G(error_log),
     .words = stderr_words},
    {SCHEMA_GATEWAY, "error_level", SCHEMA_ENUM, 0, 0, "notice", NULL,
     "Least important kind of line that the error log takes.", G(error_level),
     .words = level_words},
    {SCHEMA_GATEWAY, "pid_file", SCHEMA_PATH, 1, PATH_BYTES, "/run/h2cgi/h2cgi.pid", NULL,
     "File that holds the process id; h2cgi.pid in runtime_dir unless set.", G(pid_file),
     .derived = true},
    {SCHEMA_GATEWAY, "resolver", SCHEMA_RESOLVERS, 1, 8, NULL, NULL,
     "Name servers for names in connect: IP, IP:port, [v6], [v6]:port; the system's unless "
     "set.",
     LIST(schema_gateway, resolver, n_resolver)},
    {SCHEMA_GATEWAY, "include", SCHEMA_LIST, 1, WORDS, NULL, NULL,
     "Files to read after this one, relative to it; * and ? as in a shell, sorted.",
     LIST(schema_gateway, include, n_include)},
    {SCHEMA_GATEWAY, "handshake_timeout", SCHEMA_DURATION, 1, HOUR, "10s", "time",
     "How long a TLS handshake may take.", G(handshake_timeout_ms)},
    {SCHEMA_GATEWAY, "head_timeout", SCHEMA_DURATION, 1, HOUR, "10s", "time",
     "How long a request head may take from its first byte, the first one from accept.",
     G(head_timeout_ms)},
    {SCHEMA_GATEWAY, "body_timeout", SCHEMA_DURATION, 1, DAY, "30s", "time",
     "How long a client may send nothing of a request body.", G(body_timeout_ms)},
    {SCHEMA_GATEWAY, "idle_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long a connection may be without a request.", G(idle_timeout_ms)},
    {SCHEMA_GATEWAY, "write_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long a client may take nothing of what waits for it.", G(write_timeout_ms)},
    {SCHEMA_GATEWAY, "drain_timeout", SCHEMA_DURATION, 1, DAY, "30s", "time",
     "How long requests under way may go on when h2cgi drains or reloads.",
     G(drain_timeout_ms)},
    {SCHEMA_GATEWAY, "head_limit", SCHEMA_SIZE, KIB, MIB, "64K", "bytes",
     "Largest request head, in HTTP/2 the field list; over it 431.", G(head_limit)},
    {SCHEMA_GATEWAY, "head_fields", SCHEMA_NUMBER, 1, 10000, "100", "fields",
     "Most fields in a request head; over it 431.", G(head_fields)},
    {SCHEMA_GATEWAY, "h2_streams", SCHEMA_NUMBER, 1, 10000, "100", "streams",
     "Requests at once on one HTTP/2 connection.", G(h2_streams)},
    {SCHEMA_GATEWAY, "h2_stream_window", SCHEMA_SIZE, 16 * KIB, GIB, "64K", "bytes",
     "Request body that an HTTP/2 client may send ahead on one stream.", G(h2_stream_window)},
    {SCHEMA_GATEWAY, "h2_connection_window", SCHEMA_SIZE, 64 * KIB, GIB, "16M", "bytes",
     "The same over all streams of a connection.", G(h2_connection_window)},
    {SCHEMA_GATEWAY, "h2_resets", SCHEMA_NUMBER, 1, 1000000, "100", "resets per 30s",
     "Streams a client may reset, or make us reset, before its connection is ended.",
     G(h2_resets)},
    {SCHEMA_GATEWAY, "h2_control_frames", SCHEMA_NUMBER, 1, 1000000, "1000", "frames per 10s",
     "PING, SETTINGS, empty and unknown frames a client may send before its connection is "
     "ended.",
     G(h2_control_frames)},
    {SCHEMA_GATEWAY, "filter_cache_size", SCHEMA_SIZE, 0, SIZE_MOST, "16M", "bytes",
     "Memory for the answers that filter_cache keeps, of all routes; 0: nothing is kept.",
     G(filter_cache_size)},
    {SCHEMA_GATEWAY, "filter_cache_entry", SCHEMA_SIZE, 0, GIB, "1M", "bytes",
     "Largest answer that filter_cache keeps.", G(filter_cache_entry)},
#undef G

    {SCHEMA_LISTEN, "address", SCHEMA_LISTEN_ADDRESSES, 1, WORDS, NULL, NULL,
     "Where to listen: host:port, *:port, [v6]:port, unix:/path; several with spaces between.",
     LIST(conf_listen, addresses, n_addresses), .required = true},
    {SCHEMA_LISTEN, "tls", SCHEMA_BOOL, 0, 0, "off", NULL,
     "TLS with HTTP/2 and HTTP/1.1; off: HTTP/1.1 and h2c on the same port.",
     AT(conf_listen, tls)},

#define S(field) AT(schema_site, conf.field)
    {SCHEMA_SITE, "host", SCHEMA_HOSTS, 1, WORDS, NULL, NULL,
     "Host names, *.example.org for all below one, * for those that no site has.",
     LIST(schema_site, conf.hosts, conf.n_hosts)},
    {SCHEMA_SITE, "certificate", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "PEM file with the certificate and its chain.", S(certificate)},
    {SCHEMA_SITE, "certificate_key", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "PEM file with the private key.", S(certificate_key)},
    {SCHEMA_SITE, "root", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL, "Folder of the site's files.",
     S(root)},
    {SCHEMA_SITE, "index", SCHEMA_LIST, 1, WORDS, "index.html", NULL,
     "Names to look for in a folder, in this order.",
     LIST(schema_site, conf.index, conf.n_index)},
    {SCHEMA_SITE, "body_limit", SCHEMA_SIZE, 0, SIZE_MOST, "1G", "bytes",
     "Largest request body; over it 413; 0: none.", S(body_limit)},
    {SCHEMA_SITE, "request_body", SCHEMA_ENUM, 0, 0, "auto", NULL,
     "stream: passed on as it comes; spool: collected first; auto: collected if without a "
     "length.",
     S(request_body), .words = request_words},
    {SCHEMA_SITE, "response_body", SCHEMA_ENUM, 0, 0, "spool", NULL,
     "spool: take from the application what a slow client does not; stream: make it wait.",
     S(response_body), .words = response_words},
    {SCHEMA_SITE, "response_spool_limit", SCHEMA_SIZE, 256 * KIB, SIZE_MOST, "16M", "bytes",
     "Most that is taken of one response for a slow client; then the application waits.",
     S(response_spool_limit), .words = none_words},
    {SCHEMA_SITE, "links", SCHEMA_ENUM, 0, 0, "inside", NULL,
     "Symbolic links are followed only where they end inside root (inside), or anywhere "
     "(follow).",
     S(links), .words = links_words},
    {SCHEMA_SITE, "early_hints", SCHEMA_ENUM, 0, 0, "off", NULL,
     "learn: send the Link fields of a path's last answer as 103 while the application works.",
     S(early_hints), .words = hints_words},
    {SCHEMA_SITE, "authorizer", SCHEMA_STRING, 1, 64, NULL, NULL,
     "Pool of FastCGI authorizers that are asked before anything of the site is answered.",
     AT(schema_site, authorizer)},
#undef S

#define R(field) AT(schema_route, conf.field)
    {SCHEMA_ROUTE, "pool", SCHEMA_STRING, 1, 64, NULL, NULL, "Pool that answers.",
     AT(schema_route, pool)},
    {SCHEMA_ROUTE, "redirect", SCHEMA_REDIRECT, 1, 8 * KIB, NULL, NULL,
     "Answer with this Location; the status before it is 301, 302 (unless set), 303, 307 or "
     "308.",
     R(redirect)},
    {SCHEMA_ROUTE, "root", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "Folder of what is below the pattern's prefix: scripts of a pool, else files.", R(root),
     .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "script", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "One program for everything below the pattern; the rest of the path is PATH_INFO.",
     R(script), .modes = SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "index", SCHEMA_LIST, 1, WORDS, "index.html", NULL,
     "Names to look for in a folder; the site's unless set.",
     LIST(schema_route, conf.index, conf.n_index), .derived = true,
     .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "env.NAME", SCHEMA_ENV, 0, WORDS, NULL, NULL,
     "A variable of each request (a FastCGI parameter; CGI programs find it in their "
     "environment).",
     LIST(schema_route, conf.env, conf.n_env)},
    {SCHEMA_ROUTE, "auth", SCHEMA_ENUM, 0, 0, "off", NULL, "Ask for name and password (basic).",
     R(auth_basic), .words = auth_words},
    {SCHEMA_ROUTE, "auth_realm", SCHEMA_STRING, 1, 200, "restricted", NULL,
     "What the client shows to the user who is asked.", R(auth_realm)},
    {SCHEMA_ROUTE, "auth_file", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "htpasswd file with bcrypt or SHA-crypt.", R(auth_file)},
    {SCHEMA_ROUTE, "auth_match", SCHEMA_STRING, 1, 4 * KIB, NULL, NULL,
     "Ask only where path?query matches this POSIX extended regular expression.",
     R(auth_match)},
    {SCHEMA_ROUTE, "authorizer", SCHEMA_STRING, 1, 64, NULL, NULL,
     "FastCGI authorizer that is asked before the route answers; the site's unless set; or "
     "off.",
     AT(schema_route, authorizer)},
    {SCHEMA_ROUTE, "filter", SCHEMA_STRING, 1, 64, NULL, NULL,
     "Pool of FastCGI filters that the route's files go through.", AT(schema_route, filter),
     .modes = SCHEMA_FILES},
    {SCHEMA_ROUTE, "filter_cache", SCHEMA_BOOL, 0, 0, "off", NULL,
     "Keep what the filter makes of a file until the file changes or its answer says so.",
     R(filter_cache), .modes = SCHEMA_FILES},
    {SCHEMA_ROUTE, "sendfile_root", SCHEMA_LIST, 1, WORDS, NULL, NULL,
     "Folders of files that the application may have sent with X-Sendfile: /FILE.",
     LIST(schema_route, conf.sendfile_root, conf.n_sendfile_root), .modes = SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "accel_redirect", SCHEMA_LIST, 1, WORDS, NULL, NULL,
     "Paths of the site that the application may have sent with X-Accel-Redirect: /PATH.",
     LIST(schema_route, conf.accel_redirect, conf.n_accel_redirect), .modes = SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "internal", SCHEMA_BOOL, 0, 0, "off", NULL,
     "Only for X-Accel-Redirect of an application; 404 for clients.", R(internal)},
    {SCHEMA_ROUTE, "script_check", SCHEMA_BOOL, 0, 0, "on", NULL,
     "Look for the script before the pool is asked (404, 403); off for a pool with a TCP "
     "address.",
     R(script_check), .unset = CONF_UNSET, .derived = true, .modes = SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "body_limit", SCHEMA_SIZE, 0, SIZE_MOST, "1G", "bytes",
     "As in [site]; the site's unless set.", R(body_limit), .unset = -1, .derived = true,
     .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "request_body", SCHEMA_ENUM, 0, 0, "auto", NULL,
     "As in [site]; the site's unless set.", R(request_body), .words = request_words,
     .unset = -1, .derived = true, .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "response_body", SCHEMA_ENUM, 0, 0, "spool", NULL,
     "As in [site]; the site's unless set.", R(response_body), .words = response_words,
     .unset = -1, .derived = true, .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "early_hints", SCHEMA_ENUM, 0, 0, "off", NULL,
     "As in [site]; the site's unless set.", R(early_hints), .words = hints_words, .unset = -1,
     .derived = true, .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "response_spool_limit", SCHEMA_SIZE, 256 * KIB, SIZE_MOST, "16M", "bytes",
     "As in [site]; the site's unless set.", R(response_spool_limit), .words = none_words,
     .unset = -1, .derived = true, .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
    {SCHEMA_ROUTE, "links", SCHEMA_ENUM, 0, 0, "inside", NULL,
     "As in [site]; the site's unless set.", R(links), .words = links_words, .unset = -1,
     .derived = true, .modes = SCHEMA_FILES | SCHEMA_TO_POOL},
#undef R

#define P(field) AT(conf_pool, field)
    {SCHEMA_POOL, "connect", SCHEMA_SERVER_ADDRESSES, 1, WORDS, NULL, NULL,
     "FastCGI servers that run by themselves: unix:/path, host:port, [v6]:port, srv:NAME.",
     LIST(conf_pool, connect, n_connect)},
    {SCHEMA_POOL, "health_interval", SCHEMA_DURATION, 100, DAY, "off", "time",
     "How often each server is checked; one that fails gets no request until it passes.",
     P(health_interval_ms), .words = never_words, .modes = SCHEMA_CONNECT},
    {SCHEMA_POOL, "health_timeout", SCHEMA_DURATION, 1, HOUR, "5s", "time",
     "How long a server may take to answer a check.", P(health_timeout_ms),
     .modes = SCHEMA_CONNECT},
    {SCHEMA_POOL, "health_path", SCHEMA_STRING, 1, 1024, NULL, NULL,
     "Check with a GET of this path[?query], which is answered by 2xx or 3xx.", P(health_path),
     .modes = SCHEMA_CONNECT},
    {SCHEMA_POOL, "health_script", SCHEMA_PATH, 1, PATH_BYTES, NULL, NULL,
     "SCRIPT_FILENAME of that GET; the path unless set.", P(health_script),
     .modes = SCHEMA_CONNECT},
    {SCHEMA_POOL, "resolve_interval", SCHEMA_DURATION, SECOND, DAY, "60s", "time",
     "How often a name in connect is resolved; sooner where its TTL is over sooner.",
     P(resolve_interval_ms), .modes = SCHEMA_CONNECT},
    {SCHEMA_POOL, "spawn", SCHEMA_COMMAND, 1, WORDS, NULL, NULL,
     "FastCGI program to start, with its arguments; \"double quotes\" hold spaces together.",
     P(spawn)},
    {SCHEMA_POOL, "cgi", SCHEMA_BOOL, 0, 0, "off", NULL,
     "Run the CGI programs that routes name, each request in a process of its own.", P(cgi)},
    {SCHEMA_POOL, "user", SCHEMA_STRING, 1, 32, NULL, NULL,
     "User of the processes, which takes root; the gateway's user unless set.", P(user),
     .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "peer_user", SCHEMA_STRING, 1, 32, NULL, NULL,
     "User who alone, beside root, may be behind a unix socket; with listen = self user.",
     P(peer_user), .modes = SCHEMA_CONNECT | SCHEMA_SPAWN},
    {SCHEMA_POOL, "env.NAME", SCHEMA_ENV, 0, WORDS, NULL, NULL,
     "A variable in the environment of the processes, beside PATH, HOME, USER, LOGNAME and "
     "SHELL.",
     LIST(conf_pool, env, n_env), .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "processes", SCHEMA_RANGE, 0, 4096, "1", NULL,
     "Processes; 0-8: from none to 8, as requests need; with cgi max_requests unless set.",
     P(range), .derived = true, .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "idle_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "A process that had no request for so long is ended, down to the least of processes.",
     P(idle_timeout_ms), .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "max_requests_per_process", SCHEMA_NUMBER, 1, 1000000000, "off", "requests",
     "A process that had so many requests is replaced once its successor is up.",
     P(max_requests_per_process), .words = never_words, .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "max_age", SCHEMA_DURATION, 1, 366 * (int64_t)DAY, "off", "time",
     "A process that is so old is replaced once its successor is up.", P(max_age_ms),
     .words = never_words, .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "max_memory", SCHEMA_SIZE, MIB, SIZE_MOST, "off", "bytes",
     "A process is replaced when it, or one of its children, keeps more resident.",
     P(max_memory), .words = never_words, .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "start_timeout", SCHEMA_DURATION, 1, HOUR, "60s", "time",
     "A process that took no connection for so long since its start is ended and tried again.",
     P(start_timeout_ms), .modes = SCHEMA_SPAWN | SCHEMA_CGI},
    {SCHEMA_POOL, "stop_signal", SCHEMA_ENUM, 0, 0, "TERM", NULL,
     "What a process is sent to end it; its group gets TERM after a third of stop_timeout.",
     P(stop_signal), .words = signal_words, .modes = SCHEMA_SPAWN},
    {SCHEMA_POOL, "stop_timeout", SCHEMA_DURATION, 1, 10 * 60 * SECOND, "3s", "time",
     "How long a process and all it started have to end before they are killed.",
     P(stop_timeout_ms), .modes = SCHEMA_SPAWN},
    {SCHEMA_POOL, "listen", SCHEMA_ENUM, 0, 0, "given", NULL,
     "given: a listening socket is its descriptor 0; self: it binds what connect names.",
     P(listen_self), .words = listen_words, .modes = SCHEMA_SPAWN},
    {SCHEMA_POOL, "requests_per_process", SCHEMA_NUMBER, 1, 4096, "1", "requests",
     "Requests that one process takes at once: its threads, or its own children.",
     P(requests_per_process), .modes = SCHEMA_SPAWN},
    {SCHEMA_POOL, "max_requests", SCHEMA_NUMBER, 1, 65535, "16", "requests",
     "Requests at work at once; with spawn processes times requests_per_process unless set.",
     P(max_requests), .derived = true},
    {SCHEMA_POOL, "keepalive", SCHEMA_NUMBER, 0, 65535, "16", "connections",
     "Idle connections kept for the next request; max_requests unless set; 0: one per request.",
     P(keepalive), .derived = true},
    {SCHEMA_POOL, "keepalive_time", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long an idle connection is kept.", P(keepalive_time_ms)},
    {SCHEMA_POOL, "keepalive_requests", SCHEMA_NUMBER, 1, 1000000000, "1000", "requests",
     "Requests on one connection before it is closed.", P(keepalive_requests)},
    {SCHEMA_POOL, "balance", SCHEMA_ENUM, 0, 0, "least", NULL,
     "Who gets a request: least busy, each in its turn, or the same one for the same key.",
     P(balance), .words = balance_words, .modes = SCHEMA_CONNECT | SCHEMA_SPAWN},
    {SCHEMA_POOL, "balance_key", SCHEMA_STRING, 1, 200, "address", NULL,
     "Key of balance = hash: address, or \"field NAME\" for a field of the request.",
     P(balance_key), .modes = SCHEMA_CONNECT | SCHEMA_SPAWN},
    {SCHEMA_POOL, "retries", SCHEMA_NUMBER, 0, 15, "2", "requests",
     "How often a request that had no answer is sent again, where that is safe.", P(retries)},
    {SCHEMA_POOL, "multiplex", SCHEMA_ENUM, 0, 0, "off", NULL,
     "auto: several requests share a connection where the server offers it (GET_VALUES).",
     P(multiplex), .words = multiplex_words, .modes = SCHEMA_CONNECT | SCHEMA_SPAWN},
    {SCHEMA_POOL, "multiplex_requests", SCHEMA_NUMBER, 2, 256, "32", "requests",
     "Requests that share one connection at most.", P(multiplex_requests),
     .modes = SCHEMA_CONNECT | SCHEMA_SPAWN},
    {SCHEMA_POOL, "queue", SCHEMA_NUMBER, 0, 1000000, "128", "requests",
     "Requests that may wait for their turn; over it 503.", P(queue)},
    {SCHEMA_POOL, "queue_timeout", SCHEMA_DURATION, 1, DAY, "10s", "time",
     "How long a request may wait for its turn; over it 503.", P(queue_timeout_ms)},
    {SCHEMA_POOL, "retry_after", SCHEMA_DURATION, SECOND, DAY, "auto", "time",
     "Retry-After of a 503; auto: as long as the queue takes now, 1 to 60 s.",
     P(retry_after_ms), .words = auto_words},
    {SCHEMA_POOL, "connect_timeout", SCHEMA_DURATION, 1, DAY, "5s", "time",
     "How long a server may take to accept; over it 504.", P(connect_timeout_ms)},
    {SCHEMA_POOL, "send_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long a server may take nothing of the request; over it 504.", P(send_timeout_ms)},
    {SCHEMA_POOL, "first_byte_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long a server may be silent after the end of the request; over it 504.",
     P(first_byte_timeout_ms)},
    {SCHEMA_POOL, "read_timeout", SCHEMA_DURATION, 1, DAY, "60s", "time",
     "How long a server may pause in the middle of its answer; over it 504.",
     P(read_timeout_ms)},
    {SCHEMA_POOL, "timeout", SCHEMA_DURATION, 1, 7 * DAY, "1h", "time",
     "How long a whole request may take; with cgi 60s unless set; over it 504 or cut off.",
     P(timeout_ms), .derived = true},
    {SCHEMA_POOL, "abort_timeout", SCHEMA_DURATION, 1, HOUR, "5s", "time",
     "How long a server may take to end a request whose client is gone, before it is cut off.",
     P(abort_timeout_ms)},
    {SCHEMA_POOL, "stderr_limit", SCHEMA_SIZE, 0, GIB, "1M", "bytes",
     "What a request may write to the error log; the rest is dropped.", P(stderr_limit)},
#undef P
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

const struct schema_kind *schema_kind(enum schema_section section)
{
    return &kinds[section];
}

enum schema_section schema_section_find(struct slice name)
{
    unsigned i = 0;

    while (i < SCHEMA_SECTIONS && !slice_eq(name, slice_str(kinds[i].name)))
        i++;
    return (enum schema_section)i;
}

const struct schema_key *schema_keys(size_t *ret_n)
{
    *ret_n = N_KEYS;
    return keys;
}

static bool key_is(const struct schema_key *key, struct slice name)
{
    if (key->type == SCHEMA_ENV)
        return slice_starts(name, SLICE("env."));
    return slice_eq(name, slice_str(key->name));
}

ssize_t schema_find(enum schema_section section, struct slice name)
{
    for (size_t i = 0; i < N_KEYS && keys[i].section <= section; i++) {
        if (keys[i].section == section && key_is(&keys[i], name))
            return (ssize_t)i;
    }
    return -1;
}

static const char *const type_names[SCHEMA_TYPES] = {
    [SCHEMA_STRING] = "text",
    [SCHEMA_PATH] = "path",
    [SCHEMA_BOOL] = "on or off",
    [SCHEMA_NUMBER] = "number",
    [SCHEMA_RANGE] = "number or min-max",
    [SCHEMA_SIZE] = "size",
    [SCHEMA_DURATION] = "duration",
    [SCHEMA_ENUM] = "word",
    [SCHEMA_LIST] = "list",
    [SCHEMA_HOSTS] = "list of host names",
    [SCHEMA_RESOLVERS] = "list of IP addresses",
    [SCHEMA_LISTEN_ADDRESSES] = "list of addresses",
    [SCHEMA_SERVER_ADDRESSES] = "list of addresses",
    [SCHEMA_COMMAND] = "program and arguments",
    [SCHEMA_ENV] = "text",
    [SCHEMA_REDIRECT] = "[status] target",
};

const char *schema_type_name(enum schema_type type)
{
    return type_names[type];
}

bool schema_repeats(const struct schema_key *key)
{
    return key->n_offset != 0;
}

/* Units from the largest down; the last of each is 1. */
static const struct schema_word sizes[] = {{"G", GIB}, {"M", MIB}, {"K", KIB}, {"", 1}};
static const struct schema_word times[] = {
    {"h", HOUR}, {"m", 60 * SECOND}, {"s", SECOND}, {"ms", 1}};
static const struct schema_word ones[] = {{"", 1}};

struct schema_text schema_number(enum schema_type type, int64_t n)
{
    const struct schema_word *unit = type == SCHEMA_SIZE       ? sizes
                                     : type == SCHEMA_DURATION ? times
                                                               : ones;
    struct schema_text text;

    while (unit->value > 1 && (n == 0 || n % unit->value != 0))
        unit++;
    (void)snprintf(text.s, sizeof(text.s), "%" PRId64 "%s", n / unit->value, unit->word);
    return text;
}

void schema_print_range(const struct schema_key *key, FILE *out)
{
    const char *comma = "";

    for (const struct schema_word *w = key->words; w && w->word; w++, comma = ", ")
        fprintf(out, "%s%s", comma, w->word);
    if (key->type == SCHEMA_ENUM)
        return;
    fprintf(out, "%s%s", comma, schema_type_name(key->type));
    if (key->type == SCHEMA_NUMBER || key->type == SCHEMA_RANGE || key->type == SCHEMA_SIZE ||
        key->type == SCHEMA_DURATION)
        fprintf(out, " %s to %s", schema_number(key->type, key->min).s,
                schema_number(key->type, key->max).s);
    if (key->unit && key->type == SCHEMA_NUMBER)
        fprintf(out, " %s", key->unit);
}

void schema_print(FILE *out)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct schema_key *key = &keys[i];
        const struct schema_kind *kind = schema_kind(key->section);

        if (i == 0 || keys[i - 1].section != key->section)
            fprintf(out, "%s[%s] %s\n", i ? "\n" : "", kind->name, kind->text);
        fprintf(out, "  %-22s ", key->name);
        schema_print_range(key, out);
        if (key->def)
            fprintf(out, "; default %s", key->def);
        fprintf(out, "%s\n      %s\n", key->required ? "; required" : "", key->text);
    }
}
