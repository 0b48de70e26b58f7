"""RFC 7541: header blocks that do not decode end the connection (RFC 9113 4.3)."""
from h2_rows.row import *  # noqa: F403

START = block(request(path="/")[:3])
PATH = block([(":path", APP)])
ALL = START + PATH
SIZE_0, SIZE_MAX, SIZE_OVER = (integer(n, 5, 0x20) for n in (0, 4096, 4097))


def bad(name, part, on=("h2c",), section="7541"):
    return Row(section, f"hpack_{name}", headers(1, ALL + part), Conn(COMPRESSION_ERROR), on=on)


def good(name, part, section="7541", on=("h2c",)):
    return Row(section, f"hpack_{name}", headers(1, part), Answer(1), on=on)


def huffman(*codes):
    """(code, bits) one after another, the end filled with ones."""
    bits = "".join(f"{code:0{n}b}" for code, n in codes)
    bits += "1" * (-len(bits) % 8)
    out = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([0x80 | len(out)]) + out


LETTER_A, EOS = (0b00011, 5), ((1 << 30) - 1, 30)

ROWS = [
    # ---- 6.1, 2.3.3: indexes ----
    bad("index_0", b"\x80", BOTH, "7541 6.1"),
    bad("index_62_empty", b"\xbe", BOTH, "7541 2.3.3"),
    bad("index_far", integer(1000, 7, 0x80), section="7541 2.3.3"),
    bad("name_index_62", b"\x7e\1a", section="7541 2.3.3"),
    bad("name_index_far", integer(4000, 4, 0) + b"\1a", section="7541 2.3.3"),
    good("static", b"\x82\x87" + START[len(block(request()[:2])):] + PATH, "7541 6.1", BOTH),
    good("dynamic", START[:len(block(request()[:2]))] +
         literal(":authority", "localhost", 0x40) + PATH + literal("x", "y", 0x40) + b"\xbe",
         "7541 2.3.2"),
    good("evicted", ALL + literal("x", "y", 0x40) + literal("big", "z" * 5000, 0x40),
         "7541 4.4"),
    Row("7541 4.4", "hpack_evicted_used", headers(1, ALL + literal("x", "y", 0x40) + literal(
        "big", "z" * 5000, 0x40) + b"\xbe"), Conn(COMPRESSION_ERROR)),
    Row("7541 2.2", "hpack_table_lives_on", headers(1, ALL + literal("x", "y", 0x40)) +
        headers(3, ALL + b"\xbe"), [Answer(1), Answer(3)]),
    # ---- 5.1: integers ----
    bad("integer_long", b"\xff\xff\xff\xff\xff\xff\xff", BOTH, "7541 5.1"),
    bad("integer_33_bits", b"\x7f\x80\x80\x80\x80\x80\x01", section="7541 5.1"),
    bad("integer_zeros", b"\xff" + b"\x80" * 20 + b"\x00", section="7541 5.1"),
    bad("integer_cut", b"\xff\x80", section="7541 5.1"),
    bad("length_overflow", b"\0\1x\x7f\xff\xff\xff\xff\x7f", section="7541 5.1"),
    # ---- 5.2: strings ----
    bad("string_cut", b"\0\1x\5ab", BOTH, "7541 5.2"),
    bad("name_cut", b"\0\5ab", section="7541 5.2"),
    bad("value_missing", b"\0\1x", section="7541 5.2"),
    bad("huffman_eos", b"\0\1x" + huffman(LETTER_A, EOS), BOTH, "7541 5.2"),
    bad("huffman_zeros", b"\0\1x\x81\x18", section="7541 5.2"),
    bad("huffman_padding_8", b"\0\1x\x82\x1f\xff", section="7541 5.2"),
    bad("huffman_padding_only", b"\0\1x\x81\xff", section="7541 5.2"),
    good("huffman", ALL + b"\0" + huffman(LETTER_A) + huffman(LETTER_A, LETTER_A), "7541 5.2"),
    good("huffman_empty", ALL + b"\0\1x\x80", "7541 5.2"),
    good("string_empty", ALL + b"\0\1x\0", "7541 5.2"),
    Row("7541 5.2", "hpack_huffman_upper", headers(1, ALL + b"\0" + huffman((0b100001, 6)) + b"\0"),
        Reset(1, PROTOCOL_ERROR)),
    # ---- 6.2: literals in their three forms ----
    good("forms", ALL + b"".join(literal("x", "y", first) for first in (0, 0x40, 0x10)),
         "7541 6.2"),
    good("name_by_index", START + b"\x04" + string(APP), "7541 6.2.2"),
    good("never_indexed", START + literal(":path", APP, 0x10), "7541 6.2.3"),
    # ---- 6.3, 4.2: the size of the table ----
    good("size_0", SIZE_0 + ALL, "7541 6.3", BOTH),
    good("size_max", SIZE_MAX + ALL, "7541 6.3"),
    good("size_twice", SIZE_0 + SIZE_MAX + ALL, "7541 4.2"),
    Row("7541 6.3", "hpack_size_over", headers(1, SIZE_OVER + ALL), Conn(COMPRESSION_ERROR),
        on=BOTH),
    Row("7541 6.3", "hpack_size_huge", headers(1, integer(1 << 31, 5, 0x20) + ALL),
        Conn(COMPRESSION_ERROR)),
    bad("size_behind", SIZE_0, BOTH, "7541 4.2"),
    Row("7541 4.2", "hpack_size_amid", headers(1, START + SIZE_0 + PATH), Conn(COMPRESSION_ERROR)),
    Row("7541 4.3", "hpack_size_empties", headers(1, ALL + literal("x", "y", 0x40)) + headers(
        3, SIZE_0 + SIZE_MAX + ALL + b"\xbe"), Conn(COMPRESSION_ERROR), asked=ANY),
    # ---- 4.3 of RFC 9113: every block is decoded, whatever becomes of its stream ----
    Row("4.3", "bad_block_in_parts", headers(1, ALL, whole=False) + continuation(1, b"\x80"),
        Conn(COMPRESSION_ERROR), on=BOTH),
    Row("4.3", "bad_block_of_trailers", [headers(1, post(path="/"), end=False),
                                         headers(1, b"\x80")], Conn(COMPRESSION_ERROR)),
    Row("4.3", "bad_block_of_refused", headers(1, block([("Bad", "")]) + b"\x80"),
        Conn(COMPRESSION_ERROR)),
    Row("4.3", "bad_block_late", [headers(1, post(("connection", "x")), end=False), Gone(1),
                                  headers(1, b"\x80")], Conn(COMPRESSION_ERROR)),
    Row("4.3", "block_cut", headers(1, ALL[:-1]), Conn(COMPRESSION_ERROR)),
    Row("4.3", "block_empty", headers(1, b""), Reset(1, PROTOCOL_ERROR), on=BOTH),
    Row("4.3.1", "table_0_kept", [settings((HEADER_TABLE_SIZE, 0)), Synced(), headers(1, get()),
                                  Ended(1), headers(3, get())], [Answer(1), Answer(3)],
        on=BOTH),
    Row("4.3.1", "table_small_kept", [settings((HEADER_TABLE_SIZE, 64)), Synced(),
                                      *(headers(i, get()) for i in (1, 3, 5)), Ended(5),
                                      settings((HEADER_TABLE_SIZE, 4096)), Synced(),
                                      headers(7, get())], [Answer(1), Answer(7)], asked=4),
    Row("4.3.1", "table_down_and_up", [
        settings((HEADER_TABLE_SIZE, 0)) + settings((HEADER_TABLE_SIZE, 4096)), Synced(),
        headers(1, get())], Answer(1)),
]
