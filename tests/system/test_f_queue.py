"""More requests than a pool takes: whose turn it is, who is refused, and what they are told."""
import os
import re
import signal
import threading

import pytest
from hyperframe.frame import RstStreamFrame

from bench.overload import Load
from lib import proc, worker
from lib.apps import app, write_file
from lib.frames import CANCEL, H2
from lib.h1 import H1
from peers.fcgi import OK_HEAD, Backend, answer

SITES = ("main", "other")


class Turnstile:
    """serve that holds every request until told, then lets them through as they come."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, conn):
        while True:
            request = conn.request()
            self.entered.release()
            self.go.wait(30)
            conn.send(answer(request.number, OK_HEAD + b"hello\n"))
            if not request.keeps:
                return


@pytest.fixture
def backend(place):
    with Backend(str(place / "app.sock"), Turnstile()) as backend:
        yield backend
        assert backend.errors == []


def pool_ini(place, **keys):
    keys = {"max_requests": 1, "queue": 200, "queue_timeout": "60s", **keys}
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    sites = "".join(f"[site {name}]\nhost = {name}\nroot = {place}/public\n"
                    f"[route {name} /app/]\npool = app\n" for name in SITES)
    return f"{sites}[pool app]\nconnect = unix:{place}/app.sock\n{lines}"


class Client(H2):
    """A client with an address of its own; ask() is back when the request waits, or is at work."""

    def __init__(self, gateway, number, host="main"):
        super().__init__(gateway.address(), tls=False,
                         source=f"127.0.{1 + number // 250}.{1 + number % 250}")
        self.host = host
        self.asked = []

    def ask(self, *names):
        for name in names:
            self.asked.append(self.request("GET", f"/app/{name}", host=self.host, scheme="http"))
        assert self.ping()

    def answers(self):
        return [self.response(number) for number in self.asked]

    def statuses(self):
        return [response.status for response in self.answers()]


@pytest.fixture
def clients():
    """clients(gateway, ...) -> Client, each with another address."""
    made = []

    def make(gateway, **options):
        made.append(Client(gateway, len(made), **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def take_the_place(gateway, clients, backend):
    """The pool's only place is taken by a client of its own."""
    first = clients(gateway)
    first.ask("first")
    assert backend.serve.entered.acquire(timeout=10)
    return first


def order(backend):
    """What the application had behind the one that took the place."""
    names = [request.params["PATH_INFO"].lstrip("/") for request in backend.requests]
    assert names[0] == "first"
    return names[1:]


# ---- turns ----

@pytest.mark.threads
def test_a_flood_delays_nobody(place, start, backend, clients):
    """One client's many requests, then one of another: it is among the next two."""
    gateway = start(pool_ini(place))
    take_the_place(gateway, clients, backend)
    flood, one = clients(gateway), clients(gateway)
    flood.ask(*(f"flood{i}" for i in range(60)))
    one.ask("one")
    backend.serve.go.set()
    assert one.statuses() == [200]
    assert flood.statuses() == [200] * 60
    assert "one" in order(backend)[:2]
    floods = [name for name in order(backend) if name != "one"]
    assert floods == [f"flood{i}" for i in range(60)]


@pytest.mark.threads
def test_clients_take_turns(place, start, backend, clients):
    """In each round every client has one turn, whichever worker it is on."""
    gateway = start(pool_ini(place), workers=2)
    take_the_place(gateway, clients, backend)
    several = [clients(gateway) for _ in range(5)]
    for i, client in enumerate(several):
        client.ask(*(f"client{i}" for _ in range(8)))
    backend.serve.go.set()
    for client in several:
        assert client.statuses() == [200] * 8
    names = order(backend)
    for at in range(0, 40, 5):
        assert sorted(names[at:at + 5]) == [f"client{i}" for i in range(5)]


def test_connections_of_one_client_are_one(place, start, backend, clients):
    """More connections give no more turns."""
    gateway = start(pool_ini(place), workers=2)
    take_the_place(gateway, clients, backend)
    same = [Client(gateway, 240) for _ in range(6)]
    for client in same:
        client.ask(*["same"] * 4)
    one = clients(gateway)
    one.ask("one", "one")
    backend.serve.go.set()
    assert one.statuses() == [200] * 2
    for client in same:
        assert client.statuses() == [200] * 4
        client.close()
    names = order(backend)
    assert "one" in names[:2] and "one" in names[2:4]


def test_sites_take_turns(place, start, backend, clients):
    """One site's many clients, then one of another site: it is among the next two."""
    gateway = start(pool_ini(place))
    take_the_place(gateway, clients, backend)
    many = [clients(gateway) for _ in range(30)]
    for client in many:
        client.ask("many")
    one = clients(gateway, host="other")
    one.ask("one", "one")
    backend.serve.go.set()
    assert one.statuses() == [200, 200]
    for client in many:
        assert client.statuses() == [200]
    names = order(backend)
    assert "one" in names[:2] and "one" in names[2:4]


# ---- who is refused ----

@pytest.mark.threads
def test_who_has_most_waiting_gives_way(place, start, backend, clients):
    """A full queue: the newest of the client who has most makes room for others, until all have
    the same."""
    gateway = start(pool_ini(place, queue=6))
    take_the_place(gateway, clients, backend)
    flood, one, two = (clients(gateway) for _ in range(3))
    flood.ask(*(f"flood{i}" for i in range(6)))
    one.ask("one", "one", "one")
    two.ask("two", "two", "two")
    backend.serve.go.set()
    assert flood.statuses() == [200] * 2 + [503] * 4
    assert one.statuses() == [200] * 2 + [503]  # its third gave way to two's second
    assert two.statuses() == [200] * 2 + [503]
    assert sorted(order(backend)) == ["flood0", "flood1", "one", "one", "two", "two"]
    for response in flood.answers()[2:]:
        assert int(response.get("retry-after")) >= 1
    assert "pool=app" in gateway.wait_log("queue full")


def test_the_site_with_most_waiting_gives_way(place, start, backend, clients):
    gateway = start(pool_ini(place, queue=6))
    take_the_place(gateway, clients, backend)
    many = [clients(gateway) for _ in range(6)]
    for client in many:
        client.ask("many")
    other = clients(gateway, host="other")
    other.ask("other", "other", "other", "other")
    backend.serve.go.set()
    assert other.statuses() == [200] * 3 + [503]
    refused = [client.statuses() for client in many].count([503])
    assert refused == 3


def leave(gateway, client, how):
    if how == "reset":
        for number in client.asked:
            client.send(RstStreamFrame(number, error_code=CANCEL))
        assert client.ping()
    else:
        client.close()
        gateway.wait_access("/app/leaver .* 499 ", 2)


class Client1:
    """As Client over HTTP/1.1, a connection a request."""

    def __init__(self, gateway, names):
        self.all = [H1(gateway.address(), source="127.0.1.99") for _ in names]
        for each, name in zip(self.all, names):
            each.request("GET", f"/app/{name}", host="main")

    def close(self):
        for each in self.all:
            each.close()


@pytest.mark.parametrize("how", ["reset", "close", "h1"])
def test_who_leaves_leaves_the_queue(place, start, backend, clients, how):
    """Its place is another's at once, and its request never reaches the application."""
    gateway = start(pool_ini(place, queue=4))
    first = take_the_place(gateway, clients, backend)
    if how == "h1":
        leaver = Client1(gateway, ["leaver"] * 2)
    else:
        leaver = clients(gateway)
        leaver.ask("leaver", "leaver")
    one = clients(gateway)
    one.ask("one", "one")
    leave(gateway, leaver, how)
    two = clients(gateway)
    two.ask("two", "two")
    backend.serve.go.set()
    assert first.statuses() == [200]
    assert one.statuses() == two.statuses() == [200, 200]
    assert sorted(order(backend)) == ["one", "one", "two", "two"]
    for client in (first, leaver, one, two):
        client.close()
    gateway.stop(how=signal.SIGQUIT)
    gateway.wait_log("pool=app drained: begun 5, queued 6, refused 0:")


# ---- what they are told ----

def test_retry_after_as_written(place, start, backend, clients):
    gateway = start(pool_ini(place, queue=0, retry_after="7s"))
    take_the_place(gateway, clients, backend)
    one = clients(gateway)
    one.ask("one")
    (response,) = one.answers()
    assert response.status == 503 and response.get("retry-after") == "7"
    backend.serve.go.set()


def test_retry_after_is_what_the_queue_takes(place, start, backend, clients):
    """One second for an idle queue; more, when nothing moves; never more than a minute."""
    gateway = start(pool_ini(place, queue=20))
    take_the_place(gateway, clients, backend)
    flood = clients(gateway)
    flood.ask(*["flood"] * 21)
    assert int(flood.response(flood.asked[-1]).get("retry-after")) <= 10

    def refused():
        flood.ask("late")
        return int(flood.response(flood.asked[-1]).get("retry-after"))

    proc.wait_until(lambda: 15 <= refused() <= 60, 10, "a longer time to come back")
    backend.serve.go.set()


def test_reasons_and_counters(place, start, backend, clients):
    """queue full, queue timeout: in the log for each request, and counted."""
    gateway = start(pool_ini(place, queue=2, queue_timeout="200ms"))
    first = take_the_place(gateway, clients, backend)
    flood = clients(gateway)
    flood.ask(*["flood"] * 5)
    assert sorted(flood.statuses()) == [503] * 5
    assert "pool=app" in gateway.wait_log("queue full")
    assert "pool=app" in gateway.wait_log("queue timeout")
    assert gateway.log().count("queue full") == 3
    assert gateway.log().count("queue timeout") == 2
    for response in flood.answers():
        assert int(response.get("retry-after")) >= 1
    backend.serve.go.set()
    assert first.statuses() == [200]
    waits = [re.search(r"wait=(\d+)ms", line)[1] for line in gateway.wait_access("flood", 5)]
    assert sorted(int(wait) >= 200 for wait in waits) == [False] * 3 + [True] * 2
    flood.close()
    first.close()
    gateway.stop(how=signal.SIGQUIT)
    assert ("pool=app drained: begun 1, queued 2, refused 5: queue full 3, queue timeout 2, "
            "pool down 0") in gateway.log()


def test_a_pool_that_is_down_refuses_who_waits(place, start, backend, clients):
    """The application is gone: nobody is left to wait for queue_timeout."""
    gateway = start(pool_ini(place, retries=0))
    first = take_the_place(gateway, clients, backend)
    several = [clients(gateway) for _ in range(12)]
    for client in several:
        client.ask("one")
    backend.close()
    backend.serve.go.set()
    assert first.statuses() == [502]
    answers = [answer for client in several for answer in client.answers()]
    statuses = [answer.status for answer in answers]  # some found out that it is down
    assert statuses.count(502) + statuses.count(503) == 12 and statuses.count(503) >= 4
    assert all(answer.get("retry-after") for answer in answers if answer.status == 503)
    assert "pool=app" in gateway.wait_log("pool down")
    with H1(gateway.address()) as late:
        response = late.fetch("GET", "/app/x", host="main")
        assert response.status in (502, 503)


def test_a_pool_whose_process_does_not_come_back_refuses_who_waits(place, start, clients):
    """The same for processes of ours."""
    gateway = start(worker.pool_ini(place, f"--fail={place}/fail", processes=1, retries=0,
                                    queue_timeout="60s", abort_timeout="1s"))
    first = clients(gateway, host="localhost")
    first.ask(f"?wait={place}/go")
    proc.wait_until((place / "go.here").exists, 10, "a request at work")
    waiters = [clients(gateway, host="localhost") for _ in range(4)]
    for client in waiters:
        client.ask("?")
    write_file(place / "fail", "")
    for pid in gateway.pool_pids():
        os.kill(pid, signal.SIGKILL)
    assert first.statuses() == [502]
    answers = [answer for client in waiters for answer in client.answers()]
    assert {answer.status for answer in answers} <= {502, 503}
    assert any(answer.status == 503 for answer in answers)
    assert all(answer.get("retry-after") for answer in answers if answer.status == 503)
    assert "pool=app" in gateway.wait_log("pool down")


# ---- overload ----

@pytest.mark.threads
@pytest.mark.parametrize("keys", [{"queue": 60, "queue_timeout": "10s"},
                                  {"queue": 600, "queue_timeout": "200ms"}],
                         ids=["full", "late"])
def test_overload_adds_up(place, start, keys):
    """Ten times what the application can do, from many clients: only 200 and 503, each 503 says
    when to come back, none that was served had waited too long, and the counters say the same."""
    gateway = start(f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
                    f"[pool app]\nspawn = {app('slow')} --threads 8\nprocesses = 1\n"
                    "requests_per_process = 8\n" +
                    "".join(f"{key} = {value}\n" for key, value in keys.items()))
    assert gateway.get("/app/?ms=0").status == 200  # it is up
    answers = Load(gateway.address(), "/app/?ms=20", rate=4000, requests=600, clients=50).run()
    statuses = [answer.status for answer in answers]
    n_good, n_refused = statuses.count(200), statuses.count(503)
    assert n_good + n_refused == len(answers) == 600
    assert all(answer.retry_after for answer in answers if answer.status == 503)
    assert n_good >= 8 and n_refused >= 8
    gateway.stop(how=signal.SIGQUIT)
    said = re.search(r"pool=app drained: begun (\d+), queued (\d+), refused (\d+): "
                     r"queue full (\d+), queue timeout (\d+), pool down 0", gateway.log())
    begun, _, refused, full, late = map(int, said.groups())
    assert refused == full + late == n_refused
    assert (full if keys["queue"] == 60 else late) > 0
    assert n_good + 1 <= begun <= n_good + 1 + late  # a grant may come too late
    waits = [re.search(r'" (\d+) .* wait=(\d+)ms', line) for line in gateway.access_lines()]
    longest = 10000 if keys["queue"] == 60 else 200
    assert max(int(wait[2]) for wait in waits if wait[1] == "200") <= longest
    assert len(waits) == 601
