"""Free loopback ports, from below the range the kernel hands to outgoing connections."""
import itertools
import os
import random
import socket

LOW, HIGH = 10240, 32000


def ephemeral_low():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        return int(f.read().split()[0])


def candidates():
    """A slice of the range for each parallel test process, round and round from a random start:
    two calls in a row must not give one port twice."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    slices = 8
    width = (min(HIGH, ephemeral_low()) - LOW) // slices
    base = LOW + (int(worker.lstrip("gw") or 0) % slices) * width
    for i in itertools.count(random.randrange(width)):
        yield base + i % width


CANDIDATES = candidates()


def free_port():
    for _ in range(1000):
        port = next(CANDIDATES)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
