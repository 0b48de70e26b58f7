"""HTTP/2 frame by frame, on hyperframe and hpack: every frame can be sent, each is seen."""
import time

import hpack
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame,
                              PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from lib.h1 import connect, tls_context
from lib.message import Refused, Response, Truncated

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
DEFAULT_WINDOW = 65535


class Stream:
    """What came for one stream."""

    def __init__(self, window):
        self.response = Response(version="HTTP/2")
        self.parts = []
        self.ended = False
        self.reset = None  # error code
        self.send_window = window
        self.has_head = False


class H2:
    """One connection.  auto: acknowledge SETTINGS and PING; flow: give credit for DATA."""

    def __init__(self, address, tls=True, settings=None, preface=True, auto=True, flow=True,
                 context=None, **options):
        self.sock = connect(address, tls, context=context or tls_context(["h2"]), **options)
        self.auto, self.flow = auto, flow
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.buffer = b""
        self.block = None  # (stream id, flags, bytes) of an open header block
        self.streams = {}
        self.next_id = 1
        self.peer_settings = {}
        self.goaway = None  # the last GOAWAY frame
        self.pongs = []
        self.eof = False
        self.send_window = DEFAULT_WINDOW
        if preface:
            self.raw(PREFACE)
            self.send(SettingsFrame(0, settings=settings or {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ---- sending ----

    def raw(self, data):
        self.sock.sendall(data)

    def send(self, *frames):
        self.raw(b"".join(frame.serialize() for frame in frames))

    def try_send(self, *frames):
        """Send to a peer that may have closed; False if it has."""
        try:
            self.send(*frames)
        except OSError:
            return False
        return True

    def open_stream(self):
        number = self.next_id
        self.next_id += 2
        self.streams[number] = Stream(self.peer_settings.get(
            SettingsFrame.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW))
        return number

    def headers_frame(self, number, headers, end=True, end_headers=True):
        frame = HeadersFrame(number, data=self.encoder.encode(headers, huffman=False))
        if end:
            frame.flags.add("END_STREAM")
        if end_headers:
            frame.flags.add("END_HEADERS")
        return frame

    def send_headers(self, headers, end=True):
        """Open a stream with exactly these fields (pseudo-fields included)."""
        number = self.open_stream()
        block = self.encoder.encode(headers, huffman=False)
        pieces = [block[i:i + 16384] for i in range(0, len(block), 16384)]
        frames = [HeadersFrame(number, data=pieces[0], flags=["END_STREAM"] if end else [])]
        frames += [ContinuationFrame(number, data=piece) for piece in pieces[1:]]
        frames[-1].flags.add("END_HEADERS")
        self.send(*frames)
        return number

    def send_trailers(self, number, fields):
        """The fields that end a stream, in as many frames as they take."""
        block = self.encoder.encode(fields, huffman=False)
        pieces = [block[i:i + 16384] for i in range(0, len(block), 16384)]
        frames = [HeadersFrame(number, data=pieces[0], flags=["END_STREAM"])]
        frames += [ContinuationFrame(number, data=piece) for piece in pieces[1:]]
        frames[-1].flags.add("END_HEADERS")
        self.send(*frames)

    def request(self, method="GET", path="/", headers=(), body=None, host="localhost",
                scheme="https", end=None):
        """Open a stream; body bytes are sent under flow control."""
        fields = [(":method", method), (":scheme", scheme), (":authority", host),
                  (":path", path)]
        if host is None:
            del fields[2]
        fields += [(name.lower(), value) for name, value in headers]
        number = self.send_headers(fields, end=body is None if end is None else end)
        if body is not None:
            self.send_body(number, body)
        return number

    def send_body(self, number, data, end=True):
        stream, offset = self.streams[number], 0
        while offset < len(data):
            room = min(self.send_window, stream.send_window, 16384)
            if room <= 0:
                if stream.reset is not None or stream.ended or not self.pump():
                    return
                continue
            piece = data[offset:offset + room]
            offset += len(piece)
            self.send_window -= len(piece)
            stream.send_window -= len(piece)
            frame = DataFrame(number, data=piece)
            if end and offset == len(data):
                frame.flags.add("END_STREAM")
            self.send(frame)
        if end and not data:
            self.send(DataFrame(number, flags=["END_STREAM"]))

    def send_until_stuck(self, number, size):
        """Send DATA while there is credit, until pings come back without more; how much."""
        stream, sent, idle = self.streams[number], 0, 0
        while sent < size and idle < 3:
            room = min(self.send_window, stream.send_window, 16384, size - sent)
            if room <= 0:
                idle += 1
                assert self.ping()
                continue
            idle = 0
            self.send(DataFrame(number, data=b"x" * room))
            self.send_window -= room
            stream.send_window -= room
            sent += room
        return sent

    # ---- receiving ----

    def frame(self):
        """The next frame, None at the end of the connection."""
        while True:
            if len(self.buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    frame.parse_body(memoryview(self.buffer[9:9 + length]))
                    self.buffer = self.buffer[9 + length:]
                    return frame
            try:
                data = self.sock.recv(65536)
            except (ConnectionError, EOFError):
                data = b""
            except OSError as error:
                if "timed out" in str(error):
                    raise
                data = b""
            if not data:
                self.eof = True
                return None
            self.buffer += data

    def pump(self):
        """Take one frame into account; it is returned, None at the end."""
        frame = self.frame()
        if frame is not None:
            handler = self.HANDLERS.get(type(frame))
            if handler:
                handler(self, frame)
        return frame

    def wait(self, condition, timeout=15):
        """Pump until condition(); False if the connection ended or time ran out before."""
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or self.eof:
                return False
            self.sock.settimeout(left)
            try:
                self.pump()
            except TimeoutError:
                return bool(condition())
        return True

    def response(self, number, timeout=15):
        """The complete response on a stream; Truncated or Refused if there is none."""
        stream = self.streams[number]
        done = self.wait(lambda: stream.ended or stream.reset is not None, timeout)
        stream.response.body = b"".join(stream.parts)
        if stream.ended:
            return stream.response
        if not done and not self.eof:
            raise TimeoutError(f"stream {number}: nothing complete after {timeout} s")
        if stream.has_head:
            raise Truncated(stream.response, stream.reset)
        raise Refused(stream.reset, self.goaway.error_code if self.goaway else None)

    def fetch(self, method="GET", path="/", headers=(), body=None, host="localhost",
              scheme="https"):
        return self.response(self.request(method, path, headers, body, host, scheme))

    def body_so_far(self, number):
        return b"".join(self.streams[number].parts)

    def wait_goaway(self, timeout=15):
        """The error code of the server's GOAWAY, None if none came."""
        self.wait(lambda: self.goaway is not None, timeout)
        return self.goaway.error_code if self.goaway else None

    def wait_eof(self, timeout=15):
        return self.wait(lambda: self.eof, timeout) or self.eof

    def ping(self, data=b"sequence", timeout=15):
        """A round trip."""
        n = len(self.pongs)
        self.send(PingFrame(0, opaque_data=data))
        return self.wait(lambda: len(self.pongs) > n, timeout)

    # ---- what frames mean ----

    def on_settings(self, frame):
        if "ACK" in frame.flags:
            return
        old = self.peer_settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        self.peer_settings.update(frame.settings)
        new = self.peer_settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        for stream in self.streams.values():
            stream.send_window += new - old
        if self.auto:
            self.try_send(SettingsFrame(0, flags=["ACK"]))

    def on_ping(self, frame):
        if "ACK" in frame.flags:
            self.pongs.append(frame.opaque_data)
        elif self.auto:
            self.try_send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))

    def on_window_update(self, frame):
        if frame.stream_id == 0:
            self.send_window += frame.window_increment
        elif frame.stream_id in self.streams:
            self.streams[frame.stream_id].send_window += frame.window_increment

    def on_headers(self, frame):
        block = (self.block[2] if self.block else b"") + frame.data
        ended = "END_STREAM" in (self.block[1] if self.block else frame.flags)
        if "END_HEADERS" not in frame.flags:
            self.block = (frame.stream_id, {"END_STREAM"} if ended else set(), block)
            return
        self.block = None
        self.take_head(self.streams[frame.stream_id], self.decoder.decode(block), ended)

    def take_head(self, stream, fields, ended):
        fields = [(text(name), text(value)) for name, value in fields]
        if stream.has_head:
            assert ended, "a second head that is no trailer"
            stream.response.trailers = fields
        else:
            assert fields[0][0] == ":status" and [n for n, _ in fields].count(":status") == 1
            status, rest = int(fields[0][1]), fields[1:]
            assert all(name == name.lower() for name, _ in rest), rest
            if 100 <= status < 200:
                assert not ended
                stream.response.interim.append(Response(status, headers=rest))
                return
            stream.has_head = True
            stream.response.status, stream.response.headers = status, rest
        stream.ended = stream.ended or ended

    def on_data(self, frame):
        stream = self.streams[frame.stream_id]
        assert stream.has_head and not stream.ended, "DATA out of place"
        stream.parts.append(frame.data)
        stream.ended = "END_STREAM" in frame.flags
        credit = frame.flow_controlled_length
        if self.flow and credit:
            self.try_send(WindowUpdateFrame(0, window_increment=credit))
            if not stream.ended:
                self.try_send(WindowUpdateFrame(frame.stream_id, window_increment=credit))

    def on_rst(self, frame):
        if frame.stream_id in self.streams:
            self.streams[frame.stream_id].reset = frame.error_code

    def on_goaway(self, frame):
        self.goaway = frame

    HANDLERS = {
        SettingsFrame: on_settings,
        PingFrame: on_ping,
        WindowUpdateFrame: on_window_update,
        HeadersFrame: on_headers,
        ContinuationFrame: on_headers,
        DataFrame: on_data,
        RstStreamFrame: on_rst,
        GoAwayFrame: on_goaway,
    }


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value
