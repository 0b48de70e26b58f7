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
    requests that come whether or not others were answered (overload.py)."""
    title: str
    goal: float                 # ours divided by the reference peer's; overload: completed
                                # requests divided by what the application can do, at least
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
}
DEFAULT_PEERS = ("h2cgi", "nginx")

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
    "idle": Workload("5,000 idle h2+TLS connections", 1.0, "idle",
                     "", True, 5000, 0, 0, "connection"),
    # 20 s each
    "overload": Workload("queue = 128, queue_timeout = 10s", 0.95, "overload",
                         "/slow/?ms=20", False, 400, 0, 16000, rate=800, can=400, longest_s=10),
    "overload-late": Workload("queue = 4000, queue_timeout = 1s", 0.95, "overload",
                              "/slow-late/?ms=20", False, 400, 0, 16000, rate=800, can=400,
                              longest_s=1),
}

# The applications behind every peer, the same processes for each: (socket, program, arguments).
# nginx opens a connection for every request under way and keeps 512 in each worker, and each
# holds a thread, so there are more threads than any workload can hold; but slow has as many as
# the overload is about.
APPLICATIONS = (("hello.sock", "apps/hello", ("--threads", "2048")),
                ("download.sock", "apps/download", ("--threads", "32")),
                ("slow.sock", "apps/slow", ("--threads", "8")), ("go.sock", "peers/mpx", ()))
