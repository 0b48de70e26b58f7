"""trusted_proxies and trusted_field: whose request it is, as a proxy says in a field."""
import itertools

import pytest

from conftest import make_place, remove_place
from lib.apps import write_file
from lib.client import dial
from lib.fronts import haproxy, nginx
from lib.gateway import Gateway, run_h2cgi
from lib.h1 import H1
from lib.ports import free_port
from peers.fcgi import Backend, dump, keeping

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
FOR = "X-Forwarded-For"


def site(place):
    return f"""
        [site main]
        host = *
        deny = 192.0.2.66
        [route main /]
        pool = app
        [route main /inner/]
        pool = app
        allow = 10.0.0.0/8
        [site other]
        host = other.example
        root = {place}/public
        [route main /hashed/]
        pool = hashed
        [pool app]
        connect = unix:{place}/app.sock
        [pool hashed]
        connect = unix:{place}/0.sock unix:{place}/1.sock
        balance = hash
        """


@pytest.fixture(scope="module")
def app(module_place):
    backends = [Backend(str(module_place / "app.sock"), keeping(dump))]
    for name in ("0", "1"):
        text = f"Content-Type: text/plain\r\n\r\n{name}".encode()
        backends.append(Backend(str(module_place / f"{name}.sock"),
                                keeping(lambda request, text=text: text)))
    write_file(module_place / "public/index.html", "other")
    yield backends[0]
    for backend in backends:
        backend.close()
        assert not backend.errors


def gateways(files, place, **keys):
    proxied = free_port()
    listens = {"unix": (f"unix:{place}/front.sock", False),
               "proxied": (f"127.0.0.1:{proxied}", False, "proxy_protocol = on")}
    with Gateway(place, site(files), listens=listens,
                 trusted_proxies="127.0.0.1 10.0.0.0/8 unix:", **keys) as running:
        running.proxied = ("127.0.0.1", proxied)
        yield running


@pytest.fixture(scope="module")
def gateway(app, module_place):
    yield from gateways(module_place, module_place, trusted_field=FOR, trusted_parts="address proto host")


def variables(answer):
    assert answer.status == 200, answer
    return dict(line.split("=", 1) for line in answer.body.decode().splitlines())


ROWS = [
    ((), "127.0.0.1"),
    (((FOR, "192.0.2.1"),), "192.0.2.1"),
    (((FOR, "192.0.2.9, 192.0.2.1, 10.0.0.1"),), "192.0.2.1"),
    (((FOR, "192.0.2.9"), (FOR, "192.0.2.1"), (FOR, "10.0.0.1")), "192.0.2.1"),
    (((FOR, "[2001:db8::1]:80, 10.0.0.1"),), "2001:db8::1"),
    (((FOR, "192.0.2.1, unknown, 10.0.0.1"),), "10.0.0.1"),
    (((FOR, "garbage"),), "127.0.0.1"),
    ((("Forwarded", "for=192.0.2.1"),), "127.0.0.1"),
    (((FOR, "192.0.2.1:4711"),), "192.0.2.1"),
]


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_each_request_has_its_client(gateway, proto):
    """On one connection."""
    with dial(proto, gateway) as c:
        for i, (headers, want) in enumerate(ROWS):
            found = variables(c.fetch("GET", f"/{proto}/{i}", headers))
            assert found["REMOTE_ADDR"] == want, headers
            # As they came.
            assert found.get("HTTP_X_FORWARDED_FOR") == (
                ", ".join(value for name, value in headers if name == FOR) or None)
        port = found["REMOTE_PORT"]
    assert port == "4711"
    for i, (_, want) in enumerate(ROWS):
        line, = gateway.wait_access(rf'"GET /{proto}/{i} ')
        assert line.split()[0] == want


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_untrusted(gateway, proto):
    """What it says changes nothing, and is passed on."""
    headers = ((FOR, "10.0.0.1"), ("X-Forwarded-Proto", "https"),
               ("X-Forwarded-Host", "other.example"))
    with dial(proto, gateway, source="127.0.0.7") as c:
        found = variables(c.fetch("GET", "/", headers))
        assert found["REMOTE_ADDR"] == "127.0.0.7" and found["HTTP_HOST"] == "localhost"
        assert found.get("HTTPS") == ("on" if proto in ("h1s", "h2") else None)
        assert found["HTTP_X_FORWARDED_FOR"] == "10.0.0.1"
        assert found["HTTP_X_FORWARDED_PROTO"] == "https"
        assert c.fetch("GET", "/inner/", headers).status == 403


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_deny(gateway, proto):
    since = gateway.mark()
    with dial(proto, gateway) as c:
        for address, status in (("192.0.2.66", 403), ("192.0.2.67", 200),
                                ("::ffff:192.0.2.66", 403), ("192.0.2.66, 10.0.0.9", 403)):
            assert c.fetch("GET", "/", [(FOR, address)]).status == status, address
        assert c.fetch("GET", "/inner/", [(FOR, "10.1.2.3")]).status == 200
        assert c.fetch("GET", "/inner/", [(FOR, "10.1.2.3, 192.0.2.1")]).status == 403
        assert c.fetch("GET", "/inner/").status == 403  # the proxy's own
    gateway.wait_log(r"client=192\.0\.2\.66:0 via=127\.0\.0\.1 conn=\d+ EDENIED", since)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_proto_and_host(gateway, proto):
    tls = proto in ("h1s", "h2")
    with dial(proto, gateway) as c:
        found = variables(c.fetch("GET", "/", [(FOR, "192.0.2.1"), ("X-Forwarded-Proto", "https")]))
        assert (found["HTTPS"], found["REQUEST_SCHEME"]) == ("on", "https")
        found = variables(c.fetch("GET", "/", [(FOR, "192.0.2.1"), ("X-Forwarded-Proto", "http")]))
        assert "HTTPS" not in found and found["REQUEST_SCHEME"] == "http"
        found = variables(c.fetch("GET", "/", [("X-Forwarded-Proto", "gopher")]))
        assert found.get("HTTPS") == ("on" if tls else None)
        found = variables(c.fetch("GET", "/", [("X-Forwarded-Host", "shop.example:8443")]))
        assert (found["HTTP_HOST"], found["SERVER_NAME"]) == ("shop.example:8443", "shop.example")
        answer = c.fetch("GET", "/", [("X-Forwarded-Host", "other.example")])
        assert answer.body == b"other"  # the other site
        assert variables(c.fetch("GET", "/", [("X-Forwarded-Host", "a b")]))["HTTP_HOST"] \
            == "localhost"


def test_unix_peer(gateway):
    with H1(f"{gateway.place}/front.sock") as c:
        assert variables(c.fetch("GET", "/"))["REMOTE_ADDR"] == "unix:"
        assert variables(c.fetch("GET", "/", [(FOR, "192.0.2.1")]))["REMOTE_ADDR"] == "192.0.2.1"


def test_hash(gateway):
    """A client has its server, whoever it is that connects."""
    def server(address):
        return c.fetch("GET", "/hashed/", [(FOR, address)]).body

    with H1(gateway.address()) as c:
        first = [server(f"192.0.2.{n}") for n in range(100, 120)]
        assert set(first) == {b"0", b"1"}
        assert [server(f"192.0.2.{n}, 10.0.0.{n}") for n in range(100, 120)] == first


def test_behind_a_proxy_header(gateway):
    """The client in the PROXY header must itself be a trusted proxy, and named."""
    rows = [(b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n", "192.0.2.7"),
            (b"PROXY TCP4 10.0.0.7 127.0.0.1 1 2\r\n", "192.0.2.1"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1")]
    for header, want in rows:
        with H1(gateway.proxied, before=header) as c:
            assert variables(c.fetch("GET", "/", [(FOR, "192.0.2.1")]))["REMOTE_ADDR"] == want


# ---- Forwarded ----

FORWARDED = [
    ("for=192.0.2.1", "192.0.2.1", None),
    ('for="[2001:db8::1]:80";proto=https', "2001:db8::1", "on"),
    ("for=192.0.2.9;proto=https, for=192.0.2.1;proto=http, for=10.0.0.1", "192.0.2.1", None),
    ('for=", for=192.0.2.1;proto=https', "192.0.2.1", "on"),
    ("for=_hidden;proto=https", "127.0.0.1", "on"),
    ("for=unknown", "127.0.0.1", None),
]


@pytest.fixture(scope="module")
def forwarded(app, module_place):
    place = make_place()  # not below the other gateway's, which would take our processes for its
    yield from gateways(module_place, place, trusted_field="Forwarded",
                        trusted_parts="address proto")
    remove_place(place)


@pytest.mark.parametrize("proto", ("h1", "h2c"))
def test_forwarded(forwarded, proto):
    with dial(proto, forwarded) as c:
        for value, address, https in FORWARDED:
            found = variables(c.fetch("GET", "/", [("Forwarded", value), (FOR, "192.0.2.5"),
                                                   ("X-Forwarded-Proto", "https")]))
            assert (found["REMOTE_ADDR"], found.get("HTTPS")) == (address, https), value
            assert found["HTTP_FORWARDED"] == value
        # host was not asked for
        found = variables(c.fetch("GET", "/", [("Forwarded", "for=192.0.2.1;host=other.example")]))
        assert found["HTTP_HOST"] == "localhost"


# ---- real proxies ----

def test_haproxy(gateway, forwarded, place):
    """option forwardfor, which adds a line of its own, and a Forwarded by hand."""
    ports = [free_port(), free_port()]
    conf = f"""
    defaults
        mode http
        timeout connect 5s
        timeout client 15s
        timeout server 15s
    listen x
        bind 127.0.0.1:{ports[0]}
        option forwardfor
        server gateway 127.0.0.1:{gateway.ports['http']}
    listen forwarded
        bind 127.0.0.1:{ports[1]}
        http-request add-header Forwarded for=%[src];proto=https
        server gateway 127.0.0.1:{forwarded.ports['http']} proto h2
    """
    with haproxy(place, conf, ports):
        with H1(("127.0.0.1", ports[0]), source="127.0.0.77") as c:
            for spoof in ((), ((FOR, "10.0.0.1"),), ((FOR, "\"x"),)):
                found = variables(c.fetch("GET", "/", spoof))
                assert found["REMOTE_ADDR"] == "127.0.0.77"
        with H1(("127.0.0.1", ports[1]), source="127.0.0.78") as c:
            for spoof in ((), (("Forwarded", 'for=10.0.0.1;x="'),)):
                found = variables(c.fetch("GET", "/", spoof))
                assert (found["REMOTE_ADDR"], found["HTTPS"]) == ("127.0.0.78", "on")


def test_nginx(gateway, place):
    """One behind the other, as the manuals have it."""
    outer, inner = free_port(), free_port()

    def server(port, target, more=""):
        return f"""server {{
            listen 127.0.0.1:{port};
            location / {{
                proxy_pass http://127.0.0.1:{target};
                proxy_set_header {FOR} $proxy_add_x_forwarded_for;
                {more}
            }}
        }}"""

    edge = """proxy_set_header X-Forwarded-Proto https;
              proxy_set_header X-Forwarded-Host $http_host;"""
    servers = server(outer, inner, edge) + server(inner, gateway.ports["http"])
    with nginx(place, servers, [outer, inner]):
        with H1(("127.0.0.1", outer), source="127.0.0.79") as c:
            for spoof in ((), ((FOR, "10.0.0.1"), ("X-Forwarded-Proto", "http"))):
                found = variables(c.fetch("GET", "/", spoof, host="www.example"))
                assert found["REMOTE_ADDR"] == "127.0.0.79"
                assert (found["HTTPS"], found["HTTP_HOST"]) == ("on", "www.example")


# ---- the configuration ----

WRONG = [
    ("trusted_field = Forwarded", "", "trusted_field needs trusted_proxies"),
    ("trusted_proxies = 10.0.0.1", "", "trusted_proxies without trusted_field"),
    ("trusted_parts = proto", "", "trusted_parts without trusted_field"),
    ("trusted_proxies = 10.0.0.1\ntrusted_field = X-Real-IP", "",
     "trusted_field = X-Real-IP: must be off, X-Forwarded-For or Forwarded"),
    ("trusted_proxies = 10.0.0.1\ntrusted_field = Forwarded\ntrusted_parts = addres", "",
     "trusted_parts = addres: must be address, proto or host"),
    ("trusted_proxies = 10.0.0.1", "proxy_protocol = on", None),
    ("trusted_proxies = 10.0.0.1\ntrusted_field = Forwarded\ntrusted_parts = host", "", None),
]


def test_ini(place):
    for number, (gateway, listen, error) in zip(itertools.count(), WRONG):
        ini = place / f"{number}.ini"
        ini.write_text(f"[gateway]\nuser = root\n{gateway}\n[listen x]\n"
                       f"address = 127.0.0.1:1\n{listen}\n[site x]\nroot = {place}\n")
        run = run_h2cgi("check", "-c", ini)
        assert (run.returncode == 0) == (error is None), run.stderr
        assert not error or f".ini:{3 + gateway.count(chr(10))}: {error}" in run.stderr
