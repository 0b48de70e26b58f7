"""authorizer = POOL: who may have what is asked of a FastCGI authorizer (FastCGI 6.3)."""
import base64
import os
import threading

import pytest

from lib import proc
from lib.apps import ENV_SCRIPT, app, write_file, write_script
from lib.client import dial
from lib.gateway import Gateway
from lib.h1 import H1, render
from peers.fcgi import AUTHORIZER, RESPONDER, Backend, answer, dump, echo, end_request, keeping

PROTOCOLS = ("h1", "h2", "h2c")
SECRET = b"protected page\n"
YES = b"Status: 200 OK\r\n\r\n"
NO = b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno\n"


def basic(pair):
    return ("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())


ALICE, MALLORY, BOB = basic("alice:secret"), basic("mallory:guess"), basic("bob:hunter2")


def said(text):
    """serve of an authorizer that says this."""
    return keeping(lambda request: text)


class Party:
    """The scripted authorizer and the application behind it."""

    def __init__(self, place):
        self.authorizer = Backend(str(place / "authorizer.sock"), said(YES))
        self.app = Backend(str(place / "app.sock"), keeping(dump))

    def reset(self):
        self.authorizer.serve, self.app.serve = said(YES), keeping(dump)
        self.authorizer.requests.clear()
        self.app.requests.clear()


@pytest.fixture(scope="module")
def one_party(module_place):
    party = Party(module_place)
    yield party
    for backend in (party.authorizer, party.app):
        backend.close()
        assert not backend.errors


@pytest.fixture
def party(one_party):
    one_party.reset()
    return one_party


@pytest.fixture(scope="module")
def gateway(module_place, one_party):
    place = module_place
    write_file(place / "public/page", SECRET)
    write_file(place / "public/big", b"x" * 3000000)
    (place / "public/folder").mkdir()
    write_script(place / "cgi/env", ENV_SCRIPT)
    ini = f"""
        [site main]
        root = {place}/public
        [route main /files/]
        root = {place}/public
        authorizer = scripted
        [route main /app/]
        pool = app
        authorizer = scripted
        [route main /cgi/]
        root = {place}/cgi
        pool = cgi
        authorizer = scripted
        [route main = /away]
        redirect = https://elsewhere.example/
        authorizer = scripted
        [route main /real/]
        root = {place}/public
        authorizer = real
        [route main /login/]
        root = {place}/public
        authorizer = login
        [route main /dead/]
        root = {place}/public
        authorizer = dead
        [route main = /dead-away]
        redirect = https://elsewhere.example/
        authorizer = dead
        [route main /open-app/]
        pool = app
        [site guarded]
        host = guarded.example
        root = {place}/public
        authorizer = scripted
        [route guarded /app/]
        pool = app
        [route guarded /free/]
        root = {place}/public
        authorizer = off
        [route guarded /other/]
        root = {place}/public
        authorizer = dead
        [pool scripted]
        connect = unix:{place}/authorizer.sock
        max_requests = 8
        keepalive = 0
        first_byte_timeout = 1s
        [pool app]
        connect = unix:{place}/app.sock
        max_requests = 8
        keepalive = 0
        [pool cgi]
        cgi = on
        [pool real]
        spawn = {app("authorizer")} --threads 4
        requests_per_process = 4
        env.USERS = alice:secret bob:hunter2
        env.BANNED = bob
        [pool login]
        spawn = {app("authorizer")}
        env.LOGIN = http://login.example/
        [pool dead]
        connect = unix:{place}/nobody.sock
        """
    with Gateway(place, ini) as gateway:
        yield gateway


# ---- libfcgi's ----

def test_allowed(gateway, proto):
    response = gateway.fetch(proto, "/real/page", headers=[ALICE])
    assert (response.status, response.body) == (200, SECRET)
    assert not [name for name, _ in response.headers if name.startswith("variable")]
    assert response.get("set-cookie") is None
    assert gateway.fetch(proto, "/real/page", method="HEAD", headers=[ALICE]).status == 200


def test_challenged(gateway, proto):
    for headers in ([], [MALLORY], [("Authorization", "Basic !")], [("Authorization", "x")]):
        response = gateway.fetch(proto, "/real/page", headers=headers)
        assert (response.status, response.body) == (401, b"Who are you?\n")
        assert response.all("www-authenticate") == ['Basic realm="hall"']
        assert response.get("variable-reason") is None
    head = gateway.fetch(proto, "/real/page", method="HEAD")
    assert (head.status, head.body) == (401, b"")


def test_refused(gateway, proto):
    response = gateway.fetch(proto, "/real/page", headers=[BOB])
    assert (response.status, response.body) == (403, b"bob is banned\n")
    assert response.get("content-type") == "text/plain"


def test_sent_to_the_login(gateway, proto):
    response = gateway.fetch(proto, "/login/page")
    assert (response.status, response.get("location")) == (302, "http://login.example/")


def test_who_it_was_is_logged(gateway):
    gateway.get("/real/page?logged", headers=[ALICE])
    gateway.wait_access(r' - alice \[.*"GET /real/page\?logged ')


# ---- what it is told, and what it says ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("path", ["/files/page", "/app/a/b", "/cgi/env/info", "/away"])
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"x" * 200000)],
                         ids=["GET", "POST"])
def test_what_is_asked(gateway, party, proto, path, method, body):
    gateway.fetch(proto, f"{path}?q=1", method=method, headers=[("X-Own", "1")], body=body)
    asked, = party.authorizer.requests
    told = asked.params
    assert (asked.role, asked.body) == (AUTHORIZER, b"")
    for name in ("CONTENT_LENGTH", "PATH_INFO", "PATH_TRANSLATED", "SCRIPT_NAME"):
        assert name not in told
    assert told["REQUEST_URI"] == f"{path}?q=1" and told["QUERY_STRING"] == "q=1"
    assert (told["REQUEST_METHOD"], told["HTTP_X_OWN"]) == (method, "1")
    assert told["REMOTE_ADDR"] == "127.0.0.1" and "REMOTE_USER" not in told


VARIABLES = (b"Status: 200 OK\r\nVariable-REMOTE_USER: alice\r\nVariable-AUTH_TYPE: Hall\r\n"
             b"Variable-Hall-Name: Alice W.\r\nVariable-HTTP_X_ROLE: admin\r\n"
             b"Variable-SCRIPT_FILENAME: /etc/passwd\r\nVariable-LD_PRELOAD: evil\r\n"
             b"Variable-PATH: /evil\r\nSet-Cookie: a=1\r\nContent-Type: text/plain\r\n\r\nignored")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_variables_reach_the_application(gateway, party, proto):
    party.authorizer.serve = said(VARIABLES)
    response = gateway.fetch(proto, "/app/x", headers=[("X-Role", "forged")])
    env = response.env
    assert (env["REMOTE_USER"], env["AUTH_TYPE"]) == ("alice", "Hall")
    assert (env["HALL_NAME"], env["HTTP_X_ROLE"]) == ("Alice W.", "admin")
    assert env["Hall-Name"] == "Alice W."  # as it was spelled, too
    assert env.get("SCRIPT_FILENAME") != "/etc/passwd"
    assert "LD_PRELOAD" not in env and "PATH" not in env
    assert not [name for name, _ in response.headers if name.startswith("variable")]
    assert response.get("set-cookie") is None and b"ignored" not in response.body
    gateway.wait_log('must not set a variable with "Variable-LD_PRELOAD"')


def test_variables_reach_a_script(gateway, party):
    party.authorizer.serve = said(VARIABLES)
    env = gateway.get("/cgi/env").env
    assert (env["REMOTE_USER"], env["HALL_NAME"]) == ("alice", "Alice W.")
    assert env["PATH"] != "/evil" and "LD_PRELOAD" not in env


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_client_cannot_forge_them(gateway, party, proto):
    headers = [("Variable-REMOTE_USER", "root"), ("Remote-User", "root"), ("Hall-Name", "x"),
               ("Auth-Type", "x")]
    env = gateway.fetch(proto, "/app/x", headers=headers).env
    assert not {"REMOTE_USER", "HALL_NAME", "AUTH_TYPE"} & set(env)
    assert env["HTTP_REMOTE_USER"] == "root"  # a field of the client's, and called so


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("path", ["/files/page", "/app/x", "/cgi/env", "/away", "/files/none",
                                  "/files/folder"])
@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"x" * 300000)],
                         ids=["GET", "POST"])
def test_refusal(gateway, party, proto, path, method, body):
    """... says nothing of what is there, and no application hears of the request."""
    party.authorizer.serve = said(
        b"Status: 402 Pay first\r\nContent-Type: text/plain\r\nX-Price: 1\r\nX-Price: 2\r\n"
        b"Set-Cookie: a=1\r\nVariable-X: y\r\n\r\n" + b"pay\n" * 50000)
    response = gateway.fetch(proto, path, method=method, body=body)
    assert (response.status, response.body) == (402, b"pay\n" * 50000)
    assert response.all("x-price") == ["1", "2"] and response.all("set-cookie") == ["a=1"]
    assert response.get("variable-x") is None and response.get("location") is None
    assert not party.app.requests
    if proto == "h1":
        assert response.reason == "Pay first"
        gateway.wait_log("site=main authorizer pool=scripted refused .*402")


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_redirect_is_the_clients(gateway, party, proto):
    """Also one to a path of the site, which an application's would be a local one."""
    party.authorizer.serve = said(b"Location: /open-app/login\r\n\r\n")
    response = gateway.fetch(proto, "/app/x")
    assert (response.status, response.get("location")) == (302, "/open-app/login")
    assert not party.app.requests


# ---- where it stands ----

def test_in_front_of_everything(gateway, party):
    assert gateway.get("/files/page").body == SECRET
    assert gateway.get("/files/none").status == 404
    assert gateway.get("/files/folder").status == 301
    assert gateway.get("/away").get("location") == "https://elsewhere.example/"
    assert len(party.authorizer.requests) == 4


def test_site_and_route(gateway, party):
    """The route's word before the site's; off for none."""
    party.authorizer.serve = said(NO)
    ask = lambda path: gateway.get(path, host="guarded.example").status
    assert [ask("/page"), ask("/app/x"), ask("/none")] == [403, 403, 403]
    assert len(party.authorizer.requests) == 3
    assert ask("/free/page") == 200 and ask("/free/none") == 404
    assert ask("/other/page") in (502, 503)
    assert gateway.get("/page").status == 200  # another site
    assert len(party.authorizer.requests) == 3


def test_local_redirect_is_asked_about(gateway, party):
    """An application behind no authorizer sends to where one is."""
    party.app.serve = keeping(lambda request: b"Location: /files/page?x\r\n\r\n")
    party.authorizer.serve = said(NO)
    assert gateway.get("/open-app/").status == 403
    assert party.authorizer.requests[0].params["REQUEST_URI"] == "/files/page?x"
    party.authorizer.serve = said(YES)
    assert gateway.get("/open-app/").body == SECRET


def test_conditions_come_after(gateway, party):
    tag = gateway.get("/files/page").get("etag")
    party.authorizer.serve = said(NO)
    assert gateway.get("/files/page", headers=[("If-None-Match", tag)]).status == 403
    party.authorizer.serve = said(YES)
    assert gateway.get("/files/page", headers=[("If-None-Match", tag)]).status == 304
    assert gateway.get("/files/page", headers=[("Range", "bytes=0-3")]).body == SECRET[:4]


# ---- the body waits ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_body_is_held_and_delivered_whole(gateway, party, proto):
    data = os.urandom(2 << 20)
    asked, allow = threading.Event(), threading.Event()

    def serve(conn):
        request = conn.request()
        asked.set()
        assert allow.wait(15)
        conn.send(answer(request.number, YES))

    party.authorizer.serve, party.app.serve = serve, keeping(echo)
    found = []

    def send():
        found.append(gateway.fetch(proto, "/app/x", method="POST", body=data))

    thread = threading.Thread(target=send)
    thread.start()
    assert asked.wait(15)
    assert not party.app.requests
    allow.set()
    thread.join(30)
    assert found[0].status == 200 and found[0].body == data
    assert party.app.requests[0].role == RESPONDER
    assert party.app.requests[0].params["CONTENT_LENGTH"] == str(len(data))


def test_continue_only_once_allowed(gateway, party):
    head = render("POST", "/app/x", [("Expect", "100-continue"), ("Content-Length", "5")])
    party.app.serve = keeping(echo)
    with H1(gateway.address()) as client:
        client.send(head)
        assert client.head().status == 100
        client.send(b"hello")
        assert client.response().body == b"hello"
    party.authorizer.serve = said(NO)
    with H1(gateway.address()) as client:
        client.send(head)
        response = client.response()
        assert (response.status, response.interim) == (403, [])


# ---- what goes wrong ----

@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("path", ["/dead/page", "/dead/none", "/dead/folder", "/dead-away"])
def test_dead(gateway, proto, path):
    """Nobody to ask: nothing is told, whether or not it is there."""
    response = gateway.fetch(proto, path)
    assert response.status in (502, 503)
    assert response.get("location") is None and b"protected" not in response.body
    assert response.get("etag") is None
    gateway.wait_log("pool=dead")


def cut(conn):
    conn.request()


def fails_behind_yes(conn):
    number = conn.request().number
    conn.send(answer(number, YES)[:-16] + end_request(number, 1))


def dies_behind_yes(conn):
    conn.send(answer(conn.request().number, YES)[:-24])


def garbage(conn):
    conn.request()
    conn.send(b"HTTP/1.1 200 OK\r\n\r\n")


def no_head(conn):
    conn.send(answer(conn.request().number, b""))


def other_role(conn):
    number = conn.request().number
    conn.send(end_request(number, 0, 3))


def silent(conn):
    conn.request()
    conn.wait_end()


@pytest.mark.parametrize("proto", PROTOCOLS)
@pytest.mark.parametrize("serve, status", [
    (cut, 502), (fails_behind_yes, 502), (dies_behind_yes, 502), (garbage, 502), (no_head, 502),
    (other_role, 502), (silent, 504),
], ids=lambda value: getattr(value, "__name__", value))
def test_faults(gateway, party, proto, serve, status):
    party.authorizer.serve = serve
    response = gateway.fetch(proto, "/app/x", method="POST", body=b"x" * 100000)
    assert response.status == status
    assert not party.app.requests
    party.reset()
    proc.wait_until(lambda: gateway.fetch(proto, "/files/page").status == 200, 10, "in rotation")


@pytest.mark.threads
@pytest.mark.parametrize("proto", PROTOCOLS)
def test_client_gone_while_it_is_asked(gateway, party, proto):
    asked, ends = threading.Event(), []

    def serve(conn):
        conn.request()
        asked.set()
        ends.append(conn.wait_end())

    party.authorizer.serve = serve
    with dial(proto, gateway) as client:
        client.request("GET", "/files/page")
        assert asked.wait(10)
    proc.wait_until(lambda: ends, 10, "the authorizer's request ends")
    party.reset()
    assert gateway.fetch(proto, "/files/page").body == SECRET


@pytest.mark.threads
def test_many_at_once(gateway, party):
    """Each request gets its own variables."""
    party.authorizer.serve = keeping(
        lambda request: b"Variable-WHO: " + request.params["HTTP_X_ME"].encode() + b"\r\n\r\n")
    wrong = []

    def ask(name):
        proto = PROTOCOLS[name % 3]
        with dial(proto, gateway) as client:
            for i in range(20):
                me = f"{name}-{i}"
                options = {"scheme": "http"} if proto == "h2c" else {}
                response = client.fetch("GET", "/app/x", [("X-Me", me)], **options)
                if response.status != 200 or response.env["WHO"] != me:
                    wrong.append((me, response))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
