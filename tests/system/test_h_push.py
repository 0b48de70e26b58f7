"""early_hint = LINK, and push = on: server push over HTTP/2."""
import re
import subprocess
import threading

import pytest

from hyperframe.frame import (DataFrame, PushPromiseFrame, RstStreamFrame, SettingsFrame,
                              WindowUpdateFrame)

from lib.apps import need, write_file
from lib.client import curl, dial, scheme
from lib.frames import CANCEL, H2, Stream, text
from lib.gateway import Gateway, refused
from lib.order import sequence
from peers.fcgi import Backend, keeping

H2S = ("h2", "h2c")
STYLE = "</style.css>; rel=preload; as=style"
SCRIPT = "</app.js>; rel=preload; as=script"


class Pushed(H2):
    """A client that takes what it is pushed: .promised is path -> (stream, fields, parent)."""

    def __init__(self, *args, **options):
        self.promised, self.order = {}, []
        super().__init__(*args, **options)

    def on_promise(self, frame):
        assert "END_HEADERS" in frame.flags
        fields = [(text(name), text(value)) for name, value in self.decoder.decode(frame.data)]
        number = frame.promised_stream_id
        assert number % 2 == 0 and number not in self.streams
        parent = self.streams[frame.stream_id]
        assert not parent.ended
        self.streams[number] = Stream(65535)
        path = dict(fields)[":path"]
        assert path not in self.promised
        self.promised[path] = (number, dict(fields), frame.stream_id)

    def take_head(self, stream, fields, ended):
        self.order.append(stream)
        super().take_head(stream, fields, ended)

    HANDLERS = {**H2.HANDLERS, PushPromiseFrame: on_promise}


def connect(gateway, proto="h2", **options):
    tls = proto == "h2"
    return Pushed(gateway.address(tls), tls=tls, **options)


def page(client, path="/app/x", headers=(), method="GET"):
    """The page, and what was promised by the time a later request has its answer."""
    response = client.fetch(method, path, headers)
    assert client.ping()
    return response


@pytest.fixture(scope="module")
def backend(module_place):
    with Backend(str(module_place / "app.sock"), None) as found:
        yield found
        assert not found.errors


@pytest.fixture(autouse=True)
def plain(backend):
    backend.requests.clear()
    backend.serve = says()


def says(*links, status=200, fields=""):
    head = f"Status: {status}\r\nContent-Type: text/html\r\n{fields}" + "".join(
        f"Link: {link}\r\n" for link in links) + "\r\n"
    return keeping(lambda request: head.encode() + b"page")


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    for name in ("style.css", "app.js", "a b", *(f"n{i}" for i in range(40))):
        write_file(place / "public" / name, b"body of " + name.encode())
    write_file(place / "public/large", b"x" * 300000)
    write_file(place / "public/first", b"x" * 65535)
    for name in ("half", "paged/page"):  # they fit their streams' buffers
        write_file(place / "public" / name, b"x" * 98304)
    ini = f"""
        [site main]
        root = {place}/public
        push = on
        early_hint = {STYLE}
        [route main /app/]
        pool = app
        early_hint = off
        [route main /hinted/]
        pool = app
        [route main /two/]
        pool = app
        early_hint = {STYLE}
        early_hint = {SCRIPT}
        early_hints = learn
        [route main /unpushed/]
        pool = app
        push = off
        [route main /paged/]
        root = {place}/public/paged
        header.Link = </half>; rel=preload
        [route main /private/]
        auth = basic
        auth_file = {place}/passwords
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 16
        keepalive = 0
        """
    write_file(place / "passwords", b"")
    with Gateway(place, ini) as gateway:
        yield gateway


# ---- early_hint ----

def interims(response):
    return [(one.status, one.headers) for one in response.interim]


@pytest.mark.parametrize("proto", H2S)
@pytest.mark.parametrize("path, links", [("/hinted/x", [STYLE]), ("/two/x", [STYLE, SCRIPT]),
                                         ("/app/x", None), ("/style.css", None)])
def test_hint(gateway, proto, path, links):
    """curl's view; it refuses push."""
    response = curl(proto, gateway, path)
    assert response.status == 200
    assert interims(response) == ([(103, [("link", link) for link in links])] if links else [])


def test_hint_comes_before_the_answer(gateway, backend):
    go = threading.Event()

    def serve(conn):
        assert go.wait(30)
        says()(conn)
    backend.serve = serve
    with dial("h2", gateway, settings={SettingsFrame.ENABLE_PUSH: 0}) as client:
        number = client.request("GET", "/hinted/x")
        assert client.wait(lambda: client.streams[number].response.interim)
        go.set()
        assert client.response(number).body == b"page"


@pytest.mark.parametrize("proto, method, headers", [
    ("h1", "GET", []), ("h1s", "GET", []), ("h2", "POST", []), ("h2", "HEAD", []),
    ("h2", "GET", [("range", "bytes=0-1")]), ("h2", "GET", [("sec-fetch-mode", "no-cors")])])
def test_hint_not_sent(gateway, proto, method, headers):
    args = ["-H", headers[0][0] + ": " + headers[0][1]] if headers else []
    args += {"POST": ["-d", "x"], "HEAD": ["-I"], "GET": []}[method]
    assert not curl(proto, gateway, "/hinted/x", *args).interim


def test_hint_beside_learned_ones(gateway, backend):
    backend.serve = says(SCRIPT, "</n1>; rel=preload")
    curl("h2", gateway, "/two/learned")
    second = curl("h2", gateway, "/two/learned")
    assert interims(second) == [(103, [("link", STYLE), ("link", SCRIPT),
                                       ("link", "</n1>; rel=preload")])]


# ---- push ----

@pytest.mark.parametrize("proto", H2S)
def test_push(gateway, backend, proto):
    backend.serve = says(STYLE)
    with connect(gateway, proto) as client:
        headers = [("accept-encoding", "br"), ("accept-language", "de"), ("user-agent", "it/1"),
                   ("cookie", "a=b"), ("authorization", "Basic eDp5"), ("referer", "/y"),
                   ("accept", "text/html")]
        number = client.request("GET", "/app/x", headers, scheme=scheme(proto))
        assert client.response(number).body == b"page"
        (pushed, fields, parent), = client.promised.values()
        assert parent == number
        assert fields == {":method": "GET", ":scheme": scheme(proto), ":authority": "localhost",
                          ":path": "/style.css", "accept-encoding": "br",
                          "accept-language": "de", "user-agent": "it/1"}
        response = client.response(pushed)
        assert (response.status, response.body) == (200, b"body of style.css")
        assert client.fetch("GET", "/app.js").status == 200
    assert re.search(r'"GET /style.css HTTP/2" 200 17 "-" "it/1" \S+ pushed',
                     gateway.wait_access("/style.css.* pushed")[-1])


def test_push_of_a_hint(gateway):
    """The promise is there before the 103, and the application need not have answered."""
    with connect(gateway) as client:
        number = client.request("GET", "/hinted/x")
        assert client.wait(lambda: client.streams[number].response.interim)
        assert list(client.promised) == ["/style.css"]
        assert client.response(number).status == 200


def test_push_of_an_application(gateway, backend):
    """What is pushed may be an application's, and its own links push nothing."""
    backend.serve = says("</app/other>; rel=preload, </app/third>; rel=preload")
    with connect(gateway) as client:
        page(client)
        assert list(client.promised) == ["/app/other", "/app/third"]
        for number, _, _ in client.promised.values():
            assert client.response(number).body == b"page"
        assert len(backend.requests) == 3


def test_once_a_connection(gateway, backend):
    backend.serve = says(STYLE, STYLE, "</style.css#x>; rel=preload")
    with connect(gateway) as client:
        for _ in range(3):
            page(client)
        assert len(client.promised) == 1
    with connect(gateway) as client:
        client.fetch("GET", "/style.css")
        page(client)
        assert not client.promised


@pytest.mark.parametrize("link, path", [
    ("</app.js>; rel=preload", "/app.js"),
    ("</app.js?v=1>; rel=preload; as=script", "/app.js?v=1"),
    ("<https://localhost/app.js>; rel=preload", "/app.js"),
    ("<HTTPS://LOCALHOST/app.js>; rel=preload", "/app.js"),
    ("<//localhost/app.js>; rel=preload", "/app.js"),
    ('</app.js>; as=script; rel="preload"', "/app.js"),
    ('</app.js>; rel="next preload"', "/app.js"),
    ("</style.css>; rel=next, </app.js>; rel=preload", "/app.js"),
    ("</app.js>; rel=preload; nopush", None),
    ("</app.js>; nopush; rel=preload", None),
    ("</app.js>; rel=preload; NoPush", None),
    ('</app.js>; rel=preload; title="nopush"', "/app.js"),
    ("</app.js>; rel=prefetch", None),
    ("</app.js>; rel=modulepreload", None),
    ("</app.js>; rel=next; rel=preload", None),
    ("</app.js>", None),
    ("<js/../app.js>; rel=preload", "/app/app.js"),
    ("<app.js>; rel=preload", "/app/app.js"),
    ("<../app.js?v=1>; rel=preload", "/app.js?v=1"),
    ("<./../../../app.js>; rel=preload", "/app.js"),
    ("<../a/b/./..>; rel=preload", "/a/"),
    ("<..>; rel=preload", "/"),
    ("<?other>; rel=preload", "/app/x?other"),
    ("<#part>; rel=preload", None),
    ("<data:text/css,x>; rel=preload", None),
    ("<http://localhost/app.js>; rel=preload", None),
    ("<https://localhost:1/app.js>; rel=preload", None),
    ("<https://elsewhere.example/app.js>; rel=preload", None),
    ("<//elsewhere.example/app.js>; rel=preload", None),
    ("<https:/app.js>; rel=preload", None),
    ("<https://localhost>; rel=preload", None),
    ("<//localhostile/app.js>; rel=preload", None),
    ("</a b>; rel=preload", None),
    ("<>; rel=preload", None),
    ("/app.js; rel=preload", None),
    ("</app/x>; rel=preload", None),
])
def test_links(gateway, backend, link, path):
    backend.serve = says(link)
    with connect(gateway) as client:
        page(client)
        assert list(client.promised) == ([path] if path else [])


@pytest.mark.parametrize("path, method, headers", [
    ("/app/x", "HEAD", []),
    ("/app/x", "POST", []),
    ("/app/x", "GET", [("if-none-match", '"x"')]),
    ("/app/x", "GET", [("if-modified-since", "Sat, 28 Nov 2026 00:00:00 GMT")]),
    ("/app/x", "GET", [("if-match", "*")]),
    ("/app/x", "GET", [("range", "bytes=0-1")]),
    ("/unpushed/x", "GET", []),
])
def test_not_pushed(gateway, backend, path, method, headers):
    backend.serve = says(STYLE)
    with connect(gateway) as client:
        page(client, path, headers, method)
        assert not client.promised


@pytest.mark.parametrize("status", [203, 404, 500])
def test_not_with_other_answers(gateway, backend, status):
    backend.serve = says(STYLE, status=status)
    with connect(gateway) as client:
        assert page(client).status == status
        assert not client.promised


def test_not_to_who_does_not_want(gateway, backend):
    backend.serve = says(STYLE)
    with connect(gateway, settings={SettingsFrame.ENABLE_PUSH: 0}) as client:
        page(client)
        assert not client.promised
    with connect(gateway, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 0}) as client:
        page(client)
        assert not client.promised


def test_no_more_than_the_client_takes(gateway, backend):
    backend.serve = says(*(f"</large?{i}>; rel=preload" for i in range(10)))
    with connect(gateway, flow=False,
                 settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 3}) as client:
        page(client)
        assert len(client.promised) == 3


def test_no_more_than_a_few_of_a_head(gateway, backend):
    backend.serve = says(", ".join(f"</n{i}>; rel=preload" for i in range(40)))
    with connect(gateway) as client:
        page(client)
        assert list(client.promised) == [f"/n{i}" for i in range(16)]
        for i, (number, _, _) in enumerate(client.promised.values()):
            assert client.response(number).body == b"body of n%d" % i


@pytest.mark.parametrize("path", ["/missing", "/private/x", "/%2e%2e/x"])
def test_what_is_not_there_is_taken_back(gateway, backend, path):
    """404, 401, 400: the client asks itself, and is told then."""
    backend.serve = says(f"<{path}>; rel=preload")
    with connect(gateway) as client:
        page(client)
        (number, _, _), = client.promised.values()
        stream = client.streams[number]
        assert client.wait(lambda: stream.reset is not None)
        assert stream.reset == CANCEL and not stream.has_head


def test_refused_by_the_client(gateway, backend):
    """Resets of what nobody asked for are free: many more than h2_resets allows."""
    links = [f"</large?{{}}-{i}>; rel=preload" for i in range(16)]
    with connect(gateway, flow=False) as client:
        client.send(WindowUpdateFrame(0, window_increment=1 << 30))
        for n in range(12):
            backend.serve = says(*(link.format(n) for link in links))
            client.promised.clear()
            assert page(client).status == 200
            assert len(client.promised) == 16
            client.send(*(RstStreamFrame(number, error_code=CANCEL)
                          for number, _, _ in client.promised.values()))
        assert client.fetch("GET", "/app.js").body == b"body of app.js"


def test_page_goes_first(gateway):
    """A pushed stream has the urgency below its page's.  Both are ready before the first byte may
    go, and by its number the pushed one would be first."""
    with connect(gateway, flow=False,
                 settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20}) as client:
        assert len(client.fetch("GET", "/first").body) == 65535  # all that the connection may
        number = client.request("GET", "/paged/page")
        assert client.wait(lambda: client.promised)
        (pushed, _, _), = client.promised.values()
        assert pushed < number
        streams = [client.streams[n] for n in (number, pushed)]
        assert client.wait(lambda: all(stream.has_head for stream in streams))
        assert client.ping()
        client.send(WindowUpdateFrame(0, window_increment=1 << 20))
        came = []
        while not all(stream.ended for stream in streams):
            frame = client.pump()
            assert frame is not None, "the connection ended"
            if isinstance(frame, DataFrame) and frame.data:
                came.append((frame.stream_id, len(frame.data)))
        assert sequence(came) == [number, pushed]


def test_goaway(start, place):
    """connection_requests: the last page is answered, and nothing is promised behind its GOAWAY."""
    write_file(place / "public/style.css", b"style")
    with Backend(str(place / "app.sock"), says(STYLE)):
        gateway = start(f"""
            [site main]
            root = {place}/public
            push = on
            [route main /app/]
            pool = app
            [pool app]
            connect = unix:{place}/app.sock
            """, connection_requests=1)
        with connect(gateway) as client:
            assert client.response(client.request("GET", "/app/x")).status == 200
            assert client.wait_goaway() == 0
            assert client.wait_eof()
            assert not client.promised


@pytest.mark.parametrize("path", ["/hinted/x", "/app/x"])
def test_nghttp(gateway, backend, path):
    backend.serve = says(STYLE, SCRIPT)
    run = subprocess.run([need("nghttp"), "-nv", "--timeout=30", gateway.url("h2", path)],
                         capture_output=True, text=True, timeout=60)
    assert run.stdout.count("recv PUSH_PROMISE frame") == 2, run.stdout
    for name in ("/style.css", "/app.js"):
        assert f":path: {name}" in run.stdout
    assert run.stdout.count(":status: 200") == 3
    assert (":status: 103" in run.stdout) == (path == "/hinted/x")


# ---- the configuration ----

@pytest.mark.parametrize("line, complaint", [
    ("early_hint = /style.css", "early_hint"),
    ("early_hint = <>; rel=preload", "early_hint"),
    ("early_hint = </x>", "early_hint"),
    ("early_hint = off\nearly_hint = </x>; rel=preload", "off stands alone"),
    ("early_hint = </x>; rel=preload\nearly_hint = off", "off stands alone"),
    ("push = maybe", "push"),
])
def test_bad_configuration(place, line, complaint):
    assert complaint in refused(place, line)
