"""Passwords in front of a site: files that htpasswd and openssl made, users and groups, satisfy,
files that change, and what wrong passwords cost."""
import base64
import crypt
import os
import re
import signal
import subprocess
from contextlib import ExitStack

import pytest

from lib import proc
from lib.apps import need, write_file
from lib.attacks import cpu_ms
from lib.client import dial, fetch, is_h2, scheme
from lib.gateway import Gateway
from peers.fcgi import Backend, dump, keeping

PROTOCOLS = ("h1", "h1s", "h2", "h2c")
LIMIT = 3
LOCAL = "127.0.0.1"  # exempt
FAR = "127.0.0.9"    # as LOCAL, but denied or allowed where a row says so

# user, how his line is made, whether he gets in
KINDS = [
    ("bcrypt", ["htpasswd", "-nbB", "-C", "4"], 200),
    ("slow", ["htpasswd", "-nbB", "-C", "9"], 200),
    ("apr1", ["htpasswd", "-nbm"], 200),
    ("sha256", ["htpasswd", "-nb2"], 200),
    ("sha512", ["htpasswd", "-nb5"], 200),
    ("rounds", ["htpasswd", "-nb5", "-r", "10000"], 200),
    ("ossl-apr1", ["openssl", "passwd", "-apr1"], 200),
    ("ossl-5", ["openssl", "passwd", "-5"], 200),
    ("ossl-6", ["openssl", "passwd", "-6"], 200),
    ("sha1", ["htpasswd", "-nbs"], 401),
    ("des", ["htpasswd", "-nbd"], 401),
    ("plain", ["htpasswd", "-nbp"], 401),
    ("ossl-1", ["openssl", "passwd", "-1"], 401),
]
WHY = {"sha1": "{SHA}", "des": "DES crypt", "plain": "plain text", "ossl-1": "MD5 crypt"}


def password_of(user):
    return f"of {user}, 17 chars"[:8] if user == "des" else f"of {user}, n\u00f6 more"


def line_of(user, command):
    """One line of a file, by the real program."""
    program, *options = command
    words = [password_of(user)] if program == "openssl" else [user, password_of(user)]
    out = subprocess.run([need(program), *options, *words], capture_output=True, check=True,
                         stdin=subprocess.DEVNULL).stdout.decode().strip()
    return (f"{user}:{out}" if program == "openssl" else out) + "\n"


def quick(user, password):
    """A line that costs little."""
    return subprocess.run([need("htpasswd"), "-nbB", "-C", "4", user, password],
                          capture_output=True, check=True).stdout.decode().strip() + "\n"


def basic(user, password):
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return [("Authorization", f"Basic {token}")]


ALICE, BOB, CAROL = (basic(user, f"{user}'s") for user in ("alice", "bob", "carol"))
WRONG = basic("alice", "wrong")
SAYS_YES = keeping(lambda request: b"Status: 200 OK\r\nVariable-REMOTE_USER: guest\r\n\r\n")
SAYS_NO = keeping(lambda request: b"Status: 302 Found\r\nLocation: http://login/\r\n\r\n")


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    write_file(place / "kinds", "# made\n" + "".join(line_of(*kind[:2]) for kind in KINDS))
    write_file(place / "users", quick("alice", "alice's") + quick("bob", "bob's")
               + quick("carol", "carol's"))
    write_file(place / "guess", "".join(
        quick(user, f"{user}'s") for n in range(4) for user in (f"victim{n}", f"known{n}"))
        + quick("dave", "dave's"))
    write_file(place / "groups", "staff: alice bob\nadmins: carol\n")
    for name in ("page", "open/page", "own/page", "users/page", "groups/page", "both/page"):
        write_file(place / "public" / name, "text")
    common = f"auth = basic\nauth_file = {place}/users\n"
    near = f"allow = {LOCAL}\n"
    ini = f"""
[site main]
root = {place}/public
[route main /kinds/]
pool = app
auth = basic
auth_file = {place}/kinds
[route main /guess/]
pool = app
auth = basic
auth_file = {place}/guess
[site closed]
host = closed.example
root = {place}/public
{common}auth_realm = closed
[route closed /open/]
root = {place}/public/open
auth = off
[route closed /own/]
root = {place}/public/own
auth_realm = own
[route closed /app/]
pool = app
[route closed = /moved]
redirect = /page
[route closed /users/]
root = {place}/public/users
auth_users = alice carol
[route closed /groups/]
root = {place}/public/groups
auth_groups = staff
auth_group_file = {place}/groups
[route closed /both/]
root = {place}/public/both
auth_users = alice
auth_groups = admins
auth_group_file = {place}/groups
[site any]
host = any.example
root = {place}/public
{common}{near}satisfy = any
[route any /app/]
pool = app
[route any /all/]
pool = app
satisfy = all
[route any /asks/]
pool = app
authorizer = yes
[route any /asks-no/]
pool = app
authorizer = no
[route any /no-auth/]
pool = app
auth = off
authorizer = no
[route any /deny/]
pool = app
deny = {FAR}
authorizer = no
[route any /push/]
pool = app
auth_match = now
[pool app]
connect = unix:{place}/app.sock
max_requests = 64
[pool yes]
connect = unix:{place}/yes.sock
[pool no]
connect = unix:{place}/no.sock
"""
    with ExitStack() as stack:
        for name, serve in (("app", keeping(dump)), ("yes", SAYS_YES), ("no", SAYS_NO)):
            stack.enter_context(Backend(str(place / f"{name}.sock"), serve))
        yield stack.enter_context(Gateway(
            place, ini, auth_failures=f"{LIMIT}/20m", client_exempt=f"{LOCAL} {FAR} unix:"))


# ---- kinds of hashes ----

@pytest.mark.parametrize("proto", PROTOCOLS)
def test_kinds(gateway, proto):
    for user, _, status in KINDS:
        right, wrong = basic(user, password_of(user)), basic(user, "of another")
        response = gateway.fetch(proto, "/kinds/x", headers=right)
        assert response.status == status, user
        if status == 200:
            env = response.env
            assert (env["REMOTE_USER"], env["AUTH_TYPE"]) == (user, "Basic")
            assert "HTTP_AUTHORIZATION" not in env  # RFC 3875 9.2
        assert gateway.fetch(proto, "/kinds/x", headers=wrong).status == 401, user


def test_weak_hashes_are_told_of(gateway):
    """With file and line, and never with what stands there."""
    names = [user for user, _, _ in KINDS]
    for user, why in WHY.items():
        number = names.index(user) + 2  # behind the comment
        line = gateway.wait_log(rf"/kinds:{number}: {user}: {re.escape(why)}")
        assert "warn" in line and "nobody can log in by this line" in line
    assert password_of("plain") not in gateway.log()


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_challenge(gateway, proto):
    """RFC 9110 11.6.1, RFC 7617 2.1; and never 407."""
    for headers in ([], [("Authorization", "Bearer x")], [("Authorization", "Basic")],
                    [("Authorization", "Basic !")], [("Proxy-Authorization", ALICE[0][1])]):
        response = gateway.fetch(proto, "/page", host="closed.example", headers=headers)
        assert response.status == 401
        assert response.all("www-authenticate") == ['Basic realm="closed", charset="UTF-8"']


# ---- sites, users and groups ----

# path, who may
INHERITED = [
    ("/page", "alice bob carol"), ("/none", "alice bob carol"), ("/moved", "alice bob carol"),
    ("/app/x", "alice bob carol"), ("/own/page", "alice bob carol"),
    ("/open/page", "alice bob carol nobody"),
    ("/users/page", "alice carol"), ("/groups/page", "alice bob"), ("/both/page", "alice carol"),
]


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_site(gateway, proto):
    """In front of files, a pool, a redirect and what is not there."""
    people = {"alice": ALICE, "bob": BOB, "carol": CAROL, "nobody": []}
    with dial(proto, gateway) as client:
        for path, may in INHERITED:
            for who, headers in people.items():
                response = client.fetch("GET", path, headers, None, "closed.example",
                                        *([scheme(proto)] if is_h2(proto) else []))
                refused = response.status == 401
                assert refused == (who not in may.split()), (path, who, response.status)
                if refused:
                    realm = "own" if path.startswith("/own/") else "closed"
                    assert f'realm="{realm}"' in response.get("www-authenticate")


def test_who_is_not_among_them_is_told_of(gateway):
    since = gateway.mark()
    assert gateway.get("/users/page", host="closed.example", headers=BOB).status == 401
    gateway.wait_log('EUNAUTHORIZED.*not in auth_users or auth_groups: user="bob"', since)


# ---- satisfy ----

# path, from, credentials, status, REMOTE_USER
SATISFY = [
    ("/app/", LOCAL, [], 200, None),
    ("/app/", LOCAL, ALICE, 200, None),   # nobody looked
    ("/app/", LOCAL, WRONG, 200, None),
    ("/app/", FAR, [], 401, None),        # not 403: there is a way in
    ("/app/", FAR, WRONG, 401, None),
    ("/app/", FAR, ALICE, 200, "alice"),
    ("/all/", LOCAL, [], 401, None),
    ("/all/", LOCAL, ALICE, 200, "alice"),
    ("/all/", FAR, ALICE, 403, None),
    ("/all/", FAR, [], 403, None),
    ("/asks/", LOCAL, [], 200, None),
    ("/asks/", FAR, [], 200, "guest"),
    ("/asks/", FAR, WRONG, 200, "guest"),
    ("/asks/", FAR, ALICE, 200, "alice"),
    ("/asks-no/", LOCAL, [], 200, None),
    ("/asks-no/", FAR, [], 302, None),
    ("/asks-no/", FAR, WRONG, 302, None),
    ("/asks-no/", FAR, ALICE, 200, "alice"),
    ("/no-auth/", LOCAL, [], 200, None),
    ("/no-auth/", FAR, ALICE, 302, None),
    ("/deny/", LOCAL, [], 302, None),     # not to be denied is no permission
    ("/deny/", LOCAL, ALICE, 200, "alice"),
    ("/deny/", FAR, ALICE, 200, "alice"),
    ("/push/pull", LOCAL, [], 200, None),
    ("/push/pull", FAR, ALICE, 403, None),  # no password is asked for here
    ("/push/now", FAR, ALICE, 200, "alice"),
    ("/push/now", FAR, [], 401, None),
    ("/page", FAR, ALICE, 200, None),
    ("/", FAR, [], 401, None),
]


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_satisfy(gateway, proto):
    for path, source, headers, status, user in SATISFY:
        response = fetch(proto, gateway, "GET", path, headers, host="any.example", source=source)
        row = (path, source, headers)
        assert response.status == status, row
        assert (response.get("www-authenticate") is None) == (status != 401), row
        if status == 200 and path != "/page":
            assert response.env.get("REMOTE_USER") == user, row


# ---- wrong passwords ----

@pytest.mark.parametrize("n, proto", list(enumerate(PROTOCOLS)), ids=PROTOCOLS)
def test_wrong_ones_end(gateway, n, proto):
    """Of one address; whoever was in today is, and another address has its own count."""
    source, other = f"127.0.1.{n + 1}", f"127.0.2.{n + 1}"
    since = gateway.mark()
    ask = lambda headers, source=source: fetch(proto, gateway, "GET", "/guess/x", headers,
                                               source=source)
    victim, known = (basic(f"{who}{n}", f"{who}{n}'s") for who in ("victim", "known"))
    assert ask(known).status == 200
    for i in range(LIMIT):
        assert ask(basic(f"victim{n}", f"guess {n} {i}")).status == 401
        assert ask([]).status == 401  # which is no guess
    refused = ask(basic(f"victim{n}", "one more"))
    assert refused.status == 429
    assert 1 <= int(refused.get("retry-after")) <= 20 * 60 // LIMIT + 1
    assert ask(victim).status == 429  # whether it is right is not told
    assert ask([]).status == 401
    assert ask(known).status == 200
    assert ask(victim, other).status == 200
    assert ask(victim).status == 200  # since it was right today
    for i in range(LIMIT):
        line = gateway.wait_log(rf"warn .* client={source}:\d+ .*EUNAUTHORIZED.*"
                                rf'realm="restricted" failures={i + 1} of {LIMIT}/20m', since)
        assert line.endswith(f'user="victim{n}"') and "guess" not in line.split("; ", 1)[1]
    gateway.wait_log(rf"client={source}:\d+ .*EAUTH_GUESSES.*auth_failures = {LIMIT}/20m", since)


@pytest.mark.parametrize("proto", PROTOCOLS)
def test_exempt(gateway, proto):
    for i in range(3 * LIMIT):
        assert gateway.fetch(proto, "/guess/x", headers=basic("known0", f"{i}")).status == 401


def test_a_right_one_ends_the_count(gateway):
    """The first time; later it buys no guesses at others."""
    ask = lambda user, password: fetch("h1", gateway, "GET", "/guess/x", basic(user, password),
                                       source="127.0.3.1").status
    for _ in range(LIMIT - 1):
        assert ask("dave", "wrong") == 401
    assert ask("dave", "dave's") == 200
    for _ in range(LIMIT):
        assert ask("victim0", "wrong") == 401
    assert ask("dave", "dave's") == 200
    assert ask("victim0", "wrong") == 429


@pytest.mark.parametrize("proto", ["h2", "h2c"])
def test_a_page_of_many(gateway, proto):
    """The first requests of a browser come at once: one verification, one attempt."""
    source = {"h2": "127.0.4.1", "h2c": "127.0.4.2"}[proto]
    headers = basic("slow", password_of("slow"))
    with dial(proto, gateway, source=source) as client:
        numbers = [client.request("GET", "/kinds/x", headers, scheme=scheme(proto))
                   for _ in range(40)]
        assert {client.response(number).status for number in numbers} == {200}
        wrong = basic("slow", "wrong")
        numbers = [client.request("GET", "/kinds/x", wrong, scheme=scheme(proto))
                   for _ in range(40)]
        assert {client.response(number).status for number in numbers} == {401}


# ---- files that change ----

def test_changes(place, start):
    users = place / "users"

    def replace(text):
        write_file(place / "new", text)
        os.rename(place / "new", users)

    def becomes(status, headers):
        proc.wait_until(lambda: gateway.get("/page", headers=headers).status == status, 30,
                        f"{status}")

    write_file(place / "public/page", "text")
    write_file(users, quick("alice", "alice's"))
    gateway = start(f"""
        [site main]
        root = {place}/public
        auth = basic
        auth_file = {users}
        """, tls=False)
    becomes(200, ALICE)
    replace(quick("alice", "another") + quick("bob", "bob's"))
    becomes(401, ALICE)
    becomes(200, BOB)
    write_file(users, quick("alice", "alice's"))  # in place
    becomes(401, BOB)
    becomes(200, ALICE)
    since = gateway.mark()
    users.unlink()
    becomes(500, ALICE)
    for _ in range(3):
        assert gateway.get("/page", headers=ALICE).status == 500
    assert gateway.get("/page").status == 401
    told = gateway.wait_log(f"error .*auth_file {users}: No such file or directory", since)
    assert gateway.log(since).count(told) == 1
    replace(quick("alice", "alice's"))
    becomes(200, ALICE)
    gateway.wait_log(f"auth_file {users}: read, 1 users", since)


# ---- floods ----

@pytest.mark.slow
@pytest.mark.threads
def test_flood(place, start):
    """Slow hashes fill their queue, not the machine: 503 with Retry-After, the rest is served."""
    slow = subprocess.run([need("htpasswd"), "-nbB", "-C", "12", "alice", "alice's"],
                          capture_output=True, check=True).stdout.decode()
    write_file(place / "slow", slow)
    write_file(place / "quick", quick("bob", "bob's"))
    write_file(place / "public/page", "text")
    write_file(place / "slow-files/page", "text")
    gateway = start(f"""
        [site main]
        root = {place}/public
        [route main /quick/]
        root = {place}/public
        auth = basic
        auth_file = {place}/quick
        [route main /slow/]
        root = {place}/slow-files
        auth = basic
        auth_file = {place}/slow
        """)
    assert gateway.get("/slow/page", headers=ALICE).status == 200  # how long one takes
    with dial("h2", gateway) as client:
        numbers = [client.request("GET", "/slow/page", basic("alice", f"{i}")) for i in range(99)]
        busy = []

        def refused():
            for number in numbers:
                stream = client.streams[number]
                if stream.response and stream.response.status == 503:
                    busy.append(number)
            return busy

        client.wait(refused, 30)
        response = client.response(busy[0])
        assert 1 <= int(response.get("retry-after")) <= 30
        assert gateway.get("/page").status == 200
        # another file's queue has its turn
        assert gateway.get("/quick/page", headers=BOB).status == 200
    gateway.stop(how=signal.SIGQUIT)
    gateway.wait_log("drained: limits met: .*auth_busy=")


# ---- what a refusal costs ----

@pytest.mark.parametrize("kind, command, n", [
    ("bcrypt", ["htpasswd", "-nbB", "-C", "9"], 10),
    ("apr1", ["htpasswd", "-nbm"], 600),
    ("yescrypt", None, 4),
])
def test_unknown_users_cost_as_much(place, start, kind, command, n):
    """As those who are there, by the gateway's CPU time: nobody learns who is there by his wait."""
    if command:
        line = line_of("alice", command)
    else:
        line = f"alice:{crypt.crypt('of alice', '$y$j9T$saltsaltsalt$')}\n"
    write_file(place / "users", line)
    write_file(place / "public/page", "text")
    gateway = start(f"""
        [site main]
        root = {place}/public
        auth = basic
        auth_file = {place}/users
        """, client_exempt="127.0.0.1")

    def cost(user, n):
        before = cpu_ms(gateway.gateway_pid())
        with dial("h1", gateway) as client:
            for i in range(n):
                assert client.fetch("GET", "/page", basic(user, f"guess {n} {i}")).status == 401
        return cpu_ms(gateway.gateway_pid()) - before

    cost("alice", 2)  # the first ones are of new threads and memory
    known, unknown = cost("alice", n), cost("nobody", n)
    assert 0.5 < unknown / known < 2, (known, unknown)
