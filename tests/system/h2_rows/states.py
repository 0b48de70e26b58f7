"""RFC 9113 5: every frame in every state of a stream, and the rules of stream identifiers."""
from h2_rows.row import *  # noqa: F403

# How stream 1 comes into a state; what is sent there; what comes of it.  The first row of a state
# that may be entered by different ways stands for the way that is named.
WINDOW_0 = settings((INITIAL_WINDOW_SIZE, 0))  # the body of an answer stays where it is
BAD = post(("connection", "x"))

STATES = {
    # 5.1, idle
    "idle": ([], settings()),
    # open: the request has not ended
    "open": ([headers(1, post(), end=False)], settings()),
    # half-closed (remote): the answer has not ended
    "half": ([headers(1, get(path="/")), Head(1)], WINDOW_0),
    # closed by END_STREAM of both sides
    "ended": ([headers(1, get(path="/")), Ended(1)], settings()),
    # closed by RST_STREAM of the client
    "reset": ([headers(1, post(), end=False), rst(1)], settings()),
    # closed by RST_STREAM of the server: the client may not have seen it yet
    "refused": ([headers(1, BAD, end=False), Gone(1)], settings()),
    # closed as a later stream was opened (5.1.1)
    "skipped": ([headers(3, get(path="/")), Ended(3)], settings()),
}

FRAMES = {
    "data": data(1, b"x"),
    "data_end": data(1, b"x", end=True),
    "data_empty": data(1),
    "headers": headers(1, get()),
    "trailers": headers(1, [("x-sum", "1")]),
    "headers_on": headers(1, [("x-sum", "1")], end=False),
    "priority": priority(1),
    "rst": rst(1),
    "push": push_promise(1, 2, get()),
    "window": window_update(1, 1000),
    "continuation": continuation(1, block([("x", "y")])),
    "unknown": frame(UNKNOWN, 0xff, 1, b"what"),
}

NEVER = {"push": Conn(PROTOCOL_ERROR), "continuation": Conn(PROTOCOL_ERROR),
         "priority": Fine(), "unknown": Fine()}
BODIES, HEADS = ("data", "data_end", "data_empty"), ("headers", "trailers", "headers_on")
# DATA is an error of its stream (6.1); the library makes it one of the connection as long as the
# answer has not ended.  HEADERS would open what cannot be opened.
HALF = {name: Conn(STREAM_CLOSED) for name in BODIES + HEADS}
CLOSED = {**HALF, **{name: Reset(1, STREAM_CLOSED) for name in BODIES}}
# What may have been under way when the other side closed the stream.
LATE = {"rst": Fine(), "window": Fine()}

OUTCOMES = {
    "idle": {**NEVER, **{name: Conn(PROTOCOL_ERROR) for name in (
        "data", "data_end", "data_empty", "rst", "window")},
        "headers": Answer(1), "trailers": Reset(1, PROTOCOL_ERROR),
        "headers_on": Reset(1, PROTOCOL_ERROR)},
    "open": {**NEVER, "data": Fine(), "data_end": Answer(1), "data_empty": Fine(),
             # what follows a body are trailers: they have no pseudo-fields and end the request
             "headers": Reset(1, PROTOCOL_ERROR), "trailers": Answer(1),
             "headers_on": Reset(1, PROTOCOL_ERROR), "rst": Fine(), "window": Fine()},
    "half": {**NEVER, **HALF, **LATE},
    "ended": {**NEVER, **CLOSED, **LATE},
    "reset": {**NEVER, **CLOSED, **LATE},
    # "minimally process and then discard"
    "refused": {**NEVER, **{name: Reset(1, PROTOCOL_ERROR) for name in CLOSED},
                "rst": Reset(1, PROTOCOL_ERROR), "window": Reset(1, PROTOCOL_ERROR),
                "priority": Reset(1, PROTOCOL_ERROR), "unknown": Reset(1, PROTOCOL_ERROR)},
    "skipped": {**NEVER, **CLOSED, **{name: Conn(PROTOCOL_ERROR) for name in HEADS},
                **LATE},
}


def matrix():
    for state, (way, first) in STATES.items():
        for name, sent in FRAMES.items():
            yield Row("5.1", f"{state}_{name}", [*way, sent], OUTCOMES[state][name], first=first,
                      on=BOTH if name in ("data", "headers") else ("h2c",))


ROWS = [
    *matrix(),
    # ---- 5.1: what a sequence of frames makes of a stream ----
    Row("5.1", "open_wait", [headers(1, post(), end=False), data(1, b"x"), data(1, b"y", end=True)],
        Answer(1, body=b"POST 2")),
    Row("5.1", "end_by_empty_data", headers(1, post(), end=False) + data(1, end=True),
        Answer(1, body=b"POST 0")),
    Row("5.1", "reset_at_once", headers(1, get(path="/")) + rst(1)),
    Row("5.1", "reset_twice", headers(1, post(), end=False) + rst(1) + rst(1)),
    Row("5.1", "reset_then_other", headers(1, post(), end=False) + rst(1) + headers(3, get()),
        Answer(3)),
    Row("5.1", "refused_all_late", [
        headers(1, BAD, end=False), Gone(1), data(1, b"x" * 100), data(1, b"y", pad=50),
        window_update(1, 10), headers(1, [("x-sum", "1")])], Reset(1, PROTOCOL_ERROR), on=BOTH),
    Row("5.1", "closed_data_once", [headers(1, get(path="/")), Ended(1), data(1, b"x") * 9],
        Reset(1, STREAM_CLOSED)),
    Row("5.1", "closed_after_empty_head", [headers(1, b"", end=False), Gone(1), data(1, b"x"),
                                           headers(3, get())],
        [Reset(1, PROTOCOL_ERROR), Answer(3)]),
    Row("5.1", "reopened_after_empty_head", [headers(1, b""), rst(1), Gone(1), headers(1, get())],
        Reset(1, PROTOCOL_ERROR)),
    Row("5.1", "closed_data_then_other", [headers(1, get(path="/")), Ended(1), data(1, b"x"),
                                          headers(3, get())], [Reset(1, STREAM_CLOSED), Answer(3)]),
    Row("5.1", "refused_then_other", [headers(1, BAD, end=False), headers(3, get())],
        [Reset(1, PROTOCOL_ERROR), Answer(3)]),
    # late trailers of a stream that was reset still count for the table of the connection
    Row("5.1", "refused_hpack_kept", [
        headers(1, BAD, end=False), Gone(1),
        headers(1, literal(":authority", "localhost", 0x40)),
        headers(3, block(request(without=("authority",))[:2]) + b"\xbe" +
                block([(":path", APP)]))],
        [Reset(1, PROTOCOL_ERROR), Answer(3)]),
    Row("5.1", "reset_hpack_kept", [
        headers(1, literal(":authority", "localhost", 0x40) + block([("Bad", "")])),
        Gone(1), headers(3, block(request(without=("authority",))[:2]) + b"\xbe" +
                         block([(":path", APP)]))],
        [Reset(1, PROTOCOL_ERROR), Answer(3)]),
    # ---- 5.1.1 ----
    Row("5.1.1", "even_headers", headers(2, get()), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("5.1.1", "even_data", data(2, b"x"), Conn(PROTOCOL_ERROR)),
    Row("5.1.1", "even_rst", rst(2), Conn(PROTOCOL_ERROR)),
    Row("5.1.1", "even_window", window_update(2, 1), Conn(PROTOCOL_ERROR)),
    Row("5.1.1", "even_priority", priority(2)),
    Row("5.1.1", "zero_headers", headers(0, get()), Conn(PROTOCOL_ERROR)),
    Row("5.1.1", "decreasing", headers(5, get()) + headers(3, get()), Conn(PROTOCOL_ERROR),
        asked=ANY, on=BOTH),
    Row("5.1.1", "decreasing_later", [headers(5, get()), Ended(5), headers(7, get()), Ended(7),
                                      headers(6 - 1, get())], Conn(STREAM_CLOSED), asked=2),
    Row("5.1.1", "same_again", headers(1, get(path="/")) + headers(1, get(path="/")),
        Conn(STREAM_CLOSED)),
    Row("5.1.1", "gap_is_fine", headers(7, get()) + headers(101, get()), [Answer(7), Answer(101)],
        on=BOTH),
    Row("5.1.1", "gap_in_between", headers(7, get(path="/")) + headers(101, get(path="/")) +
        headers(99, get()), Conn(PROTOCOL_ERROR)),
    Row("5.1.1", "last_id", headers(WINDOW_MAX, get()), Answer(WINDOW_MAX), on=BOTH),
    Row("5.1.1", "idle_between", headers(7, get(path="/")) + data(9, b"x"),
        Conn(PROTOCOL_ERROR)),
    # ---- 5.1.2: beside test_h_rows.py's ----
    Row("5.1.2", "streams_one_after_another", [
        part for i in range(1, 260, 2) for part in (headers(i, get(path="/")), Ended(i))]),
    # ---- 5.3: deprecated, and harmless ----
    Row("5.3.2", "priority_then_request", priority(1, 0, 255) + headers(1, get()), Answer(1),
        on=BOTH),
    Row("5.3.2", "priority_in_headers", headers(1, get(), priority=(0, 200)), Answer(1), on=BOTH),
    Row("5.3.2", "priority_on_unknown", headers(1, get(), priority=(0x80000000 | 77, 1)),
        Answer(1)),
    Row("5.3.2", "priority_tree", b"".join(priority(i, i + 2) for i in range(1, 99, 2))),
    Row("5.3.2", "priority_in_trailers", headers(1, post(), end=False) +
        headers(1, [("x", "y")], priority=(0, 1)), Answer(1)),
    # ---- 5.4.1 ----
    Row("5.4.1", "goaway_before_end", headers(1, get(path="/")) + ping(b"short"),
        Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("5.4.1", "frames_after_error", ping(b"short") + headers(1, get()) + ping(),
        Conn(FRAME_SIZE_ERROR), on=BOTH),
    # ---- 5.4.2 ----
    Row("5.4.2", "other_streams_go_on", headers(1, get()) + headers(3, BAD) + headers(5, get()),
        [Answer(1), Reset(3, PROTOCOL_ERROR), Answer(5)], on=BOTH),
    Row("5.4.2", "no_reset_for_a_reset", [headers(1, post(), end=False), rst(1, 0xdead), rst(1)]),
    # ---- 5.5 ----
    Row("5.5", "unknown_frame", frame(UNKNOWN, 0xff, 0, b"x" * 100), on=BOTH),
    Row("5.5", "unknown_frame_idle", frame(UNKNOWN, 1, 77, b"x")),
    Row("5.5", "unknown_frame_even", frame(UNKNOWN, 1, 2)),
    Row("5.5", "unknown_frame_full", frame(UNKNOWN, 0, 1, b"x" * FRAME_MAX)),
    Row("5.5", "unknown_frames_all", b"".join(frame(kind, 0, 0, b"x") for kind in range(17, 256))),
    Row("5.5", "unknown_in_body", headers(1, post(), end=False) + data(1, b"a") +
        frame(UNKNOWN, END_STREAM, 1, b"zzz") + data(1, b"b", end=True),
        Answer(1, body=b"POST 2")),
    Row("5.5", "unknown_in_block", headers(1, get(), whole=False) + frame(UNKNOWN, 4, 1),
        Conn(PROTOCOL_ERROR), on=BOTH),
    Row("5.5", "altsvc_origin", frame(0xa, 0, 0, b"\0\1a") + frame(0xc, 0, 0)),
    Row("5.5", "unknown_settings", settings((0xf0f0, 7), (0, 1), (7, 1), (0xffff, WINDOW_MAX)),
        on=BOTH),
]
