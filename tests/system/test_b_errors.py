"""Error pages: the same from the same cause, whichever protocol carries them."""
import json
import re
import socket

import pytest

from lib.apps import write_file, write_script
from lib.client import is_h2
from lib.gateway import Gateway, is_root
from lib.message import PROTOCOLS
from peers.fcgi import Backend, end_request


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "x")
    write_file(place / "public/secret.txt", "x").chmod(0)
    write_file(place / "users", "bob:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n")
    write_script(place / "cgi/empty", "#!/bin/sh\nexit 0\n")
    write_script(place / "cgi/own", "#!/bin/sh\nprintf 'Status: 503\\n"
                 "Content-Type: application/x-own\\n\\n{our own}'\n")
    write_file(place / "cgi/plain", "not a program").chmod(0o644)

    def refuse(conn):
        conn.send(end_request(conn.request().number, 0, 2))

    with Backend(str(place / "over.sock"), refuse), \
            Backend(str(place / "closes.sock"), lambda conn: None):
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /down/]
            pool = down
            [route main /closes/]
            pool = closes
            [route main /over/]
            pool = over
            [route main /auth/]
            pool = over
            auth = basic
            auth_file = {place}/users
            [route main /small/]
            pool = over
            body_limit = 10
            [route main /cgi/]
            pool = scripts
            root = {place}/cgi
            [pool down]
            connect = unix:{place}/nobody-listens.sock
            [pool closes]
            connect = unix:{place}/closes.sock
            [pool over]
            connect = unix:{place}/over.sock
            [pool scripts]
            cgi = on
            max_requests = 2
            """) as gateway:
            yield gateway


# method, path, body, status, fields the answer must have
ERRORS = [
    ("GET", "/nowhere", None, 404, []),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", None, 400, []),
    ("GET", "/bad%zz", None, 400, []),
    ("GET", "/a%2fb", None, 400, []),
    ("GET", "/a%00b", None, 400, []),
    ("POST", "/index.html", b"x", 405, ["allow"]),
    ("DELETE", "/index.html", None, 405, ["allow"]),
    ("GET", "/auth/x", None, 401, ["www-authenticate"]),
    ("POST", "/small/x", b"x" * 11, 413, []),
    ("GET", "/over/x", None, 503, []),
    ("GET", "/closes/x", None, 502, []),
    ("GET", "/cgi/empty", None, 502, []),
    ("GET", "/cgi/missing", None, 404, []),
    ("GET", "/cgi/plain", None, 403, []),
]
if is_root():  # the gateway then runs as another user than the file's owner
    ERRORS.append(("GET", "/secret.txt", None, 403, []))


def without_id(response):
    """The page with its request's id, which the head has too, left out."""
    found = response.get("x-request-id")
    assert re.fullmatch("[0-9a-f]{16}", found)
    assert response.body.count(found.encode()) == 1
    return response.body.replace(found.encode(), b"ID")


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: f"{row[3]}-{row[1]}")
def test_error_page(gateway, row):
    method, path, body, status, fields = row
    pages = {}
    for proto in PROTOCOLS:
        response = gateway.fetch(proto, path, method=method, body=body)
        assert response.status == status
        for field in fields:
            assert response.get(field), f"{proto}: no {field}"
        assert response.get("content-type") == "text/html; charset=utf-8"
        assert response.get("content-length") == str(len(response.body))
        assert response.get("vary") == "Accept"
        pages[proto] = without_id(response)
    assert str(status).encode() in pages["h1"]
    assert len(set(pages.values())) == 1, "the page depends on the protocol"
    for inside in (b"/tmp/", b"unix:", b"gateway/"):
        assert inside not in pages["h1"], "the page tells of the inside"


@pytest.mark.parametrize("path", ["/nowhere", "/closes/x"])
def test_head_of_an_error_page(gateway, proto, path):
    get = gateway.fetch(proto, path)
    head = gateway.fetch(proto, path, method="HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert head.get("content-length") == get.get("content-length")


# What is refused by its head alone: method, path, fields, status, and what the log says.
HEADS = [
    ("GET", "/" + "x" * 8192, (), 414, "limit=8192"),
    ("GET", "/over/x?" + "x" * 8185, (), 414, "limit=8192"),
    ("X" * 65, "/", (), 501, "method too long"),
    ("GET", "/", [("x-long", "y" * 40000), ("x-too", "y" * 40000)], 431, "head_limit=65536"),
    ("GET", "/", [("x", "y")] * 101, 431, "head_fields=100"),
    ("GET", "/", [("expect", "x")], 417, "unknown expectation"),
    ("TRACE", "/", (), 405, "method not allowed"),
]


@pytest.mark.parametrize("row", HEADS, ids=lambda row: f"{row[3]}-{row[0][:9]}{row[1][:6]}")
def test_head_alone(gateway, proto, row):
    method, path, fields, status, logged = row
    since = gateway.mark()
    get = gateway.fetch(proto, path, method=method, headers=fields)
    assert (get.status, get.get("content-length")) == (status, str(len(get.body)))
    assert f"<h1><b>{status}</b> ".encode() in get.body
    assert bool(get.get("allow")) == (status == 405)
    gateway.wait_log(logged, since)
    if method == "GET":
        head = gateway.fetch(proto, path, method="HEAD", headers=fields)
        assert (head.status, head.body) == (status, b"")
        assert head.get("content-length") == get.get("content-length")
    if is_h2(proto):
        assert get.get("connection") is None
    else:
        assert (get.get("connection") == "close") == (status not in (405, 417))


# What Accept says, the type of the page, and what it begins with.
FORMS = [
    (None, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
    ("*/*", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
    ("text/html,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8", b"<!DOCTYPE"),
    ("application/json", "application/problem+json", b"{"),
    ("application/json, text/plain, */*", "application/problem+json", b"{"),
    ("application/problem+json", "application/problem+json", b"{"),
    ("text/html;q=0.4, application/json;q=0.5", "application/problem+json", b"{"),
    ("text/plain", "text/plain; charset=utf-8", b"404 Not Found\n"),
    ("image/webp", "text/plain; charset=utf-8", b"404 Not Found\n"),
    ("text/html;q=nonsense", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
]


@pytest.mark.parametrize("row", FORMS, ids=lambda row: str(row[0])[:40])
def test_form_by_accept(gateway, proto, row):
    accept, kind, begin = row
    fields = [("accept", accept)] if accept else []
    get = gateway.fetch(proto, "/nowhere", headers=fields)
    assert (get.status, get.get("content-type"), get.get("vary")) == (404, kind, "Accept")
    assert get.body.startswith(begin)
    without_id(get)
    head = gateway.fetch(proto, "/nowhere", method="HEAD", headers=fields)
    assert (head.status, head.body, head.get("content-type")) == (404, b"", kind)
    assert head.get("content-length") == str(len(get.body))


@pytest.mark.parametrize("path, status", [("/nowhere", 404), ("/over/x", 503), ("/auth/x", 401),
                                          ("/bad%zz", 400), ("/closes/x", 502)])
def test_problem_json(gateway, proto, path, status):
    """RFC 9457 3."""
    response = gateway.fetch(proto, path, headers=[("accept", "application/json")])
    problem = json.loads(response.body)
    assert problem["status"] == response.status == status
    assert problem["type"] == "about:blank"
    assert problem["title"] and problem["detail"]
    assert problem["request_id"] == response.get("x-request-id")


@pytest.mark.parametrize("path, access", [("/nowhere", r'"GET /nowhere'),
                                          ("/closes/x", r"pool=closes wait=\d+ms")])
def test_id_is_in_both_logs(gateway, proto, path, access):
    since = gateway.mark()
    found = gateway.fetch(proto, path).get("x-request-id")
    assert "request=" in gateway.wait_log(f"id={found}", since)
    (line,) = gateway.wait_access(f" id={found}")
    assert re.search(access, line)


def test_ids_differ(gateway):
    found = [gateway.get("/nowhere").get("x-request-id") for _ in range(20)]
    assert len(set(found)) == 20


def test_no_id_where_nothing_failed(gateway, proto):
    response = gateway.fetch(proto, "/index.html?plain")
    assert response.get("x-request-id") is None
    (line,) = gateway.wait_access("GET /index.html.plain")[:1]
    assert " id=" not in line


# Before a head is read to its end nothing is known of who asks: the page for people.
UNREAD = [
    (b"GET / HTTP/1.1\r\nHost: a b\r\nAccept: text/plain\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/3.0\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\nHost: x\r\nx: " + b"y" * 70000 + b"\r\n\r\n", 431),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
]


@pytest.mark.parametrize("row", UNREAD, ids=lambda row: str(row[1]))
def test_before_a_head_is_read(gateway, row):
    sent, status = row
    since = gateway.mark()
    with socket.create_connection(gateway.address(), timeout=30) as sock:
        sock.sendall(sent)
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: text/html; charset=utf-8" in head
    assert f"<h1><b>{status}</b> ".encode() in body
    assert f"Content-Length: {len(body)}".encode() in head
    found = re.search(rb"X-Request-Id: ([0-9a-f]{16})", head)[1].decode()
    assert f"<code>{found}</code>".encode() in body
    gateway.wait_log(f"id={found}", since)


def test_bodies_of_applications_are_theirs(gateway, proto):
    response = gateway.fetch(proto, "/cgi/own", headers=[("accept", "text/plain")])
    assert (response.status, response.body) == (503, b"{our own}")
    assert response.get("content-type") == "application/x-own"
    assert response.get("x-request-id") is None
    assert response.get("vary") is None


def test_longest_target(gateway, proto):
    assert gateway.fetch(proto, "/?" + "x" * 8190).status == 200


def test_page_does_not_repeat_the_request(gateway, proto):
    response = gateway.fetch(proto, "/%3Cscript%3Ealert(1)%3C/script%3E")
    assert response.status == 404
    assert b"<script>alert" not in response.body


@pytest.mark.parametrize("pool, path, text", [
    # the first ones are refused by the server, the next by the pool that knows
    ("down", "/down/x", "client.*(backend refused the connection|pool down)"),
    ("closes", "/closes/x", "backend closed before its answer was complete"),
    ("over", "/over/x", "backend answered FCGI_OVERLOADED"),
    ("scripts", "/cgi/empty", "application ended without a response head"),
])
def test_reason_is_in_the_log(gateway, proto, pool, path, text):
    since = gateway.mark()
    gateway.fetch(proto, path)
    line = gateway.wait_log(text, since)
    assert f"pool={pool}" in line
    assert "site=main" in line
    assert "client=127.0.0.1" in line
