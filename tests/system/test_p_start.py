"""Processes that do not come up, or not at the first try: who is refused, who waits, and what the
log says."""
import concurrent.futures
import os
import re

import pytest

from lib import proc
from lib.apps import app, write_file, write_script
from lib.gateway import is_root
from lib.worker import pool_ini, who


def spawn_ini(place, command, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {command}\n{lines}")


@pytest.mark.parametrize("processes", ["1", *(pytest.param(more, marks=pytest.mark.slow)
                                              for more in ("3", "0-3"))])
def test_where_all_fail_nobody_waits(place, start, processes):
    """Each lives for a while before it fails, so that there is always one being started."""
    bad = write_file(place / "bad", "")
    program = write_script(place / "app", f"""\
        #!/bin/sh
        if [ -e {bad} ]; then sleep 0.3; echo no database >&2; exit 3; fi
        exec {app('hello')}
        """)
    gateway = start(spawn_ini(place, program, processes=processes, queue_timeout="60s"))
    gateway.get("/app/", timeout=40)  # on demand this starts the first
    gateway.wait_log("restarted in 200 ms; its last line: no database")
    proc.wait_until(lambda: gateway.get("/app/", timeout=40).status == 503, 20, "a refusal")
    mark = gateway.mark()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: gateway.get("/app/", timeout=10), range(40)))
    assert [answer.status for answer in answers] == [503] * 40
    assert all(int(answer.get("retry-after")) >= 1 for answer in answers)
    assert gateway.log(mark).count("EPOOL_DOWN: pool down") == 40
    os.unlink(bad)
    proc.wait_until(lambda: gateway.get("/app/", timeout=40).status == 200, 30, "an answer")


@pytest.mark.parametrize("processes", ["1", "0-1"])
def test_who_is_back_soon_is_waited_for(place, start, processes):
    """It fails once; the request that came meanwhile is answered."""
    program = write_script(place / "app", f"""\
        #!/bin/sh
        [ -e {place}/once ] && exec {app('hello')}
        touch {place}/once
        until [ -e {place}/asked ]; do sleep 0.02; done
        exit 3
        """)
    gateway = start(spawn_ini(place, program, processes=processes))
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        answer = threads.submit(gateway.get, "/app/x", timeout=20)
        proc.wait_until((place / "once").exists, 10, "the first process")
        write_file(place / "asked", "")
        assert answer.result().body == b"Hello, x\n"
    gateway.wait_log(r"ended: exit status 3, restarted in 100 ms")


def test_a_program_that_is_there_again_soon(place, start):
    """As while it is installed anew."""
    program = place / "app"
    write_script(program, f"#!/bin/sh\nexec {app('hello')}\n")
    gateway = start(spawn_ini(place, program, processes="0-1", idle_timeout="200ms"))
    assert gateway.get("/app/x").body == b"Hello, x\n"
    proc.wait_until(lambda: not gateway.pool_pids(), 10, "its end")
    program.rename(place / "away")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        answer = threads.submit(gateway.get, "/app/y", timeout=20)
        gateway.wait_log("cannot start .*No such file or directory, tried again in 100 ms")
        (place / "away").rename(program)
        assert answer.result().body == b"Hello, y\n"


@pytest.mark.parametrize("how, reason", [
    ("exit 7", "exit status 7"), ("kill -SEGV $$", r"signal 11 \(SIGSEGV\)"),
    ("kill -KILL $$", r"signal 9 \(SIGKILL\)")])
def test_reason_and_delays(place, start, how, reason):
    """Exit status or signal, and the last line it wrote; later and later."""
    program = write_script(place / "bad", f"#!/bin/sh\necho first >&2\necho last words >&2\n{how}\n")
    gateway = start(spawn_ini(place, program))
    for ms in (100, 200, 400, 800):
        gateway.wait_log(rf"error \d+: pool=app process \d+ ended: {reason}, "
                         rf"restarted in {ms} ms; its last line: last words")


# Ruby's fcgi.rb without its C part does the same.
TOUCHY = """\
    #!/usr/bin/python3
    import os, socket, sys
    server = socket.socket(fileno=0)
    def take(conn, n):
        data = b""
        while len(data) < n:
            if not (piece := conn.recv(n - len(data))):
                sys.exit("FCGI socket unexpected EOF")
            data += piece
        return data
    while True:
        conn, _ = server.accept()
        while True:
            head = take(conn, 8)
            n = head[4] << 8 | head[5]
            take(conn, n + head[6])
            if head[1] == 5 and n == 0:
                break
        text = b"Content-Type: text/plain\\r\\n\\r\\n%d" % os.getpid()
        conn.sendall(b"\\1\\6\\0\\1" + len(text).to_bytes(2, "big") + b"\\0\\0" + text +
                     b"\\1\\3\\0\\1\\0\\x08\\0\\0" + bytes(8))
        conn.close()
    """


@pytest.mark.parametrize("processes", ["1", "3", "0-1"])
def test_who_ends_on_an_empty_connection(place, start, processes):
    """By which it is seen that a process is ready: once, then it is started without."""
    program = write_script(place / "app", TOUCHY)
    gateway = start(spawn_ini(place, program, processes=processes, idle_timeout="200ms"))
    pids = {gateway.get("/app/", timeout=20).body for _ in range(12)}
    assert all(pid.isdigit() for pid in pids)
    gateway.wait_log("ended on a connection without a request: its like are started without")
    if processes == "0-1":
        for _ in range(3):
            proc.wait_until(lambda: not gateway.pool_pids(), 10, "its end")
            pids.add(gateway.get("/app/", timeout=20).body)
        assert len(pids) in (4, 5)  # the first may have answered before it ended
    assert gateway.log().count("ended on a connection without a request") == 1
    assert gateway.log().count("unexpected EOF\n") <= 2 * max(1, int(processes[0]))
    assert "restarted in" not in gateway.log()


def test_crash_at_work(place, start):
    """Its reason, too; and who waits is served by the next."""
    gateway = start(pool_ini(place))
    pid, _ = who(gateway)
    assert gateway.get("/app/?kill=ABRT").status == 502
    gateway.wait_log(rf"pool=app process {pid} ended: signal 6 \(SIGABRT\).*restarted in \d+ ms")
    assert who(gateway)[0] != pid


def test_output_goes_to_the_log(place, start):
    """What it writes to stdout and stderr, with pool and pid; also through /dev/stderr."""
    program = write_script(place / "app", f"""\
        #!/bin/sh
        echo on stdout
        echo on stderr >&2
        echo on /dev/stdout >/dev/stdout
        echo on /dev/stderr >/dev/stderr
        printf 'no line end' >&2
        exec {app('hello')}
        """)
    keys = {"user": "nobody"} if is_root() else {}
    gateway = start(spawn_ini(place, program, **keys))
    assert gateway.get("/app/x").status == 200
    (pid,) = gateway.pool_pids()
    for words in ("on stdout", "on stderr", "on /dev/stdout", "on /dev/stderr"):
        gateway.wait_log(rf"pool=app process={pid} {re.escape(words)}$")
    gateway.stop()
    gateway.wait_log(rf"pool=app process={pid} no line end$")


WHERE = """\
    #!/bin/sh
    pwd > {out}
    exec {program}
    """


@pytest.mark.parametrize("said", [False, True])
def test_folder(place, start, said):
    """That of the program, or the one that the INI says."""
    program = write_script(place / "my app/here", WHERE.format(out=place / "where",
                                                               program=app("hello")))
    os.chmod(write_file(place / "where", ""), 0o666)
    keys = {"directory": place / "public"} if said else {}
    gateway = start(spawn_ini(place, f'"{program}"', **keys))
    assert gateway.get("/app/x").body == b"Hello, x\n"
    assert (place / "where").read_text() == f"{place}/{'public' if said else 'my app'}\n"


@pytest.mark.skipif(not is_root(), reason="as root it is another user")
def test_folder_that_cannot_be_entered(place, start):
    (place / "closed").mkdir(mode=0o700)
    gateway = start(spawn_ini(place, app("hello"), directory=place / "closed"))
    gateway.wait_log("pool=app cannot start .*: directory: Permission denied")
    assert gateway.get("/app/x").status in (502, 503)
