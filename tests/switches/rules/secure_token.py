"""Wowza's SecureToken: what it is made of, and how an edge and a relay take it."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from tierkit.codecs.signing import Unsigned, check_path

from ..switch import Switch


def _address_first(self: Any, content: str, parameters: Iterable[str], address: str = "") -> str:
    """As signers are often written: only the parameters are sorted."""
    elements = [*([address] if self.bound else []), self.secret, *sorted(parameters)]
    return urlsafe_b64encode(sha256(f"{content}?{'&'.join(elements)}".encode()).digest()).decode()


def _decoded(path: str) -> str:
    check_path(path)
    return unquote(path).rpartition("/")[0][1:]


def _whatever_file(path: str) -> str:
    """The folder, whatever is behind its last slash."""
    folder, _, _ = path.partition("?")[0].rpartition("/")
    check_path(path)
    if folder and not folder.startswith("/"):
        raise Unsigned("it is no path")
    return folder[1:]


def _last_counts(self: Any, pairs: Iterable[str]) -> dict[str, str]:
    return {self._name(pair): pair.partition("=")[2] for pair in pairs}


def _name_as_it_is(self: Any, pair: str) -> str:
    return unquote(pair.partition("=")[0]).removeprefix(self.prefix)


GROUPS: Final[dict[str, list[Switch]]] = {
    "Wowza's SecureToken": [
        Switch(
            rule="The secret and the viewer's address sort against each other",
            source="viewers refused by their address: community.wowza.com/t/39065",
            off={"tierkit.codecs.wowza_token:SecureToken.hash": _address_first},
            tests=("codecs/test_wowza_token.py::test_secret_and_address_sort_against_each_other",),
        ),
        Switch(
            rule="What is not ASCII is hashed percent-encoded",
            source="MyCoRe's vector",
            off={"tierkit.codecs.wowza_token:content_path": _decoded},
            tests=("codecs/test_wowza_token.py::test_what_is_not_ascii_is_hashed_percent_encoded",),
        ),
        Switch(
            rule="A file of a stream has no encoded slash in its name",
            source="`/live/s/other%2Fplaylist.m3u8`",
            off={"tierkit.codecs.wowza_token:content_path": _whatever_file},
            tests=(
                "codecs/test_wowza_token.py::test_a_path_that_may_lead_elsewhere_is_for_no_stream",
                "plugins/test_hls_secure_token.py::test_a_path_that_leads_elsewhere_upstream_is_not_its_stream",
            ),
        ),
        Switch(
            rule="What is hashed has no character that cannot be sent",
            source="whoever knows a hash by SHA-256 can lengthen what it is of",
            off={"tierkit.codecs.wowza_token:_PLAIN": re.compile("(?s:.*)")},
            tests=("codecs/test_wowza_token.py::test_nobody_lengthens_what_was_signed",),
        ),
        Switch(
            rule="What counts is given once",
            source="two readers, two ends",
            off={"tierkit.codecs.wowza_token:SecureToken._told": _last_counts},
            tests=("codecs/test_wowza_token.py::test_nothing_that_counts_is_given_twice",),
        ),
        Switch(
            rule="An end is one in either case",
            source="`endTime` in THEOplayer's guide",
            off={"tierkit.codecs.wowza_token:SecureToken._name": _name_as_it_is},
            tests=("codecs/test_wowza_token.py::test_an_end_is_one_in_either_case",),
        ),
        Switch(
            rule="A token of Wowza's is bounded",
            source="-",
            off={"tierkit.codecs.wowza_token:MAX_TOKEN": 1 << 30},
            tests=("codecs/test_wowza_token.py::test_a_token_is_bounded",),
        ),
        Switch(
            rule="What a fenced origin is asked for keeps its URL for an hour",
            source="a session and a key for each second",
            off={"tierkit.codecs.wowza_token:SAME_FOR": 1},
            tests=("codecs/test_wowza_token.py::test_a_url_stays_the_same_for_an_hour_and_is_good_for_one_more",),
        ),
        Switch(
            rule="A token that upstream has echoed does not stay in a playlist",
            source="Wowza puts the query that it is asked with into what it lists",
            off={"tierkit.plugins.hls._secure_token:_Beginning.__contains__": lambda self, name: False},
            tests=("plugins/test_hls_secure_token.py::test_a_token_that_upstream_has_echoed_does_not_stay",),
        ),
        Switch(
            rule="RTMP takes a token by any spelling of its stream",
            source="`live/_definst_/mp4:s` is `/live/s` by then",
            off={"tierkit.codecs.wowza_token:spellings": lambda path, prefix="": (path.strip("/"),)},
            tests=("plugins/test_signed_urls.py::test_a_token_of_wowzas_at_a_relay",),
        ),
    ],
}
