"""TLS: versions, certificates by name, tickets, and clients that break it."""
import os
import signal
import socket
import ssl
import subprocess

import pytest

from lib import proc
from lib.apps import need, write_file
from lib.certs import AUTHORITY
from lib.frames import H2
from lib.gateway import Gateway
from lib.h1 import H1, tls_context
from lib.message import Refused


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "public/index.html", "front\n")
    write_file(place / "public/big", b"x" * (8 << 20))
    certificates = {
        "one": AUTHORITY.get("one.example"),
        "two": AUTHORITY.get("two.example", kind="rsa"),
        "wild": AUTHORITY.get("*.wild.example"),
    }
    sites = "".join(
        f"[site {name}]\nhost = {host}\nroot = {place}/public\n{certificates[name].ini}"
        for name, host in [("one", "one.example"), ("two", "two.example"),
                           ("wild", "*.wild.example")])
    with Gateway(place, sites, handshake_timeout="1s") as gateway:
        yield gateway


def context(low=None, high=None, alpn=("http/1.1",), ciphers=None):
    made = tls_context(alpn)
    if ciphers:
        made.set_ciphers(ciphers)
    if low:
        made.minimum_version = low
    if high:
        made.maximum_version = high
    return made


def subject(sock):
    from cryptography import x509
    certificate = x509.load_der_x509_certificate(sock.getpeercert(binary_form=True))
    return certificate.subject.rfc4514_string().partition("=")[2]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(gateway, version):
    with H1(gateway.address(tls=True), tls=True, context=context(version, version)) as client:
        assert client.sock.version() == version.name.replace("_", ".")
        assert client.fetch("GET", "/").body == b"front\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(gateway, version):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        H1(gateway.address(tls=True), tls=True,
           context=context(version, version, ciphers="ALL:@SECLEVEL=0"))


@pytest.mark.parametrize("name, expected", [
    ("one.example", "one.example"), ("ONE.example", "one.example"),
    ("two.example", "two.example"), ("a.wild.example", "*.wild.example"),
    ("unknown.test", "one.example"), (None, "one.example")])
def test_sni(gateway, name, expected):
    with H1(gateway.address(tls=True), tls=True, sni=name) as client:
        assert subject(client.sock) == expected
        assert client.fetch("GET", "/").status == 200


@pytest.mark.parametrize("name, kind", [("one.example", "ECDSA"), ("two.example", "RSA")])
def test_key_kinds(gateway, name, kind):
    made = context(high=ssl.TLSVersion.TLSv1_2)
    with H1(gateway.address(tls=True), tls=True, sni=name, context=made) as client:
        assert kind in client.sock.cipher()[0]


def test_forward_secrecy_only(gateway):
    """No cipher suite without (EC)DHE."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        H1(gateway.address(tls=True), tls=True, sni="two.example", context=context(
            high=ssl.TLSVersion.TLSv1_2, ciphers="kRSA"))


def session(gateway, file, args=(), resume=False):
    """openssl s_client with one request; its output."""
    host, port = gateway.address(tls=True)
    run = subprocess.run(
        [need("openssl"), "s_client", "-connect", f"{host}:{port}", "-servername",
         "one.example", "-alpn", "http/1.1", "-ign_eof", *args,
         "-sess_in" if resume else "-sess_out", str(file)],
        input=b"GET / HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n",
        capture_output=True, timeout=20)
    return run.stdout.decode(errors="replace")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tickets(gateway, place, version):
    file = place / "session"
    assert "\nNew, " in session(gateway, file, [version])
    output = session(gateway, file, [version], resume=True)
    assert "\nReused, " in output
    assert "front" in output


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tickets_survive_the_gateway_process(place, start, version):
    """The master holds the keys."""
    write_file(place / "public/index.html", "front\n")
    gateway = start(f"[site one]\nhost = one.example\nroot = {place}/public\n"
                    f"{AUTHORITY.get('one.example').ini}")
    gateway.restarts_expected = True
    file = place / "session"
    session(gateway, file, [version])
    old = gateway.gateway_pid()
    os.kill(old, signal.SIGKILL)
    proc.wait_until(lambda: gateway.gateway_pid() not in (None, old), 10, "a new gateway")
    assert "\nReused, " in session(gateway, file, [version], resume=True)


def test_renegotiation_is_refused(gateway):
    host, port = gateway.address(tls=True)
    run = subprocess.run([need("openssl"), "s_client", "-connect", f"{host}:{port}", "-tls1_2"],
                         input=b"R\n", capture_output=True, timeout=20)
    assert run.returncode != 0
    assert gateway.fetch("h1s", "/").body == b"front\n"


# what a client sends instead of a proper handshake
GARBAGE = [
    b"",
    b"\x16",
    b"\x16\x03\x01\xff\xff",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    b"\x80\x2e\x01\x00\x02",
    b"\0" * 600,
    os.urandom(2000),
]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage(gateway, data):
    """Ended at once or by handshake_timeout; never an answer in the clear."""
    with socket.create_connection(gateway.address(tls=True), timeout=10) as sock:
        sock.sendall(data)
        received = b""
        try:
            while piece := sock.recv(4096):
                received += piece
        except ConnectionError:
            pass
        assert not received.startswith(b"HTTP/")
    assert gateway.fetch("h1s", "/").body == b"front\n"


def test_plain_http_on_the_tls_port(gateway):
    with socket.create_connection(gateway.address(tls=True), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            data = sock.recv(4096)
        except ConnectionError:
            data = b""
        assert b"front" not in data


def test_close_notify(gateway):
    """The end of a connection is told; a cut one would be an SSLEOFError here."""
    sock = socket.create_connection(gateway.address(tls=True), timeout=10)
    wrapped = context().wrap_socket(sock, server_hostname="one.example",
                                    suppress_ragged_eofs=False)
    with wrapped:
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := wrapped.recv(4096):
            data += piece
        assert data.endswith(b"front\n")


def test_big_body_over_both_versions(gateway):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with H1(gateway.address(tls=True), tls=True, context=context(version, version)) as client:
            assert len(client.fetch("GET", "/big").body) == 8 << 20


def test_client_certificate_is_not_asked_for(gateway):
    with H2(gateway.address(tls=True)) as client:
        assert client.fetch(host="one.example").status == 200


def test_host_of_a_site_with_another_certificate(gateway):
    """A connection for one name may ask for another: served, or 421 (RFC 9110 15.5.20)."""
    with H2(gateway.address(tls=True), sni="one.example") as client:
        try:
            assert client.fetch(host="two.example").status in (200, 421)
        except Refused:
            pytest.fail("reset instead of an answer")


def test_vanishing_in_the_handshake(gateway):
    """Clients that go after each byte of their hello leave nothing behind."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = context().wrap_bio(incoming, outgoing, server_hostname="one.example")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    for at in range(0, len(hello), 16):
        with socket.create_connection(gateway.address(tls=True), timeout=10) as sock:
            sock.sendall(hello[:at])
    assert gateway.fetch("h1s", "/").body == b"front\n"
