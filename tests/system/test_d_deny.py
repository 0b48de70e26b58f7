"""deny and allow: who may come in, by address."""
import signal

import pytest

from lib.apps import write_file
from lib.client import dial, fetch
from lib.frames import H2
from lib.gateway import Gateway
from lib.h1 import H1, connect
from lib.ports import free_port

PROTOCOLS = ("h1", "h1s", "h2", "h2c")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name in ("page", "open/page", "login/page", "inner/page", "only/page", "unix/page"):
        write_file(place / "public" / name, "text")
    write_file(place / "passwords", "alice:$5$aaaa$\n")
    closed = free_port()
    ini = f"""
        [site main]
        root = {place}/public
        deny = 127.0.0.16/28 127.0.1.0/24
        deny = 2001:db8::/32
        allow = all 127.0.0.20
        [route main /open/]
        root = {place}/public/open
        allow = all
        [route main /login/]
        root = {place}/public/login
        auth = basic
        auth_file = {place}/passwords
        [route main /only/]
        root = {place}/public/only
        allow = 127.0.0.3
        [route main /unix/]
        root = {place}/public/unix
        deny = all
        allow = unix:
        [route main /moved]
        redirect = /page
        deny = 127.0.0.4
        """
    listens = {"unix": (f"unix:{place}/front.sock", False),
               "closed": (f"127.0.0.1:{closed}", False, "deny = 127.0.0.5"),
               "guests": (f"[::1]:{free_port()}", True, "allow = 127.0.0.1")}
    with Gateway(place, ini, listens=listens) as running:
        running.closed = ("127.0.0.1", closed)
        yield running


ROWS = [
    ("127.0.0.1", "/page", 200),
    ("127.0.0.15", "/page", 200),
    ("127.0.0.16", "/page", 403),
    ("127.0.0.31", "/page", 403),
    ("127.0.0.32", "/page", 200),
    ("127.0.0.20", "/page", 200),   # the longest prefix speaks
    ("127.0.1.255", "/page", 403),
    ("127.0.0.16", "/nothing", 403),  # nor is told what is there
    ("127.0.0.16", "/open/page", 200),  # a route's lists take the place of the site's
    ("127.0.0.16", "//open/page", 200),
    ("127.0.0.16", "/open/../page", 403),
    ("127.0.0.16", "/login/page", 403),  # before anybody is asked for a password
    ("127.0.0.1", "/login/page", 401),
    ("127.0.0.3", "/only/page", 200),
    ("127.0.0.1", "/only/page", 403),
    ("127.0.0.1", "/unix/page", 403),
    ("127.0.0.4", "/moved", 403),
    ("127.0.0.16", "/moved", 302),
]


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_rules(gateway, proto):
    for source, path, status in ROWS:
        assert fetch(proto, gateway, "GET", path, source=source).status == status, (source, path)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_page_and_lines(gateway, proto):
    since = gateway.mark()
    with dial(proto, gateway, source="127.0.1.7") as c:
        for _ in range(2):  # the connection stays
            answer = c.fetch("GET", f"/page?{proto}")
            assert answer.status == 403
            assert b"403" in answer.body
        assert c.fetch("GET", "/only/page").status == 403
    line = gateway.wait_log(r"client=127\.0\.1\.7:\d+ conn=\d+ EDENIED", since)
    assert f'request="GET /page?{proto}" deny=127.0.1.0/24' in line
    assert 'in no allow' in gateway.wait_log(r'EDENIED.*"GET /only/page"', since)
    assert len(gateway.wait_access(rf'^127\.0\.1\.7 .*/page\?{proto} .* 403 ', 2)) == 2


def test_unix_socket(gateway):
    with H1(f"{gateway.place}/front.sock") as c:
        assert c.fetch("GET", "/unix/page").status == 200
        assert c.fetch("GET", "/page").status == 200
        assert c.fetch("GET", "/only/page").status == 403


def test_body_of_a_refused_request(gateway):
    """The connection is of use behind it."""
    with H1(gateway.address(), source="127.0.1.7") as c:
        assert c.fetch("POST", "/page", body=b"x" * 10000).status == 403
        assert c.fetch("GET", "/open/page").status == 200
    with H2(gateway.address(True), source="127.0.1.7") as c:
        assert c.fetch("POST", "/page", body=b"x" * 10000).status == 403
        assert c.fetch("GET", "/open/page").status == 200


def test_listener(gateway):
    """Who may not connect hears nothing, and costs no line."""
    since = gateway.mark()
    with H1(gateway.closed, source="127.0.0.6") as c:
        assert c.fetch("GET", "/page").status == 200
    sock = connect(gateway.closed, source="127.0.0.5")
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass
    finally:
        sock.close()
    assert "127.0.0.5" not in gateway.log(since)


def test_counted(place):
    """Both kinds are in what is said when the gateway ends."""
    port = free_port()
    write_file(place / "public/page", "text")
    ini = f"""
        [site main]
        root = {place}/public
        deny = 127.0.0.7
        """
    listens = {"closed": (f"127.0.0.1:{port}", False, "deny = 127.0.0.8")}
    with Gateway(place, ini, tls=False, listens=listens) as gateway:
        for _ in range(2):
            assert fetch("h1", gateway, "GET", "/page", source="127.0.0.7").status == 403
        sock = connect(("127.0.0.1", port), source="127.0.0.8")
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        sock.close()
        gateway.stop(how=signal.SIGQUIT)
        gateway.wait_log("drained: limits met: .*listen_deny=1 deny=2")
