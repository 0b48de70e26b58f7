"""Error pages: the same from the same cause, whichever protocol carries them."""
import pytest

from lib.apps import write_file, write_script
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
        pages[proto] = response.body
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
