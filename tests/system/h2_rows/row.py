"""What a row of the HTTP/2 table is made of: frames as bytes, moments to wait for, outcomes."""
from dataclasses import dataclass, field

# RFC 9113 7
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED,
 FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR,
 ENHANCE_YOUR_CALM) = range(12)
# 6
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)
UNKNOWN = 0xfa  # of no registered type
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY_FLAG = 0x4, 0x8, 0x20
# 6.5.2, RFC 8441 3, RFC 9218 2.1
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 8, 9
FRAME_MAX = 16384
WINDOW_MAX = (1 << 31) - 1

# A path that reaches the application; each row puts its own number in the place of the zeros, so
# that what the application was asked can be told apart.
APP = "/app/r0000"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


# ---- frames ----

def frame(kind, flags=0, stream=0, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
            + payload)


def u32(n):
    return n.to_bytes(4, "big")


def padded(payload, pad):
    """(flag, payload) with pad bytes behind it; None: without."""
    return (0, payload) if pad is None else (PADDED, bytes([pad]) + payload + bytes(pad))


def data(stream, body=b"", end=False, pad=None):
    flag, payload = padded(body, pad)
    return frame(DATA, flag | (END_STREAM if end else 0), stream, payload)


def headers(stream, fields, end=True, whole=True, pad=None, priority=None):
    """fields: a list, or a header block as bytes.  priority: (stream, weight)."""
    fields = fields if isinstance(fields, bytes) else block(fields)
    flag = 0
    if priority is not None:
        flag, fields = PRIORITY_FLAG, u32(priority[0]) + bytes([priority[1]]) + fields
    pad_flag, payload = padded(fields, pad)
    flag |= pad_flag | (END_STREAM if end else 0) | (END_HEADERS if whole else 0)
    return frame(HEADERS, flag, stream, payload)


def continuation(stream, part, whole=True):
    return frame(CONTINUATION, END_HEADERS if whole else 0, stream, part)


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(key.to_bytes(2, "big") + u32(value)
                                            for key, value in pairs))


def priority(stream, on=0, weight=15):
    return frame(PRIORITY, 0, stream, u32(on) + bytes([weight]))


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, u32(code))


def ping(payload=b"12345678", flags=0):
    return frame(PING, flags, 0, payload)


def goaway(last=0, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, u32(last) + u32(code) + debug)


def window_update(stream, n):
    return frame(WINDOW_UPDATE, 0, stream, u32(n))


def push_promise(stream, promised, fields):
    return frame(PUSH_PROMISE, END_HEADERS, stream, u32(promised) + block(fields))


# ---- header blocks (RFC 7541 5, 6) ----

def integer(n, bits=7, first=0):
    most = (1 << bits) - 1
    if n < most:
        return bytes([first | n])
    out, n = [first | most], n - most
    while n >= 128:
        out.append(n % 128 | 128)
        n //= 128
    return bytes([*out, n])


def raw(value):
    return value if isinstance(value, bytes) else value.encode("latin-1")


def string(value):
    return integer(len(raw(value))) + raw(value)


def literal(name, value, first=0):
    """Not indexed (0), indexed from now on (0x40), never indexed (0x10)."""
    return bytes([first]) + string(name) + string(value)


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


# ---- requests ----

def request(method="GET", path=APP, *more, without=(), **pseudo):
    """The pseudo-fields of a request (scheme=, authority= change one), then more fields."""
    fields = {"method": method, "scheme": "https", "authority": "localhost", "path": path}
    fields.update(pseudo)
    return [(f":{name}", value) for name, value in fields.items() if name not in without] + [
        *more]


def get(*more, **pseudo):
    return request("GET", pseudo.pop("path", APP), *more, **pseudo)


def post(*more, **pseudo):
    return request("POST", pseudo.pop("path", APP), *more, **pseudo)


# ---- moments between what is sent ----

@dataclass
class Head:
    """The head of the answer came."""
    stream: int


@dataclass
class Ended:
    """The answer came in full."""
    stream: int


@dataclass
class Gone:
    """RST_STREAM came."""
    stream: int


@dataclass
class Sent:
    """So many bytes of body came."""
    stream: int
    n: int


class Synced:
    """Our SETTINGS are acknowledged, and so are the server's."""


# ---- outcomes ----

@dataclass
class Conn:
    """A connection error: GOAWAY, then the end."""
    code: int


@dataclass
class Reset:
    """A stream error; the connection goes on."""
    stream: int
    code: int


@dataclass
class Answer:
    """A complete answer; the connection goes on."""
    stream: int
    status: int = 200
    body: bytes = None


class Fine:
    """Nothing comes of it; the connection goes on."""


@dataclass
class Row:
    section: str  # of RFC 9113, or "7541 5.1"
    name: str     # short, unique
    send: object  # bytes, or a list of bytes and moments
    expect: object = field(default_factory=Fine)  # or a list of outcomes
    first: bytes = settings()  # behind the preface
    preface: bytes = PREFACE
    asked: int = None  # requests that reach the application; None: 0 if nothing is answered
    on: tuple = ("h2c",)

    def steps(self):
        return self.send if isinstance(self.send, list) else [self.send]

    def outcomes(self):
        return self.expect if isinstance(self.expect, list) else [self.expect]


BOTH = ("h2c", "h2")
ANY = -1  # asked: by the way to what is tried
