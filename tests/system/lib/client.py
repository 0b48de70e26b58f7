"""One request over any of the four ways in: h1, h1s (HTTP/1.1, plain and TLS), h2, h2c."""
import subprocess

from lib.frames import H2
from lib.h1 import H1
from lib.message import Refused, Response

CURL_ARGS = {
    "h1": ["--http1.1"],
    "h1s": ["--http1.1"],
    "h2": ["--http2"],
    "h2c": ["--http2-prior-knowledge"],
}


def is_tls(proto):
    return proto in ("h1s", "h2")


def is_h2(proto):
    return proto in ("h2", "h2c")


def scheme(proto):
    return "https" if is_tls(proto) else "http"


def dial(proto, gateway, **options):
    """A connection object with fetch(): H1 or H2."""
    kind = H2 if is_h2(proto) else H1
    return kind(gateway.address(is_tls(proto)), tls=is_tls(proto), **options)


def fetch(proto, gateway, method, path, headers=(), body=None, host="localhost", **options):
    with dial(proto, gateway, **options) as client:
        if is_h2(proto):
            if body is not None and not isinstance(body, bytes):
                body = b"".join(body)
            elif isinstance(body, bytes) and not has(headers, "content-length"):
                headers = [*headers, ("content-length", str(len(body)))]
            return client.fetch(method, path, headers, body, host, scheme(proto))
        return client.fetch(method, path, headers, body, host)


def has(headers, name):
    return any(key.lower() == name for key, _ in headers)


def curl(proto, gateway, path, *args, input=None, timeout=60):
    """curl's view of a response; Refused with curl's exit status if it fails."""
    run = subprocess.run(
        ["curl", "-sS", "-k", "-i", "--max-time", str(timeout), *CURL_ARGS[proto], *args,
         gateway.url(proto, path)],
        input=input, capture_output=True, timeout=timeout + 5)
    if run.returncode != 0:
        raise Refused(run.returncode, run.stderr.decode())
    return parse_curl(run.stdout)


def parse_curl(data):
    """The last of the heads that curl -i printed, with its body; earlier ones in .interim."""
    interim = []
    while True:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, _, tail = lines[0].partition(" ")
        code, _, reason = tail.partition(" ")
        fields = [line.partition(":") for line in lines[1:]]
        response = Response(int(code), reason, version,
                            [(name.lower(), value.strip()) for name, _, value in fields])
        if not (response.status < 200 and rest.startswith(b"HTTP/")):
            response.body, response.interim = rest, interim
            return response
        interim.append(response)
        data = rest
