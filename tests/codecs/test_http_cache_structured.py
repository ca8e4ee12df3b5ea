"""Structured fields: a Dictionary is read whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http_structured import Item, Token, display, read_dictionary


def read(*values: str) -> dict[str, Item] | None:
    return read_dictionary([(b"x", value.encode("latin-1")) for value in values] + [(b"y", b"z=1")], b"x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("   ", {}),
        ("max-age=60, no-store", {"max-age": 60, "no-store": True}),
        ("a=60;x=1; y, b;z", {"a": 60, "b": True}),
        ('no-cache="a, \\"b"', {"no-cache": 'a, "b'}),
        ("a=word, b=?0, c=?1", {"a": Token("word"), "b": False, "c": True}),
        ('a=1.5, b=:aGk=:, c=@1659578233, d=%"f%c3%bc", e=(1 "x";y=2 z)', dict.fromkeys("abcde")),
        ("a=(), b=( 1  2 )", {"a": None, "b": None}),
        ("a=1, a=2", {"a": 2}),
        ("a=-7", {"a": -7}),
        ("a\t,\tb", {"a": True, "b": True}),
    ],
)
def test_a_dictionary_is_read(value: str, expected: dict[str, Item]) -> None:
    assert read(value) == expected


def test_lines_are_joined() -> None:
    assert read("a=1", "b=2") == {"a": 1, "b": 2}


def test_tokens_and_strings_are_told_apart() -> None:
    found = read('a=b, c="b"')
    assert found is not None
    assert [type(each) for each in found.values()] == [Token, str]


@pytest.mark.parametrize(
    "value",
    [
        "max-age=10000, &&&&&",
        "MaX-aGe=3600",
        "max-age =100",
        "max-age= 100",
        "a=1,",
        ",a=1",
        "a=1,,b",
        "a=1 b",
        "a=",
        'a="x',
        'a="\xe4"',
        'a="\\x"',
        "a=1.",
        "a=1.2345",
        "a=1234567890123456",
        "a=?2",
        "a=(1",
        'a=(1"x")',
        "a=:!:",
        "a=@1.5",
        "a=1; X",
        "a=1 ;x",
    ],
)
def test_one_error_makes_the_field_unreadable(value: str) -> None:
    assert read(value) is None


def test_an_absurd_number_of_members_is_unreadable() -> None:
    assert read(",".join(f"a{number}" for number in range(1025))) is None


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_anything_is_read_or_is_not(value: str) -> None:
    found = read(value)
    assert found is None or isinstance(found, dict)


@given(st.dictionaries(st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True), st.integers(-(10**15) + 1, 10**15 - 1)
                       | st.booleans() | st.text(st.characters(min_codepoint=32, max_codepoint=126))))  # fmt: skip
def test_what_is_written_is_read(value: dict[str, Item]) -> None:
    text = b", ".join(key.encode() + b"=" + display(item) for key, item in value.items())
    assert read_dictionary([(b"x", text)], b"x") == value


@pytest.mark.parametrize(
    ("value", "token", "expected"),
    [
        ("tier-a.example", True, b"tier-a.example"),
        ("a tier", True, b'"a tier"'),
        ("1a", True, b'"1a"'),
        ("tier", False, b'"tier"'),
        ('say "\\"', False, b'"say \\"\\\\\\""'),
        ("a\r\nb\xe4", False, b'"a??b?"'),
        (Token("miss"), False, b"miss"),
        (10**20, False, b"999999999999999"),
        (True, False, b"?1"),
    ],
)
def test_items_are_written(value: Item, token: bool, expected: bytes) -> None:
    assert display(value, token=token) == expected
