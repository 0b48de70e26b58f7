"""The gateway starts, says so, and ends cleanly; command line and exit statuses."""
import os
import signal
import socket

import pytest

from lib import proc
from lib.apps import ENV_SCRIPT, write_file, write_script
from lib.gateway import BINARY, READY, run_h2cgi
from lib.ports import free_port

SITE = """
[site main]
root = {place}/public
"""


def site(place):
    write_file(place / "public/index.html", "front page\n")
    return SITE.format(place=place)


def test_starts_and_serves(place, start, proto):
    gateway = start(site(place))
    response = gateway.fetch(proto, "/")
    assert (response.status, response.body) == (200, b"front page\n")


@pytest.mark.threads
def test_ready_line_comes_once(place, start):
    gateway = start(site(place))
    gateway.get("/")
    assert gateway.log().splitlines().count(READY) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_end_it(place, start, signum):
    gateway = start(site(place))
    assert gateway.get("/").status == 200
    gateway.stop(how=signum)


def test_stop_command(place, start):
    gateway = start(site(place))
    done = run_h2cgi("stop", "-c", str(gateway.ini))
    assert done.returncode == 0, done.stderr
    gateway.finish()


def test_stop_without_a_gateway_fails(place, start):
    gateway = start(site(place))
    gateway.stop()
    done = run_h2cgi("stop", "-c", str(gateway.ini))
    assert done.returncode == 1
    assert done.stderr.strip()


def test_processes_and_threads(place, start):
    """A master, a gateway with acceptor and workers, a spawner; nothing else but a thread of
    ThreadSanitizer's own."""
    own = 1 if os.environ.get("H2CGI_SAN") == "thread" else 0
    gateway = start(site(place), workers=2)
    roles = gateway.roles()
    assert set(roles) == {"gateway", "spawner"}
    assert proc.n_threads(gateway.pid) <= 1 + own
    assert proc.n_threads(roles["spawner"]) <= 1 + own
    assert proc.n_threads(roles["gateway"]) >= 3
    assert gateway.pool_pids() == []


def test_threads_have_names(place, start):
    gateway = start(site(place), workers=2)
    pid = gateway.gateway_pid()

    def named():
        names = proc.thread_names(pid)
        return names.count("acceptor") == 1 and names.count("worker") == 2

    proc.wait_until(named, 5, "names, which each thread gives itself")


def test_pid_file(place, start):
    gateway = start(site(place), pid_file=place / "pid")
    assert int((place / "pid").read_text()) == gateway.pid
    gateway.stop()
    assert not (place / "pid").exists()


def test_default_pid_file_is_in_runtime_dir(place, start):
    gateway = start(site(place))
    assert int((gateway.runtime / "h2cgi.pid").read_text()) == gateway.pid


def test_listens_on_a_unix_socket(place, start):
    path = str(place / "front.sock")
    gateway = start(site(place), listens={"local": (f"unix:{path}", False)})
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while piece := sock.recv(4096):
            data += piece
    assert data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"front page\n")
    gateway.stop()
    assert not os.path.exists(path)


def test_listens_on_ipv6(place, start):
    port = free_port()
    start(site(place), listens={"six": (f"[::1]:{port}", False)})
    with socket.create_connection(("::1", port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"


def test_port_in_use_is_an_error(place, start):
    gateway = start(site(place))
    gateway_ini = gateway.ini.read_text().replace(str(place / "run"), str(place / "run2"))
    second = write_file(place / "second.ini", gateway_ini)
    done = run_h2cgi("run", "-c", str(second))
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert f"127.0.0.1:{gateway.ports['https']}" in done.stderr
    assert gateway.get("/").status == 200


@pytest.mark.parametrize("args, status, words", [
    (["--version"], 0, "h2cgi"),
    (["--help"], 0, "serve"),
    ([], 2, "--help"),
    (["frobnicate"], 2, "frobnicate"),
    (["run"], 2, "-c"),
    (["run", "-c", "/nonexistent/h2cgi.ini"], 1, "/nonexistent/h2cgi.ini"),
    (["check", "-c", "/nonexistent/h2cgi.ini"], 1, "/nonexistent/h2cgi.ini"),
])
def test_command_line(args, status, words):
    done = run_h2cgi(*args)
    assert done.returncode == status
    assert words.lower() in (done.stdout + done.stderr).lower()


def test_serve_a_directory(place, start):
    """h2cgi serve DIR: files, cgi-bin, plain and TLS, without a configuration."""
    write_file(place / "public/index.html", "served\n")
    write_file(place / "public/tool.py", "import this\n")
    write_script(place / "public/cgi-bin/env", ENV_SCRIPT)
    ports = {"http": free_port(), "https": free_port()}
    gateway = start("", command=[BINARY, "serve", place / "public", "--http",
                                 str(ports["http"]), "--https", str(ports["https"])])
    gateway.ports = ports
    for proto in ("h1", "h2", "h2c"):
        assert gateway.fetch(proto, "/").body == b"served\n"
        assert gateway.fetch(proto, "/tool.py").body == b"import this\n"  # looked at, not run
        assert gateway.fetch(proto, "/cgi-bin/env").env["GATEWAY_INTERFACE"] == "CGI/1.1"
