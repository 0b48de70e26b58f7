"""The HTTP/2 table: frames that a client sends, and what has to come of them.  row.py says what
a row is, h2_sections.py which sections of RFC 9113 they stand for; test_h_rows.py runs them."""
from h2_rows import framing, heads, hpack, states

ROWS = [*framing.ROWS, *states.ROWS, *hpack.ROWS, *heads.ROWS]
