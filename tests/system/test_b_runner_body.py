"""h2cgi-run: bodies to a script, and its output."""
import hashlib
import os
import time
from pathlib import Path

import pytest

from fcgi_client import head
from lib.runner import runner, wait_for  # noqa: F401
from peers.fcgi import STDIN, STDOUT, record, stream


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
