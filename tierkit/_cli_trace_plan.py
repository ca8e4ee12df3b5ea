"""Whom `tierkit trace` asks: the tiers that a stream comes through, and the origin that it comes from.

What a graph tells of itself (`/statistics`) knows the tiers, where they are bound and what they pull from; which of
several upstreams a tier has used, the Via field of its answer knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from tierkit import Address
from tierkit.errors import AddressError, TierkitError

__all__ = ["HTTP", "RTMP", "Hop", "chain", "everybody", "named_by_via", "owner", "streams"]

HTTP = ("http", "https")
RTMP = ("rtmp", "rtmps")
#: The role of what is no tier of ours.
ELSEWHERE = "origin"
_SERVICE: Mapping[tuple[str, ...], str] = {HTTP: "hls", RTMP: "rtmp"}
_ODD = re.compile(r"[^0-9A-Za-z._-]")


@frozen
class Hop:
    """One place where the stream is, and from where that has it."""

    name: str
    url: Address
    #: Names of those it may have it from; empty at the origin.
    parents: tuple[str, ...] = ()
    #: As the graph tells: viewers, those of them that are chopped, and how far its slowest player is behind.
    figures: Mapping[str, Any] = {}
    #: A tier of the graph, which is asked where it is bound: there its certificate names somebody else.
    ours: bool = True


def streams(tiers: Mapping[str, Any], schemes: tuple[str, ...]) -> list[str]:
    """Paths of what is on air, the one with the most viewers first."""
    found: dict[str, int] = {}
    for tier in tiers.values():
        if _SERVICE[schemes] not in tier.get("services", {}):
            continue
        for each in tier.get("streams", ()):
            if each.get("on_air"):
                path = "/" + str(each.get("path") or each.get("name", "")).lstrip("/")
                found[path] = found.get(path, 0) + int(each.get("viewers", 0))
    return sorted(found, key=lambda path: (-found[path], path))


def everybody(tiers: Mapping[str, Any], path: str, schemes: tuple[str, ...]) -> list[Hop]:
    """Every tier that serves by these schemes, and the origins behind them, upstreams first."""
    found: dict[str, Hop] = {}
    for name in tiers:
        for hop in chain(tiers, name, path, schemes):
            found.setdefault(hop.name, hop)
    return [*found.values()]


def chain(
    tiers: Mapping[str, Any],
    name: str,
    path: str,
    schemes: tuple[str, ...],
    *,
    url: Address | None = None,
    via: Iterable[str] = (),
) -> list[Hop]:
    """The way of a stream to a tier, the origin first.

    Args:
        url: where the viewer has it, where that is known.
        via: tiers that its answer has come through.
    """
    found: list[Hop] = []
    seen: set[str] = set()
    used = set(via)
    while name in tiers and name not in seen:
        seen.add(name)
        tier = tiers[name]
        where = url or _bound(tier, path, schemes)
        upstream = _upstream(tier, used)
        if where is not None:
            parents = (str(upstream["name"]),) if upstream is not None else ()
            found.append(Hop(name, where, parents, tier.get("figures", {}), ours=url is None))
        url = None
        if upstream is None:
            break
        name = str(upstream["name"])
        if name not in tiers and (outside := _outside(upstream, path, schemes)) is not None:
            found.append(Hop(name, outside, ours=False))
    found.reverse()
    return found


def _upstream(tier: Mapping[str, Any], used: set[str]) -> Mapping[str, Any] | None:
    """The upstream that a tier has the stream from: one that the answer names, else the first that is well."""
    told = [each for each in tier.get("upstreams", ()) if isinstance(each, Mapping) and each.get("name")]
    well = [each for each in told if each.get("healthy", True)]
    return next((each for each in (*(one for one in told if one["name"] in used), *well, *told)), None)


def _bound(tier: Mapping[str, Any], path: str, schemes: tuple[str, ...]) -> Address | None:
    for text in tier.get("addresses", ()):
        address = Address.parse(str(text))
        if address.scheme in schemes:
            return address.with_(path=path)
    return None


def _outside(upstream: Mapping[str, Any], path: str, schemes: tuple[str, ...]) -> Address | None:
    try:
        address = Address.parse(str(upstream.get("address", "")))
    except AddressError:
        return None
    if not (address.host or address.unix) or (address.scheme and address.scheme not in schemes):
        return None
    return address.with_(scheme=address.scheme or schemes[0], path=path)


def named_by_via(field: bytes, tiers: Iterable[str]) -> list[str]:
    """The tiers that a Via field names, the nearest to whoever asked last."""
    known = {f"tierkit-{_ODD.sub('-', name)}".encode(): name for name in tiers}
    hops = [each.split()[1] for each in field.split(b",") if len(each.split()) > 1]
    return [known[hop] for hop in hops if hop in known]


def owner(tiers: Mapping[str, Any], url: Address) -> str:
    """The tier that is bound where a URL leads.  Raises TierkitError where none is, or several are."""
    found = []
    for name, tier in tiers.items():
        for text in tier.get("addresses", ()):
            bound = Address.parse(str(text))
            if bound.scheme == url.scheme and bound.dial_port == url.dial_port:
                found.append((bound.host == url.host, name))
    same = {name for exactly, name in found if exactly} or {name for _, name in found}
    if len(same) != 1:
        which = "several tiers" if same else "no tier"
        raise TierkitError(f"{which} may be at {url}: give --control HOST:PORT of the machine that it runs on")
    return same.pop()
