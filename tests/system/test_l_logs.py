"""Access and error log: exact lines, escaping, reopening."""
import os
import re
import signal

import pytest

from lib import proc
from lib.apps import write_file, write_script
from lib.client import dial, is_h2, scheme
from lib.h1 import H1, render

VERSIONS = {"h1": "HTTP/1.1", "h1s": "HTTP/1.1", "h2": "HTTP/2", "h2c": "HTTP/2"}
TIME = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
ERROR_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                        r"(error|warn|notice|info|debug) \d+: ")


def site(place):
    write_file(place / "public/index.html", "front page\n")
    return f"[site main]\nroot = {place}/public\n[route main /]\nroot = {place}/public\n"


def test_access_line(place, start, proto):
    gateway = start(site(place))
    gateway.fetch(proto, "/?a=b%20c", headers=[("Referer", "http://from.example/"),
                                              ("User-Agent", "tester/1.0 (x; y)")])
    (line,) = gateway.wait_access("GET")
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {TIME} "GET /\?a=b%20c {VERSIONS[proto]}" 200 11 '
        r'"http://from\.example/" "tester/1\.0 \(x; y\)" \d+\.\d{6}', line), line


def test_one_line_per_request(place, start, proto):
    gateway = start(site(place))
    with dial(proto, gateway) as client:
        for i in range(50):
            path = f"/?n{i}" if i % 2 else f"/missing{i}"
            if is_h2(proto):
                client.fetch("GET", path, scheme=scheme(proto))
            else:
                client.fetch("GET", path)
    lines = gateway.wait_access("GET", 50)
    assert len(lines) == 50
    assert sum('" 404 ' in line for line in lines) == 25


def test_user_and_status(place, start):
    import crypt
    write_file(place / "users", "alice:" + crypt.crypt("pw", "$5$saltsalt$") + "\n")
    gateway = start(site(place) + "auth = basic\n"
                    f"auth_file = {place}/users\n")
    import base64
    token = base64.b64encode(b"alice:pw").decode()
    gateway.get("/", headers=[("Authorization", f"Basic {token}")])
    gateway.get("/")
    assert gateway.wait_access(r'^127\.0\.0\.1 - alice \[.*" 200 11 ')
    assert gateway.wait_access(r'^127\.0\.0\.1 - - \[.*" 401 ')


def test_head_and_304_log_no_body_bytes(place, start):
    gateway = start(site(place))
    etag = gateway.get("/").get("etag")
    gateway.get("/", method="HEAD")
    gateway.get("/", headers=[("If-None-Match", etag)])
    assert gateway.wait_access(r'"HEAD / HTTP/1.1" 200 (0|-) ')
    assert gateway.wait_access(r'"GET / HTTP/1.1" 304 (0|-) ')


# field value as sent, as logged
ESCAPES = [
    ('quote " inside', r"quote (\\x22|\\\") inside"),
    ("back\\slash", r"back(\\x5[cC]|\\\\\\\\)slash"),
    ("\xe4\xff", r"(\\xe4\\xff|\\xE4\\xFF)|\xe4\xff|\\xc3"),
    ("tab\there", r"tab\\x09here"),
]


@pytest.mark.parametrize("value, logged", ESCAPES)
def test_escaping(place, start, value, logged):
    """No client writes a line of its own, nor ends a quoted part."""
    gateway = start(site(place))
    gateway.get("/", headers=[("User-Agent", value)])
    (line,) = gateway.wait_access("GET")
    assert re.search(logged, line), line
    assert len(re.findall(r'(?<!\\)"', line.replace("\\\\", ""))) == 6, line


def test_refused_requests_are_logged(place, start):
    gateway = start(site(place))
    with H1(gateway.address()) as client:
        client.send(b"GET / HTTP/1.1\r\nBad Line\r\n\r\n")
        assert client.response().status == 400
    assert gateway.wait_access('" 400 ')


def test_client_that_vanishes_is_logged(place, start):
    write_file(place / "public/big", b"x" * (32 << 20))
    gateway = start(site(place))
    with H1(gateway.address()) as client:
        client.request("GET", "/big")
        client.head()
        assert client.take(1)  # a head may come alone
    (line,) = gateway.wait_access("/big")
    sent = int(re.search(r'" 200 (\d+) ', line)[1])
    assert 0 < sent < 32 << 20


def test_log_off(place, start):
    gateway = start(site(place), access_log="off")
    assert gateway.get("/").status == 200
    gateway.stop()
    assert not gateway.access_path.exists()


def test_access_log_is_complete_at_the_end(place, start):
    """Batches are written before the gateway ends."""
    gateway = start(site(place))
    with H1(gateway.address()) as client:
        client.send(b"".join(render("GET", f"/?{i}") for i in range(200)))
        for _ in range(200):
            client.response()
    gateway.stop()
    assert len(gateway.access_lines()) == 200


def test_error_log_lines_have_their_form(place, start):
    write_script(place / "cgi/fails", "#!/bin/sh\necho noise >&2\n")
    gateway = start(site(place) + f"[route main /cgi/]\npool = scripts\nroot = {place}/cgi\n"
                    "[pool scripts]\ncgi = on\nmax_requests = 1\n")
    assert gateway.get("/cgi/fails").status == 502
    line = gateway.wait_log("without a response head")
    for word in ("client=127.0.0.1", "site=main", "pool=scripts", "ECGI_NO_HEAD"):
        assert word in line
    gateway.stop()
    for line in gateway.log().splitlines():
        assert ERROR_LINE.match(line) or line == "h2cgi: ready", line


def test_application_cannot_forge_lines(place, start):
    write_script(place / "cgi/forges", "#!/bin/sh\nprintf 'one\\r\\033[2Jtwo\\n' >&2\n"
                 "printf 'Content-Type: text/plain\\n\\nok'\n")
    gateway = start(site(place) + f"[route main /cgi/]\npool = scripts\nroot = {place}/cgi\n"
                    "[pool scripts]\ncgi = on\nmax_requests = 1\n")
    gateway.get("/cgi/forges")
    line = gateway.wait_log("two")
    assert re.search(r"one(\\x0d)?\\x1b\[2Jtwo", line)
    assert "\x1b" not in gateway.log()


def test_error_level(place, start):
    gateway = start(site(place) + "[route main /down/]\npool = down\n[pool down]\n"
                    f"connect = unix:{place}/none\n", error_level="error")
    gateway.get("/down/")
    gateway.stop()
    levels = {match[1] for match in map(ERROR_LINE.match, gateway.log().splitlines()) if match}
    assert levels <= {"error"}


@pytest.mark.threads
def test_reopen(place, start):
    """SIGUSR1: both logs go on in files of the same names, no line is lost."""
    gateway = start(site(place) + "[route main /down/]\npool = down\n[pool down]\n"
                    f"connect = unix:{place}/none\n", error_log=place / "error.log")
    with H1(gateway.address()) as client:
        for i in range(20):
            client.fetch("GET", f"/?before{i}")
        gateway.wait_access("before", 20)
        os.rename(gateway.access_path, place / "access.old")
        os.rename(place / "error.log", place / "error.old")
        os.kill(gateway.pid, signal.SIGUSR1)
        proc.wait_until(gateway.access_path.exists, 10, "a new access log")
        proc.wait_until((place / "error.log").exists, 10, "a new error log")

        def logged_in_new_file():
            client.fetch("GET", "/?after")
            client.fetch("GET", "/down/x")
            return any("after" in line for line in gateway.access_lines()) \
                and "EBACKEND_CONNECT" in (place / "error.log").read_text()
        proc.wait_until(logged_in_new_file, 10, "lines in the new logs")
        assert client.fetch("GET", "/?last").status == 200
    gateway.stop()
    old = (place / "access.old").read_text().splitlines()
    numbers = [line for line in old + gateway.access_lines() if "before" in line]
    assert len(numbers) == 20
    assert any("last" in line for line in gateway.access_lines())


def test_ready_line_is_in_the_error_log(place, start):
    gateway = start(site(place))
    assert "h2cgi: ready" in gateway.log()


def test_logs_are_not_for_everybody(place, start):
    gateway = start(site(place), error_log=place / "error.log")
    gateway.get("/")
    for path in (gateway.access_path, place / "error.log"):
        assert path.stat().st_mode & 0o007 == 0, path
