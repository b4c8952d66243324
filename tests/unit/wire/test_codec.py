"""Both codecs say the same, and explain what is no message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting import errors
from gifting.model.packing import pack, unpack
from gifting.wire.codec import CODECS, JSON, MSGPACK, UNDECODABLE, Codec
from gifting.wire.messages import OPS, SendGift

MESSAGE: dict[str, Any] = {"op": "send_gift", "id": 1, "room": "r", "gift": "rose", "key": "k"}


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_both_codecs_say_the_same(codec: Codec) -> None:
    sent = codec.decode(codec.encode(MESSAGE))
    assert sent == SendGift(id=1, room="r", gift="rose", key="k", count=1, message=None)
    said = {"room": "r", "seq": 2**53 - 1, "events": []}
    assert [codec.decode_any(part) for part in codec.transcode(MSGPACK.encode(said), 100)] == [said]


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    ("change", "error", "reply_to"),
    [
        ({"op": "steal"}, errors.UnknownOp, 1),
        ({"count": 0}, errors.BadMessage, 1),
        ({"count": 10_000}, errors.BadMessage, 1),
        ({"count": 1.5}, errors.BadMessage, 1),
        ({"count": True}, errors.BadMessage, 1),
        ({"count": "1"}, errors.BadMessage, 1),
        ({"room": ""}, errors.BadMessage, 1),
        ({"message": "x" * 201}, errors.BadMessage, 1),
        ({"id": -1}, errors.BadMessage, None),
        ({"id": True}, errors.BadMessage, None),
        ({"id": 2**53}, errors.BadMessage, 2**53),
        ({"op": None}, errors.BadMessage, 1),
    ],
)
def test_what_is_no_message_is_explained(
    codec: Codec, change: dict[str, Any], error: type[errors.BadRequest], reply_to: int | None
) -> None:
    data = codec.encode(MESSAGE | change)
    with pytest.raises(UNDECODABLE) as caught:
        codec.decode(data)
    found, explained = codec.explain(data, caught.value)
    assert (found, type(explained)) == (reply_to, error)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_explained(data: bytes) -> None:
    for codec in CODECS.values():
        try:
            sent = codec.decode(data)
        except UNDECODABLE as error:
            assert isinstance(codec.explain(data, error)[1], errors.BadRequest)
        else:
            assert msgspec.to_builtins(sent)["op"] in OPS


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=9))
def test_what_lua_reads_is_what_was_packed(value: Any) -> None:
    assert unpack(pack(value)) == value
    assert JSON.decode_any(JSON.encode(value)) == value
