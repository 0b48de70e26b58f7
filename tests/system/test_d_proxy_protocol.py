"""proxy_protocol = on: whose connection it is, as a trusted proxy says in front of it."""
import re
import signal
import socket
import struct

import pytest

from lib import proc
from lib.certs import AUTHORITY
from lib.frames import H2
from lib.fronts import haproxy
from lib.gateway import Gateway, run_h2cgi
from lib.h1 import H1, connect
from lib.ports import free_port
from peers.fcgi import Backend, dump, keeping

KINDS = ("plain h1", "plain h2", "tls h1", "tls h2")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.1", target="198.51.100.9", ports=(56324, 4443)):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} {ports[0]} {ports[1]}\r\n".encode()


def v2(body=b"", command=0x21, family=0x11):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


def inet(source="192.0.2.1", target="198.51.100.9", ports=(56324, 4443)):
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    return (socket.inet_pton(kind, source) + socket.inet_pton(kind, target)
            + struct.pack(">HH", *ports))


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


SSL = tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3"))


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    app = Backend(str(place / "app.sock"), keeping(dump))
    ports = {name: free_port() for name in ("plain", "tls")}
    ini = f"""
        [site main]
        host = *
        deny = 192.0.2.66 2001:db8:bad::/48
        [route main /]
        pool = app
        [pool app]
        connect = unix:{place}/app.sock
        """
    on = "proxy_protocol = on"
    listens = {"proxied": (f"127.0.0.1:{ports['plain']}", False, on, "deny = 203.0.113.0/24"),
               "proxied-tls": (f"127.0.0.1:{ports['tls']}", True, on),
               "proxied-unix": (f"unix:{place}/proxied.sock", False, on)}
    with Gateway(place, ini, listens=listens, trusted_proxies="127.0.0.1 unix:",
                 head_timeout="700ms", error_level="debug") as running:
        running.proxied = {name: ("127.0.0.1", port) for name, port in ports.items()}
        running.proxied["unix"] = f"{place}/proxied.sock"
        yield running
    app.close()
    assert not app.errors


def dial(gateway, kind, before, **options):
    way, version = kind.split()
    make = H2 if version == "h2" else H1
    return make(gateway.proxied[way], tls=way == "tls", before=before, **options)


def variables(answer):
    assert answer.status == 200, answer
    return dict(line.split("=", 1) for line in answer.body.decode().splitlines())


def seen(gateway, kind, before):
    with dial(gateway, kind, before) as c:
        found = variables(c.fetch("GET", "/"))
        assert variables(c.fetch("GET", "/again")) | {"REQUEST_URI": 0, "PATH_INFO": 0,
                                                      "DOCUMENT_URI": 0} \
            == found | {"REQUEST_URI": 0, "PATH_INFO": 0, "DOCUMENT_URI": 0}
        return found


def ends(found):
    return [found.get(name) for name in ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_ADDR",
                                         "SERVER_PORT")]


NAMED = ["192.0.2.1", "56324", "198.51.100.9", "4443"]
ROWS = [
    (v1(), NAMED),
    (v1("2001:db8::1", "2001:db8::2"), ["2001:db8::1", "56324", "2001:db8::2", "4443"]),
    (v1("::ffff:192.0.2.1", "::ffff:198.51.100.9"), NAMED),
    (v2(inet()), NAMED),
    (v2(inet(), family=0x12), NAMED),
    (v2(inet("2001:db8::1", "2001:db8::2"), family=0x21),
     ["2001:db8::1", "56324", "2001:db8::2", "4443"]),
    (v2(inet("::ffff:192.0.2.1", "::ffff:198.51.100.9"), family=0x21), NAMED),
    (v2(inet() + tlv(1, b"h2") + tlv(2, b"example.org") + tlv(4, b"x" * 900)), NAMED),
]


@pytest.mark.parametrize("kind", KINDS)
def test_ends(gateway, kind):
    for before, want in ROWS:
        found = seen(gateway, kind, before)
        assert ends(found) == want, before
        assert found.get("HTTPS") == ("on" if kind.startswith("tls") else None)
    gateway.wait_access(r"^192\.0\.2\.1 - - ")
    gateway.wait_access(r"^2001:db8::1 - - ")


@pytest.mark.parametrize("kind", KINDS)
def test_not_named(gateway, kind):
    """The proxy itself, or it does not say: the ends of the socket."""
    port = str(gateway.proxied[kind.split()[0]][1])
    for before in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 192.0.2.1 ::1 1 2\r\n",
                   v2(command=0x20, family=0), v2(inet(), command=0x20), v2(family=0)):
        address, _, *local = ends(seen(gateway, kind, before))
        assert [address, *local] == ["127.0.0.1", "127.0.0.1", port], before


def test_unix(gateway):
    """Over a unix socket, and of a client on one."""
    with H1(gateway.proxied["unix"], before=v1()) as c:
        assert ends(variables(c.fetch("GET", "/"))) == NAMED
    with dial(gateway, "plain h1", v2(bytes(216), family=0x31)) as c:
        assert ends(variables(c.fetch("GET", "/"))) == ["unix:", None, None, "80"]


def test_tls_at_the_proxy(gateway):
    for kind in ("plain h1", "plain h2"):
        found = seen(gateway, kind, v2(inet(ports=(1, 443)) + SSL))
        assert (found["HTTPS"], found["REQUEST_SCHEME"], found["SERVER_PORT"]) == \
            ("on", "https", "443")
        found = seen(gateway, kind, v2(inet() + tlv(0x20, b"\0\0\0\0\0")))
        assert "HTTPS" not in found and found["REQUEST_SCHEME"] == "http"
    found = variables(H1(gateway.proxied["plain"], before=v2(bytes(216) + SSL, family=0x31))
                      .fetch("GET", "/"))
    assert found["SERVER_PORT"] == "443"


def test_cut_everywhere(gateway):
    """One byte at a time, then in two pieces, the second with a request behind the header."""
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for header in (v1(), v2(inet() + SSL)):
        for cut in range(1, len(header)):
            with H1(gateway.proxied["plain"], before=header[:cut]) as c:
                c.send(header[cut:] + request)
                assert variables(c.response())["REMOTE_ADDR"] == "192.0.2.1"
        with H1(gateway.proxied["plain"]) as c:
            for byte in header + request:
                c.send(bytes([byte]))
            assert variables(c.response())["REMOTE_ADDR"] == "192.0.2.1"
        with H1(gateway.proxied["plain"]) as c:  # in one segment
            c.send(header + request)
            assert variables(c.response())["REMOTE_ADDR"] == "192.0.2.1"


def test_large_first_segment(gateway):
    """A whole request with its body comes with the header."""
    body = b"x" * 3500
    with H1(gateway.proxied["plain"]) as c:
        c.send(v1() + b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3500\r\n\r\n" + body)
        assert variables(c.response())["CONTENT_LENGTH"] == "3500"


def closed(sock):
    with sock:
        try:
            return sock.recv(100) == b""
        except ConnectionResetError:
            return True


BAD = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no PROXY header; 27 bytes came: 47 45 54"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY header; 24 bytes"),
    (b"PROXY TCP4 192.0.2.1 198.51.100.9 1 2\n", "the line does not end in CR LF"),
    (b"PROXY TCP4 192.0.2.1 198.51.100.9 1 65536\r\n", "an address or a port is not one"),
    (b"PROXY UNKNOWN " + b"x" * 100, "the line is over 107 bytes"),
    (v2(inet(), command=0x22), "neither LOCAL nor PROXY"),
    (v2(inet(), command=0x11), "unknown version"),
    (v2(inet(), family=0x41), "unknown address family or transport"),
    (v2(inet()[:-1]), "the addresses do not fit"),
    (v2(inet() + b"\x01\x00\x09h2"), "a TLV does not fit"),
    (v2(inet() + tlv(3, b"\0\0\0\0")), "wrong checksum"),
    (v2(inet() + tlv(4, b"x" * 5000)), "the header is over 4096 bytes"),
]


@pytest.mark.parametrize("way", ("plain", "tls"))
def test_bad(gateway, way):
    for header, why in BAD:
        since = gateway.mark()
        assert closed(connect(gateway.proxied[way], before=header)), header
        line = gateway.wait_log("EPROXY_HEADER", since)
        assert "client=127.0.0.1" in line and why in line and (" warn " in line or " info " in line)


def test_late(gateway):
    since = gateway.mark()
    assert closed(connect(gateway.proxied["plain"], before=v1()[:20]))
    assert "head_timeout of 700 ms is over; 20 bytes came" in \
        gateway.wait_log("EPROXY_HEADER", since)
    assert closed(connect(gateway.proxied["tls"], before=v2(inet())[:20]))
    # The header alone is not enough, either.
    assert closed(connect(gateway.proxied["plain"], before=v1()))


def test_untrusted(gateway):
    since = gateway.mark()
    for way in ("plain", "tls"):
        assert closed(connect(gateway.proxied[way], source="127.0.0.9"))
    line = gateway.wait_log(r"client=127\.0\.0\.9 EPROXY_UNTRUSTED", since)
    assert "listen=proxied " in line


def test_deny(gateway):
    """By the client's address, not the proxy's: of the listener and of the site."""
    assert closed(connect(gateway.proxied["plain"], before=v1("203.0.113.5")))
    for header in (v1("192.0.2.66"), v1("::ffff:192.0.2.66", "::1"), v1("2001:db8:bad::1", "::1")):
        for kind in KINDS:
            with dial(gateway, kind, header) as c:
                assert c.fetch("GET", "/").status == 403
    gateway.wait_log(r"client=192\.0\.2\.66:56324 conn=\d+ EDENIED.*deny=192\.0\.2\.66")


def test_checks_that_only_connect(gateway):
    """No line but for who asks for all of them."""
    since = gateway.mark()
    for _ in range(3):
        connect(gateway.proxied["plain"]).close()
    connect(gateway.proxied["plain"], before=v2(command=0x20, family=0)).close()
    gateway.wait_log("debug.*EPROXY_HEADER.*closed by the peer; 0 bytes", since)
    with dial(gateway, "plain h1", v1()) as c:  # what came before was looked at
        c.fetch("GET", "/")
    assert not re.search(" (info|warn) ", gateway.log()[since:])


def test_other_ports(gateway):
    """Without the key a header is a request that is none."""
    with H1(gateway.address(), before=v1()) as c:
        c.request("GET", "/")
        assert c.response().status == 400


def test_ini(place):
    ini = place / "h2cgi.ini"
    ini.write_text(f"[gateway]\nuser = root\n[listen x]\naddress = 127.0.0.1:{free_port()}\n"
                   f"proxy_protocol = on\n[site x]\nroot = {place}\n")
    run = run_h2cgi("check", "-c", ini)
    assert run.returncode == 1
    assert "h2cgi.ini:5: proxy_protocol = on needs trusted_proxies in [gateway]" in run.stderr


def test_counted(place):
    port = free_port()
    ini = f"""
        [site main]
        root = {place}/public
        """
    listens = {"proxied": (f"127.0.0.1:{port}", False, "proxy_protocol = on")}
    with Gateway(place, ini, tls=False, listens=listens, trusted_proxies="127.0.0.1") as gateway:
        assert closed(connect(("127.0.0.1", port), before=b"GET /"))
        gateway.wait_log("warn .*EPROXY_HEADER.*5 bytes came: 47 45 54 20 2f")
        assert closed(connect(("127.0.0.1", port), source="127.0.0.2"))
        gateway.wait_log("warn .*EPROXY_UNTRUSTED")
        gateway.stop(how=signal.SIGQUIT)
        gateway.wait_log("drained: limits met: .*proxy_header=1 proxy_untrusted=1")


# ---- HAProxy ----

SENDS = {"v1": "send-proxy", "v2": "send-proxy-v2",
         "v2-tlvs": "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl"}


@pytest.fixture(scope="module")
def front(gateway):
    place = gateway.place
    pem = place / "front.pem"
    identity = AUTHORITY.get("localhost")
    pem.write_text("".join(open(path).read() for path in (identity.cert, identity.key)))
    ports, parts = {}, []

    def listen(name, bind, server, more=""):
        ports[name] = free_port()
        parts.append(f"""
    listen {name}
        bind 127.0.0.1:{ports[name]} {bind}
        {more}
        server gateway {server}
    """)

    plain = "127.0.0.1:%d" % gateway.proxied["plain"][1]
    tls = "127.0.0.1:%d" % gateway.proxied["tls"][1]
    for name, send in SENDS.items():
        listen(f"{name}.plain", "", f"{plain} {send}", "unique-id-format %pid-%rt")
        listen(f"{name}.tls", "", f"{tls} {send}", "unique-id-format %pid-%rt")
        listen(f"{name}.unix", "", f"unix@{gateway.proxied['unix']} {send}",
               "unique-id-format %pid-%rt")
    listen("ends", f"ssl crt {pem} alpn h2,http/1.1", f"{plain} send-proxy-v2-ssl")
    for name in ("v1", "v2"):
        listen(f"check.{name}", "", f"{plain} {SENDS[name]} check inter 50ms")
        listen(f"check-tls.{name}", "", f"{tls} {SENDS[name]} check inter 50ms")
        listen(f"httpchk.{name}", "", f"{plain} {SENDS[name]} check inter 50ms",
               "option httpchk GET /check-" + name)
    conf = f"""
    global
        maxconn 200
    defaults
        mode tcp
        timeout connect 5s
        timeout client 15s
        timeout server 15s
    {''.join(parts)}"""
    with haproxy(place, conf, ports.values()) as running:
        running.ports = ports
        yield running


@pytest.mark.parametrize("name", SENDS)
def test_haproxy(gateway, front, name):
    for way, tls in (("plain", False), ("tls", True), ("unix", False)):
        port = front.ports[f"{name}.{way}"]
        for make in (H1, H2):
            with make(("127.0.0.1", port), tls=tls, source="127.0.0.77") as c:
                found = variables(c.fetch("GET", "/"))
                mine = c.sock.getsockname()
            assert ends(found) == ["127.0.0.77", str(mine[1]), "127.0.0.1", str(port)]
            assert found.get("HTTPS") == ("on" if tls else None)
            assert found["SERVER_PROTOCOL"] == ("HTTP/2.0" if make is H2 else "HTTP/1.1")


def test_haproxy_ends_tls(gateway, front):
    """What it says of TLS makes HTTPS, over HTTP/2 and HTTP/1.1 by its ALPN."""
    for make in (H1, H2):
        with make(("127.0.0.1", front.ports["ends"]), tls=True, source="127.0.0.78") as c:
            found = variables(c.fetch("GET", "/"))
        assert (found["HTTPS"], found["REMOTE_ADDR"]) == ("on", "127.0.0.78")


def test_haproxy_checks(gateway, front):
    """They are answered, and leave no line but in the access log."""
    since = gateway.mark()
    for name in ("v1", "v2"):
        n = len(gateway.access_lines())
        proc.wait_until(lambda: sum(
            line.startswith("127.0.0.1 ") and f"GET /check-{name} " in line and '" 200 ' in line
            for line in gateway.access_lines()[n:]) >= 4, 10, "checks")
        with H1(("127.0.0.1", front.ports[f"check.{name}"])) as c:  # it is up
            assert c.fetch("GET", "/").status == 200
    assert not [line for line in gateway.log()[since:].splitlines() if " debug " not in line]
