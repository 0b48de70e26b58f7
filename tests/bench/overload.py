"""An open loop: requests leave when it is their time, whether or not others were answered, from
many clients with an address each (127.x.y.z).  Stands alone."""

import select
import socket
import time
from typing import NamedTuple

DRAIN_S = 30  # so long the last answers are waited for


class Answer(NamedTuple):
    status: int         # 0: the connection ended without one
    at: float           # when it was complete, since the first request
    seconds: float      # since it was its time
    retry_after: bool


def client_address(number):
    return f"127.{16 + number // 62500}.{1 + number // 250 % 250}.{1 + number % 250}"


class Connection:
    """HTTP/1.1, one request at a time."""

    def __init__(self, address, source):
        self.source = source
        self.sock = socket.socket()
        self.sock.bind((client_address(source), 0))
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buffer = b""
        self.due = None     # when the request under way was to leave

    def take(self):
        """The head of an answer that is complete; None: not yet; b"": the connection ended."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        if not data:
            return b""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        head = head.lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return None
        self.buffer = body[length:]
        return head


class Load:
    """run() -> a list of Answers, one for each request."""

    def __init__(self, address, path, rate, requests, clients, host="localhost"):
        self.address, self.rate, self.requests, self.clients = address, rate, requests, clients
        self.request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.idle = [[] for _ in range(clients)]
        self.open = {}      # by descriptor
        self.epoll = select.epoll()
        self.answers = []

    def run(self):
        self.begun = time.monotonic()
        sent = 0
        while len(self.answers) < self.requests:
            now = time.monotonic()
            while sent < self.requests and self.begun + sent / self.rate <= now:
                self.send(sent % self.clients, self.begun + sent / self.rate)
                sent += 1
            if sent < self.requests:
                left = self.begun + sent / self.rate - now
            else:
                left = self.begun + sent / self.rate + DRAIN_S - now
                if left <= 0:
                    break
            for fd, _ in self.epoll.poll(max(left, 0)):
                self.receive(self.open[fd])
        for connection in list(self.open.values()):
            self.close(connection)
        self.epoll.close()
        return self.answers

    def send(self, source, due):
        if self.idle[source]:
            connection = self.idle[source].pop()
        else:
            connection = Connection(self.address, source)
            self.open[connection.sock.fileno()] = connection
            self.epoll.register(connection.sock, select.EPOLLIN)
        connection.due = due
        try:
            connection.sock.send(self.request)
        except OSError:
            pass            # its end is read

    def receive(self, connection):
        head = connection.take()
        if head is None:
            return
        if head and connection.due is not None:
            self.answered(connection, int(head.split()[1]), b"\r\nretry-after:" in head)
            if b"\r\nconnection: close" not in head:
                self.idle[connection.source].append(connection)
                return
        self.close(connection)

    def answered(self, connection, status, retry_after):
        now = time.monotonic()
        self.answers.append(Answer(status, now - self.begun, now - connection.due, retry_after))
        connection.due = None

    def close(self, connection):
        if connection.due is not None:
            self.answered(connection, 0, False)
        if connection in self.idle[connection.source]:
            self.idle[connection.source].remove(connection)
        self.epoll.unregister(connection.sock)
        del self.open[connection.sock.fileno()]
        connection.sock.close()
