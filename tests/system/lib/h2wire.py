"""Runs the rows of h2_rows: sends their bytes, waits for their moments, compares what came."""
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from h2_rows.row import (ACK, APP, FRAME_MAX, HEADER_TABLE_SIZE, SETTINGS, Answer, Conn, Ended,
                        Gone, Head, Reset, Sent, Synced, headers, request)
from lib.frames import DEFAULT_WINDOW, H2, Stream

FENCE = 1000001  # a stream behind those of all rows but one
TIMEOUT = 2


class Streams(dict):
    """Every stream something came for, and those that were asked about."""

    def __missing__(self, number):
        self[number] = Stream(DEFAULT_WINDOW)
        return self[number]


class Wire(H2):
    """A connection that sends bytes as they are.  Of its own it acknowledges SETTINGS and PING,
    and gives the connection credit, but no stream."""

    def __init__(self, *args, **options):
        super().__init__(*args, preface=False, **options)
        self.streams = Streams()
        self.tables = []  # HEADER_TABLE_SIZE of each SETTINGS that was not acknowledged, or None

    # ---- sending ----

    def put(self, data):
        """False if the peer has closed."""
        self.note_tables(data)
        try:
            self.raw(data)
        except OSError:
            return False
        return True

    def note_tables(self, data):
        """The decoder has to know which size our encoder's peer is held to (RFC 7541 4.2)."""
        at = data.find(b"SM\r\n\r\n")
        at = at + 6 if at >= 0 else 0
        while at + 9 <= len(data):
            n, kind, flags = int.from_bytes(data[at:at + 3], "big"), data[at + 3], data[at + 4]
            if kind == SETTINGS and not flags & ACK and n % 6 == 0:
                pairs = [data[i:i + 6] for i in range(at + 9, at + 9 + n, 6)]
                sizes = [int.from_bytes(pair[2:], "big") for pair in pairs
                         if pair[:2] == HEADER_TABLE_SIZE.to_bytes(2, "big")]
                self.tables.append(sizes[-1] if sizes else None)
            at += 9 + n

    def sync(self):
        """Two round trips: what the first one's answer overtook in the server has come by the
        second's."""
        return self.ping(b"sync one") and self.ping(b"sync two")

    # ---- receiving ----

    def on_settings(self, got):
        if "ACK" in got.flags and self.tables:
            size = self.tables.pop(0)
            if size is not None:
                self.decoder.max_allowed_table_size = size
        super().on_settings(got)

    def on_data(self, got):
        stream = self.streams[got.stream_id]
        assert stream.has_head and not stream.ended, "DATA out of place"
        assert got.flow_controlled_length <= FRAME_MAX
        stream.parts.append(got.data)
        stream.ended = "END_STREAM" in got.flags
        if got.flow_controlled_length:
            self.try_send(WindowUpdateFrame(0, window_increment=got.flow_controlled_length))

    def on_rst(self, got):
        stream = self.streams[got.stream_id]
        assert stream.reset is None, f"stream {got.stream_id} was reset twice"
        stream.reset = got.error_code

    HANDLERS = {**H2.HANDLERS, SettingsFrame: on_settings, DataFrame: on_data,
                RstStreamFrame: on_rst}

    # ---- rows ----

    def wait_for(self, moment):
        stream = None if isinstance(moment, Synced) else self.streams[moment.stream]
        if isinstance(moment, Synced):
            done = self.sync()
        elif isinstance(moment, Head):
            done = self.wait(lambda: stream.has_head, TIMEOUT)
        elif isinstance(moment, Ended):
            done = self.wait(lambda: stream.ended, TIMEOUT)
        elif isinstance(moment, Gone):
            done = self.wait(lambda: stream.reset is not None, TIMEOUT)
        elif isinstance(moment, Sent):
            done = self.wait(lambda: len(self.body_so_far(moment.stream)) >= moment.n, TIMEOUT)
            done = done and self.sync()
            assert len(self.body_so_far(moment.stream)) == moment.n
        assert done, f"{moment} did not come: {self.seen()}"

    def play(self, row, number):
        """Send the row; its application requests are made to be those of number."""
        here = APP.replace("0000", f"{number:04d}").encode()
        pending = row.preface + row.first
        for step in row.steps():
            if isinstance(step, bytes):
                pending += step.replace(APP.encode(), here)
                continue
            self.put(pending)
            pending = b""
            self.wait_for(step)
        self.put(pending)
        return here.decode()

    def judge(self, row):
        """Does what came agree with the row?"""
        outcomes = row.outcomes()
        for outcome in outcomes:
            if isinstance(outcome, Conn):
                self.judge_end(outcome)
                return
        self.wait(lambda: all(map(self.is_there, outcomes)), TIMEOUT)
        if GOAWAY_SENT not in row.name:
            self.judge_go_on()
        resets = {n: s.reset for n, s in self.streams.items() if s.reset is not None}
        assert resets == {o.stream: o.code for o in outcomes if isinstance(o, Reset)}, self.seen()
        for outcome in outcomes:
            if isinstance(outcome, Answer):
                self.judge_answer(outcome)

    def is_there(self, outcome):
        if isinstance(outcome, Answer):
            stream = self.streams[outcome.stream]
            return stream.ended or stream.reset is not None
        return not isinstance(outcome, Reset) or self.streams[outcome.stream].reset is not None

    def judge_end(self, outcome):
        code = self.wait_goaway(TIMEOUT)
        assert code == outcome.code, self.seen()
        assert self.wait_eof(TIMEOUT), "the connection was not closed"

    def judge_go_on(self):
        """One more request is answered; what came of earlier frames came before."""
        number = FENCE if max(self.streams, default=1) < FENCE else None
        if number is None:
            assert self.sync(), self.seen()
        else:
            self.put(headers(number, request("HEAD", "/")))
            fence = self.streams[number]
            assert self.wait(lambda: fence.ended or fence.reset is not None, TIMEOUT), self.seen()
            assert fence.response.status == 200, self.seen()
        assert self.goaway is None, self.seen()

    def judge_answer(self, outcome):
        stream = self.streams[outcome.stream]
        assert stream.ended, self.seen()
        assert stream.response.status == outcome.status, self.seen()
        if outcome.body is not None:
            assert self.body_so_far(outcome.stream) == outcome.body

    def seen(self):
        """For the report of a row that failed."""
        streams = {n: (s.response.status, len(b"".join(s.parts)), "ended" if s.ended else "",
                       "" if s.reset is None else f"reset {s.reset}")
                   for n, s in self.streams.items()}
        end = f"GOAWAY {self.goaway.error_code} {self.goaway.additional_data}" if self.goaway \
            else ""
        return f"streams {streams} {end} {'closed' if self.eof else ''}"


GOAWAY_SENT = "goaway"  # rows of this name end the connection of their own
