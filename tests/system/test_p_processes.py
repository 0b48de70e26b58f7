"""Crashes, restarts, users, and that nothing is ever left behind."""
import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lib import proc
from lib.apps import app, write_file, write_script
from lib.certs import AUTHORITY, Certificate
from lib.gateway import BINARY, is_root, run_h2cgi
from lib.h1 import H1


def site(place):
    write_file(place / "public/index.html", "front\n")
    return f"[site main]\nroot = {place}/public\n[route main /]\nroot = {place}/public\n"


def with_app(place, command=None, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return site(place) + ("[route main /app/]\npool = app\n[pool app]\n"
                          f"spawn = {command or app('hello')}\n{lines}")


def with_cgi(place):
    write_script(place / "cgi/hello", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhi'\n")
    return site(place) + (f"[route main /cgi/]\npool = scripts\nroot = {place}/cgi\n"
                          "[pool scripts]\ncgi = on\nmax_requests = 2\n")


@pytest.mark.threads
def test_gateway_killed(place, start, proto):
    """The listeners stay open in the master: the next request is answered."""
    gateway = start(with_app(place))
    gateway.restarts_expected = True
    for _ in range(2):
        assert gateway.fetch(proto, "/app/x").body == b"Hello, x\n"
        os.kill(gateway.gateway_pid(), signal.SIGKILL)
        begin = time.monotonic()
        # connects at once (the backlog), waits for the new gateway, and gets its answer
        assert gateway.fetch(proto, "/app/y").body == b"Hello, y\n"
        print(f"answered {time.monotonic() - begin:.3f} s after kill -9")
    gateway.wait_log("signal 9|SIGKILL")


def test_gateway_that_keeps_dying_is_restarted_with_a_growing_delay(place, start):
    gateway = start(site(place))
    gateway.restarts_expected = True
    pauses = []
    for _ in range(4):
        old = proc.wait_until(gateway.gateway_pid, 10, "a gateway")
        begin = time.monotonic()
        os.kill(old, signal.SIGKILL)
        proc.wait_until(lambda: gateway.gateway_pid() not in (None, old), 20, "a restart")
        pauses.append(time.monotonic() - begin)
    assert pauses[-1] > pauses[0]
    assert gateway.get("/").body == b"front\n"


def test_spawner_killed(place, start):
    """Its processes end with it; the pool is there again."""
    gateway = start(with_app(place))
    assert gateway.get("/app/x").status == 200
    spawner, pids = gateway.spawner_pid(), gateway.pool_pids()
    os.kill(spawner, signal.SIGKILL)
    proc.wait_until(lambda: gateway.spawner_pid() not in (None, spawner), 10, "a new spawner")
    proc.wait_until(lambda: not any(proc.alive(pid) for pid in pids), 10, "end of orphans")
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 10, "a working pool")
    assert gateway.get("/").body == b"front\n"


def test_master_killed(place, start):
    """The others notice and end, and so does what they started."""
    gateway = start(with_app(place))
    assert gateway.get("/app/x").status == 200
    identities = gateway.tree()
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait(10)
    gateway.process = None
    mine = {pid for pid, _ in identities}
    proc.wait_until(lambda: proc.reap(mine) or not any(map(proc.alive, mine)), 10,
                    "the end of the others")


def test_application_that_dies_at_start(place, start):
    """Restarted with a growing delay; each time the reason is logged."""
    gateway = start(with_app(place, write_script(
        place / "bad", "#!/bin/sh\necho cannot start today >&2\nexit 9\n"),
        first_byte_timeout="2s", queue_timeout="2s"))
    lines = proc.wait_until(lambda: restarts(gateway, 4), 20, "four log lines")
    delays = [delay(line) for line in lines]
    assert delays == sorted(delays) and delays[-1] > delays[0], delays
    assert all(re.search(r"status 9|exited with 9", line) for line in lines)
    gateway.wait_log("cannot start today")
    assert gateway.get("/app/x").status in (502, 503, 504)
    assert gateway.get("/").body == b"front\n"


def restarts(gateway, n):
    """Log lines of the pool that tell of a restart with a delay."""
    found = [line for line in gateway.log().splitlines()
             if "pool=app" in line and delay(line) is not None]
    return found if len(found) >= n else None


def delay(line):
    """'... in 200ms', '... in 0.4 s', '... 1000 ms': milliseconds, None if there is none."""
    match = re.search(r"(\d+(?:\.\d+)?) ?(ms|s)\b", line.partition("pool=app")[2])
    return float(match[1]) * (1 if match[2] == "ms" else 1000) if match else None


def test_application_that_does_not_exist(place):
    """Told at once, by run as by check."""
    ini = write_file(place / "h2cgi.ini", "[listen http]\naddress = 127.0.0.1:1\n" +
                     with_app(place, f"{place}/no-such-program"))
    for verb in ("check", "run"):
        done = run_h2cgi(verb, "-c", str(ini))
        assert done.returncode == 1
        assert "no-such-program" in done.stdout + done.stderr


def test_application_that_goes_away(place, start):
    """A program that was there at the start and is gone when it is to be restarted."""
    program = shutil.copy(app("hello"), place / "program")
    gateway = start(with_app(place, program, first_byte_timeout="1s"))
    assert gateway.get("/app/x").status == 200
    os.unlink(program)
    (pid,) = gateway.pool_pids()
    os.kill(pid, signal.SIGKILL)
    assert "pool=app" in gateway.wait_log("No such file")
    assert gateway.get("/app/x").status in (502, 503, 504)
    shutil.copy(app("hello"), program)
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "an answer")


def test_application_killed_comes_back(place, start):
    gateway = start(with_app(place))
    for _ in range(3):
        assert gateway.get("/app/x").status == 200
        (pid,) = gateway.pool_pids()
        os.kill(pid, signal.SIGKILL)
        proc.wait_until(lambda: gateway.pool_pids() not in ([], [pid]), 10, "a new process")
    assert gateway.get("/app/x").body == b"Hello, x\n"


def test_runner_killed_comes_back(place, start):
    gateway = start(with_cgi(place))
    for pid in proc.wait_until(gateway.pool_pids, 10, "runners"):
        os.kill(pid, signal.SIGKILL)
    proc.wait_until(lambda: gateway.get("/cgi/hello").status == 200, 10, "an answer")


@pytest.mark.slow
def test_stop_while_everything_is_busy(place, start):
    """SIGTERM with scripts, downloads and idle connections under way: all of it ends."""
    write_file(place / "public/big", b"x" * (64 << 20))
    write_script(place / "cgi/forever", "#!/bin/sh\ntrap '' TERM\n"
                 "printf 'Content-Type: text/plain\\n\\nstarted\\n'\nwhile :; do sleep 1; done\n")
    gateway = start(with_cgi(place))
    clients = [H1(gateway.address()) for _ in range(6)]
    for client, path in zip(clients, ["/big", "/cgi/forever", "/big", "/cgi/forever"]):
        client.request("GET", path)
        client.head()
    proc.wait_until(lambda: any("forever" in proc.command(pid) for pid in
                                proc.descendants(gateway.spawner_pid())), 10, "the scripts")
    begin = time.monotonic()
    gateway.stop()  # asserts that nothing is left
    assert time.monotonic() - begin < 10
    for client in clients:
        client.close()


def test_drain_that_takes_too_long_is_cut(place, start):
    write_script(place / "cgi/forever", "#!/bin/sh\n"
                 "printf 'Content-Type: text/plain\\n\\nstarted\\n'\nwhile :; do sleep 1; done\n")
    gateway = start(with_cgi(place), drain_timeout="500ms")
    with H1(gateway.address()) as client:
        client.request("GET", "/cgi/forever")
        client.head()
        begin = time.monotonic()
        gateway.stop(how=signal.SIGQUIT)
        assert time.monotonic() - begin < 10


def test_stop_command_while_busy(place, start):
    gateway = start(with_cgi(place))
    assert gateway.get("/cgi/hello").body == b"hi"
    done = run_h2cgi("stop", "-c", str(gateway.ini))
    assert done.returncode == 0
    assert not proc.alive(gateway.pid), "stop returned before the end"
    gateway.finish()


def test_second_start_with_the_same_runtime_dir(place, start):
    """Refused, and the first is not harmed."""
    gateway = start(with_app(place))
    done = run_h2cgi("run", "-c", str(gateway.ini))
    assert done.returncode == 1
    assert gateway.get("/app/x").status == 200
    assert (gateway.runtime / "h2cgi.pid").exists()


def test_start_after_a_crash_of_all(place, start):
    """Sockets and a pid file that kill -9 left are no obstacle."""
    gateway = start(with_app(place))
    pids = [gateway.pid, *proc.descendants(gateway.pid)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # they end with the master, too
            os.kill(pid, signal.SIGKILL)
    gateway.process.wait(10)
    proc.wait_until(lambda: proc.reap(pids) or not any(map(proc.alive, pids)), 10, "the end")
    assert gateway.sockets_left(), "kill -9 cannot have tidied up"
    gateway.start()
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 10, "an answer")


def test_directories_are_made(place, start):
    """runtime_dir and spool_dir, with what is above them."""
    gateway = start(with_app(place), runtime_dir=place / "deep/er/run",
                    spool_dir=place / "deep/spool")
    gateway.runtime = place / "deep/er/run"
    assert gateway.get("/app/x").status == 200
    assert (place / "deep/spool").is_dir()


def test_sockets_are_private(place, start):
    gateway = start(with_app(place))
    (socket_path,) = [path for path in gateway.runtime.iterdir() if path.name.startswith("app.")]
    info = socket_path.stat()
    assert info.st_mode & 0o077 == 0
    if is_root():
        assert info.st_uid == pwd.getpwnam("www-data").pw_uid


def copy_certificate(place):
    """One that another user may read."""
    made = AUTHORITY.get("localhost")
    return Certificate(Path(shutil.copy(made.cert, place / "cert.pem")),
                       Path(shutil.copy(made.key, place / "cert.key")))


@pytest.mark.skipif(not is_root(), reason="changing the user takes root")
class TestUsers:
    def test_gateway_drops_privileges(self, place, start):
        gateway = start(site(place))
        status = open(f"/proc/{gateway.gateway_pid()}/status").read()
        user = pwd.getpwnam("www-data")
        assert re.search(rf"^Uid:(\s+{user.pw_uid}){{4}}$", status, re.M)
        assert re.search(rf"^Gid:(\s+{user.pw_gid}){{4}}$", status, re.M)
        assert re.search(r"^CapEff:\s+0+$", status, re.M)
        assert re.search(r"^CapPrm:\s+0+$", status, re.M)
        groups = re.search(r"^Groups:(.*)$", status, re.M)[1].split()
        assert "0" not in groups

    def test_no_privileged_descriptor_in_the_gateway(self, place, start):
        """No key file, no INI, no directory that only root may read."""
        gateway = start(site(place))
        targets = proc.descriptors(gateway.gateway_pid()).values()
        assert not [t for t in targets if t.endswith((".key", ".ini"))]

    def test_pool_user(self, place, start):
        gateway = start(with_app(place, user="nobody"))
        assert gateway.get("/app/x").status == 200
        (pid,) = gateway.pool_pids()
        assert proc.uid(pid) == pwd.getpwnam("nobody").pw_uid

    def test_unprivileged(self, place):
        """The whole as nobody: serves files, applications and scripts, ends cleanly."""
        from lib.gateway import Gateway
        shutil.copytree(BINARY.parent, place / "bin", ignore=shutil.ignore_patterns(
            "obj", "tests", "*.a"), symlinks=True)
        certificate = copy_certificate(place)
        ini = with_app(place, place / "bin/apps/hello") + with_cgi(place).replace(
            site(place), "")
        ini = ini.replace("[site main]\n", f"[site main]\n{certificate.ini}")
        subprocess.run(["chown", "-R", "nobody", place], check=True)
        command = [place / "bin/h2cgi", "run", "-c", place / "h2cgi.ini"]
        prefix = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        with Gateway(place, ini, prefix=prefix, command=command) as gateway:
            uid = pwd.getpwnam("nobody").pw_uid
            assert {proc.uid(pid) for pid, _ in gateway.tree()} == {uid}
            for protocol in ("h1", "h2", "h2c"):
                assert gateway.fetch(protocol, "/").body == b"front\n"
                assert gateway.fetch(protocol, "/app/x").body == b"Hello, x\n"
                assert gateway.fetch(protocol, "/cgi/hello").body == b"hi"

    def test_user_without_root_is_an_error(self, place):
        ini = write_file(place / "h2cgi.ini", "[gateway]\nruntime_dir = " + str(place / "run") +
                         "\n[listen http]\naddress = 127.0.0.1:1\n" +
                         with_app(place, user="daemon"))
        os.chmod(place, 0o777)
        done = run_h2cgi("run", "-c", str(ini), prefix=[
            "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"])
        assert done.returncode == 1
        assert "daemon" in done.stderr
