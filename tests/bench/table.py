"""What is measured, and against whom: one entry each."""

from typing import NamedTuple


class Peer(NamedTuple):
    """A server.  @NAMES@ in config and commands are filled in (server.py)."""
    title: str
    config: str                 # template beside this file
    command: tuple              # the server; ends at SIGTERM
    version: tuple              # prints the version on stdout or stderr
    helpers: tuple = ()         # programs the server needs beside it, run as the same user
    log_off: str = "off"        # what @ACCESS_LOG@ stands for
    log_on: str = "@PLACE@/access.log"
    settings: tuple = ()        # more names for the templates: (("WRITER", "auto"),)


class Workload(NamedTuple):
    """One kind of load.  kind "load": h2load; "idle": connections that do nothing; "overload":
    requests that come whether or not others were answered (overload.py); "upload": one body
    through a path with a delay (delay.py)."""
    title: str
    goal: float                 # ours divided by the reference peer's; overload: completed
                                # requests divided by what the application can do, at least;
                                # upload: seconds divided by those of the fastest other
    kind: str
    url: str                    # path on the server
    tls: bool
    clients: int
    streams: int                # HTTP/2 streams a connection; 0: HTTP/1.1
    requests: int
    unit: str = "request"
    rate: int = 0               # overload: requests a second
    can: int = 0                # and what the application can do
    longest_s: float = 0        # no request that is served waits longer; 0: no such promise
    peers: tuple = ()           # instead of the default ones
    headers: tuple = ()         # load: fields of the requests, "name: value"
    mib: int = 0                # upload: of the body
    one_way_ms: int = 0         # and how long a byte is under way


REFERENCE = "nginx"

PEERS = {
    "h2cgi": Peer(
        title="h2cgi", config="h2cgi.ini",
        command=("@H2CGI@", "run", "-c", "@CONFIG@"), version=("@H2CGI@", "--version"),
        settings=(("WRITER", "auto"), ("MULTIPLEX", "off"))),
    "h2cgi-mpx": Peer(
        title="h2cgi, multiplex = auto", config="h2cgi.ini",
        command=("@H2CGI@", "run", "-c", "@CONFIG@"), version=("@H2CGI@", "--version"),
        settings=(("WRITER", "auto"), ("MULTIPLEX", "auto"))),
    "h2cgi-always": Peer(
        title="h2cgi, writer = always", config="h2cgi.ini",
        command=("@H2CGI@", "run", "-c", "@CONFIG@"), version=("@H2CGI@", "--version"),
        settings=(("WRITER", "always"), ("MULTIPLEX", "off"))),
    "nginx": Peer(
        title="nginx", config="nginx.conf",
        command=("nginx", "-p", "@PLACE@", "-e", "@PLACE@/nginx-error.log", "-c", "@CONFIG@"),
        version=("nginx", "-v"),
        helpers=(("fcgiwrap", "-c", "8", "-s", "unix:@PLACE@/helpers/fcgiwrap.sock"),),
        log_on="@PLACE@/access.log combined buffer=64k flush=1s"),
    "h2o": Peer(
        title="h2o", config="h2o.conf", command=("h2o", "-m", "worker", "-c", "@CONFIG@"),
        version=("h2o", "--version"), log_off="/dev/null"),
    "lighttpd": Peer(
        title="lighttpd", config="lighttpd.conf", command=("lighttpd", "-D", "-f", "@CONFIG@"),
        version=("lighttpd", "-v"), log_off="",
        log_on='accesslog.filename = "@PLACE@/helpers/access.log"'),
}
DEFAULT_PEERS = ("h2cgi", "nginx")
FILE_PEERS = ("h2cgi", "nginx", "lighttpd", "h2o")

WORKLOADS = {
    "hello32": Workload("FastCGI hello, h2+TLS, 32 connections x 32 streams", 0.65, "load",
                        "/hello/World", True, 32, 32, 100000),
    "hello256": Workload("FastCGI hello, h2+TLS, 256 x 1", 0.75, "load",
                         "/hello/World", True, 256, 1, 60000),
    "hello8": Workload("FastCGI hello, h2+TLS, 8 x 1", 0.75, "load",
                       "/hello/World", True, 8, 1, 40000),
    "http1": Workload("FastCGI hello, HTTP/1.1 keep-alive, 32 connections", 0.80, "load",
                      "/hello/World", False, 32, 0, 60000),
    "download": Workload("64 MiB FastCGI download, h2+TLS, 4 x 1", 0.80, "load",
                         "/download/file?bytes=67108864", True, 4, 1, 16, "download"),
    "cgi": Workload("CGI program in C, h2+TLS, 8 x 1", 0.85, "load",
                    "/cgi/World", True, 8, 1, 3000),
    "mpx": Workload("Go's net/http/fcgi, h2+TLS, 32 connections x 32 streams", 1.0, "load",
                    "/go/hello", True, 32, 32, 60000, peers=("h2cgi", "h2cgi-mpx")),
    "file1k": Workload("file of 1 KiB, h2+TLS, 32 connections x 32 streams", 0.25, "load",
                       "/files/1k.html", True, 32, 32, 200000, peers=FILE_PEERS),
    "file10m": Workload("file of 10 MiB, h2+TLS, 4 x 4", 0.60, "load",
                        "/files/10m.bin", True, 4, 4, 200, peers=FILE_PEERS),
    "file10m-h1": Workload("file of 10 MiB, HTTP/1.1, 8 connections", 0.90, "load",
                           "/files/10m.bin", False, 8, 0, 800, peers=FILE_PEERS),
    "gzip": Workload("page of 64 KiB, gzip level 5, h2+TLS, 8 x 4", 1.0, "load",
                     "/zipped/page.html", True, 8, 4, 4000,
                     headers=("accept-encoding: gzip",)),
    "idle": Workload("5,000 idle h2+TLS connections", 1.0, "idle",
                     "", True, 5000, 0, 0, "connection"),
    "upload": Workload("256 MiB upload to a FastCGI application, h2+TLS, round trip 100 ms", 1.0,
                       "upload", "/sink/x", True, 1, 1, 1, peers=("h2cgi", "nginx", "h2o"),
                       mib=256, one_way_ms=50),
    "upload-far": Workload("256 MiB upload to a FastCGI application, h2+TLS, round trip 200 ms",
                           1.0, "upload", "/sink/x", True, 1, 1, 1,
                           peers=("h2cgi", "nginx", "h2o"), mib=256, one_way_ms=100),
    # 20 s each
    "overload": Workload("queue = 128, queue_timeout = 10s", 0.95, "overload",
                         "/slow/?ms=20", False, 400, 0, 16000, rate=800, can=400, longest_s=10),
    "overload-late": Workload("queue = 4000, queue_timeout = 1s", 0.95, "overload",
                              "/slow-late/?ms=20", False, 400, 0, 16000, rate=800, can=400,
                              longest_s=1),
}

# What /files/ has: (name, bytes).
FILES = (("1k.html", 1024), ("10m.bin", 10 << 20))

# The applications behind every peer, the same processes for each: (socket, program, arguments).
# nginx opens a connection for every request under way and keeps 512 in each worker, and each
# holds a thread, so there are more threads than any workload can hold; but slow has as many as
# the overload is about.
APPLICATIONS = (("hello.sock", "apps/hello", ("--threads", "2048")),
                ("download.sock", "apps/download", ("--threads", "32")),
                ("sink.sock", "apps/sink", ("--threads", "4")),
                ("slow.sock", "apps/slow", ("--threads", "8")), ("go.sock", "peers/mpx", ()))
