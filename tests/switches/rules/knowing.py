"""What the edge knows of what it carries: URIs, playlists, tokens, other hosts, purges; and the plain cache."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from ipaddress import IPv6Network
from typing import Any, Final

from tierkit.codecs import signed_url
from tierkit.codecs.hls_uris import Target, resolve
from tierkit.plugin import Candidate
from tierkit.plugins.hls._elsewhere import Elsewhere
from tierkit.plugins.hls._objects import Meta

from ..switch import Switch

_ALL = IPv6Network("::/0")
_SIGNATURE: Any = signed_url.__dict__["_signature"]


def _whoever(self: Elsewhere, path: str) -> Candidate | None:
    """Whoever a path names."""
    if not path.startswith("/-/"):
        return None
    return Elsewhere([f"http://{path[3:].partition('/')[0]}"], ["0.0.0.0/0"]).candidate(path)


async def _no_hints(self: Any, status: int, headers: Any) -> None:
    pass


def _as_written(playlist: bytes, path: str, *, hosts: Any = ()) -> Callable[[str], Target]:
    """What URIs mean where nobody knows of variables."""
    return partial(resolve, path, hosts=hosts)


async def _as_it_came(self: Any, place: Any, request: Any, candidate: Any, target: Any, response: Any) -> None:
    """Nothing that passes is read."""


def _any_address(key: Any, prefix: str, life: str, address: str) -> str:
    """A signature that is good from everywhere."""
    return _SIGNATURE(key, prefix, life, "")


GROUPS: Final[dict[str, list[Switch]]] = {
    "URIs of playlists": [
        Switch(
            rule="A URI that two readers take for different things is nowhere",
            source="control characters, backslashes",
            off={"tierkit.codecs.hls_uris:_ODD": __import__("re").compile("(?!)")},
            tests=("codecs/test_hls_uris.py::test_what_two_readers_take_for_two_things_is_nowhere",),
        ),
        Switch(
            rule="An authority is a host and a port, and nothing else",
            source="user names, empty authorities",
            off={"tierkit.codecs.hls_uris:_AUTHORITY": __import__("re").compile(".*\\Z")},
            tests=("codecs/test_hls_uris.py::test_what_two_readers_take_for_two_things_is_nowhere",),
        ),
        Switch(
            rule="An encoded dot is a dot",
            source="browsers",
            off={"tierkit.codecs.hls_uris:_without_dots": lambda path: path},
            tests=("codecs/test_hls_uris.py::test_relative_references_are_here",),
        ),
        Switch(
            rule="Variables that grow are cut",
            source="a megabyte that is named a thousand times",
            off={"tierkit.codecs.hls_uris:MAX_EXPANDED": 1 << 40},
            tests=("codecs/test_hls_uris.py::test_variables_make_no_endless_uri",),
        ),
        Switch(
            rule="A new URI cannot break out of its line or its quotes",
            source="tags for everybody who shares the playlist",
            off={"tierkit.codecs.hls_rewrite:_checked": lambda old, new, place: new},
            tests=("codecs/test_hls_uris.py::test_no_uri_breaks_out_of_its_place",),
        ),
        Switch(
            rule="Every attribute that is a URI is rewritten",
            source="-",
            off={"tierkit.codecs.hls_rewrite:URI_ATTRIBUTES": {"#EXT-X-KEY": frozenset({"URI"})}},
            tests=("codecs/test_hls_uris.py::test_every_uri_is_found_and_nothing_else",),
        ),
        Switch(
            rule="Only a playlist is rewritten",
            source="-",
            off={"tierkit.codecs.hls_lines:is_playlist": lambda text: True},
            tests=("codecs/test_hls_uris.py::test_what_is_no_playlist_is_not_rewritten",),
        ),
    ],
    "Playlists and manifests": [
        Switch(
            rule="Seconds in playlists are decimals and bounded",
            source="`inf`, `nan`, `1e9`",
            off={"tierkit.codecs.hls_read:_seconds": lambda text, longest=1.0: float(text or 0)},
            tests=("codecs/test_hls_read.py::test_odd_seconds_are_none",),
        ),
        Switch(
            rule="Skipped segments are bounded",
            source="a delta update that skips a billion",
            off={"tierkit.codecs.hls_read:MAX_SKIPPED": 1 << 60},
            tests=("codecs/test_hls_read.py::test_an_absurd_number_of_skipped_segments_is_not_told",),
        ),
        Switch(
            rule="The name that comes next follows from several, not from one",
            source="a wait for each mistyped name",
            off={"tierkit.codecs.hls_next:_alike": lambda a, b: True},
            tests=("codecs/test_hls_next.py::test_what_is_not_confirmed_is_not_guessed",),
        ),
        Switch(
            rule="Numbers keep their width",
            source="`009`, `010`",
            off={"tierkit.codecs.hls_next:_padded_alike": lambda a, b: True},
            tests=("codecs/test_hls_next.py::test_what_is_not_confirmed_is_not_guessed",),
        ),
        Switch(
            rule="A manifest's attributes are bounded",
            source="memory by manifests",
            off={"tierkit.codecs.dash:MAX_ATTRIBUTES": 1 << 40},
            tests=("codecs/test_dash.py::test_what_is_no_manifest_is_said_in_one_line",),
        ),
        Switch(
            rule="A manifest's head is bounded",
            source="memory by manifests",
            off={"tierkit.codecs.dash:MAX_HEAD": 1 << 40},
            tests=("codecs/test_dash.py::test_what_is_no_manifest_is_said_in_one_line",),
        ),
        Switch(
            rule="A manifest's durations are bounded",
            source="`PT99999999999999S`",
            off={"tierkit.codecs.dash:LONGEST": 1e300},
            tests=("codecs/test_dash.py::test_durations_are_read_by_table",),
        ),
        Switch(
            rule="What one playlist has fetched ahead is bounded",
            source="a late edge that asks for a whole window",
            off={"tierkit.codecs.hls_track:PREFETCH": 1000},
            tests=("codecs/test_hls_track.py::test_new_segments_are_fetched_ahead_newest_first_and_few",),
        ),
        Switch(
            rule="Fetching ahead keeps within the bound on fetches",
            source="a playlist that takes every place",
            off={"tierkit.plugins.hls._flow:Flow.may_fetch": lambda self: True},
            tests=("plugins/test_hls_streams.py::test_what_is_fetched_ahead_keeps_within_the_bound",),
        ),
        Switch(
            rule="URIs at the origin's own name stay at the edge",
            source="viewers that leave the edge",
            off={"tierkit.plugins.hls._elsewhere:own_name": lambda address: ""},
            tests=("plugins/test_hls_streams.py::test_uris_at_the_origins_own_name_stay_at_the_edge",),
        ),
        Switch(
            rule="A playlist has a bounded size",
            source="memory by playlists",
            off={"tierkit.plugins.hls._reading:MAX_PLAYLIST": 1 << 40},
            tests=("plugins/test_hls_edge.py::test_an_endless_playlist_is_no_playlist",),
        ),
        Switch(
            rule="A compressed playlist is not unpacked",
            source="decompression bombs",
            off={"tierkit.plugins.hls._reading:is_compressed": lambda headers: False},
            tests=("plugins/test_hls_edge.py::test_a_compressed_playlist_is_not_unpacked",),
        ),
    ],
    "Other hosts that playlists name": [
        Switch(
            rule="Only hosts that are listed are asked",
            source="server-side request forgery, mediaflow-proxy 284",
            off={"tierkit.plugins.hls._elsewhere:Elsewhere.candidate": _whoever},
            tests=("plugins/test_hls_elsewhere.py::test_nobody_else_is_asked",),
        ),
        Switch(
            rule="A host must be where its operator says, whatever its name is answered with",
            source="DNS rebinding",
            off={"tierkit._networks:Networks.__contains__": lambda self, host: True},
            tests=("plugins/test_hls_elsewhere.py::test_a_name_that_leads_to_this_machine_is_not_followed",),
        ),
        Switch(
            rule="Private, loopback, link-local, shared and multicast addresses are not public",
            source="169.254.169.254",
            off={"tierkit._networks:is_public": lambda address: True},
            tests=("core/test_networks.py::test_not_public",),
        ),
        Switch(
            rule="An address behind a gateway between IPv6 and IPv4 is as public as the one that it stands for",
            source="NAT64 and 6to4 into a private network",
            off={"tierkit._networks:translated": lambda address: None, "tierkit._networks:UNICAST": _ALL},
            tests=("core/test_networks.py::test_not_public",),
        ),
        Switch(
            rule="An IPv4 address in its IPv6 spelling is the same one",
            source="::ffff:127.0.0.1",
            off={"tierkit._networks:plain": lambda address: address},
            tests=("core/test_networks.py::test_a_network_has_its_addresses_in_either_spelling",),
        ),
        Switch(
            rule="Credentials for here are not for there",
            source="a browser would not send them",
            off={"tierkit.plugins.hls._pass:without_credentials": lambda headers: headers},
            tests=("plugins/test_hls_elsewhere.py::test_credentials_for_here_are_not_for_there",),
        ),
    ],
    "Signed URLs": [
        Switch(
            rule="A token ends",
            source="-",
            off={"tierkit.codecs.signing:check_time": lambda expires, now, *, start=None, slack=0.0: None},
            tests=("codecs/test_signed_url.py::test_until_when",),
        ),
        Switch(
            rule="A token has an end that is believed",
            source="a token for ever",
            off={"tierkit.codecs.signing:LONGEST": 10**12},
            tests=("codecs/test_signed_url.py::test_until_when",),
        ),
        Switch(
            rule="A path that another server reads as one in another folder is never good",
            source="`/live/s/..%2f..`",
            off={"tierkit.codecs.signing:check_path": lambda path: None},
            tests=("codecs/test_signed_url.py::test_a_path_that_may_lead_elsewhere_is_never_good",),
        ),
        Switch(
            rule="Dots in front of a path parameter are dots",
            source="`..;/`",
            off={"tierkit.codecs.signing:_DOTS": __import__("re").compile(rb"(?:\A|/)\.\.?(?:/|\Z)")},
            tests=("codecs/test_signed_url.py::test_a_path_that_may_lead_elsewhere_is_never_good",),
        ),
        Switch(
            rule="An address has one spelling",
            source="2001:DB8::1",
            off={"tierkit.codecs.signing:plain_address": lambda text: text},
            tests=("codecs/test_signed_url.py::test_an_address_has_one_spelling",),
        ),
        Switch(
            rule="A token is for its folder and what is below",
            source="-",
            off={"tierkit.codecs.signed_url:Grant.covers": lambda self, path: True},
            tests=("codecs/test_signed_url.py::test_a_playlist_hands_its_token_on",),
        ),
        Switch(
            rule="What lies in a folder around a token's own is signed for alone",
            source="a key for all streams, whose folder has them all below it",
            off={"tierkit.codecs.signed_url:Grant.around": lambda self, path: False},
            tests=("codecs/test_signed_url.py::test_what_lies_around_the_prefix_is_signed_for_alone",),
        ),
        Switch(
            rule="A token is bounded",
            source="Python's int()",
            off={"tierkit.codecs.signed_url:MAX_TOKEN": 1 << 30},
            tests=("codecs/test_signed_url.py::test_reasons_are_for_people_and_tell_no_secrets",),
        ),
        Switch(
            rule="What a token signs holds its prefix",
            source="-",
            off={"tierkit.codecs.signed_url:_prefix": lambda path, depth: "/"},
            tests=("codecs/test_signed_url.py::test_what_it_is_good_for",),
        ),
        Switch(
            rule="What a token signs holds the address where it is for one",
            source="-",
            off={"tierkit.codecs.signed_url:_signature": _any_address},
            tests=("codecs/test_signed_url.py::test_for_whom",),
        ),
        Switch(
            rule="The end in a link of nginx's is digits",
            source="Python's int()",
            off={"tierkit.codecs.secure_link:_EXPIRES": __import__("re").compile(r"[ +0-9_]+\Z")},
            tests=("codecs/test_secure_link.py::test_what_is_refused",),
        ),
        Switch(
            rule="An expression without the path, the secret or the end is refused",
            source="links that anybody signs",
            off={"tierkit.codecs.secure_link:expression_problem": lambda expression, *, ends=True: ""},
            tests=(
                "plugins/test_hls_signing.py::test_an_expression_that_anybody_could_sign_is_a_problem_of_the_graph",
            ),
        ),
        Switch(
            rule="$uri is decoded, with slashes as nginx merges them",
            source="nginx",
            off={"tierkit.codecs.secure_link:_uri": lambda path: path.partition("?")[0].encode()},
            tests=("codecs/test_secure_link.py::test_the_path_is_the_one_that_nginx_sees",),
        ),
        Switch(
            rule="A URI with a variable is signed for where it leads, and at another host not at all",
            source="a signature that goes to strangers",
            off={"tierkit.codecs.hls_rewrite:meanings": _as_written},
            tests=(
                "plugins/test_hls_signing.py::test_no_variable_takes_a_signature_to_another_host",
                "plugins/test_hls_signing.py::test_what_a_variable_leads_to_is_signed_for_where_it_leads",
            ),
        ),
        Switch(
            rule="A token that ends while its viewer waits is a refusal like any other",
            source="a held reload that ends in 500",
            off={"tierkit.plugins.hls._signing:refusing": nullcontext},
            tests=("plugins/test_hls_signing.py::test_a_token_that_ends_while_its_viewer_waits_is_told_so",),
        ),
        Switch(
            rule="A playlist that is for one viewer alone is made fit for him like any other",
            source="signed streams whose origin says `private`",
            off={"tierkit.plugins.hls._pass:Passer.playlist": _as_it_came},
            tests=(
                "plugins/test_hls_signing.py::test_a_playlist_that_is_nobody_elses_hands_its_token_on_as_well",
                "plugins/test_hls_streams.py::test_uris_at_the_origins_own_name_stay_here_where_they_pass_too",
            ),
        ),
        Switch(
            rule="What is at hand is for those alone who may have it",
            source="a quick answer past the check",
            off={"tierkit.plugins.hls._flow:Flow._admitted": lambda self, connection, target, stored: True},
            tests=("plugins/test_hls_signing.py::test_what_is_at_hand_is_not_for_strangers",),
        ),
        Switch(
            rule="Keys are read again when their file changes",
            source="a restart for each key",
            off={"tierkit._access_files:LOOK_EVERY": 1e9},
            tests=("plugins/test_hls_signing.py::test_keys_are_read_again",),
        ),
        Switch(
            rule="A token of ours is for nobody upstream",
            source="tokens in an origin's log",
            off={"tierkit.plugins.hls._signing:TokenSigning.parameters": ()},
            tests=("plugins/test_hls_signing.py::test_a_token_of_ours_is_for_nobody_upstream",),
        ),
    ],
    "What players say": [
        Switch(
            rule="CMCD is bounded",
            source="memory by CMCD",
            off={"tierkit.codecs.cmcd:LONGEST": 1 << 40},
            tests=("codecs/test_cmcd.py::test_the_length_is_bounded",),
        ),
        Switch(
            rule="Texts in CMCD are printable",
            source="log injection",
            off={"tierkit.codecs.cmcd:_PRINTABLE": __import__("re").compile(".+\\Z", __import__("re").DOTALL)},
            tests=("codecs/test_cmcd.py::test_what_is_not_meant_is_left_out_and_counted",),
        ),
        Switch(
            rule="The next object is a path here or nothing",
            source="nor= that leads elsewhere",
            off={"tierkit.codecs.cmcd:check_path": lambda path: None},
            tests=("codecs/test_cmcd.py::test_what_comes_next_is_a_path_here_or_nothing",),
        ),
    ],
    "Purges": [
        Switch(
            rule="What is purged softly makes nobody wait",
            source="segments without a time to be stale in",
            off={"tierkit.plugins.hls._objects:Meta.softened": Meta.staled},
            tests=("plugins/test_hls_edge.py::test_a_soft_purge_makes_nobody_wait",),
        ),
        Switch(
            rule="A purge of a path that was decoded on its way is refused",
            source="a plus that was a space",
            off={"tierkit._purge:_check_spelling": lambda text: None},
            tests=("core/test_purge.py::test_what_is_no_pattern",),
        ),
        Switch(
            rule="A URL is its path",
            source="-",
            off={"tierkit._purge:_AUTHORITY": __import__("re").compile("(?!)")},
            tests=("core/test_purge.py::test_what_is_meant",),
        ),
        Switch(
            rule="A soft purge leaves something to serve",
            source="a herd after a purge",
            off={"tierkit.plugins.hls._objects:Meta.staled": lambda self, now: self},
            tests=("plugins/test_hls_edge.py::test_a_soft_purge_leaves_something_to_serve",),
        ),
    ],
    "The plain cache": [
        Switch(
            rule="A crowd costs an origin that breaks down one question",
            source="errors that are asked for by each",
            off={"tierkit.plugins.hls._policy:for_those_who_wait": lambda status, found: False},
            tests=("plugins/test_hls_plain.py::test_a_crowd_gets_an_error_for_one_question",),
        ),
        Switch(
            rule="What an error holds for one user alone is for him alone",
            source="-",
            off={"tierkit.plugins.hls._policy:for_those_who_wait": lambda status, found: status >= 500},
            tests=("plugins/test_hls_plain.py::test_a_crowd_gets_an_error_for_one_question",),
        ),
        Switch(
            rule="A request with a body goes past the store",
            source="fat GET",
            off={"tierkit.plugins.hls._policy:has_content": lambda names: False},
            tests=("plugins/test_hls_plain_bodies.py::test_a_get_with_a_body_is_for_nobody_else",),
        ),
        Switch(
            rule="What must be confirmed is 504 where upstream is dead",
            source="RFC 9111, 5.2.2.2",
            off={"tierkit.plugins.hls._flow:must_be_confirmed": lambda meta: False},
            tests=("plugins/test_hls_plain.py::test_what_must_be_confirmed_is_not_served_where_upstream_is_dead",),
        ),
        Switch(
            rule="Host and Via are made anew",
            source="-",
            off={"tierkit.plugins.hls._policy:_MADE_ANEW": frozenset()},
            tests=("plugins/test_hls_plain.py::test_upstream_is_asked_for_its_own_host_else",),
        ),
        Switch(
            rule="Where each viewer's host is asked for, it is in the key",
            source="one host's pages at another",
            off={"tierkit.plugins.hls._places:_for_host": lambda target, host: target},
            tests=("plugins/test_hls_plain.py::test_each_host_has_a_cache_of_its_own",),
        ),
        Switch(
            rule="An unsafe method forgets what is stored",
            source="RFC 9111, 4.4",
            off={"tierkit.plugins.hls._afterwards:Afterwards.passed": lambda self, place, request, response: None},
            tests=("plugins/test_hls_plain.py::test_unsafe_methods_invalidate",),
        ),
        Switch(
            rule="Interim answers go on to who is passed on to",
            source="RFC 9110, 15.2",
            off={"tierkit._http_server:Request.inform": _no_hints},
            tests=("plugins/test_hls_plain_bodies.py::test_interim_answers_and_trailers",),
        ),
        Switch(
            rule="Trailers go to who has said that he takes them",
            source="RFC 9110, 6.5.1",
            off={"tierkit.plugins.hls._pass:takes_trailers": lambda request: True},
            tests=("plugins/test_hls_plain_bodies.py::test_interim_answers_and_trailers",),
        ),
        Switch(
            rule="A HEAD updates what is stored for GET",
            source="RFC 9111, 4.3.5",
            off={"tierkit.plugins.hls._afterwards:Afterwards._heed_head": lambda self, place, request, response: None},
            tests=("plugins/test_hls_plain.py::test_a_head_updates_or_ends_what_is_stored",),
        ),
    ],
}
