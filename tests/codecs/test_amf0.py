from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.amf0 import (
    AMF3,
    MAX_DEPTH,
    UNDEFINED,
    UNSUPPORTED,
    XML,
    Date,
    ECMAArray,
    Reference,
    TypedObject,
    as_int,
    as_text,
    decode,
    decode_all,
    encode,
)
from tierkit.errors import LocalProtocolError, RemoteProtocolError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
    text,
    st.sampled_from([UNDEFINED, UNSUPPORTED]),
    st.builds(XML, text),
    st.builds(Date, st.floats(allow_nan=False), st.integers(-720, 720)),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.dictionaries(text, inner, max_size=4)
    return st.one_of(
        st.lists(inner, max_size=4), pairs, st.builds(ECMAArray, pairs), st.builds(TypedObject, text, pairs)
    )


values = st.recursive(scalars, containers, max_leaves=12)


@given(st.lists(values, max_size=4))
def test_what_is_written_is_read_again(given_values: list[Any]) -> None:
    got = decode_all(encode(*given_values))
    assert got == given_values
    assert [type(value) for value in got] == [type(value) for value in given_values]


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (1.0, "00 3ff0000000000000"),
        (True, "01 01"),
        (False, "01 00"),
        ("live", "02 0004 6c697665"),
        ({"a": None}, "03 0001 61 05 0000 09"),
        (None, "05"),
        (UNDEFINED, "06"),
        (ECMAArray(a=True), "08 00000001 0001 61 01 01 0000 09"),
        ([1.0, "b"], "0a 00000002 00 3ff0000000000000 02 0001 62"),
        (Date(0.0, 0), "0b 0000000000000000 0000"),
        ("x" * 65_536, "0c 00010000" + "78" * 65_536),
        (UNSUPPORTED, "0d"),
        (XML("<a/>"), "0f 00000004 3c612f3e"),
        (TypedObject("T", {"k": 0.0}), "10 0001 54 0001 6b 00 0000000000000000 0000 09"),
    ],
)
def test_the_wire_form_of_every_type(value: Any, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert encode(value) == data
    assert decode_all(data) == [value]
    assert decode(data + b"trailing") == (value, len(data))


@pytest.mark.parametrize("cut", range(1, 40))
def test_every_prefix_of_a_message_is_an_error_or_fewer_values(cut: int) -> None:
    whole = encode("connect", 1.0, {"app": "live", "n": [1.0, None]})
    try:
        got = decode_all(whole[:cut])
    except RemoteProtocolError:
        return
    assert got == ["connect", 1.0][: len(got)]


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_a_protocol_error(data: bytes) -> None:
    try:
        got = decode_all(data)
    except RemoteProtocolError:
        return
    repr(got)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_real_values_with_noise_in_the_middle(noise: bytes, at: int) -> None:
    whole = encode("onMetaData", ECMAArray(width=1.0, nested={"a": [1.0, {"b": "c"}]}))
    try:
        decode_all(whole[:at] + noise + whole[at:])
    except RemoteProtocolError:
        pass


def test_an_ecma_array_without_its_end_is_accepted() -> None:
    whole = encode("onMetaData", ECMAArray(width=640.0, codec="avc1"))
    assert decode_all(whole[:-3]) == decode_all(whole)


def test_an_object_without_its_end_is_not() -> None:
    with pytest.raises(RemoteProtocolError, match="cut short"):
        decode_all(encode({"a": 1.0})[:-3])


def test_the_count_of_an_ecma_array_is_only_a_hint() -> None:
    whole = bytearray(encode(ECMAArray(a=1.0)))
    whole[1:5] = b"\xff\xff\xff\xff"
    assert decode_all(bytes(whole)) == [{"a": 1.0}]


def test_a_strict_array_that_declares_four_billion_items_ends_with_the_data() -> None:
    with pytest.raises(RemoteProtocolError, match="cut short"):
        decode_all(b"\x0a\xff\xff\xff\xff\x05\x05")


def test_seventy_thousand_nested_arrays_are_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="too deep"):
        decode_all(b"\x0a\x00\x00\x00\x01" * 70_000 + b"\x05")


def test_the_allowed_depth_is_read_and_written_and_no_more() -> None:
    value: Any = 1.0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode_all(encode(value)) == [value]
    with pytest.raises(LocalProtocolError, match="deeper"):
        encode([value])


def test_a_flood_of_values_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="too many"):
        decode_all(b"\x05" * 20_000)
    assert len(decode_all(b"\x05" * 20_000, max_values=20_000)) == 20_000


def test_references_are_kept_as_they_are_and_checked() -> None:
    data = encode([1.0]) + b"\x07\x00\x00"
    assert decode_all(data) == [[1.0], Reference(0)]
    assert encode([1.0], Reference(0)) == data
    with pytest.raises(RemoteProtocolError, match="points to nothing"):
        decode_all(b"\x07\x00\x00")


def test_a_switch_to_amf3_keeps_the_rest_undecoded() -> None:
    data = encode("x") + b"\x11\x0a\x0b\x01"
    assert decode_all(data) == ["x", AMF3(b"\x0a\x0b\x01")]
    assert encode("x", AMF3(b"\x0a\x0b\x01")) == data


@pytest.mark.parametrize("marker", [0x04, 0x09, 0x0E, 0x12, 0xFF])
def test_reserved_markers_are_errors(marker: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{marker:#04x}"):
        decode_all(bytes((marker,)))


def test_text_that_is_not_utf8_is_readable_anyway() -> None:
    assert decode_all(b"\x02\x00\x02\xff\x61") == ["\ufffda"]


@pytest.mark.parametrize(
    "value", [object(), b"bytes", {1: 2}, {"k": {1, 2}}, pytest.param(1 << 5000, id="huge"), {"k" * 65_536: 1}]
)
def test_what_amf0_cannot_say_is_our_own_mistake(value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode(value)


def test_a_value_that_holds_itself_is_our_own_mistake() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LocalProtocolError, match="deeper"):
        encode(value)


def test_markers_stay_themselves_when_copied_and_pickled() -> None:
    for marker in (UNDEFINED, UNSUPPORTED):
        assert copy.deepcopy(marker) is marker
        assert pickle.loads(pickle.dumps(marker)) is marker
        assert not marker
    assert repr(UNDEFINED) == "UNDEFINED"
    typed = TypedObject("T", {"a": 1.0})
    assert repr(typed) == "TypedObject('T', {'a': 1.0})"
    assert pickle.loads(pickle.dumps(typed)).class_name == copy.copy(typed).class_name == "T"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, "7", None, True, {}])
def test_numbers_that_are_none_become_the_default(value: Any) -> None:
    assert as_int(value, -2) == -2


def test_numbers_and_text_come_through() -> None:
    assert as_int(7.9) == 7
    assert as_text("a") == "a"
    assert as_text(7, "none") == "none"
