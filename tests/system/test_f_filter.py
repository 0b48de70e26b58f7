"""filter = POOL: files through a FastCGI filter (FastCGI 6.4), and what filter_cache keeps."""
import email.utils
import os
import threading

import pytest

from lib import proc
from lib.apps import app, write_file
from lib.client import dial
from lib.gateway import Gateway
from lib.message import Truncated
from peers.fcgi import FILTER, Backend, answer, keeping

PROTOCOLS = ("h1", "h2", "h2c")
MTIME = 1700000000
MODIFIED = email.utils.formatdate(MTIME, usegmt=True)
TEXT = b"# Head & all\n\nfirst <line>\nsecond\n\n- one\n- two\n"
PAGE = (b"<!DOCTYPE html>\n<h1>Head &amp; all</h1>\n<p>first &lt;line&gt;\nsecond\n</p>\n"
        b"<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n")
BIG = os.urandom(5 << 20)


def put(path, data):
    """A file of long ago."""
    write_file(path, data)
    os.utime(path, (MTIME, MTIME))
    return path


def shout(request):
    """What the scripted filter makes of a file; the head is the test's to change."""
    return b"Content-Type: text/plain\r\n\r\n" + request.data.upper()


@pytest.fixture(scope="module")
def backend(module_place):
    with Backend(str(module_place / "filter.sock"), keeping(shout)) as found:
        yield found
        assert not found.errors


@pytest.fixture(autouse=True)
def as_before(request):
    if "backend" in request.fixturenames:
        backend = request.getfixturevalue("backend")
        backend.serve = keeping(shout)
        backend.requests.clear()


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    put(place / "pages/text", TEXT)
    put(place / "pages/empty", b"")
    put(place / "pages/big", BIG)
    put(place / "pages/folder/index.html", b"index")
    put(place / "pages/hidden", b"x").chmod(0)
    put(place / "secret", b"secret")
    os.symlink(place / "secret", place / "pages/out")
    put(place / "public/text", b"plain")
    put(place / "users", b"alice:$6$Q7GYiM7bcBkyJ2aC$o9yg5LJaFbBzoGxYVwjHIyRhLlWeDnDwCGy6iJmPzGP"
                         b"Wf3wDbx6h2Uz0S0Bz1gPBcOdyoTq8TPvDGJIsPaDQe/\n")
    ini = f"""
        [site main]
        root = {place}/public
        [route main /real/]
        root = {place}/pages
        filter = real
        [route main /pages/]
        root = {place}/pages
        filter = scripted
        env.COLOUR = blue
        [route main /spooled/]
        root = {place}/pages
        filter = scripted
        request_body = spool
        [route main /kept/]
        root = {place}/pages
        filter = scripted
        filter_cache = on
        [route main /dead/]
        root = {place}/pages
        filter = dead
        [pool real]
        spawn = {app("filter")} --threads 4
        requests_per_process = 4
        [pool scripted]
        connect = unix:{place}/filter.sock
        max_requests = 8
        keepalive = 0
        first_byte_timeout = 4s
        [pool dead]
        connect = unix:{place}/nobody.sock
        """
    with Gateway(place, ini, filter_cache_size="256K", filter_cache_entry="64K") as gateway:
        yield gateway


# ---- the role ----

def test_libfcgi(gateway, proto):
    response = gateway.fetch(proto, "/real/text")
    assert (response.status, response.body) == (200, PAGE)
    assert response.get("content-type") == "text/html; charset=utf-8"
    assert response.all("last-modified") == [MODIFIED]
    assert response.get("etag") is None and response.get("accept-ranges") is None


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_body_before_the_file(gateway, proto):
    response = gateway.fetch(proto, "/real/text", method="POST", body=b"<q>" * 5000)
    quote = b"<blockquote>" + b"&lt;q&gt;" * 5000 + b"</blockquote>\n"
    assert response.body == PAGE.replace(b"html>\n", b"html>\n" + quote, 1)


def test_conditions_are_the_filters(gateway, proto):
    response = gateway.fetch(proto, "/real/text", headers=[("If-Modified-Since", MODIFIED)])
    assert (response.status, response.body) == (304, b"")


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b""), ("POST", b"x" * 300000)])
def test_what_the_filter_is_told(gateway, backend, proto, method, body):
    response = gateway.fetch(proto, "/pages/text?a=b", method=method, body=body)
    assert (response.status, response.body) == (200, TEXT.upper())
    asked, = backend.requests
    assert (asked.role, asked.data, asked.body) == (FILTER, TEXT, body or b"")
    told = asked.params
    assert told["FCGI_DATA_LENGTH"] == str(len(TEXT))
    assert told["FCGI_DATA_LAST_MOD"] == str(MTIME)
    assert told["SCRIPT_NAME"] == "/pages/text" and "PATH_INFO" not in told
    assert told["SCRIPT_FILENAME"] == f"{gateway.place}/pages/text"
    assert (told["QUERY_STRING"], told["COLOUR"]) == ("a=b", "blue")
    assert told.get("CONTENT_LENGTH") == (None if body is None else str(len(body)))


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("size", ["empty", "big"])
def test_sizes(gateway, backend, proto, size):
    data = BIG if size == "big" else b""
    assert gateway.fetch(proto, f"/pages/{size}").body == data.upper()
    assert backend.requests[0].data == data


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_unknown_length_is_spooled(gateway, backend, proto):
    response = gateway.fetch(proto, "/spooled/text", method="POST", body=[b"a" * 1000] * 90)
    assert response.body == TEXT.upper()
    assert backend.requests[0].body == b"a" * 90000
    assert backend.requests[0].params["CONTENT_LENGTH"] == "90000"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_head(gateway, backend, proto):
    response = gateway.fetch(proto, "/pages/text", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert backend.requests[0].params["REQUEST_METHOD"] == "HEAD"


@pytest.mark.parametrize("path, status", [
    ("/pages/none", 404), ("/pages/out", 403), ("/pages/../secret", 404), ("/pages/te%2fxt", 400),
    ("/pages/%2e%2e/secret", 404), ("/pages/hidden", 403 if os.geteuid() == 0 else 403),
])
def test_what_is_no_file_of_the_route(gateway, backend, path, status):
    assert gateway.get(path).status == status
    assert not backend.requests


def test_folders(gateway, backend):
    response = gateway.get("/pages/folder")
    assert (response.status, response.get("location")) == (301, "/pages/folder/")
    assert not backend.requests
    assert gateway.get("/pages/folder/").body == b"INDEX"


@pytest.mark.parametrize("method, status", [("PUT", 405), ("DELETE", 405), ("OPTIONS", 204)])
def test_other_methods(gateway, backend, method, status):
    response = gateway.get("/pages/text", method=method)
    assert (response.status, response.get("allow")) == (status, "GET, HEAD, POST, OPTIONS")
    assert not backend.requests


def test_other_files_go_unfiltered(gateway, backend):
    assert gateway.get("/text").body == b"plain"
    assert not backend.requests


# ---- what goes wrong ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_file_that_shrinks(gateway, backend, proto):
    """DATA cannot be as long as was said: 502, and the filter's request is aborted."""
    path = put(gateway.place / f"pages/shrinks-{proto}", b"x" * (8 << 20))
    ends = []

    def serve(conn):
        conn.stdin(conn.begin())
        os.truncate(path, 1000)
        ends.append(conn.wait_end())

    backend.serve = serve
    assert gateway.fetch(proto, f"/pages/shrinks-{proto}").status == 502
    gateway.wait_log(f"file became shorter while it was read.*shrinks-{proto}")
    proc.wait_until(lambda: ends, 10, "the filter hears of it")
    backend.serve = keeping(shout)
    assert gateway.fetch(proto, "/pages/text").status == 200


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_file_that_shrinks_amid_the_answer(gateway, backend, proto):
    path = put(gateway.place / f"pages/shrinks-late-{proto}", b"x" * (8 << 20))

    def serve(conn):
        request = conn.begin()
        conn.stdin(request)
        conn.send(answer(request.number, b"Content-Type: text/plain\r\n\r\nbegin")[:-24])
        seen.wait(10)
        os.truncate(path, 1000)
        conn.wait_end()

    backend.serve, seen = serve, threading.Event()
    with dial(proto, gateway) as client:
        number = client.request("GET", f"/pages/shrinks-late-{proto}")
        with pytest.raises(Truncated):
            if proto == "h1":
                response = client.head()
                seen.set()
                client.body(response)
            else:
                assert client.wait(lambda: client.streams[number].has_head)
                seen.set()
                client.response(number)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_answer_before_the_file_is_read(gateway, backend, proto):
    """A filter need not read what it is given; such a connection is not used again."""
    def serve(conn):
        request = conn.begin()
        conn.send(answer(request.number, b"Content-Type: text/plain\r\n\r\nenough"))
        conn.wait_end()

    backend.serve = serve
    for _ in range(3):
        assert gateway.fetch(proto, "/pages/big").body == b"enough"
    backend.serve = keeping(shout)
    assert gateway.fetch(proto, "/pages/text").body == TEXT.upper()


def test_dead_filter(gateway, proto):
    response = gateway.fetch(proto, "/dead/text")
    assert response.status in (502, 503)
    assert b"Head" not in response.body
    gateway.wait_log("pool=dead")


def test_slow_filter(gateway, backend):
    backend.serve = lambda conn: (conn.request(), conn.wait_end())
    assert gateway.get("/pages/text").status == 504


def test_filter_that_is_none(place, start):
    """A libfcgi responder takes the role and reads no DATA; one that refuses it gets 502."""
    put(place / "pages/text", TEXT)

    def refuse(conn):
        request = conn.request()
        conn.send(answer(request.number, b"")[:-4] + b"\3\0\0\0")

    with Backend(str(place / "refuse.sock"), refuse):
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /pages/]
            root = {place}/pages
            filter = refusing
            [route main /hello/]
            root = {place}/pages
            filter = hello
            [pool refusing]
            connect = unix:{place}/refuse.sock
            [pool hello]
            spawn = {app("hello")}
            """)
        assert gateway.get("/pages/text").status == 502
        gateway.wait_log("FCGI_UNKNOWN_ROLE")
        for _ in range(3):
            assert gateway.get("/hello/text").body == b"Hello, World\n"


def test_retry_sends_the_file_again(gateway, backend):
    """A kept connection that the filter closed before it answered: all of it once more."""
    closed = []

    def serve(conn):
        request = conn.request()
        if not closed:
            closed.append(request)
            return
        conn.send(answer(request.number, shout(request)))

    backend.serve = serve
    assert gateway.get("/pages/big").body == BIG.upper()
    assert [request.data == BIG for request in backend.requests] == [True, True]


@pytest.mark.threads
def test_client_gone(gateway, backend):
    """... while its file is on the way: the filter is told."""
    ends, began = [], threading.Event()

    def serve(conn):
        conn.stdin(conn.begin())
        began.set()
        ends.append(conn.wait_end())

    backend.serve = serve
    for proto in PROTOCOLS:
        began.clear()
        with dial(proto, gateway) as client:
            client.request("GET", "/pages/big")
            assert began.wait(10)
    proc.wait_until(lambda: len(ends) == len(PROTOCOLS), 10, "three ends")


def test_file_that_is_not_in_memory(gateway, backend):
    """... is read by a job, and the same comes out."""
    path = put(gateway.place / "pages/cold", BIG)
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert gateway.get("/pages/cold").body == BIG.upper()


@pytest.mark.heavy
def test_huge_files_cost_little(gateway, backend):
    """8 files of 2 GiB on their way to filters that stopped reading: some 200 KiB each."""
    with open(gateway.place / "pages/huge", "wb") as file:
        file.truncate(2 << 30)
    stopped, go_on = [], threading.Event()

    def serve(conn):
        conn.stdin(conn.begin())
        n = 0
        while n < 2 << 20:
            n += len(conn.record()[2])
        stopped.append(conn)
        go_on.wait(60)

    backend.serve = serve
    before = proc.pss(gateway.gateway_pid())
    clients = [dial("h1", gateway) for _ in range(8)]
    try:
        for client in clients:
            client.request("GET", "/pages/huge")
        proc.wait_until(lambda: len(stopped) == len(clients), 60, "stopped filters")
        grown = proc.pss(gateway.gateway_pid()) - before
    finally:
        go_on.set()
        for client in clients:
            client.close()
    print(f"{grown >> 10} KiB for {len(clients)}")
    assert grown < len(clients) * 400 * 1024


# ---- filter_cache ----

def wait_kept(gateway, path, proto="h1", **options):
    """Ask until the answer is one that was kept; a file that just changed is not at once."""
    def kept():
        response = gateway.fetch(proto, path, **options)
        return response if response.get("age") is not None else None
    return proc.wait_until(kept, 10, f"{path} is kept")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_kept(gateway, backend, proto):
    path = put(gateway.place / f"pages/kept-{proto}", b"some text")
    url = f"/kept/kept-{proto}"
    response = wait_kept(gateway, url, proto)
    asked = len(backend.requests)
    assert (response.status, response.body) == (200, b"SOME TEXT")
    assert response.get("content-length") == "9"
    assert response.get("content-type") == "text/plain"
    head = gateway.fetch(proto, url, method="HEAD")
    assert (head.status, head.get("content-length"), head.body) == (200, "9", b"")
    assert len(backend.requests) == asked
    put(path, b"other text")
    assert gateway.fetch(proto, url).body == b"OTHER TEXT"
    os.replace(put(gateway.place / "pages/new", b"OTHER TEXT"), path)
    assert gateway.fetch(proto, url).get("age") is None


def test_same_size_and_time_is_another_file(gateway, backend):
    path = put(gateway.place / "pages/sly", b"1111")
    wait_kept(gateway, "/kept/sly")
    put(path, b"2222")
    assert gateway.get("/kept/sly").body == b"2222"


@pytest.mark.parametrize("options", [
    {"method": "POST", "body": b"x"}, {"headers": [("Authorization", "Bearer x")]},
    {"headers": [("Range", "bytes=0-1")]}, {"headers": [("If-Match", '"x"')]},
    {"method": "GET", "body": b"x"},
])
def test_requests_that_ask_the_filter(gateway, backend, options):
    put(gateway.place / "pages/asks", b"some text")
    wait_kept(gateway, "/kept/asks")
    asked = len(backend.requests)
    assert gateway.get("/kept/asks", **options).get("age") is None
    assert len(backend.requests) == asked + 1


def test_query_asks_the_filter(gateway, backend):
    wait_kept(gateway, "/kept/text")
    assert gateway.get("/kept/text?").get("age") is None


def test_each_host_and_path_has_its_own(gateway, backend):
    """The filter may make links from them."""
    put(gateway.place / "pages/hosts", b"some text")
    backend.serve = keeping(lambda request: b"Content-Type: text/plain\r\n\r\n" +
                            request.params["HTTP_HOST"].encode())
    assert wait_kept(gateway, "/kept/hosts", host="a.example").body == b"a.example"
    response = gateway.get("/kept/hosts", host="b.example")
    assert (response.body, response.get("age")) == (b"b.example", None)
    assert gateway.get("/kept//hosts", host="a.example").get("age") is None
    assert gateway.fetch("h1s", "/kept/hosts", host="a.example").get("age") is None


NOT_KEPT = [
    "Vary: Cookie", "Set-Cookie: a=1", "Cache-Control: no-store", "Cache-Control: private",
    "Cache-Control: public, no-cache", "Cache-Control: max-age=0", "Cache-Control: s-maxage=x",
    "Expires: 0", "Status: 404",
]


def test_answers_that_are_not_kept(gateway, backend):
    def serve(request):
        number = int(request.params["SCRIPT_NAME"].rpartition("-")[2])
        return f"Content-Type: text/plain\r\n{NOT_KEPT[number]}\r\n\r\nx".encode()

    for i in range(len(NOT_KEPT)):
        put(gateway.place / f"pages/changes-{i}", b"some text")
    wait_kept_elsewhere(gateway, backend)
    backend.serve = keeping(serve)
    for i in list(range(len(NOT_KEPT))) * 2:
        assert gateway.get(f"/kept/changes-{i}").get("age") is None, NOT_KEPT[i]


def wait_kept_elsewhere(gateway, backend):
    """One that is younger than those looked at is kept by now, so that they could be."""
    put(gateway.place / "pages/clock", b"tick")
    wait_kept(gateway, "/kept/clock")


def test_max_age(gateway, backend):
    """Kept no longer than the answer says."""
    backend.serve = keeping(lambda request: b"Content-Type: text/plain\r\n"
                            b"Cache-Control: max-age=1\r\n\r\n" + request.data)
    put(gateway.place / "pages/ages", b"some text")
    wait_kept(gateway, "/kept/ages")
    proc.wait_until(lambda: gateway.get("/kept/ages").get("age") is None, 10, "it is too old")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_validators_of_what_is_kept(gateway, backend, proto):
    backend.serve = keeping(lambda request: b"Content-Type: text/plain\r\nETag: W/\"v1\"\r\n"
                            b"Last-Modified: " + MODIFIED.encode() + b"\r\n\r\nx")
    put(gateway.place / f"pages/tagged-{proto}", b"some text")
    url = f"/kept/tagged-{proto}"
    wait_kept(gateway, url, proto)
    for headers, status in [
        ([("If-None-Match", '"v1"')], 304), ([("If-None-Match", 'W/"v1"')], 304),
        ([("If-None-Match", '"v2"')], 200), ([("If-None-Match", "*")], 304),
        ([("If-Modified-Since", MODIFIED)], 304),
        ([("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")], 200),
        ([("If-None-Match", '"v2"'), ("If-Modified-Since", MODIFIED)], 200),
    ]:
        response = gateway.fetch(proto, url, headers=headers)
        assert (response.status, response.get("etag")) == (status, 'W/"v1"')
        assert response.get("age") is not None
        assert response.body == (b"x" if status == 200 else b"")
        assert (response.get("content-type") is None) == (status == 304)


def test_incomplete_answers_are_not_kept(gateway, backend):
    put(gateway.place / "pages/fails", b"some text")
    wait_kept_elsewhere(gateway, backend)

    def serve(conn):
        request = conn.request()
        data = answer(request.number, b"Content-Type: text/plain\r\n\r\nhalf")
        conn.send(data[:-8] + b"\0\0\0\1" + data[-4:])

    backend.serve = serve
    for _ in range(3):
        assert gateway.get("/kept/fails").get("age") is None


def test_limits(gateway, backend):
    """filter_cache_entry and filter_cache_size: the oldest make room, the largest find none."""
    for name, size in [("huge", 70000)] + [(f"part{i}", 50000) for i in range(8)]:
        put(gateway.place / "pages" / name, b"x" * size)
    for i in range(8):
        assert wait_kept(gateway, f"/kept/part{i}").body == b"X" * 50000
    gone = [i for i in range(8) if gateway.get(f"/kept/part{i}").get("age") is None]
    assert gone  # 400 KB do not fit into 256K
    assert gateway.get("/kept/huge").get("age") is None
    assert gateway.get("/kept/huge").get("age") is None


@pytest.mark.threads
def test_kept_for_many_at_once(gateway, backend):
    """Workers share what is kept while the file changes under it: each answer is whole."""
    path = put(gateway.place / "pages/shared", b"0" * 40000)
    wait_kept(gateway, "/kept/shared")
    wrong = []

    def ask(proto):
        with dial(proto, gateway) as client:
            for _ in range(60):
                body = client.fetch("GET", "/kept/shared").body
                if len(set(body)) != 1 or len(body) != 40000:
                    wrong.append(body)

    threads = [threading.Thread(target=ask, args=(proto,)) for proto in ("h1", "h2", "h2c") * 2]
    for thread in threads:
        thread.start()
    for i in range(20):
        os.replace(put(gateway.place / "pages/new", b"%d" % (i % 10) * 40000), path)
    for thread in threads:
        thread.join(30)
    assert not wrong


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_kept_for_a_slow_reader(gateway, backend, place, start, proto):
    put(place / "pages/large", b"x" * 900000)
    own = start(f"""
        [site main]
        root = {place}/public
        [route main /kept/]
        root = {place}/pages
        filter = scripted
        filter_cache = on
        [pool scripted]
        connect = unix:{gateway.place}/filter.sock
        """)
    wait_kept(own, "/kept/large", proto)
    response = own.fetch(proto, "/kept/large", rcvbuf=4096)
    assert response.body == b"X" * 900000 and response.get("age") is not None
