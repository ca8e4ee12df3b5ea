"""What viewers say of themselves, read by the codec that edges read it with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.cmcd import Cmcd, from_fields, from_query
from tierkit.load._cmcd import in_fields, said, with_query

KEYS = said("a-b", "av", live=True, kbps=592, duration=4, buffered=8.04, starved=True, hurry=True)
READ = Cmcd(sid="a-b", ot="av", sf="h", st="l", br=592, d=4000, bl=8000, bs=True, su=True)


def read_fields(text: str) -> Cmcd | None:
    pairs = [line.partition(": ") for line in text.split("\r\n")[:-1]]
    return from_fields((name.lower().encode(), value.encode()) for name, _, value in pairs)


def test_it_is_what_an_edge_reads() -> None:
    assert from_query(with_query("/x", KEYS).partition("?")[2]) == READ
    assert with_query("/x?a=b", KEYS).startswith("/x?a=b&CMCD=bl%3D8000%2Cbr%3D592%2Cbs%2C")
    assert read_fields(in_fields(KEYS)) == READ


def test_of_a_playlist_less_is_said() -> None:
    assert from_query(with_query("/x", said("s", "m", live=False))[3:]) == Cmcd(sid="s", ot="m", sf="h", st="v")


@given(
    st.sampled_from(["m", "a", "v", "av", "i"]),
    st.booleans(),
    st.integers(0, 10**6),
    st.floats(0, 3600),
    st.none() | st.floats(0, 3600),
    st.booleans(),
)
def test_nothing_of_it_is_invalid(
    kind: str, live: bool, kbps: int, duration: float, buffered: float | None, starved: bool
) -> None:
    keys = said("s", kind, live=live, kbps=kbps, duration=duration, buffered=buffered, starved=starved)  # type: ignore[arg-type]
    for found in (from_query(with_query("/", keys)[2:]), read_fields(in_fields(keys))):
        assert found is not None
        assert (found.invalid, found.custom, found.bs) == (0, 0, starved)


@pytest.mark.parametrize("keys", [{"ot": "m"}, {"bs": ""}])
def test_fields_that_have_nothing_to_say_are_left_out(keys: dict[str, str]) -> None:
    assert in_fields(keys).count("\r\n") == 1
