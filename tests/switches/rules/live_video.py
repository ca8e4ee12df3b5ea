"""What breaks live video behind a cache: each pitfall that caches are known for, and what is done about it here."""

import re
import time
from typing import Any, Final

from tierkit.codecs.audience import _Ring
from tierkit.codecs.hls import Kind, classify
from tierkit.codecs.hls_query import Directives
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_lifetime import initial_age
from tierkit.codecs.http_reuse import request_directives
from tierkit.codecs.live_cache import ASSUMED_TARGET, LONGEST_TARGET
from tierkit.plugin import Entry, Filler, Flight, NotShared, Store
from tierkit.plugins.hls._resume import copy_body

from ..switch import Switch

_FILL, _WRITE = Store.fill, Filler.write
_CLASSIFY = classify
_FINISH: Any = Store.__dict__["_finish"]


def _each_by_himself(self: Any, key: str, fill: Any, group: str = "") -> Flight:
    """Who asks joins nobody."""
    self._flights.pop(key, None)
    return _FILL(self, key, fill, group)


async def _clean_end(self: Any, offset: int) -> int:
    """What broke off looks like what has ended."""
    while self.size <= offset and not self.complete:
        if self.failure is not None:
            return 0
        await self._grown.wait()
    return max(0, int(self.size) - offset)


async def _when_whole(self: Any, offset: int) -> int:
    """Nothing before all is there."""
    while not self.complete:
        if self.failure is not None:
            raise self.failure
        await self._grown.wait()
    return max(0, int(self.size) - offset)


def _always_by_range(self: Any, headers: Headers) -> list[tuple[bytes, bytes]]:
    """The rest, also where that is all of it."""
    return [*headers, (b"Range", b"bytes=%d-" % self.at)]


async def _without_end(filler: Any, name: str, response: Any, limit: int) -> None:
    """A body, however long."""
    await copy_body(filler, name, response, 1 << 60)


def _in_targets(fresh: float = 0.5, behind: float = 0.5, if_error: float = 3.0) -> Any:
    """Lifetimes of a playlist by its target duration alone, as shares of that."""

    def lifetime(facts: Any, told: Any, age: float, target: float, *, blocking: bool) -> tuple[float, float, float]:
        unit = min(facts.target_duration, LONGEST_TARGET) or target or ASSUMED_TARGET
        return fresh * unit, behind * unit, if_error * unit

    return lifetime


def _for_readers_alone(self: Any, data: bytes) -> None:
    """A fetch that ends with whoever reads it."""
    if not self.entry.readers:
        raise NotShared("nobody reads it any more")
    _WRITE(self, data)


def _counts_all(self: Any, identity: int, stream: str, now: float, size: int = 0) -> None:
    """Whoever comes is remembered."""
    every = self._all if self._all is not None and now < self._all.turn_at else self._turn(now)
    if identity not in every.new:
        every.add(identity)


def _by_its_folder(self: Any, track: Any, base: str) -> None:
    """A playlist has its folder to itself, and all that it lists."""
    folder = track.path.rpartition("/")[0]
    self._folders.put(folder, base)
    for name in [each for each in self._awaited if each.rpartition("/")[0] == folder]:
        self._awaited.forget(name)
    for name in track.awaited:
        if name.rpartition("/")[0] == folder:
            self._awaited.put(name, base)


def _by_type(path: str, content_type: str = "") -> Kind:
    """What the media type says, and the name where that says nothing."""
    kind = _CLASSIFY("", content_type)
    return _CLASSIFY(path) if kind == "other" else kind


async def _at_the_first(self: Any, ask: Any) -> None:
    """The first failure is the last."""
    await ask()


def _newest(self: Any) -> Entry | None:
    return next((each for each in reversed(self.entries.values()) if not each.readers), None)


async def _at_once(self: Any) -> None:
    pass


GROUPS: Final[dict[str, list[Switch]]] = {
    "A herd when a playlist expires": [
        Switch(
            rule="All who want one object cost one request upstream",
            source="herds at the middle tier, nginx list 2015-09",
            off={"tierkit._store:Store.fill": _each_by_himself},
            tests=("plugins/test_hls_crowd.py::test_one_fetch_for_a_crowd_that_finds_nothing_usable",),
        ),
        Switch(
            rule="A stale playlist is served while one request looks for a newer",
            source="herds at the middle tier, nginx list 2015-09",
            off={
                "tierkit.codecs.live_cache:playlist_lifetime": lambda facts, told, age, target, *, blocking: (
                    facts.pace / 2,
                    0.0,
                    3 * facts.pace,
                )
            },
            tests=("plugins/test_hls_crowd.py::test_one_revalidation_for_a_crowd_that_is_served_stale",),
        ),
        Switch(
            rule="What a parent serves stale is fresh for a moment",
            source="STALE answers that a child cannot keep, nginx list 2015-09",
            off={"tierkit.codecs.live_cache:moment": lambda unit: 0.0},
            tests=("codecs/test_live_cache.py::test_what_is_old_on_arrival_is_fresh_for_a_moment",),
        ),
        Switch(
            rule="That moment is short",
            source="live edges drift apart",
            off={"tierkit.codecs.live_cache:LONGEST_MOMENT": 60.0, "tierkit.codecs.live_cache:MOMENT_SHARE": 5.0},
            tests=("codecs/test_live_cache.py::test_what_is_old_on_arrival_is_fresh_for_a_moment",),
        ),
    ],
    "Reloads past the cache": [
        Switch(
            rule="What viewers ask of caches does not reach the origin of a stream",
            source="thousands of players that reload with no-cache",
            off={"tierkit.plugins.hls._policy:Live.wanted": lambda self, request: request_directives(request)},
            tests=("plugins/test_hls_edge.py::test_reloads_past_the_cache_do_not_reach_the_origin",),
        ),
    ],
    "Waiting for what cannot be shared": [
        Switch(
            rule="An answer that is not for others releases all who wait for it",
            source="waiting list serialisation, Varnish 3461",
            off={"tierkit.plugins.hls._fetch:Fetcher._for_the_lead": lambda self, filler, asked, response: True},
            tests=("plugins/test_hls_crowd.py::test_a_crowd_does_not_queue_behind_what_is_not_for_others",),
        ),
        Switch(
            rule="That an answer was not for others is remembered for a while",
            source="waiting list serialisation, Varnish 3461",
            off={"tierkit.plugins.hls._fetch:Fetcher.passes_by": lambda self, key: False},
            tests=("plugins/test_hls_crowd.py::test_a_crowd_does_not_queue_behind_what_is_not_for_others",),
        ),
        Switch(
            rule="Who may wait for one object, and what may be fetched at once, is bounded",
            source="waiting lists without a cap, Varnish 3461",
            off={"tierkit.plugins.hls._flow:Flow._busy": lambda self: None},
            tests=(
                "plugins/test_hls_crowd.py::test_those_who_wait_are_bounded",
                "plugins/test_hls_crowd.py::test_what_is_asked_upstream_is_bounded",
            ),
        ),
        Switch(
            rule="What broke off upstream is reset for its readers, never ended in order",
            source="truncated bodies that end in order, Apache Traffic Server 9274",
            off={"tierkit._store_entry:Entry.more": _clean_end},
            tests=("plugins/test_hls_crowd.py::test_a_fetch_that_fails_resets_everybody_and_stores_nothing",),
        ),
        Switch(
            rule="What broke off is not stored",
            source="truncated objects in the cache, Apache Traffic Server 9274",
            off={
                "tierkit._store:Store._finish": lambda self, entry, failure, *, keep: _FINISH(
                    self, entry, None, keep=keep
                )
            },
            tests=("store/test_store.py::test_a_fill_that_fails_is_an_error_to_every_reader_and_keeps_nothing",),
        ),
        Switch(
            rule="A body is as long as its head has said",
            source="truncated objects in the cache, Apache Traffic Server 9274",
            off={
                "tierkit._store:Store._finish": lambda self, entry, failure, *, keep: (
                    setattr(entry, "length", entry.size),
                    _FINISH(self, entry, failure, keep=keep),
                )[1]
            },
            tests=("store/test_store.py::test_a_short_fill_is_a_failure",),
        ),
        Switch(
            rule="A body that breaks off before its first byte is asked for from there",
            source="-",
            off={"tierkit.plugins.hls._resume:Copy.ask_for": _always_by_range},
            tests=(
                "plugins/test_hls_upstreams_resume.py::test_a_body_that_breaks_off_before_its_first_byte_is_asked_for_anew",
            ),
        ),
        Switch(
            rule="A body that breaks off goes on from the byte that was reached",
            source="-",
            off={"tierkit.plugins.hls._resume:Copy.may_go_on": lambda self: False},
            tests=("plugins/test_hls_upstreams_resume.py::test_a_body_that_breaks_off_goes_on_at_the_next_upstream",),
        ),
    ],
    "A leader that leaves": [
        Switch(
            rule="A fetch belongs to the store, and goes on without whoever began it",
            source="quick_abort of Squid",
            off={"tierkit._store:Filler.write": _for_readers_alone},
            tests=("plugins/test_hls_crowd.py::test_a_body_arrives_though_nobody_reads_it",),
        ),
    ],
    "Errors that are pinned": [
        Switch(
            rule="Not there is believed for a second",
            source="404 for three minutes at a CDN",
            off={"tierkit.codecs.live_cache:NEGATIVE": 180.0},
            tests=("codecs/test_live_cache.py::test_not_there",),
        ),
        Switch(
            rule="The segment that comes next is waited for",
            source="404 for the next segment",
            off={"tierkit.plugins.hls._fetch:Fetcher.patience": lambda self, place: 0.0},
            tests=("plugins/test_hls_streams.py::test_the_segment_that_comes_next_is_waited_for",),
        ),
        Switch(
            rule="It is waited for for a target duration and no longer",
            source="a viewer who never hears that it is not there",
            off={
                "tierkit.plugins.hls._fetch:Fetcher.patience": lambda self, place: (
                    60.0 if self.streams.awaits(place.only) else 0.0
                )
            },
            tests=(
                "plugins/test_hls_streams.py::test_who_waits_for_what_never_comes_hears_so_after_a_target_duration",
            ),
        ),
        Switch(
            rule="Only what comes next is waited for",
            source="a wait for each mistyped name",
            off={"tierkit.plugins.hls._live:Streams.awaits": lambda self, path: 6.0},
            tests=("plugins/test_hls_streams.py::test_nothing_else_is_waited_for",),
        ),
        Switch(
            rule="Playlists are found by what they list, several in one folder too",
            source="renditions in one folder, segments beside their playlist's",
            off={"tierkit.plugins.hls._live:Streams._find_by": _by_its_folder},
            tests=(
                "plugins/test_hls_streams.py::test_playlists_that_share_a_folder_are_waited_for_each",
                "plugins/test_hls_streams.py::test_segments_may_lie_elsewhere_than_their_playlist",
            ),
        ),
        Switch(
            rule="What nobody may ask for is not asked for ahead, and spoils no playlist",
            source="a playlist that is refused for one odd line",
            off={"tierkit.plugins.hls._fetch:Fetcher._children": lambda self, paths: map(self.gate.child, paths)},
            tests=("plugins/test_hls_streams.py::test_what_nobody_may_ask_for_spoils_no_playlist",),
        ),
        Switch(
            rule="Viewers and their caches keep no refusal",
            source="errors pinned at a CDN",
            off={
                "tierkit.codecs.live_cache:viewers_control": lambda kind, status, lifetime: (
                    b"max-age=%d" % max(1, int(lifetime.fresh))
                    if status == 200 and kind in ("playlist", "mpd")
                    else b""
                )
            },
            tests=("plugins/test_hls_edge.py::test_viewers_keep_no_refusal",),
        ),
        Switch(
            rule="What the origin keeps for one viewer is not shared",
            source="RFC 9111, 5.2.2",
            off={"tierkit.codecs.live_cache:refusal": lambda control, headers, *, missing: ""},
            tests=("codecs/test_live_cache.py::test_what_is_not_for_others",),
        ),
        Switch(
            rule="What varies by what viewers say is not shared",
            source="RFC 9111, 4.1",
            off={
                "tierkit.codecs.live_cache:refusal": lambda control, headers, *, missing: (
                    "private" if control.get("private") == "" else "no-store" * ("no-store" in control and not missing)
                )
            },
            tests=(
                "codecs/test_live_cache.py::test_what_is_not_for_others",
                "plugins/test_hls_edge.py::test_what_is_not_for_others_is_passed_on_for_each",
            ),
        ),
        Switch(
            rule="An error of the server is never stored",
            source="errors pinned at a CDN",
            off={"tierkit.codecs.live_cache:STORED": frozenset({200, 203, 500, 502, 503, 504})},
            tests=("codecs/test_live_cache.py::test_what_is_not_for_others",),
        ),
        Switch(
            rule="Refusals and redirections are for those who wait, not for who comes later",
            source="CPDoS, CCS 2019",
            off={
                "tierkit.codecs.live_cache:for_those_who_wait": lambda status: False,
                "tierkit.codecs.live_cache:STORED": frozenset(range(200, 432)),
            },
            tests=(
                "codecs/test_live_cache.py::test_refusals_and_redirections_are_for_those_who_wait",
                "plugins/test_hls_edge.py::test_other_refusals_and_redirections_are_not_kept",
            ),
        ),
        Switch(
            rule="Who is to say who he is answers for nobody else",
            source="RFC 9110, 15.5.2",
            off={"tierkit.codecs.live_cache:ONE_REQUEST": frozenset()},
            tests=("codecs/test_live_cache.py::test_what_is_not_for_others",),
        ),
        Switch(
            rule="A segment lives for six target durations, for its window, or longer where the origin says so",
            source="segments that end before their playlist does",
            off={"tierkit.codecs.live_cache:segment_lifetime": lambda told, unit, window: told or 0.0},
            tests=("codecs/test_live_cache.py::test_a_segment_knows_its_stream",),
        ),
    ],
    "A playlist that stands still": [
        Switch(
            rule="A playlist is known by its name too, whatever its media type is",
            source="video/mpegurl, frozen for as long as a segment",
            off={"tierkit.codecs.hls:classify": _by_type},
            tests=("codecs/test_hls_playlist.py::test_what_an_object_is",),
        ),
        Switch(
            rule="Viewers are told how long a playlist lives here, whatever the origin says",
            source="max-age=86400 on a playlist, hls.js 1045",
            off={
                "tierkit.codecs.live_cache:viewers_control": lambda kind, status, lifetime: (
                    b"no-store" if status >= 400 else b""
                )
            },
            tests=(
                "plugins/test_hls_edge.py::test_viewers_are_told_how_long_a_playlist_lives_whatever_the_origin_says",
            ),
        ),
        Switch(
            rule="An origin may shorten a playlist's life, and not lengthen it",
            source="grace of 10 s with playlists of 2 s",
            off={
                "tierkit.codecs.live_cache:playlist_lifetime": lambda facts, told, age, target, *, blocking: (
                    told if told is not None else facts.pace / 2,
                    facts.pace / 2,
                    3 * facts.pace,
                )
            },
            tests=(
                "plugins/test_hls_edge.py::test_viewers_are_told_how_long_a_playlist_lives_whatever_the_origin_says",
            ),
        ),
        Switch(
            rule="A playlist is fresh for half a target duration",
            source="RFC 8216bis, B.1",
            off={"tierkit.codecs.live_cache:playlist_lifetime": _in_targets(fresh=1)},
            tests=(
                "plugins/test_hls_edge.py::test_a_playlist_lives_for_half_its_target_duration",
                "codecs/test_live_cache.py::test_lifetimes",
            ),
        ),
        Switch(
            rule="Half a target duration later it is not shown any more while upstream answers",
            source="a grace of 10 s with playlists of 2 s; Varnish 1901",
            off={"tierkit.codecs.live_cache:playlist_lifetime": _in_targets(behind=5)},
            tests=(
                "plugins/test_hls_edge.py::test_a_playlist_lives_for_half_its_target_duration",
                "codecs/test_live_cache.py::test_lifetimes",
            ),
        ),
        Switch(
            rule="Where upstream fails it is shown for three target durations and no longer",
            source="a lull that shows an old window",
            off={"tierkit.codecs.live_cache:playlist_lifetime": _in_targets(if_error=600)},
            tests=(
                "codecs/test_live_cache.py::test_lifetimes",
                "plugins/test_hls_edge.py::test_a_stale_playlist_is_served_while_upstream_fails",
            ),
        ),
        Switch(
            rule="A multivariant playlist lives as long as the origin says, from half a target duration to a minute",
            source="-",
            off={"tierkit.codecs.live_cache:playlist_lifetime": _in_targets()},
            tests=(
                "codecs/test_live_cache.py::test_a_multivariant_playlist_lives_from_half_a_target_duration_to_a_minute",
            ),
        ),
        Switch(
            rule="What was waited for is kept for six target durations",
            source="RFC 8216bis, B.1",
            off={"tierkit.codecs.live_cache:playlist_lifetime": _in_targets()},
            tests=("codecs/test_live_cache.py::test_what_was_waited_for_is_kept_for_who_comes_for_it_now",),
        ),
        Switch(
            rule="A target duration that is misspelt freezes nothing",
            source="-",
            off={"tierkit.codecs.live_cache:LONGEST_TARGET": 1e12},
            tests=("codecs/test_live_cache.py::test_lifetimes",),
        ),
        Switch(
            rule="A playlist never goes back",
            source="a parent that lags, after a failover",
            off={"tierkit.codecs.hls_epoch:regressed": lambda shown, new: False},
            tests=("plugins/test_hls_streams.py::test_a_playlist_never_goes_back",),
        ),
        Switch(
            rule="A playlist that was waited for is told for long only to who waited for it",
            source="a browser's cache that holds the plain playlist for six target durations",
            off={"tierkit.plugins.hls._fetch:Fetcher._show_plainly": lambda self, asked, response, about, text: None},
            tests=("plugins/test_hls_streams.py::test_a_plain_reload_is_not_told_to_keep_what_a_blocking_one_may",),
        ),
        Switch(
            rule="A manifest never goes back",
            source="a parent that lags, after a failover",
            off={"tierkit.codecs.dash:is_older": lambda shown, new: False},
            tests=("codecs/test_dash.py::test_a_version_that_was_made_before_is_older",),
        ),
        Switch(
            rule="A manifest lives for half its update period",
            source="-",
            off={"tierkit.codecs.dash:fresh_for": lambda facts: 60.0},
            tests=("codecs/test_dash.py::test_a_manifest_is_fresh_for_half_of_how_often_it_changes",),
        ),
        Switch(
            rule="What the origin says of a lifetime counts where its class lets it",
            source="origins that send it to say never",
            off={"tierkit.codecs.live_cache:told_lifetime": lambda control: None},
            tests=("plugins/test_hls_edge.py::test_an_origin_may_shorten_a_playlists_life",),
        ),
    ],
    "Ids of clients in names": [
        Switch(
            rule="Query parameters of clients are out of the key",
            source="a cache for each session",
            off={"tierkit.codecs.query:QueryRule.canonical": lambda self, target: target},
            tests=("plugins/test_hls_query.py::test_viewers_with_tokens_of_their_own_share_what_is_stored",),
        ),
        Switch(
            rule="Delivery directives are never ignored",
            source="dropped _HLS_ parameters",
            off={"tierkit.codecs.query:_NEVER": ""},
            tests=("plugins/test_hls_query.py::test_directives_of_low_latency_stay_in_the_key",),
        ),
        Switch(
            rule="An encoded name of a parameter is that name",
            source="ids that get past the rule",
            off={"tierkit.codecs.query:_name": lambda pair: pair.partition(b"=")[0]},
            tests=("codecs/test_query.py::test_a_token_that_is_ours_is_not_passed_on_by_another_spelling",),
        ),
        Switch(
            rule="More parameters than anybody has a use for are not taken apart",
            source="bounded work",
            off={
                "tierkit.codecs.query:_too_many": lambda marked: False,
                "tierkit.codecs.query:check_count": lambda query: None,
            },
            tests=("codecs/test_query.py::test_the_number_of_parameters_is_bounded",),
        ),
        Switch(
            rule="Ids in paths are out of the key",
            source="Wowza's _w ids that differ from origin to origin",
            off={"tierkit.codecs.path_rule:PathRule.canonical": lambda self, target: target},
            tests=("plugins/test_hls_query.py::test_ids_in_paths_are_no_part_of_what_is_asked_for",),
        ),
        Switch(
            rule="A pattern of a path needs no second try",
            source="regular expressions of strangers",
            off={"tierkit.codecs.path_rule:_check_repeats_end": lambda atoms: None},
            tests=("codecs/test_path_rule.py::test_what_may_be_slow_or_is_not_understood_is_refused",),
        ),
        Switch(
            rule="A pattern of a path begins where no repeat runs",
            source="regular expressions of strangers",
            off={"tierkit.codecs.path_rule:_check_starts": lambda atoms, ends: None},
            tests=("codecs/test_path_rule.py::test_what_may_be_slow_or_is_not_understood_is_refused",),
        ),
        Switch(
            rule="What an answer to the edge itself says for one user goes to no viewer",
            source="Set-Cookie on media",
            off={"tierkit.plugins.hls._policy:Live.asks_as_viewer": True},
            tests=("plugins/test_hls_edge.py::test_a_set_cookie_reaches_only_whom_it_was_for",),
        ),
        Switch(
            rule="Cookies reach nobody but whom they were for",
            source="Set-Cookie on media",
            off={"tierkit.codecs.live_cache:COOKIES": frozenset()},
            tests=("plugins/test_hls_edge.py::test_a_set_cookie_reaches_only_whom_it_was_for",),
        ),
        Switch(
            rule="Another session of the same stream is no restart",
            source="a failover that purges what is stored",
            off={"tierkit.codecs.hls_track:Track._name": lambda self, uri: uri},
            tests=("plugins/test_hls_query.py::test_another_session_of_the_same_stream_is_no_restart",),
        ),
        Switch(
            rule="What a source says is peculiar to it is out of the key",
            source="wowzasessionid",
            off={"tierkit._upstream:UpstreamSet.ignored": property(lambda self: ())},
            tests=("plugins/test_hls_query.py::test_a_source_says_what_is_peculiar_to_it",),
        ),
        Switch(
            rule="Parameters that say nothing to a Wowza are out of the key",
            source="wowzasessionid",
            off={"tierkit.plugins.wowza._live:kept_query": lambda query, names: query},
            tests=("plugins/test_hls_query.py::test_parameters_that_say_nothing_to_a_wowza_are_not_passed_on",),
        ),
    ],
    "Counting viewers behind a cache": [
        Switch(
            rule="A token counts for its viewer, in whichever folder, and not for all who got one in that second",
            source="one viewer counted for each folder, and a crowd that comes at once counted as one",
            off={"tierkit.codecs.signed_url:family": lambda token: None},
            tests=(
                "plugins/test_hls_audience.py::test_who_is_handed_tokens_for_other_folders_is_one_viewer",
                "plugins/test_hls_audience.py::test_viewers_whose_urls_were_signed_in_one_second_are_several",
            ),
        ),
        Switch(
            rule="What is signed for one path alone tells nobody apart",
            source="a viewer counted for each segment",
            off={"tierkit.plugins.hls._viewers:_TOKEN": re.compile(rb"[?&](?:token|md5)=([^&]+)")},
            tests=("plugins/test_hls_audience.py::test_who_has_a_link_of_nginxs_for_each_segment_is_one_viewer",),
        ),
        Switch(
            rule="Viewers may be silent for as long as their segments last",
            source="counts that drop to nothing between two requests",
            off={"tierkit.codecs.audience:Audience.pace": lambda self, stream, target_duration, now: None},
            tests=("plugins/test_hls_audience.py::test_viewers_of_long_segments_are_counted_between_them",),
        ),
        Switch(
            rule="Who asks is seen",
            source="session counts that vanish behind a cache",
            off={"tierkit.codecs.audience:Audience.seen": lambda self, identity, stream, now, size=0: None},
            tests=("plugins/test_hls_audience.py::test_viewers_are_told_apart_by_what_they_show",),
        ),
        Switch(
            rule="A token or a session tells viewers at one address apart",
            source="carrier-grade NAT",
            off={
                "tierkit.plugins.hls._viewers:token": lambda target: None,
                "tierkit.plugins.hls._viewers:session_id": lambda target, field=None: None,
            },
            tests=("plugins/test_hls_audience.py::test_viewers_are_told_apart_by_what_they_show",),
        ),
        Switch(
            rule="Who has not asked for a while is gone",
            source="-",
            off={"tierkit.codecs.audience:_Ring.turn": lambda self, now: 0},
            tests=("codecs/test_audience.py::test_who_asks_often_is_one_and_who_stays_away_is_none",),
        ),
        Switch(
            rule="What one window counts is bounded",
            source="memory by made-up sessions",
            off={"tierkit.codecs.audience:Audience.seen": _counts_all},
            tests=("codecs/test_audience.py::test_it_is_bounded_and_says_so",),
        ),
        Switch(
            rule="Streams that are counted are bounded",
            source="memory by made-up paths",
            off={
                "tierkit.codecs.audience:Audience._opened": lambda self, stream, now: self._streams.setdefault(
                    stream, _Ring(self._window, now)
                )
            },
            tests=("codecs/test_audience.py::test_it_is_bounded_and_says_so",),
        ),
    ],
    "A stream that starts again with old names": [
        Switch(
            rule="Names that are used again are known whatever is ignored in them",
            source="tokens that change with each version of a playlist",
            off={"tierkit.plugins.hls._places:Gate.called": lambda self, target: self.name(target)},
            tests=("plugins/test_hls_streams.py::test_names_that_are_used_again_never_mix_whatever_tokens_they_have",),
        ),
        Switch(
            rule="A 304 says that what is shown is what there is",
            source="an older copy taken for a run that began anew",
            off={"tierkit.codecs.hls_track:Track.confirmed": lambda self, now: None},
            tests=("plugins/test_hls_streams.py::test_a_playlist_that_stands_still_does_not_go_back_either",),
        ),
        Switch(
            rule="What is certain to be another run begins an epoch",
            source="the old run's 5.ts, OvenMediaEngine 769",
            off={"tierkit.codecs.hls_epoch:another_run": lambda shown, new, name: ""},
            tests=("codecs/test_hls_track.py::test_a_number_that_has_another_date_is_a_new_epoch_at_once",),
        ),
        Switch(
            rule="What grows from the start, version after version, is believed",
            source="-",
            off={"tierkit.codecs.hls_track:Track._confirmed": lambda self, new: ""},
            tests=("codecs/test_hls_track.py::test_a_short_run_that_begins_again_is_believed_at_the_third_version",),
        ),
        Switch(
            rule="It takes three versions to be believed",
            source="a parent that lags",
            off={"tierkit.codecs.hls_track:CONFIRMED": 1},
            tests=("codecs/test_hls_track.py::test_a_short_run_that_begins_again_is_believed_at_the_third_version",),
        ),
        Switch(
            rule="The same run with a wider window is shown after a while",
            source="-",
            off={"tierkit.codecs.hls_track:Track._wider": lambda self, shown, new, unmoved: ""},
            tests=("codecs/test_hls_track.py::test_a_wider_window_that_reaches_further_is_shown_soon",),
        ),
        Switch(
            rule="What nobody has asked for in a while holds nothing back",
            source="-",
            off={"tierkit.codecs.hls_track:Track._nobody_asked": lambda self, idle: ""},
            tests=("codecs/test_hls_track.py::test_after_a_time_without_viewers_whatever_comes_first_is_shown",),
        ),
        Switch(
            rule="What is all that there is gets shown in the end",
            source="a stream that stands still for good",
            off={"tierkit.codecs.hls_track:Track._patience_is_over": lambda self, unmoved: ""},
            tests=("codecs/test_hls_track.py::test_what_is_held_back_is_shown_when_nothing_newer_comes_for_long",),
        ),
        Switch(
            rule="A late copy of the epoch before is not shown",
            source="two origins around a restart",
            off={"tierkit.codecs.hls_track:Track._late": lambda self, shown, new, mark, now: False},
            tests=("codecs/test_hls_track.py::test_the_epoch_before_comes_back_when_the_new_one_is_dead",),
        ),
        Switch(
            rule="What is stored of the epoch before is forgotten",
            source="the old run's 5.ts, OvenMediaEngine 769",
            off={"tierkit.plugins.hls._fetch:Fetcher.forget": lambda self, key: 0},
            tests=("plugins/test_hls_streams.py::test_a_restart_is_shown_and_what_is_stored_under_its_names_goes",),
        ),
        Switch(
            rule="A name that is listed again under another number is forgotten",
            source="packagers that count to ten",
            off={"tierkit.codecs.hls_track:Track._used_again": lambda self, new, facts: []},
            tests=("codecs/test_hls_track.py::test_a_name_under_another_number_is_purged",),
        ),
        Switch(
            rule="A run that caught up with what it held back may be another",
            source="-",
            off={"tierkit.codecs.hls_track:Track._ambiguous": lambda self, facts: False},
            tests=("codecs/test_hls_track.py::test_a_run_that_has_caught_up_unseen_leaves_nothing_of_the_old_one",),
        ),
        Switch(
            rule="Names that are remembered are bounded",
            source="memory by playlists",
            off={"tierkit.codecs.hls_track:_forget": lambda names, most: None},
            tests=("codecs/test_hls_track.py::test_what_is_remembered_is_bounded",),
        ),
        Switch(
            rule="Dates tell a restart where numbers do not",
            source="-",
            off={"tierkit.codecs.hls_epoch:dates_go_on": lambda shown, new: False},
            tests=("codecs/test_hls_track.py::test_dates_that_go_on_while_numbers_go_back_are_a_new_epoch_at_once",),
        ),
        Switch(
            rule="Discontinuities that contradict the segments tell a restart",
            source="-",
            off={"tierkit.codecs.hls_epoch:discontinuities_contradict": lambda shown, new: False},
            tests=("codecs/test_hls_track.py::test_discontinuities_that_go_the_other_way_are_a_new_epoch",),
        ),
        Switch(
            rule="What was finished and goes on is another run",
            source="-",
            off={"tierkit.codecs.hls_epoch:began_after_the_end": lambda shown, new: False},
            tests=("codecs/test_hls_track.py::test_what_begins_after_the_end_is_a_new_epoch_at_once",),
        ),
        Switch(
            rule="A run that begins further behind than any parent lags is another",
            source="-",
            off={"tierkit.codecs.hls_epoch:began_again_far_behind": lambda shown, new: False},
            tests=("codecs/test_hls_track.py::test_keys_and_init_sections_of_the_old_epoch_go_too",),
        ),
    ],
    "Clocks that are off": [
        Switch(
            rule="The origin's clock makes no live stream stale",
            source="cache-busting by a clock, owncast 1781",
            off={"tierkit.codecs.live_cache:age_value": lambda headers: int(initial_age(headers, time.time()))},
            tests=("codecs/test_live_cache.py::test_lifetimes",),
        ),
    ],
    "Age through tiers": [
        Switch(
            rule="The age that an answer arrives with counts",
            source="lifetimes that add up tier by tier",
            off={"tierkit.codecs.live_cache:age_value": lambda headers: 0},
            tests=("plugins/test_hls_edge.py::test_the_age_of_a_parents_answer_counts",),
        ),
        Switch(
            rule="Age is sent on",
            source="hls.js 6076: low latency cannot tune in",
            off={"tierkit.plugins.hls._objects:Meta.age": lambda self, now: 0.0},
            tests=("plugins/test_hls_edge.py::test_the_age_of_a_parents_answer_counts",),
        ),
    ],
    "Objects without a length": [
        Switch(
            rule="A copy that is shorter than what is listed of it is fetched anew",
            source="EXT-X-BYTERANGE segments of one file that is being written",
            off={"tierkit.plugins.hls._fetch:Fetcher._forget_outgrown": lambda self, reach: None},
            tests=(
                "plugins/test_hls_streams.py::test_a_resource_that_grows_is_fetched_anew_once_more_of_it_is_listed",
            ),
        ),
        Switch(
            rule="What still grows goes to who comes late from its first byte on, at once",
            source="nginx 237",
            off={"tierkit._store_entry:Entry.more": _when_whole},
            tests=(
                "plugins/test_hls_crowd.py::test_who_comes_late_to_a_growing_segment_has_its_beginning_at_once",
                "plugins/test_hls_crowd.py::test_a_thousand_viewers_of_a_slow_cold_segment",
            ),
        ),
        Switch(
            rule="A range of what still grows waits for its last byte",
            source="Varnish PR 3872",
            off={"tierkit.plugins.hls._parts:spans_of": lambda request, meta, length, wall: []},
            tests=("plugins/test_hls_crowd.py::test_a_range_of_a_growing_object_leaves_when_its_bytes_are_there",),
        ),
        Switch(
            rule="A playlist is not served in parts",
            source="another version by the time the rest is asked for",
            off={"tierkit.plugins.hls._parts:in_one_piece": lambda headers: False},
            tests=("plugins/test_hls_ranges.py::test_a_playlist_comes_whole",),
        ),
    ],
    "Low-latency HLS": [
        Switch(
            rule="Who waits for what comes next gets over a short failure upstream",
            source="a reload that cannot be satisfied though the edge has all there is, AetherEngine 446",
            off={"tierkit.plugins.hls._fetch:Fetcher._through_failures": _at_the_first},
            tests=("plugins/test_hls_streams.py::test_who_waits_gets_over_a_short_failure_upstream",),
        ),
        Switch(
            rule="A pace that no stream has is no load upstream",
            source="a misspelt PART-TARGET",
            off={"tierkit.codecs.live_cache:SHORTEST_FRESH": 0.0},
            tests=("plugins/test_hls_streams.py::test_an_absurd_pace_is_no_load_upstream",),
        ),
        Switch(
            rule="What is long over answers no reload",
            source="a player that wakes up, or comes from a run that began anew",
            off={"tierkit.plugins.hls._flow:Flow._is_fresh": lambda self, stored: stored is not None},
            tests=(
                "plugins/test_hls_streams.py::test_what_is_long_over_answers_no_reload",
                "plugins/test_hls_streams.py::test_a_soft_purge_counts_for_reloads_too",
            ),
        ),
        Switch(
            rule="Delivery directives have one spelling in the key",
            source="reordered parameters, dash-hls 50",
            off={
                "tierkit.codecs.hls_query:Directives.render": lambda self: "&".join(
                    f"{name}={value}"
                    for name, value in (
                        ("_HLS_skip", self.skip or None),
                        ("_HLS_part", self.part),
                        ("_HLS_msn", self.msn),
                    )
                    if value is not None
                )
            },
            tests=("codecs/test_hls_query.py::test_directives_have_one_spelling",),
        ),
        Switch(
            rule="Directives are part of the key",
            source="dropped parameters, dash-hls 50",
            off={"tierkit.codecs.hls_query:split_query": lambda query: (Directives(), query)},
            tests=(
                "plugins/test_hls_streams.py::test_a_version_that_nobody_brings_is_503_after_three_target_durations",
            ),
        ),
        Switch(
            rule="What blocks is held for three target durations and no longer",
            source="a dead upstream that blocks for ever",
            off={"tierkit.codecs.hls_query:longest_hold": lambda facts: 100 * facts.pace},
            tests=(
                "plugins/test_hls_streams.py::test_a_version_that_nobody_brings_is_503_after_three_target_durations",
            ),
        ),
        Switch(
            rule="Requests further ahead than any player is are refused",
            source="AetherEngine 446",
            off={"tierkit.codecs.hls_query:screen": lambda directives, facts, *, age=0.0: None},
            tests=("plugins/test_hls_streams.py::test_absurd_directives_cost_nothing_upstream",),
        ),
        Switch(
            rule="Directives that the server does not offer make no key of their own",
            source="a key for each made-up number",
            off={"tierkit.codecs.hls_query:effective": lambda directives, facts: directives},
            tests=("codecs/test_hls_query.py::test_without_can_skip_until_nothing_is_skipped",),
        ),
        Switch(
            rule="A part behind the last of a segment is the first of the next",
            source="RFC 8216bis, 6.2.5.2",
            off={"tierkit.codecs.hls_query:_rolled_over": lambda directives, facts: directives},
            tests=("codecs/test_hls_query.py::test_a_part_behind_the_last_waits_for_the_next_segment",),
        ),
        Switch(
            rule="A reload that need not wait asks nobody",
            source="-",
            off={"tierkit.plugins.hls._live:answers_already": lambda directives, facts: False},
            tests=("plugins/test_hls_streams.py::test_what_is_at_hand_answers_a_reload_that_need_not_wait",),
        ),
        Switch(
            rule="A delta update does not answer who wants the whole",
            source="RFC 8216bis, 6.2.5.1",
            off={"tierkit.codecs.hls_query:satisfied": lambda directives, facts: True},
            tests=("codecs/test_hls_query.py::test_a_delta_update_answers_only_who_asked_for_one",),
        ),
        Switch(
            rule="What is answered at once where it should wait is soon old",
            source="a reload storm, media3 2317",
            off={
                "tierkit.plugins.hls._terms:was_waited_for": lambda wanted, facts: wanted.blocking and facts is not None
            },
            tests=(
                "plugins/test_hls_streams.py::test_what_is_answered_at_once_where_it_should_wait_is_soon_asked_for_again",
            ),
        ),
        Switch(
            rule="Numbers in directives are digits and bounded",
            source="Python's int()",
            off={
                "tierkit.codecs.hls_query:_number": lambda told, name: (
                    int(told[name]) if name in told and told[name].strip().lstrip("+-").isdecimal() else None
                )
            },
            tests=("codecs/test_hls_query.py::test_numbers_are_decimal_and_bounded",),
        ),
        Switch(
            rule="A part without its segment is refused",
            source="RFC 8216bis, 6.2.5.2",
            off={"tierkit.codecs.hls_query:_part_needs_its_segment": lambda found: None},
            tests=("codecs/test_hls_query.py::test_a_part_needs_its_segment",),
        ),
    ],
    "Memory": [
        Switch(
            rule="Everything that is held counts in one budget",
            source="Transient storage without a bound, Varnish 3234",
            off={"tierkit._store:Store._charge": lambda self, entry, size: None},
            tests=(
                "store/test_store.py::test_the_oldest_goes_first",
                "store/test_store.py::test_what_grows_beyond_its_room_fails",
                "plugins/test_hls_edge.py::test_what_finds_no_room_passes_through",
            ),
        ),
        Switch(
            rule="An object has a bounded size",
            source="bodies without an end",
            off={"tierkit.plugins.hls._fetch:copy_body": _without_end},
            tests=("faults/test_upstreams.py::test_more_than_it_was_to_be",),
        ),
        Switch(
            rule="Room for what is new is made of what is old",
            source="in-transit objects of Squid",
            off={"tierkit._store_groups:Groups.victim": lambda self: None},
            tests=("store/test_store.py::test_the_oldest_goes_first",),
        ),
        Switch(
            rule="Nothing is evicted for what will not fit all the same",
            source="a full cache that empties itself for nothing",
            off={"tierkit._store:Store._could_give": lambda self: self.budget},
            tests=("store/test_store.py::test_nothing_is_evicted_for_what_will_not_fit_all_the_same",),
        ),
        Switch(
            rule="The oldest of a stream goes first",
            source="-",
            off={"tierkit._store_groups:_Group.oldest": _newest},
            tests=("store/test_store.py::test_the_oldest_goes_first",),
        ),
        Switch(
            rule="The stream that holds most gives first",
            source="one stream that pushes the others out",
            off={"tierkit._store_groups:_Group.weight": lambda self: 0},
            tests=("store/test_store.py::test_the_fullest_group_gives_its_oldest",),
        ),
        Switch(
            rule="What is kept beside a body counts",
            source="heads of small objects",
            off={"tierkit.plugins.hls._answers:BESIDE": 0, "tierkit.plugins.hls._answers:JOINED": 0},
            tests=("plugins/test_hls_edge.py::test_what_is_kept_beside_small_objects_counts",),
        ),
        Switch(
            rule="Long names and fields count as what they take",
            source="a cache that is full of URLs",
            off={"tierkit.plugins.hls._answers:USUAL": 1 << 40},
            tests=("plugins/test_hls_edge.py::test_long_names_and_long_fields_count",),
        ),
        Switch(
            rule="What has outgrown the store passes through for long",
            source="endless streams over HTTP",
            off={"tierkit.plugins.hls._fetch:OUTGREW_SECONDS": 10.0},
            tests=(
                "plugins/test_hls_edge.py::test_what_outgrows_the_store_without_a_length_is_told_once_and_passes_from_then_on",
            ),
        ),
        Switch(
            rule="A viewer who stalls has a small copy of what is no memfd",
            source="4 MB for each stalled viewer of a range",
            off={"tierkit.plugins.hls._parts:PIECE": 1 << 40},
            tests=("plugins/test_hls_edge.py::test_who_stalls_has_no_copy_of_a_large_object_that_is_no_memfd",),
        ),
        Switch(
            rule="What passes leaves room for what is fetched for all",
            source="slow readers who hold every upstream connection",
            off={"tierkit.plugins.hls._flow:KEPT_FOR_FETCHES": 0},
            tests=("plugins/test_hls_crowd.py::test_those_who_drain_what_passes_slowly_leave_room_for_what_all_want",),
        ),
        Switch(
            rule="Nothing is fetched for a viewer who takes nothing",
            source="64 KiB for each stalled viewer of what passes",
            off={"tierkit._http_response:BodySink.room": _at_once},
            tests=("plugins/test_hls_plain_bodies.py::test_nothing_is_read_from_upstream_for_who_takes_nothing",),
        ),
        Switch(
            rule="Evicted bytes count until their last reader has them",
            source="-",
            off={
                "tierkit._store:Store._maybe_free": lambda self, entry: (
                    setattr(self, "used", self.used - entry.charged),
                    setattr(entry, "charged", 0),
                )[0]
            },
            tests=("store/test_store.py::test_what_is_removed_while_it_is_read_is_read_to_its_end",),
        ),
        Switch(
            rule="What strangers can make us remember is bounded",
            source="keys of 404s",
            off={"tierkit.plugins.hls._objects:REMEMBERED": 1 << 60},
            tests=("plugins/test_hls_edge.py::test_what_strangers_can_have_remembered_is_bounded",),
        ),
    ],
}
