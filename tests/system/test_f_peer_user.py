"""peer_user: a unix socket that could be another user's server gets no request."""
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib import proc
from lib.gateway import run_h2cgi
from peers.fcgi import Backend, hello, keeping

FRIEND, STRANGER = pwd.getpwnam("www-data"), pwd.getpwnam("nobody")
NUMBER = STRANGER.pw_uid


@pytest.fixture
def folder():
    """Root's, below /tmp with its sticky bit."""
    made = Path(tempfile.mkdtemp(prefix="h2cgi-peer-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def pool_ini(place, connect, **keys):
    keys = {"peer_user": FRIEND.pw_name, **keys}
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nconnect = {connect}\n{lines}")


def give(path, user, mode=None):
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    if mode is not None:
        os.chmod(path, mode)


# What is done to run/ and run/app.sock of a trusted folder.
def of_friend(run, sock):
    give(run, FRIEND, 0o711)
    give(sock, FRIEND, 0o660)


def in_sticky(run, sock):
    run.chmod(0o1777)
    give(sock, FRIEND)


def by_links(run, sock):
    (run / "real").mkdir()
    sock.rename(run / "real" / "s")
    (run / "dir").symlink_to(run / "real")
    sock.symlink_to("./dir/../dir//s")
    give(run / "real" / "s", FRIEND)


@pytest.mark.parametrize("arrange", [of_friend, in_sticky, by_links])
def test_trusted(place, folder, start, arrange):
    run, sock = folder / "run", folder / "run" / "app.sock"
    run.mkdir()
    with Backend(str(sock), keeping(hello)):
        arrange(run, sock)
        gateway = start(pool_ini(place, f"unix:{sock}"))
        assert gateway.get("/app/x").status == 200
    assert "not trusted" not in gateway.log()


def socket_of_another(run, sock):
    give(sock, STRANGER)
    return f"run/app.sock belongs to another user .owner uid {NUMBER}, "


def folder_of_another(run, sock):
    give(run, STRANGER)
    return f"run belongs to another user .owner uid {NUMBER}, mode 0755"


def open_folder(run, sock):
    run.chmod(0o777)
    return "run can be written by other users .owner uid 0, mode 0777"


def open_to_its_group(run, sock):
    run.chmod(0o775)
    return "run can be written by other users .owner uid 0, mode 0775"


def open_further_up(run, sock):
    run.parent.chmod(0o777)
    return f"{run.parent} can be written by other users"


def link_of_another(run, sock):
    run.chmod(0o1777)
    sock.rename(run / "s")
    sock.symlink_to("s")
    give(sock, STRANGER)
    return f"run/app.sock belongs to another user .owner uid {NUMBER}, mode 0777"


def link_to_an_open_folder(run, sock):
    (run / "open").mkdir()
    (run / "open").chmod(0o777)
    sock.rename(run / "open" / "s")
    sock.symlink_to(run / "open" / "s")
    return "run/open can be written by other users"


@pytest.mark.parametrize("arrange", [
    socket_of_another, folder_of_another, open_folder, open_to_its_group, open_further_up,
    link_of_another, link_to_an_open_folder])
def test_not_trusted(place, folder, start, arrange):
    """Said at start; no connection is made, the answer is 502, then 503."""
    run, sock = folder / "run", folder / "run" / "app.sock"
    run.mkdir()
    with Backend(str(sock), keeping(hello)) as backend:
        why = arrange(run, sock)
        gateway = start(pool_ini(place, f"unix:{sock}"))
        line = gateway.wait_log(why)
        assert f"pool=app server=unix:{sock} not trusted" in line
        mark = gateway.mark()
        assert gateway.get("/app/x").status == 502
        gateway.wait_log(why, since=mark)
        gateway.wait_log("out of rotation: backend may be another user's .peer_user", since=mark)
        assert all(gateway.get("/app/x").status in (502, 503) for _ in range(5))
        assert backend.n_accepted == 0


def test_repaired(place, folder, start):
    """Found when it is tried again."""
    sock = folder / "app.sock"
    with Backend(str(sock), keeping(hello)):
        give(sock, STRANGER)
        gateway = start(pool_ini(place, f"unix:{sock}"))
        assert gateway.get("/app/x").status == 502
        give(sock, FRIEND)
        proc.wait_until(lambda: gateway.get("/app/x").status == 200, 10, "a server")
        gateway.wait_log(r"pool=app server=\S+ back")


def test_another_server_has_the_requests(place, folder, start):
    bad, good = folder / "bad.sock", folder / "good.sock"
    with Backend(str(bad), keeping(hello)) as stranger, Backend(str(good), keeping(hello)):
        give(bad, STRANGER)
        gateway = start(pool_ini(place, f"unix:{bad} unix:{good}", balance="round-robin"))
        for _ in range(10):
            assert gateway.get("/app/x", method="POST", body=b"a").status == 200
        assert stranger.n_accepted == 0


def test_replaced_while_it_runs(place, folder, start):
    """The friend's server ends and a stranger binds its path: nothing is sent there."""
    sock = folder / "app.sock"
    with Backend(str(sock), keeping(hello)):
        give(sock, FRIEND)
        gateway = start(pool_ini(place, f"unix:{sock}"))
        assert gateway.get("/app/x").status == 200
    sock.unlink()
    with Backend(str(sock), keeping(hello)) as stranger:
        give(sock, STRANGER)
        proc.wait_until(lambda: gateway.get("/app/x").status in (502, 503), 10, "a refusal")
        assert gateway.get("/app/x").status in (502, 503)
        assert stranger.n_accepted == 0
        gateway.wait_log("app.sock belongs to another user")


def test_not_there_yet(place, folder, start):
    """No server is no stranger's."""
    sock = folder / "app.sock"
    gateway = start(pool_ini(place, f"unix:{sock}"))
    assert gateway.get("/app/x").status == 502
    assert "not trusted" not in gateway.log()
    with Backend(str(sock), keeping(hello)):
        give(sock, FRIEND)
        proc.wait_until(lambda: gateway.get("/app/x").status == 200, 10, "a server")


def test_unset(place, start):
    """Without the key a socket in a folder that is open to all is taken, as everywhere."""
    with Backend(str(place / "app.sock"), keeping(hello)):
        give(place / "app.sock", STRANGER)
        gateway = start(pool_ini(place, f"unix:{place}/app.sock").replace("peer_user", ";"))
        assert gateway.get("/app/x").status == 200


# ---- processes that listen themselves ----

SELF_LISTENER = f"""#!{sys.executable} -u
import sys, time
sys.path[:0] = [{str(Path(__file__).resolve().parent.parent)!r}]
from peers.fcgi import Backend, hello, keeping
with Backend(sys.argv[1], keeping(hello)):
    time.sleep(600)
"""


def self_ini(place, folder, **keys):
    program = place / "app"
    program.write_text(SELF_LISTENER)
    program.chmod(0o755)
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return (f"[site main]\nroot = {place}/public\n[route main /app/]\npool = app\n"
            f"[pool app]\nspawn = {program} {folder}/app.sock\nlisten = self\n"
            f"connect = unix:{folder}/app.sock\n{lines}")


def test_own_process_listens(place, folder, start):
    folder.chmod(0o1777)
    gateway = start(self_ini(place, folder, user=FRIEND.pw_name))
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "an application")
    assert "not trusted" not in gateway.log()


@contextlib.contextmanager
def stranger_at(path):
    """A listener of another user's."""
    code = ("import socket, sys, time\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\n"
            "s.listen()\nimport os\nos.chmod(sys.argv[1], 0o666)\nprint('up', flush=True)\n"
            "time.sleep(600)\n")
    child = subprocess.Popen(proc.ending_with_parent(sys.executable, "-c", code, path),
                             user=STRANGER.pw_uid, stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"up\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_another_listens_in_its_place(place, folder, start):
    """Whoever was there first has the path; he gets nothing but a connection that says nothing."""
    folder.chmod(0o1777)
    with stranger_at(folder / "app.sock") as stranger:
        gateway = start(self_ini(place, folder, user=FRIEND.pw_name))
        proc.wait_until(lambda: gateway.get("/app/x").status in (502, 503), 20, "a refusal")
        line = gateway.wait_log("not trusted")
        assert f"uid {NUMBER} listens there (pid {stranger.pid})" in line


def test_peer_user_of_own_process(place, folder, start):
    """A program that root starts, and that changes to another user by itself."""
    folder.chmod(0o1777)
    ini = self_ini(place, folder, user="root", peer_user=FRIEND.pw_name)
    program = place / "app"
    program.write_text(program.read_text().replace(
        "import sys, time\n", f"import os, sys, time\nos.setgid({FRIEND.pw_gid})\n"
                              f"os.setuid({FRIEND.pw_uid})\n"))
    gateway = start(ini)
    proc.wait_until(lambda: gateway.get("/app/x").status == 200, 20, "an application")


def test_no_such_user(place):
    ini = place / "x.ini"
    ini.write_text("[listen a]\naddress = 127.0.0.1:1\n" +
                   pool_ini(place, f"unix:{place}/a", peer_user="nobody-at-all"))
    done = run_h2cgi("check", "-c", ini)
    assert done.returncode == 1
    assert "peer_user = nobody-at-all: no such user" in done.stderr
