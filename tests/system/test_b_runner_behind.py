"""h2cgi-run behind nginx and Apache, started by spawn-fcgi as an administrator would."""
import hashlib
import http.client
import os
import subprocess
from pathlib import Path

import pytest

from fcgi_client import RUNNER
from lib.ports import free_port
from lib.proc import wait_until

NGINX = """
daemon off;
master_process off;
error_log {place}/error.log info;
pid {place}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    fastcgi_temp_path {place}/fastcgi;
    proxy_temp_path {place}/proxy;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_max_body_size 0;
    upstream runner {{
        server unix:{place}/s;
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        root {place};
        include /etc/nginx/fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_buffering off;
        location /fresh/ {{
            rewrite ^/fresh(.*)$ $1 break;
            fastcgi_pass unix:{place}/s;
        }}
        location /streamed/ {{
            rewrite ^/streamed(.*)$ $1 break;
            fastcgi_request_buffering off;
            fastcgi_pass runner;
            fastcgi_keep_conn on;
        }}
        location /kept/ {{
            rewrite ^/kept(.*)$ $1 break;
            fastcgi_pass runner;
            fastcgi_keep_conn on;
        }}
    }}
}}
"""

# The type's default, FPM, hands over a SCRIPT_FILENAME that begins with "proxy:fcgi:".
APACHE = """
ServerRoot {place}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {place}/apache.pid
DefaultRuntimeDir {place}
ErrorLog {place}/error.log
LogLevel info
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
User www-data
Group www-data
DocumentRoot {place}
ProxyFCGIBackendType GENERIC
ProxyPass /fresh/ "unix:{place}/s|fcgi://fresh{place}/" flushpackets=on disablereuse=on
ProxyPass /kept/ "unix:{place}/s|fcgi://kept{place}/" flushpackets=on enablereuse=on max=4
"""


class Server:
    """A web server in front of a runner: its configuration, its command, its ways to the runner."""

    def __init__(self, name, text, ways, *command):
        self.name, self.text, self.ways, self.command = name, text, ways, command


SERVERS = [
    Server("nginx", NGINX, ("fresh", "streamed", "kept"),
           "nginx", "-e", "{place}/early.log", "-p", "{place}", "-c", "{place}/conf"),
    Server("apache", APACHE, ("fresh", "kept"),
           "apache2", "-D", "FOREGROUND", "-f", "{place}/conf"),
]

SCRIPTS = {
    "hello": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nHello, %s\\n' \"$QUERY_STRING\"\n",
    "sum": "#!/bin/sh\nsum=$(sha256sum); printf 'Content-Type: text/plain\\n\\n%s\\n' \"$sum\"\n",
    "head-first": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; sha256sum\n",
    "refuse": "#!/bin/sh\nprintf 'Status: 413 Too Much\\nContent-Type: text/plain\\n\\nno\\n'\n",
    "nph-x": "#!/bin/sh\nprintf 'HTTP/1.0 202 Fine\\r\\nX-A: b\\r\\n\\r\\nnph\\n'\n",
    "dies": "#!/bin/sh\nkill -9 $$\n",
    "slow": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\none\\n'; "
            "while [ ! -e \"${0%/*}/go\" ]; do sleep 0.02; done; echo two\n",
    "sleep": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; echo x; "
             "echo $$ >\"${0%/*}/pid\"; sleep 600\n",
    "chatter": "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; "
               "echo $$ >\"${0%/*}/chatterer\"; while sleep 0.02; do echo x; done\n",
}


class Stack:
    """A web server in front of a runner, both at work."""

    def __init__(self, place, server, *options):
        self.place, self.port = place, free_port()
        for name, text in SCRIPTS.items():
            (place / name).write_text(text)
            (place / name).chmod(0o755)
        (place / "conf").write_text(server.text.format(place=place, port=self.port))
        self.runner = subprocess.Popen(["spawn-fcgi", "-n", "-M", "0666", "-s", str(place / "s"),
                                        "--", RUNNER, "--timeout=20s", "--grace=1s", *options])
        wait_until((place / "s").exists, what="spawn-fcgi's socket")
        self.server = subprocess.Popen([word.format(place=place) for word in server.command])
        wait_until(self.answers, what=server.name)

    def answers(self):
        try:
            return self.get("/fresh/hello").status == 200
        except ConnectionRefusedError:
            assert self.server.poll() is None
            return False

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path, **options):
        c = self.connection()
        c.request(options.pop("method", "GET"), path, **options)
        answer = c.getresponse()
        answer.text = answer.read().decode("latin-1")
        c.close()
        return answer

    def pid(self, name):
        """The process id that a script wrote into this file."""
        file = self.place / name
        return int(wait_until(lambda: file.exists() and file.read_text().strip()))

    def stop(self):
        for p in (self.server, self.runner):
            p.terminate()
        assert self.server.wait(20) == 0
        assert self.runner.wait(10) == 0


def started(place, server, *options):
    place.mkdir()
    stack = Stack(place, server, *options)
    yield stack
    stack.stop()


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def server(request):
    return request.param


@pytest.fixture(scope="module")
def stack(module_place, server):
    yield from started(module_place / server.name, server)


@pytest.fixture(scope="module")
def body_first(module_place, server):
    yield from started(module_place / f"{server.name}-body-first", server, "--body-first")


def test_hello(stack, server):
    for way in server.ways:
        for word in ("World", "you"):
            assert stack.get(f"/{way}/hello?{word}").text == f"Hello, {word}\n"


def test_post(stack, server):
    for way in server.ways:
        body = os.urandom(3 << 20)
        answer = stack.get(f"/{way}/sum", method="POST", body=body)
        assert answer.text.split()[0] == hashlib.sha256(body).hexdigest()


def test_post_to_a_script_that_prints_first(body_first, server):
    """nginx itself stops sending a body when the answer begins; --body-first is for that."""
    for way in server.ways:
        body = os.urandom(3 << 20)
        answer = body_first.get(f"/{way}/head-first", method="POST", body=body)
        assert answer.text.split()[0] == hashlib.sha256(body).hexdigest()
        answer = body_first.get(f"/{way}/refuse", method="POST", body=b"x" * 400000)
        assert (answer.status, answer.text) == (413, "no\n")


def test_first_byte_of_a_stream(stack):
    c = stack.connection()
    c.request("GET", "/fresh/slow")
    answer = c.getresponse()
    assert answer.read(4) == b"one\n"
    (stack.place / "go").touch()
    assert answer.read() == b"two\n"
    c.close()


def test_refusal_of_a_large_body_arrives(stack, server):
    for way in server.ways:
        answer = stack.get(f"/{way}/refuse", method="POST", body=b"x" * 400000)
        assert (answer.status, answer.text) == (413, "no\n")
        assert stack.get(f"/{way}/hello?again").text == "Hello, again\n"


def test_status_line(stack):
    answer = stack.get("/fresh/nph-x")
    assert (answer.status, answer.getheader("X-A"), answer.text) == (202, "b", "nph\n")


def test_errors(stack):
    assert stack.get("/fresh/missing").status == 404
    assert stack.get("/fresh/conf").status == 403
    assert stack.get("/fresh/dies").status == 502
    assert "ended by signal 9" in (stack.place / "error.log").read_text()


def test_client_that_goes_ends_the_script(stack, server):
    """Apache looks at its client only when it has something for it."""
    script, file = {"nginx": ("sleep", "pid"), "apache": ("chatter", "chatterer")}[server.name]
    c = stack.connection()
    c.request("GET", f"/fresh/{script}")
    assert c.getresponse().read(2) == b"x\n"
    pid = stack.pid(file)
    c.sock.close()
    c.close()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the script")
    assert stack.get("/fresh/hello?x").status == 200
