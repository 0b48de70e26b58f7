"""Applications that bind their own socket, and those that have children of their own."""
import os
import signal
import socket
import subprocess

import pytest

from lib import proc
from lib.apps import app, need, write_file, write_script
from lib.gateway import is_root
from lib.ports import free_port
from lib.worker import worker

PHP = "<?php header('Content-Type: text/plain'); echo getmypid();\n"


def self_ini(place, address, listen, **keys):
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {worker(place)} --listen={listen}\nlisten = self\n"
            f"connect = {address}\n{lines}")


def folder(place):
    """One that the pool's user may write, and nobody else."""
    made = place / "own"
    made.mkdir()
    if is_root():
        subprocess.run(["chown", "www-data:www-data", made], check=True)
    made.chmod(0o755)
    return made


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_own_socket(place, start, kind):
    if kind == "unix":
        path = folder(place) / "{slot}.sock"
        ini = self_ini(place, f"unix:{path}", path, processes=2)
    else:
        port = free_port()
        ini = self_ini(place, f"127.0.0.1:{port}", f":{port}")
    gateway = start(ini)
    assert gateway.get("/app/", timeout=20).status == 200
    pids = proc.wait_until(lambda: gateway.pool_pids("worker"), 10, "the processes")
    assert len(pids) == (2 if kind == "unix" else 1)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert gateway.get("/app/", timeout=20).status in (200, 502)
    proc.wait_until(lambda: gateway.get("/app/", timeout=20).status == 200, 20, "an answer")


BINDS = """\
    #!/usr/bin/python3
    import os, socket, sys
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(8)
    os.dup2(listener.fileno(), 0)
    os.execv("{hello}", ["{hello}"])
    """


def binding_ini(place, path):
    """An application that leaves its socket, and fails where it finds one."""
    program = write_script(place / "binds", BINDS.format(hello=app("hello")))
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {program} {path}\nlisten = self\nconnect = unix:{path}\n")


def test_socket_that_was_left(place, start):
    """By a process that was killed, and by a gateway before this one."""
    ini = binding_ini(place, folder(place) / "{slot}.sock")
    gateway = start(ini)
    assert gateway.get("/app/x", timeout=20).body == b"Hello, x\n"
    for pid in gateway.pool_pids("hello"):
        os.kill(pid, signal.SIGKILL)
    proc.wait_until(lambda: gateway.get("/app/x", timeout=20).status == 200, 20, "an answer")
    gateway.stop()
    assert (place / "own/0.sock").is_socket()
    assert start(ini).get("/app/x", timeout=20).body == b"Hello, x\n"


def test_what_is_no_socket_stays(place, start):
    """Nor is one removed on which somebody listens."""
    path = folder(place) / "0.sock"
    write_file(path, b"mine")
    gateway = start(binding_ini(place, path))
    gateway.wait_log("Address already in use")
    assert path.read_text() == "mine"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        os.chmod(path, 0o777)
        mark = gateway.mark()
        gateway.wait_log("Address already in use", mark, timeout=20)
        assert path.is_socket()


def test_requests_wait_until_it_listens(place, start):
    """There is no backlog before: they wait in the pool's queue."""
    path = folder(place) / "0.sock"
    gateway = start(self_ini(place, f"unix:{path}", f"{path} --pause={place}/go"))
    with pytest.raises(TimeoutError):
        gateway.get("/app/", timeout=0.5)
    write_file(place / "go", "")
    assert gateway.get("/app/", timeout=20).status == 200
    gateway.wait_log(r"pool=app process \d+ started")


def test_one_that_does_not_listen(place, start):
    """Ended after start_timeout; then nobody waits for it."""
    path = folder(place) / "0.sock"
    gateway = start(self_ini(place, f"unix:{path}", f"{path} --pause={place}/never",
                             start_timeout="300ms", stop_timeout="300ms",
                             queue_timeout="60s"))
    gateway.wait_log(r"pool=app process \d+ took no connection within start_timeout, 300 ms")
    proc.wait_until(lambda: gateway.get("/app/", timeout=20).status == 503, 20, "a refusal")


def test_successors_have_sockets_of_their_own(place, start):
    path = folder(place) / "{slot}.sock"
    gateway = start(self_ini(place, f"unix:{path}", path, max_age="300ms"))
    pids = set()

    def several():
        answer = gateway.get("/app/", timeout=20)
        assert answer.status == 200
        pids.add(answer.body.split()[0])
        return len(pids) >= 3
    proc.wait_until(several, 20, "three processes")


# ---- php-cgi ----

@pytest.fixture
def php(place, start):
    write_file(place / "public/pid.php", PHP)

    def start_php(**keys):
        lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
        return start(f"[site main]\nroot = {place}/public\n[route main *.php]\npool = php\n"
                     f"[pool php]\nspawn = {need('php-cgi8.2')}\nrequests_per_process = 3\n"
                     f"env.PHP_FCGI_CHILDREN = 3\nenv.PHP_FCGI_MAX_REQUESTS = 20\n{lines}")
    return start_php


def php_family(gateway):
    (parent,) = gateway.pool_pids("php-cgi")
    return parent, [pid for pid in proc.children(parent) if proc.alive(pid)]


def test_php_has_children(php):
    """They answer, come and go by their own number of requests, and end with it."""
    gateway = php()
    pids = {int(gateway.get("/pid.php", timeout=20).body) for _ in range(100)}
    parent, children = php_family(gateway)
    assert parent not in pids and len(pids) >= 3
    assert len(children) <= 3
    gateway.stop()
    assert not [pid for pid in [parent, *children] if proc.alive(pid)]


def test_php_killed_leaves_no_children(php):
    """They hold the socket: a new parent would share it with them."""
    gateway = php()
    assert gateway.get("/pid.php", timeout=20).status == 200
    parent, children = proc.wait_until(
        lambda: len(php_family(gateway)[1]) == 3 and php_family(gateway), 10, "its children")
    os.kill(parent, signal.SIGKILL)
    proc.wait_until(lambda: not [pid for pid in children if proc.alive(pid)], 10, "their end")
    proc.wait_until(lambda: gateway.get("/pid.php", timeout=20).status == 200, 10, "an answer")


def test_php_is_replaced_as_a_whole(php):
    gateway = php(max_age="1s")
    assert gateway.get("/pid.php", timeout=20).status == 200
    parent, children = proc.wait_until(
        lambda: len(php_family(gateway)[1]) == 3 and php_family(gateway), 10, "its children")
    proc.wait_until(lambda: not [pid for pid in [parent, *children] if proc.alive(pid)], 20,
                    "the end of all")
    assert gateway.get("/pid.php", timeout=20).status == 200
