"""Proxies in front of the gateway, HAProxy and nginx, as an administrator would set them up."""
import socket
import subprocess
import textwrap
from pathlib import Path

from lib import proc
from lib.apps import need
from lib.gateway import USER, is_root


class Front:
    """A proxy that runs until the block ends.  ports: those it will listen on."""

    def __init__(self, place, name, argv, conf, ports):
        self.conf = Path(place) / f"{name}.conf"
        self.log = Path(place) / f"{name}.log"
        self.conf.write_text(textwrap.dedent(conf))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                proc.ending_with_parent(*argv, str(self.conf)), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd="/")
        for port in ports:
            proc.wait_until(lambda: self.listens(port), 10, f"{name} on {port}: {self.said()}")

    def listens(self, port):
        assert self.process.poll() is None, self.said()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def said(self):
        return self.log.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def haproxy(place, conf, ports):
    return Front(place, "haproxy", [need("haproxy"), "-db", "-f"], conf, ports)


NGINX = """\
    daemon off;
    pid {place}/nginx.pid;
    error_log stderr;
    {user}
    events {{ }}
    http {{
        access_log off;
        client_body_temp_path {place}/nginx.body;
        proxy_temp_path {place}/nginx.proxy;
        fastcgi_temp_path {place}/nginx.fastcgi;
        uwsgi_temp_path {place}/nginx.uwsgi;
        scgi_temp_path {place}/nginx.scgi;
        {servers}
    }}
    """


def nginx(place, servers, ports):
    user = f"user {USER};" if is_root() else ""
    conf = NGINX.format(place=place, user=user, servers=servers)
    return Front(place, "nginx", [need("nginx"), "-e", "stderr", "-p", str(place), "-c"], conf,
                 ports)
