"""Applications for pools: scripts written on the spot, php-fpm, and the built C programs."""
import os
import shutil
import stat
import subprocess
import textwrap
from pathlib import Path

import pytest

from lib import proc
from lib.gateway import APPS, USER, is_root

ENV_SCRIPT = """\
    #!/bin/sh
    echo "Content-Type: text/plain"
    echo
    env
    """


def write_script(path, text, mode=0o755):
    """A program at path; parents are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


def write_file(path, data):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def app(name):
    """A program of build/apps."""
    path = APPS / name
    if not path.exists():
        pytest.fail(f"{path} is not built")
    return path


def need(program):
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        pytest.fail(f"{program} is not installed")
    return found


class PhpFpm:
    """php-fpm with n children on a socket of its own."""

    def __init__(self, place, children=2, extra=""):
        self.place = Path(place)
        self.socket = self.place / "fpm.sock"
        conf = self.place / "fpm.conf"
        user = f"user = {USER}\ngroup = {USER}\n" if is_root() else ""
        conf.write_text(
            f"[global]\nerror_log = {self.place}/fpm.log\ndaemonize = no\n"
            f"[www]\n{user}listen = {self.socket}\nlisten.mode = 0666\n"
            f"pm = static\npm.max_children = {children}\ncatch_workers_output = yes\n{extra}")
        command = [need("php-fpm8.2"), "-F", "-y", str(conf)]
        self.process = subprocess.Popen(command + (["-R"] if is_root() else []),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        proc.wait_until(self.ready, 10, "php-fpm's socket")

    def ready(self):
        assert self.process.poll() is None, (self.place / "fpm.log").read_text()
        return self.socket.exists()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def is_executable(path):
    return bool(os.stat(path).st_mode & stat.S_IXUSR)
