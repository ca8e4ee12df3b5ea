"""What passes the store by may say that what is stored is another by now (RFC 9111 sections 4.3.5 and 4.4)."""

from __future__ import annotations

from contextlib import suppress

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_update import HeadEffect, head_effect, invalidated, merged
from tierkit.codecs.http_vary import vary_key
from tierkit.http import ClientResponse, Request
from tierkit.plugin import NotServed

from ._fetch import Fetcher
from ._objects import Meta
from ._places import Place, Refused
from ._terms import Asked

__all__ = ["Afterwards"]


class Afterwards:
    """Told of what has passed; sees to what is stored."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.fetcher = fetcher

    def passed(self, place: Place, request: Request, response: ClientResponse) -> None:
        """An answer that went to one viewer alone may say that what is stored is another by now."""
        if request.method == "HEAD":
            self._heed_head(place, request.headers, response)
            return
        scheme = "https" if request.connection.secure else "http"
        url = f"{scheme}://{request.host or 'localhost'}{place.path}"
        base = url[: len(url) - len(place.path)]
        for each in invalidated(request.method.encode(), response.status, response.headers, url):
            with suppress(Refused, NotServed):  # nobody could have had that stored
                other = place if each == url else self.fetcher.gate.child(each[len(base) :], place.host)
                self.fetcher.forget(other.key)

    def _heed_head(self, place: Place, request: Headers, response: ClientResponse) -> None:
        names = self.fetcher.varies.get(place.key)
        said = vary_key(names, request) if names is not None else b""
        if said is None:
            return
        entry = self.fetcher.store.get(f"{place.key}\n{said.decode('latin-1')}" if said else place.key)
        if entry is None or entry.meta.status != 200:
            return
        meta: Meta = entry.meta
        match head_effect(meta.fields, entry.length, response.status, response.headers):
            case HeadEffect.UPDATE:
                fields = merged(meta.fields, response.headers)
                asked = Asked(place, request, self.fetcher.ctx.clock())
                lifetime = self.fetcher.terms.lifetime(asked, meta.status, fields, meta.about)
                if lifetime.shared:
                    entry.meta = self.fetcher.terms.meta(asked, meta.status, fields, lifetime, meta.about)
                else:
                    self.fetcher.forget(place.key)
            case HeadEffect.STALE:
                entry.meta = meta.staled(self.fetcher.ctx.clock())
            case HeadEffect.NOTHING:
                pass
