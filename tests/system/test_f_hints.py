"""Interim answers: an application's own (Status: 103 ...), and early_hints = learn."""
import threading

import pytest

from lib import proc
from lib.apps import app, write_file, write_script
from lib.client import curl, dial
from lib.gateway import Gateway
from lib.h1 import H1
from peers.fcgi import Backend, answer, keeping

PROTOCOLS = ("h1", "h2", "h2c")
H2S = ("h2", "h2c")
LINK = "</style.css>; rel=preload; as=style"
PAGE = b"Content-Type: text/plain\r\n\r\npage"


def says(*heads):
    """serve of an application that says these heads, then a page."""
    return keeping(lambda request: b"".join(heads) + PAGE)


def head(status, *fields):
    return (f"Status: {status}\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n").encode()


@pytest.fixture(scope="module")
def backend(module_place):
    with Backend(str(module_place / "app.sock"), says()) as found:
        yield found
        assert not found.errors


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    write_file(place / "public/file", b"file")
    write_script(place / "cgi/early", f"""\
        #!/bin/sh
        printf 'Status: 103\\r\\nLink: {LINK}\\r\\n\\r\\n'
        printf 'Status: 103 Again\\nX-Second: 2\\n\\n'
        [ -z "$QUERY_STRING" ] || until [ -e "$QUERY_STRING" ]; do sleep 0.02; done
        printf 'Status: 201\\nContent-Type: text/plain\\n\\nStatus: 103\\n\\npage'
        """)
    write_script(place / "cgi/nph-early", f"""\
        #!/bin/sh
        printf 'HTTP/1.1 103 Early Hints\\r\\nLink: {LINK}\\r\\n\\r\\n'
        printf 'HTTP/1.1 201 Created\\r\\nContent-Type: text/plain\\r\\n\\r\\npage'
        """)
    write_script(place / "cgi/links", f"""\
        #!/bin/sh
        printf 'Link: {LINK}\\nContent-Type: text/plain\\n\\npage'
        """)
    ini = f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        [route main /cgi/]
        root = {place}/cgi
        pool = cgi
        [route main /learn/]
        pool = app
        early_hints = learn
        [site learns]
        host = learns.example
        root = {place}/public
        early_hints = learn
        [route learns /app/]
        pool = app
        [route learns /cgi/]
        root = {place}/cgi
        pool = cgi
        [route learns /off/]
        pool = app
        early_hints = off
        [route learns /filtered/]
        root = {place}/public
        filter = filter
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 16
        keepalive = 0
        [pool cgi]
        cgi = on
        [pool filter]
        spawn = {app("filter")}
        """
    with Gateway(place, ini) as gateway:
        yield gateway


def interims(response):
    return [(one.status, one.headers) for one in response.interim]


# ---- the application's own ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("status", [100, 102, 103, 110, 199])
def test_interim_of_fastcgi(gateway, backend, proto, status):
    backend.serve = says(head(status, f"Link: {LINK}", "X-Other: 1", "Connection: close"))
    response = gateway.fetch(proto, "/app/x")
    assert (response.status, response.body) == (200, b"page")
    assert interims(response) == [(status, [("link", LINK), ("x-other", "1")])]


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("path", ["/cgi/early", "/cgi/nph-early"])
def test_interim_of_a_script(gateway, proto, path):
    response = gateway.fetch(proto, path)
    assert response.status == 201
    expected = [(103, [("link", LINK)]), (103, [("x-second", "2")])]
    assert interims(response) == (expected if path == "/cgi/early" else expected[:1])
    assert response.body == (b"Status: 103\n\npage" if path == "/cgi/early" else b"page")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_interim_comes_early(gateway, proto):
    """The client has it while the script works."""
    go = gateway.place / f"go-{proto}"
    with dial(proto, gateway) as client:
        number = client.request("GET", f"/cgi/early?{go}")
        if proto == "h1":
            assert [client.head().status for _ in range(2)] == [103, 103]
            go.touch()
            assert client.response().status == 201
        else:
            stream = client.streams[number]
            assert client.wait(lambda: len(stream.response.interim) == 2)
            assert not stream.has_head
            go.touch()
            assert client.response(number).status == 201


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_curl_sees_it(gateway, proto):
    response = curl(proto, gateway, "/cgi/early")
    assert [one.status for one in response.interim] == [103, 103]
    assert response.status == 201


def test_several_and_split_anywhere(gateway, backend):
    whole = head(103, f"Link: {LINK}") * 3 + head(102) + PAGE

    def serve(conn):
        request = conn.request()
        for i in range(len(whole)):
            conn.send(answer(request.number, whole[i:i + 1])[:9])
        conn.send(answer(request.number, b""))

    backend.serve = serve
    for proto in PROTOCOLS:
        response = gateway.fetch(proto, "/app/x")
        assert [one.status for one in response.interim] == [103, 103, 103, 102]
        assert response.body == b"page"


def test_http_1_0_gets_none(gateway, backend):
    backend.serve = says(head(103, f"Link: {LINK}"))
    with H1(gateway.address()) as client:
        client.send(b"GET /app/x HTTP/1.0\r\nHost: localhost\r\n\r\n")
        data = client.take_all()
    assert data.startswith(b"HTTP/1.1 200") and b"103" not in data and data.endswith(b"page")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_interim_alone(gateway, backend, proto):
    backend.serve = keeping(lambda request: head(103, f"Link: {LINK}"))
    response = gateway.fetch(proto, "/app/x")
    assert (response.status, len(response.interim)) == (502, 1)
    gateway.wait_log("application ended without a response head.*pool=app")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_head_and_post(gateway, backend, proto):
    backend.serve = says(head(103, f"Link: {LINK}"))
    response = gateway.fetch(proto, "/app/x", method="HEAD")
    assert (response.status, response.body, len(response.interim)) == (200, b"", 1)
    response = gateway.fetch(proto, "/app/x", method="POST", body=b"x" * 100000)
    assert (response.body, len(response.interim)) == (b"page", 1)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_switching_protocols(gateway, backend, proto):
    since = gateway.mark()
    backend.serve = says(head(101, "Upgrade: websocket"))
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")] if proto == "h1" else []
    response = gateway.fetch(proto, "/app/x", headers=headers)
    assert (response.status, response.interim) == (502, [])
    gateway.wait_log("application answered 101.*pool=app", since)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_interims_without_end(gateway, backend, proto):
    """Heads of one answer are bounded together."""
    since = gateway.mark()
    backend.serve = says(head(103, "X-Filler: " + "x" * 1000) * 100)
    response = gateway.fetch(proto, "/app/x")
    assert response.status == 502 and 0 < len(response.interim) < 70
    gateway.wait_log("response head too large.*pool=app", since)


# ---- learn ----

def ask(gateway, proto="h2", path="/learn/x", host="localhost", **options):
    return gateway.fetch(proto, path, host=host, **options)


def linked(*links):
    return keeping(lambda request: "".join(f"Link: {link}\r\n" for link in links).encode() + PAGE)


@pytest.mark.parametrize("proto", H2S)
def test_learned(gateway, backend, proto):
    path = f"/learn/{proto}"
    backend.serve = linked(LINK, "</next>; rel=next", "<https://cdn.example>; rel=preconnect")
    first = ask(gateway, proto, path)
    assert (first.body, first.interim) == (b"page", [])
    second = ask(gateway, proto, path + "?other=query")
    assert interims(second) == [
        (103, [("link", LINK), ("link", "<https://cdn.example>; rel=preconnect")])]
    assert len(second.all("link")) == 3  # RFC 8297 2: the answer says it again
    assert ask(gateway, proto, path + "/else").interim == []
    assert ask(gateway, proto, path, host="127.0.0.1").interim == []


@pytest.mark.parametrize("proto", H2S)
def test_hint_comes_while_the_application_works(gateway, backend, proto):
    backend.serve = linked(LINK)
    path = f"/learn/slow-{proto}"
    ask(gateway, proto, path)
    hinted = threading.Event()

    def serve(conn):
        request = conn.request()
        assert hinted.wait(10)
        conn.send(answer(request.number, f"Link: {LINK}\r\n".encode() + PAGE))

    backend.serve = serve
    with dial(proto, gateway) as client:
        number = client.request("GET", path, scheme="https" if proto == "h2" else "http")
        stream = client.streams[number]
        assert client.wait(lambda: stream.response.interim)
        assert not stream.has_head
        hinted.set()
        assert len(client.response(number).interim) == 1


def test_forgotten(gateway, backend):
    path = "/learn/forgotten"
    backend.serve = linked(LINK)
    ask(gateway, path=path)
    assert len(ask(gateway, path=path).interim) == 1
    backend.serve = linked("</new>; rel=preload")
    ask(gateway, path=path)
    assert interims(ask(gateway, path=path)) == [(103, [("link", "</new>; rel=preload")])]
    backend.serve = linked("</new>; rel=next")
    ask(gateway, path=path)
    assert ask(gateway, path=path).interim == []


def test_any_protocol_teaches(gateway, backend):
    backend.serve = linked(LINK)
    ask(gateway, "h1s", "/learn/h1")
    assert len(ask(gateway, "h2", "/learn/h1").interim) == 1
    assert ask(gateway, "h1s", "/learn/h1").interim == []  # but is not told
    assert ask(gateway, "h2c", "/learn/h1").interim == []  # another scheme


def test_who_is_told(gateway, backend):
    backend.serve = linked(LINK)
    path = "/learn/told"
    ask(gateway, path=path)
    for method, body in [("HEAD", None), ("POST", b"x"), ("PUT", b"x")]:
        assert ask(gateway, path=path, method=method, body=body).interim == []
    for field in [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Mode", "no-cors"), ("Range", "bytes=0-")]:
        assert ask(gateway, path=path, headers=[field]).interim == []
    assert len(ask(gateway, path=path, headers=[("Sec-Fetch-Mode", "navigate")]).interim) == 1


def test_who_teaches(gateway, backend):
    backend.serve = keeping(
        lambda request: f"Link: {LINK}\r\nCache-Control: private\r\n".encode() + PAGE)
    ask(gateway, path="/learn/private")
    assert ask(gateway, path="/learn/private").interim == []
    backend.serve = linked(LINK)
    ask(gateway, path="/learn/authorized", headers=[("Authorization", "Bearer x")])
    assert ask(gateway, path="/learn/authorized").interim == []
    backend.serve = keeping(lambda request: f"Status: 404\r\nLink: {LINK}\r\n".encode() + PAGE)
    ask(gateway, path="/learn/none")
    assert ask(gateway, path="/learn/none").interim == []


def test_never_twice(gateway, backend):
    """Neither for a retry, nor beside the application's own for long."""
    path, requests = "/learn/twice", []
    backend.serve = linked(LINK)
    ask(gateway, path=path)

    def serve(conn):
        request = conn.request()
        requests.append(request)
        if len(requests) == 1:
            return
        conn.send(answer(request.number, f"Link: {LINK}\r\n".encode() + PAGE))

    backend.serve = serve
    response = ask(gateway, path=path)
    assert (len(requests), len(response.interim), response.body) == (2, 1, b"page")
    backend.serve = says(head(103, f"Link: {LINK}"), f"Link: {LINK}\r\n".encode())
    ask(gateway, path=path)
    for _ in range(2):
        assert len(ask(gateway, path=path).interim) == 1


def test_site_and_route(gateway, backend):
    backend.serve = linked(LINK)
    for path, n in [("/app/x", 1), ("/cgi/links", 1), ("/off/x", 0), ("/file", 0),
                    ("/filtered/file", 0)]:
        ask(gateway, path=path, host="learns.example")
        assert len(ask(gateway, path=path, host="learns.example").interim) == n, path
    ask(gateway, path="/app/x")
    assert ask(gateway, path="/app/x").interim == []  # off is the default


@pytest.mark.threads
def test_many_at_once(gateway, backend):
    """Workers share what is learned while it changes."""
    def respond(request):
        number = request.params["QUERY_STRING"]
        return f"Link: </{number}>; rel=preload\r\n".encode() + PAGE

    backend.serve, wrong = keeping(respond), []

    def many(name):
        with dial("h2", gateway) as client:
            for i in range(40):
                response = client.fetch("GET", f"/learn/many?{name}{i}")
                if response.body != b"page" or len(response.interim) > 1:
                    wrong.append(response)

    threads = [threading.Thread(target=many, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    proc.wait_until(lambda: ask(gateway, path="/learn/many").interim, 10, "something is known")
