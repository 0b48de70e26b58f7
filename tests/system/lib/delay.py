"""A path with a delay: a TCP relay that hands on each byte so many milliseconds after it came, both
ways, as fast as it comes.  What is under way is not limited but by BUFFER, so that only the ends'
own windows hold anybody up."""

import collections
import selectors
import socket
import threading
import time

PIECE = 1 << 20
BUFFER = 1 << 28


class Way:
    """One direction of a connection."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.under_way = collections.deque()  # (when it is due, bytes); b"": the end
        self.size = 0
        self.ended = False

    def read(self, due):
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.ended = not data
        self.size += len(data)
        self.under_way.append((due, memoryview(data)))

    def write(self, now):
        """False: the sink takes no more for now."""
        while self.under_way and self.under_way[0][0] <= now:
            due, data = self.under_way.popleft()
            try:
                if not data:
                    self.sink.shutdown(socket.SHUT_WR)
                    continue
                n = self.sink.send(data)
            except BlockingIOError:
                n = 0
            except OSError:
                n = len(data)  # nobody is there
            self.size -= n
            if n < len(data):
                self.under_way.appendleft((due, data[n:]))
                return False
        return True

    def wants_more(self):
        return not self.ended and self.size < BUFFER


class Delay:
    """A relay to a port of this machine, started by with; connect to .port."""

    def __init__(self, port, one_way_ms):
        self.target, self.seconds = port, one_way_ms / 1000
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.ways, self.stop = [], False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()
        for way in self.ways:
            way.source.close()
        self.listener.close()

    def accept(self):
        client = self.listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", self.target))
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ways += [Way(client, server), Way(server, client)]

    def turn(self, selector, full):
        """Wait for the next thing to do; which sockets can do what."""
        events = {}
        for way in self.ways:
            if way.wants_more():
                events[way.source] = events.get(way.source, 0) | selectors.EVENT_READ
            if way in full:
                events[way.sink] = events.get(way.sink, 0) | selectors.EVENT_WRITE
        for key in list(selector.get_map().values()):
            if key.fileobj is not self.listener and key.fileobj not in events:
                selector.unregister(key.fileobj)
        for sock, mask in events.items():
            if sock not in selector.get_map():
                selector.register(sock, mask)
            elif selector.get_key(sock).events != mask:
                selector.modify(sock, mask)
        dues = [way.under_way[0][0] for way in self.ways if way.under_way and way not in full]
        wait = min([0.05, *(due - time.monotonic() for due in dues)])
        return {key.fileobj: mask for key, mask in selector.select(max(wait, 0))}

    def run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        full = set()
        while not self.stop:
            ready = self.turn(selector, full)
            if self.listener in ready:
                self.accept()
            now = time.monotonic()
            full = set()
            for way in self.ways:
                if ready.get(way.source, 0) & selectors.EVENT_READ and way.wants_more():
                    way.read(now + self.seconds)
                if not way.write(now):
                    full.add(way)
        selector.close()
