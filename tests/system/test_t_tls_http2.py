"""What RFC 9113 9 asks of TLS under HTTP/2, with OpenSSL's own client and Python's."""
import re
import socket
import ssl
import struct
import subprocess

import pytest

from lib.apps import need, write_file
from lib.certs import AUTHORITY
from lib.frames import H2
from lib.gateway import Gateway
from lib.h1 import H1, tls_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
PAGES = {"one.example": b"one\n", "two.example": b"two\n", "a.wild.example": b"wild\n",
         "own.wild.example": b"own\n"}


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    sites = ""
    for name, hosts, kind in (("one", "one.example", "ec"), ("two", "two.example", "rsa"),
                              ("wild", "*.wild.example", "ec"), ("own", "own.wild.example", "ec")):
        write_file(place / name / "index.html", f"{name}\n")
        sites += (f"[site {name}]\nhost = {hosts}\nroot = {place}/{name}\n"
                  f"{AUTHORITY.get(hosts, kind=kind).ini}")
    with Gateway(place, sites) as gateway:
        yield gateway


def context(alpn=("h2",), version=None, ciphers=None):
    made = tls_context(alpn)
    if version:
        made.minimum_version = made.maximum_version = version
    if ciphers:
        made.set_ciphers(ciphers)
    return made


def s_client(gateway, *args, name="one.example", input=b"", proto="h2"):
    """What openssl s_client says of a handshake."""
    host, port = gateway.address(tls=True)
    alpn = ["-alpn", proto] if proto else []
    run = subprocess.run([need("openssl"), "s_client", "-connect", f"{host}:{port}", "-servername",
                          name, *alpn, *args], input=input, capture_output=True, timeout=20)
    return run.stdout.decode(errors="replace") + run.stderr.decode(errors="replace")


# ---- 3.2: ALPN ----

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("offered, chosen", [
    ("h2", "h2"), ("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1"),
    ("spdy/3,h2", "h2"), ("spdy/3,http/1.1", "http/1.1"), (None, None)])
def test_alpn(gateway, version, offered, chosen):
    output = s_client(gateway, version, proto=offered)
    found = re.search(r"ALPN protocol: (\S+)", output)
    assert (found and found[1]) == chosen, output


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("offered", ["spdy/3", "h2c", "h3", "H2", "http/1.0"])
def test_alpn_nobody_knows(gateway, version, offered):
    """RFC 7301 3.2: a fatal no_application_protocol; "h2c" is no protocol over TLS (3.1)."""
    assert "no application protocol" in s_client(gateway, version, proto=offered)


def test_no_alpn_is_http11(gateway):
    """Prior knowledge is for plain connections: over TLS HTTP/2 is what ALPN says it is."""
    made = context(alpn=())
    with H1(gateway.address(tls=True), tls=True, sni="one.example", context=made) as client:
        assert client.fetch("GET", "/", host="one.example").body == b"one\n"
    with H1(gateway.address(tls=True), tls=True, sni="one.example", context=made) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.take_all().startswith(b"HTTP/1.1 ")


def test_http11_in_a_session_for_h2(gateway):
    with H1(gateway.address(tls=True), tls=True, context=context()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: one.example\r\n\r\n")
        assert b"one\n" not in client.take_all()


# ---- 9.2.2: cipher suites ----

# The only ones that are spoken: ephemeral and AEAD, so none is in Appendix A.
SPOKEN = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
          "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
          "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"}


def all_suites():
    """Those of TLS 1.2 and before that OpenSSL knows."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return [c["name"] for c in made.get_ciphers() if c["protocol"] != "TLSv1.3"]


def handshake(gateway, name, made):
    """(suite, protocol), None if it fails."""
    try:
        with socket.create_connection(gateway.address(tls=True), timeout=10) as sock:
            with made.wrap_socket(sock, server_hostname=name) as wrapped:
                return wrapped.cipher()[0], wrapped.selected_alpn_protocol()
    except (ssl.SSLError, ConnectionError):
        return None


@pytest.mark.parametrize("name", ["one.example", "two.example"], ids=["ec", "rsa"])
def test_prohibited_cipher_suites(gateway, name):
    """Each suite alone: six are taken, with HTTP/2; with any other there is no session."""
    kind = "ECDSA" if name == "one.example" else "RSA"
    suites = all_suites()
    assert len(suites) > 60 and SPOKEN < set(suites)
    taken = {suite: handshake(gateway, name, context(["h2", "http/1.1"], TLS12,
                                                     f"{suite}:@SECLEVEL=0"))
             for suite in suites}
    assert {suite: got for suite, got in taken.items() if got} == {
        suite: (suite, "h2") for suite in SPOKEN if f"-{kind}-" in suite}


def test_prohibited_suites_first(gateway):
    """A client that would rather have CBC gets what HTTP/2 may be spoken with."""
    made = context(["h2"], TLS12, "AES128-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:"
                                  "ECDHE-ECDSA-AES256-GCM-SHA384:@SECLEVEL=0")
    with H2(gateway.address(tls=True), sni="one.example", context=made) as client:
        assert client.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        assert client.fetch(host="one.example").body == b"one\n"


def test_the_suite_that_must_be_there(gateway):
    """TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 with P-256."""
    output = s_client(gateway, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-groups",
                      "P-256", name="two.example")
    assert "Cipher is ECDHE-RSA-AES128-GCM-SHA256" in output
    assert "Server Temp Key: ECDH, prime256v1, 256 bits" in output
    assert "ALPN protocol: h2" in output


# ---- 9.2.1: TLS 1.2 ----

def hello_with_compression():
    """A ClientHello of TLS 1.2 that offers DEFLATE (RFC 3749) before no compression."""
    outgoing = ssl.MemoryBIO()
    half = context(version=TLS12).wrap_bio(ssl.MemoryBIO(), outgoing,
                                           server_hostname="one.example")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    body = outgoing.read()[9:]
    at = 34 + 1 + body[34]                              # behind version, random, session id
    at += 2 + struct.unpack_from(">H", body, at)[0]     # behind the suites
    assert body[at:at + 2] == b"\1\0"
    body = body[:at] + b"\2\1\0" + body[at + 2:]
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_no_compression(gateway):
    with socket.create_connection(gateway.address(tls=True), timeout=10) as sock:
        sock.sendall(hello_with_compression())
        got = b""
        while len(got) < 5 + 4 + 39 + 32:
            got += sock.recv(4096)
    assert got[0] == 0x16 and got[5] == 2, "no ServerHello"
    body = got[9:]
    assert body[34 + 1 + body[34] + 2] == 0


@pytest.mark.parametrize("groups, key", [
    ("X25519", "X25519, 253 bits"), ("P-256", "ECDH, prime256v1, 256 bits"),
    ("P-384", "ECDH, secp384r1, 384 bits")])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_key_exchange(gateway, version, groups, key):
    """At least 224 bits with curves; finite fields are not offered at all."""
    output = s_client(gateway, version, "-groups", groups, name="two.example")
    assert f"Server Temp Key: {key}" in output
    assert "ALPN protocol: h2" in output


def test_no_small_groups(gateway):
    for args in (["-cipher", "DHE:@SECLEVEL=0"], ["-groups", "secp224r1", "-cipher",
                                                  "ALL:@SECLEVEL=0"]):
        assert "handshake failure" in s_client(gateway, "-tls1_2", *args)


def test_no_renegotiation(gateway):
    """Not even before a request; the client's own library ends the connection then."""
    output = s_client(gateway, "-tls1_2", input=b"R\n")
    assert "ALPN protocol: h2" in output
    assert "no renegotiation" in output


# ---- 9.2.3: TLS 1.3 ----

def test_no_early_data(gateway):
    """A request that may be sent again by anybody is not taken (RFC 8470)."""
    output = s_client(gateway, "-tls1_3", "-ign_eof", proto="http/1.1", input=(
        b"GET / HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n"))
    assert "one\n" in output
    assert re.search(r"Max Early Data: 0\b", output)


def test_no_late_certificate(gateway):
    """Post-handshake authentication is not asked for, also of who offers it."""
    made = context(["h2"], TLS13)
    made.post_handshake_auth = True
    with H2(gateway.address(tls=True), sni="one.example", context=made) as client:
        assert client.fetch(host="one.example").body == b"one\n"
    output = s_client(gateway, "-tls1_3", "-enable_pha", "-msg", "-ign_eof", proto="http/1.1",
                      input=b"GET / HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n")
    assert "one\n" in output and "CertificateRequest" not in output


# ---- 9.1.1: one connection for several hosts ----

@pytest.mark.parametrize("sni, host, status", [
    ("one.example", "one.example", 200), ("one.example", "ONE.example:443", 200),
    ("one.example", "two.example", 421), ("two.example", "one.example", 421),
    ("a.wild.example", "b.wild.example", 200), ("a.wild.example", "one.example", 421),
    # covered by the certificate that was shown, though the site has one of its own
    ("a.wild.example", "own.wild.example", 200), ("own.wild.example", "a.wild.example", 421),
    # names nobody has: the default site and its certificate
    ("unknown.test", "unknown.test", 200), ("unknown.test", "one.example", 200),
    ("unknown.test", "two.example", 421), ("one.example", "unknown.test", 200),
    ("two.example", "unknown.test", 421),
    # by address
    ("one.example", "127.0.0.1", 200), ("two.example", "127.0.0.1", 200),
    ("two.example", "127.0.0.2", 421), ("two.example", "[::1]", 421),
    # who named no host in the handshake
    (None, "one.example", 200), (None, "two.example", 200), (None, "127.0.0.1", 200)])
def test_misdirected(gateway, sni, host, status):
    """RFC 9110 15.5.20, and the connection goes on."""
    with H2(gateway.address(tls=True), sni=sni) as client:
        response = client.fetch(host=host)
        assert response.status == status
        if status == 200 and host in PAGES:
            assert response.body == PAGES[host]
        right = (sni or "one.example") if host != sni else host
        assert client.fetch(host=right).status == 200


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_misdirected_in_a_session_that_was_resumed(gateway, version):
    made = context(["h2"], version)
    with H2(gateway.address(tls=True), sni="one.example", context=made) as client:
        assert client.fetch(host="one.example").status == 200
        session = client.sock.session
    sock = socket.create_connection(gateway.address(tls=True), timeout=10)
    with made.wrap_socket(sock, server_hostname="one.example", session=session) as wrapped:
        assert wrapped.session_reused
    with H2(gateway.address(tls=True), sni="one.example", context=made) as client:
        assert client.fetch(host="two.example").status == 421


def test_http11_is_not_misdirected(gateway):
    """What stands in front may send all hosts one way."""
    with H1(gateway.address(tls=True), tls=True, sni="one.example") as client:
        assert client.fetch("GET", "/", host="two.example").body == b"two\n"


def test_curl_by_address(gateway):
    """Nothing of this may hurt who only wants to look."""
    run = subprocess.run([need("curl"), "-sSk", "--http2", gateway.url("h2", "/")],
                         capture_output=True, timeout=20)
    assert run.stdout == b"one\n", run.stderr
