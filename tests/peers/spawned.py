#!/usr/bin/python3
"""A FastCGI application to be spawned that fails in one way:  spawned.py MODE FLAG

Answers hello as long as the file FLAG is there, and says in the field Process who it is.
"""
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peers.fcgi import (OK_HEAD, STDERR, STDOUT, Conn, Ended, answer,  # noqa: E402
                        hello, record)


class Here:
    """What Conn wants of a Backend."""
    requests = []


def dies(conn, number):
    os.kill(os.getpid(), signal.SIGKILL)


def dies_mid_body(conn, number):
    conn.send(record(STDOUT, number, OK_HEAD + b"hel"))
    os.kill(os.getpid(), signal.SIGTERM)


def exits(conn, number):
    print("this application has had enough", file=sys.stderr, flush=True)
    os._exit(7)


def stops(conn, number):
    os.kill(os.getpid(), signal.SIGSTOP)


def stops_mid_body(conn, number):
    conn.send(record(STDOUT, number, OK_HEAD + b"hel"))
    os.kill(os.getpid(), signal.SIGSTOP)


def fill_the_disk():
    with open("/dev/full", "wb") as full:
        full.write(b"x" * 100)


def disk_full(conn, number):
    """One that catches it and says so."""
    try:
        fill_the_disk()
    except OSError as error:
        conn.send(record(STDERR, number, str(error).encode()))
        conn.send(answer(number, b"Status: 500\r\nContent-Type: text/plain\r\n\r\nfull\n"))


def disk_full_unseen(conn, number):
    """One that does not: it ends with a traceback."""
    fill_the_disk()


MODES = (dies, dies_mid_body, exits, stops, stops_mid_body, disk_full, disk_full_unseen)


def main():
    fail = {mode.__name__: mode for mode in MODES}[sys.argv[1]]
    healthy = Path(sys.argv[2])
    listener = socket.socket(fileno=0)
    while True:
        conn = Conn(listener.accept()[0], Here)
        try:
            request = conn.request()
            if healthy.exists():
                conn.send(answer(request.number, b"Process: %d\r\n" % os.getpid() + hello(request)))
            else:
                fail(conn, request.number)
        except (Ended, ConnectionError):
            pass
        finally:
            conn.sock.close()


if __name__ == "__main__":
    main()
