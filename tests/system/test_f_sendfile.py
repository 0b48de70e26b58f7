"""X-Sendfile and X-Accel-Redirect: an application that has the gateway answer in its place."""
import email.utils
import os
import urllib.parse

import pytest

from lib.apps import ENV_SCRIPT, app, write_file, write_script
from lib.client import dial
from lib.gateway import Gateway
from peers.fcgi import Backend, answer, keeping

PROTOCOLS = ("h1", "h2", "h2c")
MTIME = 1700000000
MODIFIED = email.utils.formatdate(MTIME, usegmt=True)
DATA = bytes(range(256)) * 8
BIG = os.urandom(3 << 20)


def put(path, data):
    write_file(path, data)
    os.utime(path, (MTIME, MTIME))
    return path


@pytest.fixture(scope="module")
def backend(module_place):
    """Says what its query asks for, percent-encoded."""
    def say(request):
        query = request.params["QUERY_STRING"]
        return urllib.parse.unquote_to_bytes(query)

    with Backend(str(module_place / "app.sock"), keeping(say)) as found:
        yield found
        assert not found.errors


@pytest.fixture(scope="module")
def gateway(module_place, backend):
    place = module_place
    put(place / "files/data.bin", DATA)
    put(place / "files/page.html", b"<p>page")
    put(place / "files/a b%41.txt", b"odd name")
    put(place / "files/big", BIG)
    put(place / "files/deep/down/x.txt", b"deep")
    put(place / "files-not/x", b"neighbour")
    put(place / "more/y", b"more")
    put(place / "secret", b"secret")
    os.symlink(place / "secret", place / "files/out")
    os.symlink("data.bin", place / "files/inside")
    os.mkfifo(place / "files/fifo")
    put(place / "protected/doc.pdf", DATA)
    put(place / "protected/folder/index.html", b"index")
    put(place / "public/plain", b"plain")
    write_script(place / "cgi/env", ENV_SCRIPT)
    write_script(place / "cgi/send", f"""\
        #!/bin/sh
        echo "Content-Type: text/x-own"
        echo "X-Sendfile: {place}/files/data.bin"
        echo
        echo "not this"
        """)
    ini = f"""
        [site main]
        root = {place}/public
        [route main /app/]
        pool = app
        sendfile_root = {place}/files/ {place}/more
        accel_redirect = /protected/ /cgi/ /again /app/ /filtered/
        [route main /follow/]
        pool = app
        sendfile_root = {place}/files
        links = follow
        [route main /none/]
        pool = app
        [route main /cgi/]
        root = {place}/cgi
        pool = cgi
        sendfile_root = {place}/files
        [route main /protected/]
        root = {place}/protected
        internal = on
        [route main = /away]
        redirect = /plain
        internal = on
        [route main /filtered/]
        root = {place}/protected
        filter = filter
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 16
        [pool cgi]
        cgi = on
        [pool filter]
        spawn = {app("filter")}
        """
    with Gateway(place, ini) as gateway:
        yield gateway


def asking(head, path="/app/"):
    """The path that makes the application say head, its lines separated by |, and a body."""
    text = head.replace("|", "\r\n") + "\r\n\r\nthe application's body"
    return f"{path}?{urllib.parse.quote(text, safe='')}"


def send(gateway, proto, head, path="/app/", **options):
    return gateway.fetch(proto, asking(head, path), **options)


def file_head(gateway, name, more=""):
    return f"X-Sendfile: {gateway.place}/files/{name}{more}"


def no_trace(response):
    names = {name for name, _ in response.headers}
    return not names & {"x-sendfile", "x-accel-redirect", "status"}


# ---- X-Sendfile ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("name, file", [
    ("data.bin", "data.bin"), ("big", "big"), ("inside", "data.bin"),
    ("deep/down/x.txt", "deep/down/x.txt"), ("deep/../deep//./down/x.txt", "deep/down/x.txt"),
    ("a b%2541.txt", "a b%41.txt"), ("a%20b%2541.txt", "a b%41.txt"),
])
def test_file(gateway, proto, name, file):
    data = (gateway.place / "files" / file).read_bytes()
    response = send(gateway, proto, file_head(gateway, name))
    assert (response.status, response.body) == (200, data)
    assert response.get("content-length") == str(len(data))
    assert response.get("accept-ranges") == "bytes" and response.get("last-modified") == MODIFIED
    assert no_trace(response)


def test_stray_percent_is_itself(gateway):
    put(gateway.place / "files/100%.txt", b"all")
    assert send(gateway, "h1", file_head(gateway, "100%.txt")).body == b"all"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_fields_of_the_application(gateway, proto):
    head = file_head(gateway, "page.html",
                     "|Content-Type: text/x-own|Set-Cookie: a=1|Set-Cookie: b=2|X-Own: 1"
                     "|Content-Disposition: attachment|Cache-Control: private|ETag: \"theirs\""
                     "|Last-Modified: x|Content-Length: 3|Content-Range: bytes 1-2/3")
    response = send(gateway, proto, head)
    assert (response.status, response.body) == (200, b"<p>page")
    assert response.all("content-type") == ["text/x-own"]
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert response.get("content-disposition") == "attachment"
    assert (response.get("cache-control"), response.get("x-own")) == ("private", "1")
    assert len(response.all("etag")) == 1 and response.get("etag") != '"theirs"'
    assert response.all("last-modified") == [MODIFIED]
    assert response.all("content-length") == ["7"] and response.get("content-range") is None


def test_type_by_name_unless_told(gateway):
    assert send(gateway, "h1", file_head(gateway, "page.html")).get("content-type") == "text/html"


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_ranges_and_conditions(gateway, proto):
    head = file_head(gateway, "data.bin", "|Content-Type: text/x-own|Cache-Control: private")
    whole = send(gateway, proto, head)
    part = send(gateway, proto, head, headers=[("Range", "bytes=10-19")])
    assert (part.status, part.body) == (206, DATA[10:20])
    assert part.get("content-range") == f"bytes 10-19/{len(DATA)}"
    assert part.get("content-type") == "text/x-own"
    parts = send(gateway, proto, head, headers=[("Range", "bytes=0-0,-1")])
    assert parts.status == 206 and parts.body.count(b"\r\nContent-Type: text/x-own\r\n") == 2
    assert parts.all("content-type")[0].startswith("multipart/byteranges; boundary=")
    assert len(parts.all("content-type")) == 1 and parts.get("cache-control") == "private"
    none = send(gateway, proto, head, headers=[("Range", f"bytes={len(DATA)}-")])
    assert none.status == 416 and none.get("content-type") != "text/x-own"
    for field in [("If-None-Match", whole.get("etag")), ("If-Modified-Since", MODIFIED)]:
        same = send(gateway, proto, head, headers=[field])
        assert (same.status, same.body) == (304, b"")
        assert same.get("cache-control") == "private" and same.get("content-type") is None
    assert send(gateway, proto, head, headers=[("If-Match", '"x"')]).status == 412
    only = send(gateway, proto, head, method="HEAD")
    assert (only.status, only.body) == (200, b"")
    assert only.get("content-length") == str(len(DATA))


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_post(gateway, proto):
    """The file in full, whatever the field says, and the body was the application's."""
    response = send(gateway, proto, file_head(gateway, "data.bin"), method="POST",
                    body=b"x" * 100000, headers=[("Range", "bytes=0-1")])
    assert (response.status, response.body) == (200, DATA)
    gateway.wait_access(r'"POST /app/\?')


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_status_of_the_application(gateway, proto):
    response = send(gateway, proto, "Status: 404 Not here|" + file_head(gateway, "page.html"),
                    headers=[("Range", "bytes=0-1"), ("If-Modified-Since", MODIFIED)])
    assert (response.status, response.body) == (404, b"<p>page")
    assert response.get("etag") is None and response.get("accept-ranges") is None
    if proto == "h1":
        assert response.reason == "Not here"


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("what, status", [
    ("PLACE/secret", 403), ("PLACE/files/../secret", 403), ("PLACE/files/out", 403),
    ("PLACE/files/%2e%2e/secret", 403), ("PLACE/files-not/x", 403), ("PLACE/files/fifo", 403),
    ("PLACE/files", 403), ("PLACE/files/deep", 403), ("PLACE/files/none", 404),
    ("PLACE/files/data.bin/x", 404), ("data.bin", 403), ("", 403), ("/etc/passwd", 403),
    ("PLACE/files/data.bin%00", 403), ("/", 403), ("PLACE", 403), ("PLACE/more/../files/../secret", 403),
])
def test_outside(gateway, proto, what, status):
    since = gateway.mark()
    what = what.replace("PLACE", str(gateway.place))
    response = send(gateway, proto, f"X-Sendfile: {what}|Content-Type: text/x-own|Set-Cookie: a=1")
    assert response.status == status
    assert b"secret" not in response.body and b"application" not in response.body
    assert response.get("content-type").startswith("text/html") and no_trace(response)
    gateway.wait_log("site=main pool=app sent X-Sendfile ", since)


def test_several_roots(gateway):
    assert send(gateway, "h1", f"X-Sendfile: {gateway.place}/more/y").body == b"more"


def test_links_as_the_route_says(gateway):
    assert send(gateway, "h1", file_head(gateway, "out"), "/follow/").body == b"secret"
    assert send(gateway, "h1", file_head(gateway, "../secret"), "/follow/").status == 403
    assert send(gateway, "h1", f"X-Sendfile: {gateway.place}/more/y", "/follow/").status == 403


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_not_allowed(gateway, proto):
    """Without the key the answer is the application's, and the field is not shown."""
    for field in (file_head(gateway, "data.bin"), "X-Accel-Redirect: /protected/doc.pdf"):
        since = gateway.mark()
        response = send(gateway, proto, f"Content-Type: text/x-own|{field}", "/none/")
        assert (response.status, response.body) == (200, b"the application's body")
        assert no_trace(response)
        gateway.wait_log(r"does not allow \((sendfile_root|accel_redirect)\): left out", since)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_script(gateway, proto):
    response = gateway.fetch(proto, "/cgi/send")
    assert (response.body, response.get("content-type")) == (DATA, "text/x-own")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_application_that_closes_behind_its_head(proto, place, start):
    """Nothing is missing; behind half a head it is."""
    def serve(conn):
        request = conn.request()
        head = f"X-Sendfile: {place}/f\r\n\r\n".encode()
        conn.send(answer(request.number, head[:-2 if b"half" in request.body else None])[:-16])

    put(place / "f", b"file")
    with Backend(str(place / "dies.sock"), serve):
        own = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = dies
            sendfile_root = {place}
            [pool dies]
            connect = unix:{place}/dies.sock
            """)
        for method, body in [("POST", b"x"), ("GET", None), ("HEAD", None)]:
            response = own.fetch(proto, "/app/", method=method, body=body)
            assert response.status == 200
            assert response.body == (b"" if method == "HEAD" else b"file")
        response = own.fetch(proto, "/app/", method="POST", body=b"half")
        assert response.status == 502 and b"file" not in response.body


# ---- X-Accel-Redirect, internal ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_internal_is_not_for_clients(gateway, proto, method):
    for path in ("/protected/doc.pdf", "/protected/", "/protected", "//protected//doc.pdf",
                 "/x/../protected/doc.pdf", "/protected/none", "/%70rotected/doc.pdf", "/away"):
        assert gateway.fetch(proto, path, method=method).status == 404, path


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_redirect_to_a_file(gateway, proto):
    head = ("X-Accel-Redirect: /protected/doc.pdf|Content-Type: text/x-own|Set-Cookie: a=1"
            "|Content-Disposition: attachment|Cache-Control: private|Expires: 0|X-Own: 1")
    response = send(gateway, proto, head)
    assert (response.status, response.body) == (200, DATA)
    assert response.all("content-type") == ["text/x-own"]
    assert response.all("set-cookie") == ["a=1"] and response.get("expires") == "0"
    assert response.get("content-disposition") == "attachment"
    assert response.get("cache-control") == "private" and response.get("x-own") is None
    assert response.get("last-modified") == MODIFIED and no_trace(response)
    part = send(gateway, proto, head, headers=[("Range", "bytes=-5")])
    assert (part.status, part.body) == (206, DATA[-5:])
    same = send(gateway, proto, head, headers=[("If-None-Match", response.get("etag"))])
    assert same.status == 304
    only = send(gateway, proto, head, method="HEAD")
    assert (only.status, only.get("content-length")) == (200, str(len(DATA)))


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_redirect_after_a_post(gateway, proto):
    response = send(gateway, proto, "X-Accel-Redirect: /cgi/env/info?from=app", method="POST",
                    body=b"x" * 100000, headers=[("Range", "bytes=0-1")])
    env = response.env
    assert (env["REQUEST_METHOD"], env["PATH_INFO"]) == ("GET", "/info")
    assert env["QUERY_STRING"] == "from=app" and env["REQUEST_URI"] == "/cgi/env/info?from=app"
    assert "CONTENT_LENGTH" not in env and "CONTENT_TYPE" not in env
    assert "HTTP_RANGE" not in env


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_status_stays(gateway, proto):
    response = send(gateway, proto, "Status: 403|X-Accel-Redirect: /protected/folder/",
                    headers=[("If-Modified-Since", MODIFIED)])
    assert (response.status, response.body) == (403, b"index")


@pytest.mark.parametrize("where, status", [
    ("/protected/none", 404), ("/protected/folder", 301), ("/plain", 403), ("/away", 403),
    ("/protected/../plain", 403), ("/protected/%2e%2e/plain", 403), ("protected/doc.pdf", 403),
    ("http://localhost/protected/doc.pdf", 403), ("//elsewhere/protected/", 403), ("", 403),
    ("/protectedness", 403), ("/protected/%zz", 403), ("@named", 403), ("/againx", 403),
])
def test_elsewhere(gateway, where, status):
    response = send(gateway, "h1", f"X-Accel-Redirect: {where}|Content-Type: text/x-own")
    assert response.status == status
    assert response.get("content-type") != "text/x-own" and b"application" not in response.body


def test_redirects_are_counted(gateway):
    """An application that sends to itself for ever."""
    since, where = gateway.mark(), "X-Accel-Redirect: /app/"
    for _ in range(7):
        where = "X-Accel-Redirect: " + asking(where)
    response = send(gateway, "h1", where)
    assert response.status == 502
    gateway.wait_log("more than 5 local redirects", since)


def test_then_a_file(gateway):
    """One application sends to another, which names a file."""
    head = "X-Accel-Redirect: /cgi/send"
    response = send(gateway, "h1", head)
    assert (response.status, response.body) == (200, DATA)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_through_a_filter(gateway, proto):
    response = send(gateway, proto, "X-Accel-Redirect: /filtered/folder/|Content-Type: text/x-own")
    assert response.body == b"<!DOCTYPE html>\n<p>index\n</p>\n"
    assert response.get("content-type") == "text/x-own"


def test_location_does_not_lead_inside(gateway):
    """A local redirect is a client's request for another path, no more."""
    assert send(gateway, "h1", "Location: /protected/doc.pdf").status == 404
    assert send(gateway, "h1", "Location: /plain").body == b"plain"


def test_access_log_has_what_was_asked(gateway):
    send(gateway, "h1", "X-Accel-Redirect: /protected/doc.pdf|X-Mark: logged", method="POST",
         body=b"")
    line, = gateway.wait_access(r'"POST /app/\?X-Accel-Redirect.*logged')
    assert " 200 " in line and "pool=app" in line


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_connection_goes_on(gateway, proto):
    with dial(proto, gateway) as client:
        options = {"scheme": "http"} if proto == "h2c" else {}
        for _ in range(3):
            for head, data in [(file_head(gateway, "big"), BIG), ("X-Accel-Redirect: /cgi/send", DATA)]:
                response = client.fetch("POST", asking(head), body=b"x" * 50000, headers=[
                    ("Content-Length", "50000")], **options)
                assert response.body == data
