"""The gateway as a process: INI, start, stop, and what must be true after every stop.

Environment: H2CGI names the binary (default build/h2cgi), H2CGI_WRITER the writer mode (lib/turns.py).
"""
import os
import re
import signal
import subprocess
import textwrap
import time
from pathlib import Path

from lib import client, proc, turns
from lib.certs import AUTHORITY
from lib.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("H2CGI", ROOT / "build" / "h2cgi")).absolute()
APPS = BINARY.parent / "apps"
USER = "www-data"
READY = "h2cgi: ready"
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                   "LeakSanitizer", "FATAL: ThreadSanitizer")


def is_root():
    return os.geteuid() == 0


def sanitizer_env(place):
    """Reports also go to files, so that none is lost with a closed stderr."""
    found = {}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        options = [os.environ.get(name, ""), f"log_path={place}/sanitizer"]
        found[name] = ":".join(option for option in options if option)
    return found


def make_ini(text, gateway, listens):
    """Complete an INI: [gateway] and [listen] in front, certificates for sites without."""
    keys = "".join(f"{key} = {value}\n" for key, value in gateway.items() if value is not None)
    parts = [f"[gateway]\n{keys}"]
    for name, (address, tls, *more) in listens.items():
        parts.append(f"[listen {name}]\naddress = {address}\n" + ("tls = on\n" if tls else "")
                     + "".join(f"{line}\n" for line in more))
    text = textwrap.dedent(text)
    if any(tls for _, tls, *_ in listens.values()):
        text = add_certificates(text)
    return "\n".join(parts) + "\n" + text


def add_certificates(text):
    sections = re.split(r"(?m)^(?=\[)", text)
    certificate = AUTHORITY.get("localhost").ini
    for i, section in enumerate(sections):
        if section.startswith("[site ") and "\ncertificate" not in section:
            head, _, rest = section.partition("\n")
            sections[i] = f"{head}\n{certificate}{rest}"
    return "".join(sections)


class Gateway:
    """One running gateway.  ini: sites, routes and pools; keys: of [gateway], None leaves
    one out.  It listens on a TLS and a plain port of 127.0.0.1 unless told otherwise.
    listens: more of them, name -> (address, TLS, further lines of the section...)."""

    def __init__(self, place, ini, *, tls=True, plain=True, listens=None, prefix=(),
                 command=None, env=None, start=True, **keys):
        self.place = Path(place)
        self.runtime = self.place / "run"
        self.ini = self.place / "h2cgi.ini"
        self.stderr_path = self.place / "stderr"
        self.access_path = self.place / "access.log"
        self.restarts_expected = False
        self.first_gateway = self.last_gateway = None
        self.prefix, self.command, self.extra_env = list(prefix), command, env or {}
        self.text, self.listens, self.keys = ini, listens, keys
        self.with_tls, self.with_plain = tls, plain
        self.process = None
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    # ---- start and stop ----

    def write_ini(self):
        self.ports = {"https": free_port(), "http": free_port()}
        listens = {}
        if self.with_tls:
            listens["https"] = (f"127.0.0.1:{self.ports['https']}", True)
        if self.with_plain:
            listens["http"] = (f"127.0.0.1:{self.ports['http']}", False)
        listens.update(self.listens or {})
        gateway = {
            "user": USER if is_root() and not self.prefix else None,
            "workers": 2,
            "writer": turns.writer(),
            "runtime_dir": self.runtime,
            "spool_dir": self.place / "spool",
            "access_log": self.access_path,
            "error_log": "stderr",
            "error_level": "info",
        }
        gateway.update(self.keys)
        self.ini.write_text(make_ini(self.text, gateway, listens))

    def start(self, attempts=5):
        """Run until ready; a port that somebody took meanwhile is replaced."""
        for left in reversed(range(attempts)):
            self.write_ini()
            self.launch()
            try:
                self.wait_ready()
                break
            except AssertionError:
                self.kill()
                if left == 0 or "in use" not in self.log():
                    raise
        self.first_gateway = proc.wait_until(self.gateway_pid, 10, "the gateway process")
        self.identities = self.tree()

    def launch(self):
        command = self.command or [BINARY, "run", "-c", self.ini]
        env = {**os.environ, **sanitizer_env(self.place), **self.extra_env}
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                [*self.prefix, *proc.ending_with_parent(*command)], stdin=subprocess.DEVNULL,
                stdout=stderr, stderr=stderr, env=env, cwd="/", start_new_session=True)

    def wait_ready(self, timeout=30):
        def ready():
            assert self.process.poll() is None, f"ended before it was ready:\n{self.log()}"
            return READY in self.log().splitlines()
        proc.wait_until(ready, timeout, "the ready line")

    def stop(self, check=True, how=signal.SIGTERM, timeout=30):
        """End it and see that it ends well; without check only that it ends."""
        if self.process is None:
            return
        self.identities |= self.tree()
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        self.finish(check, timeout)

    def finish(self, check=True, timeout=30):
        """Wait for the end that is under way and look at what it left."""
        process, self.process = self.process, None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            check, status = True, "none: still running"
            self.kill_tree(process.pid)
        self.show()
        left = self.leftovers()
        if check:
            self.check_end(status, left)

    def check_end(self, status, left):
        assert status == 0, f"exit status {status}"
        assert not left, f"processes left: {left}"
        assert not self.sockets_left(), f"sockets left: {self.sockets_left()}"
        reports = "".join(self.sanitizer_reports())
        assert not reports, reports[-6000:]
        if not self.restarts_expected:
            assert self.last_gateway == self.first_gateway, "the gateway process was restarted"

    def show(self):
        """For the report of a test that failed."""
        print(f"---- {self.ini}\n{self.ini.read_text()}---- stderr\n{self.log()[-8000:]}")

    def kill(self):
        if self.process:
            self.kill_tree(self.process.pid)
            self.process = None

    def kill_tree(self, pid):
        for each in [pid, *proc.descendants(pid)]:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass

    def tree(self):
        """Identities of the master and all below it; notes the gateway's pid on the way."""
        self.last_gateway = self.gateway_pid() or self.last_gateway
        pids = [self.process.pid, *proc.descendants(self.process.pid)]
        return {identity for identity in map(proc.identity, pids) if identity}

    def leftovers(self, timeout=5):
        """Processes of ours that are still there: known ones, and orphans we adopted."""
        def left():
            known = {pid for pid, start in self.identities
                     if proc.identity(pid) == (pid, start)}
            proc.reap(known | set(self.adopted()))
            return [pid for pid in known | set(self.adopted()) if proc.alive(pid)]
        deadline = time.monotonic() + timeout
        while left() and time.monotonic() < deadline:
            time.sleep(0.02)
        found = [(pid, proc.command(pid)) for pid in left()]
        for pid, _ in found:
            os.kill(pid, signal.SIGKILL)
        return found

    def adopted(self):
        """Our own children that run something out of this test's place."""
        return [pid for pid in proc.children(os.getpid())
                if str(self.place) in proc.command(pid) or "h2cgi" in proc.command(pid)
                and str(self.place) in environ(pid)]

    def sockets_left(self):
        if not self.runtime.exists():
            return []
        return [path.name for path in self.runtime.rglob("*") if path.is_socket()]

    def sanitizer_reports(self):
        texts = [self.log()]
        texts += [path.read_text(errors="replace") for path in self.place.glob("sanitizer*")]
        return [text for text in texts if any(word in text for word in SANITIZER_WORDS)]

    # ---- processes ----

    @property
    def pid(self):
        return self.process.pid

    def roles(self):
        """{'gateway': pid, 'spawner': pid}: of the master's children the gateway is the one
        with an acceptor thread."""
        found = {}
        for pid in proc.children(self.pid):
            if proc.alive(pid):
                is_gateway = "acceptor" in proc.thread_names(pid)
                found["gateway" if is_gateway else "spawner"] = pid
        return found

    def gateway_pid(self):
        return self.roles().get("gateway")

    def spawner_pid(self):
        return self.roles().get("spawner")

    def pool_pids(self, word=""):
        """Processes the spawner started whose command has word in it."""
        spawner = self.spawner_pid()
        pids = proc.children(spawner) if spawner else []
        return [pid for pid in pids if proc.alive(pid) and word in proc.command(pid)]

    # ---- logs ----

    def log(self, since=0):
        """The error log from a place that mark() returned."""
        return text_from(self.stderr_path, since).decode(errors="replace")

    def mark(self):
        """A place in the error log, for log() and wait_log(): where it ends now."""
        return self.stderr_path.stat().st_size if self.stderr_path.exists() else 0

    def wait_log(self, pattern, since=0, timeout=10):
        """The first line of the error log that matches."""
        at = since

        def search():
            nonlocal at
            new = text_from(self.stderr_path, at)
            for line in new.decode(errors="replace").splitlines():
                if re.search(pattern, line):
                    return line
            at += new.rfind(b"\n") + 1  # half a line is looked at again
            return None
        return proc.wait_until(search, timeout,
                               lambda: f"log line {pattern!r} in:\n{self.log(since)}")

    def access_lines(self):
        if not self.access_path.exists():
            return []
        return self.access_path.read_text(errors="replace").splitlines()

    def wait_access(self, pattern, n=1, timeout=10):
        """The first n lines of the access log that match, once there are so many."""
        def search():
            found = [line for line in self.access_lines() if re.search(pattern, line)]
            return found if len(found) >= n else None
        return proc.wait_until(search, timeout, f"{n} access lines {pattern!r}")

    # ---- clients ----

    def address(self, tls=False):
        return ("127.0.0.1", self.ports["https" if tls else "http"])

    def url(self, proto, path="/"):
        name = client.scheme(proto)
        return f"{name}://127.0.0.1:{self.ports[name]}{path}"

    def fetch(self, proto, path="/", method="GET", headers=(), body=None, **options):
        return client.fetch(proto, self, method, path, headers, body, **options)

    def get(self, path="/", **options):
        return self.fetch("h1", path, **options)


def text_from(path, at):
    """What a file holds from byte at on; b"" if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(at)
            return file.read()
    except FileNotFoundError:
        return b""


def environ(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def refused(place, lines, more=""):
    """What h2cgi check says of a site "main" with these lines, of which the first is line 5 of
    the file, and more behind it: "5: KEY = VALUE: why", a line each."""
    ini = place / "wrong.ini"
    ini.write_text(f"[listen a]\naddress = 127.0.0.1:1\n[site main]\nroot = {place}\n"
                   f"{lines}\n{more}")
    run = run_h2cgi("check", "-c", ini)
    assert run.returncode == 1, run.stderr
    return run.stderr.replace(f"{ini}:", "")


def run_h2cgi(*args, timeout=30, prefix=(), **options):
    """h2cgi with arguments, to its end; the CompletedProcess with text output."""
    return subprocess.run([*prefix, BINARY, *args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, **options)
