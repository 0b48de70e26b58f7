"""FastCGI applications that fail: the client's answer, the log line, the pool's state, and the
next request.  The table is peers/faults.py."""
import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from lib import proc
from lib.gateway import Gateway
from lib.h1 import H1
from lib.message import Refused, Truncated
from peers import spawned
from peers.faults import BODY, FAULTS, ONCE, REFUSES, TRUNCATED, Spawned, send_taken
from peers.fcgi import OK_HEAD, Backend, answer, end_request, hello, keeping

PROTOCOLS = ("h1", "h2", "h2c")
MIB = 1 << 20


# ---- applications that a test makes ill and well again ----

class Scripted:
    """Answers hello while it is well."""

    def __init__(self, fault, address):
        self.fault = fault
        self.backend = Backend(address, self.serve)
        name = self.backend.listener.getsockname()
        self.ini = f"connect = unix:{name}" if isinstance(name, str) else \
            f"connect = 127.0.0.1:{name[1]}"

    def serve(self, conn):
        if self.backend.healthy:
            conn.send(answer(conn.request().number, hello(None)))
        else:
            self.fault.serve(conn)

    def sicken(self):
        self.backend.healthy = False

    def heal(self, gateway):
        self.backend.healthy = True

    def close(self):
        self.backend.close()
        assert self.backend.errors == []


class Absent:
    """Listens while it is well."""

    def __init__(self, path):
        self.path, self.backend = path, None
        self.ini = f"connect = unix:{path}"
        self.heal(None)
        self.sicken()  # leaves a socket that nobody listens on

    def sicken(self):
        self.close()

    def heal(self, gateway):
        Path(self.path).unlink(missing_ok=True)
        self.backend = Backend(self.path, keeping(hello))

    def close(self):
        if self.backend:
            self.backend.close()


class Process:
    """Processes of the pool that are well while a file is there."""

    def __init__(self, mode, flag):
        self.mode, self.flag = mode, flag
        self.ini = f"spawn = /usr/bin/python3 {spawned.__file__} {mode} {flag}"

    def sicken(self):
        self.flag.unlink(missing_ok=True)

    def heal(self, gateway):
        self.flag.touch()
        for pid in gateway.pool_pids(f" {self.mode} "):
            os.kill(pid, signal.SIGCONT)

    def close(self):
        pass


def make_peer(place, i, fault):
    """Unix and TCP sockets in turn, where it makes no difference."""
    if fault.serve == REFUSES:
        return Absent(str(place / f"{fault.name}.sock"))
    if isinstance(fault.serve, Spawned):
        return Process(fault.serve.mode, place / f"{fault.name}.healthy")
    # Over TCP the kernels' buffers may have room for all of a body that is not read.
    if i % 2 and fault.serve.__name__ != "byte_by_byte" and not fault.body:
        return Scripted(fault, ("127.0.0.1", 0))
    return Scripted(fault, str(place / f"{fault.name}.sock"))


@pytest.fixture(scope="module")
def peers(module_place):
    found = {fault.name: make_peer(module_place, i, fault) for i, fault in enumerate(FAULTS)}
    yield found
    for peer in found.values():
        peer.close()


@pytest.fixture(scope="module")
def other(module_place):
    """The second server of each pool that has one."""
    path = str(module_place / "other.sock")
    with Backend(path, keeping(lambda request: OK_HEAD + b"other\n")):
        yield path


def pool_ini(name, server, keys):
    """One place, so that a request that leaves it taken is found out by the next; and no kept
    connections, which these applications close when they like."""
    keys = {"max_requests": 1, "keepalive": 0, **keys}
    return (f"[route main /{name}/]\npool = {name}\n[pool {name}]\n{server}\n" +
            "".join(f"{key} = {value}\n" for key, value in keys.items()))


@pytest.fixture(scope="module")
def gateway(module_place, peers, other):
    ini = f"[site main]\nroot = {module_place}/public\n"
    for fault in FAULTS:
        server = peers[fault.name].ini
        ini += pool_ini(fault.name, server, fault.keys)
        if not isinstance(fault.serve, Spawned):
            ini += pool_ini(f"{fault.name}.2", f"{server} unix:{other},backup",
                            {**ONCE, **fault.keys})
    with Gateway(module_place, ini) as gateway:
        yield gateway


def outcome(gateway, proto, pool, fault):
    """Status and body, or TRUNCATED."""
    try:
        response = gateway.fetch(proto, f"/{pool}/x", method=fault.method, body=fault.body)
    except Truncated as error:
        assert error.response.status == 200
        return TRUNCATED, error.response.body
    except Refused:  # cut before its head went out
        return TRUNCATED, b""
    return response.status, response.body


def lines_of(gateway, pool, since):
    """What the error log says of a pool, but for what is no news."""
    return [line for line in gateway.log(since).splitlines()
            if f"pool={pool} " in line and " info " not in line and " notice " not in line]


# ---- the table ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(gateway, peers, fault, proto):
    peer = peers[fault.name]
    if isinstance(fault.serve, Spawned):  # Python takes a while to start
        peer.heal(gateway)
        proc.wait_until(lambda: gateway.get(f"/{fault.name}/x").body == BODY, 20, "its process")
    peer.sicken()
    since = gateway.mark()

    status, body = outcome(gateway, proto, fault.name, fault)
    assert status == fault.expect
    if status not in (TRUNCATED, 502, 503, 504):
        assert body == fault.answer
    for pattern in fault.log:
        assert f"pool={fault.name} " in gateway.wait_log(pattern, since)
    if not fault.log:
        assert lines_of(gateway, fault.name, since) == []

    peer.heal(gateway)
    response = gateway.fetch(proto, f"/{fault.name}/x")
    while response.status == 503 and fault.keys == ONCE:  # restarted more and more slowly
        assert int(response.get("retry-after")) >= 1
        response = gateway.fetch(proto, f"/{fault.name}/x")
    assert (response.status, response.body) == (200, BODY)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS
                                   if not isinstance(fault.serve, Spawned)],
                         ids=lambda fault: fault.name)
def test_rotation(gateway, peers, fault):
    """Three in a row: its server is out, or stays; well again, it has what comes."""
    peer, pool = peers[fault.name], f"{fault.name}.2"
    peer.sicken()
    since = gateway.mark()
    assert outcome(gateway, "h1", pool, fault)[0] == fault.expect
    for _ in range(2):
        outcome(gateway, "h1", pool, fault)
    peer.heal(gateway)

    gone = [line for line in lines_of(gateway, pool, since) if "out of rotation" in line]
    assert bool(gone) == bool(fault.out), gone
    if not fault.out:  # its one place may be taken until the last connection is closed
        proc.wait_until(lambda: gateway.get(f"/{pool}/x").body == BODY, 10, "its server")
        return
    assert f"out of rotation: {fault.out}, tried again in 0." in gone[0]
    bodies = set()

    def back():
        response = gateway.get(f"/{pool}/x")
        assert response.status == 200
        bodies.add(response.body)
        return response.body == BODY

    proc.wait_until(back, 10, "its server in rotation")
    assert bodies <= {b"other\n", BODY}
    assert re.search(rf"pool={re.escape(pool)} server=\S+ back", gateway.log(since))


def test_memory_after_all_of_it(gateway, peers):
    """What endless applications send is nowhere kept."""
    before = proc.pss(gateway.gateway_pid())
    for fault in FAULTS:
        if fault.name in ("head_of_64_mib", "endless_head", "endless_line", "endless_stderr"):
            peers[fault.name].sicken()
            outcome(gateway, "h1", fault.name, fault)
    if not os.environ.get("H2CGI_SAN"):
        assert proc.pss(gateway.gateway_pid()) - before < 4 * MIB


# ---- what no row can say ----

def test_a_stopped_process_is_out_of_rotation(place, start):
    """One of two processes is stopped: three requests meet it, then the other has all; it goes
    on: it is back."""
    flag = place / "healthy"
    flag.touch()
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        [pool app]
        spawn = /usr/bin/python3 {spawned.__file__} stops {flag}
        processes = 2
        balance = round-robin
        first_byte_timeout = 300ms
        abort_timeout = 100ms
        """)
    proc.wait_until(lambda: len({gateway.get("/app/x").get("process") for _ in range(4)} -
                                {None}) == 2, 20, "both processes")
    since = gateway.mark()
    pid = gateway.pool_pids("spawned.py")[0]
    os.kill(pid, signal.SIGSTOP)
    statuses = Counter()

    def gone():
        statuses[gateway.get("/app/x").status] += 1
        return "out of rotation: no answer from the backend in time" in gateway.log(since)
    proc.wait_until(gone, 20, "the process out of rotation")
    assert statuses[504] == 3 and set(statuses) == {200, 504}
    os.kill(pid, signal.SIGCONT)

    def back():
        gateway.get("/app/x")
        return re.search("pool=app server=.* back", gateway.log(since))
    proc.wait_until(back, 20, "the process in rotation")
    proc.wait_until(lambda: gateway.get("/app/x").body == BODY, 20, "answers")
    os.kill(pid, signal.SIGSTOP)  # and such a one is ended all the same


def test_end_and_stdout_of_the_request_before(place, start, proto):
    """What an application says under the id of a request that is over reaches no other, even
    when that already waits on the same connection."""
    def serve(conn):
        before = None
        while True:
            request = conn.request()
            if before:
                conn.send(answer(before.number, OK_HEAD + b"not yours\n"))
                conn.send(end_request(before.number))
            before = request
            conn.send(answer(request.number, hello(request)))

    with Backend(str(place / "app.sock"), serve) as backend:
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            max_requests = 1
            """)
        for method in ("GET", "POST", "GET"):
            assert gateway.fetch(proto, "/app/x", method=method).body == BODY
        assert "pool=app" in gateway.wait_log("says more of a request that is over: dropped")
        assert backend.n_accepted == 1
        assert backend.errors == []


def test_splits(place, start):
    """An answer in two pieces, cut at every byte, on one connection."""
    cuts = iter(range(1, 1000))

    def serve(conn):
        while True:
            request = conn.request()
            data, cut = answer(request.number, hello(request), padding=1), next(cuts)
            send_taken(conn, data[:cut])
            conn.send(data[cut:])

    with Backend(str(place / "app.sock"), serve) as backend:
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """)
        with H1(gateway.address()) as client:
            for _ in range(len(answer(1, hello(None), padding=1))):
                assert client.fetch("GET", "/app/x").body == BODY
        assert backend.errors == []


def test_full_backlog_is_a_connect_timeout(place, start):
    """A unix socket whose backlog is full makes connect wait; a bound one: 504."""
    path = str(place / "app.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        os.chmod(path, 0o666)
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{path}
            max_requests = 8
            connect_timeout = 400ms
            first_byte_timeout = 400ms
            """)
        statuses = set()
        clients = [H1(gateway.address()) for _ in range(4)]
        for client in clients:
            client.request("GET", "/app/x")
        for client in clients:
            statuses.add(client.response().status)
            client.close()
        assert statuses == {504}
        gateway.wait_log("backend not connected in time")


def test_a_fault_harms_nobody_else(gateway, peers):
    """While one pool's application is silent, the others answer."""
    peers["silent_mid_body"].sicken()
    peers["byte_by_byte"].sicken()
    with H1(gateway.address()) as waiting:
        waiting.request("GET", "/silent_mid_body/x")
        assert waiting.head().status == 200
        for proto in PROTOCOLS:
            assert gateway.fetch(proto, "/byte_by_byte/x").body == b"hello\n"
