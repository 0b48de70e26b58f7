"""RFC 3875 row by row: a request, and what the script is told of it; or what a script says, and
what the client gets.

Each row names the section it stands for.  "web" marks what is in no section but in every server
that scripts were written for (Apache's and nginx's variables), "7231" and the like other RFCs.
In expectations and paths {app} is cgi or fcgi, {place} the test's folder, {port} and {scheme}
those of the connection.
"""
from dataclasses import dataclass, field

BOTH = ("cgi", "fcgi")
CGI = ("cgi",)  # a FastCGI application has no argv and no working directory of ours
ALL = ("h1", "h2")


@dataclass
class Asked:
    """A request to a script that tells what it was given: variables, and beside them the
    ones the script adds: argv (words joined by |), cwd, stdin."""
    section: str
    what: str
    expect: dict = field(default_factory=dict)  # value None: must not be set
    path: str = "/{app}/x"
    method: str = "GET"
    headers: tuple = ()
    body: object = None  # bytes: of known length; list of bytes: of unknown length
    host: str = "localhost"
    protos: tuple = ALL
    apps: tuple = BOTH
    source: str = None  # the client's address


@dataclass
class Said:
    """Bytes that a script writes, and the response to the client.  None: not there."""
    section: str
    what: str
    says: bytes
    status: int = 200
    body: bytes = None  # None: not looked at
    fields: dict = field(default_factory=dict)  # value: str, list of str, or None
    reason: str = None  # of HTTP/1.1
    method: str = "GET"
    protos: tuple = ALL
    apps: tuple = BOTH


TEXT = b"Content-Type: text/plain\n"

ASKED = [
    # ---- 3.3: SCRIPT_NAME and PATH_INFO are the path ----
    Asked("3.3", "script path and extra path make the path",
          {"SCRIPT_NAME": "/{app}/x", "PATH_INFO": "/a b", "QUERY_STRING": "c=d",
           "REQUEST_URI": "/{app}/x/a%20b?c=d"}, "/{app}/x/a%20b?c=d"),
    # ---- 4.1.1, 4.1.11: who the client is, once that was looked at ----
    Asked("4.1.1", "AUTH_TYPE is not set without a check", {"AUTH_TYPE": None}),
    Asked("4.1.1", "AUTH_TYPE is the scheme that was checked", {"AUTH_TYPE": "Basic"},
          "/auth/{app}/x", headers=(("Authorization", "Basic YWxpY2U6c2VjcmV0"),)),
    Asked("4.1.11", "REMOTE_USER is who was let in", {"REMOTE_USER": "alice"},
          "/auth/{app}/x", headers=(("Authorization", "Basic YWxpY2U6c2VjcmV0"),)),
    Asked("4.1.11", "REMOTE_USER is not set from credentials nobody looked at",
          {"REMOTE_USER": None, "AUTH_TYPE": None},
          headers=(("Authorization", "Basic YWxpY2U6c2VjcmV0"),)),
    # ---- 4.1.2, 4.2: the body ----
    Asked("4.1.2", "CONTENT_LENGTH is not set without a body", {"CONTENT_LENGTH": None}),
    Asked("4.1.2", "CONTENT_LENGTH in decimal", {"CONTENT_LENGTH": "3"}, method="POST",
          body=b"abc"),
    Asked("4.1.2", "CONTENT_LENGTH of an empty body", {"CONTENT_LENGTH": "0", "stdin": ""},
          method="POST", body=b""),
    Asked("4.1.2", "CONTENT_LENGTH is true where the client did not say",
          {"CONTENT_LENGTH": "7", "stdin": "one two"}, method="POST", body=[b"one ", b"two"]),
    Asked("4.1.2", "CONTENT_LENGTH of a hundred thousand bytes",
          {"CONTENT_LENGTH": "100000", "stdin": "x" * 100000}, method="PUT",
          body=b"x" * 100000),
    Asked("4.1.2", "CONTENT_LENGTH with transfer coding taken off",
          {"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": None}, method="POST",
          body=[b"hello"], protos=("h1",)),
    Asked("4.2", "the body comes as it was sent", {"stdin": "a\\0A\\0D\\0Ab\\00c\\FFd"},
          method="POST", body=b"a\n\r\nb\0c\xffd"),
    Asked("4.2", "the end of the body is the end of input", {"stdin": "abc"}, method="POST",
          body=b"abc"),
    Asked("4.2", "without a body input is at its end", {"stdin": ""}),
    # ---- 4.1.3 ----
    Asked("4.1.3", "CONTENT_TYPE as the client sent it",
          {"CONTENT_TYPE": 'multipart/form-data; boundary="a;b"', "HTTP_CONTENT_TYPE": None},
          method="POST", body=b"x",
          headers=(("Content-Type", 'multipart/form-data; boundary="a;b"'),)),
    Asked("4.1.3", "CONTENT_TYPE is not made up", {"CONTENT_TYPE": None}, method="POST",
          body=b"x"),
    Asked("4.1.3", "CONTENT_TYPE of types nobody knows", {"CONTENT_TYPE": "x-own/y"},
          method="POST", body=b"x", headers=(("content-TYPE", "x-own/y"),)),
    # ---- 4.1.4 ----
    Asked("4.1.4", "GATEWAY_INTERFACE", {"GATEWAY_INTERFACE": "CGI/1.1"}),
    # ---- 4.1.5 ----
    Asked("4.1.5", "PATH_INFO is not set where nothing follows", {"PATH_INFO": None}),
    Asked("4.1.5", "PATH_INFO of a slash", {"PATH_INFO": "/"}, "/{app}/x/"),
    Asked("4.1.5", "PATH_INFO of several segments", {"PATH_INFO": "/a/b"}, "/{app}/x/a/b"),
    Asked("4.1.5", "PATH_INFO is decoded", {"PATH_INFO": "/a b+c%"},
          "/{app}/x/%61%20b+c%25"),
    Asked("4.1.5", "PATH_INFO with a slash that was encoded", {"PATH_INFO": "/a/b"},
          "/{app}/x/a%2Fb"),
    Asked("4.1.5", "PATH_INFO with a question mark that was encoded",
          {"PATH_INFO": "/a?b", "QUERY_STRING": "c"}, "/{app}/x/a%3Fb?c"),
    Asked("4.1.5", "PATH_INFO in UTF-8", {"PATH_INFO": "/J\\C3\\B6rg"}, "/{app}/x/J%C3%B6rg"),
    Asked("4.1.5", "PATH_INFO keeps parameters", {"PATH_INFO": "/a;v=1,2"},
          "/{app}/x/a;v=1,2"),
    Asked("4.1.5", "PATH_INFO keeps empty segments", {"PATH_INFO": "/a//b"},
          "/{app}/x/a//b"),
    Asked("4.1.5", "PATH_INFO without dot segments", {"PATH_INFO": "/b"},
          "/{app}/x/a/../b"),
    # ---- 4.1.6 ----
    Asked("4.1.6", "PATH_TRANSLATED is not set without PATH_INFO", {"PATH_TRANSLATED": None}),
    Asked("4.1.6", "PATH_TRANSLATED is PATH_INFO as a path of the site",
          {"PATH_TRANSLATED": "{place}/public/a b"}, "/{app}/x/a%20b"),
    # ---- 4.1.7 ----
    Asked("4.1.7", "QUERY_STRING is always there", {"QUERY_STRING": ""}),
    Asked("4.1.7", "QUERY_STRING of a bare question mark", {"QUERY_STRING": ""}, "/{app}/x?"),
    Asked("4.1.7", "QUERY_STRING is not decoded",
          {"QUERY_STRING": "a=%41&b[]=1;c+d=%20"}, "/{app}/x?a=%41&b[]=1;c+d=%20"),
    Asked("4.1.7", "QUERY_STRING with another question mark", {"QUERY_STRING": "a?b=c?"},
          "/{app}/x?a?b=c?"),
    # ---- 4.1.8 to 4.1.10 ----
    Asked("4.1.8", "REMOTE_ADDR is the client's", {"REMOTE_ADDR": "127.0.0.9"},
          source="127.0.0.9"),
    Asked("4.1.8", "REMOTE_ADDR is not what the client claims", {"REMOTE_ADDR": "127.0.0.1"},
          headers=(("X-Forwarded-For", "192.0.2.1"), ("Remote-Addr", "192.0.2.1"))),
    Asked("4.1.9", "REMOTE_HOST is the address: names are not looked up",
          {"REMOTE_HOST": "127.0.0.1"}),
    Asked("4.1.10", "REMOTE_IDENT is not set: nobody is asked", {"REMOTE_IDENT": None}),
    # ---- 4.1.12, 4.3 ----
    Asked("4.3.1", "GET", {"REQUEST_METHOD": "GET", "stdin": ""}),
    Asked("4.3.2", "POST", {"REQUEST_METHOD": "POST", "stdin": "a=b"}, method="POST",
          body=b"a=b"),
    Asked("4.3.4", "PUT", {"REQUEST_METHOD": "PUT", "stdin": "data"}, method="PUT",
          body=b"data"),
    Asked("4.3.4", "DELETE", {"REQUEST_METHOD": "DELETE"}, method="DELETE"),
    Asked("4.3.4", "OPTIONS", {"REQUEST_METHOD": "OPTIONS"}, method="OPTIONS"),
    Asked("4.3.4", "PROPFIND", {"REQUEST_METHOD": "PROPFIND", "stdin": "<x/>"},
          method="PROPFIND", body=b"<x/>"),
    Asked("4.1.12", "a method that nobody knows", {"REQUEST_METHOD": "BREW-IT"},
          method="BREW-IT"),
    Asked("4.1.12", "the method's case counts", {"REQUEST_METHOD": "get"}, method="get"),
    # ---- 4.1.13 ----
    Asked("4.1.13", "SCRIPT_NAME names the script", {"SCRIPT_NAME": "/{app}/x"},
          "/{app}/x/info"),
    Asked("4.1.13", "SCRIPT_NAME of a script in a folder",
          {"SCRIPT_NAME": "/{app}/dir/deep", "PATH_INFO": "/more"}, "/{app}/dir/deep/more"),
    Asked("4.1.13", "SCRIPT_NAME is decoded",
          {"SCRIPT_NAME": "/{app}/two words", "PATH_INFO": None}, "/{app}/two%20words"),
    Asked("4.1.13", "SCRIPT_NAME of one program for all below a path",
          {"SCRIPT_NAME": "/one/{app}", "PATH_INFO": "/and/more"}, "/one/{app}/and/more"),
    # ---- 4.1.14, 4.1.15 ----
    Asked("4.1.14", "SERVER_NAME is the host that was asked for",
          {"SERVER_NAME": "localhost", "HTTP_HOST": "localhost:99"}, host="localhost:99"),
    Asked("4.1.14", "SERVER_NAME of an IPv6 address keeps its brackets",
          {"SERVER_NAME": "[::1]", "HTTP_HOST": "[::1]:99"}, host="[::1]:99"),
    Asked("4.1.15", "SERVER_PORT is that of the connection", {"SERVER_PORT": "{port}"},
          host="localhost:99"),
    # ---- 4.1.16, 4.1.17 ----
    Asked("4.1.16", "SERVER_PROTOCOL of HTTP/1.1", {"SERVER_PROTOCOL": "HTTP/1.1"},
          protos=("h1", "h1s")),
    Asked("4.1.16", "SERVER_PROTOCOL of HTTP/2, with a minor number",
          {"SERVER_PROTOCOL": "HTTP/2.0"}, protos=("h2", "h2c")),
    Asked("4.1.17", "SERVER_SOFTWARE names us", {"SERVER_SOFTWARE": "h2cgi/{version}"}),
    # ---- 4.1.18 ----
    Asked("4.1.18", "fields become HTTP_NAME", {"HTTP_X_MINE_2": "v"},
          headers=(("X-Mine-2", "v"),)),
    Asked("4.1.18", "repeated fields are joined", {"HTTP_X_LIST": "a, b, c"},
          headers=(("X-List", "a"), ("x-list", "b"), ("X-LIST", "c"))),
    Asked("4.1.18", "an empty value among them", {"HTTP_X_LIST": "a, , c"},
          headers=(("X-List", "a"), ("X-List", ""), ("X-List", "c"))),
    Asked("4.1.18", "Cookie is joined as cookies are (RFC 9113 8.2.3)",
          {"HTTP_COOKIE": "a=1; b=2"}, headers=(("Cookie", "a=1"), ("Cookie", "b=2"))),
    Asked("4.1.18", "values without the space around them", {"HTTP_X_MINE": "a  b"},
          headers=(("X-Mine", "  a  b\t "),), protos=("h1",)),
    Asked("4.1.18", "an empty value", {"HTTP_X_MINE": ""}, headers=(("X-Mine", ""),)),
    Asked("4.1.18", "bytes beyond ASCII", {"HTTP_X_MINE": "J\\F6rg"},
          headers=(("X-Mine", "J\xf6rg"),), protos=("h1",)),
    Asked("4.1.18", "a_b does not come in the way of a-b", {"HTTP_X_USER": "proxy"},
          headers=(("X-User", "proxy"), ("X_User", "client"))),
    Asked("4.1.18", "a_b alone is nothing", {"HTTP_X_USER": None},
          headers=(("X_User", "client"),)),
    Asked("4.1.18", "nor is a.b", {"HTTP_X_USER": None, "HTTP_X.USER": None},
          headers=(("X.User", "client"),)),
    Asked("4.1.18", "Proxy is not passed on (CVE-2016-5385)", {"HTTP_PROXY": None},
          headers=(("Proxy", "http://evil.example:8080"),)),
    Asked("4.1.18", "HTTP_HOST has the port", {"HTTP_HOST": "localhost:8443"},
          host="localhost:8443"),
    Asked("4.1.18", "Content-Length and Content-Type have names of their own",
          {"HTTP_CONTENT_LENGTH": None, "HTTP_CONTENT_TYPE": None, "CONTENT_LENGTH": "1",
           "CONTENT_TYPE": "a/b"}, method="POST", body=b"x",
          headers=(("Content-Type", "a/b"),)),
    Asked("4.1.18", "what is of the connection stays there",
          {"HTTP_CONNECTION": None, "HTTP_KEEP_ALIVE": None, "HTTP_TE": None,
           "HTTP_UPGRADE": None, "HTTP_HTTP2_SETTINGS": None, "HTTP_PROXY_CONNECTION": None},
          headers=(("Connection", "TE, Upgrade, HTTP2-Settings"), ("Keep-Alive", "timeout=5"),
                   ("TE", "trailers"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"),
                   ("Proxy-Connection", "keep-alive")), protos=("h1",)),
    Asked("4.1.18", "Expect was ours to answer", {"HTTP_EXPECT": None}, method="POST",
          body=b"x", headers=(("Expect", "100-continue"),)),
    Asked("4.1.18", "what is asked under conditions",
          {"HTTP_IF_NONE_MATCH": '"a"', "HTTP_IF_MODIFIED_SINCE": "Sat, 01 Jan 2000 00:00:00 GMT",
           "HTTP_RANGE": "bytes=0-1", "HTTP_CACHE_CONTROL": "no-cache"},
          headers=(("If-None-Match", '"a"'), ("Range", "bytes=0-1"),
                   ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
                   ("Cache-Control", "no-cache"))),
    Asked("4.1.18", "what is accepted, and how the body is coded",
          {"HTTP_ACCEPT": "a/b;q=0.5, */*", "HTTP_ACCEPT_ENCODING": "gzip, br",
           "HTTP_ACCEPT_LANGUAGE": "de", "HTTP_USER_AGENT": "x/1 (y)",
           "HTTP_REFERER": "http://a.example/?b", "HTTP_CONTENT_ENCODING": "gzip",
           "stdin": "\\1F\\8B"}, method="POST", body=b"\x1f\x8b",
          headers=(("Accept", "a/b;q=0.5, */*"), ("Accept-Encoding", "gzip, br"),
                   ("Accept-Language", "de"), ("User-Agent", "x/1 (y)"),
                   ("Referer", "http://a.example/?b"), ("Content-Encoding", "gzip"))),
    # ---- 4.4, 7.2: the command line, and where a script runs ----
    Asked("4.4", "search words are arguments", {"argv": "one|two"}, "/{app}/x?one+two",
          apps=CGI),
    Asked("4.4", "they are decoded", {"argv": "a b|A=1"}, "/{app}/x?a%20b+A%3D1", apps=CGI),
    Asked("4.4", "a query with an equals sign has none", {"argv": ""}, "/{app}/x?a=b+c",
          apps=CGI),
    Asked("4.4", "nor has POST", {"argv": ""}, "/{app}/x?one", method="POST", body=b"",
          apps=CGI),
    Asked("4.4", "none that a program takes for an option (CVE-2012-1823)", {"argv": ""},
          "/{app}/x?-d+x", apps=CGI),
    Asked("4.4", "nor if it was encoded", {"argv": ""}, "/{app}/x?%2Dd", apps=CGI),
    Asked("7.2", "a script runs in its folder", {"cwd": "{place}/cgi"}, apps=CGI),
    Asked("7.2", "also in a folder below", {"cwd": "{place}/cgi/dir"}, "/{app}/dir/deep",
          apps=CGI),
    Asked("7.2", "a script has a PATH", {"PATH": "/usr/local/bin:/usr/bin:/bin"}, apps=CGI),
    # ---- 9 ----
    Asked("9.2", "credentials that we checked stay with us", {"HTTP_AUTHORIZATION": None},
          "/auth/{app}/x", headers=(("Authorization", "Basic YWxpY2U6c2VjcmV0"),)),
    Asked("9.2", "those nobody checked are the script's to check",
          {"HTTP_AUTHORIZATION": "Bearer abc"}, headers=(("Authorization", "Bearer abc"),)),
    Asked("9.2", "those for a proxy are for no script", {"HTTP_PROXY_AUTHORIZATION": None},
          headers=(("Proxy-Authorization", "Basic YWxpY2U6c2VjcmV0"),)),
    Asked("9.8", "no relative path leads out of the scripts' folder",
          {"SCRIPT_NAME": "/{app}/x", "SCRIPT_FILENAME": "{place}/cgi/x"},
          "/{app}/dir/../x"),
    # ---- Apache's and nginx's ----
    Asked("web", "REQUEST_URI is as it was sent", {"REQUEST_URI": "/{app}/x/%61?b=%20"},
          "/{app}/x/%61?b=%20"),
    Asked("web", "DOCUMENT_URI is the path, decoded", {"DOCUMENT_URI": "/{app}/x/a b"},
          "/{app}/x/%61%20b?c"),
    Asked("web", "DOCUMENT_ROOT and SCRIPT_FILENAME",
          {"DOCUMENT_ROOT": "{place}/cgi", "SCRIPT_FILENAME": "{place}/cgi/x"}),
    Asked("web", "SERVER_ADDR and REMOTE_PORT",
          {"SERVER_ADDR": "127.0.0.1", "REMOTE_PORT": "{peer_port}"}),
    Asked("web", "REDIRECT_STATUS, without which php-cgi does nothing",
          {"REDIRECT_STATUS": "200"}),
    Asked("web", "HTTPS is on under TLS", {"HTTPS": "on", "REQUEST_SCHEME": "https"},
          protos=("h1s", "h2")),
    Asked("web", "HTTPS is not set without", {"HTTPS": None, "REQUEST_SCHEME": "http"},
          protos=("h1", "h2c")),
    Asked("web", "HTTPS is not what the client claims", {"HTTPS": None, "HTTP_HTTPS": "on"},
          headers=(("Https", "on"), ("X-Forwarded-Proto", "https")), protos=("h1", "h2c")),
    Asked("web", "SSL_ variables tell of the handshake",
          {"SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "{cipher}", "SSL_TLS_SNI": "localhost",
           "SSL_CIPHER_USEKEYSIZE": "{bits}", "SSL_CIPHER_ALGKEYSIZE": "{bits}"},
          protos=("h1s", "h2")),
    Asked("web", "and are not set without TLS",
          {"SSL_PROTOCOL": None, "SSL_CIPHER": None, "SSL_TLS_SNI": None,
           "SSL_CIPHER_USEKEYSIZE": None, "SSL_CIPHER_ALGKEYSIZE": None},
          protos=("h1", "h2c")),
    Asked("web", "no field of the client makes one", {"SSL_CLIENT_VERIFY": None},
          headers=(("SSL_CLIENT_VERIFY", "SUCCESS"),)),
    Asked("web", "the route's own variables win", {"SERVER_NAME": "set.example",
                                                   "HTTP_X_SET": "by the route"},
          "/set/{app}/x", headers=(("X-Set", "by the client"),)),
]

# Paths that reach no script: section, what, path, status.
REFUSED = [
    ("4.1.5", "a NUL", "/{app}/x/a%00b", 400),
    ("4.1.5", "half an escape", "/{app}/x/a%4", 400),
    ("9.8", "a path above the root", "/{app}/../../etc/passwd", 400),
    ("3.2", "a script that is not there", "/{app}/missing", 404),
    ("3.2", "a file that is no program", "/cgi/plain.txt", 403),
]

SAID = [
    # ---- 6.1, 6.2 ----
    Said("6.1", "the body is sent as it is", TEXT + b"\n" + bytes(range(256)),
         body=bytes(range(256))),
    Said("6.1", "a body that looks like a head", TEXT + b"\nStatus: 404\n\n",
         body=b"Status: 404\n\n"),
    Said("6.2", "no field at all", b"\nhello", 502),
    Said("6.2", "no head at all", b"<html>hello</html>\n", 502),
    Said("6.2", "a head that does not end", TEXT, 502),
    Said("6.2", "nothing", b"", 502),
    Said("6.2.1", "a document", TEXT + b"\nhello", 200, b"hello",
         {"content-type": "text/plain", "status": None}, "OK"),
    Said("6.2.1", "an empty document", TEXT + b"\n", 200, b""),
    Said("6.2.2", "a local redirect is run again", b"Location: /{app}/x/from?a=b\n\n", 200,
         fields={"location": None, "x-asked": "GET /{app}/x/from?a=b"}),
    Said("6.2.2", "a local redirect of a POST is a GET", b"Location: /{app}/x/p\n\n", 200,
         fields={"x-asked": "GET /{app}/x/p"}, method="POST"),
    Said("6.2.2", "a local redirect to a file", b"Location: /page.txt\n\n", 200, b"a page\n"),
    Said("6.2.2", "a local redirect to nothing", b"Location: /none\n\n", 404),
    Said("6.2.3", "a client redirect", b"Location: https://b.example/c?d#e\n\n", 302, b"",
         {"location": "https://b.example/c?d#e"}),
    Said("6.2.3", "of any scheme", b"Location: ftp://b.example/\n\n", 302,
         fields={"location": "ftp://b.example/"}),
    Said("6.2.3", "//host is another host", b"Location: //b.example/c\n\n", 302,
         fields={"location": "//b.example/c"}),
    Said("6.2.4", "a client redirect with a document",
         b"Status: 301 Gone there\nLocation: /page.txt\n" + TEXT + b"\nthere", 301, b"there",
         {"location": "/page.txt", "content-type": "text/plain"}, "Gone there"),
    Said("6.2.4", "303 after a form", b"Status: 303\nLocation: /page.txt\n\n", 303, b"",
         {"location": "/page.txt"}, method="POST"),
    # ---- 6.3 ----
    Said("6.3", "names in any case", b"STATUS: 404\ncontent-TYPE: text/plain\n\nx", 404, b"x",
         {"content-type": "text/plain"}),
    Said("6.3", "lines end in CR LF", b"Status: 404\r\nContent-Type: a/b\r\n\r\nx", 404, b"x",
         {"content-type": "a/b"}),
    Said("6.3", "in both", b"Status: 404\r\nX-A: b\n\r\nx", 404, b"x", {"x-a": "b"}),
    Said("6.3", "no space, or much of it", b"X-A:b\nX-C: \t d \n" + TEXT + b"\nx",
         fields={"x-a": "b", "x-c": "d"}),
    Said("6.3", "an empty value", b"X-A:\n" + TEXT + b"\nx", fields={"x-a": ""}),
    Said("6.3", "a space in front of the colon", b"X-A : b\n\nx", 502),
    Said("6.3", "a line without a colon", b"X-A\n\nx", 502),
    Said("6.3", "a line that goes on in the next", b"X-A: b\n c\n\nx", 502),
    Said("6.3", "a name that is none", b"X A: b\n\nx", 502),
    Said("6.3", "a NUL", b"X-A: b\0c\n\nx", 502),
    Said("6.3.1", "Content-Type with its parameters",
         b'Content-Type: text/x; charset="utf-8"\n\nx', fields={
             "content-type": 'text/x; charset="utf-8"'}),
    Said("6.3.1", "Content-Type is not made up", b"X-A: b\n\n<html>", 200, b"<html>",
         {"content-type": None}),
    Said("6.3.2", "of two Locations the first counts",
         b"Location: http://a.example/\nLocation: http://b.example/\n\n", 302),
    Said("6.3.2", "an empty Location is none", b"Location:\n" + TEXT + b"\nx", 200, b"x"),
    Said("6.3.3", "Status with a reason", b"Status: 404 Not here\n" + TEXT + b"\nx", 404, b"x",
         {"status": None}, "Not here"),
    Said("6.3.3", "Status without", b"Status: 404\n" + TEXT + b"\nx", 404, b"x", {},
         "Not Found"),
    Said("6.3.3", "Status behind other fields", TEXT + b"Status: 410 Gone\n\nx", 410, b"x"),
    Said("6.3.3", "a status that nobody knows", b"Status: 599 Own\n" + TEXT + b"\nx", 599,
         b"x", {}, "Own"),
    Said("6.3.3", "a status of two digits", b"Status: 20\n\nx", 502),
    Said("6.3.3", "a status of four", b"Status: 2000\n\nx", 502),
    Said("6.3.3", "a status that is a word", b"Status: OK\n\nx", 502),
    Said("6.3.3", "304 has no body", b'Status: 304\nETag: "a"\n\n', 304, b"", {"etag": '"a"'}),
    Said("6.3.3", "204 neither", b"Status: 204 No Content\n\n", 204, b"",
         {"content-length": None}),
    Said("6.3.3", "401 with what it asks for",
         b'Status: 401 Who\nWWW-Authenticate: Own realm="a"\n' + TEXT + b"\nx", 401, b"x",
         {"www-authenticate": 'Own realm="a"'}),
    Said("6.3.4", "other fields as they are",
         b'ETag: "a"\nCache-Control: no-store\nX-Own-1: b, c\n' + TEXT + b"\nx",
         fields={"etag": '"a"', "cache-control": "no-store", "x-own-1": "b, c"}),
    Said("6.3.4", "Set-Cookie several times",
         b"Set-Cookie: a=1; Path=/\nSet-Cookie: b=2\n" + TEXT + b"\nx",
         fields={"set-cookie": ["a=1; Path=/", "b=2"]}),
    Said("6.3.4", "Content-Length is kept", b"Content-Length: 5\n" + TEXT + b"\nhello", 200,
         b"hello", {"content-length": "5", "transfer-encoding": None}),
    Said("6.3.4", "what is more than that is cut", b"Content-Length: 3\n" + TEXT + b"\nhello",
         200, b"hel", {"content-length": "3"}),
    Said("6.3.4", "two lengths that differ",
         b"Content-Length: 3\nContent-Length: 4\n" + TEXT + b"\nhello", 502),
    Said("6.3.4", "its own Date is the only one",
         b"Date: Sat, 01 Jan 2000 00:00:00 GMT\n" + TEXT + b"\nx",
         fields={"date": ["Sat, 01 Jan 2000 00:00:00 GMT"]}),
    Said("6.3.4", "its own Server too", b"Server: own/1\n" + TEXT + b"\nx",
         fields={"server": ["own/1"]}),
    Said("6.3.4", "nothing about the connection",
         b"Connection: close, X-Hop\nX-Hop: a\nKeep-Alive: timeout=1\nUpgrade: x\n"
         b"Transfer-Encoding: chunked\nProxy-Connection: close\n" + TEXT + b"\nhello", 200,
         b"hello", {"keep-alive": None, "upgrade": None, "proxy-connection": None}),
    Said("6.3.4", "HTTP/2 has no such field at all",
         b"Connection: close\nTransfer-Encoding: chunked\n" + TEXT + b"\nhello", 200, b"hello",
         {"connection": None, "transfer-encoding": None}, protos=("h2", "h2c")),
    Said("6.3.5", "extension fields of a local redirect are no document",
         b"X-CGI-Own: a\nLocation: /page.txt\n\n", 200, b"a page\n"),
    # ---- 4.3.3: HEAD ----
    Said("4.3.3", "the body of a HEAD stays here", TEXT + b"\nhello", 200, b"",
         {"content-type": "text/plain"}, method="HEAD"),
    Said("4.3.3", "its length may be told", b"Content-Length: 5\n" + TEXT + b"\n", 200, b"",
         {"content-length": "5"}, method="HEAD"),
    # ---- 5: output that is not parsed ----
    Said("5", "a status line", b"HTTP/1.1 299 Own words\r\nX-A: b\r\n\r\nraw", 299, b"raw",
         {"x-a": "b"}, "Own words"),
    Said("5", "of HTTP/1.0", b"HTTP/1.0 404 Not here\nX-A: b\n\nraw", 404, b"raw", {"x-a": "b"},
         "Not here"),
    Said("5", "cookies stay apart",
         b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nraw", 200, b"raw",
         {"set-cookie": ["a=1", "b=2"], "status": None}),
    Said("9.9", "it cannot spoil the connection",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nraw", 200,
         b"raw", {"transfer-encoding": None, "content-length": "3"}),
    Said("9.9", "nor be a status that is none", b"HTTP/1.1 20 OK\r\n\r\nraw", 502),
]
