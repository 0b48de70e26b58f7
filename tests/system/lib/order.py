"""Whose DATA goes first: requests whose answers are all ready before the first byte may go."""
from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from lib.client import dial

PRIORITY_UPDATE = 0x10
FRAME = 16384
CREDIT = 1 << 30


def priority_update(number, value, stream=0):
    """The frame as bytes: hyperframe does not know it."""
    payload = number.to_bytes(4, "big") + value.encode()
    return (len(payload).to_bytes(3, "big") + bytes([PRIORITY_UPDATE, 0]) +
            stream.to_bytes(4, "big") + payload)


class Order:
    """A client that reads into .flow what DATA came: (number of the request, bytes).

    The windows of streams are wide open, that of the connection is shut after its first 65,535
    bytes, which are used up; grant() opens it."""

    def __init__(self, proto, gateway, window=CREDIT):
        self.client = dial(proto, gateway, flow=False,
                           settings={SettingsFrame.INITIAL_WINDOW_SIZE: window})
        self.ids, self.flow = [], []
        first = self.client.request(path="/first")
        assert self.client.wait(lambda: len(self.client.body_so_far(first)) == 65535)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def ask(self, path, priority=None):
        headers = [("priority", line) for line in ([priority] if isinstance(priority, str)
                                                   else priority or [])]
        self.ids.append(self.client.request(path=path, headers=headers))

    def update(self, index, value):
        self.client.raw(priority_update(self.ids[index], value))

    def stream(self, index):
        return self.client.streams[self.ids[index]]

    def grant(self, credit=CREDIT):
        self.client.send(WindowUpdateFrame(0, window_increment=credit))

    def widen(self, index, credit=CREDIT):
        self.client.send(WindowUpdateFrame(self.ids[index], window_increment=credit))

    def heads(self):
        """Until all have their heads: all that the pool (max_requests = 1) was asked for before
        the last one has been read to its end by then."""
        last = self.client.request("HEAD", "/app/0")
        assert self.client.wait(
            lambda: all(self.client.streams[n].has_head for n in [*self.ids, last]))

    def step(self, credit):
        """So many bytes from now, when all that came before has been dealt with."""
        assert self.client.ping()
        self.grant(credit)
        return self.take(credit)

    def take(self, size):
        """So many bytes of DATA, exactly; which they were."""
        begin = len(self.flow)
        while size > 0:
            frame = self.client.pump()
            assert frame is not None, "the connection ended"
            if isinstance(frame, DataFrame) and frame.stream_id in self.ids:
                self.flow.append((self.ids.index(frame.stream_id), len(frame.data)))
                size -= len(frame.data)
        assert size == 0, "more came than the window allows"
        return self.flow[begin:]

    def take_all(self):
        self.grant()
        begin = len(self.flow)
        while not all(self.client.streams[n].ended for n in self.ids):
            frame = self.client.pump()
            assert frame is not None, "the connection ended"
            assert all(self.client.streams[n].reset is None for n in self.ids)
            if isinstance(frame, DataFrame) and frame.stream_id in self.ids and frame.data:
                self.flow.append((self.ids.index(frame.stream_id), len(frame.data)))
        return self.flow[begin:]


def sequence(flow):
    """The requests, each once for as long as it goes on: [0, 1, 0]."""
    return [n for i, (n, _) in enumerate(flow) if i == 0 or flow[i - 1][0] != n]


def shares(flow, numbers):
    """How far bytes of these were apart at most, while all of them went on."""
    left = {n: sum(size for m, size in flow if m == n) for n in numbers}
    sent, apart = dict.fromkeys(numbers, 0), 0
    for n, size in flow:
        if n not in left:
            continue
        sent[n] += size
        apart = max(apart, max(sent.values()) - min(sent.values()))
        left[n] -= size
        if left[n] == 0:
            break
    return apart
