"""When a certificate ends: the one thing of X.509 (RFC 5280) that an operator is woken for.

Whether a certificate is good is OpenSSL's to say.  Python's `ssl` does not tell what a server's own certificate says of
itself, so its two dates are read here: down the nested elements of its DER to `validity` (section 4.1.2.5), past all
that stands before it.
"""

from __future__ import annotations

from calendar import timegm
from re import compile as pattern
from typing import Final

__all__ = ["not_after"]

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0
_TIME: Final = pattern(rb"(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
#: Bytes of a length that are read: certificates are of a few kilobytes.
_MAX_LENGTH: Final = 4


def not_after(der: bytes) -> float | None:
    """When a certificate ends, seconds since 1970; None for what is no certificate, or says it in another way.

    Args:
        der: the certificate.
    """
    try:
        body = _content(_content(der, _SEQUENCE), _SEQUENCE)
        # version (optional), serialNumber, signature, issuer, validity
        for _ in range(4 if body[:1] == bytes([_VERSION]) else 3):
            body = body[_element(body)[2] :]
        validity = _content(body, _SEQUENCE)
        tag, start, end = _element(validity := validity[_element(validity)[2] :])
        return _time(tag, validity[start:end])
    except ValueError:
        return None


def _element(data: bytes) -> tuple[int, int, int]:
    """The first element of some: its tag, and where its content begins and ends.  Raises ValueError."""
    if len(data) < 2:
        raise ValueError("cut off")
    length, start = data[1], 2
    if length & 0x80:
        octets = length & 0x7F
        start += octets
        if not 0 < octets <= _MAX_LENGTH or len(data) < start:
            raise ValueError("no length")
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("cut off")
    return data[0], start, start + length


def _content(data: bytes, wanted: int) -> bytes:
    tag, start, end = _element(data)
    if tag != wanted:
        raise ValueError("another element")
    return data[start:end]


def _time(tag: int, text: bytes) -> float:
    found = _TIME.fullmatch(text)
    if found is None or len(found[1]) != {_UTC_TIME: 2, _GENERALIZED_TIME: 4}.get(tag):
        raise ValueError("no time")
    year, month, day, hour, minute, second = map(int, found.groups())
    if tag == _UTC_TIME:  # 4.1.2.5.1: 50 to 99 are of the last century
        year += 1900 if year >= 50 else 2000
    if not (year and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        raise ValueError("no such time")
    return float(timegm((year, month, day, hour, minute, second)))
