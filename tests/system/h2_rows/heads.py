"""RFC 9113 8: requests that are malformed are reset, and no page tells why."""
from h2_rows.row import *  # noqa: F403


def bad(section, name, fields, end=True, on=("h2c",)):
    return Row(section, name, headers(1, fields, end=end), Reset(1, PROTOCOL_ERROR), on=on)


def good(section, name, fields, on=("h2c",), status=200):
    return Row(section, name, headers(1, fields), Answer(1, status), on=on)


def body(section, name, length, *parts, outcome=None):
    """A POST that announces lengths, and brings parts, the last of which ends it."""
    lengths = [("content-length", n) for n in ([length] if isinstance(length, str) else length)]
    frames = [data(1, part) for part in parts[:-1]] + [data(1, part, end=True)
                                                        for part in parts[-1:]]
    total = sum(map(len, parts))
    return Row(section, name, headers(1, post(*lengths), end=False) + b"".join(frames),
               outcome or Answer(1, body=b"POST %d" % total), asked=0 if outcome else None)


RESET = Reset(1, PROTOCOL_ERROR)

NAMES = [
    bad("8.2", "upper_case", get(("X-Upper", "1")), on=BOTH),
    bad("8.2", "upper_case_last", get(("x-uppeR", "1"))),
    bad("8.2", "upper_case_pseudo", [(":Method", "GET"), *request(without=("method",))]),
    bad("8.2.1", "name_empty", get(("", "1")), on=BOTH),
    *(bad("8.2.1", f"name_{byte:02x}", get((b"x" + bytes([byte]) + b"y", "1")),
          on=BOTH if byte in (0, 10) else ("h2c",))
      for byte in (0, 1, 9, 10, 13, 0x20, 0x22, 0x28, 0x2c, 0x2f, 0x3a, 0x3b, 0x40, 0x5b, 0x7b,
                   0x7f, 0x80, 0xff)),
    bad("8.2.1", "name_space_first", get((" x", "1"))),
    bad("8.2.1", "name_space_last", get(("x ", "1"))),
    bad("8.2.1", "name_colon_last", get(("x:", "1"))),
    good("8.2.1", "name_tokens", get(("!#$%&'*+-.^_`|~09az", "1"))),
    good("8.2.1", "name_long", get(("x" * 8000, "1"))),
]

VALUES = [
    *(bad("8.2.1", f"value_{byte:02x}", get(("x", b"a" + bytes([byte]) + b"b")),
          on=BOTH if byte in (0, 10) else ("h2c",)) for byte in (0, 10, 13)),
    *(bad("8.2.1", f"value_first_{name}", get(("x", start + "a")))
      for name, start in (("space", " "), ("tab", "\t"))),
    *(bad("8.2.1", f"value_last_{name}", get(("x", "a" + end)))
      for name, end in (("space", " "), ("tab", "\t"))),
    bad("8.2.1", "value_space", get(("x", " "))),
    bad("8.2.1", "value_crlf", get(("x", "a\r\nX-Y: b"))),
    bad("8.2.1", "value_nul_cookie", get(("cookie", "a\0b"))),
    bad("8.2.1", "value_lf_trailer_like", get(("te", "trailers\n"))),
    *(bad("8.2.1", f"value_ctl_{byte:02x}", get(("x", b"a" + bytes([byte]))))
      for byte in (1, 0x1f, 0x7f)),  # RFC 9110 5.5
    good("8.2.1", "value_empty", get(("x", ""))),
    good("8.2.1", "value_inside", get(("x", "a \t b"))),
    good("8.2.1", "value_high", get(("x", b"\x80\xff\xc3\xa4"))),
]

CONNECTION = [
    *(bad("8.2.2", f"field_{name.replace('-', '_')}", get((name, value)),
          on=BOTH if name in ("connection", "transfer-encoding") else ("h2c",))
      for name, value in (("connection", "keep-alive"), ("connection", ""), ("keep-alive", "5"),
                          ("proxy-connection", "close"), ("transfer-encoding", "chunked"),
                          ("upgrade", "h2c"))[0::1] if (name, value) != ("connection", "")),
    bad("8.2.2", "field_connection_empty", get(("connection", ""))),
    bad("8.2.2", "field_te_identity", post(("transfer-encoding", "identity"))),
    bad("8.2.2", "te_gzip", get(("te", "gzip")), on=BOTH),
    bad("8.2.2", "te_both", get(("te", "trailers, gzip"))),
    bad("8.2.2", "te_quality", get(("te", "trailers;q=0.5"))),
    bad("8.2.2", "te_empty", get(("te", ""))),
    bad("8.2.2", "te_second", get(("te", "trailers"), ("te", "gzip"))),
    good("8.2.2", "te_trailers", get(("te", "trailers")), on=BOTH),
    good("8.2.2", "te_case", get(("te", "Trailers"))),
    good("8.2.2", "http2_settings", get(("http2-settings", "AAAA"))),
]

CRUMBS = [
    good("8.2.3", "crumbs", get(("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")), on=BOTH),
    good("8.2.3", "crumb_empty", get(("cookie", ""), ("cookie", "b=2"))),
    good("8.2.3", "crumbs_many", get(*[("cookie", "a=1")] * 300)),
]

PSEUDO = [
    bad("8.3", "pseudo_behind_field", [("x", "y"), *get()], on=BOTH),
    bad("8.3", "pseudo_last", [*request(without=("path",)), ("x", "y"), (":path", APP)]),
    bad("8.3", "pseudo_unknown", [(":own", "1"), *get()], on=BOTH),
    bad("8.3", "pseudo_empty", [(":", "1"), *get()]),
    bad("8.3", "pseudo_behind_cookie", [("cookie", "a"), *get()]),
    bad("8.3", "status_in_request", [(":status", "200"), *get()], on=BOTH),
    bad("8.3", "status_alone", [(":status", "200")]),
    bad("8441 4", "protocol_not_enabled", request("CONNECT", APP, protocol="websocket")),
    *(bad("8.3", f"two_{name}s", [*request(), (f":{name}", value)], on=BOTH if name == "path"
          else ("h2c",)) for name, value in (
              ("method", "GET"), ("scheme", "https"), ("authority", "localhost"), ("path", APP))),
    *(bad("8.3.1", f"no_{name}", request(without=(name,)), on=BOTH)
      for name in ("method", "scheme", "path")),
    bad("8.3.1", "no_pseudo", [("x", "y")]),
    bad("8.3.1", "no_authority_no_host", request(without=("authority",)), on=BOTH),
    good("8.3.1", "no_authority_host", request("GET", APP, ("host", "localhost"),
                                               without=("authority",)), on=BOTH),
    good("8.3.1", "any_order", request()[::-1], on=BOTH),
    bad("8.3.1", "method_empty", request("")),
    *(bad("8.3.1", f"method_{byte:02x}", request(b"G" + bytes([byte]) + b"T"))
      for byte in (0, 0x0a, 0x0d, 0x20, 0x22, 0x2f, 0x3a, 0x80)),
    good("8.3.1", "method_own", request("OWN-method!")),
    good("8.3.1", "method_lower", request("get")),
    bad("8.3.1", "scheme_empty", get(scheme="")),
    bad("8.3.1", "scheme_digit", get(scheme="1http")),
    bad("8.3.1", "scheme_colon", get(scheme="https:")),
    bad("8.3.1", "scheme_nul", get(scheme="ht\0tp")),
    good("8.3.1", "scheme_http", get(scheme="http"), on=BOTH),
    good("8.3.1", "scheme_upper", get(scheme="HTTPS")),
    good("8.3.1", "scheme_other", get(scheme="coap+tcp")),
]

PATHS = [
    bad("8.3.1", "path_empty", get(path=""), on=BOTH),
    bad("8.3.1", "path_no_slash", get(path="app/x"), on=BOTH),
    bad("8.3.1", "path_absolute", get(path="https://localhost/")),
    bad("8.3.1", "path_query_only", get(path="?a")),
    bad("8.3.1", "path_asterisk_get", get(path="*")),
    bad("8.3.1", "path_asterisk_more", request("OPTIONS", "*a")),
    bad("8.3.1", "path_asterisk_post", post(path="*")),
    good("8.3.1", "path_asterisk_options", request("OPTIONS", "*"), status=204, on=BOTH),
    *(bad("8.3.1", f"path_{byte:02x}", get(path=b"/a" + bytes([byte]) + b"b"),
          on=BOTH if byte == 0 else ("h2c",))
      for byte in (0, 9, 10, 13, 0x20, 0x7f)),
    bad("8.3.1", "path_fragment", get(path="/#a")),
    good("8.3.1", "path_query", get(path=APP + "?a=b/?c&%20")),
    good("8.3.1", "path_bad_escape", get(path="/a%zz"), status=400),
    good("8.3.1", "path_above_root", get(path="/../a"), status=400),
]

AUTHORITY = [
    *(bad("8.3.1", f"authority_{name}", get(authority=value), on=BOTH if name == "userinfo"
          else ("h2c",)) for name, value in {
              "empty": "", "userinfo": "u@localhost", "password": "u:p@localhost",
              "userinfo_empty": "@localhost", "space": "a b", "nul": "a\0b", "lf": "a\nb",
              "slash": "localhost/", "query": "localhost?", "fragment": "localhost#a",
              "port_only": ":80", "port_letters": "localhost:a", "port_large": "localhost:65536",
              "two_ports": "localhost:80:80", "bracket": "[::1",
              "bracket_empty": "[]", "bare_v6": "::1", "backslash": "a\\b", "quote": 'a"b',
              "high": b"h\xe4",
          }.items()),
    *(good("8.3.1", f"authority_{name}", get(authority=value)) for name, value in {
        "port": "localhost:8443", "port_empty": "localhost:", "v6": "[::1]:80", "v4": "127.0.0.1",
        "upper": "LOCALHOST", "dot": "localhost.", "underscore": "a_b.example"}.items()),
    good("8.3.1", "host_same", get(("host", "localhost")), on=BOTH),
    good("8.3.1", "host_case", get(("host", "LocalHost"))),
    bad("8.3.1", "host_other", get(("host", "other.example")), on=BOTH),
    bad("8.3.1", "host_other_port", get(("host", "localhost:81"))),
    bad("8.3.1", "host_empty", get(("host", ""))),
    bad("8.3.1", "host_userinfo", request("GET", APP, ("host", "u@localhost"),
                                          without=("authority",))),
    bad("8.3.1", "host_space", request("GET", APP, ("host", "a b"), without=("authority",))),
    bad("8.3.1", "hosts_two", request("GET", APP, ("host", "a"), ("host", "b"),
                                      without=("authority",)), on=BOTH),
    bad("8.3.1", "hosts_same", get(("host", "localhost"), ("host", "localhost"))),
    bad("8.3.1", "authority_empty_host", get(("host", "localhost"), authority="")),
]

CONNECT = [
    good("8.5", "connect", [(":method", "CONNECT"), (":authority", "localhost:80")], status=405,
         on=BOTH),
    bad("8.5", "connect_scheme", [(":method", "CONNECT"), (":authority", "localhost:80"),
                                  (":scheme", "https")], on=BOTH),
    bad("8.5", "connect_path", [(":method", "CONNECT"), (":authority", "localhost:80"),
                                (":path", "/")]),
    bad("8.5", "connect_all", request("CONNECT"), on=BOTH),
    bad("8.5", "connect_no_authority", [(":method", "CONNECT")]),
    bad("8.5", "connect_host_only", [(":method", "CONNECT"), ("host", "localhost:80")]),
    bad("8.5", "connect_no_port", [(":method", "CONNECT"), (":authority", "localhost")]),
    good("8.5", "connect_lower", request("connect")),
]

LENGTHS = [
    body("8.1.1", "length_right", "5", b"he", b"llo"),
    body("8.1.1", "length_zero", "0", b""),
    body("8.1.1", "length_short", "5", b"hell", outcome=RESET),
    body("8.1.1", "length_none_came", "5", b"", outcome=RESET),
    body("8.1.1", "length_long", "5", b"hello!", outcome=RESET),
    body("8.1.1", "length_long_in_parts", "5", b"hel", b"lo", b"!", outcome=RESET),
    body("8.1.1", "length_zero_long", "0", b"x", outcome=RESET),
    body("8.1.1", "length_zeros", "0000000000000000005", b"hello"),
    *(bad("8.1.1", f"length_{name}", post(("content-length", value)), end=False)
      for name, value in {"empty": "", "sign": "+5", "minus": "-5", "list": "5, 5", "hex": "0x5",
                          "letters": "5a", "space": "5 5", "huge": "9223372036854775808",
                          "digits_40": "1" * 40, "fraction": "5.0"}.items()),
    bad("8.1.1", "lengths_differ", post(("content-length", "5"), ("content-length", "6")),
        end=False),
    bad("8.1.1", "lengths_same", post(("content-length", "5"), ("content-length", "5")),
        end=False),
    bad("8.1.1", "length_no_body", post(("content-length", "5")), on=BOTH),
    good("8.1.1", "length_0_no_body", post(("content-length", "0")), on=BOTH),
    Row("8.1.1", "length_get_body", headers(1, get(("content-length", "2")), end=False) +
        data(1, b"ab", end=True), Answer(1, body=b"GET 2")),
    Row("8.1.1", "length_padded", headers(1, post(("content-length", "2")), end=False) +
        data(1, b"ab", end=True, pad=200), Answer(1, body=b"POST 2"), on=BOTH),
    Row("8.1.1", "length_trailers_short", headers(1, post(("content-length", "5")), end=False) +
        data(1, b"ab") + headers(1, [("x", "y")]), RESET, asked=ANY),
    Row("8.1.1", "length_trailers_right", headers(1, post(("content-length", "2")), end=False) +
        data(1, b"ab") + headers(1, [("x", "y")]), Answer(1, body=b"POST 2")),
]

TRAILERS = [
    Row("8.1", "trailers", headers(1, post(), end=False) + data(1, b"ab") +
        headers(1, [("x-sum", "1"), ("x-two", "")]), Answer(1, body=b"POST 2"), on=BOTH),
    Row("8.1", "trailers_empty", headers(1, post(), end=False) + headers(1, b""),
        Answer(1, body=b"POST 0")),
    Row("8.1", "trailers_no_end", headers(1, post(), end=False) + data(1, b"ab") +
        headers(1, [("x", "y")], end=False), RESET, on=BOTH),
    Row("8.1", "trailers_then_data", headers(1, post(path="/"), end=False) +
        headers(1, [("x", "y")]) + data(1, b"x"), Conn(STREAM_CLOSED)),
    *(Row("8.1", f"trailers_{name}", headers(1, post(), end=False) + data(1, b"ab") +
          headers(1, fields), RESET, on=BOTH if name == "pseudo" else ("h2c",))
      for name, fields in {
          "pseudo": [(":path", "/")], "status": [(":status", "200")],
          "pseudo_last": [("x", "y"), (":method", "GET")], "upper": [("X-Sum", "1")],
          "connection": [("connection", "close")], "chunked": [("transfer-encoding", "chunked")],
          "name": [("x y", "1")], "value": [("x", "a\0")], "name_empty": [("", "1")],
          "te": [("te", "gzip")]}.items()),
    Row("8.1", "trailers_many", headers(1, post(), end=False) + headers(
        1, [("x", "y")] * 99), Answer(1, body=b"POST 0")),
    Row("8.1", "trailers_over", headers(1, post(), end=False) + headers(
        1, [("x", "y")] * 200), Reset(1, ENHANCE_YOUR_CALM)),
    Row("8.1", "trailers_over_size", headers(1, post(), end=False) + headers(
        1, [("x", "y" * 16000)], whole=False) + b"".join(
            continuation(1, literal("x", "y" * 16000), whole=n == 4) for n in range(5)),
        Reset(1, ENHANCE_YOUR_CALM)),
    Row("8.1", "trailers_flood", headers(1, post(), end=False) + headers(
        1, literal("x", "y" * 4000, 0x40) + b"\xbe" * 400), Conn(ENHANCE_YOUR_CALM)),
    Row("8.1", "trailers_length", headers(1, post(), end=False) + data(1, b"ab") +
        headers(1, [("content-length", "7")]), Answer(1, body=b"POST 2")),
]

LIMITS = [
    good("10.5.1", "list_just_fits", get(("x", "y" * 16000), ("z", "y" * 64)), on=BOTH),
    good("10.5.1", "fields_100", get(*[("x", "y")] * 99)),
    good("10.5.1", "fields_over", get(*[("x", "y")] * 200), status=431, on=BOTH),
    Row("10.5.1", "list_over", headers(1, get(("x", "y" * 16000)), whole=False) + b"".join(
        continuation(1, literal("x", "y" * 16000), whole=n == 4) for n in range(5)),
        Answer(1, 431), on=BOTH),
    Row("10.5.1", "list_over_by_index", headers(1, block(get()) + literal(
        "x", "y" * 4000, 0x40) + b"\xbe" * 40), Answer(1, 431)),
    Row("10.5.1", "list_flood", headers(1, block(get()) + literal("x", "y" * 4000, 0x40) +
                                        b"\xbe" * 400), Conn(ENHANCE_YOUR_CALM), on=BOTH),
    Row("10.5.1", "fields_over_malformed", headers(1, get(*[("x", "y")] * 200, ("Bad", ""))),
        RESET),
]

SEMANTICS = [
    good("8.8.1", "head", request("HEAD"), on=BOTH),
    good("8.8.1", "head_file", request("HEAD", "/")),
    good("8.8.1", "not_found", get(path="/none"), status=404),
    Row("8.1", "expect_continue", [
        headers(1, post(("expect", "100-continue"), ("content-length", "2")), end=False),
        data(1, b"ab", end=True)], Answer(1, body=b"POST 2")),
    good("8.1", "expect_other", get(("expect", "wonders")), status=417),
    Row("8.1", "early_answer", [headers(1, post(("content-length", "200000"), path="/limited/x"),
                                        end=False), Head(1), data(1, b"x" * 9000),
                                data(1, b"y", end=True)], Answer(1, 413), on=BOTH),
    Row("8.1", "early_answer_long", [
        headers(1, post(("content-length", "200000"), path="/limited/x"), end=False), Head(1),
        *[data(1, b"x" * 16000) for _ in range(3)], data(1, b"y", end=True)], Answer(1, 413)),
    Row("8.1", "early_answer_trailers", [
        headers(1, post(("content-length", "200000"), path="/limited/x"), end=False), Head(1),
        data(1, b"x"), headers(1, [("x", "y")])], Answer(1, 413)),
    Row("8.1", "early_answer_reset", [
        headers(1, post(("content-length", "200000"), path="/limited/x"), end=False), Head(1),
        rst(1, NO_ERROR)]),
    Row("8.1", "early_answer_404", [headers(1, post(path="/none"), end=False), Head(1),
                                    data(1, b"x" * 100, end=True)], Answer(1, 404), on=BOTH),
    Row("8.1", "early_answer_200_short", [
        headers(1, post(("content-length", "200000"), path="/early"), end=False), Head(1),
        data(1, b"x" * 100, end=True)], Answer(1, body=b"early"), asked=0),
    Row("8.1", "early_answer_200_over", [
        headers(1, post(("content-length", "5"), path="/early"), end=False), Head(1),
        data(1, b"x" * 100), data(1, b"x", end=True)], Answer(1, body=b"early"), asked=0, on=BOTH),
    Row("8.1", "early_answer_413_over", [
        headers(1, post(("content-length", "200000"), path="/limited/x"), end=False), Head(1),
        data(1, b"x" * 16000), data(1, b"x" * 16000, end=True)], Answer(1, 413)),
    Row("8.1", "early_answer_404_over", [
        headers(1, post(("content-length", "5"), path="/none"), end=False), Head(1),
        data(1, b"x" * 100, end=True)], Answer(1, 404)),
    Row("8.1", "early_answer_405_over", [
        headers(1, post(("content-length", "5"), path="/"), end=False), Head(1),
        data(1, b"x" * 100, end=True)], Answer(1, 405)),
    Row("8.1", "early_answer_pseudo_trailers", [
        headers(1, post(path="/none"), end=False), Head(1),
        headers(1, [(":path", "/")])], RESET),
    Row("8.1", "bad_trailers_early_answer", [
        headers(1, post(("content-length", "200000"), path="/limited/x"), end=False), Head(1),
        headers(1, [("Bad", "y")])], RESET),
]

ROWS = [*NAMES, *VALUES, *CONNECTION, *CRUMBS, *PSEUDO, *PATHS, *AUTHORITY, *CONNECT, *LENGTHS,
        *TRAILERS, *LIMITS, *SEMANTICS]
