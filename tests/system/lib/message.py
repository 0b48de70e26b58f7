"""A response as every client of the tests returns it."""
from dataclasses import dataclass, field

PROTOCOLS = ("h1", "h1s", "h2", "h2c")


class Truncated(Exception):
    """The response ended before it was complete; .response is what there was, .code the
    RST_STREAM code on HTTP/2."""

    def __init__(self, response, code=None):
        super().__init__(f"truncated after {len(response.body)} bytes, code {code}")
        self.response = response
        self.code = code


class Refused(Exception):
    """No response head at all: the connection ended, or the stream was reset (.code)."""

    def __init__(self, code=None, goaway=None):
        super().__init__(f"no response, code {code}, goaway {goaway}")
        self.code = code
        self.goaway = goaway


@dataclass
class Response:
    status: int = 0
    reason: str = ""
    version: str = ""
    headers: list = field(default_factory=list)  # (lower-case name, value)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)  # Responses with a 1xx status

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def lines(self):
        return self.text.splitlines()

    @property
    def env(self):
        """NAME=VALUE lines of a body as a dict; a name met twice is an error."""
        found = {}
        for line in self.lines:
            name, _, value = line.partition("=")
            assert name not in found, f"{name} twice"
            found[name] = value
        return found
