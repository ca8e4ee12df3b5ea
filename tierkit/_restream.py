"""A server elsewhere that streams are pushed to, each at a URL that the server has given us: restreaming.

`Relay(push=(Origin(...), ...))` pushes a stream to the same path there.  A service such as YouTube's has paths of its
own, most often with a key in the last segment, and a second address to fall back on:

    Restream("youtube", "rtmp://a.rtmp.youtube.com/live2/KEY", streams="live/main",
             backups="rtmp://b.rtmp.youtube.com/live2/KEY?backup=1")

The key is a credential: addresses of a Restream are shown without their last segment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from attrs import field, frozen

from ._address import Address
from ._model import Node
from ._plugin import LiveSource, Role
from .errors import NotServed, UpstreamError

__all__ = ["PushSource", "Restream"]

_PLACE = re.compile(r"\{([^{}]*)\}")
_PLACES = ("{app}", "{name}")


def _keyed(value: str | Address) -> Address:
    address = Address.parse(value)
    # What ends in a name of ours is no key.
    return address.with_(keyed="{name}" not in address.path.rpartition("/")[2])


def _all_keyed(value: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    return tuple(map(_keyed, (value,) if isinstance(value, (str, Address)) else value))


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Restream(Node):
    """A push target with URLs of its own: `Relay(push=Restream(...))`.

    ``{name}`` in an address is the last segment of the stream's path, ``{app}`` all before it: with them one target
    takes several streams.
    """

    #: The URL of a stream there, with its key and with credentials where it asks for them.
    address: Address = field(converter=_keyed)
    #: Which streams are pushed there: ``app/name``, or what they begin with and a ``*``; empty means all.
    streams: tuple[str, ...] = field(default=(), kw_only=True, converter=_strings)
    #: Further URLs, tried in order while those before them fail.
    backups: tuple[Address, ...] = field(default=(), kw_only=True, converter=_all_keyed)

    @property
    def role(self) -> Role:
        return "restream"

    @property
    def runs(self) -> bool:
        return False

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The address and its backups, in order."""
        return (self.address, *self.backups)

    @property
    def schemes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.scheme for each in self.addresses))

    def takes(self, path: str) -> bool:
        """Whether the stream at `path` is pushed there."""
        name = path.strip("/")
        wanted = [each.strip("/") for each in self.streams]
        return not wanted or any(name.startswith(w[:-1]) if w.endswith("*") else name == w for w in wanted)

    def problems(self) -> Iterator[str]:
        """What is wrong with it by itself, one line each."""
        several = len(self.streams) != 1 or self.streams[0].endswith("*")
        for address in self.addresses:
            if address.wildcard or not address.scheme:
                yield f"{address} is no URL to push to: write rtmp://HOST/APP/KEY"
            elif len([each for each in address.path.split("/") if each]) < 2:
                yield f"{address} names no stream: write {address.scheme}://{address.authority}/APP/KEY"
            odd = [each for each in _PLACE.findall(address.path + address.query) if f"{{{each}}}" not in _PLACES]
            if odd:
                yield f"{{{odd[0]}}} in {address} means nothing: choose {' or '.join(_PLACES)}"
            if several and "{name}" not in address.path + address.query:
                yield (
                    f"streams would collide at {address}: name one in streams='APP/NAME', "
                    "or write {name} where the stream's name stands"
                )


class PushSource(LiveSource):
    """One of a Restream's addresses."""

    def __init__(self, recipe: Restream, address: Address) -> None:
        self.schemes = frozenset({address.scheme})
        self._recipe = recipe
        self._address = address

    @property
    def scope(self) -> str:
        """A stream that is pushed there."""
        first = self._recipe.streams[0] if self._recipe.streams else "app/*"
        return "/" + first.strip("/").replace("*", "name")

    def takes(self, path: str) -> bool:
        return self._recipe.takes(path)

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        """The URL there; a query of ours stays here.  Raises NotServed for a stream that is not pushed there."""
        only = path.partition("?")[0]
        if not self.takes(only):
            raise NotServed(f"{only} is none of the streams of {self._recipe.name}")
        if self._address.scheme not in schemes:
            raise UpstreamError(self._recipe.name, f"is for {self._address.scheme}, not {' or '.join(sorted(schemes))}")
        app, _, name = only.strip("/").rpartition("/")
        places = {"app": app, "name": name}

        def filled(text: str) -> str:
            return _PLACE.sub(lambda match: places.get(match.group(1), match.group(0)), text)

        return self._address.with_(path=filled(self._address.path), query=filled(self._address.query))
