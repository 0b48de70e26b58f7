"""What one client address may have, however many its connections; another is served throughout."""
import re
import signal
import socket
import textwrap
import threading
from contextlib import ExitStack

import pytest
from hyperframe.frame import RstStreamFrame

from lib import proc
from lib.apps import write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.frames import CANCEL, ENHANCE_YOUR_CALM, H2
from lib.gateway import Gateway
from lib.h1 import H1
from lib.message import Refused
from lib.ports import free_port
from peers.fcgi import OK_HEAD, Backend, Ended, answer, end_request

CONNECTIONS, REQUESTS, RESETS = 60, 8, 20
OTHER = "127.0.9.9"
HEAD = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"),
        (":path", "/cgi/ok")]


class Application:
    """Answers /now at once and /hold when told; /keep does not end before it is told, also when
    it is aborted."""

    def __init__(self):
        self.go, self.entered = threading.Event(), threading.Semaphore(0)

    def __call__(self, conn):
        request = conn.request()
        path = request.params["PATH_INFO"]
        if path != "/now":
            self.entered.release()
            if path == "/hold" and self.wait(conn):
                conn.send(end_request(request.number))
                return
            self.go.wait(30)
        conn.send(answer(request.number, OK_HEAD + b"hello\n"))

    def wait(self, conn):
        """Until told, false, or aborted."""
        conn.sock.settimeout(0.02)
        while not self.go.is_set():
            try:
                conn.record()
            except TimeoutError:
                continue
            except Ended:
                pass
            return True
        return False


def ini(place):
    return f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 64
        keepalive = 0
        abort_timeout = 30s
        [pool scripts]
        cgi = on
        processes = 0-2
        """


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/page", "text")
    write_script(place / "cgi/ok", '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nok"\n')
    v6 = free_port()
    with Backend(f"{place}/app.sock", Application()) as backend:
        with Gateway(place, ini(place), listens={"v6": (f"[::1]:{v6}", False)},
                     client_connections=CONNECTIONS, client_requests=REQUESTS,
                     client_resets=RESETS, client_exempt="unix: 127.0.8.0/24") as running:
            running.backend, running.v6 = backend, ("::1", v6)
            yield running
        assert backend.errors == []


@pytest.fixture
def application(gateway):
    gateway.backend.serve = Application()
    yield gateway.backend.serve
    gateway.backend.serve.go.set()


@pytest.fixture
def clients(gateway):
    """clients(proto, source) -> a connection, closed after the test."""
    with ExitStack() as stack:
        yield lambda proto, source: stack.enter_context(dial(proto, gateway, source=source))


def is_served(gateway, source=OTHER):
    with H1(gateway.address(), source=source) as c:
        return c.fetch("GET", "/page").status == 200


def is_turned_away(gateway, source, tls=False):
    """The connection is closed without a word: no handshake, no answer."""
    try:
        with dial("h1s" if tls else "h1", gateway, source=source) as c:
            c.fetch("GET", "/page")
    except (Refused, OSError):
        return True
    return False


def ask_v6(gateway):
    """The status of /page for ::1."""
    with socket.create_connection(gateway.v6, timeout=15) as sock:
        sock.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        return int(sock.recv(4096).split()[1])


def ask(client, proto, path):
    """A request under way; answered by get()."""
    if is_h2(proto):
        number = client.request("GET", path, scheme=scheme(proto))
        return lambda: client.response(number)
    client.request("GET", path)
    return client.response


def entered(application, n):
    for _ in range(n):
        assert application.entered.acquire(timeout=10)


# ---- connections ----

def test_connections(gateway, clients):
    since = gateway.mark()
    source = "127.0.2.1"
    mine = [clients("h1" if i % 2 else "h2", source) for i in range(CONNECTIONS)]
    assert all(c.fetch("GET", "/page").status == 200 for c in mine)
    for tls in (False, True) * 3:
        assert is_turned_away(gateway, source, tls)
        assert is_served(gateway)
    assert all(c.fetch("GET", "/page").status == 200 for c in mine)
    mine.pop().close()
    proc.wait_until(lambda: not is_turned_away(gateway, source), 10, "room for one more")
    lines = re.findall(rf"client={source} ELIMIT_CONNECTIONS.*", gateway.log()[since:])
    assert len(lines) == 1 and f"client_connections = {CONNECTIONS}: closed" in lines[0]


def test_exempt(gateway, clients):
    mine = [clients("h1", "127.0.8.1") for _ in range(CONNECTIONS + 3)]
    assert all(c.fetch("GET", "/page").status == 200 for c in mine)


# ---- requests ----

@pytest.mark.parametrize("proto", ["h1", "h2"])
def test_requests_at_work(gateway, application, clients, proto):
    since = gateway.mark()
    source = "127.0.2.2" if proto == "h1" else "127.0.2.3"
    asked = [ask(clients(proto, source), proto, "/app/hold") for _ in range(REQUESTS)]
    entered(application, REQUESTS)
    more = clients(proto, source)
    for path in ("/app/hold", "/page"):
        refused = ask(more, proto, path)()
        assert refused.status == 429 and refused.get("retry-after") == "1"
        assert is_served(gateway)
    application.go.set()
    assert [get().status for get in asked] == [200] * REQUESTS
    proc.wait_until(lambda: more.fetch("GET", "/page").status == 200, 10, "their end")
    line = gateway.wait_log(f"client={source} ELIMIT_REQUESTS", since)
    assert f"client_requests = {REQUESTS}: 429" in line
    gateway.wait_access(f"^{source} .*/app/hold .* 429 ")


@pytest.mark.threads
def test_given_up_is_at_work_until_it_has_ended(gateway, application, clients):
    """Resetting makes no room: their applications are still at it."""
    source = "127.0.2.4"
    client = clients("h2", source)
    for _ in range(REQUESTS):
        number = client.request("GET", "/app/keep")
        entered(application, 1)
        client.send(RstStreamFrame(number, error_code=CANCEL))
    assert client.ping()
    more = clients("h1", source)
    assert more.fetch("GET", "/page").status == 429
    assert is_served(gateway)
    application.go.set()
    proc.wait_until(lambda: more.fetch("GET", "/page").status == 200, 10, "their end")


# ---- resets ----

@pytest.mark.threads
def test_resets_spread_over_connections(gateway, application, clients):
    """One each on many connections is no better than many on one."""
    since = gateway.mark()
    source, calm, n = "127.0.2.5", None, 0
    mine = [clients("h2", source) for _ in range(50)]
    for n, client in enumerate(mine, 1):
        number = client.request("GET", "/app/hold")
        client.send(RstStreamFrame(number, error_code=CANCEL))
        if not client.ping():
            calm = client.wait_goaway()
            break
        assert is_served(gateway)
    assert calm == ENHANCE_YOUR_CALM and RESETS < n < 2 * RESETS  # some may have run off
    assert is_turned_away(gateway, source, tls=True)
    refused = mine[0].fetch("GET", "/page")  # a connection it had
    assert refused.status == 429 and 10 <= int(refused.get("retry-after")) <= 17
    number = mine[1].request("GET", "/app/hold")
    mine[1].send(RstStreamFrame(number, error_code=CANCEL))
    mine[1].wait_eof()
    assert is_served(gateway)
    assert ask_v6(gateway) == 200
    line = gateway.wait_log(f"client={source} ELIMIT_BARRED", since)
    assert re.search(rf" {RESETS + 1} resets, limit {RESETS} in 30 s \(client_resets\): "
                     r"barred for 1\d s", line)


def test_resets_of_closed_connections(gateway, application):
    """Nor is hanging up, over HTTP/1.1."""
    source, n, some = "127.0.2.6", 0, 3  # with those that end now less than REQUESTS
    while not is_turned_away(gateway, source):
        with ExitStack() as stack:
            for _ in range(some):
                client = stack.enter_context(H1(gateway.address(), source=source))
                client.request("GET", "/app/hold")
            entered(application, some)
        proc.wait_until(lambda: not gateway.backend.open, 10, "the end of all of them")
        n += some
        assert n < 3 * RESETS
    assert n > RESETS and is_served(gateway)


# ---- cost ----

def test_cost(place, start):
    """Scripts that run for nobody are charged, until it is too much."""
    write_file(place / "public/page", "text")
    write_script(place / "cgi/sleep", "#!/bin/sh\nexec sleep 1000\n")
    gateway = start(ini(place), client_cost="20ms", client_resets="off", client_exempt="unix:")
    source, n = "127.0.2.7", 0
    while not is_turned_away(gateway, source):
        n += 1
        assert n < 100
        with H2(gateway.address(), tls=False, source=source) as client:
            number = client.request("GET", f"/cgi/sleep?{n}", scheme="http")
            proc.wait_until(lambda: gateway.pool_pids() and
                            any(map(proc.children, gateway.pool_pids())), 10, "the script")
            client.send(RstStreamFrame(number, error_code=CANCEL))
            gateway.wait_access(rf"/cgi/sleep\?{n} .* signal=")
        assert is_served(gateway)
    line = gateway.wait_log(f"client={source} ELIMIT_BARRED")
    assert re.search(r"\d+ ms of applications' time, limit 20 in 60 s \(client_cost\): "
                     r"barred for \d\d s", line)


# ---- nothing before the head is complete and valid ----

def unfinished_h1(gateway, source):
    for head in (b"GET /cgi/ok HTTP/1.1\r\nHost: localhost\r\n",
                 b"GET /cgi/ok HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
                 b"GET /cgi/ok HTTP/1.1\r\n\r\n",
                 b"POST /cgi/ok HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"):
        client = H1(gateway.address(), source=source)
        client.send(head)
        if head.endswith(b"\r\n\r\n"):
            assert client.response().status == 400
        yield client


def unfinished_h2(gateway, source):
    good = HEAD
    client = H2(gateway.address(True), source=source)
    for fields in (good[:3], good + [("Upper", "x")], good + [("connection", "x")],
                   good + [good[0]], [("a", "b")] + good, good + [("content-length", "5")]):
        number = client.send_headers(fields)
        with pytest.raises(Refused):
            client.response(number)
    yield client
    client = H2(gateway.address(True), source=source)
    client.send(client.headers_frame(client.open_stream(), good, end_headers=False))
    yield client


def test_nothing_is_started_for_half_a_head(gateway):
    assert gateway.pool_pids() == []
    since = gateway.mark()
    with ExitStack() as stack:
        for unfinished in (unfinished_h1, unfinished_h2):
            for client in unfinished(gateway, "127.0.2.8"):
                stack.enter_context(client)
        assert is_served(gateway)
        assert gateway.pool_pids() == []
        assert "process wanted" not in gateway.log()[since:]
        whole = clients_head_completed(gateway)
        assert whole.body == b"ok"
        gateway.wait_log("pool=scripts process wanted", since)


def clients_head_completed(gateway):
    with H1(gateway.address(), source="127.0.2.8") as client:
        client.send(b"GET /cgi/ok HTTP/1.1\r\nHost: localhost\r\n")
        client.send(b"\r\n")
        return client.response()


# ---- behind a proxy ----

def test_behind_a_trusted_proxy(place, start):
    """Its connections are nobody's; requests are those of whom it speaks for."""
    write_file(place / "public/page", "text")
    write_file(place / "public/rated/page", "text")
    with Backend(f"{place}/app.sock", Application()) as backend, ExitStack() as stack:
        gateway = start(textwrap.dedent(ini(place)) + f"[route main /rated/]\nroot = {place}/public/rated\n"
                        "rate = 2/h\n", client_connections=2, client_requests=3,
                        client_resets=5, client_exempt="unix:", trusted_proxies="127.0.2.10",
                        trusted_field="X-Forwarded-For")
        proxy = [stack.enter_context(H2(gateway.address(True), source="127.0.2.10"))
                 for _ in range(5)]

        def get(path, client, by=4):
            return proxy[by].fetch("GET", path, [("X-Forwarded-For", client)]).status

        held = [c.request("GET", "/app/hold", [("X-Forwarded-For", "203.0.113.1")])
                for c in proxy[:3]]
        entered(backend.serve, 3)
        assert [get("/page", f"203.0.113.{i}") for i in (1, 2)] == [429, 200]
        backend.serve.go.set()
        for client, number in zip(proxy, held):
            assert client.response(number).status == 200
        assert [get("/rated/page", f"2001:db8:{i}::{i}", i) for i in (1, 2, 1, 1, 2)] == \
            [200, 200, 200, 429, 200]
        backend.serve = Application()  # holds
        while get("/page", "203.0.113.3") == 200:
            number = proxy[0].request("GET", "/app/hold", [("X-Forwarded-For", "203.0.113.3")])
            entered(backend.serve, 1)
            proxy[0].send(RstStreamFrame(number, error_code=CANCEL))
            assert proxy[0].ping()
            proc.wait_until(lambda: not backend.open, 10, "its end")
        assert [get("/page", f"203.0.113.{i}", 0) for i in (3, 1)] == [429, 200]
        gateway.wait_log(r"client=203\.0\.113\.3 ELIMIT_BARRED.*\(client_resets\)")
        assert proxy[0].goaway is None  # others' requests are on it


# ---- counted ----

def test_counters_add_up(place, start):
    write_file(place / "public/page", "text")
    with Backend(f"{place}/app.sock", Application()) as backend:
        gateway = start(ini(place), tls=False, client_connections=2, client_requests=1,
                        client_resets=3, client_exempt="unix:")
        gateway.backend = backend
        source = "127.0.2.9"
        with ExitStack() as stack:
            one, two = [stack.enter_context(H2(gateway.address(), tls=False, source=source))
                        for _ in range(2)]
            closed = sum(is_turned_away(gateway, source) for _ in range(5))
            held = one.request("GET", "/app/hold", scheme="http")
            entered(backend.serve, 1)
            refused = [two.fetch("GET", "/page", scheme="http").status for _ in range(7)]
            backend.serve.go.set()
            assert one.response(held).status == 200
            for _ in range(4):
                number = two.open_stream()  # one write: reset before anybody sees it
                two.try_send(two.headers_frame(number, HEAD),
                             RstStreamFrame(number, error_code=CANCEL))
            assert two.wait_goaway() == ENHANCE_YOUR_CALM
        barred = sum(is_turned_away(gateway, source) for _ in range(6))
        assert (closed, refused, barred) == (5, [429] * 7, 6)
        gateway.stop(how=signal.SIGQUIT)
    line = gateway.wait_log("drained: limits met: ")
    assert ("client_connections=5 client_requests=7 client_resets=1 client_barred=6"
            in line), line
