"""Which servers are in rotation: by what requests meet, and by checks of our own."""
import socket
import subprocess
import threading

import pytest

from lib import proc
from lib.apps import PhpFpm, app
from lib.h1 import H1
from peers.fcgi import (END, GET_VALUES, GET_VALUES_RESULT, OK_HEAD, Backend, Ended, answer,
                        end_request, record)


class Server:
    """A Backend at place/name that says its name, and answers a GET of /health by health()."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.health = self.fine
        self.checks, self.n_now, self.n_most = [], 0, 0
        self.users, self.n_values = 0, 0
        self.knows_values = False
        self.bad = None  # serve(conn) of requests that are no checks
        self.lock = threading.Lock()
        self.backend = None
        self.open()

    def open(self):
        (self.place / self.name).unlink(missing_ok=True)
        self.backend = Backend(str(self.place / self.name), self.serve)

    def close(self):
        self.backend.close()

    def fine(self, conn, request):
        conn.send(answer(request.number, OK_HEAD))

    def serve(self, conn):
        while True:
            request = self.begin(conn)
            if request.params["REQUEST_URI"].startswith("/health"):
                self.check(conn, request)
            else:
                self.users += 1
                if self.bad:
                    self.bad(conn, request)
                    return
                conn.send(answer(request.number, OK_HEAD + self.name.encode()))
            if not request.keeps:
                return

    def begin(self, conn):
        """The next request; what comes before is answered, or not."""
        read = conn.record

        def record_or_values():
            kind, number, content = read()
            if kind == GET_VALUES:
                self.n_values += 1
                if self.knows_values:
                    conn.send(record(GET_VALUES_RESULT, 0, b"\x0f\x01FCGI_MPXS_CONNS0"))
            return kind, number, content

        conn.record = record_or_values
        try:
            return conn.request()
        finally:
            conn.record = read

    def check(self, conn, request):
        with self.lock:
            self.checks.append(request)
            self.n_now += 1
            self.n_most = max(self.n_most, self.n_now)
        try:
            self.health(conn, request)
        finally:
            with self.lock:
                self.n_now -= 1


def status(code):
    return lambda conn, request: conn.send(
        answer(request.number, f"Status: {code} Because\r\n\r\n".encode()))


@pytest.fixture
def servers(place):
    made = []

    def make(names):
        made.extend(Server(place, name) for name in names)
        return made
    yield make
    for server in made:
        server.close()
        assert server.backend.errors == []


def pool_ini(place, connect, **keys):
    connect = " ".join(f"unix:{place}/{word}" for word in connect.split())
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = {connect}\n{lines}")


def checked(place, connect, **keys):
    return pool_ini(place, connect, **{"health_interval": "100ms", "health_path": "/health?of=us",
                                       "balance": "round-robin", **keys})


def more_checks(server, n):
    """Wait for n more checks of server."""
    seen = len(server.checks)
    proc.wait_until(lambda: len(server.checks) >= seen + n, 20, f"{n} checks of {server.name}")


def served_by(gateway, n=8):
    with H1(gateway.address()) as client:
        responses = [client.fetch("GET", "/app/x") for _ in range(n)]
    assert {response.status for response in responses} == {200}
    return {response.body.decode() for response in responses}


# ---- what requests meet ----

def is_silent(conn, request):
    conn.wait_end()


def is_broken(conn, request):
    conn.send(record(END, 7, b"what", version=3))
    conn.wait_end()


def closes(conn, request):
    pass


@pytest.mark.parametrize("bad, why", [
    (is_silent, "no answer from the backend in time"),
    (is_broken, "backend broke the FastCGI protocol"),
    (closes, "backend closed before its answer was complete")])
def test_passive(place, start, servers, bad, why):
    """Three in a row let down: out, for longer each time; a probe that is answered: back."""
    a, _ = servers("ab")
    a.bad = bad
    gateway = start(pool_ini(place, "a b", balance="round-robin", first_byte_timeout="200ms",
                             abort_timeout="100ms"), workers=1)

    def delays():
        gateway.get("/app/x")
        lines = [line for line in gateway.log().splitlines() if "out of rotation" in line]
        assert all(f"a out of rotation: {why}, tried again in " in line for line in lines)
        return [float(line.split()[-2]) for line in lines]

    proc.wait_until(lambda: len(delays()) >= 3, 20, "a server that is tried three times")
    assert delays()[:3] == [0.1, 0.2, 0.4]
    probes = a.users
    assert probes >= 5  # three, and one after each delay
    a.bad = None
    proc.wait_until(lambda: gateway.get("/app/x").body == b"a", 20, "the server")
    gateway.wait_log("server=unix:.*/a back")
    assert served_by(gateway) == {"a", "b"}


def test_client_that_leaves_is_not_the_servers_fault(place, start, servers):
    """Who closes the connection of a request that was aborted, as php-fpm does, is well."""
    a, b = servers("ab")
    ends = threading.Semaphore(0)

    def closes_when_aborted(conn, request):
        assert conn.wait_end() == "abort"
        ends.release()

    a.bad = closes_when_aborted
    gateway = start(pool_ini(place, "a b,backup"), workers=1)
    for n in range(6):
        with H1(gateway.address()) as client:
            client.request("GET", "/app/x")
            proc.wait_until(lambda: a.users == n + 1, 10, "the request")
        assert ends.acquire(timeout=10)
        proc.wait_until(lambda: not a.backend.open, 10, "the close")
    a.bad = None
    assert served_by(gateway) == {"a"}
    assert "out of rotation" not in gateway.log()


def test_refused(place, start, servers):
    """Out at once; requests that were to go there have another."""
    a, _ = servers("ab")
    gateway = start(pool_ini(place, "a b", balance="round-robin", keepalive=0), workers=1)
    assert served_by(gateway) == {"a", "b"}
    a.close()
    assert served_by(gateway) == {"b"}
    gateway.wait_log("/a out of rotation: backend refused the connection, tried again in 0.1 s")
    a.open()
    proc.wait_until(lambda: served_by(gateway) == {"a", "b"}, 20, "both servers")


# ---- checks with a path ----

def test_check_is_a_request(place, start, servers):
    a, = servers("a")
    start(checked(place, "a", health_script="/srv/health.php"))
    more_checks(a, 3)
    params = a.checks[0].params
    assert {name: params[name] for name in (
        "REQUEST_METHOD", "SCRIPT_NAME", "SCRIPT_FILENAME", "QUERY_STRING", "REQUEST_URI",
        "GATEWAY_INTERFACE", "SERVER_PROTOCOL")} == {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/health", "SCRIPT_FILENAME": "/srv/health.php",
            "QUERY_STRING": "of=us", "REQUEST_URI": "/health?of=us",
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1"}
    assert a.checks[0].body == b"" and "CONTENT_LENGTH" not in params
    assert a.backend.n_accepted == 1  # a kept connection, as requests have


@pytest.mark.parametrize("code", [200, 204, 302, 399])
def test_well(place, start, servers, code):
    a, = servers("a")
    a.health = status(code)
    gateway = start(checked(place, "a"))
    more_checks(a, 3)
    assert served_by(gateway) == {"a"}
    assert "out of rotation" not in gateway.log()


def silent(conn, request):
    conn.wait_end()
    raise Ended()


def broken(conn, request):
    conn.send(record(END, request.number, b"", version=9))
    raise Ended()


def gone(conn, request):
    raise Ended()


def headless(conn, request):
    conn.send(end_request(request.number))


def no_head(conn, request):
    conn.send(answer(request.number, b"this is no head\n\n"))


@pytest.mark.parametrize("health, why", [
    (status(500), "status 500"), (status(404), "status 404"),
    (silent, "no answer within health_timeout"),
    (broken, "backend broke the FastCGI protocol"),
    (gone, "backend closed before its answer was complete"),
    (headless, "application ended without a response head"),
    (no_head, "application sent no valid response head")])
def test_ill_and_well_again(place, start, servers, health, why):
    """Out by one check, said once, without a request of a user; checked on; back by one."""
    a, b = servers("ab")
    gateway = start(checked(place, "a b", health_timeout="1s", abort_timeout="100ms"),
                    workers=1)
    assert served_by(gateway) == {"a", "b"}
    a.health = health
    gateway.wait_log(f"pool=app server=unix:.*/a out of rotation: health check: {why}, tried")
    users = a.users
    assert served_by(gateway, 20) == {"b"}
    more_checks(a, 2)
    assert served_by(gateway, 20) == {"b"}
    assert a.users == users
    a.health = a.fine
    gateway.wait_log("server=unix:.*/a back", timeout=20)
    assert served_by(gateway) == {"a", "b"}
    assert gateway.log().count("out of rotation") == 1


@pytest.mark.threads
def test_only_server(place, start, servers):
    """A pool whose only server is ill is down: 503 at once, until it is well."""
    a, = servers("a")
    a.health = status(503)
    gateway = start(checked(place, "a", queue_timeout="5s"))
    gateway.wait_log("out of rotation: health check: status 503")
    proc.wait_until(lambda: gateway.get("/app/x").status == 503, 20, "a refusal")
    a.health = a.fine
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "an answer")
    assert a.users <= 1 + gateway.log().count("out of rotation")


def test_gone_and_back(place, start, servers):
    """Found by a check before a user meets it."""
    a, b = servers("ab")
    gateway = start(checked(place, "a b"), workers=1)
    more_checks(a, 1)
    a.close()
    # a check that was under way may find that it closes
    gateway.wait_log("/a out of rotation: (health check: )?backend (refused|closed)")
    assert served_by(gateway) == {"b"}
    a.open()
    gateway.wait_log("server=unix:.*/a back")
    assert served_by(gateway) == {"a", "b"}


def test_busy_server_is_well(place, start, servers):
    """All its slots are at work: it is not checked, and no user waits behind a check."""
    a, b = servers("ab")
    entered, go = threading.Event(), threading.Event()

    def held(conn, request):
        entered.set()
        go.wait(30)
        conn.send(answer(request.number, OK_HEAD + b"late"))

    a.bad = held
    gateway = start(checked(place, "a,max=1 b,max=1,backup"), workers=1)
    with H1(gateway.address()) as client:
        def held_by_a():
            client.request("GET", "/app/x")
            proc.wait_until(lambda: entered.is_set() or b.users > served, 10, "the request")
            return entered.is_set() or not client.response()

        served = 0
        while not held_by_a():  # a was just being checked, so b had it
            served = b.users
        n = len(a.checks)
        more_checks(b, 5)
        assert len(a.checks) == n
        go.set()
        assert client.response().body == b"late"
    more_checks(a, 1)
    assert "out of rotation" not in gateway.log()


@pytest.mark.threads
def test_one_at_a_time(place, start, servers):
    """A slow answer is waited for; over all workers no second check is sent meanwhile."""
    a, b = servers("ab")
    go = threading.Event()

    def slow(conn, request):
        go.wait(20)
        conn.send(answer(request.number, OK_HEAD))

    a.health = slow
    gateway = start(checked(place, "a b", health_timeout="20s"), workers=4)
    proc.wait_until(lambda: a.n_now, 10, "a check")
    more_checks(b, 5)
    assert len(a.checks) == 1
    go.set()
    more_checks(a, 5)
    assert a.n_most == 1
    assert "out of rotation" not in gateway.log()


def test_large_answer(place, start, servers):
    """The head decides, the rest is only read; a kept connection is fit behind it."""
    a, = servers("a")
    a.health = lambda conn, request: conn.send(
        answer(request.number, b"Status: 103\r\n\r\n" + OK_HEAD + b"x" * (1 << 20)))
    gateway = start(checked(place, "a"))
    more_checks(a, 4)
    assert served_by(gateway) == {"a"}
    assert a.backend.n_accepted <= 2
    assert "out of rotation" not in gateway.log()


# ---- checks without a path ----

def test_values(place, start, servers):
    """A server that answered GET_VALUES is ill when it no longer does."""
    a, b = servers("ab")
    a.knows_values = b.knows_values = True
    gateway = start(pool_ini(place, "a b", balance="round-robin", health_interval="100ms",
                             health_timeout="1s"), workers=1)
    proc.wait_until(lambda: a.n_values >= 2 and b.n_values >= 2, 10, "two checks of each")
    assert served_by(gateway) == {"a", "b"}
    assert gateway.log().count("answers GET_VALUES") == 2
    a.knows_values = False
    gateway.wait_log("/a out of rotation: health check: no answer within health_timeout")
    users = a.users
    assert served_by(gateway) == {"b"}
    assert a.users == users
    a.knows_values = True
    gateway.wait_log("server=unix:.*/a back", timeout=20)
    assert served_by(gateway) == {"a", "b"}


def test_silence_is_no_ill_health(place, start, servers):
    """GET_VALUES is tried three times; then a connection is enough, and the lack of one too much."""
    a, b = servers("ab")
    gateway = start(pool_ini(place, "a b", balance="round-robin", health_interval="100ms",
                             health_timeout="5s", first_byte_timeout="500ms"), workers=1)
    proc.wait_until(lambda: a.n_values == 3, 20, "three questions")
    accepted = a.backend.n_accepted
    proc.wait_until(lambda: a.backend.n_accepted >= accepted + 3, 20, "three connections")
    assert a.n_values == 3
    assert "out of rotation" not in gateway.log()
    assert served_by(gateway) == {"a", "b"}
    a.close()
    gateway.wait_log("/a out of rotation: (health check: )?backend refused the connection")
    a.open()
    gateway.wait_log("server=unix:.*/a back")
    assert served_by(gateway) == {"a", "b"}


# ---- real servers ----

@pytest.mark.parametrize("keys", [{"health_path": "/ping"}, {}])
def test_php_fpm(place, start, keys):
    """Its ping page, and its GET_VALUES; stopped, it is out, and back when it goes on."""
    with PhpFpm(place, children=2, extra="ping.path = /ping\n") as fpm:
        gateway = start(pool_ini(place, "fpm.sock", health_interval="100ms",
                                 health_timeout="1s", max_requests=2, **keys))
        if not keys:
            gateway.wait_log("answers GET_VALUES")
        children = proc.children(fpm.process.pid)
        assert len(children) == 2
        for child in children:
            subprocess.run(["kill", "-STOP", str(child)], check=True)
        gateway.wait_log("out of rotation: health check: no answer within", timeout=20)
        for child in children:
            subprocess.run(["kill", "-CONT", str(child)], check=True)
        gateway.wait_log("server=unix:.* back", timeout=20)


@pytest.mark.parametrize("keys", [{"health_path": "/"}, {}])
def test_libfcgi(place, start, keys):
    """One thread, one connection at a time: checks and users share it without waiting long."""
    path = str(place / "hello.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        (place / "hello.sock").chmod(0o666)
        child = subprocess.Popen(proc.ending_with_parent(app("hello")), stdin=listener)
    try:
        gateway = start(pool_ini(place, "hello.sock", health_interval="100ms", max_requests=1,
                                 **keys), workers=2)
        for _ in range(200):
            assert gateway.get("/app/x").status == 200
        if not keys:
            gateway.wait_log("answers GET_VALUES")
        assert "out of rotation" not in gateway.log()
    finally:
        child.kill()
        child.wait()
