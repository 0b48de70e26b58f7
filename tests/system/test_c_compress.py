"""Compression of responses: which, for whom, what their heads say, and that what was sent arrives
before more is sent.  Decoded by Python's zlib, Google's brotli and zstd's own library."""
import os
import signal
import threading
import zlib

import brotli
import pytest
import zstandard
from hyperframe.frame import WindowUpdateFrame

from lib import client as clients
from lib import proc
from lib.apps import write_file
from lib.client import dial, is_h2, scheme
from lib.gateway import Gateway, refused
from peers.fcgi import STDOUT, Backend, answer, end_request, record

KIB, MIB = 1 << 10, 1 << 20
TEXT = "".join(f'{{"id": {i}, "name": "user {i * 7919 % 1000}"}},\n' for i in range(300)).encode()
CODINGS = ("gzip", "br", "zstd")
ALL = [("accept-encoding", "gzip, br, zstd")]


class Decoder:
    """Of what came so far."""

    def __init__(self, coding):
        self.coding, self.data = coding, b""
        if coding == "gzip":
            self.decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        elif coding == "br":
            self.decoder = brotli.Decompressor()
        elif coding == "zstd":
            self.decoder = zstandard.ZstdDecompressor().decompressobj()

    def feed(self, data):
        if self.coding is None:
            self.data += data
        elif data:
            self.data += (self.decoder.process(data) if self.coding == "br"
                          else self.decoder.decompress(data))
        return self.data

    def ended(self):
        return (self.coding is None or
                (self.decoder.is_finished() if self.coding == "br" else self.decoder.eof))


def decoded(response):
    decoder = Decoder(response.get("content-encoding"))
    data = decoder.feed(response.body)
    assert decoder.ended(), "the coding has no end"
    return data


# ---- an application that answers with what a test gave it ----

class Application:
    """heads[name]: fields; bodies[name]: what follows them, or a function of the connection."""

    def __init__(self):
        self.heads, self.bodies = {}, {}

    def __call__(self, conn):
        while True:
            request = conn.request()
            name = request.params["PATH_INFO"][1:]
            head, body = self.heads[name], self.bodies[name]
            if callable(body):
                if head:
                    conn.send(record(STDOUT, request.number, head))
                body(conn, request.number)
                return
            conn.send(answer(request.number, head + body))
            if not request.keeps:
                return

    def add(self, name, *fields, body=TEXT, status="200 OK", length=True):
        lines = [f"Status: {status}", *fields]
        if length and not callable(body):
            lines.append(f"Content-Length: {len(body)}")
        self.heads[name] = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
        self.bodies[name] = body


ROUTES = {
    "app": "",
    "off": "compress = off",
    "gzip": "compress = gzip",
    "brfirst": "compress = br gzip",
    "all": "compress_min = 0",
    "events": "compress_types = text/event-stream\ncompress_min = 0",
    "types": "compress_types = application/x-mine image/*",
    "stream": "response_body = stream",
}


def ini(place):
    routes = "".join(f"[route main /{name}/]\npool = app\n{keys}\n"
                     for name, keys in ROUTES.items())
    return (f"[site main]\nroot = {place}/public\ncompress = on\n{routes}"
            f"[route main /plain/]\nroot = {place}/public\ncompress = off\n"
            f"[pool app]\nconnect = unix:{place}/app.sock\nmax_requests = 100\n"
            "abort_timeout = 100ms\n")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    application = Application()
    write_file(place / "public/page.html", TEXT.decode())
    write_file(place / "public/small.html", "small\n")
    (place / "public/picture.png").write_bytes(TEXT)
    (place / "public/big.txt").write_bytes(TEXT * 700)
    with Backend(f"{place}/app.sock", application) as backend, \
            Gateway(place, ini(place)) as gateway:
        gateway.application, gateway.backend = application, backend
        yield gateway
        assert backend.errors == []


# ---- who gets which ----

ACCEPT = [
    # Accept-Encoding (RFC 9110 12.5.3), with "zstd br gzip" and with "br gzip"
    (None, None, None),
    ("", None, None),
    ("identity", None, None),
    ("gzip", "gzip", "gzip"),
    ("x-gzip", "gzip", "gzip"),
    ("GZIP", "gzip", "gzip"),
    ("br", "br", "br"),
    ("zstd", "zstd", None),
    ("deflate", None, None),
    ("gzip, deflate, br, zstd", "zstd", "br"),
    ("gzip, deflate, br", "br", "br"),
    ("*", "zstd", "br"),
    ("*;q=0", None, None),
    ("*;q=0, gzip", "gzip", "gzip"),
    ("zstd;q=0, *", "br", "br"),
    ("gzip;q=0", None, None),
    ("gzip;q=0.000", None, None),
    ("gzip;q=0.001", "gzip", "gzip"),
    ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", "gzip", "gzip"),
    ("zstd;q=0.5, br;q=0.5, gzip;q=0.5", "zstd", "br"),
    ("gzip;q=0.5, identity;q=1", None, None),
    ("gzip;q=0.5, identity;q=0.5", "gzip", "gzip"),
    ("gzip;q=0.5, *;q=0.1", "gzip", "gzip"),
    ("identity;q=0, gzip", "gzip", "gzip"),
    ("identity;q=0", None, None),
    ("gzip;q=2", None, None),
    ("gzip;q=nonsense, br", "br", "br"),
]


@pytest.mark.parametrize("kind", ["h1", "h2"])
def test_qualities(gateway, kind):
    gateway.application.add("q", "Content-Type: text/plain")
    with dial(kind, gateway) as client:
        for accept, first, second in ACCEPT:
            headers = [] if accept is None else [("accept-encoding", accept)]
            for route, coding in (("app", first), ("brfirst", second), ("off", None)):
                response = client.fetch("GET", f"/{route}/q", headers)
                assert response.get("content-encoding") == coding, (accept, route)
                assert decoded(response) == TEXT, (accept, route)
                assert response.get("vary") == (None if route == "off" else "Accept-Encoding")
                assert (response.get("content-length") is None) == (coding is not None)


# ---- which ----

# name: route, status, fields, body; the coding it gets, and what Vary says
WHICH = {
    "text": ("app", "200 OK", ["Content-Type: text/plain"], TEXT, "zstd", "Accept-Encoding"),
    "charset": ("app", "200 OK", ["Content-Type: Text/HTML; charset=utf-8"], TEXT, "zstd",
                "Accept-Encoding"),
    "json": ("app", "200 OK", ["Content-Type: application/json"], TEXT, "zstd",
             "Accept-Encoding"),
    "suffix": ("app", "200 OK", ["Content-Type: application/problem+json"], TEXT, "zstd",
               "Accept-Encoding"),
    "svg": ("app", "200 OK", ["Content-Type: image/svg+xml"], TEXT, "zstd", "Accept-Encoding"),
    "picture": ("app", "200 OK", ["Content-Type: image/png"], TEXT, None, None),
    "zip": ("app", "200 OK", ["Content-Type: application/zip"], TEXT, None, None),
    "own type": ("types", "200 OK", ["Content-Type: application/x-mine"], TEXT, "zstd",
                 "Accept-Encoding"),
    "own wildcard": ("types", "200 OK", ["Content-Type: image/png"], TEXT, "zstd",
                     "Accept-Encoding"),
    "not own": ("types", "200 OK", ["Content-Type: text/plain"], TEXT, None, None),
    "missing": ("app", "404 Not Found", ["Content-Type: text/html"], TEXT, "zstd",
                "Accept-Encoding"),
    "failed": ("app", "500 Oops", ["Content-Type: text/html"], TEXT, "zstd", "Accept-Encoding"),
    "least": ("app", "200 OK", ["Content-Type: text/plain"], TEXT[:1024], "zstd",
              "Accept-Encoding"),
    "tiny": ("app", "200 OK", ["Content-Type: text/plain"], TEXT[:1023], None, None),
    "tiny but all": ("all", "200 OK", ["Content-Type: text/plain"], TEXT[:10], "zstd",
                     "Accept-Encoding"),
    "empty": ("all", "200 OK", ["Content-Type: text/plain"], b"", None, None),
    "encoded": ("app", "200 OK", ["Content-Type: text/plain", "Content-Encoding: x-mine"], TEXT,
                "x-mine", None),
    "identity": ("app", "200 OK", ["Content-Type: text/plain", "Content-Encoding: identity"],
                 TEXT, "zstd", "Accept-Encoding"),
    "part": ("app", "206 Partial Content",
             ["Content-Type: text/plain", f"Content-Range: bytes 0-{len(TEXT) - 1}/{10 ** 6}"],
             TEXT, None, "Accept-Encoding"),
    "no-transform": ("app", "200 OK", ["Content-Type: text/plain",
                                       "Cache-Control: max-age=60, no-transform"], TEXT, None,
                     None),
    "digest": ("app", "200 OK", ["Content-Type: text/plain", "Repr-Digest: sha-256=:AAAA:"],
               TEXT, None, None),
    "md5": ("app", "200 OK", ["Content-Type: text/plain", "Content-MD5: AAAA"], TEXT, None, None),
    "events": ("app", "200 OK", ["Content-Type: text/event-stream"], TEXT, None, None),
    "events asked for": ("events", "200 OK", ["Content-Type: text/event-stream"], TEXT, "zstd",
                         "Accept-Encoding"),
    "vary": ("app", "200 OK", ["Content-Type: text/plain", "Vary: Cookie"], TEXT, "zstd",
             "Cookie, Accept-Encoding"),
    "vary has it": ("app", "200 OK", ["Content-Type: text/plain",
                                      "Vary: Cookie, accept-encoding"], TEXT, "zstd",
                    "Cookie, accept-encoding"),
    "vary all": ("app", "200 OK", ["Content-Type: text/plain", "Vary: *"], TEXT, "zstd", "*"),
}


@pytest.mark.parametrize("kind", ["h1", "h2"])
@pytest.mark.parametrize("length", [True, False], ids=["known", "unknown"])
def test_which(gateway, kind, length):
    with dial(kind, gateway) as client:
        for name, (route, status, fields, body, coding, vary) in WHICH.items():
            gateway.application.add("which", *fields, body=body, status=status, length=length)
            response = client.fetch("GET", f"/{route}/which", ALL)
            assert response.status == int(status[:3]), name
            assert response.get("content-encoding") == coding, name
            assert response.all("vary") == ([vary] if vary else []), name
            if coding in CODINGS:
                assert decoded(response) == body, name
                assert response.get("accept-ranges") is None
            else:
                assert response.body == body, name


def test_no_content(gateway, proto):
    """204 and 304 have none; to HEAD the head is that of GET."""
    application = gateway.application
    application.add("204", "Content-Type: text/plain", status="204 No Content", body=b"",
                    length=False)
    application.add("304", 'ETag: "a"', status="304 Not Modified", body=b"", length=False)
    application.add("head", "Content-Type: text/plain", 'ETag: "a"')
    with dial(proto, gateway) as client:
        response = client.fetch("GET", "/app/204", ALL)
        assert (response.get("content-encoding"), response.get("vary")) == (None, None)
        response = client.fetch("GET", "/app/304", [*ALL, ("if-none-match", 'W/"a"')])
        assert (response.get("content-encoding"), response.get("vary")) == (None,
                                                                            "Accept-Encoding")
        assert response.get("etag") == 'W/"a"', "as the 200 had it"
        response = client.fetch("GET", "/app/304", [*ALL, ("if-none-match", '"a"')])
        assert response.get("etag") == '"a"'
        heads = []
        for method in ("GET", "HEAD"):
            response = client.fetch(method, "/app/head", ALL)
            heads.append([field for field in response.headers
                          if field[0] not in ("date", "transfer-encoding")])
        assert heads[0] == heads[1]
        assert ("etag", 'W/"a"') in heads[0]


def test_http_1_0_gets_none(gateway):
    """Its caches know no Vary."""
    gateway.application.add("old", "Content-Type: text/plain")
    with dial("h1", gateway) as client:
        client.send(b"GET /app/old HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, body = client.take_all().partition(b"\r\n\r\n")
    assert body == TEXT
    assert b"vary: accept-encoding" in head.lower()
    assert b"content-encoding" not in head.lower()


def test_no_transform_of_the_request(gateway, proto):
    gateway.application.add("asked", "Content-Type: text/plain")
    response = gateway.fetch(proto, "/app/asked",
                             headers=[*ALL, ("cache-control", "no-transform")])
    assert response.body == TEXT
    assert response.get("vary") == "Accept-Encoding"


# ---- files ----

@pytest.mark.parametrize("coding", CODINGS)
def test_files(gateway, proto, coding):
    """A weak tag that is met again; ranges are of what is not encoded."""
    accept = [("accept-encoding", coding)]
    with dial(proto, gateway) as client:
        plain = client.fetch("GET", "/page.html")
        assert plain.body == TEXT
        assert plain.get("vary") == "Accept-Encoding"
        assert plain.get("etag").startswith('"')
        response = client.fetch("GET", "/page.html", accept)
        assert decoded(response) == TEXT
        assert len(response.body) < len(TEXT) / 3
        assert response.get("etag") == "W/" + plain.get("etag")
        assert response.get("accept-ranges") is None
        assert response.get("last-modified") == plain.get("last-modified")
        again = client.fetch("GET", "/page.html",
                             [*accept, ("if-none-match", response.get("etag"))])
        assert (again.status, again.get("etag"), again.get("vary")) == (
            304, response.get("etag"), "Accept-Encoding")
        part = client.fetch("GET", "/page.html", [*accept, ("range", "bytes=10-19")])
        assert (part.status, part.body) == (206, TEXT[10:20])
        assert (part.get("etag"), part.get("vary")) == (plain.get("etag"), "Accept-Encoding")
        parts = client.fetch("GET", "/page.html", [*accept, ("range", "bytes=0-9,100-109")])
        assert (parts.status, parts.get("vary")) == (206, "Accept-Encoding")
        assert TEXT[100:110] in parts.body
        # A weak tag never makes two parts one (RFC 9110 13.1.5).
        whole = client.fetch("GET", "/page.html", [*accept, ("range", "bytes=10-19"),
                                                   ("if-range", response.get("etag"))])
        assert (whole.status, decoded(whole)) == (200, TEXT)
        for path in ("/small.html", "/picture.png", "/plain/page.html"):
            response = client.fetch("GET", path, accept)
            assert response.get("content-encoding") is None
            assert response.get("vary") is None
            again = client.fetch("GET", path, [*accept, ("if-none-match", response.get("etag"))])
            assert (again.status, again.get("etag"), again.get("vary")) == (
                304, response.get("etag"), None)


@pytest.mark.parametrize("coding", CODINGS)
def test_large_file(gateway, proto, coding):
    response = gateway.fetch(proto, "/big.txt", headers=[("accept-encoding", coding)])
    assert decoded(response) == TEXT * 700


def test_curl(gateway, proto):
    response = clients.curl(proto, gateway, "/page.html", "--compressed")
    assert response.body == TEXT
    assert response.get("content-encoding") == "zstd"


def test_access_log_has_what_went_out(gateway):
    response = gateway.fetch("h1", "/page.html?logged", headers=[("accept-encoding", "gzip")])
    line = gateway.wait_access(r"/page\.html\?logged")[0]
    size = int(line.split('" ')[1].split()[1])
    assert len(response.body) <= size <= len(response.body) + 20 < len(TEXT)


# ---- bodies that come in pieces ----

class Chunks:
    """The chunked body of an HTTP/1.1 response as it comes."""

    def __init__(self, client):
        self.client, self.body = client, b""

    def wait(self, condition):
        while not condition(self.body):
            size = int(self.client.take_line(), 16)
            assert size > 0, "ended too early"
            self.body += self.client.take(size)
            assert self.client.take(2) == b"\r\n"


class Turns:
    """Sends a line, waits until the client says that it has it, and so on."""

    def __init__(self, n):
        self.n, self.went = n, threading.Semaphore(0)

    def line(self, i):
        return b"line %d of what is said\n" % i

    def __call__(self, conn, number):
        for i in range(self.n):
            conn.send(record(STDOUT, number, self.line(i)))
            assert self.went.acquire(timeout=60), "the client never had it"
        conn.send(record(STDOUT, number) + end_request(number))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("route", ["all", "app", "stream"])
def test_each_line_arrives_before_the_next(gateway, proto, coding, route):
    """Of unknown length, and shorter than compress_min at first."""
    turns = Turns(30)
    gateway.application.add("turns", "Content-Type: text/plain", body=turns)
    decoder, expected = Decoder(coding), b""
    accept = [("accept-encoding", coding)]
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number, seen = client.request("GET", f"/{route}/turns", accept,
                                          scheme=scheme(proto)), 0
        else:
            client.request("GET", f"/{route}/turns", accept)
            head, chunks, seen = client.head(), Chunks(client), 0
            assert head.get("content-encoding") == coding
        for i in range(turns.n):
            expected += turns.line(i)
            if is_h2(proto):
                def arrived():
                    nonlocal seen
                    body = client.body_so_far(number)
                    decoder.feed(body[seen:])
                    seen = len(body)
                    return decoder.data == expected
                assert client.wait(arrived), (decoder.data, expected)
            else:
                def arrived(body):
                    nonlocal seen
                    decoder.feed(body[seen:])
                    seen = len(body)
                    return decoder.data == expected
                chunks.wait(arrived)
            turns.went.release()
        if is_h2(proto):
            response = client.response(number)
            assert response.get("content-encoding") == coding
            decoder.feed(response.body[seen:])
        else:
            client.chunked(head)
            decoder.feed(head.body)
        assert decoder.ended()


def burst(conn, number):
    """2000 lines, a record each, in one go."""
    conn.send(b"".join(record(STDOUT, number, b"line %d\n" % i) for i in range(2000)) +
              record(STDOUT, number) + end_request(number))


@pytest.mark.parametrize("coding", CODINGS)
def test_no_flush_while_more_is_there(gateway, coding):
    gateway.application.add("burst", "Content-Type: text/plain", body=burst)
    response = gateway.fetch("h1", "/app/burst", headers=[("accept-encoding", coding)])
    assert decoded(response) == b"".join(b"line %d\n" % i for i in range(2000))
    assert len(response.body) < 8000


def test_unknown_and_small_gets_its_length(gateway, proto):
    gateway.application.add("short", "Content-Type: text/plain", body=b"short\n", length=False)
    response = gateway.fetch(proto, "/app/short", headers=ALL)
    assert (response.body, response.get("content-length")) == (b"short\n", "6")
    assert response.get("content-encoding") is None


def test_body_and_end_of_a_head_alone(gateway, proto):
    """The head is not held back for a body that does not come."""
    go = threading.Event()

    def late(conn, number):
        assert go.wait(60)
        conn.send(record(STDOUT, number, TEXT) + record(STDOUT, number) + end_request(number))
    gateway.application.add("late", "Content-Type: text/plain", body=late)
    with dial(proto, gateway) as client:
        if is_h2(proto):
            number = client.request("GET", "/app/late", ALL, scheme=scheme(proto))
            client.wait(lambda: number in client.streams and client.streams[number].has_head)
            go.set()
            response = client.response(number)
        else:
            client.request("GET", "/app/late", ALL)
            response = client.head()
            go.set()
            client.chunked(response)
    assert decoded(response) == TEXT


# ---- wrong values ----

WRONG = [
    ("compress = brotli", 'must be off, on, zstd, br or gzip'),
    ("compress = on gzip", '"on" stands alone'),
    ("compress = gzip off", '"off" stands alone'),
    ("compress = br gzip br", "br is given twice"),
    ("compress_types = html", "not a media type"),
    ("compress_types = text/html;charset=utf-8", "not a media type"),
    ("compress_min = 65K", "must be 0 to 64K"),
    ("gzip_level = 0", "must be 1 to 9"),
    ("br_level = 8", "must be 0 to 7"),
    ("zstd_level = 10", "must be 1 to 9"),
]


# ---- clients that leave, or wait ----

class Endless:
    """Noise until nobody takes it."""

    def __init__(self):
        self.sent, self.stopped = 0, threading.Event()

    def __call__(self, conn, number):
        try:
            while True:
                conn.send(record(STDOUT, number, os.urandom(8 * KIB).hex().encode()))
                self.sent += 16 * KIB
        finally:
            self.stopped.set()


def begin_endless(gateway, client, proto, coding):
    """Its application, once the client has some of it."""
    endless = Endless()
    gateway.application.add("endless", "Content-Type: text/plain", body=endless)
    accept = [("accept-encoding", coding)]
    if is_h2(proto):
        number = client.request("GET", "/app/endless", accept, scheme=scheme(proto))
        assert client.wait(lambda: client.body_so_far(number))
    else:
        client.request("GET", "/app/endless", accept)
        assert client.head().get("content-encoding") == coding
        client.take(KIB)
    return endless


@pytest.mark.parametrize("coding", CODINGS)
def test_client_that_leaves(gateway, proto, coding):
    with dial(proto, gateway) as client:
        endless = begin_endless(gateway, client, proto, coding)
    assert endless.stopped.wait(60), "the application was not told"
    response = gateway.fetch(proto, "/page.html", headers=[("accept-encoding", coding)])
    assert decoded(response) == TEXT


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["h1", "h2"])
def test_client_that_waits(gateway, kind):
    """What it does not take is in the spool, as the application wrote it."""
    before = proc.pss(gateway.gateway_pid())
    with dial(kind, gateway) as client:
        endless = begin_endless(gateway, client, kind, "gzip")
        proc.wait_until(lambda: endless.sent > 12 * MIB, 60, "what is spooled")
        if not os.environ.get("H2CGI_SAN"):
            assert proc.pss(gateway.gateway_pid()) - before < 6 * MIB
    assert endless.stopped.wait(60)


@pytest.mark.parametrize("coding", CODINGS)
def test_others_are_answered_meanwhile(place, coding):
    """One worker, the slowest level, and a body that never ends."""
    application = Application()
    write_file(place / "public/small.html", "small\n")
    with Backend(f"{place}/app.sock", application), Gateway(
            place, ini(place).replace("compress = on", "\n".join(
                ("compress = on", "gzip_level = 9", "br_level = 7", "zstd_level = 9")), 1),
            workers=1) as gateway, dial("h2", gateway) as client, dial("h1", gateway) as other:
        gateway.application = application
        client.send(WindowUpdateFrame(0, window_increment=1 << 30))
        begin_endless(gateway, client, "h2", coding)
        (first,) = client.streams
        for _ in range(10):
            seen = len(client.body_so_far(first))
            for one in (client, other):
                assert one.fetch("GET", "/small.html").body == b"small\n"
            assert client.wait(lambda: len(client.body_so_far(first)) > seen)
        assert not client.streams[first].ended


# ---- memory ----

def test_over_the_memory_it_goes_as_it_is(place):
    """gzip takes 288K: there is room for one, not for two."""
    application = Application()
    turns = Turns(2)
    application.add("turns", "Content-Type: text/plain", body=turns)
    application.add("text", "Content-Type: text/plain")
    with Backend(f"{place}/app.sock", application), \
            Gateway(place, ini(place).replace("compress = on", "compress = gzip", 1),
                    compress_memory="400K") as gateway, dial("h1", gateway) as first:
        mark = gateway.mark()
        first.request("GET", "/all/turns", [("accept-encoding", "gzip")])
        head = first.head()
        assert head.get("content-encoding") == "gzip"
        second = gateway.fetch("h1", "/all/text", headers=[("accept-encoding", "gzip")])
        assert second.body == TEXT
        assert second.get("content-encoding") is None
        assert second.get("vary") == "Accept-Encoding"
        for _ in range(turns.n):
            turns.went.release()
        first.chunked(head)
        decoder = Decoder("gzip")
        assert decoder.feed(head.body) == turns.line(0) + turns.line(1) and decoder.ended()
        gateway.stop(how=signal.SIGQUIT)
        assert "compress_memory=1" in gateway.log()[mark:]


@pytest.mark.parametrize("section", ["site", "route"])
def test_wrong_values(place, section):
    for line, complaint in WRONG:
        said = refused(place, line if section == "site" else f"[route main /x/]\n{line}")
        assert said.startswith(f"{5 if section == 'site' else 6}: {line.split()[0]}"), line
        assert complaint in said


# ---- heads that were held back, and then there was nothing to send ----

@pytest.mark.parametrize("proto", ("h1", "h2", "h2c"))
@pytest.mark.parametrize("length, sent, end", [
    ("", b"", "broken"),
    ("", b"x" * 500, "broken"),
    ("Content-Length: 5000\r\n", b"", "broken"),
    ("Content-Length: 5000\r\n", b"", "early"),
], ids=["head", "some", "length", "short"])
def test_failure_behind_a_held_head(gateway, proto, length, sent, end):
    """Nothing of it went out, so the client gets an error page and not half an answer."""
    def half(conn, number):
        head = f"Status: 201\r\nContent-Type: text/html\r\n{length}Set-Cookie: a=b\r\n\r\n"
        conn.send(record(STDOUT, number, head.encode() + sent) +
                  (record(STDOUT, number, b"", version=9) if end == "broken"
                   else end_request(number)))

    gateway.application.heads["half"], gateway.application.bodies["half"] = b"", half
    for headers in (ALL, [*ALL, ("accept", "application/json")]):
        response = gateway.fetch(proto, "/app/half", headers=headers)
        assert response.status == 502 and b"502" in decoded(response)  # which is compressed itself
        assert response.get("set-cookie") is None
    gateway.wait_access(r'"GET /app/half [^"]*" 502 ')
    # the connection goes on
    with dial(proto, gateway) as client:
        more = {"scheme": scheme(proto)} if is_h2(proto) else {}
        assert client.fetch("GET", "/app/half", headers=ALL, **more).status == 502
        assert decoded(client.fetch("GET", "/page.html", headers=ALL, **more)) == TEXT
