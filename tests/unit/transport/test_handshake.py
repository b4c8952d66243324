"""The upgrade: the usual request is read in one step, as websockets would; odd ones are left to a parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gifting.errors import BadMessage, BadOrigin, BadToken, GiftingError, UpgradeRequired
from gifting.transport.handshake import HandshakeRequest, Upgrade, accept, parse_upgrade, read_request, read_upgrade
from tests.support.upgrade import HEADERS, KEY, request

MAX = 16_384


def websockets_accepts(data: bytes) -> bool:
    engine = ServerProtocol()
    engine.receive_data(data)
    return any(
        engine.accept(event).status_code == 101 for event in engine.events_received() if isinstance(event, Request)
    )


def test_the_usual_request() -> None:
    found = read_upgrade(request(*HEADERS, "Authorization:  Bearer abc ", "Sec-WebSocket-Protocol: a, b"), MAX)
    assert found is not None
    assert (found.target, found.key, found.rest) == ("/v1/ws?token=x", KEY, b"")
    assert found.headers["authorization"] == "Bearer abc"
    assert found.headers["sec-websocket-protocol"] == "a, b"


@pytest.mark.parametrize("rest", [b"x", request(*HEADERS), b"\r\n\r\n"])
def test_what_comes_behind_the_head_is_kept(rest: bytes) -> None:
    found = read_upgrade(request(*HEADERS) + rest, MAX)
    assert found is not None
    assert found.rest == rest


def test_the_answer_is_that_of_the_rfc() -> None:
    """RFC 6455, section 1.3, has this key."""
    answer = accept(KEY, "gifting.v1.json")
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"\r\nSec-WebSocket-Protocol: gifting.v1.json\r\n\r\n")
    assert b"Protocol:" not in accept(KEY, None)


ODD = [
    request(*HEADERS)[:-1],
    request(*HEADERS, first="GET /v1/ws HTTP/1.0"),
    request(*HEADERS, first="POST /v1/ws HTTP/1.1"),
    request(*HEADERS, first="GET /v1/rooms HTTP/1.1"),
    request(*HEADERS, first="GET /v1/ws  HTTP/1.1"),
    request(*HEADERS, "Host: another"),
    request(*HEADERS, "Content-Length: 5"),
    request(*HEADERS, "Transfer-Encoding: chunked"),
    request(*HEADERS, "no colon"),
    request(*HEADERS, " folded: line"),
    request(*HEADERS, "Sp ace: x"),
    request(*HEADERS, "Bell: \x07"),
    request(*HEADERS, "Lone: a\nb"),
    *(request(*HEADERS[:at], *HEADERS[at + 1 :]) for at in range(len(HEADERS))),
    request(*HEADERS, "X-Long: " + "x" * MAX),
    request(*(line.replace("13", "8") for line in HEADERS)),
    request(*(line.replace("websocket", "h2c") for line in HEADERS)),
    request(*(line.replace(KEY, KEY[:-4]) for line in HEADERS)),
    request(*(line.replace(KEY, "!" + KEY[1:]) for line in HEADERS)),
    request(*(line.replace("Connection: Upgrade", "Connection: close") for line in HEADERS)),
]


@pytest.mark.parametrize("data", ODD)
def test_odd_requests_go_the_long_way(data: bytes) -> None:
    assert read_upgrade(data, MAX) is None


@given(
    st.lists(st.sampled_from([*HEADERS, "Connection: keep-alive, Upgrade", "UPGRADE: WebSocket", "Origin: http://a"])),
    st.text(max_size=10),
)
def test_what_is_taken_here_is_what_websockets_takes(lines: list[str], extra: str) -> None:
    data = request(*HEADERS[:1], *lines, "X-Extra: " + extra.encode("latin-1", "replace").decode("latin-1"))
    if read_upgrade(data, MAX) is not None:
        assert websockets_accepts(data)


@given(st.binary(max_size=300))
def test_whatever_comes(data: bytes) -> None:
    read_upgrade(data, MAX)
    whole = b"GET /v1/ws" + data + b"\r\n\r\n"
    assert read_upgrade(whole, MAX) is None or websockets_accepts(whole)


PAIRS = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in HEADERS)]

WRONG: list[tuple[str, str, list[tuple[str, str]], type[GiftingError]]] = [
    ("POST", "1.1", PAIRS, BadMessage),
    ("GET", "1.0", PAIRS, BadMessage),
    *(("GET", "1.1", PAIRS[:at] + PAIRS[at + 1 :], BadMessage) for at in range(len(PAIRS) - 1)),
    ("GET", "1.1", PAIRS[:-1], UpgradeRequired),
    ("GET", "1.1", [*PAIRS[:-1], ("sec-websocket-version", "8")], UpgradeRequired),
    *(("GET", "1.1", [*PAIRS, (name, "b")], BadMessage) for name in ("host", "sec-websocket-key", "content-length")),
    ("GET", "1.1", [*PAIRS, ("origin", "http://a"), ("origin", "http://b")], BadMessage),
]


@pytest.mark.parametrize(("method", "version", "pairs", "expected"), WRONG)
def test_a_request_that_is_none_says_why(
    method: str, version: str, pairs: list[tuple[str, str]], expected: type[GiftingError]
) -> None:
    with pytest.raises(expected):
        parse_upgrade(method, "/v1/ws", version, pairs)


def test_what_is_a_list_may_come_in_several_headers() -> None:
    found = parse_upgrade("GET", "/v1/ws", "1.1", [*PAIRS, ("connection", "x"), ("sec-websocket-protocol", "a")], b"r")
    assert found.headers["connection"] == "Upgrade, x"
    assert (found.key, found.rest) == (KEY, b"r")


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "", "http://127.0.0.1:8080.evil.example", "http://b"]
)
def test_a_page_of_another_site_may_not_whatever_it_says_it_is(origin: str) -> None:
    with pytest.raises(BadOrigin):
        hello(Origin=origin)


def test_an_origin_moves_no_cursor_of_who_reads_the_log() -> None:
    with pytest.raises(BadOrigin) as refused:
        hello(Origin="http://a\x9b2J\x85gifting.acts")
    assert str(refused.value).isprintable()


def test_a_query_with_too_many_fields_is_refused() -> None:
    with pytest.raises(BadMessage, match="20 fields"):
        hello("/v1/ws?" + "a=1&" * 30)


def hello(target: str = "/v1/ws", **headers: str) -> HandshakeRequest:
    found = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return read_request(Upgrade(target, dict(PAIRS) | found, b""), frozenset())


@pytest.mark.parametrize(
    ("given", "token", "in_url"),
    [
        ({"Authorization": "Bearer abc"}, "abc", False),
        ({"Authorization": "bearer  abc "}, "abc", False),
        ({"Sec_WebSocket_Protocol": "gifting.v1.json, gifting.token.a.b-c_"}, "a.b-c_", False),
        ({"Sec_WebSocket_Protocol": "gifting.token.a.b.c,gifting.v1.json"}, "a.b.c", False),
        ({"target": "/v1/ws?token=abc"}, "abc", True),
        ({"target": "/v1/ws?token=abc", "Authorization": "Bearer xyz"}, "xyz", False),
        ({"target": "/v1/ws?token=abc", "Authorization": "Basic xyz"}, "abc", True),
        ({"target": "/v1/ws?token=abc", "Authorization": "Bearer "}, "abc", True),
    ],
)
def test_where_a_token_may_be(given: dict[str, str], token: str, in_url: bool) -> None:
    found = hello(**given)
    assert (found.token, found.in_url) == (token, in_url)
    assert found.subprotocol in (None, "gifting.v1.json")


def test_a_token_is_no_subprotocol_to_select() -> None:
    """A browser fails a connection for which nothing it offered is selected; so it must offer a real one beside it."""
    with pytest.raises(BadMessage) as refusal:
        hello(Sec_WebSocket_Protocol="gifting.token.secret")
    assert "secret" not in str(refusal.value)
    with pytest.raises(BadToken):
        hello(Sec_WebSocket_Protocol="gifting.v1.json, gifting.token.")
