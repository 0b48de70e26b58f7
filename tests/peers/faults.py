"""What a FastCGI application can do wrong (or strangely but right): FAULTS, one row each.

Each row says what the client gets over every protocol, what the error log says, and whether the
server is out of rotation after three of it in a row; in any case its place is free again, and
the next request works once the application does.
"""
import fcntl
import struct
import termios
import time
from dataclasses import dataclass, field

from peers.fcgi import (CANT_MPX_CONN, END, GET_VALUES_RESULT, OK_HEAD, OVERLOADED, STDERR,
                        STDIN, STDOUT, UNKNOWN_ROLE, answer, end_request, record, stream)

TRUNCATED = "truncated"
BODY = b"hello\n"
CLOSED = "backend closed before its answer was complete"
BROKE = "backend broke the FastCGI protocol"
NO_HEAD = "application ended without a response head"
BAD_HEAD = "application sent no valid response head"
LARGE_HEAD = "application's response head too large"
SILENT = "no answer from the backend in time"
STOPPED = "backend stopped in the middle of its answer"
OVER_TIME = "request took longer than its pool's timeout"
MORE = "says more of a request that is over: connection closed"
REFUSED = "backend refused the connection"


def raw(*parts):
    """Read the request, send bytes as they are (callables get the request id), close."""
    def serve(conn):
        number = conn.request().number
        for part in parts:
            conn.send(part(number) if callable(part) else part)
    return serve


def out(data):
    return lambda number: record(STDOUT, number, data)


def then_silent(*parts):
    def serve(conn):
        raw(*parts)(conn)
        conn.wait_end()
    return serve


def close_at_once(conn):
    pass


def never_reads(conn):
    """Neither reads nor answers, until the gateway closes or the test ends."""
    while not conn.backend.closing and not conn.backend.healthy:
        time.sleep(0.02)


def send_taken(conn, data):
    """Send, and wait until the gateway has read it (of a unix socket TIOCOUTQ tells)."""
    conn.send(data)
    while struct.unpack("i", fcntl.ioctl(conn.sock, termios.TIOCOUTQ, b"\0" * 4))[0]:
        time.sleep(0.0001)


def byte_by_byte(conn):
    number = conn.request().number
    for byte in answer(number, OK_HEAD + BODY, padding=3):
        send_taken(conn, bytes([byte]))


def closes_after_redirect(conn):
    request = conn.request()
    if request.params["PATH_INFO"] == "/there":
        conn.send(answer(request.number, OK_HEAD + BODY))
    else:
        where = request.params["SCRIPT_NAME"] + "/there"
        conn.send(record(STDOUT, request.number, b"Location: %s\n\n" % where.encode()))


def later(more):
    """Answers, and says more once the gateway has that; and so on, on the same connection."""
    def serve(conn):
        while not conn.backend.healthy:
            number = conn.request().number
            send_taken(conn, answer(number, OK_HEAD + BODY))
            conn.send(more(number))
    return serve


def endless(kind, data):
    """One record again and again, 1 MiB at a time, behind which it never ends."""
    def serve(conn):
        block = record(kind, conn.request().number, data)
        while True:
            conn.send(block * (1 + (1 << 20) // len(block)))
    return serve


def head_of_64_mib(conn):
    """Sent to its end, whoever reads."""
    number = conn.request().number
    block = record(STDOUT, number, (b"X-More: " + b"x" * 1014 + b"\r\n") * 32) * 64
    for _ in range(32):
        conn.send(block)
    conn.send(answer(number, b"\r\n" + BODY))


def answers_unread(conn):
    """Answers in full without reading the body."""
    number = conn.begin().number
    conn.send(answer(number, OK_HEAD + BODY))
    conn.wait_end()


def long_stderr(number):
    return stream(STDERR, number, b"".join(b"noise line %d\n" % i for i in range(20000)))


REFUSES = "refuses"  # nobody listens


@dataclass(frozen=True)
class Spawned:
    """A mode of spawned.py: its process is one of the pool's."""
    mode: str


@dataclass
class Fault:
    name: str
    serve: object     # what the application does: serve of a Backend, REFUSES, or Spawned
    expect: object    # what the client gets: a status, or TRUNCATED: 200 and a body cut short
    log: object = ()  # the error log's lines about its pool, regular expressions; (): none
    out: str = ""     # why its server is taken out of rotation; "": it stays
    keys: dict = field(default_factory=dict)  # of the pool
    method: str = "GET"
    body: bytes = None    # the request's
    answer: bytes = BODY  # the response's where it came whole

    def __post_init__(self):
        self.log = (self.log,) if isinstance(self.log, str) else self.log


FIRST = {"first_byte_timeout": "300ms", "abort_timeout": "200ms"}
SEND = {"send_timeout": "300ms", "abort_timeout": "200ms"}
READ = {"read_timeout": "300ms", "abort_timeout": "200ms"}
OVERALL = {"timeout": "400ms", "abort_timeout": "200ms"}
LOG = {**OVERALL, "stderr_limit": "16K"}
ONCE = {"retries": 0}
KEPT = {"keepalive": 1, "retries": 2}
END_STATUS_3 = struct.pack(">IB3x", 3, 0)

FAULTS = [
    # ---- connections ----
    Fault("refuses", REFUSES, 502, REFUSED, REFUSED),
    Fault("accepts_in_silence", never_reads, 504, SILENT, SILENT, FIRST),
    Fault("reads_in_silence", then_silent(), 504, SILENT, SILENT, FIRST),
    Fault("never_reads", never_reads, 504, "backend stopped reading the request",
          "backend stopped reading the request", SEND, "POST",
          b"x" * (4 << 20)),
    Fault("silent_mid_head", then_silent(out(b"Status: 200 OK\r\n")), 504, STOPPED, "", READ),
    Fault("silent_mid_body", then_silent(out(OK_HEAD + b"hel")), TRUNCATED, STOPPED, "", READ),
    Fault("over_time", then_silent(out(OK_HEAD + b"hel")), TRUNCATED, OVER_TIME, "", OVERALL),
    Fault("close_at_once", close_at_once, 502, CLOSED, CLOSED),
    Fault("close_after_request", raw(), 502, CLOSED, CLOSED),
    Fault("close_mid_record", raw(lambda n: record(STDOUT, n, OK_HEAD)[:7]), 502, CLOSED, CLOSED),
    Fault("close_mid_head", raw(out(b"Status: 200 OK\r\nContent-")), 502, CLOSED),
    Fault("close_mid_body", raw(out(OK_HEAD + b"hel")), TRUNCATED, CLOSED),
    Fault("close_before_end_request", raw(lambda n: stream(STDOUT, n, OK_HEAD + BODY)),
          TRUNCATED, CLOSED),
    Fault("close_after_length", raw(out(b"Content-Length: 6\r\n\r\n" + BODY)), 200),
    Fault("close_after_head", raw(out(OK_HEAD)), 200, method="HEAD", answer=b""),
    Fault("close_after_204", raw(out(b"Status: 204\r\n\r\n")), 204, answer=b""),
    Fault("close_after_redirect", closes_after_redirect, 200),
    Fault("close_after_304", raw(out(b"Status: 304\r\nETag: x\r\n\r\n")), 304, answer=b""),

    # ---- records ----
    Fault("garbage", raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), 502, BROKE, BROKE),
    Fault("garbage_mid_body", raw(out(OK_HEAD + b"hel"), b"\xff" * 64), TRUNCATED, BROKE, BROKE),
    Fault("wrong_version", raw(lambda n: record(STDOUT, n, OK_HEAD, version=2)), 502, BROKE,
          BROKE),
    Fault("wrong_id", raw(lambda n: record(STDOUT, n + 7, OK_HEAD),
                          lambda n: end_request(n + 7)), 502, BROKE, BROKE),
    Fault("wrong_id_mid_body", raw(out(OK_HEAD + b"hel"), lambda n: answer(n + 7, b"lo\n")),
          TRUNCATED, BROKE, BROKE),
    Fault("unknown_type", raw(lambda n: record(77, n, b"what?")), 502, BROKE, BROKE),
    Fault("stdin_comes_back", raw(lambda n: record(STDIN, n, b"what?")), 502, BROKE, BROKE),
    Fault("short_end_request", raw(lambda n: record(END, n, b"\0\0")), 502, BROKE, BROKE),
    Fault("long_end_request", raw(lambda n: record(END, n, b"\0" * 65535)), 502, BROKE, BROKE),

    # ---- ends ----
    Fault("end_without_head", raw(end_request), 502, NO_HEAD),
    Fault("end_twice", raw(lambda n: answer(n, OK_HEAD + BODY) + end_request(n)), 200, MORE),
    Fault("end_again_later", later(end_request), 200, MORE, "", KEPT),
    Fault("stdout_after_end", raw(lambda n: answer(n, OK_HEAD + BODY)
                                  + answer(n, OK_HEAD + b"more\n")), 200, MORE),
    Fault("stdout_later", later(lambda n: answer(n, OK_HEAD + b"more\n")), 200, MORE, "", KEPT),
    Fault("overloaded", raw(lambda n: end_request(n, 0, OVERLOADED)), 503,
          "backend answered FCGI_OVERLOADED"),
    Fault("unknown_role", raw(lambda n: end_request(n, 0, UNKNOWN_ROLE)), 502,
          "backend answered FCGI_UNKNOWN_ROLE"),
    Fault("cant_mpx", raw(lambda n: end_request(n, 0, CANT_MPX_CONN)), 502,
          "backend answered FCGI_CANT_MPX_CONN"),
    Fault("unknown_end", raw(lambda n: end_request(n, 0, 9)), 502, BROKE, BROKE),

    # ---- heads ----
    Fault("half_head_then_end", raw(out(b"Status: 200 OK\r\nContent-"), end_request), 502,
          NO_HEAD),
    Fault("no_head_at_all", raw(lambda n: answer(n, b"<html>just text</html>\n")), 502, BAD_HEAD),
    Fault("bad_field_name", raw(lambda n: answer(n, b"Bad Name: x\r\n\r\n")), 502, BAD_HEAD),
    Fault("bad_status", raw(lambda n: answer(n, b"Status: many\r\n\r\n")), 502, BAD_HEAD),
    Fault("nul_in_field", raw(lambda n: answer(n, b"Status: 200\r\nX: a\0b\r\n\r\n")), 502,
          BAD_HEAD),
    Fault("two_lengths", raw(lambda n: answer(
        n, b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")), 502, BAD_HEAD),
    Fault("head_of_64_mib", head_of_64_mib, 502, LARGE_HEAD),
    Fault("endless_head", endless(STDOUT, b"X-More: " + b"x" * 1000 + b"\r\n"), 502, LARGE_HEAD,
          "", {"abort_timeout": "200ms"}),
    Fault("endless_line", endless(STDOUT, b"x" * 16000), 502, LARGE_HEAD, "",
          {"abort_timeout": "200ms"}),
    Fault("short_of_length", raw(lambda n: answer(n, b"Content-Length: 100\r\n\r\nhello\n")),
          TRUNCATED, "application sent less than its Content-Length"),

    # ---- its log ----
    Fault("endless_stderr", endless(STDERR, b"again and again\n" * 100), 504,
          ("again and again", "over stderr_limit", OVER_TIME), "", LOG),
    Fault("endless_stderr_line", endless(STDERR, b"x" * 16000), 504,
          ("xxxx", "over stderr_limit", OVER_TIME), "", LOG),
    Fault("long_stderr", raw(long_stderr, lambda n: answer(n, OK_HEAD + BODY)), 200,
          "noise line 19999"),
    Fault("stderr_last_line_open", raw(lambda n: record(STDERR, n, b"half a line"),
                                       lambda n: answer(n, OK_HEAD + BODY)), 200,
          "half a line"),
    Fault("stderr_control_bytes", raw(lambda n: record(STDERR, n, b"a\x1b[31m\x07b\n"),
                                      lambda n: answer(n, OK_HEAD + BODY)), 200,
          r"a\\x1[bB]\[31m\\x07b"),
    Fault("app_status", raw(lambda n: stream(STDOUT, n, OK_HEAD + BODY)
                            + record(END, n, END_STATUS_3)), 200, "ended with status 3"),

    # ---- processes ----
    Fault("dies", Spawned("dies"), 502, (CLOSED, "ended: signal 9"), "", ONCE),
    Fault("dies_mid_body", Spawned("dies_mid_body"), TRUNCATED, (CLOSED, "ended: signal 15")),
    Fault("exits", Spawned("exits"), 502,
          (CLOSED, "this application has had enough", "ended: exit status 7"), "", ONCE),
    Fault("stops", Spawned("stops"), 504, SILENT, "", {**FIRST, "first_byte_timeout": "800ms"}),
    Fault("stops_mid_body", Spawned("stops_mid_body"), TRUNCATED, STOPPED, "", READ),
    Fault("disk_full", Spawned("disk_full"), 500, "No space left on device", answer=b"full\n"),
    Fault("disk_full_unseen", Spawned("disk_full_unseen"), 502,
          (CLOSED, "No space left on device", "ended: exit status 1"), "", ONCE),

    # ---- strange, but right: the answer must come through ----
    Fault("over_length", raw(lambda n: answer(n, b"Content-Length: 6\r\n\r\nhello\nmore")),
          200, "sent more than its Content-Length"),
    Fault("byte_by_byte", byte_by_byte, 200),
    Fault("padding_255", raw(lambda n: answer(n, OK_HEAD + BODY, padding=255)), 200),
    Fault("one_byte_records", raw(lambda n: answer(n, OK_HEAD + BODY, piece=1)), 200),
    Fault("no_final_empty_stdout", raw(out(OK_HEAD + BODY), end_request), 200),
    Fault("empty_stdout_before", raw(lambda n: record(STDOUT, n) * 3
                                     + answer(n, OK_HEAD + BODY)), 200),
    Fault("empty_stderr", raw(lambda n: record(STDERR, n) + answer(n, OK_HEAD + BODY)), 200),
    Fault("empty_records", raw(lambda n: (record(STDERR, n, b"", 255) + record(STDOUT, n)) * 10000
                               + answer(n, OK_HEAD + BODY)), 200),
    Fault("stray_management", raw(lambda n: record(GET_VALUES_RESULT, 0, b"", 8)
                                  + record(99, 0, b"from the future", 1)
                                  + answer(n, OK_HEAD + BODY)), 200),
    Fault("bare_lf_head", raw(lambda n: answer(n, b"Content-type:text/plain\n\n" + BODY)), 200),
    Fault("status_last", raw(lambda n: answer(
        n, b"Content-Type: text/plain\r\nStatus: 200\r\n\r\n" + BODY)), 200),
    Fault("answers_unread", answers_unread, 200, method="POST", body=b"x" * (1 << 20)),
]
