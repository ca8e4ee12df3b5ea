"""An HTTP cache that knows what HLS is: the edge that viewers fetch from.

Each request takes the first of these that fits:

1. what is stored and fresh (`hits`);
2. what is stored and stale, while one request looks upstream (`stale`);
3. what is stored and older still, where every upstream has failed a moment ago (`stale_if_error`);
4. what one request is fetching already, from its first byte on (`collapsed`);
5. a fetch of its own (`misses`), which belongs to the store and goes on when this viewer leaves;
6. what is stored and stale, where that fetch fails (`stale_if_error`).

An answer that is not for others is passed through, for each viewer by itself (`passed`), and remembered as
such for a moment, so that nobody queues behind it.  The lifetimes stand in `tierkit.codecs.live_cache`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import frozen

from tierkit import AddressError
from tierkit.access import KeyFile
from tierkit.codecs import http_cache
from tierkit.codecs.path_rule import PathRule, path_problem
from tierkit.codecs.query import QueryRule, pattern_problem
from tierkit.codecs.secure_link import expression_problem
from tierkit.codecs.signed_url import DEFAULT_EXPRESSION
from tierkit.codecs.wowza_token import ALGORITHMS, DEFAULT_PREFIX, prefix_problem
from tierkit.events import PluginFailed
from tierkit.http import ClientTimeouts, HttpClient, ServerTimeouts
from tierkit.plugin import Context, Node, Running, Service, Trust, hookimpl, open_store, option

from ._afterwards import Afterwards
from ._answers import Answers
from ._ask import SCHEMES, Asker
from ._edge import Edge, HLSStatistics
from ._elsewhere import Elsewhere, listed
from ._fetch import Fetcher
from ._flow import Bounds, Flow
from ._pass import Passer
from ._places import Gate, bare
from ._policy import Live, Plain, Policy
from ._probe import Prober
from ._secure_token import SecureTokenSigning
from ._signing import LinkSigning, Signing, TokenSigning

__all__ = ["HLS", "HLSStatistics"]

#: Seconds between looks at idle upstream connections.
SWEEP = 5.0


@frozen
class HLS(Service):
    """A caching reverse proxy for HLS, with lifetimes by class and one upstream request for each object."""

    name: ClassVar[str] = "hls"
    roles: ClassVar = frozenset({"edge"})
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    pulls: ClassVar[tuple[str, ...]] = SCHEMES

    policy: str = option(
        "live",
        "How long things live: 'live' by what HLS is, 'rfc9111' as the origin says, for anything over HTTP.",
        choices=("live", "rfc9111"),
    )
    cache_bytes: int = option(
        512 << 20, "Memory for everything that is stored or in flight.", minimum=1 << 20, unit="bytes"
    )
    max_object: int = option(
        64 << 20, "Largest object that is stored; what is larger passes through.", minimum=65536, unit="bytes"
    )
    max_waiters: int = option(
        20_000, "Viewers that may wait for one object's first byte; more are told to come back.", minimum=1
    )
    max_fetches: int = option(
        512, "Requests under way to upstreams at once; what would need more is told to come back.", minimum=1
    )
    prefetch: bool = option(
        True, "With 'live', whether new segments of a playlist that viewers ask for are fetched before they ask."
    )
    heuristic: float = option(
        0.0,
        "With 'rfc9111', the share of its age for which something without a lifetime is fresh; 0.1 is usual.",
        minimum=0,
        maximum=1,
    )
    ignore_query: tuple[str, ...] = option(
        (),
        "Query parameters that are no part of what is asked for, such as 'token', 'CMCD' or 'utm_*'; '*' is all.",
    )
    ignore_path: tuple[str, ...] = option(
        (),
        "Patterns of what in a path is no part of what is asked for, such as r'_w\\d+' for an id of a session; "
        "upstream sees the path as whoever asks first has it.",
    )
    forward_ignored: bool = option(
        False, "Whether upstream sees such parameters all the same, as whoever asks first has them."
    )
    signing: str = option(
        "",
        "Whether URLs must be signed: 'token' (the project's own), 'secure_link' (nginx's), 'wowza' (SecureToken "
        "version 2), or empty for no.",
        choices=("", "token", "secure_link", "wowza"),
    )
    signing_keys: str = option("", "The file of secrets for that: lines of an id and a secret.")
    secure_link_expression: str = option(
        DEFAULT_EXPRESSION, "The expression of nginx's secure_link_md5, with the secret written as $secret."
    )
    wowza_prefix: str = option(
        DEFAULT_PREFIX, "How the parameters of SecureToken begin: its hash query parameter prefix."
    )
    wowza_algorithm: str = option("sha256", "The hash algorithm of SecureToken.", choices=ALGORITHMS)
    wowza_address: bool = option(
        False, "Whether the viewer's address goes into SecureToken's hash (include client IP address)."
    )
    hosts: tuple[str, ...] = option(
        (), "Names that are answered for, as viewers write them; others get 421. Empty answers for any."
    )
    fetch_from: tuple[str, ...] = option(
        (),
        "Other hosts that playlists may name, such as 'media.example' or 'http://10.2.0.7:8080': what they list there "
        "is fetched through this edge too.",
    )
    fetch_networks: tuple[str, ...] = option(
        (), "Networks in which those hosts may be, besides public addresses, such as '10.2.0.0/16'."
    )
    host: str = option(
        "upstream",
        "Which host upstream is asked for: its own ('upstream'), or, with 'rfc9111', the one that the viewer asks for "
        "('viewer'), each with a cache of its own.",
        choices=("upstream", "viewer"),
    )
    cors: str = option(
        "*",
        "With 'live', what Access-Control-Allow-Origin says to players on other sites' pages; empty sends nothing.",
    )
    connect_timeout: float = option(5.0, "Time for connecting to an upstream.", minimum=0.1, maximum=120, unit="s")
    first_byte_timeout: float = option(
        15.0, "Time for an upstream's first byte of an answer.", minimum=0.1, maximum=600, unit="s"
    )
    between_bytes_timeout: float = option(
        15.0, "Longest pause within an upstream's answer.", minimum=0.1, maximum=600, unit="s"
    )
    hedge_after: float = option(
        0.0,
        "Time without the head of an answer after which the next upstream is asked as well; 0 never.",
        minimum=0,
        maximum=60,
        unit="s",
    )
    health_path: str = option(
        "", "What each upstream is asked for now and then, to know early who is down: /healthz or a playlist."
    )
    health_every: float = option(
        5.0, "Time between two such requests to one upstream.", minimum=0.5, maximum=600, unit="s"
    )
    same_bytes: bool = option(
        False,
        "Whether upstreams give the same bytes under a segment's name: one then goes on where another breaks off, "
        "also without an ETag.",
    )
    hash_by: str = option(
        "object",
        'What upstreams are chosen by where their policy is "hash": each object by itself, or its folder.',
        choices=("object", "folder"),
    )
    idle_timeout: float = option(
        60.0, "Time that a viewer's connection may rest between requests.", minimum=1, maximum=3600, unit="s"
    )
    stall_timeout: float = option(
        30.0,
        "Time for which a viewer may take nothing of what is sent.",
        minimum=1,
        maximum=3600,
        unit="s",
    )
    send_timeout: float = option(
        600.0,
        "Time that a viewer may take for one answer: what is being read cannot be evicted. Varnish has 600 s, too.",
        minimum=1,
        maximum=86400,
        unit="s",
    )

    def problems(self) -> list[str]:
        """What is wrong with this recipe by itself, one line each."""
        found = super().problems()
        if not (str(self.cors).isascii() and str(self.cors).isprintable()):
            found.append(
                f"option cors={self.cors!r} cannot stand in a header: give '*' or one origin such as https://a.example"
            )
        found += [f"option ignore_query: {told}" for each in self.ignore_query if (told := pattern_problem(str(each)))]
        found += [f"option ignore_path: {told}" for each in self.ignore_path if (told := path_problem(str(each), ""))]
        if self.signing == "secure_link" and (told := expression_problem(self.secure_link_expression)):
            found.append(f"option secure_link_expression: {told}")
        if told := prefix_problem(str(self.wowza_prefix)):
            found.append(f"option wowza_prefix: {told}")
        found += self._elsewhere_problems()
        if bool(self.signing) != bool(self.signing_keys):
            found.append("options signing and signing_keys belong together: give both, or neither")
        if self.health_path and not str(self.health_path).startswith("/"):
            found.append(f"option health_path={self.health_path!r} is no path: give for instance '/healthz'")
        return found

    def _elsewhere_problems(self) -> list[str]:
        found = []
        for each in self.fetch_from:
            try:
                listed(each)
            except AddressError as error:
                found.append(f"option fetch_from: {error}")
        try:
            Trust(networks=self.fetch_networks)
        except AddressError as error:
            found.append(f"option fetch_networks: {error}")
        if self.host == "viewer" and self.policy != "rfc9111":
            found.append("option host='viewer' is for policy='rfc9111': streams are known by their paths")
        if self.fetch_from and self.policy != "live":
            found.append("option fetch_from is for policy='live': a plain cache reads no playlists")
        return found

    def _signing(self, ctx: Context) -> Signing | None:
        if not self.signing:
            return None
        keys = KeyFile(
            self.signing_keys,
            ctx.clock,
            option="signing_keys",
            tell=lambda reason: ctx.emit(PluginFailed(plugin=self.name, reason=reason)),
        )
        if self.signing == "token":
            return TokenSigning(keys, time.time)
        if self.signing == "secure_link":
            return LinkSigning(keys, time.time, self.secure_link_expression)
        return SecureTokenSigning(
            keys,
            time.time,
            prefix=self.wowza_prefix,
            algorithm=self.wowza_algorithm,
            with_address=self.wowza_address,
        )

    def _policy(self) -> Policy:
        if self.policy == "live":
            return Live()
        return Plain(http_cache.Policy(heuristic=self.heuristic))

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        timeouts = ClientTimeouts(
            connect=self.connect_timeout, first_byte=self.first_byte_timeout, between_bytes=self.between_bytes_timeout
        )
        viewers = ServerTimeouts(idle=self.idle_timeout, stall=self.stall_timeout, answer=self.send_timeout)
        bounds = Bounds(viewers=viewers, waiters=self.max_waiters, fetches=self.max_fetches)
        client = HttpClient(ctx.network, ctx.clock, timeouts=timeouts)
        policy = self._policy()
        answers = Answers(ctx.tier, self.cors if policy.own_cors else "")
        signing = self._signing(ctx)
        signed = signing.parameters if signing is not None else ()
        ignored = tuple(dict.fromkeys((*self.ignore_query, *ctx.upstream.ignored)))
        # What was signed for us is for nobody upstream.
        rule = QueryRule(ignored, drop=signed, forward=self.forward_ignored) if ignored or signed else None
        elsewhere = Elsewhere(self.fetch_from, self.fetch_networks)
        gate = Gate(
            ctx.tier,
            answers.pseudonym,
            ctx.upstream,
            frozenset(map(bare, self.hosts)),
            rule,
            elsewhere,
            paths=PathRule((each, "") for each in self.ignore_path) if self.ignore_path else None,
            by_host=self.host == "viewer",
        )
        asker = Asker(ctx, client, elsewhere)
        async with trio.open_nursery() as nursery, open_store(self.cache_bytes, ctx.network.descriptors) as store:
            nursery.start_soon(_sweep, client, name=f"{ctx.tier} sweeps idle upstream connections")
            self._look_after(asker, nursery)
            fetcher = Fetcher(
                ctx, store, asker, answers, policy, gate, prefetch=self.prefetch, max_object=self.max_object
            )
            passer = Passer(ctx.tier, asker, answers, policy, nursery, Afterwards(fetcher))
            flow = Flow(ctx, store, gate, policy, answers, fetcher, passer, bounds, signing)
            nursery.start_soon(flow.watch.run, name=f"{ctx.tier} looks whose picture stands still")
            try:
                yield Edge(flow, client, viewers)
            finally:
                nursery.cancel_scope.cancel()
                client.close()

    def _look_after(self, asker: Asker, nursery: trio.Nursery) -> None:
        """Have it treat the upstreams as this recipe says."""
        asker.hedge_after, asker.same_bytes = self.hedge_after, self.same_bytes
        asker.together = self.hash_by == "folder"
        if self.health_path:
            prober = Prober(asker.ctx, asker.client, asker.health, self.health_path, self.health_every)
            nursery.start_soon(prober.run, name=f"{asker.ctx.tier} probes its upstreams")


async def _sweep(client: HttpClient) -> None:
    """Close upstream connections that nobody has needed for a while."""
    while True:
        await trio.sleep(SWEEP)
        client.sweep()


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `HLS`."""
    return [HLS]
