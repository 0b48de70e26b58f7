"""HTTP/1.1 row by row: the bytes of a client, the answers, and whether the connection goes on.

Each row names the section it stands for: "9112 2.2" is RFC 9112, section 2.2.  h1_sections.py
says which sections of RFC 9112 and RFC 9110 have rows here, and why others have none.

The site has a page at / (GET and HEAD), an application below /app/ that tells what it was given
(test_b_h1_rows.py), /limited/ with a body_limit of 8, and a second site, b.example.
"""
from dataclasses import dataclass, field

KEEP, CLOSE = True, False


@dataclass
class Row:
    section: str
    name: str
    sends: bytes
    answers: tuple = (200,)  # final statuses in order; (): the connection ends without one
    stays: bool = KEEP  # the connection takes another request
    sees: dict = field(default_factory=dict)  # the application, of the last one; None: not set
    fields: dict = field(default_factory=dict)  # of the last answer; None: must not be there
    head: bool = False  # all requests are HEAD
    half: bool = False  # the client closes its side behind what it sends
    interim: tuple = None  # 1xx statuses before the last answer; None: not looked at


def req(line="GET / HTTP/1.1", *lines, host="localhost", body=""):
    """A request's bytes; text is Latin-1, host None leaves the field out."""
    lines = ([f"Host: {host}"] if host is not None else []) + list(lines)
    return ("\r\n".join([line, *lines]) + "\r\n\r\n" + body).encode("latin-1")


def post(*lines, body="", path="/app/x", version="HTTP/1.1"):
    return req(f"POST {path} {version}", *lines, body=body)


def chunked(body):
    return post("Transfer-Encoding: chunked", body=body)


ROWS = []


def ok(section, name, sends, sees=None, **more):
    ROWS.append(Row(section, name, sends, sees=sees or {}, **more))


def bad(section, name, sends, status=400, **more):
    """Refused, and the end of the connection with it."""
    ROWS.append(Row(section, name, sends, (status,), CLOSE, **more))


def told(section, name, sends, status, **more):
    """An answer other than 200 after which the connection goes on."""
    ROWS.append(Row(section, name, sends, (status,), KEEP, **more))


# ---- RFC 9112 2.1, 2.2: the message and its lines ----

ok("9112 2.1", "a request", req())
ok("9112 2.1", "a request with fields", req("GET /app/x HTTP/1.1", "X-A: b", "X-C: d"),
   {"HTTP_X_A": "b", "HTTP_X_C": "d"})
ok("9112 2.1", "a request with a body", post("Content-Length: 5", body="hello"),
   {"CONTENT_LENGTH": "5", "stdin": "hello"})
ok("9112 2.2", "an empty line in front is skipped", b"\r\n" + req())
ok("9112 2.2", "an empty line between two requests is skipped", req() + b"\r\n" + req(),
   answers=(200, 200))
ok("9112 2.2", "an empty line behind a body is skipped",
   post("Content-Length: 1", body="a\r\n") + req(), answers=(200, 200))
bad("9112 2.2", "two empty lines in front", b"\r\n\r\n" + req())
bad("9112 2.2", "bare LF in front", b"\n" + req())
bad("9112 2.2", "bare CR in front", b"\r" + req())
bad("9112 2.2", "space in front", b" " + req())
bad("9112 2.2", "tab in front", b"\t" + req())
bad("9112 2.2", "NUL in front", b"\0" + req())
bad("9112 2.2", "byte order mark in front", b"\xef\xbb\xbf" + req())
bad("9112 2.2", "bare LF behind every line", req().replace(b"\r", b""))
bad("9112 2.2", "bare LF behind the request line", b"GET / HTTP/1.1\nHost: localhost\r\n\r\n")
bad("9112 2.2", "bare LF behind a field", b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n")
bad("9112 2.2", "bare LF at the end", b"GET / HTTP/1.1\r\nHost: localhost\r\n\n")
bad("9112 2.2", "bare LF behind the last field", b"GET / HTTP/1.1\r\nHost: localhost\n\r\n")
bad("9112 2.2", "bare CR behind the request line", b"GET / HTTP/1.1\rHost: localhost\r\n\r\n")
bad("9112 2.2", "bare CR behind a field", b"GET / HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n")
bad("9112 2.2", "bare CR at the end", b"GET / HTTP/1.1\r\nHost: localhost\r\n\rGET")
bad("9112 2.2", "CR CR LF behind the request line", b"GET / HTTP/1.1\r\r\nHost: localhost\r\n\r\n")
bad("9112 2.2", "CR CR LF behind a field", b"GET / HTTP/1.1\r\nHost: localhost\r\r\n\r\n")
bad("9112 2.2", "CR CR LF at the end", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\r\n")
bad("9112 2.2", "LF CR behind a field", b"GET / HTTP/1.1\r\nHost: localhost\n\r\n\r")
bad("9112 2.2", "bare CR in a value", req("GET / HTTP/1.1", "X: a\rb"))
bad("9112 2.2", "bare CR in a name", req("GET / HTTP/1.1", "X\rY: a"))
bad("9112 2.2", "bare CR in the target", req("GET /a\rb HTTP/1.1"))
bad("9112 2.2", "bare CR in the method", req("G\rET / HTTP/1.1"))
bad("9112 2.2", "bare LF in a value", req("GET / HTTP/1.1", "X: a\nb"))
bad("9112 2.2", "space before the first field", req("GET / HTTP/1.1", " X: y", host=None))
bad("9112 2.2", "tab before the first field", req("GET / HTTP/1.1", "\tHost: a", host=None))
bad("9112 2.2", "a line of spaces before the first field",
    b"GET / HTTP/1.1\r\n  \r\nHost: localhost\r\n\r\n")
bad("9112 2.2", "a TLS client", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 64)
bad("9112 2.2", "an SSH client", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
bad("9112 2.2", "a mail client", b"EHLO localhost\r\n")
bad("9112 2.2", "a response instead of a request", b"HTTP/1.1 200 OK\r\n\r\n")

# ---- RFC 9112 2.3, RFC 9110 2.5: versions ----

ok("9112 2.3", "HTTP 1.1", req("GET /app/x HTTP/1.1"), {"SERVER_PROTOCOL": "HTTP/1.1"})
ok("9110 2.5", "HTTP 1.2 is taken as 1.1", req("GET /app/x HTTP/1.2"),
   {"SERVER_PROTOCOL": "HTTP/1.1"})
ok("9110 2.5", "HTTP 1.9 is taken as 1.1", req("GET /app/x HTTP/1.9"),
   {"SERVER_PROTOCOL": "HTTP/1.1"})
ok("9110 2.5", "HTTP 1.0 is told apart", req("GET /app/x HTTP/1.0"),
   {"SERVER_PROTOCOL": "HTTP/1.0"}, stays=CLOSE)
ok("9110 2.5", "HTTP 1.2 may send chunks",
   post("Transfer-Encoding: chunked", version="HTTP/1.2", body="1\r\na\r\n0\r\n\r\n"),
   {"stdin": "a"})
bad("9110 2.5", "HTTP 1.2 without Host", req("GET / HTTP/1.2", host=None))
for version in ("2.0", "2.1", "3.0", "9.9", "0.9", "0.0"):
    bad("9110 15.6.6", f"HTTP {version}", req(f"GET / HTTP/{version}"), 505)
bad("9110 15.6.6", "HTTP 2.0 with a body", post("Content-Length: 1", body="a",
                                                version="HTTP/2.0"), 505)
bad("9110 15.6.6", "half of an HTTP 2 preface behind a request",
    b"GET / HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
for text in ("HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10", "HTTP/1.01", "HTTP/01.1", "HTTP/11.1",
             "HTTP/1,1", "HTTP/1.a", "HTTP/a.1", "HTTP/-1.1", "HTTP/+1.1", "HTTP/2", "HTTP/1 1",
             "http/1.1", "Http/1.1", "HTTPS/1.1", "HTTP 1.1", "HTTP1.1", "HTTP//1.1", "ICY/1.1",
             "HTTP/1.1.1", "HTTP/1.1x", "HTTP/1.1;a", "HTTP/\u00b9.1", "TTP/1.1", "X", ""):
    bad("9112 2.3", f"version {text!r}", req(f"GET / {text}"))
bad("9112 2.3", "no version", req("GET /"))
bad("9112 2.3", "an HTTP 0.9 request", b"GET /\r\n")
bad("9112 2.3", "NUL in the version", req("GET / HTTP/1\0.1"))

# ---- RFC 9112 3: the request line ----

for name, line in [
        ("two spaces behind the method", "GET  / HTTP/1.1"),
        ("two spaces before the version", "GET /  HTTP/1.1"),
        ("tab behind the method", "GET\t/ HTTP/1.1"),
        ("tab before the version", "GET /\tHTTP/1.1"),
        ("vertical tab behind the method", "GET\v/ HTTP/1.1"),
        ("form feed behind the method", "GET\f/ HTTP/1.1"),
        ("no-break space behind the method", "GET\xa0/ HTTP/1.1"),
        ("space behind the version", "GET / HTTP/1.1 "),
        ("tab behind the version", "GET / HTTP/1.1\t"),
        ("a word behind the version", "GET / HTTP/1.1 x"),
        ("no spaces", "GET/HTTP/1.1"),
        ("the method alone", "GET"),
        ("method and space", "GET "),
        ("no target", "GET HTTP/1.1"),
        ("no method", " / HTTP/1.1"),
        ("a version of spaces", "GET /   ")]:
    bad("9112 3", name, req(line))
bad("9112 3", "no request line", b"Host: localhost\r\n\r\n")

for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK",
               "UNLOCK", "REPORT", "SEARCH", "M-SEARCH", "UPDATEREDIRECTREF", "PRI", "get", "G",
               "!#$%&'*+-.^_`|~", "X" * 64):
    ok("9112 3.1", f"method {method if len(method) < 20 else 'of 64 bytes'}",
       req(f"{method} /app/x HTTP/1.1"), {"REQUEST_METHOD": method})
for name, method in [("with a colon", "GET:"), ("with a slash", "GE/T"), ("with a NUL", "GE\0T"),
                     ("in quotes", '"GET"'), ("with a byte over 127", "G\xc3T"),
                     ("with DEL", "GET\x7f"), ("in brackets", "[GET]"), ("with an at", "G@T"),
                     ("with an equals sign", "GET=x")]:
    bad("9112 3.1", f"method {name}", req(f"{method} / HTTP/1.1"))
bad("9112 3", "a method that is too long", req("X" * 65 + " / HTTP/1.1"), 501)
bad("9112 3", "a method without end", b"X" * 4000, 501)

ok("9112 3.2", "target verbatim", req("GET /app/x/%7e//a;b=c,d?e=%41&f[]=+ HTTP/1.1"),
   {"REQUEST_URI": "/app/x/%7e//a;b=c,d?e=%41&f[]=+"})
ok("9112 3.2", "bytes that browsers do not encode",
   req("GET /app/x?a|b^c`{d}[e]\\\"<f> HTTP/1.1"), {"QUERY_STRING": "a|b^c`{d}[e]\\\"<f>"})
ok("9112 3.2", "a byte over 127 in the query", req("GET /app/x?\xc3\xa4 HTTP/1.1"),
   {"QUERY_STRING": "\xc3\xa4"})
for name, target in [("NUL", "/a\0b"), ("DEL", "/a\x7fb"), ("a control byte", "/a\x01"),
                     ("vertical tab", "/\v"), ("a fragment", "/#top"),
                     ("a fragment behind the query", "/?a#b")]:
    bad("9112 3.2", f"{name} in the target", req(f"GET {target} HTTP/1.1"))
bad("9112 3.2", "space in the target", req("GET /a b HTTP/1.1"))
bad("9112 3.2", "a target without slash", req("GET index.html HTTP/1.1"))
bad("9112 3.2", "a target of a query", req("GET ?a HTTP/1.1"))
bad("9112 3.2", "a target of dots", req("GET ../ HTTP/1.1"))
bad("9112 3.2", "a target with a backslash in front", req("GET \\ HTTP/1.1"))
told("9112 3.2", "encoding that is cut short", req("GET /%4 HTTP/1.1"), 400)
told("9112 3.2", "encoding that is no hexadecimal", req("GET /%zz HTTP/1.1"), 400)
told("9112 3.2", "encoded NUL", req("GET /app/x/%00 HTTP/1.1"), 400)
told("9112 3.2", "dot segments that leave the root", req("GET /../../etc/passwd HTTP/1.1"), 400)
bad("9110 15.5.15", "a target of more than 8192 bytes",
    req("GET /" + "x" * 8192 + " HTTP/1.1"), 414)
ok("9110 15.5.15", "a target of 8192 bytes", req("GET /app/x?" + "x" * 8185 + " HTTP/1.1"))
bad("9110 15.5.15", "a target without end", b"GET /" + b"x" * 70000, 414)
bad("9110 15.5.15", "HEAD with a target that is too long",
    req("HEAD /" + "x" * 9000 + " HTTP/1.1"), 414, head=True)

# ---- RFC 9112 3.2.1 to 3.2.4: the forms ----

ok("9112 3.2.1", "origin form", req("GET /app/x?a=b HTTP/1.1"),
   {"PATH_INFO": "/x", "QUERY_STRING": "a=b", "HTTP_HOST": "localhost"})
ok("9112 3.2.1", "origin form with an empty query", req("GET /app/x? HTTP/1.1"),
   {"REQUEST_URI": "/app/x?", "QUERY_STRING": ""})
ok("9112 3.2.1", "origin form that looks like an authority", req("GET //b.example/ HTTP/1.1"),
   answers=(404,))
ok("9112 3.2.2", "absolute form wins over Host",
   req("GET http://b.example/app/x?a HTTP/1.1", host="localhost"),
   {"SITE": "other", "HTTP_HOST": "b.example", "SERVER_NAME": "b.example",
    "REQUEST_URI": "/app/x?a"})
ok("9112 3.2.2", "absolute form with the name that Host has",
   req("GET http://b.example/app/x HTTP/1.1", host="b.example"),
   {"SITE": "other", "HTTP_HOST": "b.example"})
ok("9112 3.2.2", "absolute form with a port",
   req("GET http://b.example:8080/app/x HTTP/1.1"), {"HTTP_HOST": "b.example:8080"})
ok("9112 3.2.2", "absolute form in upper case",
   req("GET HTTP://B.Example/app/x HTTP/1.1"), {"SITE": "other", "HTTP_HOST": "B.Example"})
ok("9112 3.2.2", "absolute form with https does not make it so",
   req("GET https://b.example/app/x HTTP/1.1"),
   {"SITE": "other", "REQUEST_SCHEME": "http", "HTTPS": None})
ok("9112 3.2.2", "absolute form without a path", req("GET http://b.example HTTP/1.1"),
   answers=(404,))
ok("9112 3.2.2", "absolute form with a query and no path",
   req("GET http://top.example?a=b HTTP/1.1"),
   {"REQUEST_URI": "/?a=b", "QUERY_STRING": "a=b"})
ok("9112 3.2.2", "absolute form in HTTP 1.0 without Host",
   req("GET http://b.example/app/x HTTP/1.0", host=None), {"SITE": "other"}, stays=CLOSE)
ok("9112 3.2.2", "absolute form with an IPv6 address", req("GET http://[::1]:80/ HTTP/1.1"))
bad("9112 3.2.2", "absolute form without Host",
    req("GET http://b.example/app/x HTTP/1.1", host=None))
for name, target in [("userinfo", "http://u@b.example/"), ("a password", "http://u:p@b.example/"),
                     ("no authority", "http:///x"), ("nothing behind it", "http://"),
                     ("a bad port", "http://b.example:x/"), ("a port of 65536", "http://b:65536/"),
                     ("a port alone", "http://:80/"), ("one slash", "http:/b.example/"),
                     ("no slash", "http:b.example"), ("no scheme", "://b.example/"),
                     ("another scheme", "ftp://b.example/"), ("a mail address", "mailto:a@b"),
                     ("a backslash in the authority", "http://b\\c/"),
                     ("an encoded NUL in the authority's place", "http://%/"),
                     ("a fragment", "http://b.example/#a"),
                     ("half an IPv6 address", "http://[::1/")]:
    bad("9112 3.2.2", f"absolute form with {name}", req(f"GET {target} HTTP/1.1"))

bad("9112 3.2.3", "CONNECT is not for us", req("CONNECT b.example:443 HTTP/1.1"), 405,
    fields={"allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"})
bad("9112 3.2.3", "CONNECT to an IPv6 address", req("CONNECT [::1]:443 HTTP/1.1"), 405)
bad("9112 3.2.3", "CONNECT over HTTP 1.0", req("CONNECT b.example:443 HTTP/1.0"), 405)
bad("9112 3.2.3", "CONNECT with a body", req("CONNECT b.example:443 HTTP/1.1",
                                             "Content-Length: 5", body="hello"), 405)
for name, target in [("no port", "b.example"), ("an empty port", "b.example:"),
                     ("a port of 65536", "b.example:65536"), ("a path", "/"),
                     ("a URL", "http://b.example:443/"), ("userinfo", "u@b.example:443"),
                     ("an asterisk", "*")]:
    bad("9112 3.2.3", f"CONNECT with {name}", req(f"CONNECT {target} HTTP/1.1"))
bad("9112 3.2.3", "GET with an authority", req("GET b.example:443 HTTP/1.1"))
bad("9112 3.2.3", "GET with a name", req("GET b.example HTTP/1.1"))

told("9112 3.2.4", "OPTIONS of the server", req("OPTIONS * HTTP/1.1"), 204,
     fields={"allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", "content-length": None,
             "transfer-encoding": None})
told("9112 3.2.4", "OPTIONS of a server by its name", req("OPTIONS http://b.example HTTP/1.1"), 204)
told("9112 3.2.4", "OPTIONS of the server with a body",
     req("OPTIONS * HTTP/1.1", "Content-Length: 5", body="hello"), 204)
ok("9112 3.2.4", "OPTIONS of a server by its name and a path goes to the path",
   req("OPTIONS http://b.example/app/x HTTP/1.1"), {"REQUEST_METHOD": "OPTIONS", "SITE": "other"})
for line in ("GET *", "POST *", "options *", "OPTIONS **", "OPTIONS *a", "OPTIONS */"):
    bad("9112 3.2.4", line, req(f"{line} HTTP/1.1"))

# ---- RFC 9112 3.2, RFC 9110 7.2: Host ----

for host in ("localhost:80", "LOCALHOST", "localhost:", "192.0.2.1", "[2001:db8::1]:8080",
             "x%41-_.~", "a.b.c.d.e", "localhost.", "localhost:0080"):
    ok("9110 7.2", f"Host {host}", req("GET /app/x HTTP/1.1", host=host), {"HTTP_HOST": host})
ok("9110 7.2", "Host in upper case", req("GET /app/x HTTP/1.1", "HOST: b.example", host=None),
   {"SITE": "other"})
ok("9110 7.2", "Host behind other fields",
   req("GET /app/x HTTP/1.1", "X-A: b", "Host:b.example", host=None), {"SITE": "other"})
ok("9110 7.2", "Host with tabs around it",
   req("GET /app/x HTTP/1.1", "Host: \tb.example\t ", host=None), {"HTTP_HOST": "b.example"})
ok("9110 7.2", "HTTP 1.0 without Host", req("GET /app/x HTTP/1.0", host=None),
   {"HTTP_HOST": None}, stays=CLOSE)
bad("9112 3.2", "no Host", req(host=None))
bad("9112 3.2", "no Host but a field that looks like it", req("GET / HTTP/1.1", "X-Host: a",
                                                              host=None))
bad("9112 3.2", "two Hosts", req("GET / HTTP/1.1", "Host: b.example"))
bad("9112 3.2", "two Hosts that are the same", req("GET / HTTP/1.1", "Host: localhost"))
bad("9112 3.2", "two Hosts in different case", req("GET / HTTP/1.1", "hOST: localhost"))
bad("9112 3.2", "two Hosts in HTTP 1.0", req("GET / HTTP/1.0", "Host: localhost"))
bad("9112 3.2", "two Hosts and an absolute form",
    req("GET http://localhost/ HTTP/1.1", "Host: localhost"))
bad("9112 3.2", "no Host with a body", req("POST /app/x HTTP/1.1", "Content-Length: 1", host=None,
                                           body="a"))
for name, host in [("nothing in it", ""), ("a list", "a, b"), ("a space", "a b"), ("a path", "a/b"),
                   ("a URL", "http://a"), ("userinfo", "u@a"), ("userinfo and port", "u:p@a:80"),
                   ("a port of letters", "a:b"), ("a negative port", "a:-1"),
                   ("a port of 65536", "a:65536"), ("two ports", "a:1:2"), ("a port alone", ":80"),
                   ("a port with a space", "a: 80"), ("a query", "a?b"), ("a fragment", "a#b"),
                   ("half an encoding", "a%4"), ("a wrong encoding", "a%zz"),
                   ("a byte over 127", "\xc3\xa4"), ("a backslash", "a\\b"), ("brackets", "<a>"),
                   ("quotes", '"a"'), ("half an IPv6 address", "[::1"),
                   ("no IPv6 address", "[a]"), ("a zone", "[fe80::1%25eth0]"),
                   ("text behind an IPv6 address", "[::1]a"), ("an asterisk in brackets", "[*]"),
                   ("a bar", "a|b"), ("a caret", "a^b")]:
    bad("9112 3.2", f"Host with {name}", req(host=host))
bad("9112 3.2", "an invalid Host beside an absolute form",
    req("GET http://localhost/ HTTP/1.1", host="a b"))
bad("9112 3.2", "an invalid Host in HTTP 1.0", req("GET / HTTP/1.0", host="a/b"))

# ---- RFC 9112 5, RFC 9110 5: field lines ----

ok("9112 5", "no space behind the colon", req("GET /app/x HTTP/1.1", "X-A:b"), {"HTTP_X_A": "b"})
ok("9112 5", "white space around a value", req("GET /app/x HTTP/1.1", "X-A: \t b \t"),
   {"HTTP_X_A": "b"})
ok("9112 5", "an empty value", req("GET /app/x HTTP/1.1", "X-A:"), {"HTTP_X_A": ""})
ok("9112 5", "a value of spaces", req("GET /app/x HTTP/1.1", "X-A:   "), {"HTTP_X_A": ""})
ok("9112 5", "a colon in a value", req("GET /app/x HTTP/1.1", "X-A: b:c"), {"HTTP_X_A": "b:c"})
ok("9110 5.1", "the case of a name does not count", req("GET /app/x HTTP/1.1", "x-A: b"),
   {"HTTP_X_A": "b"})
ok("9110 5.3", "a field that comes twice is one list",
   req("GET /app/x HTTP/1.1", "X-A: b", "X-C: d", "x-a: e"), {"HTTP_X_A": "b, e"})
ok("9110 5.5", "bytes over 127 in a value", req("GET /app/x HTTP/1.1", "X-A: \xe4\xff"),
   {"HTTP_X_A": "\xe4\xff"})
ok("9110 5.5", "a tab in a value", req("GET /app/x HTTP/1.1", "X-A: b\tc"), {"HTTP_X_A": "b\tc"})
ok("9110 5.6.2", "every byte that a name may have", req("GET / HTTP/1.1", "!#$%&'*+-.^_`|~0aZ: b"))
for name, line in [("space before the colon", "X : a"), ("tab before the colon", "X\t: a"),
                   ("no colon", "X"), ("an empty name", ": a"), ("a space in a name", "X Y: a"),
                   ("brackets in a name", "X[]: a"), ("a parenthesis in a name", "X(: a"),
                   ("a byte over 127 in a name", "X\x80: a"), ("NUL in a name", "X\0: a"),
                   ("quotes around a name", '"X": a'), ("a slash in a name", "X/Y: a"),
                   ("an at in a name", "X@Y: a"), ("a name of a space", " : a")]:
    bad("9112 5.1", name, req("GET / HTTP/1.1", line))
bad("9112 5.1", "space before the colon of Content-Length",
    post("Content-Length : 5", body="hello"))
bad("9112 5.1", "space before the colon of Transfer-Encoding",
    post("Transfer-Encoding : chunked", body="0\r\n\r\n"))
bad("9112 5.1", "space before the colon of Host", req("GET / HTTP/1.1", "Host : a", host=None))
for name, line in [("by a space", "X: a\r\n b"), ("by a tab", "X: a\r\n\tb"),
                   ("into nothing", "X: a\r\n "), ("after an empty value", "X:\r\n a")]:
    bad("9112 5.2", f"a line folded {name}", req("GET / HTTP/1.1", line))
bad("9112 5.2", "a folded Transfer-Encoding",
    post("Transfer-Encoding:\r\n chunked", body="0\r\n\r\n"))
bad("9112 5.2", "a folded Content-Length", post("Content-Length:\r\n 5", body="hello"))
bad("9112 5.2", "a folded last field", b"GET / HTTP/1.1\r\nHost: localhost\r\n a\r\n\r\n")
for name, value in [("NUL", "a\0b"), ("a NUL at the end", "a\0"), ("a control byte", "a\x01"),
                    ("DEL", "a\x7f"), ("ESC", "\x1b[0m"), ("a backspace", "a\x08b"),
                    ("a vertical tab", "a\vb"), ("a form feed", "\fa")]:
    bad("9110 5.5", f"{name} in a value", req("GET / HTTP/1.1", f"X: {value}"))

# ---- RFC 6585 5: too much of it ----

ok("6585 5", "100 fields", req("GET / HTTP/1.1", *[f"X-{i}: y" for i in range(99)]))
bad("6585 5", "101 fields", req("GET / HTTP/1.1", *[f"X-{i}: y" for i in range(100)]), 431)
bad("6585 5", "HEAD with 101 fields", req("HEAD / HTTP/1.1", *["X: y"] * 100), 431, head=True)
ok("6585 5", "a value of 60000 bytes", req("GET / HTTP/1.1", "X: " + "y" * 60000))
bad("6585 5", "a value of 70000 bytes", req("GET / HTTP/1.1", "X: " + "y" * 70000), 431)
bad("6585 5", "a name of 70000 bytes", req("GET / HTTP/1.1", "X" * 70000 + ": y"), 431)
bad("6585 5", "70000 bytes in many fields",
    req("GET / HTTP/1.1", *[f"X-{i}: " + "y" * 990 for i in range(70)]), 431)
bad("6585 5", "white space without end", req("GET / HTTP/1.1", "X:" + " " * 70000 + "y"), 431)

# ---- RFC 9112 6.2, RFC 9110 8.6: Content-Length ----

ok("9112 6.2", "a length of nothing", post("Content-Length: 0"), {"CONTENT_LENGTH": "0",
                                                                 "stdin": ""})
ok("9112 6.2", "zeros in front", post("Content-Length: 0005", body="hello"),
   {"CONTENT_LENGTH": "5", "stdin": "hello"})
ok("9112 6.2", "white space around it", post("Content-Length: \t5 ", body="hello"),
   {"stdin": "hello"})
ok("9112 6.2", "GET with a body", req("GET /app/x HTTP/1.1", "Content-Length: 2", body="ab"),
   {"stdin": "ab"})
ok("9112 6.2", "DELETE with a body", req("DELETE /app/x HTTP/1.1", "Content-Length: 2", body="ab"),
   {"stdin": "ab"})
ok("9112 6.2", "GET of a page with a body", req("GET / HTTP/1.1", "Content-Length: 2", body="ab"))
ok("9112 6.2", "HTTP 1.0 with a body", post("Content-Length: 2", body="ab", version="HTTP/1.0"),
   {"stdin": "ab"}, stays=CLOSE)
ok("9112 6.2", "a body is not taken for a request",
   post("Content-Length: 18", body="GET / HTTP/1.1\r\n\r\n"), {"CONTENT_LENGTH": "18"})
ok("9112 6.3", "POST without a length has no body", post(), {"CONTENT_LENGTH": None, "stdin": ""})
ok("9112 6.3", "Content_Length is another field",
   post("Content_Length: 5"), {"CONTENT_LENGTH": None, "stdin": ""})
for name, value in [("a list of the same", "5, 5"), ("a list without spaces", "5,5"),
                    ("a list that conflicts", "5, 6"), ("a comma behind it", "5,"),
                    ("a comma before it", ",5"), ("a plus sign", "+5"), ("a minus sign", "-5"),
                    ("minus nothing", "-0"), ("two numbers", "5 5"), ("nothing", ""),
                    ("spaces", "   "), ("hexadecimal", "0x5"), ("letters", "five"),
                    ("a letter behind it", "5a"), ("a fraction", "5.0"), ("an exponent", "5e0"),
                    ("an underscore", "1_0"), ("quotes", '"5"'), ("a parameter", "5;a"),
                    ("an equals sign", "=5"), ("64 bits and one", "18446744073709551621"),
                    ("63 bits and one", "9223372036854775808"),
                    ("a hundred digits", "9" * 100), ("digits of another script", "\xd9\xa5"),
                    ("superscript digits", "\xb2"), ("a fraction bar", "5/1")]:
    bad("9112 6.3", f"a length with {name}", post(f"Content-Length: {value}", body="hello"))
bad("9112 6.3", "the same length twice",
    post("Content-Length: 5", "Content-Length: 5", body="hello"))
bad("9112 6.3", "two lengths", post("Content-Length: 5", "Content-Length: 6", body="hello!"))
bad("9112 6.3", "two lengths of nothing", post("Content-Length: 0", "Content-Length: 0"))
bad("9112 6.3", "two lengths in different case",
    post("Content-Length: 5", "content-length: 0", body="hello"))
bad("9112 6.3", "a length with a NUL", post("Content-Length: 5\0", body="hello"))
bad("9112 6.3", "a bad length in HTTP 1.0", post("Content-Length: 5, 5", body="hello",
                                                 version="HTTP/1.0"))
bad("9112 6.3", "a bad length on GET", req("GET / HTTP/1.1", "Content-Length: x"))
bad("9110 15.5.14", "a length of 63 bits", post("Content-Length: 9223372036854775807"), 413)
told("9110 15.5.14", "a length over body_limit",
     post("Content-Length: 9", path="/limited/x", body="123456789"), 413)
ok("9110 15.5.14", "a length of body_limit", post("Content-Length: 8", path="/limited/x",
                                                  body="12345678"))
bad("9110 15.5.14", "a chunk that would take the body over body_limit",
    post("Transfer-Encoding: chunked", path="/limited/x", body="8\r\n12345678\r\n1\r\n"), 413)
bad("9110 15.5.14", "chunks over body_limit",
    post("Transfer-Encoding: chunked", path="/limited/x", body="9\r\n123456789\r\n"), 413)

# ---- RFC 9112 6.1: Transfer-Encoding ----

LAST = "0\r\n\r\n"
ONE = "5\r\nhello\r\n" + LAST
for value in ("chunked", "Chunked", "CHUNKED", " chunked", "\tchunked\t"):
    ok("9112 6.1", f"Transfer-Encoding {value!r}", post(f"Transfer-Encoding:{value}", body=ONE),
       {"CONTENT_LENGTH": "5", "stdin": "hello", "HTTP_TRANSFER_ENCODING": None})
ok("9112 6.1", "the name in lower case", post("transfer-encoding: chunked", body=ONE),
   {"stdin": "hello"})
ok("9112 6.1", "GET with chunks", req("GET /app/x HTTP/1.1", "Transfer-Encoding: chunked",
                                      body=ONE), {"stdin": "hello"})
ok("9112 6.1", "Transfer_Encoding is another field", post("Transfer_Encoding: chunked"),
   {"stdin": ""})
for value in ("gzip, chunked", "identity, chunked", "x, chunked", "gzip,chunked",
              'x;q="1", chunked', "br , chunked", "gzip, deflate, chunked"):
    bad("9112 6.1", f"a coding nobody knows: {value}", post(f"Transfer-Encoding: {value}",
                                                            body=ONE), 501)
bad("9112 6.1", "a coding nobody knows in a field of its own",
    post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked", body=ONE), 501)
for value in ("gzip", "identity", "xchunked", "chunkedx", "chunked, gzip", "chunked, identity",
              "chunked, chunked", "chunked,chunked", "chunked,", ",chunked", "", ",", " ",
              '"chunked"', "'chunked'", "chunked;", "chunked;a=b", "chunked ; a", "chun ked",
              "chunked chunked", "chunked gzip", "a b, chunked", "=chunked", "chunked=",
              "[chunked]", "\xe9chunked", "chunked\xa0", "chunked/1", "ch\xb5nked", "0, 1",
              "chunked;q=0", "chunked, x;y", "chunked\x85", "none"):
    bad("9112 6.3", f"Transfer-Encoding {value!r}", post(f"Transfer-Encoding: {value}", body=ONE))
for value in ("\vchunked", "\fchunked", "chunked\0", "\x1fchunked", "chun\x7fked"):
    bad("9110 5.5", f"Transfer-Encoding {value!r}", post(f"Transfer-Encoding: {value}", body=ONE))
bad("9112 6.3", "chunked in two fields",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=ONE))
bad("9112 6.3", "chunked and then another field",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=ONE))
bad("9112 6.3", "chunked and then an empty field",
    post("Transfer-Encoding: chunked", "Transfer-Encoding:", body=ONE))
bad("9112 6.3", "chunked with a length",
    post("Transfer-Encoding: chunked", "Content-Length: 5", body=ONE))
bad("9112 6.3", "a length with chunked",
    post("Content-Length: 5", "Transfer-Encoding: chunked", body=ONE))
bad("9112 6.3", "chunked with a length of nothing",
    post("Transfer-Encoding: chunked", "Content-Length: 0", body=ONE))
bad("9112 6.3", "a length with another coding",
    post("Content-Length: 5", "Transfer-Encoding: gzip", body=ONE))
bad("9112 6.3", "a length with a coding that is empty",
    post("Content-Length: 5", "Transfer-Encoding:", body=ONE))
bad("9112 6.3", "nothing is taken for a request behind a length and chunks",
    post("Content-Length: 5", "Transfer-Encoding: chunked", body=LAST) + req())
bad("9112 6.1", "chunked in HTTP 1.0",
    post("Transfer-Encoding: chunked", version="HTTP/1.0", body=ONE))
bad("9112 6.1", "chunked in HTTP 1.0 with keep-alive",
    post("Transfer-Encoding: chunked", "Connection: keep-alive", version="HTTP/1.0", body=ONE))
bad("9112 6.1", "another coding in HTTP 1.0",
    post("Transfer-Encoding: identity", version="HTTP/1.0", body=ONE))
bad("9112 6.1", "a length and chunks in HTTP 1.0",
    post("Transfer-Encoding: chunked", "Content-Length: 5", version="HTTP/1.0", body=ONE))
bad("9112 5.1", "a space before the name of Transfer-Encoding",
    b"POST /app/x HTTP/1.1\r\nHost: localhost\r\n Transfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n")
bad("9112 2.2", "Transfer-Encoding behind a bare CR",
    post("X: y\rTransfer-Encoding: chunked", body=ONE))
bad("9112 2.2", "Transfer-Encoding behind a bare LF",
    post("X: y\nTransfer-Encoding: chunked", body=ONE))

# ---- RFC 9112 7.1: chunks ----

for name, body, data in [
        ("no data", LAST, ""), ("one chunk", ONE, "hello"),
        ("several", "1\r\na\r\n2\r\nbc\r\n" + LAST, "abc"),
        ("hexadecimal in lower case", "a\r\n0123456789\r\n" + LAST, "0123456789"),
        ("hexadecimal in upper case", "A\r\n0123456789\r\n" + LAST, "0123456789"),
        ("zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("16 digits", "0000000000000005\r\nhello\r\n" + LAST, "hello"),
        ("line ends as data", "4\r\n\r\n\r\n\r\n" + LAST, "\r\n\r\n"),
        ("what looks like an end as data", "5\r\n0\r\n\r\n\r\n" + LAST, "0\r\n\r\n")]:
    ok("9112 7.1", f"chunks: {name}", chunked(body), {"CONTENT_LENGTH": str(len(data)),
                                                      "stdin": data})
for name, body in [
        ("0x", "0x5\r\nhello\r\n"), ("x", "x5\r\nhello\r\n"), ("h behind it", "5h\r\nhello\r\n"),
        ("an underscore", "0_5\r\nhello\r\n"), ("a plus sign", "+5\r\nhello\r\n"),
        ("a minus sign", "-5\r\nhello\r\n"), ("minus one", "-1\r\nhello\r\n"),
        ("a space before it", " 5\r\nhello\r\n"), ("a space behind it", "5 \r\nhello\r\n"),
        ("a tab behind it", "5\t\r\nhello\r\n"), ("a space in it", "5 5\r\nhello\r\n"),
        ("no digit", "\r\nhello\r\n"), ("no hexadecimal", "g\r\nhello\r\n"),
        ("a fraction", "5.0\r\nhello\r\n"), ("a comma", "5,5\r\nhello\r\n"),
        ("NUL", "5\0\r\nhello\r\n"), ("quotes", '"5"\r\nhello\r\n'),
        ("17 digits", "00000000000000005\r\nhello\r\n"),
        ("17 digits that overflow", "10000000000000005\r\nhello\r\n"),
        ("64 bits of ones", "ffffffffffffffff\r\nhello\r\n"),
        ("the highest of 64 bits", "8000000000000000\r\nhello\r\n"),
        ("a hundred zeros", "0" * 100 + "\r\n\r\n"),
        ("digits of another script", "\xd9\xa5\r\nhello\r\n"),
        ("a vertical tab", "\v5\r\nhello\r\n"),
        ("a sum over 63 bits", "1\r\na\r\n7fffffffffffffff\r\n")]:
    bad("9112 7.1", f"chunk size with {name}", chunked(body + LAST))
bad("9110 15.5.14", "a chunk of 63 bits", chunked("7fffffffffffffff\r\nhello"), 413)
for name, body in [
        ("bare LF behind a size", "5\nhello\r\n" + LAST),
        ("bare CR behind a size", "5\rhello\r\n" + LAST),
        ("CR CR LF behind a size", "5\r\r\nhello\r\n" + LAST),
        ("bare LF behind data", "5\r\nhello\n" + LAST),
        ("bare CR behind data", "5\r\nhello\r" + LAST),
        ("nothing behind data", "5\r\nhello" + LAST),
        ("more data than said", "5\r\nhello!\r\n" + LAST),
        ("less data than said", "6\r\nhello\r\n" + LAST),
        ("an empty line before a size", "\r\n" + ONE), ("bare LF behind the last size", "0\n\r\n"),
        ("bare LF behind the chunks", "0\r\n\n"), ("CR CR LF behind the chunks", "0\r\n\r\r\n"),
        ("a request in place of a chunk", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a request in place of the end", "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")]:
    bad("9112 7.1", name, chunked(body))
for ext in (";a", ";a=b", ";a=b;c;d=\"e\"", ";a=\"\"", ';a="x;y=\\"z\\\\ \t\x80"', " ; a = b ; c",
            "\t;\ta\t=\t\"b\"", ";f00=1f", ";" + "a" * 8000):
    ok("9112 7.1.1", f"extension {ext[:30]!r}", chunked(f"5{ext}\r\nhello\r\n" + LAST),
       {"stdin": "hello"})
ok("9112 7.1.1", "an extension of the last chunk", chunked("5\r\nhello\r\n0;end=\"1\"\r\n\r\n"),
   {"stdin": "hello"})
for ext in (";", "; ", ";;a", ";a;", ";a ", ";a=", ";a=b ", ";=b", ";a=b=c", ";a b", ";a=b c",
            ";a,b", ';a="b', ';a="b"c', ';a="b\\', ';a="b\0"', ";a\rb", ";a\n", ";\xc3", ";a\0",
            ";a=\x7f", ';a="\r"', ";a[]", ":a", "=a"):
    bad("9112 7.1.1", f"extension {ext!r}", chunked(f"5{ext}\r\nhello\r\n" + LAST))
bad("9112 7.1.1", "an extension of 20000 bytes",
    chunked("5;" + "a" * 20000 + "\r\nhello\r\n" + LAST))
bad("9112 7.1.1", "20000 bytes in small extensions",
    chunked("".join(f"1;{'a' * 99}\r\nx\r\n" for _ in range(200)) + LAST))
for trailer in ("X: a", "X:", "X: \ta \t", "X-A: b\r\nX-C: d", "Content-Length: 5", "Host: a"):
    ok("9112 7.1.2", f"trailer {trailer!r}", chunked(f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n"),
       {"stdin": "hello", "CONTENT_LENGTH": "5", "HTTP_X": None, "HTTP_X_A": None,
        "HTTP_HOST": "localhost"})
for trailer in ("X : a", " X: a", ": a", "X", "X: a\n", "X: a\rb", "X: a\0", "X: a\x7f",
                "X: a\r\n b", "X[]: a", "\xc3: a"):
    bad("9112 7.1.2", f"trailer {trailer!r}", chunked(f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n"))
ok("9112 7.1.2", "100 trailers",
   chunked("5\r\nhello\r\n0\r\n" + "X: y\r\n" * 100 + "\r\n"), {"stdin": "hello"})
bad("9112 7.1.2", "101 trailers", chunked("5\r\nhello\r\n0\r\n" + "X: y\r\n" * 101 + "\r\n"), 431)
bad("9112 7.1.2", "trailers of 20000 bytes",
    chunked("5\r\nhello\r\n0\r\nX: " + "y" * 20000 + "\r\n\r\n"), 431)
ok("9110 6.5", "a trailer is no field",
   chunked("5\r\nhello\r\n0\r\nX-Real-IP: 192.0.2.1\r\nAuthorization: Basic eDp5\r\n\r\n"),
   {"HTTP_X_REAL_IP": None, "HTTP_AUTHORIZATION": None})
ok("9110 6.6.2", "Trailer is not passed on",
   post("Transfer-Encoding: chunked", "Trailer: X", body="0\r\nX: a\r\n\r\n"),
   {"HTTP_TRAILER": None, "HTTP_X": None})
ok("9112 7.4", "TE is not passed on", req("GET /app/x HTTP/1.1", "TE: trailers, gzip;q=0.5",
                                          "Connection: TE"), {"HTTP_TE": None})

# ---- RFC 9112 6.3, 9.3, RFC 9110 9.3: answers and their bodies ----

ok("9110 9.3.2", "HEAD of a page", req("HEAD / HTTP/1.1"), head=True,
   fields={"content-length": "11", "transfer-encoding": None})
ok("9110 9.3.2", "HEAD of an application", req("HEAD /app/x HTTP/1.1"), head=True)
told("9110 9.3.2", "HEAD of nothing", req("HEAD /nowhere HTTP/1.1"), 404, head=True)
ok("9110 9.3.2", "HEAD and HEAD again", req("HEAD / HTTP/1.1") * 2, head=True, answers=(200, 200))
bad("9110 9.3.2", "HEAD that is refused", req("HEAD / HTTP/1.1", "X : y"), head=True)
bad("9110 9.3.2", "HEAD of a version nobody has", req("HEAD / HTTP/2.0"), 505, head=True)
bad("9110 9.3.2", "HEAD with an expectation nobody knows",
    req("HEAD / HTTP/1.1", "Expect: x", "Content-Length: 5"), 417, head=True)
told("9110 9.3.8", "TRACE", req("TRACE / HTTP/1.1"), 405,
     fields={"allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"})
told("9110 9.3.8", "TRACE of an application", req("TRACE /app/x HTTP/1.1"), 405)
told("9110 9.3.8", "TRACE shows nobody's credentials",
     req("TRACE /app/x HTTP/1.1", "Authorization: Basic eDp5", "Max-Forwards: 0"), 405)
told("9110 15.5.6", "POST to a page", post("Content-Length: 5", path="/", body="hello"), 405,
     fields={"allow": "GET, HEAD, OPTIONS"})
told("9110 15.5.6", "a method of its own on a page", req("BREW / HTTP/1.1"), 405,
     fields={"allow": "GET, HEAD, OPTIONS"})
told("9110 9.3.7", "OPTIONS of a page", req("OPTIONS / HTTP/1.1"), 204,
     fields={"allow": "GET, HEAD, OPTIONS"})
told("9110 9.3.7", "OPTIONS of nothing", req("OPTIONS /nowhere HTTP/1.1"), 404)
told("9112 6.3", "204 has no body", req("GET /app/204 HTTP/1.1"), 204,
     fields={"content-length": None, "transfer-encoding": None})
told("9112 6.3", "304 has no body", req("GET /app/304 HTTP/1.1"), 304,
     fields={"transfer-encoding": None})
ok("9112 7.1", "a body of unknown length is chunked", req("GET /app/x HTTP/1.1"),
   fields={"transfer-encoding": "chunked", "content-length": None})
ok("9112 6.1", "no chunks to HTTP 1.0", req("GET /app/x HTTP/1.0"), stays=CLOSE,
   fields={"transfer-encoding": None, "connection": "close"})
ok("9112 6.1", "no chunks to HTTP 1.0 that would stay",
   req("GET /app/x HTTP/1.0", "Connection: keep-alive"), stays=CLOSE,
   fields={"transfer-encoding": None})

# ---- RFC 9112 9: connections ----

ok("9112 9.3", "HTTP 1.1 stays", req() * 3, answers=(200, 200, 200), fields={"connection": None})
ok("9112 9.3", "HTTP 1.0 closes", req("GET / HTTP/1.0"), stays=CLOSE)
ok("9112 9.3", "HTTP 1.0 with keep-alive stays", req("GET / HTTP/1.0", "Connection: keep-alive"),
   fields={"connection": "keep-alive"})
ok("9112 9.3", "HTTP 1.0 with Keep-Alive stays", req("GET / HTTP/1.0", "Connection: Keep-Alive"))
ok("9112 9.3", "HTTP 1.0 twice", req("GET / HTTP/1.0", "Connection: keep-alive") * 2,
   answers=(200, 200))
ok("9112 9.3", "HTTP 1.0 with keep-alive and close",
   req("GET / HTTP/1.0", "Connection: keep-alive, close"), stays=CLOSE)
ok("9112 9.3", "HTTP 1.0 with keep-alive and HEAD",
   req("HEAD /app/x HTTP/1.0", "Connection: keep-alive"), head=True)
ok("9112 9.3", "HTTP 1.0 with keep-alive and a body",
   req("POST /app/len HTTP/1.0", "Connection: keep-alive", "Content-Length: 2", body="ab"))
ok("9112 9.3", "HTTP 1.0 with a Keep-Alive field alone", req("GET / HTTP/1.0", "Keep-Alive: 5"),
   stays=CLOSE)
ok("9112 9.3", "HTTP 1.0 with Proxy-Connection", req("GET / HTTP/1.0",
                                                     "Proxy-Connection: keep-alive"), stays=CLOSE)
for value in ("close", "Close", "CLOSE", "x, close", "close, x", " close ,y", "keep-alive, close",
              "close, keep-alive", ",close", "close,,"):
    ok("9112 9.6", f"Connection {value!r}", req("GET / HTTP/1.1", f"Connection: {value}"),
       stays=CLOSE, fields={"connection": "close"})
ok("9112 9.6", "close in a second field",
   req("GET / HTTP/1.1", "Connection: keep-alive", "Connection: close"), stays=CLOSE)
ok("9112 9.6", "nothing behind close is answered",
   req("GET / HTTP/1.1", "Connection: close") + req(), stays=CLOSE)
for value in ("keep-alive", "closed", "xclose", "", "x", '"close"', "close;a", ","):
    ok("9112 9.3", f"Connection {value!r}", req("GET / HTTP/1.1", f"Connection: {value}"))
ok("9112 9.3", "Proxy-Connection says nothing to us",
   req("GET / HTTP/1.1", "Proxy-Connection: close"))
ok("9110 7.6.1", "Connection is not passed on",
   req("GET /app/x HTTP/1.1", "Connection: X-A, keep-alive", "Keep-Alive: 5",
       "Proxy-Connection: x"),
   {"HTTP_CONNECTION": None, "HTTP_KEEP_ALIVE": None, "HTTP_PROXY_CONNECTION": None})
bad("9112 9.6", "an error says close", req("GET / HTTP/1.1", "X"), fields={"connection": "close"})

ok("9112 9.3.2", "two requests at once", req() + req("GET /app/x HTTP/1.1"), {"PATH_INFO": "/x"},
   answers=(200, 200))
ok("9112 9.3.2", "a slow one before a fast one", req("GET /app/x HTTP/1.1") + req(),
   answers=(200, 200))
ok("9112 9.3.2", "bodies between them",
   (post("Content-Length: 2", body="ab") + chunked(ONE)) * 3,
   {"stdin": "hello"}, answers=(200,) * 6)
ok("9112 9.3.2", "twenty requests", req() * 20, answers=(200,) * 20)
ok("9112 9.3.2", "404 in the middle", req() + req("GET /nowhere HTTP/1.1") + req(),
   answers=(200, 404, 200))
ok("9112 9.3.2", "405 with a body in the middle",
   req() + post("Content-Length: 5", path="/", body="hello") + req(), answers=(200, 405, 200))
ok("9112 9.3.2", "404 with a chunked body in the middle",
   req() + post("Transfer-Encoding: chunked", path="/nowhere", body=ONE), answers=(200, 404),
   stays=None)
bad("9112 9.3.2", "an error first: the rest is not answered", req("GET / HTTP/1.1", "X") + req())
ok("9112 9.3.2", "an error in the middle: what came before it is answered",
   req() + req("GET /app/x HTTP/1.1") + req("GET / HTTP/1.1", "X : y") + req(),
   answers=(200, 200, 400), stays=CLOSE)
ok("9112 9.3.2", "an unknown version in the middle", req() + req("GET / HTTP/2.0") + req(),
   answers=(200, 505), stays=CLOSE)
ok("9112 9.3.2", "a target that is too long in the middle",
   req() + req("GET /" + "x" * 9000 + " HTTP/1.1") + req(), answers=(200, 414), stays=CLOSE)
ok("9112 9.3.2", "too many fields in the middle",
   req() + req("GET / HTTP/1.1", *["X: y"] * 100) + req(), answers=(200, 431), stays=CLOSE)
ok("9112 9.3.2", "no Host in the middle", req() + req(host=None) + req(), answers=(200, 400),
   stays=CLOSE)
ok("9112 9.3.2", "a broken chunk in the middle", req() + chunked("x\r\n") + req(),
   answers=(200, 400), stays=CLOSE)
ok("9112 9.3.2", "an unknown coding in the middle",
   req() + post("Transfer-Encoding: gzip, chunked", body=ONE) + req(), answers=(200, 501),
   stays=CLOSE)
ok("9112 9.3.2", "an unknown expectation in the middle",
   req() + post("Expect: x", "Content-Length: 5", body="hello") + req(), answers=(200, 417),
   stays=CLOSE)
ok("9112 9.3.2", "CONNECT in the middle", req() + req("CONNECT a:1 HTTP/1.1") + req(),
   answers=(200, 405), stays=CLOSE)
ok("9112 9.3.2", "OPTIONS and TRACE in the middle",
   req() + req("OPTIONS * HTTP/1.1") + req("TRACE / HTTP/1.1") + req(),
   answers=(200, 204, 405, 200))
ok("9112 9.3.2", "HTTP 1.0 in the middle ends it", req() + req("GET / HTTP/1.0") + req(),
   answers=(200, 200), stays=CLOSE)

# ---- RFC 9112 8, 9.6: clients that close their side ----

ok("9112 9.6", "half closed behind a request", req("GET /app/x HTTP/1.1"), half=True, stays=CLOSE)
ok("9112 9.6", "half closed behind several", req("GET /app/x HTTP/1.1") * 3 + req(), half=True,
   answers=(200,) * 4, stays=CLOSE)
ok("9112 9.6", "half closed behind a body", post("Content-Length: 5", body="hello"),
   {"stdin": "hello"}, half=True, stays=CLOSE)
ok("9112 9.6", "half closed behind chunks", chunked(ONE), {"stdin": "hello"}, half=True,
   stays=CLOSE)
bad("9112 9.6", "half closed behind an error", req("GET / HTTP/1.1", "X"), half=True)
ok("9112 8", "half closed in a request line", b"GET / HT", half=True, answers=(), stays=CLOSE)
ok("9112 8", "half closed in a head", b"GET / HTTP/1.1\r\nHost: local", half=True, answers=(),
   stays=CLOSE)
ok("9112 8", "half closed before the last byte of a head", req()[:-1], half=True, answers=(),
   stays=CLOSE)
ok("9112 8", "half closed in a second head", req() + b"GET / HTTP/1.1\r\n", half=True,
   answers=(200,), stays=CLOSE)
ok("9112 8", "half closed in a body", post("Content-Length: 50", body="hello"), half=True,
   answers=(), stays=CLOSE)
ok("9112 8", "half closed in a chunk", chunked("5\r\nhel"), half=True, answers=(), stays=CLOSE)
ok("9112 8", "half closed before the last chunk", chunked("5\r\nhello\r\n"), half=True, answers=(),
   stays=CLOSE)
ok("9112 8", "half closed without a byte", b"", half=True, answers=(), stays=CLOSE)
ok("9112 8", "half closed behind an empty line", b"\r\n", half=True, answers=(), stays=CLOSE)

# ---- RFC 9110 10.1.1: Expect ----

for value in ("100-continue", "100-CONTINUE", "100-continue, 100-continue", ",100-continue,"):
    ok("9110 10.1.1", f"Expect {value!r}", post(f"Expect: {value}", "Content-Length: 5",
                                                body="hello"), {"stdin": "hello"})
ok("9110 10.1.1", "Expect with chunks", post("Expect: 100-continue", "Transfer-Encoding: chunked",
                                             body=ONE), {"stdin": "hello"})
ok("9110 10.1.1", "Expect without a body gets no 100",
   req("GET /app/x HTTP/1.1", "Expect: 100-continue"), interim=())
ok("9110 10.1.1", "Expect with a length of nothing gets no 100",
   post("Expect: 100-continue", "Content-Length: 0"), interim=())
ok("9110 10.1.1", "Expect that is empty expects nothing", post("Expect:", "Content-Length: 5",
                                                               body="hello"), interim=())
ok("9110 10.1.1", "no 100 to HTTP 1.0",
   post("Expect: 100-continue", "Content-Length: 5", body="hello", version="HTTP/1.0"),
   {"stdin": "hello"}, interim=(), stays=CLOSE)
ok("9110 10.1.1", "HTTP 1.0 expects nothing", req("GET / HTTP/1.0", "Expect: x"), stays=CLOSE)
ok("9110 10.1.1", "Expect is not passed on", post("Expect: 100-continue", "Content-Length: 1",
                                                  body="a"), {"HTTP_EXPECT": None})
for value in ("200-ok", "x", "100-continue, x", "x, 100-continue", "100-continue;a=b", "100",
              "continue", '"100-continue"', "100-continue 100-continue"):
    bad("9110 10.1.1", f"Expect {value!r}", post(f"Expect: {value}", "Content-Length: 5",
                                                 body="hello"), 417, interim=())
bad("9110 10.1.1", "Expect in two fields", post("Expect: 100-continue", "Expect: x",
                                                "Content-Length: 5", body="hello"), 417)
told("9110 15.5.18", "an unknown expectation without a body",
     req("GET / HTTP/1.1", "Expect: x"), 417)
ROWS.append(Row("9110 10.1.1", "a refusal takes the place of 100",
                post("Expect: 100-continue", "Content-Length: 5", path="/nowhere"), (404,), CLOSE,
                interim=()))
ROWS.append(Row("9110 10.1.1", "too large takes the place of 100",
                post("Expect: 100-continue", "Content-Length: 9", path="/limited/x"), (413,), CLOSE,
                interim=()))

# ---- RFC 9110 7.8: Upgrade, and what came with HTTP/2's own ----

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
ok("9110 7.8", "h2c is not switched to", req("GET /app/x HTTP/1.1", *H2C),
   {"HTTP_UPGRADE": None, "HTTP_HTTP2_SETTINGS": None, "SERVER_PROTOCOL": "HTTP/1.1"},
   fields={"upgrade": None})
ok("9110 7.8", "h2c with a body", post(*H2C, "Content-Length: 5", body="hello"),
   {"stdin": "hello"})
ok("9110 7.8", "h2c in HTTP 1.0", req("GET / HTTP/1.0", *H2C), stays=CLOSE)
ok("9110 7.8", "h2c without its settings", req("GET / HTTP/1.1", "Connection: Upgrade",
                                               "Upgrade: h2c"))
ok("9110 7.8", "settings twice", req("GET / HTTP/1.1", *H2C, "HTTP2-Settings: x"))
ok("9110 7.8", "settings that are none", req("GET / HTTP/1.1", "HTTP2-Settings: *"))
for value in ("websocket", "TLS/1.0", "h2", "HTTP/2.0", "x, y/1", ""):
    ok("9110 7.8", f"Upgrade {value!r} is not switched to",
       req("GET /app/x HTTP/1.1", "Connection: Upgrade", f"Upgrade: {value}"),
       {"HTTP_UPGRADE": None})
ok("9110 7.8", "a websocket's fields reach the application",
   req("GET /app/x HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket",
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
   {"HTTP_SEC_WEBSOCKET_VERSION": "13"})

# ---- RFC 9112 9.3, 9.6: answers before the body was read ----

told("9112 9.3", "a short body that nobody wanted is skipped",
     post("Content-Length: 5", path="/nowhere", body="hello"), 404)
told("9112 9.3", "a body that looks like a request is skipped",
     post(f"Content-Length: {len(req())}", path="/nowhere", body=req().decode()), 404)
told("9112 9.3", "60000 bytes that nobody wanted are skipped",
     post("Content-Length: 60000", path="/nowhere", body="x" * 60000), 404)
bad("9112 9.6", "a long body that nobody wanted ends the connection",
    post("Content-Length: 300000", path="/nowhere", body="x" * 300000), 404)
bad("9112 9.6", "a long body that was not yet sent",
    post("Content-Length: 300000", path="/nowhere"), 404)
bad("9112 9.6", "a head that is refused, and 300000 bytes behind it",
    req("POST / HTTP/1.1", "X", body="x" * 300000))
bad("9112 9.6", "a head that is too large, and 300000 bytes behind it",
    req("GET / HTTP/1.1", "X: " + "y" * 300000), 431)
