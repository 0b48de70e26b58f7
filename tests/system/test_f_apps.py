"""Real FastCGI applications: libfcgi in C, php-fpm, php-cgi, Perl's CGI::Fast."""
import concurrent.futures
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib import proc
from lib.apps import PhpFpm, app, need, write_file, write_script
from lib.client import curl
from lib.gateway import is_root
from lib.h1 import H1
from lib.message import Refused, Truncated

PHP = """<?php
header("Content-Type: text/plain");
setcookie("one", "1"); setcookie("two", "2");
echo $_SERVER["REQUEST_METHOD"], " ", $_SERVER["SCRIPT_NAME"], " ",
    $_SERVER["PATH_INFO"] ?? "-", " ", $_GET["q"] ?? "-", " ", $_POST["p"] ?? "-", " ",
    isset($_FILES["f"]) ? sha1_file($_FILES["f"]["tmp_name"]) : "-", " ",
    strlen(file_get_contents("php://input")), "\\n";
"""
FAST = """\
    #!/usr/bin/perl
    use CGI::Fast;
    my $n = 0;
    while (my $q = CGI::Fast->new) {
        $n++;
        print $q->header("text/plain"), "$$ $n ", $q->param("name") // "", "\\n";
    }
    """


def spawn_ini(place, command, route="/app/", **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main {route}]\npool = app\n"
            f"[pool app]\nspawn = {command}\n{lines}")


# ---- libfcgi ----

def test_hello(place, start, proto):
    gateway = start(spawn_ini(place, app("hello")))
    assert gateway.fetch(proto, "/app/you").body == b"Hello, you\n"
    assert len(gateway.pool_pids("hello")) == 1


@pytest.mark.threads
def test_idle_connections_pin_nobody(place, start):
    """4 threads of libfcgi, two workers, many clients: nothing hangs, nothing waits long."""
    gateway = start(spawn_ini(place, f"{app('hello')} --threads 4", requests_per_process=4,
                              queue=1000), workers=2)

    def some(_):
        with H1(gateway.address(), timeout=30) as client:
            for _ in range(40):
                assert client.fetch("GET", "/app/").body == b"Hello, World\n"

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(some, range(16)))


def test_connections_move_between_workers(place, start):
    """One application thread, and a kept connection in one worker: the other gets served."""
    gateway = start(spawn_ini(place, app("hello")), workers=2)
    clients = [H1(gateway.address()) for _ in range(6)]  # over both workers
    begin = time.monotonic()
    for _ in range(30):
        for client in clients:
            assert client.fetch("GET", "/app/").status == 200
    assert time.monotonic() - begin < 10
    for client in clients:
        client.close()


def test_unread_body_of_libfcgi(place, start):
    """More than 8 KiB of unread STDIN makes libfcgi close a kept connection: none is lost."""
    gateway = start(spawn_ini(place, f"{app('hello')} --threads 2", requests_per_process=2))
    for size in [0, 100, 8192, 9000, 100000, 1000000] * 5:
        response = gateway.get("/app/", method="POST", body=b"x" * size)
        assert (response.status, response.body) == (200, b"Hello, World\n")


def test_echo_of_libfcgi(place, start, proto):
    gateway = start(spawn_ini(place, app("echo")))
    data = os.urandom(3 << 20)
    assert gateway.fetch(proto, "/app/", method="POST", body=data).body == data


def test_processes(place, start):
    gateway = start(spawn_ini(place, app("hello"), processes=3))
    proc.wait_until(lambda: len(gateway.pool_pids("hello")) == 3, 10, "three processes")
    assert gateway.get("/app/").status == 200


@pytest.mark.slow
@pytest.mark.threads
def test_kill_amid_requests(place, start):
    """kill -9 amid a thousand requests: those under way get 502 or are retried, the rest
    succeed, and the pool is whole again soon."""
    gateway = start(spawn_ini(place, f"{app('hello')} --threads 4", processes=2,
                              requests_per_process=4, queue=1000, queue_timeout="20s"))
    victim = proc.wait_until(lambda: gateway.pool_pids("hello"), 10, "processes")[0]
    statuses, lock = [], threading.Lock()

    def some(_):
        with H1(gateway.address(), timeout=30) as client:
            for _ in range(125):
                status = client.fetch("GET", "/app/").status
                with lock:
                    statuses.append(status)
                if len(statuses) == 300:
                    os.kill(victim, signal.SIGKILL)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))
    assert len(statuses) == 1000
    failed = [status for status in statuses if status != 200]
    assert len(failed) <= 8 and set(failed) <= {502}, failed
    begin = time.monotonic()
    proc.wait_until(lambda: len(gateway.pool_pids("hello")) == 2, 10, "a whole pool")
    print(f"whole again after {time.monotonic() - begin:.3f} s, {len(failed)} times 502")
    gateway.wait_log(r"pool=app.*(signal 9|SIGKILL)|(signal 9|SIGKILL).*pool=app")


def test_application_stderr_is_logged(place, start):
    script = write_script(place / "noisy.sh", f"#!/bin/sh\necho starting up >&2\n"
                          f"exec {app('hello')}\n")
    gateway = start(spawn_ini(place, script))
    assert gateway.get("/app/").status == 200
    assert "pool=app" in gateway.wait_log("starting up")


def test_environment_of_a_process(place, start):
    """env.NAME of the pool, PATH, the mark, and nothing else of ours."""
    script = write_script(place / "app.sh", f"#!/bin/sh\nenv > {place}/environment\n"
                          f"exec {app('hello')}\n")
    (place / "environment").write_text("")
    (place / "environment").chmod(0o666)
    gateway = start(spawn_ini(place, script, **{"env.APP_HOME": "/srv/app"}))
    assert gateway.get("/app/").status == 200
    names = dict(line.partition("=")[::2]
                 for line in (place / "environment").read_text().splitlines())
    assert names["APP_HOME"] == "/srv/app"
    assert names["PATH"]
    assert not [name for name in names if name != "H2CGI_PROCESS" and
                ("H2CGI" in name or "PYTEST" in name)]


def test_arguments_of_spawn(place, start):
    script = write_script(place / "app.sh", f'#!/bin/sh\nprintf "%s\\n" "$@" > {place}/args\n'
                          f"exec {app('hello')}\n")
    (place / "args").write_text("")
    (place / "args").chmod(0o666)
    gateway = start(spawn_ini(place, f'{script} --fast "two words" $HOME *'))
    assert gateway.get("/app/").status == 200
    assert (place / "args").read_text().splitlines() == ["--fast", "two words", "$HOME", "*"]


# ---- PHP ----

@pytest.fixture
def php_site(place):
    write_file(place / "public/index.php", PHP)
    write_file(place / "public/trap.txt", "<?php echo 'ran';")
    return f"[site main]\nroot = {place}/public\nindex = index.php\n" \
           f"[route main /]\nroot = {place}/public\n[route main *.php]\npool = php\n"


def check_php(gateway, proto, place):
    response = gateway.fetch(proto, "/index.php/some/info?q=a%20b")
    assert response.text == "GET /index.php /some/info a b - - 0\n"
    assert [cookie.split(";")[0] for cookie in response.all("set-cookie")] == ["one=1", "two=2"]
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    response = gateway.fetch(proto, "/index.php", method="POST", headers=form, body=b"p=hello")
    assert response.text == "POST /index.php - - hello - 7\n"
    pieces = [b"p=", b"x" * 50000]  # unknown length
    response = gateway.fetch(proto, "/index.php", method="POST", headers=form, body=pieces)
    assert response.text.endswith(" - 50002\n")
    assert gateway.fetch(proto, "/").text.startswith("GET /index.php ")
    assert b"ran" not in gateway.fetch(proto, "/trap.txt/x.php").body
    upload = write_file(place / "upload.bin", os.urandom(300000))
    import hashlib
    response = curl(proto, gateway, "/index.php", "-F", f"f=@{upload}")
    assert hashlib.sha1(upload.read_bytes()).hexdigest() in response.text


def test_php_fpm(place, start, php_site, proto):
    with PhpFpm(place) as fpm:
        gateway = start(php_site + f"[pool php]\nconnect = unix:{fpm.socket}\n"
                        "max_requests = 2\n")
        check_php(gateway, proto, place)


def test_php_fpm_children_are_not_pinned(place, start, php_site):
    """Two children, two workers, more clients than children."""
    with PhpFpm(place, children=2) as fpm:
        gateway = start(php_site + f"[pool php]\nconnect = unix:{fpm.socket}\n"
                        "max_requests = 2\nqueue = 1000\n")
        clients = [H1(gateway.address(), timeout=30) for _ in range(8)]
        for _ in range(10):
            for client in clients:
                client.request("GET", "/index.php")
            for client in clients:
                assert client.response().status == 200


def test_php_fpm_that_recycles_its_children(place, start, php_site):
    with PhpFpm(place, children=2, extra="pm.max_requests = 5\n") as fpm:
        gateway = start(php_site + f"[pool php]\nconnect = unix:{fpm.socket}\n"
                        "max_requests = 2\n")
        with H1(gateway.address()) as client:
            assert [client.fetch("GET", "/index.php").status for _ in range(60)] == [200] * 60


def test_php_cgi_with_children(place, start, php_site, proto):
    """One command with its own children on the shared socket; all end with it."""
    gateway = start(php_site + f"[pool php]\nspawn = {need('php-cgi8.2')}\n"
                    "requests_per_process = 2\nenv.PHP_FCGI_CHILDREN = 2\n"
                    "env.PHP_FCGI_MAX_REQUESTS = 20\n")
    check_php(gateway, proto, place)
    (parent,) = gateway.pool_pids("php-cgi")
    workers = proc.wait_until(lambda: proc.children(parent), 10, "php's children")
    assert len(workers) == 2
    with H1(gateway.address()) as client:
        assert [client.fetch("GET", "/index.php").status for _ in range(100)] == [200] * 100


# ---- Perl ----

def test_cgi_fast(place, start, proto):
    gateway = start(spawn_ini(place, write_script(place / "fast.pl", FAST)))
    seen = [gateway.fetch(proto, f"/app/?name=n{i}").text.split() for i in range(5)]
    assert [words[2] for words in seen] == [f"n{i}" for i in range(5)]
    assert len({words[0] for words in seen}) == 1, "one process answers"
    assert [int(words[1]) for words in seen] == list(range(int(seen[0][1]), int(seen[0][1]) + 5))


def test_cgi_fast_that_ends_when_it_likes(place, start):
    """Exits after three answers: nothing is lost, it is started again at once."""
    script = write_script(place / "fast.pl", FAST.replace("$n++;", "$n++; my $last = $n == 3;")
                          .replace('"\\n";\n', '"\\n";\n        last if $last;\n'))
    gateway = start(spawn_ini(place, script, queue_timeout="20s"))
    statuses = []
    for _ in range(12):
        try:
            statuses.append(gateway.get("/app/?name=x").status)
        except (Refused, Truncated):
            statuses.append(0)
    assert statuses == [200] * 12


# ---- TCP ----

def test_backend_over_tcp(place, start, proto):
    from lib.ports import free_port
    port = free_port()
    server = subprocess.Popen([need("spawn-fcgi"), "-n", "-a", "127.0.0.1", "-p", str(port),
                               "--", app("hello")], stdin=subprocess.DEVNULL)
    try:
        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        proc.wait_until(listening, 10, "the application's port")
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /app/]
            pool = app
            [pool app]
            connect = 127.0.0.1:{port}
            max_requests = 1
            """)
        assert gateway.fetch(proto, "/app/tcp").body == b"Hello, tcp\n"
    finally:
        server.terminate()
        server.wait(10)


# ---- git ----

GIT_TIMEOUT_S = 15


class Git:
    """git in a folder of its own, with everything it starts in a process group."""

    def __init__(self, place, http):
        self.place = place
        self.command = [need("git"), "-c", f"http.version={http}", "-c",
                        "http.postBuffer=65536", "-c", "user.name=t", "-c",
                        "user.email=t@example.org"]
        self.environment = {**os.environ, "HOME": str(place), "GIT_SSL_NO_VERIFY": "1",
                            "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}

    def status(self, *args):
        """Its exit status; TimeoutExpired once all of it is killed."""
        run = subprocess.Popen([*self.command, *args], cwd=self.place, env=self.environment,
                               stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            return run.wait(GIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            raise

    def __call__(self, *args):
        assert self.status(*args) == 0, args


def push_that_may_hang(git, gateway, *args):
    """git push over HTTP/2, up to three times.

    A body of unknown length can stop for ever in the client, curl 7.88 with git 2.39: when the
    body's end is read while nghttp2 has frames to write, curl (Curl_http2_done_sending) sets
    KEEP_SEND again and so calls git's read function once more after its end of file; git then
    reads from a pipe that nobody writes to.  The request never ends, so there is nothing to
    answer.  Once the client is gone the gateway has to end what waits, and serve on.
    """
    for _ in range(3):
        try:
            assert git.status("-C", "one", "push", "-q", *args) == 0
            return
        except subprocess.TimeoutExpired:
            proc.wait_until(lambda: gateway.pool_pids("h2cgi-run") and
                            not scripts_of(gateway), 10, "the end of what waited")
            assert gateway.get("/").status == 200
    pytest.fail("git push hung three times")


def scripts_of(gateway):
    return [pid for runner in gateway.pool_pids("h2cgi-run") for pid in proc.descendants(runner)]


def git_site(place):
    """A bare repository that anybody may read and alice may write."""
    import crypt
    git = Git(place, "HTTP/1.1")
    git("init", "-q", "--bare", "git/r.git")
    git("-C", "git/r.git", "config", "http.receivepack", "true")
    if is_root():
        subprocess.run(["chown", "-R", "www-data", place / "git"], check=True)
    write_file(place / "users", "alice:" + crypt.crypt("pw", "$5$saltsalt$") + "\n")
    write_file(place / "public/index.html", "front\n")
    return f"""
        [site main]
        root = {place}/public
        [route main /]
        root = {place}/public
        [route main /git/]
        pool = scripts
        script = /usr/lib/git-core/git-http-backend
        env.GIT_PROJECT_ROOT = {place}/git
        env.GIT_HTTP_EXPORT_ALL = 1
        auth = basic
        auth_realm = git
        auth_file = {place}/users
        auth_match = (service=|/)git-receive-pack
        [pool scripts]
        cgi = on
        max_requests = 2
        env.HOME = {place}
        """


# git speaks no h2c by prior knowledge
@pytest.mark.parametrize("scheme, http", [
    ("http", "HTTP/1.1"), pytest.param("https", "HTTP/1.1", marks=pytest.mark.slow),
    ("https", "HTTP/2")])
def test_git(place, start, http, scheme):
    """clone by anybody, push with a password; bodies gzip'd and in chunks of unknown length."""
    gateway = start(git_site(place))
    git = Git(place, http)
    base = f"{scheme}://127.0.0.1:{gateway.ports[scheme]}/git/r.git"
    git("clone", "-q", base, "one")
    write_file(place / "one/big", os.urandom(1 << 20))
    git("-C", "one", "add", "big")
    git("-C", "one", "commit", "-q", "-m", "big")
    assert git.status("-C", "one", "push", "-q", base, "HEAD:main") != 0
    as_alice = base.replace("://", "://alice:pw@")
    if http == "HTTP/2":
        push_that_may_hang(git, gateway, as_alice, "HEAD:main")
    else:
        git("-C", "one", "push", "-q", as_alice, "HEAD:main")
    git("clone", "-q", "-b", "main", base, "two")
    assert (place / "two/big").read_bytes() == (place / "one/big").read_bytes()
