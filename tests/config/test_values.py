"""Sizes, times and the like: what people write, and what is told when it cannot be meant."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Address
from tierkit._config_values import read_value
from tierkit.config import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("65536", 65536),
        ("1B", 1),
        ("512MiB", 512 << 20),
        ("512 MiB", 512 << 20),
        ("512mib", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5KiB", 1536),
        ("500MB", 500_000_000),
        ("1kB", 1000),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "512m", "512M", "5Mb", "5Gb", "-1", "1e6", "1,5MiB", "0x10", "1.5", "5MiBx"]
)
def test_sizes_that_could_mean_several_things_or_none(text: str) -> None:
    with pytest.raises(ValueError, match="such as 512MiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2.0),
        ("2.5", 2.5),
        ("2s", 2.0),
        ("2 s", 2.0),
        ("500ms", 0.5),
        ("100ms", 0.1),
        ("1m", 60.0),
        ("1min", 60.0),
        ("1m30s", 90.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "2x", "2 seconds", "-2s", "1:30", "2s!", "nan", "inf", "-2", "1e9"])
def test_times_that_mean_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="such as 2s"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_any_size_is_read_back(size: int) -> None:
    assert parse_size(str(size)) == size
    assert parse_size(f"{size}KiB") == size * 1024


@given(st.integers(min_value=0, max_value=10**7))
def test_any_time_is_read_back(milliseconds: int) -> None:
    assert parse_duration(f"{milliseconds}ms") == milliseconds / 1000
    assert parse_duration(f"{milliseconds}s") == milliseconds


@given(st.text(max_size=20) | st.from_regex(r"[0-9.]{1,4} ?[a-zA-Z]{0,3}", fullmatch=True))
def test_any_other_text_is_a_value_error_and_nothing_else(text: str) -> None:
    for parse in (parse_size, parse_duration):
        try:
            found = parse(text)
        except ValueError:
            continue
        assert 0 <= found < float("inf")


@pytest.mark.parametrize(
    ("value", "hint", "unit", "expected"),
    [
        ("512MiB", int, "bytes", 512 << 20),
        ("1.5s", float, "s", 1.5),
        ("250ms", float, "ms", 250.0),
        ("2s", int, "ms", 2000),
        ("90s", int, "s", 90),
        ("12", int, "", 12),
        ("-1.5", float, "", -1.5),
        ("yes", bool, "", True),
        ("Off", bool, "", False),
        ("a=b c", str, "", "a=b c"),
        ("a, b,", tuple[str, ...], "", ("a", "b")),
        ("1,2", list[int], "", [1, 2]),
        ("a", frozenset[str], "", frozenset("a")),
        ("1,x", tuple[int, str], "", (1, "x")),
        ("3", int | None, "", 3),
        ("3", str | int, "", 3),
        ("x", str | int, "", "x"),
        ("1GiB", int | None, "bytes", 1 << 30),
        ("a", Literal["a", "b"], "", "a"),
        ("http://h:1", Address, "", Address("http", "h", 1)),
    ],
)
def test_text_from_the_command_line(value: str, hint: Any, unit: str, expected: object) -> None:
    found = read_value(value, hint, unit=unit, text=True)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "complaint"),
    [
        ("1.5", int, "give a whole number"),
        ("many", float, "give a number"),
        ("nan", float, "give a number"),
        ("1e999", float, "smaller"),
        ("maybe", bool, "give true or false"),
        ("1,2,3", tuple[int, int], "give 2 values"),
        ("1,b", tuple[int, ...], "give a whole number"),
        ("x", int | float, "give a"),
        ("[", Address, "odd IPv6"),
        ("c", Literal["a", "b"], "does not fit"),
    ],
)
def test_text_that_does_not_fit(value: str, hint: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_value(value, hint, text=True)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (2.5, float, 2.5),
        (True, bool, True),
        ("x", str, "x"),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        ("a", tuple[str, ...], ("a",)),
        ("a,b", tuple[str, ...], ("a,b",)),
        ([[1, 2], [3, 4]], tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
    ],
)
def test_values_from_toml(value: object, hint: Any, expected: object) -> None:
    found = read_value(value, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "complaint"),
    [
        ("3", int, "without quotes"),
        (True, int, "a whole number"),
        (2.0, int, "a whole number"),
        (True, float, "give a number"),
        ("true", bool, "without quotes"),
        (1, bool, "true or false"),
        (3, str, "in quotes"),
        (3, tuple[str, ...], "give a list"),
        ([1], tuple[str, ...], "in quotes"),
        (3, Address, "address as a string"),
    ],
)
def test_values_of_the_wrong_type_in_toml(value: object, hint: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_value(value, hint)
