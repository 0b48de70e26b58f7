"""A real name server: dnsmasq on a free port of 127.0.0.1, with the records that a test sets.

    with NameServer(place) as names:
        names.set(hosts={"a.test": ["127.0.0.2"]},
                  srv=[("_fcgi._tcp.test", "a.test", 9000, 0, 1)])  # port, priority, weight
"""
import shutil
import socket
import struct
import subprocess

from lib import proc
from lib.ports import free_port

PROGRAM = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"


class NameServer:
    """ttl: of all answers, in seconds.  Names below .test that are not set do not exist."""

    def __init__(self, place, ttl=1):
        self.place, self.ttl = place, ttl
        self.port = free_port()
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def set(self, hosts=None, srv=()):
        """New records, by a new dnsmasq: it reads SRV records only when it starts."""
        self.stop()
        config = self.place / "dnsmasq.conf"
        lines = [f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv",
                 "no-hosts", "no-poll", "local=/test/", f"local-ttl={self.ttl}", "user=root",
                 f"pid-file={self.place}/dnsmasq.pid", "log-facility=-"]
        for name, addresses in (hosts or {}).items():
            lines += [f"host-record={name},{address}" for address in addresses]
        for name, target, port, priority, weight in srv:
            lines.append(f"srv-host={name},{target},{port},{priority},{weight}")
        config.write_text("\n".join(lines) + "\n")
        with open(self.place / "dnsmasq.log", "ab") as log:
            self.process = subprocess.Popen(
                proc.ending_with_parent(PROGRAM, "--keep-in-foreground",
                                        f"--conf-file={config}"), stdout=log, stderr=log)
        proc.wait_until(self.answers, 10, "an answer of dnsmasq")

    def answers(self):
        assert self.process.poll() is None, (self.place / "dnsmasq.log").read_text()
        question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\1x\4test\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.sendto(question, ("127.0.0.1", self.port))
            try:
                return bool(s.recv(512))
            except OSError:
                return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
