"""rate and requests_at_once: whose requests are counted, where, and what is refused."""
import base64
import crypt
import re
import signal
import threading

import pytest

from lib import proc
from lib.apps import write_file
from lib.client import dial, fetch, scheme
from lib.gateway import Gateway
from lib.h1 import H1, render
from peers.fcgi import OK_HEAD, Backend, keeping

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
PAGES = ("page", "one/page", "two/page", "own/page", "free/page", "field/page", "both/page",
         "user/page", "guess/page", "dry/page", "all/page", "many/page", "index/index.html",
         "fast/page")


def ini(place):
    routes = "".join(f"[route main /{name}/]\nroot = {place}/public/{name}\n{keys}\n"
                     for name, keys in {
        "two": "",
        "own": "rate = 1/h burst 1",
        "free": "rate = off",
        "field": "rate = 2/h by field X-Api-Key",
        "both": "rate = 3/h\nrate = 1/h by field X-Key",
        "user": f"auth = basic\nauth_file = {place}/passwords\nrate = 2/h by user",
        "guess": f"auth = basic\nauth_file = {place}/passwords\nrate = 3/h",
        "dry": "rate = 1/h\nlimits_dry_run = on",
        "all": "rate = 2/h by all",
        "many": "rate = 40/h",
        "index": "rate = 2/h",
        "fast": "rate = 1/50ms",
    }.items())
    return f"""
[site main]
root = {place}/public
rate = 1/h burst 4
{routes}
[route main /app/]
pool = app
rate = off
requests_at_once = 2
[pool app]
connect = unix:{place}/app.sock
keepalive = 0
"""


class Gate:
    """Answers when told."""

    def __init__(self):
        self.go, self.entered = threading.Event(), threading.Semaphore(0)

    def __call__(self, request):
        self.entered.release()
        self.go.wait(30)
        return OK_HEAD + b"hello\n"


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name in PAGES:
        write_file(place / "public" / name, "text")
    write_file(place / "passwords", "".join(
        f"{name}:{crypt.crypt('secret', '$5$salt$')}\n" for name in ("alice", "bob")))
    with Backend(f"{place}/app.sock", keeping(Gate())) as backend:
        with Gateway(place, ini(place), limit_table=1024) as running:
            running.backend = backend
            yield running


def source_of(proto, number):
    """A client of a test's own."""
    return f"127.0.{20 + number}.{1 + PROTOCOLS.index(proto)}"


def statuses(client, proto, *asked):
    """of (path, fields) or paths"""
    asked = [each if isinstance(each, tuple) else (each, ()) for each in asked]
    return [client.fetch("GET", path, fields, **how(proto)).status for path, fields in asked]


def how(proto):
    return {"scheme": scheme(proto)} if proto.startswith("h2") else {}


def login(name, password="secret"):
    word = base64.b64encode(f"{name}:{password}".encode()).decode()
    return [("Authorization", f"Basic {word}")]


# ---- rates ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_where(gateway, proto):
    """A site's rate is one for all its routes, a route's own takes its place."""
    source = source_of(proto, 0)
    with dial(proto, gateway, source=source) as c:
        assert statuses(c, proto, "/page", "/one/page", "/two/page", "/nothing",
                        "/own/page", "/own/page") == [200, 200, 200, 404, 200, 200]
        assert statuses(c, proto, "/two/page", "/page", "/one/page", "/own/page",
                        "/free/page") == [200, 429, 429, 429, 200]
    assert fetch(proto, gateway, "GET", "/page", source=source).status == 429
    assert fetch(proto, gateway, "GET", "/page", source=source_of(proto, 1)).status == 200


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_answer_and_line(gateway, proto):
    since, source = gateway.mark(), source_of(proto, 2)
    with dial(proto, gateway, source=source) as c:
        for _ in range(2):
            c.fetch("GET", "/own/page", **how(proto))
        refused = [c.fetch("GET", "/own/page?x", **how(proto)) for _ in range(20)]
    assert {answer.status for answer in refused} == {429}
    assert 3590 <= int(refused[0].get("retry-after")) <= 3600
    assert b"429" in refused[0].body
    line = gateway.wait_log(rf"warn .*client={source}:\d+ conn=\d+ ELIMIT_RATE", since)
    assert re.search(r'site=main route="/own/" rate = 1/h burst 1: next in 3[56]\d{5} ms', line)
    gateway.wait_access(f"^{source} .*/own/page.x .* 429 ", 20)
    lines = re.findall(f"warn .*client={source}:.*ELIMIT_RATE", gateway.log()[since:])
    assert len(lines) == 1  # a flood is no reason for twenty


def test_refused_takes_nothing(gateway):
    """Who is over goes on once there is room again, however often he tried meanwhile."""
    with dial("h1", gateway, source="127.0.30.1") as c:
        tries = 0
        for _ in range(3):
            while c.fetch("GET", "/fast/page").status != 200:
                tries += 1
                assert tries < 10000
        assert tries


def test_by_field(gateway):
    key = [[("X-Api-Key", name)] for name in ("a", "b")]
    asked = [("/field/page", key[0])] * 3 + [("/field/page", key[1])] + [("/field/page", ())] * 5
    with dial("h2", gateway, source="127.0.30.2") as c:
        assert statuses(c, "h2", *asked) == [200, 200, 429, 200] + [200] * 5
    with dial("h1", gateway, source="127.0.30.3") as c:
        assert statuses(c, "h1", ("/field/page", [("x-api-key", "a")])) == [429]


def test_several(gateway):
    """All must have room; what one refuses takes nothing of another."""
    with dial("h2", gateway, source="127.0.30.4") as c:
        asked = [("/both/page", [("X-Key", key)]) for key in "aaaabcd"]
        assert statuses(c, "h2", *asked) == [200, 429, 429, 429, 200, 200, 429]


def test_by_user(gateway):
    """Wherever they come from; who is nobody is not counted, but stopped by his password."""
    for i, name in enumerate(("alice", "alice", "alice", "bob")):
        with dial("h1", gateway, source=f"127.0.31.{1 + i}") as c:
            assert statuses(c, "h1", ("/user/page", login(name, "wrong")), "/user/page",
                            ("/user/page", login(name))) == [401, 401, 429 if i == 2 else 200]


def test_guessing(gateway):
    """By address, passwords are not looked at once it is too much."""
    with dial("h2", gateway, source="127.0.32.1") as c:
        asked = [("/guess/page", login("alice", f"wrong{i}")) for i in range(4)]
        assert statuses(c, "h2", *asked, ("/guess/page", login("alice"))) == [401] * 3 + [429] * 2


def test_by_all(gateway):
    assert [fetch("h1", gateway, "GET", "/all/page", source=f"127.0.33.{1 + i}").status
            for i in range(3)] == [200, 200, 429]


def test_index_counts_once(gateway):
    with dial("h1", gateway, source="127.0.34.1") as c:
        assert statuses(c, "h1", "/index/", "/index/", "/index/") == [200, 200, 429]


def test_dry_run(gateway):
    with dial("h2", gateway, source="127.0.35.1") as c:
        assert statuses(c, "h2", *["/dry/page"] * 4) == [200] * 4


@pytest.mark.threads
def test_exact_over_workers(gateway):
    """Forty pass, however many ask at once on however many connections."""
    answers, start = [], threading.Barrier(8)

    def ask():
        with H1(gateway.address(), source="127.0.36.1") as c:
            start.wait()
            c.send(render("GET", "/many/page") * 25)
            answers.extend(c.response().status for _ in range(25))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(200), answers.count(429)) == (40, 160)


def test_many_names(gateway):
    """Thousands of them neither take more room nor let the one out who is over."""
    with H1(gateway.address(), source="127.0.37.1") as c:
        mine = ("/field/page", [("X-Api-Key", "mine")])
        assert statuses(c, "h1", mine, mine, mine) == [200, 200, 429]
        for some in range(10):
            c.send(b"".join(render("GET", "/field/page", [("X-Api-Key", f"{some}.{i}")])
                            for i in range(300)))
            assert {c.response().status for _ in range(300)} == {200}
        assert statuses(c, "h1", mine) == [429]


# ---- at once ----

@pytest.mark.parametrize("proto", ("h1", "h2"))
def test_at_once(gateway, proto):
    gate, since = Gate(), gateway.mark()
    gateway.backend.serve = keeping(gate)
    source, held = source_of(proto, 3), []
    try:
        for _ in range(2):
            held.append(dial(proto, gateway, source=source))
            number = held[-1].request("GET", "/app/x", **how(proto))
            assert gate.entered.acquire(timeout=10)
        with dial(proto, gateway, source=source) as c:
            refused = c.fetch("GET", "/app/x", **how(proto))
            assert refused.status == 429 and refused.get("retry-after") == "1"
            assert statuses(c, proto, "/free/page") == [200]
            gate.go.set()
            arguments = (number,) if proto == "h2" else ()
            assert held[-1].response(*arguments).status == 200
            proc.wait_until(lambda: statuses(c, proto, "/app/x") == [200], 10, "room")
        line = gateway.wait_log(f"warn .*client={source}:.*ELIMIT_AT_ONCE", since)
        assert 'route="/app/" requests_at_once = 2: 2 are under way' in line
    finally:
        gate.go.set()
        for client in held:
            client.close()


# ---- counted ----

def test_counted(place, start):
    for name in PAGES:
        write_file(place / "public" / name, "text")
    write_file(place / "passwords", "alice:$5$aaaa$\n")
    gateway = start(ini(place), tls=False, limit_table=1024)
    with H1(gateway.address()) as c:
        assert statuses(c, "h1", *["/own/page"] * 9) == [200] * 2 + [429] * 7
        assert statuses(c, "h1", *["/dry/page"] * 3) == [200] * 3
        assert gateway.wait_log('ELIMIT_RATE.* route="/dry/"').endswith(" (limits_dry_run)")
        c.send(b"".join(render("GET", "/field/page", [("X-Api-Key", str(i))])
                        for i in range(1500)))
        assert {c.response().status for _ in range(1500)} == {200}
    gateway.stop(how=signal.SIGQUIT)
    line = gateway.wait_log("drained: limits met: ")
    found = dict(re.findall(r"(\S+)=(\d+)", line))
    assert (found["rate"], found["limits_dry_run"]) == ("7", "2"), line
    assert 1500 - 1024 <= int(found["limit_table"]) <= 1500, line
