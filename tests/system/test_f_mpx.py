"""multiplex = auto: several requests on one connection, with a Go program (net/http/fcgi), and
with scripted servers that get it wrong.

The Go program tells what came over each of its connections (peers/mpx.go).
"""
import hashlib
import json
import socket
import struct
import subprocess
import threading

import pytest
from hyperframe.frame import WindowUpdateFrame

from lib import proc
from lib.apps import PhpFpm, app, write_file
from lib.client import dial, is_h2, scheme
from lib.gateway import BINARY
from lib.h1 import H1, render
from lib.message import Refused, Truncated
from peers.fcgi import (ABORT, BEGIN, GET_VALUES, GET_VALUES_RESULT, OK_HEAD, STDIN, STDOUT,
                        Backend, answer, end_request, hello, keeping, record)

MIB = 1 << 20
PROTOCOLS = ("h1", "h2", "h2c")


# ---- the Go program ----

class Go:
    def __init__(self, place):
        self.socket = place / "go.sock"
        program = BINARY.parent / "peers/mpx"
        if not program.exists():
            pytest.fail(f"{program} is not built")
        self.process = subprocess.Popen([program, self.socket], stdin=subprocess.DEVNULL)
        proc.wait_until(lambda: self.socket.exists() and self.socket.stat().st_mode & 0o002,
                        10, "its socket")

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def go(place):
    made = Go(place)
    yield made
    made.close()


def pool_ini(place, socket="go.sock", site="", **keys):
    keys = {"multiplex": "auto", "max_requests": 64, **keys}
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n{site}[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = unix:{place}/{socket}\n{lines}")


@pytest.fixture
def open_pool(place, start, go):
    """open_pool(**keys) -> a gateway that knows what its server offers; one worker, so that
    all requests may share."""
    def make(site="", workers=1, **keys):
        gateway = start(pool_ini(place, site=site, **keys), workers=workers)
        assert gateway.get("/app/hello").body == b"hello\n"
        return gateway
    return make


def stats_of(gateway):
    return json.loads(gateway.get("/app/stats").body)


def at_work(stats):
    return [conn for conn in stats["Conns"] if conn["Open"]]


class Held:
    """A request that is at work until it is released."""

    def __init__(self, gateway, proto, name):
        self.gateway, self.name, self.h2 = gateway, name, is_h2(proto)
        self.client = dial(proto, gateway)
        path = f"/app/hold?name={name}"
        if self.h2:
            self.number = self.client.request("GET", path, scheme=scheme(proto))
            assert self.client.wait(lambda: self.client.body_so_far(self.number) == b"held\n")
        else:
            self.client.request("GET", path)
            self.head = self.client.head()

    def release(self):
        assert self.gateway.get(f"/app/release?name={self.name}").status == 200

    def finish(self):
        """Its whole answer came."""
        if self.h2:
            body = self.client.response(self.number).body
        else:
            self.client.body(self.head)
            body = self.head.body
        assert body == b"held\nreleased\n"
        self.client.close()


def hold(gateway, proto, n):
    return [Held(gateway, proto, f"{proto}-{i}") for i in range(n)]


def end(held):
    for one in held:
        one.release()
    for one in held:
        one.finish()


def digest(n):
    made, block = hashlib.sha256(), bytes(i % 251 for i in range(251 * 256))
    for at in range(0, n, len(block)):
        made.update(block[:n - at])
    return made.digest()


def is_bytes(data, n):
    return len(data) == n and hashlib.sha256(data).digest() == digest(n)


# ---- sharing ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_one_connection(open_pool, proto):
    """Eight at work, and more that come and go: one connection, every id used once."""
    gateway = open_pool()
    assert "its connections are shared" in gateway.wait_log("answers GET_VALUES")
    held = hold(gateway, proto, 8)
    for _ in range(20):
        assert gateway.fetch(proto, "/app/hello").body == b"hello\n"
    stats = stats_of(gateway)
    (conn,) = stats["Conns"]
    assert conn["Most"] == 9
    end(held)
    (conn,) = stats_of(gateway)["Conns"]
    assert len(conn["Ids"]) == len(set(conn["Ids"])) >= 38
    assert stats["Values"] == 1 and stats["Aborts"] == 0


def test_off(open_pool):
    """The default: nobody is asked, and each has a connection."""
    gateway = open_pool(multiplex="off")
    held = hold(gateway, "h2", 4)
    stats = stats_of(gateway)
    assert len(at_work(stats)) == 5
    assert {conn["Most"] for conn in stats["Conns"]} == {1}
    assert stats["Values"] == 0
    end(held)


def test_multiplex_requests(open_pool):
    gateway = open_pool(multiplex_requests=4)
    held = hold(gateway, "h2", 11)
    stats = stats_of(gateway)
    assert [conn["Most"] for conn in stats["Conns"]] == [4, 4, 4]
    end(held)


def test_ids_are_used_again(open_pool):
    """Behind 65535 they begin anew, on the same connection."""
    gateway = open_pool(keepalive_requests=1000000, multiplex_requests=256)
    held = Held(gateway, "h1", "long")  # keeps the connection
    with dial("h2", gateway) as client:
        for _ in range(300):  # of a place: ids that are 256 apart
            assert client.fetch("GET", "/app/hello").body == b"hello\n"
    held.release()
    held.finish()
    (conn,) = stats_of(gateway)["Conns"]
    first = conn["Ids"].index(65282)  # the last of the second place
    assert conn["Ids"][first + 1] == 2
    assert len(conn["Ids"]) > 300


@pytest.mark.threads
def test_load(open_pool):
    """Whatever comes and goes at once, over both workers, every answer is right."""
    gateway = open_pool(workers=2, multiplex_requests=8)
    wrong = []

    def client(i):
        with dial(PROTOCOLS[i % 3], gateway) as client:
            for k in range(30):
                options = {"scheme": scheme(PROTOCOLS[i % 3])} if is_h2(PROTOCOLS[i % 3]) else {}
                n = 1000 * i + k
                body = client.fetch("GET", f"/app/bytes?n={n}", **options).body
                if not is_bytes(body, n):
                    wrong.append((i, k, len(body)))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    stats = stats_of(gateway)
    assert sum(len(conn["Ids"]) for conn in stats["Conns"]) >= 360
    assert max(conn["Most"] for conn in stats["Conns"]) <= 8


# ---- none harms the others ----

def vanish(client):
    """Gone, with a reset: one that only ends its side still wants its answer."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Slow:
    """Asks for n bytes and takes none of them until finish()."""

    def __init__(self, gateway, proto, n):
        self.n, self.h2 = n, is_h2(proto)
        options = {"flow": False} if self.h2 else {"rcvbuf": 4096}
        self.client = dial(proto, gateway, **options)
        if self.h2:
            self.number = self.client.request("GET", f"/app/bytes?n={n}", scheme=scheme(proto))
            assert self.client.wait(lambda: self.client.streams[self.number].has_head)
        else:
            self.client.request("GET", f"/app/bytes?n={n}")
            self.head = self.client.head()

    def finish(self):
        """All of it, or what there was before it was cut off."""
        try:
            if self.h2:
                self.client.flow = True
                if self.client.body_so_far(self.number):
                    self.credit(len(self.client.body_so_far(self.number)))
                return self.client.response(self.number, 30).body
            self.client.body(self.head)
            return self.head.body
        except Truncated as error:
            return error.response.body
        finally:
            self.client.close()

    def credit(self, n):
        self.client.send(WindowUpdateFrame(0, window_increment=n),
                         WindowUpdateFrame(self.number, window_increment=n))


@pytest.mark.threads
@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("n, whole", [(4 * MIB, True), (12 * MIB, False)], ids=["4M", "12M"])
def test_slow_reader(open_pool, proto, n, whole):
    """What it does not take is spooled; some 4 MiB over response_spool_limit, or over what the
    disk takes at once, it is cut off.  The others on the connection never wait for it."""
    gateway = open_pool("response_spool_limit = 1M\n" if not whole else "")
    held = hold(gateway, proto, 1)  # so that the connection cannot just be left unread
    slow = Slow(gateway, proto, n)
    for i in range(10):
        body = gateway.fetch(proto, f"/app/bytes?n={MIB + i}").body
        assert is_bytes(body, MIB + i)
    if not whole:
        assert "pool=app" in gateway.wait_log("client too slow for a shared connection")
    stats = stats_of(gateway)
    (conn,) = stats["Conns"]
    assert conn["Most"] >= 2
    end(held)
    got = slow.finish()
    assert is_bytes(got, n) == whole
    assert is_bytes(got, len(got))
    assert gateway.fetch(proto, "/app/hello").body == b"hello\n"


def test_slow_reader_of_a_stream(open_pool):
    """response_body = stream is never spooled, so it shares nothing and is left unread."""
    gateway = open_pool("response_body = stream\n")
    held = hold(gateway, "h1", 2)
    slow = Slow(gateway, "h1", 12 * MIB)
    assert gateway.get("/app/hello").body == b"hello\n"
    assert {conn["Most"] for conn in stats_of(gateway)["Conns"]} == {1}
    end(held)
    assert is_bytes(slow.finish(), 12 * MIB)


@pytest.mark.threads
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_aborted(open_pool, proto):
    """Clients leave, before and in the middle of a body; the others go on as before.  Go answers
    an abort with END_REQUEST, and sends another when the handler ends."""
    gateway = open_pool()
    held = hold(gateway, proto, 3)
    for i in range(3):
        leaver = Held(gateway, proto, f"leaver-{i}")
        vanish(leaver.client)
        proc.wait_until(lambda: stats_of(gateway)["Aborts"] > i, 10, "an abort")
        leaver.release()
        slow = Slow(gateway, proto, 8 * MIB)
        vanish(slow.client)
        assert gateway.fetch(proto, "/app/hello").body == b"hello\n"
    (conn,) = stats_of(gateway)["Conns"]
    end(held)
    assert len(conn["Ids"]) == len(set(conn["Ids"]))
    assert gateway.fetch(proto, "/app/hello").body == b"hello\n"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_bodies(open_pool, proto):
    """Big ones go and come at once, beside requests that share."""
    gateway = open_pool()
    held = hold(gateway, proto, 2)
    results = {}

    def send(i):
        body = bytes([i]) * (2 * MIB) + b"x" * i
        results[i] = gateway.fetch(proto, "/app/echo", method="POST", body=body).body == body

    threads = [threading.Thread(target=send, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert gateway.fetch(proto, "/app/hello").body == b"hello\n"
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(6), True)
    end(held)


def test_body_that_nobody_reads(open_pool):
    """Go reads no further on a connection while a handler leaves its body alone: nobody is put
    behind it."""
    gateway = open_pool()
    held = hold(gateway, "h1", 2)
    with H1(gateway.address()) as unread:
        unread.send(render("POST", "/app/hold?name=unread", [("Content-Length", str(MIB))]))
        unread.send(b"x" * (MIB // 2))
        head = unread.head()
        for _ in range(10):
            assert gateway.get("/app/hello").body == b"hello\n"
        held += hold(gateway, "h2", 2)
        end(held)
        unread.send(b"x" * (MIB - MIB // 2))
        assert gateway.get("/app/release?name=unread").status == 200
        unread.body(head)
        assert head.body == b"held\nreleased\n"


def test_killed(place, open_pool, go):
    """All on the connection are cut off, each with its line; the next go to its successor."""
    gateway = open_pool(retries=0)
    held = hold(gateway, "h1", 3)
    since = gateway.mark()
    go.close()
    for one in held:
        with pytest.raises(Truncated):
            one.client.body(one.head)
        one.client.close()
    lines = [line for line in gateway.log(since).splitlines() if "EBACKEND_CLOSED" in line]
    assert len(lines) == 3
    go.socket.unlink()
    successor = Go(place)
    try:
        proc.wait_until(lambda: gateway.get("/app/hello").status == 200, 10, "its successor")
    finally:
        successor.close()


# ---- those who do not offer it ----

def test_libfcgi(place, start):
    """It says no: a connection for each request, as before."""
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        [pool app]
        spawn = {app('hello')} --threads 4
        requests_per_process = 4
        multiplex = auto
        """)
    run_at_once(gateway, 8, "/app/x", b"Hello, x\n")
    assert "a connection for each request" in gateway.wait_log("answers GET_VALUES")


def test_php_fpm(place, start):
    write_file(place / "public/n.php", "<?php usleep(2000); echo $_GET['n'];")
    with PhpFpm(place, children=3) as fpm:
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main *.php]
            pool = php
            [pool php]
            connect = unix:{fpm.socket}
            max_requests = 3
            multiplex = auto
            """)
        run_at_once(gateway, 9, "/n.php?n=7", b"7")
        assert "a connection for each request" in gateway.wait_log("answers GET_VALUES")


def run_at_once(gateway, n, path, body):
    wrong = []

    def run(proto):
        for _ in range(10):
            response = gateway.fetch(proto, path)
            if (response.status, response.body) != (200, body):
                wrong.append(response)
    threads = [threading.Thread(target=run, args=(PROTOCOLS[i % 3],)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- servers that get it wrong ----

class Wrong:
    """serve that offers to take several, waits for n requests on its first connection, and then
    does act(conn, ids); whatever comes later is answered hello."""

    def __init__(self, n, act):
        self.n, self.act, self.first = n, act, True

    def __call__(self, conn):
        if not self.first:
            keeping(hello)(conn)
            return
        self.first = False
        ids = []
        while True:
            kind, number, content = conn.record()
            if kind == GET_VALUES:
                conn.send(record(GET_VALUES_RESULT, 0, b"\x0f\x01FCGI_MPXS_CONNS1"))
            if kind == BEGIN:
                ids.append(number)
            if kind == STDIN and not content and len(ids) == 1:
                conn.send(record(STDOUT, number, OK_HEAD + b"first\n"))  # has its head
            if kind == STDIN and not content and len(ids) == self.n:
                self.act(conn, ids)
            if kind == STDIN and not content and len(ids) > self.n:
                conn.send(answer(number, hello(None)))
            if kind == ABORT:
                conn.send(end_request(number))


def outcome(client, proto, number):
    """A body, or how it ended."""
    try:
        return client.response(number).body if is_h2(proto) else client.response().body
    except Truncated:
        return "cut"
    except Refused:
        return "refused"


def three(gateway, proto):
    """Three requests, one after the other; what became of them."""
    asked = []
    for _ in range(3):
        client = dial(proto, gateway)
        number = None
        if is_h2(proto):
            number = client.request("GET", "/app/x", scheme=scheme(proto))
            if not asked:
                assert client.wait(lambda: client.streams[number].has_head)
        else:
            client.request("GET", "/app/x")
            if not asked:
                proc.wait_until(lambda: client.more(), 10, "its head")
        asked.append((client, number))
    found = [outcome(client, proto, number) for client, number in asked]
    for client, _ in asked:
        client.close()
    return found


def finish_all(conn, ids):
    for number in ids[1:]:
        conn.send(answer(number, OK_HEAD + b"hello\n"))
    conn.send(answer(ids[0], b"rest\n"))


def wrong_id(conn, ids):
    conn.send(record(STDOUT, 4711, OK_HEAD + b"whose?\n"))


def garbage(conn, ids):
    conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def closes(conn, ids):
    conn.sock.shutdown(2)


def end_twice(conn, ids):
    conn.send(answer(ids[1], OK_HEAD + b"hello\n") + end_request(ids[1]))
    conn.send(answer(ids[1], OK_HEAD + b"more\n"))
    conn.send(answer(ids[2], OK_HEAD + b"hello\n"))
    conn.send(answer(ids[0], b"rest\n") + end_request(ids[2]))


def interleaved(conn, ids):
    """All at once, a byte of each in turn."""
    data = OK_HEAD + b"hello\n"
    for i in range(len(data)):
        for number in ids[1:]:
            conn.send(record(STDOUT, number, data[i:i + 1], padding=i % 7))
    for number in reversed(ids[1:]):
        conn.send(end_request(number))
    conn.send(answer(ids[0], b"rest\n"))


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("act, first, others, log", [
    (finish_all, b"first\nrest\n", b"hello\n", ""),
    (interleaved, b"first\nrest\n", b"hello\n", ""),
    (end_twice, b"first\nrest\n", b"hello\n", ""),
    (wrong_id, "cut", b"hello\n", "backend broke the FastCGI protocol"),
    (garbage, "cut", b"hello\n", "backend broke the FastCGI protocol"),
    (closes, "cut", b"hello\n", "backend closed before its answer was complete"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_wrong(place, start, proto, act, first, others, log):
    """Where answers cannot be told apart any more, whose began is cut off, and the others are
    asked again; what belongs to a request that is over harms nobody."""
    with Backend(str(place / "app.sock"), Wrong(3, act)) as backend:
        gateway = start(pool_ini(place, "app.sock"), workers=1)
        assert three(gateway, proto) == [first, others, others]
        if log:
            assert "pool=app" in gateway.wait_log(log)
        else:
            assert backend.n_accepted == 1
        assert gateway.fetch(proto, "/app/x").body == b"hello\n"
        assert backend.errors == []


def test_cannot_after_all(place, start):
    """It offers what it then refuses: asked again on a connection of their own, and so from
    now on."""
    def refuses(conn, ids):
        for number in ids[1:]:
            conn.send(end_request(number, 0, 1))
        conn.send(answer(ids[0], b"rest\n"))

    with Backend(str(place / "app.sock"), Wrong(3, refuses)):
        gateway = start(pool_ini(place, "app.sock"), workers=1)
        assert three(gateway, "h1") == [b"first\nrest\n", b"hello\n", b"hello\n"]
        assert "pool=app" in gateway.wait_log("but answers FCGI_CANT_MPX_CONN")
