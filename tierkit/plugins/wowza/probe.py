"""Asking a Wowza of your own what no recording tells: opt-in, and without changing anything on it.

tierkit's adapter was built on what others have recorded and written of Wowza servers.  What none of them says is a
list, `QUESTIONS`; `probe` answers it for one server, as far as requests that only read can.  Beside GET and HEAD that
is one RTMP connection that asks for a name which nobody has, and one that plays the stream until its first frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import frozen

from tierkit import AddressError, __version__
from tierkit.plugin import Address, Network, Trust

from ._client import WowzaClient
from ._counters import ADMIN_PORT
from ._probe_control import ControlProbe
from ._probe_http import HttpProbe, Target
from ._probe_rows import QUESTIONS as QUESTIONS
from ._probe_rows import Answers, Mask
from ._probe_rows import Row as Row
from ._probe_rtmp import RtmpProbe
from ._rest import REST_PORT

__all__ = ["QUESTIONS", "Report", "Row", "Target", "probe", "target_of"]

#: Of streaming on a stock server, by HTTP and by RTMP.
STREAMING_PORT: Final = 1935
_SECURE_PORT: Final = 443
_POSTFIX = re.compile(r"/(?:playlist|chunklist|manifest)[^/]*\Z", re.IGNORECASE)


@frozen(kw_only=True)
class Report:
    """What a probe has found, fit to be sent to somebody else."""

    #: Of the program that asked.
    tierkit: str = __version__
    rows: tuple[Row, ...] = ()

    @property
    def asked(self) -> int:
        """Rows with an answer."""
        return sum(row.asked for row in self.rows)


def target_of(text: str) -> Target:
    """A stream by its URL: ``http://HOST:1935/live/myStream/playlist.m3u8``, ``rtmp://...`` or ``HOST/live/myStream``.

    Raises AddressError.
    """
    address = Address.parse(text)
    scheme = {"": "http", "rtmp": "http", "rtmps": "https"}.get(address.scheme, address.scheme)
    parts = [each for each in _POSTFIX.sub("", address.path).split("/") if each]
    if scheme not in ("http", "https") or address.wildcard or len(parts) < 2:
        raise AddressError(f"{address} is no stream of a Wowza's: give http://HOST:1935/APP/STREAM/playlist.m3u8")
    port = address.port if address.port is not None else _SECURE_PORT if scheme == "https" else STREAMING_PORT
    # A stream whose name has directories stands behind its instance, always.
    instance, stream = ("", parts[1]) if len(parts) == 2 else (parts[1], "/".join(parts[2:]))
    base = Address(scheme=scheme, host=address.host, port=port)
    return Target(base=base, app=parts[0], instance=instance, stream=stream, query=address.query)


async def probe(
    network: Network,
    clock: Callable[[], float],
    target: Target,
    *,
    admin: Address | None = None,
    rest: Address | None = None,
    rtmp: Address | None = None,
    trust: Trust | None = None,
    idle: float = 0.0,
) -> Report:
    """Ask a Wowza everything that a request which only reads can find out.

    Args:
        admin, rest: its control ports, with credentials; None for one that is not to be asked.
        rtmp: where RTMP is, if not at the target's own port.
        idle: seconds to leave a session and a nonce alone for, to see what becomes of them; 0 is not to.
    """
    answers = Answers(Mask(_own(target, admin, rest)))
    clients = [
        None if address is None else WowzaClient(network, clock, address, port=port, trust=trust)
        for address, port in ((admin, ADMIN_PORT), (rest, REST_PORT))
    ]
    secure = target.base.secure
    base = rtmp or target.base.with_(scheme="rtmps" if secure else "rtmp")
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(HttpProbe(network, clock, target, answers, trust, idle).run)
            nursery.start_soon(ControlProbe(target, answers, clients[0], clients[1], idle).run)
            nursery.start_soon(RtmpProbe(network, base, target, answers, trust).run)
    finally:
        for client in clients:
            if client is not None:
                client.close()
    return Report(rows=answers.rows())


def _own(target: Target, *controls: Address | None) -> Sequence[tuple[str, str]]:
    """What must not stand in a report, and what stands in its place."""
    words = [(target.base.host, "HOST"), (target.stream, "STREAM"), (target.app, "APP"), (target.query, "QUERY")]
    words.append((target.instance if target.instance != "_definst_" else "", "INSTANCE"))
    for each in controls:
        if each is not None:
            words += [(each.host, "HOST"), (each.username, "USER"), (each.password, "PASSWORD")]
    return words
