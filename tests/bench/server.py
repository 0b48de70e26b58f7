"""One peer with its applications, running in a folder of its own."""

import glob
import os
import pwd
import random
import re
import resource
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

from group import Group
from table import APPLICATIONS, FILES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
USER = "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
START_S = 20
SETTLED_S = 4
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def fill(text, names):
    return re.sub(r"@([A-Z0-9_]+)@", lambda m: str(names.get(m.group(1), m.group(0))), text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def as_user(command):
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", *command]


def version(peer):
    names = {"H2CGI": h2cgi()}
    done = subprocess.run([fill(word, names) for word in peer.version], text=True,
                          capture_output=True, env=dict(os.environ, PATH=PATH))
    return (done.stdout + done.stderr).strip().splitlines()[0]


def h2cgi():
    return os.environ.get("H2CGI", f"{ROOT}/build/h2cgi")


def words(seed, size):
    """Text that compresses about as text does: words by how often they come."""
    chance = random.Random(seed)
    known = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(1, 9))) for _ in range(2000)]
    weights = [1 / (i + 1) for i in range(len(known))]
    return " ".join(chance.choices(known, weights, k=size))[:size]


class Server:
    """Started by with: group is the server's processes, apps the applications'."""

    def __init__(self, peer, log):
        self.peer = peer
        self.place = tempfile.mkdtemp(prefix="h2cgi-bench-")
        self.http, self.https = free_port(), free_port()
        self.names = dict(peer.settings, PLACE=self.place, HTTP=self.http, HTTPS=self.https,
                          USER=USER, H2CGI=h2cgi(), CONFIG=f"{self.place}/{peer.config}",
                          USER_LINE=f"user = {USER}" if os.geteuid() == 0 else "")
        self.names["ACCESS_LOG"] = fill(peer.log_on if log else peer.log_off, self.names)
        self.group, self.apps = Group("server"), Group("apps")

    def __enter__(self):
        try:
            self.prepare()
            for name, program, args in APPLICATIONS:
                self.start_application(name, program, args)
            for helper in self.peer.helpers:
                self.start(self.group, as_user(helper))
            main = self.start(self.group, self.peer.command)
            self.wait_ready(main)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.group.end()
        finally:
            self.apps.end()
            shutil.rmtree(self.place, ignore_errors=True)

    def settle(self):
        """Until the files are like a site's: a server may trust no copy of one that was written a
        moment ago, since it may change once more without its times telling."""
        time.sleep(max(0, self.written + SETTLED_S - time.monotonic()))

    def prepare(self):
        os.chmod(self.place, 0o755)
        for name in ("run", "spool", "empty", "files", "helpers"):
            os.mkdir(f"{self.place}/{name}")
        for name, size in FILES:
            with open(f"{self.place}/files/{name}", "wb") as f:
                f.write(random.Random(name).randbytes(size))
        with open(f"{self.place}/files/page.html", "w") as f:
            f.write(words("page", 64 << 10))
        self.written = time.monotonic()
        for program in ("apps/cgi_hello", *(program for _, program, _ in APPLICATIONS)):
            shutil.copy(f"{ROOT}/build/{program}", self.place)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", f"{self.place}/key.pem",
                        "-out", f"{self.place}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
        with open(f"{HERE}/{self.peer.config}") as f:
            text = fill(f.read(), self.names)
        with open(self.names["CONFIG"], "w") as f:
            f.write(text)
        if os.geteuid() == 0:
            for name in ("spool", "helpers"):
                shutil.chown(f"{self.place}/{name}", USER)

    def start(self, group, command, stdin=subprocess.DEVNULL):
        command = [fill(word, self.names) for word in command]
        with open(f"{self.place}/output.log", "a") as output:
            child = subprocess.Popen(command, stdin=stdin, stdout=output, stderr=output,
                                     env=dict(os.environ, PATH=PATH), preexec_fn=group.enter)
        group.add(child.pid)
        return child

    def start_application(self, name, program, args):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(f"{self.place}/{name}")
            os.chmod(f"{self.place}/{name}", 0o666)
            s.listen(4096)
            self.start(self.apps, as_user([f"{self.place}/{os.path.basename(program)}", *args]),
                       stdin=s.fileno())

    def wait_ready(self, main):
        deadline = time.monotonic() + START_S
        while not self.answers():
            if main.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.peer.title} does not answer\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        """The ends of what the server and its helpers wrote."""
        text = ""
        for path in (f"{self.place}/output.log", *glob.glob(f"{self.place}/**/*error.log", recursive=True)):
            with open(path, errors="replace") as f:
                text += f.read()[-3000:]
        return text

    def answers(self):
        context = ssl._create_unverified_context()
        request = b"GET /hello/World HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            for port in (self.http, self.https):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                    if port == self.https:
                        s = context.wrap_socket(s)
                    s.sendall(request)
                    if b" 200 " not in s.recv(4096).split(b"\r\n")[0]:
                        return False
        except OSError:
            return False
        return True

    def url(self, workload):
        scheme, port = ("https", self.https) if workload.tls else ("http", self.http)
        return f"{scheme}://127.0.0.1:{port}{workload.url}"


def raise_descriptors():
    """Thousands of connections in the servers and in the clients here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    want = 65536
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, max(want, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
