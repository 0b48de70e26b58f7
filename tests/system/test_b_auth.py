"""auth = basic: who gets in, what the application is told, and what it costs others."""
import base64
import crypt
import subprocess
import threading
import time

import pytest

from lib import proc
from lib.apps import need, write_file
from lib.gateway import Gateway
from peers.fcgi import Backend, dump, keeping

PASSWORDS = {"sha256": "one", "sha512": "two", "bcrypt": "thr\u00e9e", "yescrypt": "four",
             "empty": ""}


def hashed(user, password):
    if user == "bcrypt":
        return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 5))
    if user == "sha512":
        return crypt.crypt(password, "$6$rounds=5000$saltsalt$")
    if user == "yescrypt":
        return crypt.crypt(password, "$y$j9T$saltsaltsalt$")
    return crypt.crypt(password, "$5$saltsalt$")


def slow_hash(password):
    """bcrypt of about a quarter of a second."""
    return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 12))


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    lines = ["# people\n", "\n"]
    lines += [f"{user}:{hashed(user, password)}\n" for user, password in PASSWORDS.items()]
    lines += ["nohash:\n", "plain:secret\n", f"slow:{slow_hash('slow')}\n", "line without colon\n"]
    write_file(place / "users", "".join(lines))
    write_file(place / "public/index.html", "open\n")
    write_file(place / "files/x", "closed\n")
    with Backend(str(place / "app.sock"), keeping(dump)) as backend:
        with Gateway(place, f"""
            [site main]
            root = {place}/public
            [route main /]
            root = {place}/public
            [route main /app/]
            pool = app
            auth = basic
            auth_realm = the "inner" circle
            auth_file = {place}/users
            [route main /files/]
            root = {place}/files
            auth = basic
            auth_file = {place}/users
            [route main /git/]
            pool = app
            auth = basic
            auth_file = {place}/users
            auth_match = (service=|/)git-receive-pack
            [pool app]
            connect = unix:{place}/app.sock
            """) as gateway:
            gateway.backend = backend
            yield gateway


def basic(user, password):
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return [("Authorization", f"Basic {token}")]


@pytest.mark.parametrize("user", PASSWORDS)
def test_right_password(gateway, proto, user):
    response = gateway.fetch(proto, "/app/x", headers=basic(user, PASSWORDS[user]))
    assert response.status == 200
    assert response.env["REMOTE_USER"] == user
    assert response.env["AUTH_TYPE"] == "Basic"
    assert "HTTP_AUTHORIZATION" not in response.env  # RFC 3875 4.1.18


# fields, status
REFUSALS = [
    [],
    basic("sha256", "wrong"),
    basic("sha256", ""),
    basic("nobody", "one"),
    basic("", ""),
    basic("nohash", ""),
    basic("plain", "secret"),
    basic("plain", ""),
    basic("sha256", "one\0"),
    basic("sha256\0", "one"),
    basic("SHA256", "one"),
    basic("# people", ""),
    [("Authorization", "Basic")],
    [("Authorization", "Basic ???")],
    [("Authorization", "Basic b25l")],  # no colon
    [("Authorization", "Bearer abc")],
    [("Authorization", "Basic " + "A" * 20000)],
]


@pytest.mark.parametrize("fields", REFUSALS, ids=range(len(REFUSALS)))
@pytest.mark.parametrize("path", ["/app/x", "/files/x"])
def test_refused(gateway, path, fields):
    n = len(gateway.backend.requests)
    response = gateway.get(path, headers=fields)
    assert response.status == 401
    assert response.get("www-authenticate").startswith("Basic realm=")
    assert len(gateway.backend.requests) == n, "the application was asked"
    assert b"closed" not in response.body


def test_realm_is_quoted(gateway, proto):
    response = gateway.fetch(proto, "/app/x")
    assert response.get("www-authenticate").startswith(r'Basic realm="the \"inner\" circle"')


def test_scheme_is_case_insensitive(gateway):
    name, value = basic("sha256", "one")[0]
    assert gateway.get("/app/x", headers=[(name, value.replace("Basic", "bAsIC"))]).status == 200


def test_files(gateway, proto):
    response = gateway.fetch(proto, "/files/x", headers=basic("sha512", "two"))
    assert response.body == b"closed\n"


@pytest.mark.parametrize("path, status", [
    ("/git/r.git/info/refs?service=git-upload-pack", 200),
    ("/git/r.git/git-upload-pack", 200),
    ("/git/r.git/info/refs?service=git-receive-pack", 401),
    ("/git/r.git/git-receive-pack", 401),
    ("/git/r.git/%67it-receive-pack", 401),
])
def test_auth_match(gateway, proto, path, status):
    response = gateway.fetch(proto, path)
    assert response.status == status
    if status == 200:
        assert "REMOTE_USER" not in response.env
    else:
        response = gateway.fetch(proto, path, headers=basic("sha256", "one"))
        assert response.env["REMOTE_USER"] == "sha256"


def test_user_without_a_check_is_not_told(gateway):
    """Credentials on an open route are nobody's word."""
    response = gateway.get("/git/r.git/git-upload-pack", headers=basic("sha256", "wrong"))
    assert response.status == 200
    assert "REMOTE_USER" not in response.env


def test_body_waits_for_the_check(gateway):
    """Expect: 100-continue is not answered with 100 by a refusal."""
    response = gateway.get("/app/x", method="POST", headers=[
        ("Expect", "100-continue"), *basic("sha256", "no"), ("Content-Length", "1000000")])
    assert response.status == 401
    assert response.interim == []


def test_slow_hash_does_not_hold_others(gateway):
    """The check runs beside the event loops: plain requests keep being answered."""
    stop, times = threading.Event(), []

    def others():
        while not stop.is_set():
            begin = time.monotonic()
            assert gateway.get("/").status == 200
            times.append(time.monotonic() - begin)

    thread = threading.Thread(target=others)
    thread.start()
    checkers = [threading.Thread(target=gateway.get, args=("/app/x",), kwargs={
        "headers": basic("slow", f"wrong {i}")}) for i in range(6)]
    for checker in checkers:
        checker.start()
    for checker in checkers:
        checker.join()
    stop.set()
    thread.join()
    assert len(times) > 20, "others were held up"


def test_success_is_remembered(gateway):
    """A client with many requests pays for its slow hash once."""
    gateway.get("/app/x", headers=basic("slow", "slow"))
    begin = time.monotonic()
    for _ in range(20):
        assert gateway.get("/app/x", headers=basic("slow", "slow")).status == 200
    assert time.monotonic() - begin < 2
    assert gateway.get("/app/x", headers=basic("slow", "wrong")).status == 401


def test_file_that_goes_away_is_500(place, start):
    write_file(place / "users", "u:" + hashed("sha256", "p") + "\n")
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /]
        root = {place}/public
        auth = basic
        auth_file = {place}/users
        """)
    write_file(place / "public/x", "x")
    assert gateway.get("/x", headers=basic("u", "p")).status == 200
    (place / "users").unlink()
    proc.wait_until(lambda: gateway.get("/x", headers=basic("u", "p")).status == 500, 30, "500")
    gateway.wait_log("auth_file could not be read")


def test_curl_negotiates(gateway):
    for proto in ("--http1.1", "--http2"):
        done = subprocess.run([need("curl"), "-sk", proto, "--anyauth", "-u", "sha256:one",
                               gateway.url("h2", "/files/x")], capture_output=True, timeout=20)
        assert done.stdout == b"closed\n"
