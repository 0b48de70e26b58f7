"""RFC 9113 3.4, 4 and 6: the preface, sizes and what each type of frame may hold."""
from h2_rows.row import *  # noqa: F403

OPEN = headers(1, post(), end=False)
STALLED = settings((INITIAL_WINDOW_SIZE, 0))  # answers wait with their bodies
MORE = FRAME_MAX + 1


def sized(kind, n, stream=0, flags=0):
    return frame(kind, flags, stream, bytes(n))


PREFACE_ROWS = [
    Row("3.4", "settings_empty", b"", on=BOTH),
    Row("3.4", "settings_all", b"", first=settings(
        (HEADER_TABLE_SIZE, 4096), (ENABLE_PUSH, 0), (MAX_CONCURRENT_STREAMS, 100),
        (INITIAL_WINDOW_SIZE, 65535), (MAX_FRAME_SIZE, FRAME_MAX), (MAX_HEADER_LIST_SIZE, 1 << 20)),
        on=BOTH),
    Row("3.4", "request_at_once", headers(1, get()), Answer(1), on=BOTH),
    Row("3.4", "ping_first", b"", Conn(PROTOCOL_ERROR), first=ping(), on=BOTH),
    Row("3.4", "headers_first", b"", Conn(PROTOCOL_ERROR), first=headers(1, get()), asked=0),
    Row("3.4", "unknown_first", b"", Conn(PROTOCOL_ERROR), first=frame(UNKNOWN)),
    Row("3.4", "ack_first", b"", Conn(PROTOCOL_ERROR), first=frame(SETTINGS, ACK)),
    Row("3.4", "bad_settings_first", b"", Conn(FRAME_SIZE_ERROR), first=sized(SETTINGS, 5)),
    Row("3.4", "window_first", b"", Conn(PROTOCOL_ERROR), first=window_update(0, 1)),
]

# 4.2, 6: lengths that a type cannot have.  On a stream that is open, where it is for streams.
SIZES = [
    Row("4.2", "data_max", [OPEN, data(1, bytes(FRAME_MAX), end=True)], Answer(1), on=BOTH),
    Row("4.2", "data_over", [OPEN, sized(DATA, MORE, 1)], Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("4.2", "headers_max", headers(1, get(("x", "y" * 8000), ("z", "y" * 8259))), Answer(1),
        on=BOTH),
    Row("4.2", "headers_over", sized(HEADERS, MORE, 1, END_HEADERS), Conn(FRAME_SIZE_ERROR)),
    Row("4.2", "continuation_over", headers(1, get(), whole=False) + sized(CONTINUATION, MORE, 1),
        Conn(FRAME_SIZE_ERROR)),
    Row("4.2", "settings_over", sized(SETTINGS, 16386), Conn(FRAME_SIZE_ERROR)),
    Row("4.2", "goaway_over", sized(GOAWAY, MORE), Conn(FRAME_SIZE_ERROR)),
    Row("4.2", "unknown_over", sized(UNKNOWN, MORE), Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("4.2", "largest_length", b"\xff\xff\xff" + frame(UNKNOWN)[3:], Conn(FRAME_SIZE_ERROR)),
    Row("4.2", "ours_stay_small", headers(1, get(path="/big")), [Answer(1)],
        first=settings((INITIAL_WINDOW_SIZE, 1 << 20), (MAX_FRAME_SIZE, FRAME_MAX)), on=BOTH),
    Row("6.2", "headers_short_priority", frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 1, b"\0" * 4),
        Conn(FRAME_SIZE_ERROR)),
    Row("6.2", "headers_short_pad", frame(HEADERS, END_HEADERS | PADDED, 1),
        Conn(FRAME_SIZE_ERROR)),
    Row("6.3", "priority_4", sized(PRIORITY, 4, 1), Conn(FRAME_SIZE_ERROR)),
    Row("6.3", "priority_6", sized(PRIORITY, 6, 1), Conn(FRAME_SIZE_ERROR)),
    Row("6.3", "priority_0", sized(PRIORITY, 0, 1), Conn(FRAME_SIZE_ERROR)),
    Row("6.4", "rst_3", [OPEN, sized(RST_STREAM, 3, 1)], Conn(FRAME_SIZE_ERROR)),
    Row("6.4", "rst_5", [OPEN, sized(RST_STREAM, 5, 1)], Conn(FRAME_SIZE_ERROR)),
    Row("6.4", "rst_0", [OPEN, sized(RST_STREAM, 0, 1)], Conn(FRAME_SIZE_ERROR)),
    Row("6.5", "settings_1", sized(SETTINGS, 1), Conn(FRAME_SIZE_ERROR)),
    Row("6.5", "settings_5", sized(SETTINGS, 5), Conn(FRAME_SIZE_ERROR)),
    Row("6.5", "settings_7", sized(SETTINGS, 7), Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("6.5", "ack_with_payload", sized(SETTINGS, 6, 0, ACK), Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("6.5", "ack_with_a_byte", sized(SETTINGS, 1, 0, ACK), Conn(FRAME_SIZE_ERROR)),
    Row("6.7", "ping_7", ping(bytes(7)), Conn(FRAME_SIZE_ERROR), on=BOTH),
    Row("6.7", "ping_9", ping(bytes(9)), Conn(FRAME_SIZE_ERROR)),
    Row("6.7", "ping_0", ping(b""), Conn(FRAME_SIZE_ERROR)),
    Row("6.7", "ping_ack_7", ping(bytes(7), ACK), Conn(FRAME_SIZE_ERROR)),
    Row("6.8", "goaway_7", sized(GOAWAY, 7), Conn(FRAME_SIZE_ERROR)),
    Row("6.8", "goaway_0", sized(GOAWAY, 0), Conn(FRAME_SIZE_ERROR)),
    Row("6.9", "window_3", sized(WINDOW_UPDATE, 3), Conn(FRAME_SIZE_ERROR)),
    Row("6.9", "window_5", sized(WINDOW_UPDATE, 5), Conn(FRAME_SIZE_ERROR)),
    Row("6.9", "window_3_stream", [OPEN, sized(WINDOW_UPDATE, 3, 1)], Conn(FRAME_SIZE_ERROR)),
    Row("6.6", "push_short", frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0"),
        Conn(FRAME_SIZE_ERROR)),
]

FLAGS = [
    Row("4.1", "flags_unknown", frame(PING, 0xfe, 0, b"12345678") +
        headers(1, get()).replace(b"\1\5\0\0\0\1", b"\1\xd7\0\0\0\1"), Answer(1), on=BOTH),
    Row("4.1", "flags_of_data", [OPEN, frame(DATA, 0xf6, 1, b"ab"), data(1, end=True)],
        Answer(1, body=b"POST 2")),
    Row("4.1", "reserved_bit", headers(1 | 1 << 31, get()), Answer(1), on=BOTH),
    Row("4.1", "reserved_bit_zero", frame(PING, 0, 1 << 31, b"12345678")),
    Row("6.9", "reserved_bit_window", window_update(0, 1 | 1 << 31)),
    Row("6.8", "reserved_bit_goaway", headers(1, get()) + goaway(1 << 31), Answer(1)),
]

PADDING = [
    Row("6.1", "data_padded", [OPEN, data(1, b"ab", pad=0), data(1, b"cd", pad=255),
                               data(1, b"", pad=10), data(1, b"e", end=True, pad=1)],
        Answer(1, body=b"POST 5"), on=BOTH),
    Row("6.1", "data_pad_only", [OPEN, data(1, b"", end=True, pad=255)],
        Answer(1, body=b"POST 0")),
    Row("6.1", "data_pad_all", [OPEN, frame(DATA, PADDED, 1, bytes([4]) + bytes(4)),
                                data(1, end=True)], Answer(1, body=b"POST 0")),
    Row("6.1", "data_pad_too_long", [OPEN, frame(DATA, PADDED, 1, bytes([5]) + bytes(4))],
        Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.1", "data_pad_much", [OPEN, frame(DATA, PADDED, 1, bytes([255]) + bytes(9))],
        Conn(PROTOCOL_ERROR)),
    Row("6.1", "data_pad_no_length", [OPEN, frame(DATA, PADDED, 1)], Conn(FRAME_SIZE_ERROR)),
    Row("6.1", "data_pad_not_zero", [OPEN, frame(DATA, PADDED | END_STREAM, 1, b"\2abc")],
        Answer(1, body=b"POST 1")),
    Row("6.2", "headers_padded", headers(1, get(), pad=0) + headers(3, get(), pad=255),
        [Answer(1), Answer(3)], on=BOTH),
    Row("6.2", "headers_padded_priority", headers(1, get(), pad=9, priority=(0, 1)), Answer(1)),
    Row("6.2", "headers_padded_parts", headers(1, block(get())[:9], whole=False, pad=200) +
        continuation(1, block(get())[9:]), Answer(1)),
    Row("6.2", "headers_pad_too_long", frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1,
                                             bytes([200]) + block(get())), Conn(PROTOCOL_ERROR),
        on=BOTH),
    Row("6.2", "headers_pad_priority", frame(
        HEADERS, END_HEADERS | PADDED | PRIORITY_FLAG, 1, b"\2" + bytes(5) + b"\x82"),
        Conn(PROTOCOL_ERROR)),
    Row("6.2", "headers_pad_all", frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1,
                                        bytes([4]) + bytes(4)), Reset(1, PROTOCOL_ERROR)),
]

ON_STREAMS = [
    Row("6.1", "data_on_0", data(0, b"x"), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.3", "priority_on_0", priority(0), Conn(PROTOCOL_ERROR)),
    Row("6.4", "rst_on_0", rst(0), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.5", "settings_on_1", frame(SETTINGS, 0, 1), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.5", "settings_on_open", [OPEN, frame(SETTINGS, 0, 1)], Conn(PROTOCOL_ERROR)),
    Row("6.5", "settings_ack_on_1", frame(SETTINGS, ACK, 1), Conn(PROTOCOL_ERROR)),
    Row("6.6", "push_from_client", [OPEN, push_promise(1, 2, get())], Conn(PROTOCOL_ERROR),
        on=BOTH),
    Row("6.6", "push_on_0", push_promise(0, 2, get()), Conn(PROTOCOL_ERROR)),
    Row("6.7", "ping_on_1", frame(PING, 0, 1, b"12345678"), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.8", "goaway_on_1", frame(GOAWAY, 0, 1, bytes(8)), Conn(PROTOCOL_ERROR)),
    Row("6.10", "continuation_on_0", continuation(0, b""), Conn(PROTOCOL_ERROR)),
    # RFC 7540's tree is gone, and with it the rule; the library keeps it for HEADERS
    Row("5.3.2", "priority_on_itself", priority(1, 1)),
    Row("5.3.2", "headers_on_itself", headers(1, get(), priority=(1, 1)), Conn(PROTOCOL_ERROR)),
]

BLOCKS = [
    Row("4.3", "block_in_parts", headers(1, block(get())[:1], whole=False) +
        continuation(1, block(get())[1:20], whole=False) + continuation(1, block(get())[20:]),
        Answer(1), on=BOTH),
    Row("4.3", "block_bytewise", headers(1, b"", whole=False) + b"".join(
        continuation(1, bytes([byte]), whole=False) for byte in block(get(path="/"))[:26]) +
        continuation(1, block(get(path="/"))[26:]), Answer(1)),
    Row("10.5", "block_in_40_parts", headers(1, b"", whole=False) + b"".join(
        continuation(1, b"", whole=False) for _ in range(40)) + continuation(1, block(get())),
        Conn(ENHANCE_YOUR_CALM), on=BOTH),
    Row("10.5", "settings_of_40", settings(*[(MAX_FRAME_SIZE, 16384)] * 40),
        Conn(ENHANCE_YOUR_CALM)),
    Row("4.3", "block_empty_parts", headers(1, b"", whole=False) +
        continuation(1, b"", whole=False) + continuation(1, block(get())), Answer(1)),
    Row("4.3", "block_end_in_empty", headers(1, get(), whole=False) + continuation(1, b""),
        Answer(1)),
    Row("6.10", "continuation_alone", continuation(1, b""), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.10", "continuation_behind_end", headers(1, get(path="/")) + continuation(1, b"\x82"),
        Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.10", "continuation_twice_ended", headers(1, get(path="/"), whole=False) +
        continuation(1, b"") + continuation(1, b""), Conn(PROTOCOL_ERROR)),
    Row("6.10", "continuation_of_trailers", [
        OPEN, headers(1, [("x", "y")], whole=False) + continuation(1, block([("z", "y")]))],
        Answer(1, body=b"POST 0")),
    *(Row("6.10", f"block_then_{name}", headers(1, get(), whole=False) + sent,
          Conn(PROTOCOL_ERROR), on=BOTH if name == "data" else ("h2c",))
      for name, sent in {
          "data": data(1, b"x"), "headers": headers(1, get()), "headers_other": headers(3, get()),
          "priority": priority(1), "rst": rst(1), "settings": settings(),
          "push": push_promise(1, 2, get()), "ping": ping(), "goaway": goaway(),
          "window": window_update(0, 1), "other": continuation(3, b""),
          "zero": continuation(0, b"")}.items()),
    Row("6.10", "continued_then_ping", headers(1, get(), whole=False) +
        continuation(1, b"", whole=False) + ping(), Conn(PROTOCOL_ERROR)),
    Row("6.10", "refused_block_goes_on", headers(1, [("Bad", "")], whole=False) +
        continuation(1, block(get())) + headers(3, get()), [Reset(1, PROTOCOL_ERROR), Answer(3)]),
]

SETTINGS_ROWS = [
    Row("6.5", "settings_twice", settings((HEADER_TABLE_SIZE, 100), (HEADER_TABLE_SIZE, 200))),
    Row("6.5", "settings_often", settings() * 20, on=BOTH),
    Row("6.5.2", "push_0", settings((ENABLE_PUSH, 0)), on=BOTH),
    Row("6.5.2", "push_1", settings((ENABLE_PUSH, 1))),
    Row("6.5.2", "push_2", settings((ENABLE_PUSH, 2)), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.5.2", "push_max", settings((ENABLE_PUSH, 0xffffffff)), Conn(PROTOCOL_ERROR)),
    Row("6.5.2", "window_max", settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)), on=BOTH),
    Row("6.5.2", "window_over", settings((INITIAL_WINDOW_SIZE, 1 << 31)),
        Conn(FLOW_CONTROL_ERROR), on=BOTH),
    Row("6.5.2", "window_all_ones", settings((INITIAL_WINDOW_SIZE, 0xffffffff)),
        Conn(FLOW_CONTROL_ERROR)),
    Row("6.5.2", "frame_size_under", settings((MAX_FRAME_SIZE, 16383)), Conn(PROTOCOL_ERROR),
        on=BOTH),
    Row("6.5.2", "frame_size_least", settings((MAX_FRAME_SIZE, 16384))),
    Row("6.5.2", "frame_size_most", settings((MAX_FRAME_SIZE, (1 << 24) - 1))),
    Row("6.5.2", "frame_size_over", settings((MAX_FRAME_SIZE, 1 << 24)), Conn(PROTOCOL_ERROR)),
    Row("6.5.2", "frame_size_0", settings((MAX_FRAME_SIZE, 0)), Conn(PROTOCOL_ERROR)),
    Row("6.5.2", "table_0", [settings((HEADER_TABLE_SIZE, 0)), headers(1, get())], Answer(1),
        on=BOTH),
    Row("6.5.2", "table_huge", [settings((HEADER_TABLE_SIZE, 0xffffffff)), headers(1, get())],
        Answer(1)),
    Row("6.5.2", "streams_0_is_for_push", [settings((MAX_CONCURRENT_STREAMS, 0)),
                                           headers(1, get())], Answer(1)),
    Row("6.5.2", "list_size_is_advice", [settings((MAX_HEADER_LIST_SIZE, 0)), headers(1, get())],
        Answer(1)),
    Row("6.5.2", "bad_value_behind_good", settings((MAX_FRAME_SIZE, 16384), (ENABLE_PUSH, 2)),
        Conn(PROTOCOL_ERROR)),
    Row("6.5.3", "second_window_counts", [
        settings((INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 9)), headers(1, get(path="/")),
        Sent(1, 9)]),
    Row("6.5.3", "ack_not_asked", [Synced(), frame(SETTINGS, ACK)], Conn(PROTOCOL_ERROR)),
    Row("8441 3", "connect_protocol", settings((ENABLE_CONNECT_PROTOCOL, 1))),
    Row("8441 3", "connect_protocol_2", settings((ENABLE_CONNECT_PROTOCOL, 2)),
        Conn(PROTOCOL_ERROR)),
    Row("9218 2.1", "no_priorities_2", b"", Conn(PROTOCOL_ERROR),
        first=settings((NO_RFC7540_PRIORITIES, 2))),
    Row("9218 2.1", "no_priorities_changed", settings((NO_RFC7540_PRIORITIES, 0)),
        Conn(PROTOCOL_ERROR), first=settings((NO_RFC7540_PRIORITIES, 1))),
    Row("9218 2.1", "no_priorities", b"", first=settings((NO_RFC7540_PRIORITIES, 1))),
]

WINDOWS = [
    Row("6.9", "window_0", window_update(0, 0), Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.9", "window_0_stream", [OPEN, window_update(1, 0)], Conn(PROTOCOL_ERROR), on=BOTH),
    Row("6.9", "window_0_reserved", window_update(0, 1 << 31), Conn(PROTOCOL_ERROR)),
    Row("6.9.1", "window_full", window_update(0, WINDOW_MAX - 65535), on=BOTH),
    Row("6.9.1", "window_full_stream", [OPEN, window_update(1, WINDOW_MAX - 65535)]),
    Row("6.9.1", "window_overflow", window_update(0, WINDOW_MAX - 65534), Conn(FLOW_CONTROL_ERROR),
        on=BOTH),
    Row("6.9.1", "window_overflow_sum", window_update(0, 1 << 30) * 2, Conn(FLOW_CONTROL_ERROR)),
    Row("6.9.1", "window_overflow_stream", [OPEN, window_update(1, WINDOW_MAX - 65534)],
        Reset(1, FLOW_CONTROL_ERROR), on=BOTH),
    Row("6.9.1", "window_overflow_half", [headers(1, get(path="/")), Head(1),
                                          window_update(1, WINDOW_MAX), window_update(1, 1)],
        Reset(1, FLOW_CONTROL_ERROR), first=STALLED),
    Row("6.9.2", "settings_overflow", [OPEN, window_update(1, WINDOW_MAX - 65535),
                                       settings((INITIAL_WINDOW_SIZE, 65536))],
        Conn(FLOW_CONTROL_ERROR), on=BOTH),
    Row("6.9.2", "settings_up_to_max", [OPEN, window_update(1, WINDOW_MAX - 65535),
                                        settings((INITIAL_WINDOW_SIZE, 65535))]),
    Row("6.9.2", "settings_then_update", [OPEN, settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)),
                                          window_update(1, 1)], Reset(1, FLOW_CONTROL_ERROR)),
    Row("6.9.2", "settings_not_connection", [settings((INITIAL_WINDOW_SIZE, WINDOW_MAX)),
                                             window_update(0, WINDOW_MAX - 65535)]),
    Row("6.9.2", "window_opens_later", [headers(1, get(path="/")), Head(1),
                                        settings((INITIAL_WINDOW_SIZE, 100))], Answer(1),
        first=STALLED, on=BOTH),
    Row("6.9.2", "window_update_opens", [headers(1, get(path="/")), Head(1), window_update(1, 5),
                                         Sent(1, 5), window_update(1, 100)], Answer(1),
        first=STALLED, on=BOTH),
    Row("6.9.2", "window_negative", [
        headers(1, get(path="/big")), Sent(1, 1000), settings((INITIAL_WINDOW_SIZE, 500)),
        window_update(1, 500), Synced(), window_update(1, 500), Sent(1, 1500),
        window_update(1, WINDOW_MAX - 500)], Answer(1),
        first=settings((INITIAL_WINDOW_SIZE, 1000)), on=BOTH),
    Row("6.9.2", "window_negative_again", [
        headers(1, get(path="/big")), Sent(1, 1000), settings((INITIAL_WINDOW_SIZE, 0)), Synced(),
        settings((INITIAL_WINDOW_SIZE, 1001)), Sent(1, 1001), window_update(1, 1 << 20)],
        Answer(1), first=settings((INITIAL_WINDOW_SIZE, 1000))),
]

CONTROL = [
    Row("6.4", "rst_any_code", [OPEN, rst(1, 0xffffffff)]),
    Row("6.7", "ping_echo", ping(b"abcdefgh") + ping(b"ABCDEFGH"), on=BOTH),
    Row("6.7", "ping_ack_not_asked", ping(b"what????", ACK)),
    Row("6.7", "ping_flags", ping(b"12345678", 0xfe)),
    Row("6.8", "goaway_in_flight", headers(1, get()) + goaway(), Answer(1), on=BOTH),
    Row("6.8", "goaway_upload", [OPEN, goaway(), data(1, b"abc", end=True)],
        Answer(1, body=b"POST 3"), on=BOTH),
    Row("6.8", "goaway_debug", headers(1, get()) + goaway(0, 11, b"tired" * 100), Answer(1)),
    Row("6.8", "goaway_unknown_code", headers(1, get()) + goaway(0, 0xffff), Answer(1)),
    Row("6.8", "goaway_twice", headers(1, get()) + goaway() + goaway(), Answer(1)),
    # what a client names are streams of the server's, which have even identifiers
    Row("6.8", "goaway_names_its_own", headers(1, get(path="/")) + goaway(WINDOW_MAX),
        Conn(PROTOCOL_ERROR)),
    Row("6.8", "goaway_raised", headers(1, get(path="/")) + goaway(0) + goaway(2),
        Conn(PROTOCOL_ERROR)),
    Row("6.8", "goaway_ping", [headers(1, get()), goaway(), ping(), Ended(1)], Answer(1)),
]

ROWS = [*PREFACE_ROWS, *SIZES, *FLAGS, *PADDING, *ON_STREAMS, *BLOCKS, *SETTINGS_ROWS, *WINDOWS,
        *CONTROL]
