"""h2cgi-run behind nginx, started by spawn-fcgi as an administrator would."""
import hashlib
import http.client
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fcgi_client import RUNNER
from lib.ports import free_port
from lib.proc import wait_until

pytestmark = pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("spawn-fcgi")),
                                reason="needs nginx and spawn-fcgi")

CONFIG = """
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
        location / {{
            fastcgi_pass unix:{place}/s;
        }}
        location /streamed/ {{
            rewrite ^/streamed(.*)$ $1 break;
            fastcgi_request_buffering off;
            fastcgi_pass runner;
            fastcgi_keep_conn on;
        }}
        location /stock/ {{
            rewrite ^/stock(.*)$ $1 break;
            fastcgi_pass runner;
            fastcgi_keep_conn on;
        }}
    }}
}}
"""

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
}


class Stack:
    """nginx in front of a runner."""

    def __init__(self, place, *options):
        self.place, self.port = place, free_port()
        for name, text in SCRIPTS.items():
            (place / name).write_text(text)
            (place / name).chmod(0o755)
        (place / "nginx.conf").write_text(CONFIG.format(place=place, port=self.port))
        self.runner = subprocess.Popen(["spawn-fcgi", "-n", "-s", str(place / "s"), "--", RUNNER,
                                        "--timeout=20s", "--grace=1s", *options])
        wait_until((place / "s").exists, what="spawn-fcgi's socket")
        self.nginx = subprocess.Popen(
            ["nginx", "-e", str(place / "early.log"), "-p", str(place), "-c",
             str(place / "nginx.conf")])
        wait_until(self.answers, what="nginx")

    def answers(self):
        try:
            return self.get("/hello").status == 200
        except ConnectionRefusedError:
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

    def stop(self):
        for p in (self.nginx, self.runner):
            p.terminate()
        assert self.nginx.wait(10) == 0
        assert self.runner.wait(10) == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    started = Stack(tmp_path_factory.mktemp("nginx"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def body_first(tmp_path_factory):
    started = Stack(tmp_path_factory.mktemp("nginx"), "--body-first")
    yield started
    started.stop()


WAYS = ["", "/streamed", "/stock"]


@pytest.mark.parametrize("way", WAYS)
def test_hello(stack, way):
    for word in ("World", "you"):
        assert stack.get(f"{way}/hello?{word}").text == f"Hello, {word}\n"


@pytest.mark.parametrize("way", WAYS)
def test_post(stack, way):
    body = os.urandom(3 << 20)
    answer = stack.get(f"{way}/sum", method="POST", body=body)
    assert answer.text.split()[0] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("way", WAYS)
def test_post_to_a_script_that_prints_first(body_first, way):
    """nginx itself stops sending a body when the answer begins; --body-first is for that."""
    body = os.urandom(3 << 20)
    answer = body_first.get(f"{way}/head-first", method="POST", body=body)
    assert answer.text.split()[0] == hashlib.sha256(body).hexdigest()
    answer = body_first.get(f"{way}/refuse", method="POST", body=b"x" * 400000)
    assert (answer.status, answer.text) == (413, "no\n")


def test_first_byte_of_a_stream(stack):
    c = stack.connection()
    c.request("GET", "/slow")
    answer = c.getresponse()
    assert answer.read(4) == b"one\n"
    (stack.place / "go").touch()
    assert answer.read() == b"two\n"
    c.close()


@pytest.mark.parametrize("way", WAYS)
def test_refusal_of_a_large_body_arrives(stack, way):
    answer = stack.get(f"{way}/refuse", method="POST", body=b"x" * 400000)
    assert (answer.status, answer.text) == (413, "no\n")
    assert stack.get(f"{way}/hello?again").text == "Hello, again\n"


def test_status_line(stack):
    answer = stack.get("/nph-x")
    assert (answer.status, answer.getheader("X-A"), answer.text) == (202, "b", "nph\n")


def test_errors(stack):
    assert stack.get("/missing").status == 404
    assert stack.get("/nginx.conf").status == 403
    assert stack.get("/dies").status == 502
    assert "ended by signal 9" in (stack.place / "error.log").read_text()


def test_client_that_goes_ends_the_script(stack):
    c = stack.connection()
    c.request("GET", "/sleep")
    assert c.getresponse().read(2) == b"x\n"
    pid = int(wait_until(lambda: (stack.place / "pid").exists()
                         and (stack.place / "pid").read_text().strip()))
    c.sock.close()
    c.close()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the end of the script")
    start = time.monotonic()
    assert stack.get("/hello?x").status == 200
    assert time.monotonic() - start < 5
