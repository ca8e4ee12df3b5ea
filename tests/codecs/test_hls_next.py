"""The name of the next segment: counted on where it is confirmed, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.hls_next import next_name


@pytest.mark.parametrize(
    ("names", "following"),
    [
        (["media_w12_2139.ts", "media_w12_2140.ts"], "media_w12_2141.ts"),
        (["x_0098.ts", "x_0099.ts"], "x_0100.ts"),
        (["9.ts", "10.ts"], "11.ts"),
        (["98.ts", "99.ts"], "100.ts"),
        (["0.ts", "1.ts"], "2.ts"),
        (["a5/s1.m4s?k=7", "a5/s2.m4s?k=7"], "a5/s3.m4s?k=7"),
        (["s?n=1", "s?n=2"], "s?n=3"),
        (["5/5.ts", "6/6.ts"], "7/7.ts"),
        (["t100.ts", "t104.ts", "t108.ts"], "t112.ts"),
        (["other.ts", "x8.ts", "x9.ts"], "x10.ts"),
    ],
)
def test_numbers_are_counted_on(names: list[str], following: str) -> None:
    assert next_name(names) == following


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a1.ts"],
        ["a.ts", "b.ts"],
        ["a.ts", "a.ts"],
        ["a1.ts", "b2.ts"],
        ["a1.ts", "a1.ts"],
        ["a2.ts", "a1.ts"],
        ["t100.ts", "t104.ts"],
        ["t100.ts", "t104.ts", "t109.ts"],
        ["t109.ts", "t104.ts", "t99.ts"],
        ["a1.ts?h=3", "a2.ts?h=9"],
        ["a1b.ts", "a2.ts"],
        ["a09.ts", "a10.ts", "a11x.ts"],
        ["a07.ts", "a8.ts"],
        ["a8.ts", "a09.ts"],
        ["a" + "9" * 19, "a1" + "0" * 19],
    ],
)  # fmt: skip
def test_what_is_not_confirmed_is_not_guessed(names: list[str]) -> None:
    assert next_name(names) is None


@given(st.integers(0, 10**12), st.integers(1, 8), st.sampled_from(["{}.ts", "media_w7_{}.ts", "a/{}/b.m4s?x=1"]))
def test_counting_is_counting(start: int, width: int, form: str) -> None:
    names = [form.format(str(number).zfill(width)) for number in range(start, start + 3)]
    assert next_name(names[:2]) == names[2]


@given(st.lists(st.text("a0123456789./", max_size=8), max_size=4))
def test_whatever_is_listed(names: list[str]) -> None:
    following = next_name(names)
    assert following is None or following not in names[-2:]
