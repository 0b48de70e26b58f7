"""Servers by name: addresses and SRV records come and go, a real dnsmasq says them."""
import contextlib
import socket
import threading
from collections import Counter

import pytest

from lib import proc
from lib.dns import NameServer
from lib.h1 import H1
from lib.ports import free_port
from peers.fcgi import OK_HEAD, Backend, keeping

SRV = "_fcgi._tcp.app.test"


def served_by(name):
    return keeping(lambda request: OK_HEAD + name.encode())


@pytest.fixture
def names(place):
    with NameServer(place) as server:
        yield server


@pytest.fixture
def servers():
    """open(2, 3) -> a port that servers "2" on 127.0.0.2 and "3" on 127.0.0.3 listen on."""
    with contextlib.ExitStack() as stack:
        def make(*numbers):
            port = free_port()
            for n in numbers:
                address = "::1" if n == 1 else f"127.0.0.{n}"
                make.all[n] = stack.enter_context(
                    Backend((address, port), served_by(str(n))))
            return port
        make.all = {}
        yield make


def pool_ini(place, connect, **keys):
    keys = {"balance": "round-robin", **keys}
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = {connect}\n{lines}")


def shares(gateway, n=12):
    with H1(gateway.address()) as client:
        responses = [client.fetch("GET", "/app/x") for _ in range(n)]
    assert all(response.status == 200 for response in responses)
    return Counter(response.body.decode() for response in responses)


def wait_servers(gateway, n):
    """Until all are there: the first may have all requests before."""
    proc.wait_until(lambda: gateway.log().count(" comes") >= n, 10, f"{n} servers")


class Traffic:
    """Requests, one after the other, until the end: every one must be answered."""

    def __init__(self, gateway):
        self.gateway, self.ends, self.statuses = gateway, False, Counter()
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]

    def run(self):
        while not self.ends:
            with H1(self.gateway.address()) as client:
                closes = False  # it does so after connection_requests
                while not self.ends and not closes:
                    response = client.fetch("GET", "/app/x")
                    self.statuses[response.status] += 1
                    closes = response.get("connection") == "close"

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        for thread in self.threads:
            thread.join()
        assert set(self.statuses) == {200}


def test_each_address_is_a_server(place, start, names, servers):
    """IPv4 and IPv6, each with the options of the name; there with the first request."""
    port = servers(1, 2, 3)
    names.set({"app.test": ["127.0.0.2", "127.0.0.3", "::1"], "one.test": ["127.0.0.2"]})
    gateway = start(pool_ini(place, f"app.test:{port} one.test:{port},weight=3"), workers=1,
                    resolver=names.address)
    wait_servers(gateway, 4)
    assert shares(gateway) == {"1": 2, "2": 8, "3": 2}
    gateway.wait_log(f"info .*pool=app server=app.test/127.0.0.2:{port} comes")
    gateway.wait_log(rf"pool=app server=app.test/\[::1\]:{port} comes")
    assert "notice" not in gateway.wait_log(f"server=one.test/127.0.0.2:{port} comes")


@pytest.mark.threads
def test_servers_come_and_go(place, start, names, servers):
    """The name has another address, then both, then the first: no request fails."""
    port = servers(2, 3)
    names.set({"app.test": ["127.0.0.2"]})
    gateway = start(pool_ini(place, f"app.test:{port}"), resolver=names.address)
    with Traffic(gateway):
        assert set(shares(gateway)) == {"2"}
        names.set({"app.test": ["127.0.0.3"]})
        gateway.wait_log(f"notice .*pool=app server=app.test/127.0.0.2:{port} goes")
        assert set(shares(gateway)) == {"3"}
        proc.wait_until(lambda: not servers.all[2].open, 10, "closed connections")
        mark = gateway.mark()
        names.set({"app.test": ["127.0.0.3", "127.0.0.2"]})
        gateway.wait_log(f"notice .*server=app.test/127.0.0.2:{port} comes", since=mark)
        # Turns are those of all clients: this one's may fall on one server for a while.
        proc.wait_until(lambda: set(shares(gateway)) == {"2", "3"}, 10, "both servers")
        assert "goes" not in gateway.log(mark)
        names.set({"app.test": ["127.0.0.2"]})
        gateway.wait_log(f"server=app.test/127.0.0.3:{port} goes", since=mark)
        assert set(shares(gateway)) == {"2"}


def test_request_under_way_when_its_server_goes(place, start, names, servers):
    """It is finished; its connection is closed behind it."""
    port = servers(2, 3)
    entered, go = threading.Event(), threading.Event()

    def waits(request):
        entered.set()
        go.wait(20)
        return OK_HEAD + b"late"

    servers.all[2].serve = keeping(waits)
    names.set({"app.test": ["127.0.0.2"]})
    gateway = start(pool_ini(place, f"app.test:{port}"), resolver=names.address)
    with H1(gateway.address()) as client:
        client.request("GET", "/app/x")
        assert entered.wait(10)
        names.set({"app.test": ["127.0.0.3"]})
        gateway.wait_log("server=app.test/127.0.0.2:.* goes")
        assert set(shares(gateway)) == {"3"}
        go.set()
        assert client.response().body == b"late"
    proc.wait_until(lambda: not servers.all[2].open, 10, "a closed connection")


def test_no_such_name_at_start(place, start, names, servers):
    """The gateway starts, refuses for the pool alone, and has its server when the name is there."""
    port = servers(2)
    names.set({})
    gateway = start(pool_ini(place, f"app.test:{port}"), resolver=names.address)
    line = gateway.wait_log("not resolved")
    assert f"pool=app app.test:{port} not resolved: there is no such name (NXDOMAIN)" in line
    assert gateway.get("/app/x").status == 503
    assert gateway.get("/none").status == 404
    gateway.wait_log("pool down")
    names.set({"app.test": ["127.0.0.2"]})
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "a server")
    gateway.wait_log("pool=app app.test:.* resolved again")
    assert gateway.log().count("not resolved") == 1


def test_others_of_the_pool_serve_meanwhile(place, start, names, servers):
    port = servers(2)
    names.set({})
    gateway = start(pool_ini(place, f"none.test:{port} 127.0.0.2:{port}"),
                    resolver=names.address)
    assert shares(gateway) == {"2": 12}


class SlowNames:
    """In front of a name server: answers when told."""

    def __init__(self, names):
        self.names, self.go, self.asked = names, threading.Event(), threading.Event()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            question, client = self.sock.recvfrom(2048)
            if not question:
                return
            self.asked.set()
            self.go.wait(20)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(5)
                s.sendto(question, ("127.0.0.1", self.names.port))
                self.sock.sendto(s.recv(2048), client)

    def close(self):
        self.go.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.sock.getsockname())
        self.thread.join(10)
        self.sock.close()


def test_requests_wait_for_the_first_answer(place, start, names, servers):
    """A slow name server at start: nobody is refused for that, nor is anything else held up."""
    port = servers(2)
    names.set({"app.test": ["127.0.0.2"]})
    with contextlib.closing(SlowNames(names)) as slow:
        gateway = start(pool_ini(place, f"app.test:{port}"), workers=1, resolver=slow.address)
        assert slow.asked.wait(10)
        with H1(gateway.address()) as client:
            client.request("GET", "/app/x")
            assert gateway.get("/none").status == 404  # the worker had both
            slow.go.set()
            assert client.response().body == b"2"


def test_name_without_a_ttl(place, start, servers):
    """Asked again after resolve_interval."""
    port = servers(2, 3)
    with NameServer(place, ttl=0) as names:
        names.set({"app.test": ["127.0.0.2"]})
        gateway = start(pool_ini(place, f"app.test:{port}", resolve_interval="1s"),
                        resolver=names.address)
        assert set(shares(gateway)) == {"2"}
        names.set({"app.test": ["127.0.0.3"]})
        proc.wait_until(lambda: set(shares(gateway)) == {"3"}, 20, "the other one")


@pytest.mark.parametrize("how", ["stopped", "nxdomain"])
def test_servers_stay_while_the_name_fails(place, start, names, servers, how):
    port = servers(2)
    names.set({"app.test": ["127.0.0.2"]})
    gateway = start(pool_ini(place, f"app.test:{port}", resolve_interval="1s"),
                    resolver=names.address)
    assert shares(gateway) == {"2": 12}
    if how == "stopped":
        names.stop()
    else:
        names.set({})
    line = gateway.wait_log("not resolved", timeout=20)
    assert line.endswith("; it has 1 server") and " warn " in line
    assert shares(gateway) == {"2": 12}
    assert "goes" not in gateway.log()
    names.set({"app.test": ["127.0.0.2"]})
    gateway.wait_log("resolved again", timeout=20)


def test_hosts_file(place, start, servers):
    """localhost, without a name server: there at once."""
    port = free_port()
    with Backend(("127.0.0.1", port), served_by("here")):
        gateway = start(pool_ini(place, f"localhost:{port}"))
        assert shares(gateway) == {"here": 12}


# ---- SRV ----

def test_srv(place, start, names, servers):
    """Ports and weights of the records; a higher priority is a backup."""
    first, second, third = servers(2), servers(3), servers(4)
    names.set({"a.test": ["127.0.0.2"], "b.test": ["127.0.0.3"], "c.test": ["127.0.0.4"]},
              [(SRV, "a.test", first, 10, 3), (SRV, "b.test", second, 10, 1),
               (SRV, "c.test", third, 20, 1)])
    gateway = start(pool_ini(place, f"srv:{SRV}"), workers=1, resolver=names.address)
    wait_servers(gateway, 3)
    assert shares(gateway) == {"2": 9, "3": 3}
    gateway.wait_log(f"server=c.test/127.0.0.4:{third} comes, a backup")
    servers.all[2].close()
    servers.all[3].close()
    assert shares(gateway) == {"4": 12}


def test_srv_changes(place, start, names, servers):
    """The backup becomes the first, a new one is its backup: no request fails."""
    first, second = servers(2), servers(3)
    hosts = {"a.test": ["127.0.0.2"], "b.test": ["127.0.0.3"]}
    names.set(hosts, [(SRV, "a.test", first, 1, 0), (SRV, "b.test", second, 2, 0)])
    gateway = start(pool_ini(place, f"srv:{SRV}", max_requests=4), resolver=names.address)
    with Traffic(gateway):
        assert set(shares(gateway)) == {"2"}
        names.set(hosts, [(SRV, "a.test", first, 2, 0), (SRV, "b.test", second, 1, 0)])
        proc.wait_until(lambda: set(shares(gateway)) == {"3"}, 20, "the other one")
        names.set(hosts, [(SRV, "a.test", first, 1, 7)])
        proc.wait_until(lambda: set(shares(gateway)) == {"2"}, 20, "the first one again")


def test_srv_target_that_fails(place, start, names, servers):
    """What it had stays, what else there is changes."""
    first, second, third = servers(2), servers(3), servers(4)
    records = [(SRV, "a.test", first, 0, 1), (SRV, "b.test", second, 0, 1)]
    names.set({"a.test": ["127.0.0.2"], "b.test": ["127.0.0.3"]}, records)
    gateway = start(pool_ini(place, f"srv:{SRV}", resolve_interval="1s"), workers=1,
                    resolver=names.address)
    wait_servers(gateway, 2)
    assert shares(gateway) == {"2": 6, "3": 6}
    names.set({"b.test": ["127.0.0.3"], "c.test": ["127.0.0.4"]},
              [*records, (SRV, "c.test", third, 0, 1)])
    gateway.wait_log(f"pool=app srv:{SRV}: its target a.test not resolved: there is no such name")
    gateway.wait_log(f"server=c.test/127.0.0.4:{third} comes")
    assert shares(gateway) == {"2": 4, "3": 4, "4": 4}


def test_srv_is_not_there(place, start, names, servers):
    names.set({})
    gateway = start(pool_ini(place, f"srv:{SRV}"), resolver=names.address)
    line = gateway.wait_log("not resolved")
    assert f"pool=app srv:{SRV} not resolved: there is no such name (NXDOMAIN)" in line
    assert gateway.get("/app/x").status == 503
    port = servers(2)
    names.set({"a.test": ["127.0.0.2"]}, [(SRV, "a.test", port, 0, 0)])
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "a server")
