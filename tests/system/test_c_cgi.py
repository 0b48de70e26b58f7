"""CGI programs behind runners, RFC 3875, over HTTP/1.1, h2 and h2c."""
import re
import time

import pytest

from lib import proc
from lib.apps import ENV_SCRIPT, app, write_file, write_script
from lib.client import dial, is_h2, is_tls, scheme
from lib.gateway import Gateway
from lib.h1 import H1
from lib.message import Refused, Truncated

SCRIPTS = {
    "env": ENV_SCRIPT,
    "args": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\n'
            'for a in "$@"; do echo "[$a]"; done\n',
    "pwd": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; pwd; echo "$PATH"\n',
    "fds": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; ls -l /proc/$$/fd\n'
           'grep -E "^Sig(Blk|Ign)" /proc/self/status\n',
    "cat": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; cat\n',
    "sum": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; sha256sum\n',
    "length": '#!/usr/bin/perl\nread(STDIN, my $b, $ENV{CONTENT_LENGTH});\n'
              'print "Content-Type: text/plain\\n\\n", length $b;\n',
    "status": '#!/bin/sh\nprintf "Status: 418 Short and stout\\nContent-Type: text/plain\\n\\n'
              'pot\\n"\n',
    "status-only": '#!/bin/sh\nprintf "Status: 204\\n\\n"\n',
    "not-modified": '#!/bin/sh\nprintf "Status: 304\\nETag: \\"x\\"\\n\\n"\n',
    "cookies": '#!/bin/sh\nprintf "Set-Cookie: a=1\\nSet-Cookie: b=2\\nSet-Cookie: c=3, d\\n'
               'Content-Type: text/plain\\n\\nx"\n',
    "hop": '#!/bin/sh\nprintf "Connection: close, X-Named\\nKeep-Alive: timeout=5\\n'
           'Proxy-Connection: close\\nTransfer-Encoding: chunked\\nUpgrade: h2c\\n'
           'Content-Type: text/plain\\nX-Kept: yes\\n\\nx"\n',
    "nph-raw": '#!/bin/sh\nprintf "HTTP/1.1 299 Own words\\r\\nContent-Type: text/plain\\r\\n'
               'Set-Cookie: a=1\\r\\nSet-Cookie: b=2\\r\\n\\r\\nraw\\n"\n',
    "redirect-local": '#!/bin/sh\nprintf "Location: /cgi/env/from?redirected=1\\n\\n"\n',
    "redirect-file": '#!/bin/sh\nprintf "Location: /page.txt\\n\\n"\n',
    "redirect-loop": '#!/bin/sh\nprintf "Location: /cgi/redirect-loop\\n\\n"\n',
    "redirect-count": '#!/bin/sh\nn=${QUERY_STRING:-0}\nif [ $n -lt ${PATH_INFO#/} ]; then\n'
                      'printf "Location: /cgi/redirect-count$PATH_INFO?$((n+1))\\n\\n"\nelse\n'
                      'printf "Content-Type: text/plain\\n\\nafter $n"\nfi\n',
    "redirect-away": '#!/bin/sh\nprintf "Location: https://other.example/x\\n\\n"\n',
    "redirect-status": '#!/bin/sh\nprintf "Status: 303\\nLocation: /page.txt\\n'
                       'Content-Type: text/plain\\n\\nlook there"\n',
    "noise": '#!/bin/sh\necho "first complaint" >&2\necho "second complaint" >&2\n'
             'printf "Content-Type: text/plain\\n\\nok"\nprintf "no newline" >&2\n',
    "exit-3": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nok"\nexit 3\n',
    "dies": '#!/bin/sh\nkill -SEGV $$\n',
    "silent-exit": '#!/bin/sh\nexit 7\n',
    "short": '#!/bin/sh\nprintf "Content-Length: 100\\nContent-Type: text/plain\\n\\nabc"\n',
    "long": '#!/bin/sh\nprintf "Content-Length: 3\\nContent-Type: text/plain\\n\\nabcdef"\n',
    "no-stdin": '#!/bin/sh\nexec <&-\nprintf "Content-Type: text/plain\\n\\nnot read"\n',
    "big": '#!/bin/sh\nprintf "Content-Type: application/octet-stream\\n\\n"\n'
           'head -c 20000000 /dev/zero\n',
    "big-noise": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\n'
                 'i=0; while [ $i -lt 2000 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); '
                 'done\n',
    "perl": '#!/usr/bin/perl\nuse CGI;\nmy $q = CGI->new;\n'
            'print $q->header(-charset => "utf-8"), $q->param("name"), " ", $q->self_url;\n',
    "no-newline-head": '#!/bin/sh\nprintf "Content-Type: text/plain"\n',
    "bad-interpreter": "#!/no/such/interpreter\n",
    "dir/deep": ENV_SCRIPT,
}

SLOW = {
    # says where it is and waits to be told to go on: no timing decides
    "steps": '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nfirst\\n"\n'
             'while [ ! -e "$QUERY_STRING" ]; do sleep 0.02; done\necho second\n',
    "forever": '#!/bin/sh\necho $$ > "$QUERY_STRING"\n'
               'printf "Content-Type: text/plain\\n\\nstarted\\n"\nwhile :; do sleep 1; done\n',
    # ignores TERM and leaves children in sessions of their own, with no pipes of ours
    "stubborn": '#!/usr/bin/perl\nuse POSIX;\n$SIG{TERM} = "IGNORE";\n'
                'my $file = $ENV{QUERY_STRING};\n'
                'for (1 .. 2) { next if fork; POSIX::setsid(); fork and exit;\n'
                '  open my $f, ">>", $file; print $f "$$\\n"; close $f;\n'
                '  open STDIN, "</dev/null"; open STDOUT, ">/dev/null";\n'
                '  open STDERR, ">/dev/null"; sleep 1 while 1; }\n'
                'open my $f, ">>", $file; print $f "$$\\n"; close $f;\n'
                '$| = 1; print "Content-Type: text/plain\\n\\nstarted\\n"; sleep 1 while 1;\n',
}


@pytest.fixture(scope="module")
def gateway(module_place):
    place = module_place
    for name, text in {**SCRIPTS, **SLOW}.items():
        write_script(place / "cgi" / name, text)
    write_script(place / "cgi/compiled", "").write_bytes(app("cgi_hello").read_bytes())
    write_file(place / "cgi/plain.txt", "not a program").chmod(0o644)
    write_file(place / "public/page.txt", "a page\n")
    (place / "pids").mkdir()
    (place / "pids").chmod(0o777)
    with Gateway(place, f"""
        [site main]
        root = {place}/public
        [route main /]
        root = {place}/public
        [route main /cgi/]
        pool = scripts
        root = {place}/cgi
        env.FROM_ROUTE = route value
        [route main /quick/]
        pool = quick
        root = {place}/cgi
        [route main /one/]
        pool = scripts
        script = {place}/cgi/env
        [pool scripts]
        cgi = on
        max_requests = 4
        env.FROM_POOL = pool value
        [pool quick]
        cgi = on
        max_requests = 2
        timeout = 700ms
        """) as gateway:
        yield gateway


@pytest.fixture(params=["h1", "h2", "h2c"])
def proto(request):
    return request.param


# ---- environment, RFC 3875 4.1 ----

def test_environment(gateway, proto):
    response = gateway.fetch(proto, "/cgi/env/path%20info?a=b&c", host="localhost:81",
                             method="POST", headers=[("Content-Type", "text/x"),
                                                     ("X-Mine", "v")], body=b"abc")
    env = response.env
    place = gateway.place
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/cgi/env",
        "PATH_INFO": "/path info",
        "PATH_TRANSLATED": f"{place}/public/path info",
        "SCRIPT_FILENAME": f"{place}/cgi/env",
        "QUERY_STRING": "a=b&c",
        "REQUEST_URI": "/cgi/env/path%20info?a=b&c",
        "CONTENT_LENGTH": "3",
        "CONTENT_TYPE": "text/x",
        "SERVER_NAME": "localhost",
        "HTTP_HOST": "localhost:81",
        "HTTP_X_MINE": "v",
        "REMOTE_ADDR": "127.0.0.1",
        "FROM_ROUTE": "route value",
        "FROM_POOL": "pool value",
    }
    got = {name: env.get(name) for name in expected}
    if env.get("PATH_TRANSLATED") == f"{place}/cgi/path info":  # the route's root is as good
        expected["PATH_TRANSLATED"] = env["PATH_TRANSLATED"]
    assert got == expected
    assert env.get("HTTPS") == ("on" if is_tls(proto) else None)
    assert env["PATH"]
    assert "HTTP_PROXY" not in env


def test_environment_is_clean(gateway):
    """Nothing of the gateway's own environment, nothing of FastCGI's; H2CGI_REQUEST and
    H2CGI_PROCESS are what runner and spawner know descendants by."""
    env = gateway.get("/cgi/env").env
    for name in set(env) - {"H2CGI_REQUEST", "H2CGI_PROCESS"}:
        assert not re.match(r"FCGI|LISTEN_|ASAN|UBSAN|TSAN|PYTEST|H2CGI", name), name


def test_httpoxy(gateway, proto):
    response = gateway.fetch(proto, "/cgi/env", headers=[("Proxy", "http://evil.example")])
    assert "HTTP_PROXY" not in response.env


def test_script_of_a_route(gateway, proto):
    env = gateway.fetch(proto, "/one/and/more").env
    assert env["SCRIPT_NAME"] == "/one"
    assert env["PATH_INFO"] == "/and/more"


def test_script_in_a_folder(gateway, proto):
    """The first component that is a file is the script, however deep."""
    env = gateway.fetch(proto, "/cgi/dir/deep/more").env
    assert env["SCRIPT_NAME"] == "/cgi/dir/deep"
    assert env["PATH_INFO"] == "/more"


def test_working_directory_and_path(gateway):
    lines = gateway.get("/cgi/pwd").lines
    assert lines[0] == f"{gateway.place}/cgi"  # RFC 3875 7.2
    assert "/usr/bin" in lines[1]


def test_descriptors_and_signals(gateway):
    """Three descriptors, none of ours; no signal blocked or ignored."""
    text = gateway.get("/cgi/fds").text
    numbers = {int(m) for m in re.findall(r" (\d+) -> ", text)}
    assert numbers - {255, 10, 3} == {0, 1, 2}  # the shell's own script, ls's folder
    assert "socket:" not in text
    assert re.search(r"SigBlk:\s*0+$", text, re.M), text
    assert re.search(r"SigIgn:\s*0+$", text, re.M), text


# query, argv; RFC 3875 4.4
ARGUMENTS = [
    ("", []),
    ("one", ["one"]),
    ("one+two", ["one", "two"]),
    ("a%20b+c", ["a b", "c"]),
    ("%41", ["A"]),
    ("a=b", []),
    ("a%3Db", ["a=b"]),
    ("-x", []),
    ("%2dx", []),
    ("one+-x", []),
    ("one+%2D%2Dx", []),
    ("one+two=three", []),
    ("%00", []),
]


@pytest.mark.parametrize("query, args", ARGUMENTS)
def test_arguments(gateway, query, args):
    got = [line[1:-1] for line in gateway.get(f"/cgi/args?{query}").lines]
    if query == "one+-x" and got == ["one"]:
        return  # leaving out the one that starts with '-' is as safe
    assert got == args


def test_arguments_only_for_get_and_head(gateway):
    response = gateway.get("/cgi/args?one+two", method="POST", body=b"")
    assert response.lines == []


# ---- bodies ----

@pytest.mark.parametrize("size", [0, 1, 8192, 65535, 65536, 1 << 20])
def test_body_comes_back(gateway, proto, size):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert gateway.fetch(proto, "/cgi/cat", method="POST", body=data).body == data


def test_body_of_unknown_length(gateway, proto):
    pieces = [b"x" * 1000] * 300
    response = gateway.fetch(proto, "/cgi/length", method="POST", body=pieces)
    assert response.text == "300000"


def test_perl_reads_by_length(gateway, proto):
    response = gateway.fetch(proto, "/cgi/perl", method="POST", body=b"name=J%C3%B6rg",
                             headers=[("Content-Type", "application/x-www-form-urlencoded")],
                             host="localhost:99")
    assert response.text.startswith("J\u00f6rg ")
    assert f"{scheme(proto)}://localhost" in response.text


def test_unread_body_is_no_error(gateway, proto):
    """EPIPE on stdin: the answer counts (small, and far beyond a pipe's buffer)."""
    for size in (10, 4 << 20):
        response = gateway.fetch(proto, "/cgi/no-stdin", method="POST", body=b"x" * size)
        assert (response.status, response.body) == (200, b"not read")


def test_big_output(gateway, proto):
    response = gateway.fetch(proto, "/cgi/big")
    assert len(response.body) == 20000000 and not response.body.strip(b"\0")


def test_stdout_and_stderr_at_once(gateway, proto):
    since = gateway.mark()
    lines = gateway.fetch(proto, "/cgi/big-noise").lines
    assert lines == [f"out {i}" for i in range(2000)]
    gateway.wait_log("err 1999", since)
    assert len(re.findall(r"err \d+$", gateway.log(since), re.M)) == 2000


def test_streams_as_it_comes(gateway, proto):
    """The first line reaches the client while the script still waits for us."""
    go = gateway.place / "pids" / f"go-{proto}"
    with dial(proto, gateway) as client:
        path = f"/cgi/steps?{go}"
        if is_h2(proto):
            number = client.request("GET", path, scheme=scheme(proto))
            assert client.wait(lambda: client.body_so_far(number) == b"first\n")
            go.touch()
            assert client.response(number).body == b"first\nsecond\n"
        else:
            client.request("GET", path)
            head = client.head()
            assert head.get("transfer-encoding") == "chunked"
            assert client.take_line() == "6"
            assert client.take(8) == b"first\n\r\n"
            go.touch()
            client.chunked(head)
            assert head.body == b"second\n"


def test_full_duplex(gateway):
    """What was sent comes back before the rest is sent."""
    with H1(gateway.address()) as client:
        client.send(b"POST /cgi/cat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        head = client.head()
        assert client.take_line() == "5"
        assert client.take(7) == b"hello\r\n"
        client.send(b"world")
        client.chunked(head)
        assert head.body == b"world"


# ---- response heads, RFC 3875 6 ----

def test_status(gateway, proto):
    response = gateway.fetch(proto, "/cgi/status")
    assert (response.status, response.body) == (418, b"pot\n")
    assert response.get("status") is None
    if proto == "h1":
        assert response.reason == "Short and stout"


@pytest.mark.parametrize("name, status", [("status-only", 204), ("not-modified", 304)])
def test_no_body_statuses(gateway, proto, name, status):
    with dial(proto, gateway) as client:
        for _ in range(2):  # the connection stays in step
            if is_h2(proto):
                response = client.fetch("GET", f"/cgi/{name}", scheme=scheme(proto))
            else:
                response = client.fetch("GET", f"/cgi/{name}")
            assert (response.status, response.body) == (status, b"")
            assert response.get("content-length") is None or status == 304
            assert response.get("transfer-encoding") is None


def test_cookies_stay_apart(gateway, proto):
    response = gateway.fetch(proto, "/cgi/cookies")
    assert response.all("set-cookie") == ["a=1", "b=2", "c=3, d"]


def test_connection_fields_are_stripped(gateway, proto):
    response = gateway.fetch(proto, "/cgi/hop")
    assert response.body == b"x"
    assert response.get("x-kept") == "yes"
    for name in ("keep-alive", "proxy-connection", "upgrade", "x-named"):
        assert response.get(name) is None, name
    if is_h2(proto):
        assert response.get("connection") is None
        assert response.get("transfer-encoding") is None


def test_nph(gateway, proto):
    response = gateway.fetch(proto, "/cgi/nph-raw")
    assert (response.status, response.body) == (299, b"raw\n")
    assert response.all("set-cookie") == ["a=1", "b=2"]


def test_head_has_no_body(gateway, proto):
    with dial(proto, gateway) as client:
        for name in ("status", "env", "big", "long", "short"):
            if is_h2(proto):
                response = client.fetch("HEAD", f"/cgi/{name}", scheme=scheme(proto))
            else:
                response = client.fetch("HEAD", f"/cgi/{name}")
            assert response.body == b""
            assert response.status in (200, 418)


def test_local_redirect(gateway, proto):
    """6.2.2: run again inside, as GET without the body."""
    env = gateway.fetch(proto, "/cgi/redirect-local", method="POST", body=b"abc").env
    assert env["REQUEST_METHOD"] == "GET"
    assert env["PATH_INFO"] == "/from"
    assert env["QUERY_STRING"] == "redirected=1"
    assert "CONTENT_LENGTH" not in env


def test_local_redirect_to_a_file(gateway, proto):
    response = gateway.fetch(proto, "/cgi/redirect-file")
    assert (response.status, response.body) == (200, b"a page\n")
    assert response.get("location") is None


@pytest.mark.parametrize("hops, status", [(0, 200), (1, 200), (5, 200), (6, 502)])
def test_local_redirects_are_counted(gateway, proto, hops, status):
    response = gateway.fetch(proto, f"/cgi/redirect-count/{hops}")
    assert response.status == status
    if status == 200:
        assert response.text == f"after {hops}"


def test_local_redirect_loop(gateway, proto):
    since = gateway.mark()
    assert gateway.fetch(proto, "/cgi/redirect-loop").status == 502
    gateway.wait_log("more than 5 local redirects", since)


def test_client_redirects(gateway, proto):
    response = gateway.fetch(proto, "/cgi/redirect-away")
    assert response.status == 302
    assert response.get("location") == "https://other.example/x"
    response = gateway.fetch(proto, "/cgi/redirect-status")
    assert (response.status, response.body) == (303, b"look there")
    assert response.get("location") == "/page.txt"


def test_length_too_short_is_cut(gateway, proto):
    with pytest.raises((Truncated, Refused)):
        gateway.fetch(proto, "/cgi/short")


def test_length_too_long_is_cut(gateway, proto):
    assert gateway.fetch(proto, "/cgi/long").body == b"abc"


# path, status, words in the log
FAILURES = [
    ("/cgi/missing", 404, None),
    ("/cgi/", 404, None),
    ("/cgi/plain.txt", 403, None),
    ("/cgi/dir", 404, None),
    ("/cgi/silent-exit", 502, "exit status 7|status 7|exited with 7"),
    ("/cgi/dies", 502, "signal 11|SIGSEGV"),
    ("/cgi/no-newline-head", 502, "response head"),
    ("/cgi/bad-interpreter", 502, "bad-interpreter|No such file"),
]


@pytest.mark.parametrize("path, status, words", FAILURES)
def test_failure(gateway, proto, path, status, words):
    since = gateway.mark()
    got = gateway.fetch(proto, path).status
    if path in ("/cgi/", "/cgi/dir"):
        assert got in (301, 403, 404)
    elif path == "/cgi/bad-interpreter":
        assert got in (500, 502)
    else:
        assert got == status
    if words:
        assert "pool=scripts" in gateway.wait_log(words, since)
    assert gateway.fetch(proto, "/cgi/status").status == 418


def test_stderr_goes_to_the_log(gateway, proto):
    since = gateway.mark()
    assert gateway.fetch(proto, "/cgi/noise").body == b"ok"
    for words in ("first complaint", "second complaint", "no newline"):
        line = gateway.wait_log(words, since)
        assert "pool=scripts" in line
        assert "site=main" in line
    assert gateway.log(since).count("complaint") == 2


def test_exit_status_is_logged(gateway):
    since = gateway.mark()
    assert gateway.get("/cgi/exit-3").body == b"ok"
    gateway.wait_log(r'warn \d+: client=\S+ conn=\d+ pool=scripts request="GET /cgi/exit-3" '
                     "ended with status 3", since)


def test_compiled_program(gateway, proto):
    assert gateway.fetch(proto, "/cgi/compiled/World").body == b"Hello, World\n"


# ---- ends ----

def pids_in(path, n):
    def read():
        found = path.read_text().split() if path.exists() else []
        return [int(pid) for pid in found] if len(found) >= n else None
    return proc.wait_until(read, 10, f"{n} process ids in {path}")


def wait_gone(pids, timeout):
    proc.wait_until(lambda: not any(proc.alive(pid) for pid in pids), timeout, f"end of {pids}")


@pytest.mark.slow
def test_timeout_ends_the_script_and_all_it_started(gateway, proto):
    """TERM, 3 s later KILL; double forks and sessions of their own do not escape."""
    file = gateway.place / "pids" / f"timeout-{proto}"
    since = gateway.mark()
    begin = time.monotonic()
    with pytest.raises(Truncated):
        gateway.fetch(proto, f"/quick/stubborn?{file}")
    assert time.monotonic() - begin < 6
    pids = pids_in(file, 3)
    wait_gone(pids, 8)
    assert "pool=quick" in gateway.wait_log("longer than its pool's timeout|timeout", since)
    assert gateway.fetch(proto, "/quick/status").status == 418


def test_timeout_before_the_head_is_504(gateway, proto):
    write_script(gateway.place / "cgi/mute", '#!/bin/sh\nsleep 30\n')
    assert gateway.fetch(proto, "/quick/mute").status == 504
    assert gateway.fetch(proto, "/quick/status").status == 418


@pytest.mark.slow
@pytest.mark.parametrize("script", ["forever", "stubborn"])
def test_client_gone_ends_the_script(gateway, proto, script):
    file = gateway.place / "pids" / f"gone-{script}-{proto}"
    with dial(proto, gateway) as client:
        path = f"/cgi/{script}?{file}"
        if is_h2(proto):
            client.request("GET", path, scheme=scheme(proto))
        else:
            client.request("GET", path)
        pids = pids_in(file, 3 if script == "stubborn" else 1)
        assert all(proc.alive(pid) for pid in pids)
    wait_gone(pids, 10)
    assert gateway.fetch(proto, "/cgi/status").status == 418


def test_stream_reset_ends_the_script(gateway):
    """HTTP/2: RST_STREAM alone, the connection lives on."""
    from hyperframe.frame import RstStreamFrame
    file = gateway.place / "pids" / "reset"
    with dial("h2", gateway) as client:
        number = client.request("GET", f"/cgi/forever?{file}")
        pids = pids_in(file, 1)
        client.send(RstStreamFrame(number, error_code=8))
        wait_gone(pids, 10)
        assert client.fetch("GET", "/cgi/status").status == 418


def test_scripts_run_at_once_up_to_max_requests(gateway):
    """Four wait for each other, a fifth waits for a place."""
    go = gateway.place / "pids" / "go-many"
    clients = [H1(gateway.address()) for _ in range(5)]
    for client in clients:
        client.request("GET", f"/cgi/steps?{go}")
    proc.wait_until(lambda: len(scripts_running(gateway)) == 4, 10, "four scripts")
    go.touch()
    for client in clients:
        assert client.response().body == b"first\nsecond\n"
        client.close()


def scripts_running(gateway):
    spawner = gateway.spawner_pid()
    return [pid for pid in proc.descendants(spawner)
            if proc.command(pid).startswith("/bin/sh") and "/steps" in proc.command(pid)]


def test_slow_sender_does_not_hold_a_script_place(gateway):
    """A script whose client stalls in its body still leaves the others theirs."""
    with H1(gateway.address()) as slow:
        slow.send(b"POST /cgi/cat HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal")
        for _ in range(20):
            assert gateway.get("/cgi/status").status == 418
        slow.send(b"fhearte")
        assert slow.response().body == b"halfhearte"


@pytest.mark.threads
@pytest.mark.slow
def test_many_scripts(gateway):
    """Two hundred over one HTTP/2 connection, four at a time."""
    with dial("h2", gateway) as client:
        for _ in range(4):
            numbers = [client.request("GET", f"/cgi/args?n{i}") for i in range(50)]
            for i, number in enumerate(numbers):
                assert client.response(number, 60).body == b"[n%d]\n" % i


class TestUser:
    """user of a cgi pool: scripts run as it, the gateway does not."""

    def test_runs_as_the_pools_user(self, place, start):
        from lib.gateway import is_root
        if not is_root():
            pytest.skip("another user takes root")
        write_script(place / "cgi/id", '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\n'
                     'id -un; id -Gn; echo "$HOME"; umask\n')
        gateway = start(f"""
            [site main]
            root = {place}/public
            [route main /cgi/]
            pool = scripts
            root = {place}/cgi
            [route main /own/]
            pool = own
            root = {place}/cgi
            [pool scripts]
            cgi = on
            user = nobody
            max_requests = 1
            [pool own]
            cgi = on
            max_requests = 1
            """)
        lines = gateway.get("/cgi/id").lines
        assert lines[:2] == ["nobody", "nogroup"]
        assert gateway.get("/own/id").lines[0] == "www-data"
        import pwd
        assert proc.uid(gateway.gateway_pid()) == pwd.getpwnam("www-data").pw_uid
        assert proc.uid(gateway.pid) == 0
