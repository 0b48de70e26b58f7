"""A started h2cgi-run on a socket of its own, for tests that speak FastCGI to it."""
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fcgi_client import RUNNER, Client


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


def environment(answer):
    return dict(x.split("=", 1) for x in answer.text.split("\0") if x)
