"""h2cgi-run as a FastCGI application: connections and records."""
import os
import socket
import struct
import subprocess
import time

import pytest

from fcgi_client import RUNNER, Client, head, pairs
from lib.runner import runner  # noqa: F401
from peers.fcgi import (BEGIN, CANT_MPX_CONN, END, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDIN,
                        STDOUT, UNKNOWN_ROLE, UNKNOWN_TYPE, parse_pairs, record, stream)


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
