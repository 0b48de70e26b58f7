"""How each script ended and what it used, in the access log."""
import os
import re
import signal

import pytest

from lib import proc
from lib.apps import app, write_file, write_script
from lib.gateway import is_root
from lib.h1 import H1

LINE = re.compile(r'" (?P<status>\d+) \d+ ".*" ".*" \d+\.\d{6}(?P<fields>( \w+=\S+)*)$')


def site(place, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    write_file(place / "public/index.html", "front\n")
    return (f"[site main]\nroot = {place}/public\n[route main /cgi/]\npool = scripts\n"
            f"root = {place}/cgi\n[pool scripts]\ncgi = on\nmax_requests = 2\n{lines}")


def script(place, name, text):
    return write_script(place / "cgi" / name, f"#!/bin/sh\n{text}\n")


ANSWER = "printf 'Content-Type: text/plain\\n\\nhi'"


def fields(gateway, path):
    """(status, {name: value}) of the request's line."""
    (line,) = gateway.wait_access(re.escape(f" {path} "))
    match = LINE.search(line)
    assert match, line
    return int(match["status"]), dict(pair.split("=", 1) for pair in match["fields"].split())


@pytest.mark.threads
def test_exit_status(place, start, proto):
    script(place, "ok", ANSWER)
    script(place, "three", f"{ANSWER}; exit 3")
    script(place, "killed", f"{ANSWER}; kill -SEGV $$")
    gateway = start(site(place))
    for name in ("ok", "three", "killed"):
        gateway.fetch(proto, f"/cgi/{name}")
    status, found = fields(gateway, "/cgi/ok")
    assert (status, found["pool"], found["exit"]) == (200, "scripts", "0")
    assert re.fullmatch(r"\d+ms", found["wait"])
    assert "signal" not in found
    assert fields(gateway, "/cgi/three")[1]["exit"] == "3"
    _, found = fields(gateway, "/cgi/killed")
    assert found["signal"] == "11" and "exit" not in found


@pytest.mark.slow
def test_cpu_and_memory(place, start):
    """Those of the script and of what it waited for."""
    burn = "perl -e 'my $x = q(x) x (48 << 20); my $t = times; 1 while times() - $t < 0.3;'"
    script(place, "burn", f"{burn}\n{ANSWER}")
    script(place, "idle", ANSWER)
    gateway = start(site(place))
    assert gateway.get("/cgi/burn").body == b"hi"
    assert gateway.get("/cgi/idle").body == b"hi"
    _, found = fields(gateway, "/cgi/burn")
    assert 300 <= int(found["cpu"].removesuffix("ms")) < 5000
    assert 48 << 10 <= int(found["mem"].removesuffix("K")) < 200 << 10
    _, found = fields(gateway, "/cgi/idle")
    assert int(found["cpu"].removesuffix("ms")) < 300
    assert int(found["mem"].removesuffix("K")) < 48 << 10


def test_wait(place, start):
    """Time in the pool's queue."""
    script(place, "slow", f"touch {place}/up; until [ -e {place}/go ]; do sleep 0.02; done\n"
           f"{ANSWER}")
    script(place, "next", ANSWER)
    gateway = start(site(place, processes=1).replace("max_requests = 2", "max_requests = 1"))
    with H1(gateway.address()) as first, H1(gateway.address()) as second:
        first.request("GET", "/cgi/slow")
        proc.wait_until((place / "up").exists, 10, "the first script")
        second.request("GET", "/cgi/next")
        # It is in the queue once a third, for which that is too short, was refused.
        write_file(place / "go", "")
        assert first.response().body == b"hi"
        assert second.response().body == b"hi"
    _, found = fields(gateway, "/cgi/next")
    assert 0 <= int(found["wait"].removesuffix("ms")) < 10000


def test_refused(place, start):
    """Nothing ran, and the wait is told."""
    script(place, "slow", f"touch {place}/up; until [ -e {place}/go ]; do sleep 0.02; done\n"
           f"{ANSWER}")
    gateway = start(site(place, queue_timeout="200ms", processes=1).replace(
        "max_requests = 2", "max_requests = 1"))
    with H1(gateway.address()) as client:
        client.request("GET", "/cgi/slow")
        proc.wait_until((place / "up").exists, 10, "the script")
        assert gateway.get("/cgi/slow?2").status == 503
        status, found = fields(gateway, "/cgi/slow?2")
        assert status == 503 and int(found["wait"].removesuffix("ms")) >= 200
        assert "exit" not in found and "signal" not in found
        write_file(place / "go", "")
        assert client.response().status == 200


def test_missing_script_has_its_shell_status(place, start):
    gateway = start(site(place).replace("[pool", "script_check = off\n[pool", 1))
    assert gateway.get("/cgi/none").status == 404
    assert fields(gateway, "/cgi/none")[1]["exit"] == "127"


def test_files_and_errors_have_no_such_fields(place, start):
    gateway = start(site(place))
    assert gateway.get("/").status == 200
    assert gateway.get("/none").status == 404
    assert fields(gateway, "/")[1] == {}
    assert list(fields(gateway, "/none")[1]) == ["id"]


def test_fastcgi_application(place, start):
    """Pool and wait, but nothing of a script."""
    gateway = start(f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
                    f"[pool app]\nspawn = {app('hello')}\n")
    assert gateway.get("/app/x").status == 200
    _, found = fields(gateway, "/app/x")
    assert set(found) == {"pool", "wait"} and found["pool"] == "app"


@pytest.mark.threads
@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_client_that_left(place, start, how):
    """The line comes when the script is gone, with its end."""
    trap = "trap '' TERM\n" if how == "KILL" else ""
    script(place, "long", f"{trap}touch {place}/up\nwhile :; do sleep 0.05; done")
    gateway = start(site(place))
    with H1(gateway.address()) as client:
        client.request("GET", "/cgi/long")
        proc.wait_until((place / "up").exists, 10, "the script")
    status, found = fields(gateway, "/cgi/long")
    assert found["signal"] == str(int(getattr(signal, f"SIG{how}")))
    assert status == 499


def test_timeout(place, start):
    script(place, "long", "trap '' TERM\nwhile :; do sleep 0.05; done")
    gateway = start(site(place, timeout="300ms"))
    assert gateway.get("/cgi/long").status == 504
    status, found = fields(gateway, "/cgi/long")
    assert (status, found["signal"]) == (504, "9")


def test_silent_script_is_ended_for_first_byte_timeout(place, start):
    """As for any other end: the slot is free when the script is gone."""
    script(place, "long", "trap '' TERM\necho $$ >$0.pid\nwhile :; do sleep 0.05; done")
    os.chmod(place / "cgi", 0o777)
    gateway = start(site(place, processes=1, first_byte_timeout="300ms").replace(
        "max_requests = 2", "max_requests = 1"))
    script(place, "next", ANSWER)
    assert gateway.get("/cgi/long").status == 504
    pid = int((place / "cgi/long.pid").read_text())
    assert gateway.get("/cgi/next").body == b"hi"
    assert not proc.alive(pid), "its slot was given away while it ran"
    assert fields(gateway, "/cgi/long")[1]["signal"] == "9"


def test_stop_writes_lines_that_wait(place, start):
    script(place, "long", f"trap '' TERM\n{ANSWER}\nwhile :; do sleep 0.05; done")
    gateway = start(site(place))
    with H1(gateway.address()) as client:
        client.request("GET", "/cgi/long")
        client.head()
    gateway.stop()
    assert fields(gateway, "/cgi/long")[1]["pool"] == "scripts"


@pytest.mark.skipif(not is_root(), reason="a pool of another user takes root")
def test_hostile_runner(place, start):
    """Its user may write what it likes: numbers are all that comes of it, and the page cannot
    be made smaller."""
    probe = script(place, "probe", "")
    write_script(probe, """\
        #!/usr/bin/python3
        import os
        runner = os.getppid()
        said = []
        for line in open(f"/proc/{runner}/maps"):
            if "h2cgi-usage" in line:
                begin, end = line.split()[0].split("-")
                path = f"/proc/{runner}/map_files/{begin}-{end}"
                try:
                    os.truncate(path, 0)
                    said.append("truncated")
                except OSError as e:
                    said.append(e.strerror)
        print("Content-Type: text/plain\\n\\n" + ";".join(said), end="")
        """)
    gateway = start(site(place, user="nobody"))
    said = gateway.get("/cgi/probe").body.decode()
    assert said and "truncated" not in said, said
    assert fields(gateway, "/cgi/probe")[1]["exit"] == "0"


def test_scripts_do_not_inherit_the_page(place, start):
    script(place, "fds", "printf 'Content-Type: text/plain\\n\\n'; ls -l /proc/$$/fd; "
           "cat /proc/$$/maps; env")
    gateway = start(site(place))
    text = gateway.get("/cgi/fds").body.decode()
    assert "usage" not in text and "memfd" not in text
