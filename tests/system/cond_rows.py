"""Conditional and range requests row by row, for files: RFC 9110 13, 14, and what 15.3.7, 15.4.5,
15.5.13 and 15.5.17 say of their answers.

Each row names the section it stands for.  In fields ETAG is the file's own tag, MODIFIED its
Last-Modified, EARLIER and LATER a minute before and after.  The files, all of the same age but for
/future: /data has 1024 bytes, /empty none, /huge 5 GiB of zeros and the last 16 bytes of /data,
/future will only be changed in an hour.
"""
from dataclasses import dataclass

SIZE = 1024
HUGE = 5 << 30


@dataclass
class Row:
    section: str
    fields: list
    status: int = 200
    parts: tuple = ()  # 206: (first, last) of each part in order; one: no multipart
    path: str = "/data"
    method: str = "GET"

    @property
    def name(self):
        text = "; ".join(f"{name}: {value}" for name, value in self.fields)
        return f"{self.section} {self.method} {self.path} {text}"


ROWS = []


def row(section, status, *fields, **more):
    ROWS.append(Row(section, list(fields), status, **more))


def part(section, spec, *parts, fields=(), **more):
    ROWS.append(Row(section, [("Range", spec), *fields], 206, parts, **more))


def whole(section, spec, *fields, **more):
    row(section, 200, ("Range", spec), *fields, **more)


def match(value):
    return ("If-Match", value)


def none_match(value):
    return ("If-None-Match", value)


def modified(value):
    return ("If-Modified-Since", value)


def unmodified(value):
    return ("If-Unmodified-Since", value)


def if_range(value):
    return ("If-Range", value)


# ---- 13.1.1 If-Match: strong comparison (8.8.3.2) ----

row("13.1.1", 200, match("ETAG"))
row("13.1.1", 200, match("*"))
row("13.1.1", 200, match('"other", ETAG'))
row("13.1.1", 200, match('ETAG, "other"'))
row("13.1.1", 200, match('"other"'), match("ETAG"))
row("13.1.1", 200, match("ETAG"), method="HEAD")
row("13.1.1", 412, match('"other"'))
row("13.1.1", 412, match('"other"'), method="HEAD")
row("13.1.1", 412, match('"other", "more"'))
row("13.1.1", 412, match('"other"'), match('"more"'))
row("13.1.1", 412, match('""'))
row("13.1.1", 412, match(""))
row("8.8.3.2", 412, match("W/ETAG"))
row("8.8.3.2", 412, match('W/"other"'))
row("8.8.3.2", 200, match("W/ETAG, ETAG"))
row("8.8.3", 412, match("BARE"))  # a tag has quotes
row("8.8.3", 200, match('"a,b", ETAG'))  # and may have commas
row("8.8.3", 412, match('",ETAG,"'))

# ---- 13.1.2 If-None-Match: weak comparison ----

row("13.1.2", 304, none_match("ETAG"))
row("13.1.2", 304, none_match("*"))
row("13.1.2", 304, none_match("ETAG"), method="HEAD")
row("13.1.2", 304, none_match('"other", ETAG'))
row("13.1.2", 304, none_match('"other"'), none_match("ETAG"))
row("13.1.2", 304, none_match("ETAG"), path="/empty")
row("13.1.2", 304, none_match("*"), path="/empty")
row("13.1.2", 200, none_match('"other"'))
row("13.1.2", 200, none_match('"other"'), method="HEAD")
row("13.1.2", 200, none_match('W/"other"'))
row("13.1.2", 200, none_match(""))
row("8.8.3.2", 304, none_match("W/ETAG"))
row("8.8.3.2", 304, none_match('"other", W/ETAG'))
row("8.8.3", 200, none_match("BARE"))
row("8.8.3", 200, none_match("w/ETAG"))  # the prefix is case-sensitive
row("8.8.3", 304, none_match('"a,b", ETAG'))

# ---- 13.1.3 If-Modified-Since ----

row("13.1.3", 304, modified("MODIFIED"))
row("13.1.3", 304, modified("LATER"))
row("13.1.3", 200, modified("EARLIER"))
row("13.1.3", 304, modified("MODIFIED"), method="HEAD")
row("13.1.3", 200, modified("EARLIER"), method="HEAD")
row("13.1.3", 304, modified("MODIFIED"), path="/empty")
row("13.1.3", 200, modified("not a date"))
row("13.1.3", 200, modified(""))
row("13.1.3", 200, modified("1700000000"))
row("13.1.3", 200, modified("MODIFIED"), modified("MODIFIED"))  # more than one member
row("13.1.3", 200, modified("MODIFIED, MODIFIED"))
row("13.1.3", 200, none_match('"other"'), modified("MODIFIED"))  # ignored
row("13.1.3", 304, none_match("ETAG"), modified("EARLIER"))
row("5.6.7", 304, modified("RFC850"))
row("5.6.7", 304, modified("ASCTIME"))
row("5.6.7", 200, modified("Tue, 31 Feb 2026 22:13:20 GMT"))
row("5.6.7", 200, modified("Tue, 14 Nov 2023 22:13:20 CET"))
row("8.8.2.1", 304, modified("MODIFIED"), path="/future")  # never in the future: it is now

# ---- 13.1.4 If-Unmodified-Since ----

row("13.1.4", 200, unmodified("MODIFIED"))
row("13.1.4", 200, unmodified("LATER"))
row("13.1.4", 412, unmodified("EARLIER"))
row("13.1.4", 412, unmodified("EARLIER"), method="HEAD")
row("13.1.4", 200, unmodified("MODIFIED"), method="HEAD")
row("13.1.4", 200, unmodified("not a date"))
row("13.1.4", 200, unmodified("EARLIER"), unmodified("EARLIER"))
row("13.1.4", 200, match("ETAG"), unmodified("EARLIER"))  # ignored
row("13.1.4", 412, match('"other"'), unmodified("LATER"))
row("13.1.4", 412, unmodified("RFC850-EARLIER"))

# ---- 13.1.5 If-Range ----

part("13.1.5", "bytes=0-9", (0, 9), fields=[if_range("ETAG")])
part("13.1.5", "bytes=0-9", (0, 9), fields=[if_range("MODIFIED")])
part("13.1.5", "bytes=0-0,-1", (0, 0), (1023, 1023), fields=[if_range("ETAG")])
whole("13.1.5", "bytes=0-9", if_range('"other"'))
whole("13.1.5", "bytes=0-9", if_range("W/ETAG"))
whole("13.1.5", "bytes=0-9", if_range('W/"other"'))
whole("13.1.5", "bytes=0-9", if_range("EARLIER"))
whole("13.1.5", "bytes=0-9", if_range("LATER"))  # an exact match, not "no later than"
whole("13.1.5", "bytes=0-9", if_range("not a date"))
whole("13.1.5", "bytes=0-9", if_range("*"))
whole("13.1.5", "bytes=0-9", if_range(""))
whole("13.1.5", "bytes=0-9", if_range('ETAG, "other"'))  # one validator
whole("13.1.5", "bytes=0-9", if_range("ETAG"), if_range("ETAG"))
whole("13.1.5", "bytes=0-0,-1", if_range('"other"'))
whole("13.1.5", "bytes=5000-", if_range('"other"'))  # 416 only of what the client has
row("13.1.5", 416, ("Range", "bytes=5000-"), if_range("ETAG"))
row("13.1.5", 200, if_range("ETAG"))  # without Range: ignored
row("13.1.5", 200, if_range('"other"'))
whole("8.8.2.2", "bytes=0-9", if_range("MODIFIED"), path="/future")  # weak within its second
row("13.1.5", 200, ("Range", "bytes=0-9"), if_range("ETAG"), method="HEAD")

# ---- 13.2 the order, and when ----

row("13.2.2", 412, match('"other"'), none_match("ETAG"))
row("13.2.2", 304, match("ETAG"), none_match("ETAG"))
row("13.2.2", 412, unmodified("EARLIER"), none_match("ETAG"))
row("13.2.2", 304, unmodified("LATER"), none_match("ETAG"))
row("13.2.2", 412, unmodified("EARLIER"), modified("LATER"))
row("13.2.2", 304, unmodified("LATER"), modified("LATER"))
row("13.2.2", 304, match("ETAG"), modified("MODIFIED"))
row("13.2.2", 200, match("ETAG"), modified("EARLIER"))
row("13.2.2", 304, none_match("ETAG"), ("Range", "bytes=0-9"))
row("13.2.2", 304, modified("MODIFIED"), ("Range", "bytes=0-9"), if_range("ETAG"))
row("13.2.2", 412, match('"other"'), ("Range", "bytes=0-9"))
row("13.2.2", 412, unmodified("EARLIER"), ("Range", "bytes=5000-"))
part("13.2.2", "bytes=0-9", (0, 9), fields=[match("ETAG"), none_match('"other"'), if_range("ETAG")])
row("13.2.1", 404, match('"other"'), path="/nowhere")  # only where it would be 2xx
row("13.2.1", 404, none_match("*"), path="/nowhere")
row("13.2.1", 405, match('"other"'), method="DELETE")
row("13.2.1", 405, none_match("ETAG"), method="POST")
row("13.2.1", 301, match('"other"'), path="/folder")

# ---- 14.1.2 byte ranges ----

part("14.1.2", "bytes=0-0", (0, 0))
part("14.1.2", "bytes=0-99", (0, 99))
part("14.1.2", "bytes=100-199", (100, 199))
part("14.1.2", "bytes=1023-1023", (1023, 1023))
part("14.1.2", "bytes=1000-", (1000, 1023))
part("14.1.2", "bytes=0-", (0, 1023))
part("14.1.2", "bytes=0-1023", (0, 1023))
part("14.1.2", "bytes=1000-2000", (1000, 1023))
part("14.1.2", "bytes=0-18446744073709551615", (0, 1023))
part("14.1.2", "bytes=0-99999999999999999999999999", (0, 1023))
part("14.1.2", "bytes=-1", (1023, 1023))
part("14.1.2", "bytes=-100", (924, 1023))
part("14.1.2", "bytes=-1024", (0, 1023))
part("14.1.2", "bytes=-5000", (0, 1023))  # longer than the whole: the whole
part("14.1.2", "bytes=-99999999999999999999999999", (0, 1023))
part("14.1.2", "bytes=000-009", (0, 9))
whole("14.1.2", "bytes=-5", path="/empty")  # satisfiable: all of nothing
part("14.1.2", f"bytes={HUGE - 16}-", (HUGE - 16, HUGE - 1), path="/huge")
part("14.1.2", "bytes=-16", (HUGE - 16, HUGE - 1), path="/huge")
part("14.1.2", "bytes=4294967295-4294967297", (4294967295, 4294967297), path="/huge")
part("14.1.2", "bytes=0-0,4294967296-4294967296,-8", (0, 0), (1 << 32, 1 << 32),
     (HUGE - 8, HUGE - 1), path="/huge")

# ---- 14.1, 14.2: units, syntax, methods ----

part("14.1", "Bytes=0-9", (0, 9))  # units are case-insensitive
part("14.1", "BYTES=0-9", (0, 9))
whole("14.2", "lines=1-2")
whole("14.2", "byte=0-9")
whole("14.2", "bytes-unit=0-9")
whole("14.2", "none=0-9")
whole("14.1.1", "bytes=9-5")  # last before first: invalid
whole("14.1.1", "bytes=0-9,9-5")
whole("14.1.1", "bytes=a-b")
whole("14.1.1", "bytes=0-b")
whole("14.1.1", "bytes=0x0-9")
whole("14.1.1", "bytes=+0-9")
whole("14.1.1", "bytes=5")
whole("14.1.1", "bytes=-")
whole("14.1.1", "bytes=--5")
whole("14.1.1", "bytes=0-1-2")
whole("14.1.1", "bytes=0 - 9")
whole("14.1.1", "bytes=")
whole("14.1.1", "bytes=,")
whole("14.1.1", "bytes")
whole("14.1.1", "bytes 0-9")
whole("14.1.1", "bytes:0-9")
whole("14.1.1", "0-9")
whole("14.1.1", "=0-9")
whole("14.1.1", "")
whole("14.1.1", "bytes=0-9;1-2")
part("5.6.1.2", "bytes=,0-9", (0, 9))  # empty elements
part("5.6.1.2", "bytes=0-9, ,\t,20-29 ,", (0, 9), (20, 29))
row("14.2", 200, ("Range", "bytes=0-9"), method="HEAD")
row("14.2", 200, ("Range", "bytes=5000-"), method="HEAD")
row("14.2", 405, ("Range", "bytes=0-9"), method="PUT")
row("14.2", 404, ("Range", "bytes=0-9"), path="/nowhere")
row("14.2", 200, ("Range", "bytes=0-9"), ("Range", "bytes=0-9"))  # no list field (5.3)

# ---- 14.2, 17.15: many ----

part("14.2", "bytes=" + ",".join(f"{4 * i}-{4 * i}" for i in range(64)),
     *((4 * i, 4 * i) for i in range(64)))
whole("14.2", "bytes=" + ",".join(f"{4 * i}-{4 * i}" for i in range(65)))
whole("17.15", "bytes=" + ",".join(["0-"] * 65))
whole("17.15", "bytes=" + ",".join(f"{i}-" for i in range(1000)))
part("17.15", "bytes=" + ",".join(["0-"] * 64), (0, 1023))  # never a byte twice
whole("14.1.1", "bytes=" + ",".join(["0-9"] * 63) + ",x")

# ---- 15.3.7.2 several parts ----

part("15.3.7.2", "bytes=0-0,-1", (0, 0), (1023, 1023))
part("15.3.7.2", "bytes=0-9,20-29,40-49", (0, 9), (20, 29), (40, 49))
part("15.3.7.2", "bytes=500-599,0-9", (500, 599), (0, 9))  # the client's order
part("15.3.7.2", "bytes=0-9,10-19", (0, 19))
part("15.3.7.2", "bytes=0-9,5-19", (0, 19))
part("15.3.7.2", "bytes=10-19,0-12", (0, 19))
part("15.3.7.2", "bytes=0-1023,5-19", (0, 1023))
part("15.3.7.2", "bytes=0-9,0-9", (0, 9))
part("15.3.7.2", "bytes=40-49,0-9,45-59", (40, 59), (0, 9))
part("15.3.7.2", "bytes=0-9,20-29,40-49,9-40", (0, 49))
part("15.3.7.2", "bytes=0-9,11-19", (0, 9), (11, 19))
part("15.3.7.2", "bytes=0-9,2000-", (0, 9))  # one is left: no multipart
part("15.3.7.2", "bytes=2000-,0-9,-0,20-29", (0, 9), (20, 29))

# ---- 15.5.17, 14.4: 416 ----

row("15.5.17", 416, ("Range", "bytes=1024-"))
row("15.5.17", 416, ("Range", "bytes=1024-1024"))
row("15.5.17", 416, ("Range", "bytes=5000-6000"))
row("15.5.17", 416, ("Range", "bytes=-0"))
row("15.5.17", 416, ("Range", "bytes=1024-,2000-,-0"))
row("15.5.17", 416, ("Range", "bytes=99999999999999999999999999-"))
row("15.5.17", 416, ("Range", "bytes=0-"), path="/empty")
row("15.5.17", 416, ("Range", "bytes=0-0,5-"), path="/empty")
row("15.5.17", 416, ("Range", f"bytes={HUGE}-"), path="/huge")
