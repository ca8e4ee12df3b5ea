"""When a certificate ends, against what the library that made it says."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.x509 import not_after


def made(end: datetime) -> bytes:
    pem = trustme.CA().issue_cert("a.example", not_after=end).cert_chain_pems[0].bytes().decode()
    return ssl.PEM_cert_to_DER_cert(pem)


UTC_TIME, GENERALIZED_TIME = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
DER = made(UTC_TIME)


# RFC 5280, 4.1.2.5: years up to 2049 have two digits, later ones four.
@pytest.mark.parametrize("end", [UTC_TIME, GENERALIZED_TIME, datetime(2027, 2, 28, 12, 30, 5, tzinfo=UTC)])
def test_it_says_what_it_was_made_with(end: datetime) -> None:
    assert not_after(made(end)) == end.timestamp()


def test_what_stands_behind_it_changes_nothing() -> None:
    assert not_after(DER + b"trailing") == UTC_TIME.timestamp()


def test_cut_off_anywhere_it_says_nothing() -> None:
    assert {not_after(DER[:length]) for length in range(len(DER))} == {None}


@given(st.binary(max_size=300))
def test_any_bytes_are_no_certificate(data: bytes) -> None:
    assert not_after(data) is None


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_one_changed_byte_breaks_nothing(at: int, value: int) -> None:
    found = not_after(DER[:at] + bytes([value]) + DER[at + 1 :])
    assert found is None or isinstance(found, float)


@pytest.mark.parametrize("text", [b"491331235959Z", b"490031235959Z", b"4912312359590", b"491231246000Z"])
def test_a_time_that_is_none(text: bytes) -> None:
    assert not_after(DER.replace(b"491231235959Z", text)) is None
