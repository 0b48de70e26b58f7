"""What a FastCGI application can do wrong (or strangely but right), one serve each.

Rows: name, serve, what the client gets, the error log's words, pool keys that the row needs.
"What the client gets" is a status, or TRUNCATED: a head with 200 and a body cut short.
"""
import struct
import time
from dataclasses import dataclass, field

from peers.fcgi import (CANT_MPX_CONN, END, GET_VALUES_RESULT, OK_HEAD, OVERLOADED, STDERR,
                        STDOUT, UNKNOWN_ROLE, answer, end_request, record, stream)

TRUNCATED = "truncated"
BODY = b"hello\n"
CLOSED = "backend closed before its answer was complete"
BROKE = "backend broke the FastCGI protocol"
NO_HEAD = "application ended without a response head"
BAD_HEAD = "application sent no valid response head"


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


def byte_by_byte(conn):
    number = conn.request().number
    for byte in answer(number, OK_HEAD + BODY):
        conn.send(bytes([byte]))


def endless_head(conn):
    number = conn.request().number
    while True:
        conn.send(record(STDOUT, number, b"X-More: " + b"x" * 1000 + b"\r\n"))


def head_line_without_end(conn):
    number = conn.request().number
    while True:
        conn.send(record(STDOUT, number, b"x" * 16000))


def answers_unread(conn):
    """Answers in full without reading the body."""
    number = conn.begin().number
    conn.send(answer(number, OK_HEAD + BODY))
    conn.wait_end()


def long_stderr(number):
    return stream(STDERR, number, b"".join(b"noise line %d\n" % i for i in range(20000)))


@dataclass
class Fault:
    name: str
    serve: object
    expect: object
    log: str = ""
    keys: dict = field(default_factory=dict)
    body: bytes = None  # the request's
    answer: bytes = BODY  # the response's where all is well


FAULTS = [
    Fault("close_at_once", close_at_once, 502, CLOSED),
    Fault("close_after_request", raw(), 502, CLOSED),
    Fault("close_mid_record", raw(lambda n: record(STDOUT, n, OK_HEAD)[:11]), 502, CLOSED),
    Fault("close_mid_head", raw(out(b"Status: 200 OK\r\nContent-")), 502, CLOSED),
    Fault("close_mid_body", raw(out(OK_HEAD + b"hel")), TRUNCATED, CLOSED),
    Fault("close_before_end_request", raw(lambda n: stream(STDOUT, n, OK_HEAD + BODY)),
          TRUNCATED, CLOSED),
    Fault("garbage", raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), 502, BROKE),
    Fault("wrong_version", raw(lambda n: record(STDOUT, n, OK_HEAD, version=2)), 502, BROKE),
    Fault("wrong_id", raw(lambda n: record(STDOUT, n + 7, OK_HEAD),
                          lambda n: end_request(n + 7)), 502, f"{BROKE}|{CLOSED}"),
    Fault("garbage_mid_body", raw(out(OK_HEAD + b"hel"), b"\xff" * 64), TRUNCATED, BROKE),
    Fault("short_end_request", raw(lambda n: record(END, n, b"\0\0")), 502, BROKE),
    Fault("silent", then_silent(), 504, "no answer from the backend in time",
          {"first_byte_timeout": "300ms"}),
    Fault("silent_mid_head", then_silent(out(b"Status: 200 OK\r\n")), 504,
          "backend stopped in the middle of its answer", {"read_timeout": "300ms"}),
    Fault("silent_mid_body", then_silent(out(OK_HEAD + b"hel")), TRUNCATED,
          "backend stopped in the middle of its answer", {"read_timeout": "300ms"}),
    Fault("over_time", then_silent(out(OK_HEAD + b"hel")), TRUNCATED,
          "request took longer than its pool's timeout", {"timeout": "400ms"}),
    Fault("never_reads", never_reads, 504, "backend stopped reading the request",
          {"send_timeout": "300ms"}, b"x" * (4 << 20)),
    Fault("overloaded", raw(lambda n: end_request(n, 0, OVERLOADED)), 503,
          "backend answered FCGI_OVERLOADED"),
    Fault("unknown_role", raw(lambda n: end_request(n, 0, UNKNOWN_ROLE)), 502,
          "backend answered FCGI_UNKNOWN_ROLE"),
    Fault("cant_mpx", raw(lambda n: end_request(n, 0, CANT_MPX_CONN)), 502,
          "backend answered FCGI_CANT_MPX_CONN"),
    Fault("end_without_head", raw(lambda n: end_request(n)), 502, NO_HEAD),
    Fault("half_head_then_end", raw(out(b"Status: 200 OK\r\nContent-"), end_request), 502,
          f"{NO_HEAD}|{BAD_HEAD}"),
    Fault("no_head_at_all", raw(lambda n: answer(n, b"<html>just text</html>\n")), 502,
          f"{NO_HEAD}|{BAD_HEAD}"),
    Fault("bad_field_name", raw(lambda n: answer(n, b"Bad Name: x\r\n\r\n")), 502, BAD_HEAD),
    Fault("bad_status", raw(lambda n: answer(n, b"Status: many\r\n\r\n")), 502, BAD_HEAD),
    Fault("nul_in_field", raw(lambda n: answer(n, b"Status: 200\r\nX: a\0b\r\n\r\n")), 502,
          BAD_HEAD),
    Fault("two_lengths", raw(lambda n: answer(
        n, b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")), 502, BAD_HEAD),
    Fault("endless_head", endless_head, 502, "application's response head too large"),
    Fault("endless_line", head_line_without_end, 502, "application's response head too large"),
    Fault("short_of_length", raw(lambda n: answer(n, b"Content-Length: 100\r\n\r\nhello\n")),
          TRUNCATED, "application sent less than its Content-Length"),
    # strange, but right: the answer must come through
    Fault("over_length", raw(lambda n: answer(n, b"Content-Length: 6\r\n\r\nhello\nmore")),
          200),
    Fault("byte_by_byte", byte_by_byte, 200),
    Fault("padding_255", raw(lambda n: answer(n, OK_HEAD + BODY, padding=255)), 200),
    Fault("one_byte_records", raw(lambda n: answer(n, OK_HEAD + BODY, piece=1)), 200),
    Fault("no_final_empty_stdout", raw(out(OK_HEAD + BODY), end_request), 200),
    Fault("empty_stderr", raw(lambda n: record(STDERR, n) + answer(n, OK_HEAD + BODY)), 200),
    Fault("stray_management", raw(lambda n: record(GET_VALUES_RESULT, 0, b"", 8)
                                  + answer(n, OK_HEAD + BODY)), 200),
    Fault("long_stderr", raw(long_stderr, lambda n: answer(n, OK_HEAD + BODY)), 200,
          "noise line 19999"),
    Fault("stderr_last_line_open", raw(lambda n: record(STDERR, n, b"half a line"),
                                       lambda n: answer(n, OK_HEAD + BODY)), 200,
          "half a line"),
    Fault("stderr_control_bytes", raw(lambda n: record(STDERR, n, b"a\x1b[31m\x07b\n"),
                                      lambda n: answer(n, OK_HEAD + BODY)), 200,
          r"a\\x1[bB]\[31m\\x07b"),
    Fault("app_status", raw(lambda n: stream(STDOUT, n, OK_HEAD + BODY)
                            + record(END, n, struct.pack(">IB3x", 3, 0))), 200),
    Fault("bare_lf_head", raw(lambda n: answer(n, b"Content-type:text/plain\n\n" + BODY)), 200),
    Fault("status_last", raw(lambda n: answer(
        n, b"Content-Type: text/plain\r\nStatus: 200\r\n\r\n" + BODY)), 200),
    Fault("answers_unread", answers_unread, 200, "", {}, b"x" * (1 << 20)),
]
