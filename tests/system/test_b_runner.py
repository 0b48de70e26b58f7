"""h2cgi-run as a FastCGI application: what a script is given, what comes back, what is left."""
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fcgi_client import RUNNER, Client, head, pairs
from peers.fcgi import (BEGIN, CANT_MPX_CONN, END, GET_VALUES, GET_VALUES_RESULT, PARAMS,
                        STDIN, STDOUT, UNKNOWN_ROLE, UNKNOWN_TYPE, parse_pairs, record, stream)


def wait_for(what, seconds=10):
    """Poll what() until it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


def marked(mark):
    """Processes with mark in their environment, zombies aside."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if mark in Path(f"/proc/{entry}/environ").read_bytes():
                found.append(int(entry))
        except OSError:
            pass  # it ended
    return found


class Runner:
    """A started h2cgi-run on a unix socket, and a folder for its scripts."""

    def __init__(self, place, *args, env=None):
        self.place = place
        self.path = place / "s"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        self.log = open(place / "log", "w+b")
        self.mark = f"RUNNER_TEST={place.name}.{os.getpid()}".encode()
        name, _, value = self.mark.decode().partition("=")
        self.process = subprocess.Popen(
            [RUNNER, *args], stdin=listener, stdout=self.log, stderr=self.log,
            env={"PATH": os.environ["PATH"], name: value, **(env or {})})
        listener.close()

    def script(self, name, text, mode=0o755):
        path = self.place / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def sh(self, name, text):
        return self.script(name, "#!/bin/sh\n" + text)

    def python(self, name, text):
        return self.script(name, f"#!{sys.executable} -S\n" + text)

    def client(self):
        return Client(self.path)

    def get(self, script, **variables):
        with self.client() as c:
            return c.request(script, **variables)

    def scripts(self):
        """Processes below the runner."""
        return [pid for pid in marked(self.mark) if pid != self.process.pid]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(10)
        left = marked(self.mark)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.log.close()
        return status, left


@pytest.fixture
def runner(tmp_path):
    started = []

    def start(*args, **options):
        started.append(Runner(tmp_path, *args, **options))
        return started[-1]

    yield start
    for r in started:
        status, left = r.stop()
        assert left == [], "processes were left behind"
        assert status in (0, -signal.SIGKILL), r.place.joinpath("log").read_text()


# ---- what a script is given ----

def environment(answer):
    return dict(x.split("=", 1) for x in answer.text.split("\0") if x)


ENV = "printf 'Content-Type: text/plain\\n\\n'; exec cat /proc/self/environ\n"


def test_environment_is_the_process_s_with_parameters_over_it(runner):
    r = runner(env={"HOME": "/nonexistent", "BOTH": "process", "TZ": "UTC"})
    env = environment(r.get(r.sh("env", ENV), BOTH="parameter", EMPTY="", HTTP_X_A="a=b c"))
    assert env["HOME"] == "/nonexistent" and env["TZ"] == "UTC"
    assert env["BOTH"] == "parameter"
    assert env["EMPTY"] == "" and env["HTTP_X_A"] == "a=b c"
    assert env["GATEWAY_INTERFACE"] == "CGI/1.1" and env["QUERY_STRING"] == ""
    assert env["PATH"] == os.environ["PATH"]


def test_parameter_path_and_large_value(runner):
    r = runner()
    env = environment(r.get(r.sh("env", ENV), PATH="/bin:/usr/bin", LARGE="x" * 100000))
    assert env["PATH"] == "/bin:/usr/bin" and env["LARGE"] == "x" * 100000


def test_proxy_header_does_not_become_http_proxy(runner):
    r = runner(env={"HTTP_PROXY": "http://ours"})
    env = environment(r.get(r.sh("env", ENV), HTTP_PROXY="http://evil"))
    assert env["HTTP_PROXY"] == "http://ours"


def test_many_parameters(runner):
    r = runner()
    many = {f"HTTP_X_{i}": str(i) for i in range(5000)}
    env = environment(r.get(r.sh("env", ENV), **many))
    assert {k: v for k, v in env.items() if k.startswith("HTTP_X_")} == many


def test_too_many_parameters_are_refused(runner):
    r = runner()
    many = {f"HTTP_X_{i}": "x" * 60000 for i in range(30)}
    a = r.get(r.sh("env", ENV), **many)
    assert a.status == 431 and b"too long" in a.stderr


def test_working_directory_and_argv0(runner):
    r = runner()
    path = r.sh("where", 'printf "\\n"; pwd; echo "$0"\n')
    assert r.get(path).text.split() == [str(r.place), str(path)]


ARGS = 'printf "\\n"; for a in "$@"; do printf "[%s]" "$a"; done\n'


@pytest.mark.parametrize("query, method, want", [
    ("one+two", "GET", "[one][two]"),
    ("one+two", "HEAD", "[one][two]"),
    ("one+two", "POST", ""),
    ("a%20b+%2Fc%3d", "GET", "[a b][/c=]"),
    ("a=b+c", "GET", ""),
    ("", "GET", ""),
    ("-s", "GET", ""),
    ("a+-s", "GET", ""),
    ("%2ds", "GET", ""),
    ("a%zz", "GET", ""),
    ("a%0", "GET", ""),
    ("a%00b", "GET", ""),
    ("a++b", "GET", ""),
    ("a;b&c|d$(e)", "GET", "[a;b&c|d$(e)]"),
])
def test_arguments(runner, query, method, want):
    r = runner()
    a = r.get(r.sh("args", ARGS), QUERY_STRING=query, REQUEST_METHOD=method)
    assert a.text == want


def test_only_three_descriptors(runner):
    r = runner()
    path = r.sh("fds", "printf '\\n'; ls -l /proc/$$/fd\n")
    with r.client() as other, r.client() as c:  # some more that could leak
        other.send(b"")
        a = c.request(path)
    fds = sorted(x.split("->")[0].split()[-1] for x in a.text.splitlines() if "->" in x)
    # dash has the script itself open
    assert [fd for fd in fds if int(fd) < 10] == ["0", "1", "2"]
    assert " 0 -> /dev/null" in a.text
    assert all(str(path) in x for x in a.text.splitlines() if " 10 ->" in x)


def test_signals_are_as_usual(runner):
    def spoil():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGALRM])

    old = subprocess.Popen

    class Spoilt(old):
        def __init__(self, *args, **options):
            super().__init__(*args, preexec_fn=spoil, restore_signals=False, **options)

    subprocess.Popen = Spoilt
    try:
        r = runner()
    finally:
        subprocess.Popen = old
    a = r.get(r.sh("sig", "printf '\\n'; exec grep -E '^Sig(Blk|Ign)' /proc/self/status\n"))
    assert [x.split()[1] for x in a.text.splitlines()] == ["0" * 16] * 2


def test_umask_is_inherited(runner):
    old = os.umask(0o037)
    try:
        r = runner()
        assert int(r.get(r.sh("umask", "printf '\\n'; umask\n")).text, 8) == 0o037
    finally:
        os.umask(old)


def test_script_by_document_root_and_name(runner):
    r = runner()
    r.sh("by-name", "printf '\\nhere'\n")
    a = r.get(None, SCRIPT_FILENAME=None, DOCUMENT_ROOT=str(r.place), SCRIPT_NAME="/by-name")
    assert a.text == "here"


def test_apache_s_proxy_prefix(runner):
    r = runner()
    path = r.sh("x", "printf '\\nhere'\n")
    assert r.get(f"proxy:fcgi://localhost:9000{path}").text == "here"
    assert r.get(f"proxy:balancer://pool{path}").text == "here"


# ---- bodies ----

SUM = "printf '\\n'; sha256sum\n"


@pytest.mark.parametrize("size", [1, 8191, 65536, 1 << 20])
def test_body_reaches_the_script(runner, size):
    r = runner()
    body = os.urandom(size)
    with r.client() as c:
        a = c.request(r.sh("sum", SUM), body=body)
    assert a.text.split()[0] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("piece", [1, 7, 16384, 65535])
def test_body_in_records_of_any_size(runner, piece):
    r = runner()
    body = os.urandom(40000 if piece > 7 else 2000)
    with r.client() as c:
        c.send(head(r.sh("sum", SUM), REQUEST_METHOD="POST", CONTENT_LENGTH=len(body)))
        c.send(stream(STDIN, 1, body, piece, padding=3))
        a = c.read_answer()
    assert a.text.split()[0] == hashlib.sha256(body).hexdigest()


def test_request_byte_by_byte(runner):
    r = runner()
    path = r.sh("cat", "printf '\\n'; cat\n")
    with r.client() as c:
        for byte in head(path, REQUEST_METHOD="POST") + stream(STDIN, 1, b"hello"):
            c.send(bytes([byte]))
        assert c.read_answer().text == "hello"


def test_end_of_body_may_come_later(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("sum", SUM)))
        assert wait_for(lambda: r.scripts())
        c.send(record(STDIN, 1))
        assert c.read_answer().text.split()[0] == hashlib.sha256(b"").hexdigest()


def test_script_starts_before_its_body_is_there(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("talk", "printf '\\nready '; read -r a; echo \"$a\"\n")))
        kind, _, content = c.read_record()
        assert (kind, content) == (STDOUT, b"\nready ")
        c.send(stream(STDIN, 1, b"go\n"))
        assert c.read_answer().stdout == b"go\n"


def test_unread_body_is_no_error(runner):
    r = runner()
    with r.client() as c:
        a = c.request(r.sh("no", "printf 'Status: 413\\n\\nno'\n"), body=b"x" * (12 << 20))
    assert a.status == 413 and a.text == "no" and a.app_status == 0


def test_script_that_closes_stdin_and_goes_on(runner):
    r = runner()
    path = r.sh("close", "exec <&-; printf '\\n'; sleep 0.2; echo done\n")
    with r.client() as c:
        a = c.request(path, body=b"x" * (4 << 20))
    assert a.text == "done\n"


def echo_size():
    return 64 << 20


def test_echo_while_it_is_sent(runner):
    r = runner()
    body = os.urandom(1 << 20) * (echo_size() >> 20)
    got = hashlib.sha256()
    with r.client() as c:
        c.request(r.sh("echo", "exec cat\n"), body=body, sink=got.update)
    assert got.hexdigest() == hashlib.sha256(body).hexdigest()


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_small_when_nobody_reads(runner):
    r = runner()
    path = r.sh("flood", "printf '\\n'; exec head -c 67108864 /dev/zero\n")
    with r.client() as c:
        c.send(head(path) + record(STDIN, 1))
        assert wait_for(lambda: r.scripts())
        time.sleep(0.3)  # to fill what can be filled
        assert resident(r.process.pid) < 32 << 20
        n = []
        c.read_answer(sink=lambda x: n.append(len(x)))
        assert sum(n) == 67108864 + 1


# ---- output ----

def test_output_leaves_as_it_comes(runner):
    r = runner()
    go = r.place / "go"
    path = r.sh("slow", f"printf '\\none'; while [ ! -e {go} ]; do sleep 0.01; done; printf two\n")
    with r.client() as c:
        c.send(head(path) + record(STDIN, 1))
        assert c.read_record()[2] == b"\none"
        go.touch()
        assert c.read_answer().stdout == b"two"


def test_stderr_is_kept_apart(runner):
    r = runner()
    path = r.python("both", """
import os
os.write(1, b"\\n")
for i in range(2000):
    os.write(1, b"o" * 100)
    os.write(2, b"e" * 100)
""")
    a = r.get(path)
    assert a.body == b"o" * 200000 and a.stderr == b"e" * 200000


def test_last_words_on_stderr_are_not_lost(runner):
    r = runner()
    path = r.sh("last", "exec 1>&-; echo last >&2; exit 3\n")
    with r.client() as c:
        for i in range(50):
            a = c.request(path, keep=True)
            assert a.stderr == b"last\n" and a.app_status == 3, i


def test_output_is_never_lost_at_exit(runner):
    r = runner()
    path = r.sh("quick", "printf '\\nabc'\n")
    with r.client() as c:
        for i in range(200):
            a = c.request(path, keep=True)
            assert (a.stdout, a.app_status) == (b"\nabc", 0), i


@pytest.mark.parametrize("line, want", [
    ("HTTP/1.1 200 OK\\r\\n", b"X-Accel-Buffering: no\r\nStatus: 200 OK\r\n"),
    ("HTTP/1.0 404 Not here\\n", b"X-Accel-Buffering: no\r\nStatus: 404 Not here\n"),
    ("HTTP/2 204\\n", b"X-Accel-Buffering: no\r\nStatus: 204\n"),
    ("HTTP/1.1\\n", b"HTTP/1.1\n"),
    ("HTTPS: no\\n", b"HTTPS: no\n"),
    ("H", b"H"),
    ("", b"Status: 502 Bad Gateway\r\nContent-Type: text/plain\r\n\r\n502 Bad Gateway\n"),
])
@pytest.mark.parametrize("slowly", [False, True])
def test_status_line_becomes_status(runner, line, want, slowly):
    r = runner()
    text = line.encode().decode("unicode_escape")
    path = r.python("nph-x", f"""
import os, time
for part in {list(text) if slowly else [text]}:
    os.write(1, part.encode())
    time.sleep({0.005 if slowly else 0})
""")
    assert r.get(path).stdout == want


@pytest.mark.parametrize("end, want", [
    ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143),
])
def test_exit_status(runner, end, want):
    r = runner()
    a = r.get(r.sh("end", f"printf '\\nx'; {end}\n"))
    assert a.app_status == want and a.body == b"x"
    assert (b"ended by signal" in a.stderr) == (want > 128 and want != 255)


# ---- scripts that cannot be run ----

def test_missing_script(runner):
    r = runner()
    a = r.get(r.place / "missing")
    assert a.status == 404 and a.app_status == 127
    assert str(r.place / "missing").encode() in a.stderr
    assert r.get(r.place / "no" / "such").status == 404
    assert r.get(r.sh("file", "") / "below").status == 404


def test_not_executable_not_regular(runner):
    r = runner()
    assert r.get(r.script("plain", "x", 0o644)).status == 403
    assert r.get(r.place).status == 403
    os.mkfifo(r.place / "fifo", 0o777)
    assert r.get(r.place / "fifo").status == 403


@pytest.mark.parametrize("text, word", [
    ("#!/no/such/interpreter\n", b"interpreter"), ("no program", b"format"), ("", b"format"),
])
def test_not_a_program(runner, text, word):
    r = runner()
    a = r.get(r.script("bad", text))
    assert a.status == 500 and word in a.stderr and a.app_status == 126


def test_no_script_named(runner):
    r = runner()
    a = r.get(None, SCRIPT_FILENAME=None)
    assert a.status == 500 and b"no SCRIPT_FILENAME" in a.stderr
    assert r.get("relative/path").status == 500


def test_failures_leave_nothing_open(runner):
    r = runner()
    assert r.get(r.place / "missing").status == 404
    before = len(os.listdir(f"/proc/{r.process.pid}/fd"))
    with r.client() as c:
        for i in range(20):
            assert c.request(r.place / "missing", keep=True, body=b"x" * (i % 2)).status == 404
    assert wait_for(lambda: len(os.listdir(f"/proc/{r.process.pid}/fd")) <= before)


# ---- connections ----

def test_connection_is_kept(runner):
    r = runner()
    path = r.sh("cat", "printf '\\n'; cat\n")
    with r.client() as c:
        for i in range(3):
            a = c.request(path, body=b"x" * (i * 70000), number=i + 1, keep=True)
            assert a.body == b"x" * (i * 70000)


def test_connection_is_closed_without_keep_conn(runner):
    r = runner()
    with r.client() as c:
        c.request(r.sh("x", "echo\n"))
        assert c.at_eof()


def injection(path):
    """A body that looks like a request."""
    return head(path, number=1, keep=True, QUERY_STRING="injected") + record(STDIN, 1)


def test_unread_body_is_never_a_request(runner):
    r = runner()
    path = r.sh("no", f"printf '\\n%s' \"$QUERY_STRING\"; echo run >>{r.place}/runs\n")
    evil = injection(path) * 400
    with r.client() as c:
        c.send(head(path, keep=True, REQUEST_METHOD="POST", CONTENT_LENGTH=len(evil) * 2))
        c.send(stream(STDIN, 1, evil, close=False))
        assert c.read_answer().text == ""
        c.send(stream(STDIN, 1, evil))
        a = c.request(path, QUERY_STRING="second", keep=True)
        assert a.text == "second"
    assert (r.place / "runs").read_text().split() == ["run"] * 2


def test_body_unread_without_keep_conn_gets_the_whole_answer(runner):
    r = runner()
    path = r.sh("no", "printf '\\n'; head -c 300000 /dev/zero\n")
    with r.client() as c:
        c.send(head(path, REQUEST_METHOD="POST", CONTENT_LENGTH=1 << 20))
        c.send(stream(STDIN, 1, b"x" * 200000, close=False))
        assert len(c.read_answer().body) == 300000
        assert c.at_eof()


def test_idle_connections_hold_nobody_up(runner):
    r = runner()
    path = r.sh("x", "printf '\\nx'\n")
    kept = [r.client() for _ in range(5)]
    for c in kept:
        assert c.request(path, keep=True).text == "x"
    for c in reversed(kept):
        assert c.request(path, keep=True).text == "x"
    half = r.client()
    half.send(head(path)[:-9])
    assert r.get(path).text == "x"
    for c in [*kept, half]:
        c.close()


def test_more_connections_than_there_are_places(runner):
    r = runner()
    path = r.sh("x", "printf '\\nx'\n")
    many = []
    for _ in range(40):  # each speaks at once: silent ones give way when places run out
        many.append(r.client())
        many[-1].send(head(path, keep=True) + record(STDIN, 1))
    for c in many:
        assert c.read_answer().text == "x"
    for c in many:
        c.close()


@pytest.mark.parametrize("allowed", [None, "10.0.0.1, 127.0.0.1", "10.0.0.1"])
def test_tcp(tmp_path, allowed):
    listener = socket.create_server(("127.0.0.1", 0))
    script = tmp_path / "x"
    script.write_text("#!/bin/sh\nprintf '\\n'; cat\n")
    script.chmod(0o755)
    env = {**os.environ, **({"FCGI_WEB_SERVER_ADDRS": allowed} if allowed else {})}
    p = subprocess.Popen([RUNNER], stdin=listener, env=env)
    body = os.urandom(3 << 20)
    try:
        with Client(listener.getsockname()) as c:
            if allowed and "127" not in allowed:
                assert c.at_eof()
            else:
                assert c.request(script, body=body).body == body
    finally:
        listener.close()
        p.terminate()
        assert p.wait(10) == 0


def test_several_runners_on_one_socket(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(64)
    script = tmp_path / "x"
    script.write_text("#!/bin/sh\nprintf '\\n%s' $PPID\n")
    script.chmod(0o755)
    started = [subprocess.Popen([RUNNER], stdin=listener) for _ in range(3)]
    busy = tmp_path / "busy"
    busy.write_text("#!/bin/sh\nprintf '\\n%s' $PPID; read -r x\n")
    busy.chmod(0o755)
    try:
        held, taken = [], set()
        for _ in range(2):  # two are busy, the third takes all others
            c = Client(tmp_path / "s")
            held.append(c)
            c.send(head(busy))  # at once: an idle runner may hold several silent connections
            taken.add(c.read_record()[2].strip())
        assert len(taken) == 2
        for _ in range(20):
            with Client(tmp_path / "s") as c:
                assert c.request(script).text.encode() not in taken
        for c in held:
            c.close()
    finally:
        listener.close()
        for p in started:
            p.terminate()
        assert [p.wait(10) for p in started] == [0, 0, 0]


def test_records_cut_anywhere_between_requests(runner):
    r = runner()
    path = r.sh("cat", "printf '\\n'; cat\n")
    one = head(path, keep=True, REQUEST_METHOD="POST") + stream(STDIN, 1, b"abc", padding=5)
    for cut in (1, 7, 8, 9, 15, 16, 17, 30, len(one) - 9, len(one) - 1):
        with r.client() as c:
            c.send(one[:cut])
            time.sleep(0.01)
            c.send(one[cut:])
            assert c.read_answer().text == "abc", cut


# ---- protocol ----

def test_management_records(runner):
    r = runner()
    asked = pairs([("FCGI_MAX_CONNS", ""), ("FCGI_MPXS_CONNS", ""), ("OTHER", "")])
    with r.client() as c:
        c.send(record(GET_VALUES, 0, asked))
        kind, number, content = c.read_record()
        assert (kind, number) == (GET_VALUES_RESULT, 0)
        assert parse_pairs(content) == [("FCGI_MAX_CONNS", "1"), ("FCGI_MPXS_CONNS", "0")]
        c.send(record(77, 0, b"what"))
        assert c.read_record() == (UNKNOWN_TYPE, 0, bytes([77]) + b"\0" * 7)
        assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"


def test_second_request_on_a_busy_connection(runner):
    r = runner()
    path = r.sh("wait", "printf '\\n'; read -r x; printf '%s' \"$x\"\n")
    with r.client() as c:
        c.send(head(path, keep=True))
        assert c.read_record()[0] == STDOUT
        c.send(head(path, number=2, keep=True) + record(STDIN, 2))
        kind, number, content = c.read_record()
        assert (kind, number) == (END, 2)
        assert content == struct.pack(">IB3x", 0, CANT_MPX_CONN)
        c.send(stream(STDIN, 1, b"one\n"))
        assert c.read_answer().stdout == b"one"


def test_other_roles(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.place / "x", role=2, keep=True) + record(STDIN, 1))
        kind, _, content = c.read_record()
        assert (kind, content[4]) == (END, UNKNOWN_ROLE)
        assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n\r\n", b"\x02", record(BEGIN, 1, b"\0\1"),
    record(BEGIN, 1, b"\0\1\1\0\0\0\0\0") * 2,
    record(BEGIN, 1, b"\0\1\1\0\0\0\0\0") + record(PARAMS, 1, b"\5") + record(PARAMS, 1),
    record(BEGIN, 1, b"\0\1\1\0\0\0\0\0") + record(PARAMS, 1, b"\xff\xff\xff\xff\0"),
])
def test_what_is_not_fastcgi_closes_the_connection(runner, data):
    r = runner()
    with r.client() as c:
        c.send(data)
        assert c.at_eof()
    assert r.get(r.sh("x", "printf '\\nx'\n")).text == "x"


# ---- the end of scripts ----

STUBBORN = """
import os, signal, time
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
os.write(1, b"\\n")
daemon()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(600)
"""


def test_timeout_ends_script_and_all_it_started(runner):
    r = runner("--timeout=500ms", "--grace=300ms")
    path = r.python("stubborn", STUBBORN)
    start = time.monotonic()
    a = r.get(path)
    assert 0.7 < time.monotonic() - start < 5
    assert a.app_status == 137
    assert str(path).encode() in a.stderr and b"timeout of 0.500 s" in a.stderr
    assert r.scripts() == []


def test_timeout_before_any_output_is_504(runner):
    r = runner("--timeout=200ms", "--grace=5s")
    start = time.monotonic()
    a = r.get(r.sh("sleep", "sleep 600\n"))
    assert a.status == 504 and a.app_status == 143
    assert time.monotonic() - start < 4
    assert r.scripts() == []


def test_timeout_lets_the_script_have_its_last_word(runner):
    r = runner("--timeout=200ms", "--grace=5s")
    path = r.sh("trap", "trap 'echo bye; exit 9' TERM; printf '\\n'; "
                        "while :; do sleep 0.05; done\n")
    a = r.get(path)
    assert a.text == "bye\n" and a.app_status == 9


@pytest.mark.parametrize("way", ["abort", "hang-up"])
def test_abort_ends_script_and_all_it_started(runner, way):
    r = runner("--timeout=60s", "--grace=200ms")
    path = r.python("stubborn", STUBBORN)
    with r.client() as c:
        c.send(head(path, keep=True) + record(STDIN, 1))
        assert wait_for((r.place / "ready").exists)
        assert wait_for(lambda: len(r.scripts()) >= 2)
        if way == "abort":
            c.abort()
            assert c.read_answer().app_status == 137
            assert r.scripts() == []
            assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"
        else:
            c.close()
            assert wait_for(lambda: r.scripts() == [])


def test_abort_with_the_head(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("sleep", "sleep 600\n"), keep=True) + record(STDIN, 1) + record(2, 1))
        assert c.read_answer().app_status in (0, 143)
        c.send(head(r.place / "sleep", number=2, keep=True)[:-8] + record(2, 2))
        assert c.read_answer(2).app_status == 0
        assert c.request(r.sh("x", "printf '\\nx'\n"), keep=True).text == "x"


def test_hang_up_while_the_script_reads_nothing(runner):
    r = runner("--grace=200ms")
    with r.client() as c:
        c.send(head(r.sh("sleep", "printf '\\n'; sleep 600\n"), REQUEST_METHOD="POST"))
        c.read_record()
        c.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            c.send(stream(STDIN, 1, b"x" * (4 << 20)))
    assert wait_for(lambda: r.scripts() == [])


def test_hang_up_while_output_waits(runner):
    r = runner("--grace=200ms")
    with r.client() as c:
        c.send(head(r.sh("yes", "printf '\\n'; yes\n")) + record(STDIN, 1))
        c.read_record()
    assert wait_for(lambda: r.scripts() == [])
    assert r.get(r.sh("x", "printf '\\nx'\n")).text == "x"


def test_silent_background_child_does_not_hold_the_answer(runner):
    r = runner("--timeout=60s")
    start = time.monotonic()
    a = r.get(r.sh("bg", "printf '\\nx'; sleep 600 &\n"))
    assert a.body == b"x" and a.app_status == 0
    assert time.monotonic() - start < 3
    assert r.scripts() != []


def test_daemon_does_not_hold_the_answer_at_all(runner):
    r = runner("--timeout=60s")
    path = r.sh("daemon", "printf '\\nx'; setsid sleep 600 & sleep 0.2\n")
    start = time.monotonic()
    assert r.get(path).body == b"x"
    assert time.monotonic() - start < 1.15


@pytest.mark.parametrize("text, want", [
    ("printf '\\n'; (sleep 0.3; echo a; sleep 0.5; echo b) &\n", "a\nb\n"),
    ("printf '\\n'; seq 1 50000 | cat &\n", "".join(f"{i}\n" for i in range(1, 50001))),
])
def test_background_output_is_complete(runner, text, want):
    r = runner()
    assert r.get(r.sh("bg", text)).text == want


def test_leftovers_end_with_their_request_s_timeout(runner):
    r = runner("--timeout=1500ms", "--grace=200ms")
    left = r.python("left", """
import os, signal, time
os.write(1, b"\\nx")
if os.fork() == 0:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
""")
    start = time.monotonic()
    assert r.get(left).text == "x"
    assert len(r.scripts()) == 1
    # Others come and go meanwhile, and one that is running then is left alone.
    other = r.sh("other", "printf '\\n'; sleep 0.3; echo y\n")
    while time.monotonic() - start < 2.2:
        assert r.get(other).text == "y\n"
        if time.monotonic() - start < 1:
            assert len(r.scripts()) == 1
    assert wait_for(lambda: r.scripts() == [], 3)


def test_leftovers_without_a_mark_end_too(runner):
    r = runner("--timeout=500ms", "--grace=100ms")
    path = r.sh("clean", "printf '\\n'; "
                         "env -i setsid sleep 600.125 >/dev/null 2>&1 & sleep 0.1\n")
    assert r.get(path).app_status == 0

    def there():
        return subprocess.run(["pgrep", "-fx", "sleep 600.125"], capture_output=True).stdout
    assert there()
    assert wait_for(lambda: not there(), 5)


def test_abort_leaves_leftovers_of_others_alone(runner):
    r = runner("--timeout=60s", "--grace=100ms")
    r.get(r.sh("left", "printf '\\n'; sleep 600 >/dev/null 2>&1 &\n"))
    assert len(r.scripts()) == 1
    with r.client() as c:
        path = r.sh("wait", "printf '\\n'; setsid sleep 601 & sleep 602\n")
        c.send(head(path, keep=True) + record(STDIN, 1))
        c.read_record()
        assert wait_for(lambda: len(r.scripts()) >= 4)
        c.abort()
        c.read_answer()
    assert len(r.scripts()) == 1


def test_sigterm_ends_everything(runner):
    r = runner("--grace=300ms")
    with r.client() as c:
        c.send(head(r.python("stubborn", STUBBORN)) + record(STDIN, 1))
        assert wait_for((r.place / "ready").exists)
        status, left = r.stop()
    assert (status, left) == (0, [])


def test_sigkill_of_the_runner_ends_the_script(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("sleep", "printf '\\n'; exec sleep 600\n")) + record(STDIN, 1))
        c.read_record()
        r.process.kill()
        assert wait_for(lambda: r.scripts() == [])


def test_sigusr1_ends_after_the_request(runner):
    r = runner()
    with r.client() as c:
        c.send(head(r.sh("cat", "printf '\\n'; cat\n"), keep=True))
        c.read_record()
        r.process.send_signal(signal.SIGUSR1)
        c.send(stream(STDIN, 1, b"abc"))
        assert c.read_answer().stdout == b"abc"
        assert r.process.wait(5) == 0


# ---- the command ----

def run(*args, **options):
    return subprocess.run([RUNNER, *args], capture_output=True, text=True, timeout=10, **options)


def test_help_and_version():
    assert "--timeout" in run("--help").stdout and run("--help").returncode == 0
    assert run("--version").stdout.startswith("h2cgi-run ")


@pytest.mark.parametrize("arg", ["--nothing", "--timeout=", "--timeout=x", "--timeout=5d",
                                 "--timeout=-1", "--grace", "file"])
def test_bad_options(arg):
    done = run(arg)
    assert done.returncode == 2 and arg in done.stderr


def test_without_a_listening_socket():
    done = run(stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "listening socket" in done.stderr
